"""Translator for Kling: `POST /v1/images/generations`, from words and at most one picture (read 2026-11-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling.words import said, under

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "num_images": "n",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "image_reference": "image_reference",
    "image_fidelity": "image_fidelity",
    "human_fidelity": "human_fidelity",
}
ROLES = frozenset({"references"})


def body(order: Order) -> dict[str, Any]:
    """The picture that guides it is `image`."""
    return {**said(order, TAKES), **under("image", order, "reference")}
