"""Translator for Kling: `POST /v1/videos/video-extend`, 4 to 5 s more of a clip that Kling made (read 2026-11-21).

Only clips of kling-v1, v1-5 and v1-6, younger than 30 days, at their end; model and mode follow the clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.providers.kling.words import clip, said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {"prompt": "prompt", "negative_prompt": "negative_prompt", "cfg_scale": "cfg_scale", "extend_direction": ""}
ROLES = frozenset({"video"})


def body(order: Order) -> dict[str, Any]:
    """The clip by its number.

    Raises:
        NotSupported: it has none at Kling; nothing was sent.
    """
    sent = order.of("video")[0]
    named = clip(sent)
    if "video_id" not in named:
        models = ", ".join(("kling-v1", "kling-v1-5", "kling-v1-6"))
        raise NotSupported("input_not_theirs", model=order.planned.model, path=sent.item.written, models=models)
    return {**said(order, TAKES), **named}
