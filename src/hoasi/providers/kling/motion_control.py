"""Translator for Kling: `POST /v1/videos/motion-control`, a person moves like a clip (read 2026-11-21).

The result is as long as the clip: there is no duration. The clip may last 10 s where the person is turned like
the picture, 30 s where like the clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.providers.kling.words import address, said, under

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {
    "prompt": "prompt",
    "mode": "mode",
    "character_orientation": "character_orientation",
    "keep_original_sound": "keep_original_sound",
}
ROLES = frozenset({"references", "video"})
AS_PICTURE_S = 10.0
"""The longest clip whose movement a person can follow that is turned like the picture."""


def body(order: Order) -> dict[str, Any]:
    """Picture and clip."""
    check(order)
    clip = {"video_url": address(order.of("video")[0])}
    return {**said(order, TAKES), **under("image_url", order, "reference"), **clip}


def check(order: Order) -> None:
    """The clip is not too long for how the person is turned.

    Raises:
        NotSupported: it is; nothing was sent.
    """
    clip, turned = order.of("video")[0].item, order.planned.parameters["character_orientation"]
    if turned == "image" and clip.duration_s > AS_PICTURE_S + 0.05:
        shown: dict[str, Any] = {"seconds": f"{clip.duration_s:.1f}", "limit": f"{AS_PICTURE_S:g}"}
        raise NotSupported("input_too_long", model=order.planned.model, path=clip.written, **shown)
