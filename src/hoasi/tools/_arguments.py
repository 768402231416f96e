"""Doors (floor 5): arguments that a tool cannot take, each in one line of the user's language."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hoasi.messages import say

LINES_AT_MOST = 20
"""A model reads the answer: of a thousand equal mistakes the first ones say it all."""
NAME_AT_MOST = 80

_BOUNDS = {
    "greater_than_equal": ("at_least", "ge"),
    "less_than_equal": ("at_most", "le"),
    "string_too_short": ("not_empty", "min_length"),
    "too_short": ("not_empty", "min_length"),
    "too_long": ("at_most", "max_length"),
    "literal_error": ("one_of", "expected"),
    "enum": ("one_of", "expected"),
}
_KINDS = ("string", "int", "float", "bool", "tuple", "model", "dict", "scalar")
_SCALARS = {"bool", "int", "float", "str"}


def wrong(error: ValidationError, known: Collection[str]) -> str:
    """What is wrong, a line each; `known` are the names of the tool's parameters."""
    details = [*_whole(error.errors(include_url=False))]
    lines = [_line(detail, known) for detail in details[:LINES_AT_MOST]]
    more = len(details) - len(lines)
    return "\n".join(f"- {line}" for line in [*lines, *([say("argument.more", count=more)] if more else [])])


def _whole(details: Iterable[ErrorDetails]) -> Iterator[ErrorDetails]:
    """A value that may be of several kinds and is of none: one mistake, not one for each kind."""
    seen: set[tuple[int | str, ...]] = set()
    for detail in details:
        *place, kind = detail["loc"]
        if kind not in _SCALARS:
            yield detail
        elif (where := tuple(place)) not in seen:
            seen.add(where)
            yield {**detail, "loc": where, "type": "scalar"}


def _line(detail: ErrorDetails, known: Collection[str]) -> str:
    """One wrong argument in the user's language."""
    name, kind = ".".join(map(str, detail["loc"][1:]))[:NAME_AT_MOST] or "-", detail["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        return say("argument.unknown", name=name, near=(near or [", ".join(known)])[0])
    if kind == "missing":
        return say("argument.missing", name=name)
    if kind in _BOUNDS:
        key, fact = _BOUNDS[kind]
        limit = str(detail.get("ctx", {}).get(fact, "")).replace(" or ", ", ")
        return say(f"argument.{key}", name=name, limit=limit)
    wanted = next((word for word in _KINDS if kind.startswith(word)), None)
    return say(f"argument.{wanted}", name=name) if wanted else say("argument.other", name=name)
