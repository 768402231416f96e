"""Translator for Kling: `POST /v1/videos/multi-image2video`, up to four pictures in one clip (read 2026-11-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling.words import pictures, said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "aspect_ratio": "aspect_ratio",
    "duration_s": "duration",
    "mode": "mode",
}
ROLES = frozenset({"references"})


def body(order: Order) -> dict[str, Any]:
    """The pictures in their order."""
    return {**said(order, TAKES), "image_list": [{"image": image} for image in pictures(order, "reference")]}
