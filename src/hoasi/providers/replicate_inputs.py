"""Translator for Replicate: our parameters and inputs under the names that a model's own schema has for them.

What the schema does not know is refused, if somebody asked for it; what only we chose (a seed, a lossless format, a
card's default) is left out. Nothing is sent that the schema does not list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hoasi.catalogue import load
from hoasi.errors import NotSupported
from hoasi.providers.replicate_values import shape, value_of
from hoasi.requirements import PICTURES

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order, Sent
    from hoasi.providers.replicate_schema import Schema
    from hoasi.records import Planned

NAMES: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "text_prompt", "text"),
    "negative_prompt": ("negative_prompt",),
    "num_images": ("num_outputs", "number_of_images", "num_images"),
    "seed": ("seed",),
    "aspect_ratio": ("aspect_ratio", "ratio"),
    "resolution": ("resolution", "size", "megapixels"),
    "size": ("width",),
    "output_format": ("output_format", "format"),
    "references": ("image_input", "input_images", "reference_images", "images", "image_urls"),
    "reference": ("image", "input_image", "image_prompt", "reference_image"),
    "mask": ("mask", "mask_image"),
    "first_frame": ("start_image", "first_frame_image", "first_frame", "image", "input_image"),
    "last_frame": ("end_image", "last_frame_image", "last_frame"),
    "duration_s": ("duration", "seconds"),
    "mode": ("mode",),
    "sound": ("generate_audio",),
    "cfg_scale": ("guidance_scale", "guidance", "cfg_scale"),
}
"""Our word -> names that models have for it; the first that the schema lists is taken."""
FIELDS = {word: names[0] for word, names in NAMES.items()}
WAIT_S = 1
"""How long the answer to a purchase may be held: a quick model has ended by then; the receipt must not come late."""
DEADLINE_S = (5, 1800)
_OTHER_WORDS = frozenset({"scene", "size", "aspect_ratio"})


def scalars(planned: Planned, schema: Schema, card: Card) -> dict[str, Any]:
    """All inputs but files.

    Raises:
        NotSupported: the model has no such input, or not this value.
    """
    made = dict(_plain(planned, schema, card))
    return made | shape(planned, schema, _field("aspect_ratio", schema, card))


def brakes(planned: Planned) -> dict[str, str]:
    """Headers: hold the answer a moment, and stop the work at twice the time that we would wait for it."""
    least, most = DEADLINE_S
    return {"prefer": f"wait={WAIT_S}", "cancel-after": f"{int(max(least, min(2 * planned.cap_s, most)))}s"}


def body(order: Order, schema: Schema) -> dict[str, Any]:
    """The whole request: how the model is called, its inputs, and where to report to.

    Raises:
        NotSupported: the model does not take this, or needs more.
    """
    card = load("replicate").card(order.planned.model)
    inputs = {**scalars(order.planned, schema, card), **_files(order.sent, schema, card)}
    if missing := sorted(schema.required - inputs.keys()):
        raise NotSupported("schema_needs", model=schema.model, names=", ".join(missing))
    reported = {"webhook": order.callback_url, "webhook_events_filter": ["completed"]} if order.callback_url else {}
    return {"version": schema.version, "input": inputs, **reported}


def _files(sent: tuple[Sent, ...], schema: Schema, card: Card) -> dict[str, Any]:
    """The addresses of the inputs; plain pictures as a list where the model has one, else its single picture."""
    plain = [item.url for item in sent if item.item.role in PICTURES]
    others = {_found(one.item.role, schema, card): one.url for one in sent if one.item.role not in PICTURES}
    return {**_pictures(plain, schema, card), **others} if plain else others


def _pictures(urls: list[str], schema: Schema, card: Card) -> dict[str, Any]:
    many = _field("references", schema, card)
    if many is not None:
        return {many: urls}
    one = _found("reference", schema, card)
    if schema.properties[one].get("type") == "array":
        return {one: urls}
    if len(urls) > 1:
        raise NotSupported("too_many_references", model=schema.model, count=len(urls), limit=1)
    return {one: urls[0]}


def _plain(planned: Planned, schema: Schema, card: Card) -> Iterator[tuple[str, Any]]:
    """Each parameter that has a name of its own here."""
    wanted = [(word, value) for word, value in planned.parameters.items() if word not in _OTHER_WORDS]
    kept = [pair for pair in wanted if _is_asked(pair[0], planned) or _field(pair[0], schema, card) is not None]
    return ((field := _found(word, schema, card), value_of(field, value, schema)) for word, value in kept)


def _is_asked(word: str, planned: Planned) -> bool:
    """Somebody said it; else it is ours to leave out."""
    request = planned.request
    if word in planned.request.options:
        return True
    return {
        "prompt": True,
        "num_images": len(planned.stems) > 1,
        "seed": request.seed is not None,
        "negative_prompt": request.negative_prompt is not None,
        "resolution": request.resolution is not None,
        "output_format": request.output_format is not None,
    }.get(word, False)


def _field(word: str, schema: Schema, card: Card) -> str | None:
    names = (card.fields[word],) if word in card.fields else NAMES.get(word, ())
    return next((name for name in names if name in schema.properties), None)


def _found(word: str, schema: Schema, card: Card) -> str:
    field = _field(word, schema, card)
    if field is None:
        raise NotSupported("parameter_not_supported", model=schema.model, parameter=word)
    return field
