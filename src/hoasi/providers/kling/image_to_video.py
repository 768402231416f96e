"""Translator for Kling: `POST /v1/videos/image2video`, a picture moves; its shape is kept (read 2026-11-21).

Not sent: masks, camera_control, shots, voices, elements. `kling-video-o1` is not known here: see `omni_video`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling.words import said, under

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "duration_s": "duration",
    "mode": "mode",
    "sound": "sound",
    "cfg_scale": "cfg_scale",
}
ROLES = frozenset({"first_frame", "last_frame"})


def body(order: Order) -> dict[str, Any]:
    """First and last frame are `image` and `image_tail`."""
    frames = {**under("image", order, "first_frame"), **under("image_tail", order, "last_frame")}
    return {**said(order, TAKES), **frames}
