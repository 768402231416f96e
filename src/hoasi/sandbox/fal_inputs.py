"""Room: sandbox. What each known fal endpoint takes and gives, and what is wrong with an input.

`fal_inputs.json` is derived from the types of `@fal-ai/client` 1.10.1 (203 endpoints, published 2026-05-04, read
2026-11-21). `endpoints` maps an id to `inputs -> outputs`; an input `name*` is required, `name~2` takes the second of
several forms of that name in `fields`. A form is `string`, `number`, `boolean`, `strings`, or an object with `enum`
(and `default`, and `or`: another form that is fine too), `object` (its members) or `array` (the members of each item).

The types know no numeric ranges; the few that are checked here come from the documentation of the models.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.requests import Request

from hoasi.sandbox.easel import SIDES
from hoasi.sandbox.fal_errors import Problem, model_error, problem
from hoasi.sandbox.gate import Refusal

NAMESPACES = ("workflows", "comfy")  # below these, ids are the users' own graphs: any input, no schema
_MAX_IMAGES = {"fal-ai/kling-image/": 9, "fal-ai/bytedance/seedream/": 6, "": 4}  # the first prefix that fits
_INTEGERS = frozenset({"num_images", "width", "height", "seed"})

Form = str | Mapping[str, Any]
Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Schema:
    """One endpoint: its input forms by name, the required ones, and the names in its output."""

    id: str
    forms: Mapping[str, Form]
    required: frozenset[str]
    outputs: tuple[str, ...]
    is_open: bool = False

    def draws_pictures(self) -> bool:
        """Say whether the output is pictures."""
        return not {"image", "images"}.isdisjoint(self.outputs)

    def draws_clips(self) -> bool:
        """Say whether the output is a clip."""
        return "video" in self.outputs

    def with_defaults(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input with the defaults of its enums filled in."""
        defaults = {n: f["default"] for n, f in self.forms.items() if isinstance(f, Mapping) and "default" in f}
        return {**defaults, **{name: value for name, value in body.items() if value is not None}}

    def unknown(self, body: Mapping[str, Any]) -> list[str]:
        """List fields that the endpoint does not know; the live service drops them without a word."""
        return [] if self.is_open else [name for name in body if name not in self.forms]

    def problems(self, body: Mapping[str, Any]) -> list[Problem]:
        """List what is wrong with an input, in shape A of fal's errors."""
        missing = [
            problem("missing", ("body", name), "Field required", body) for name in sorted(self.required - set(body))
        ]
        given = ((n, v) for n, v in body.items() if n in self.forms and (v is not None or n in self.required))
        wrong = [found for name, value in given for found in _wrong(self.forms[name], value, ("body", name))]
        return [*missing, *wrong, *_too_many_images(self.id, body)]


async def json_object(request: Request, *names: str) -> dict[str, Any]:
    """Return the JSON body. Raises Refusal (422) if it is no object or lacks one of the names."""
    try:
        body = await request.json()
    except ValueError:
        raise Refusal(model_error([problem("json_invalid", ("body",), "JSON decode error")])) from None
    if not isinstance(body, dict):
        raise Refusal(model_error([problem("dict_type", ("body",), "Input should be a valid dictionary", body)]))
    if missing := [problem("missing", ("body", name), "Field required", body) for name in names if name not in body]:
        raise Refusal(model_error(missing))
    return body


@cache
def _source() -> Mapping[str, Any]:
    text = files(__package__).joinpath("fal_inputs.json").read_text(encoding="ascii")
    source: Mapping[str, Any] = json.loads(text)
    return source


