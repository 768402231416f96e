"""Translator for Replicate: values and shapes as a model's own schema writes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported

if TYPE_CHECKING:
    from hoasi.providers.replicate_schema import Schema
    from hoasi.records import Planned

_SAME = {"jpeg": "jpg", "std": "standard", "0.5 mp": "0.5", "1 mp": "1", "2 mp": "2", "4 mp": "4"}
"""Our word -> another spelling of it."""
_STEP = 64


def value_of(field: str, value: Any, schema: Schema) -> Any:
    """As the schema writes it.

    Raises:
        NotSupported: the model does not take it.
    """
    form, allowed = schema.properties[field], schema.allowed(field)
    texts = {str(value).lower(), _SAME.get(str(value).lower(), str(value).lower())}
    if allowed:
        same = [one for one in allowed if str(one).lower() in texts]
        if not same:
            raise _not_allowed(schema, field, value, ", ".join(map(str, allowed)))
        return same[0]
    least, most = form.get("minimum", -math.inf), form.get("maximum", math.inf)
    if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value <= most:
        raise _not_allowed(schema, field, value, f"{least:g}..{most:g}")
    return value


def _not_allowed(schema: Schema, field: str, value: Any, allowed: str) -> NotSupported:
    return NotSupported(
        "value_not_supported", model=schema.model, parameter=field, value=str(value)[:80], allowed=allowed
    )


# ---------------------------------------------------------------------- shape


def shape(planned: Planned, schema: Schema, field: str | None) -> dict[str, Any]:
    """The ratio by its name, in the field that the model has for it, or as width and height where it has only those.

    Raises:
        NotSupported: it has neither, or takes no such shape.
    """
    ratio, pixels = (planned.parameters.get(name) for name in ("aspect_ratio", "size"))
    if ratio and field is not None:
        return {field: value_of(field, ratio, schema)}
    if not ratio and not pixels:
        return {}
    if not {"width", "height"} <= schema.properties.keys():
        raise NotSupported("parameter_not_supported", model=schema.model, parameter="aspect_ratio")
    width, _, height = (pixels or _sides(str(ratio))).partition("x")
    return {"width": value_of("width", int(width), schema), "height": value_of("height", int(height), schema)}


def _sides(ratio: str) -> str:
    """About one megapixel, both sides multiples of 64, which every such model takes."""
    across, down = map(int, ratio.split(":"))
    width, height = (math.sqrt(1024 * 1024 * one / other) for one, other in ((across, down), (down, across)))
    return f"{round(width / _STEP) * _STEP}x{round(height / _STEP) * _STEP}"
