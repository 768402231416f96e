"""Translator for Kling: `POST /v1/videos/text2video` (read 2026-11-21).

It has no field for a style, nor for a camera movement in words. Not sent: camera_control, shots, voices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling.words import said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "aspect_ratio": "aspect_ratio",
    "duration_s": "duration",
    "mode": "mode",
    "sound": "sound",
    "cfg_scale": "cfg_scale",
}
ROLES: frozenset[str] = frozenset()


def body(order: Order) -> dict[str, Any]:
    """Nothing but words."""
    return said(order, TAKES)