@cache
def schema_of(endpoint_id: str) -> Schema | None:
    """Return the schema of a known endpoint, an open one for ids in a namespace, None for all others."""
    if endpoint_id.split("/", maxsplit=1)[0] in NAMESPACES and endpoint_id.count("/") >= 2:
        return Schema(endpoint_id, {}, frozenset(), ("images",), is_open=True)
    row = _source()["endpoints"].get(endpoint_id)
    if row is None:
        return None
    inputs, outputs = (words.split() for words in row.split(" -> "))
    forms = {word.rstrip("*").split("~")[0]: _source()["fields"][word.rstrip("*")] for word in inputs}
    required = frozenset(word.rstrip("*").split("~")[0] for word in inputs if word.endswith("*"))
    return Schema(endpoint_id, forms, required, tuple(outputs))


def accepted_schema(endpoint_id: str) -> Schema:
    """Return the schema of an endpoint that exists. Raises LookupError for all others."""
    schema = schema_of(endpoint_id)
    if schema is None:
        raise LookupError(endpoint_id)
    return schema


def known_ids() -> list[str]:
    """List the endpoints that have a schema."""
    return list(_source()["endpoints"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS: dict[str, tuple[Callable[[object], bool], str, str]] = {
    "string": (lambda v: isinstance(v, str), "string_type", "Input should be a valid string"),
    "number": (_is_number, "float_type", "Input should be a valid number"),
    "boolean": (lambda v: isinstance(v, bool), "bool_type", "Input should be a valid boolean"),
}


def _wrong(form: Form, value: object, loc: Loc) -> Iterator[Problem]:
    match form:
        case "strings":
            yield from _wrong_items("string", value, loc)
        case str():
            yield from _wrong_scalar(form, value, loc)
        case {"enum": allowed} if value in allowed and not isinstance(value, bool):
            return
        case {"or": {"object": members}} if isinstance(value, dict):
            yield from _wrong_members(members, value, loc)
        case {"or": str(other)}:
            yield from _wrong(other, value, loc)
        case {"enum": allowed}:
            yield problem("one_of", loc, f"Input should be one of {allowed}", value, expected=allowed)
        case {"array": members}:
            yield from _wrong_items({"object": members}, value, loc)
        case {"object": members}:
            yield from _wrong_members(members, value, loc)


def _wrong_scalar(form: str, value: object, loc: Loc) -> Iterator[Problem]:
    fits, kind, msg = _SCALARS[form]
    if not fits(value):
        yield problem(kind, loc, msg, value)
    elif loc[-1] in _INTEGERS and not isinstance(value, int):
        yield problem("int_type", loc, "Input should be a valid integer", value)


def _wrong_items(form: Form, value: object, loc: Loc) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield problem("list_type", loc, "Input should be a valid list", value)
        return
    for index, item in enumerate(value):
        yield from _wrong(form, item, (*loc, index))


def _wrong_members(members: Mapping[str, Form], value: object, loc: Loc) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield problem("dict_type", loc, "Input should be a valid dictionary", value)
        return
    for name, form in members.items():
        plain = name.rstrip("*")
        if plain in value:
            yield from _wrong(form, value[plain], (*loc, plain))
            yield from _wrong_side(plain, value[plain], (*loc, plain))
        elif name.endswith("*"):
            yield problem("missing", (*loc, plain), "Field required", value)


def _wrong_side(name: str, value: object, loc: Loc) -> Iterator[Problem]:
    if name not in ("width", "height") or not isinstance(value, int):
        return
    yield from _outside(SIDES, value, loc)


def _outside(bounds: range, value: int, loc: Loc) -> Iterator[Problem]:
    least, most = bounds[0], bounds[-1]
    if value < least:
        yield problem("greater_than_equal", loc, f"Input should be greater than or equal to {least}", value, ge=least)
    if value > most:
        yield problem("less_than_equal", loc, f"Input should be less than or equal to {most}", value, le=most)


def _too_many_images(endpoint_id: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    wanted = body.get("num_images")
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        return
    most = next(most for prefix, most in _MAX_IMAGES.items() if endpoint_id.startswith(prefix))
    yield from _outside(range(1, most + 1), wanted, ("body", "num_images"))
