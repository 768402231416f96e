"""Translator for Kling: `POST /v1/images/multi-image2image`, one picture of up to four subjects (read 2026-11-21).

Not sent: `scene_image` and `style_image`, for which we have no roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling.words import pictures, said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {"prompt": "prompt", "num_images": "n", "aspect_ratio": "aspect_ratio"}
ROLES = frozenset({"references"})


def body(order: Order) -> dict[str, Any]:
    """Each picture is a subject."""
    return {
        **said(order, TAKES),
        "subject_image_list": [{"subject_image": image} for image in pictures(order, "reference")],
    }
