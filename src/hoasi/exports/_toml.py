"""Floor 3, writers: values as TOML text, so that a block can be added without parsing what stands above it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence

Value = str | bool | int | float | Sequence[str]

_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_AS_THEY_ARE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\\]")


def string(text: str) -> str:
    """A one-line basic string. Lone surrogates, which no file can hold, become U+FFFD."""
    return json.dumps(_whole(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def prose(text: str) -> str:
    """A multi-line basic string in the documented form: opening quotes, the text on its own lines, closing quotes.

    Its value is the text and one line feed more; every reader gets the text back by taking that one away.
    """
    escaped = _NOT_AS_THEY_ARE.sub(lambda match: f"\\u{ord(match[0]):04x}", _whole(text))
    return '"""\n' + escaped.replace('"""', '""\\"') + '\n"""'


def value(thing: Value) -> str:
    """Any value of ours; numbers that are none (nan, inf) become 0.0."""
    if isinstance(thing, str):
        return string(thing)
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, float):
        return repr(thing) if math.isfinite(thing) else "0.0"
    if isinstance(thing, int):
        return str(thing)
    return "[" + ", ".join(map(string, thing)) + "]"


def block(name: str, fields: Iterable[tuple[str, Value]], *, long: Sequence[str] = ()) -> str:
    """One `[[name]]` table after an empty line; the fields named in `long` are written over several lines."""
    lines = [f"{key} = {prose(str(thing)) if key in long else value(thing)}\n" for key, thing in fields]
    return f"\n[[{name}]]\n" + "".join(lines)


def _whole(text: str) -> str:
    return _SURROGATES.sub("\ufffd", text)
