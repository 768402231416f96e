"""Translator for Kling: `POST /v1/images/omni-image`, pictures from up to 10 pictures (read 2026-11-21).

The audit's `/v1/images/omni-edit` never existed: this is the call that was meant. Not sent: elements, series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling.words import pictures, said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {"prompt": "prompt", "num_images": "n", "aspect_ratio": "aspect_ratio", "resolution": "resolution"}
ROLES = frozenset({"source", "face", "references"})


def body(order: Order) -> dict[str, Any]:
    """`<<<image_1>>>` in the prompt is the first of `image_list`: of a swap the picture that stays."""
    images = [{"image": image} for image in pictures(order, "source", "face", "reference")]
    return {**said(order, TAKES), **({"image_list": images} if images else {})}
