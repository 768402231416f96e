"""Translator for Stability AI: our parameters and pictures as the multipart form of v2beta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.given import Input
    from hoasi.providers._outcomes import Order
    from hoasi.records import Planned
    from hoasi.wire import FileField

_SAME = (
    "prompt", "negative_prompt", "seed", "aspect_ratio", "output_format", "mask", "style_preset", "strength", "mode",
    "cfg_scale", "steps", "grow_mask", "search_prompt", "select_prompt", "left", "right", "up", "down", "creativity",
    "control_strength", "fidelity", "style_strength", "composition_fidelity", "change_strength", "foreground_prompt",
    "preserve_original_subject", "original_background_depth", "keep_original_background", "light_source_direction",
    "light_source_strength",
)  # fmt: skip
FIELDS = {**{name: name for name in _SAME}, "references": "image"}
"""Our word -> its field; where a model has another one, its card says so."""

LAST_SEED = 4_294_967_294
"""Stability takes a 0 for "any seed"; a 0 of ours is one, so this is sent for it: no seed of ours reaches so far."""
ROUNDING = 0.01
"""Shapes that differ by less than this part come from rounded sides."""
_ENDINGS = {"image/png": "png", "image/webp": "webp"}


def form(order: Order, card: Card) -> dict[str, str]:
    """The fields of the form that are text."""
    fields = {**FIELDS, **card.fields}
    named = {fields[name]: text(name, value) for name, value in order.planned.parameters.items() if fields[name]}
    return {**named, "model": card.model_name} if card.model_name else named


def text(name: str, value: Any) -> str:
    """A value as forms write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if name == "seed":
        return str(seed(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def seed(value: int) -> int:
    """A seed of ours as one of theirs."""
    return value or LAST_SEED


def check_mask(planned: Planned) -> None:
    """Refuse a mask of another shape than its picture; the service itself would stretch it.

    Raises:
        NotSupported: it is one.
    """
    masks = [item for item in planned.inputs if item.role == "mask"]
    pictures = [item for item in planned.inputs if item.role == "reference"]
    apart = [(first, mask) for first, mask in zip(pictures, masks, strict=False) if _is_apart(first, mask)]
    if apart:
        first, mask = apart[0]
        sizes: dict[str, Any] = {"size": f"{first.width}x{first.height}", "other": f"{mask.width}x{mask.height}"}
        raise NotSupported("mask_size", picture=first.written, mask=mask.written, **sizes)


def _is_apart(first: Input, mask: Input) -> bool:
    is_known = not (first.promise or mask.promise)
    return (
        is_known and abs(first.width * mask.height - first.height * mask.width) > ROUNDING * first.width * mask.height
    )


def files(order: Order, card: Card) -> list[tuple[str, FileField]]:
    """The pictures in the order of the card's field names, and the mask."""
    names = {**FIELDS, **card.fields}["references"].split()
    pictures = [*zip(names, order.of("reference"), strict=False), *(("mask", sent) for sent in order.of("mask"))]
    return [
        (name, (f"{name}.{_ENDINGS.get(sent.item.media_type, 'jpg')}", sent.data, sent.item.media_type))
        for name, sent in pictures
    ]
