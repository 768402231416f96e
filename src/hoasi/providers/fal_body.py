"""Translator for fal.ai: our parameters and inputs as a model's input. Where models differ, their cards say how.

Sources: types of @fal-ai/client 1.10.1 (read 2026-11-21) and fal's model pages (stored copies, read 2026-11-27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.catalogue import load

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order

FIELDS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "num_images": "num_images",
    "seed": "seed",
    "aspect_ratio": "aspect_ratio",
    "size": "image_size",
    "resolution": "resolution",
    "output_format": "output_format",
    "references": "image_urls",
    "reference": "image_url",
    "first_frame": "start_image_url",
    "last_frame": "end_image_url",
    "video": "video_url",
    "audio": "audio_url",
    "duration_s": "duration",
    "sound": "generate_audio",
    "cfg_scale": "cfg_scale",
    "character_orientation": "character_orientation",
    "keep_original_sound": "keep_original_sound",
    "extend_direction": "mode",
    "lighting_style": "lighting_style",
}
"""Our word -> the field that most models have for it."""


def body(order: Order) -> dict[str, Any]:
    """The model's input: our parameters under fal's names, in the form that this model wants."""
    card = load("fal").card(order.planned.model)
    fields = {**FIELDS, **card.fields}
    said = {**order.planned.parameters, **_inputs(order, card)}
    return dict(_placed(fields[name], _form(name, value, card)) for name, value in said.items() if fields[name])


def _inputs(order: Order, card: Card) -> dict[str, Any]:
    """The addresses of the inputs; plain pictures as one list, unless the model takes a single one."""
    alone: dict[str, Any] = {
        sent.item.role: sent.url for sent in order.of("first_frame", "last_frame", "video", "audio")
    }
    pictures = [sent.url for sent in order.of("source", "face", "reference")]
    if not pictures:
        return alone
    return {**alone, "reference": pictures[0]} if card.references == 1 else {**alone, "references": pictures}


def _placed(field: str, value: Any) -> tuple[str, Any]:
    """`a.b` is b within an object a."""
    outer, _, inner = field.partition(".")
    return outer, {inner: value} if inner else value


def _form(name: str, value: Any, card: Card) -> Any:
    """Exact pixels become an object; what the card has a form for is written so; all else stays."""
    width, _, height = str(value).partition("x")
    if name == "size" and width.isdigit() and height.isdigit():
        return {"width": int(width), "height": int(height)}
    return card.forms[name].format(value) if name in card.forms else value
