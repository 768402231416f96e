"""Floor 3, readers: YAML files as nodes that know their lines. No tag is obeyed, no number or date is guessed.

Built from the parser's events, so that nothing grows: an alias is the very node it names, a merge key is a key like any
other, and what is nested deeper than a file for people is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoasi.errors import FileBroken
from hoasi.sources._toml import read_text

LIMIT_MIB = 2
DEEPEST = 32
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True)
class Node:
    """A text, a list, a table, or nothing, and the line where it begins."""

    value: str | list[Node] | dict[str, Node] | None = field(repr=False)
    line: int

    def get(self, name: str) -> Node | None:
        """A field of a table; None where there is none, or no table."""
        found = self.value.get(name) if isinstance(self.value, dict) else None
        return None if found is None or found.value is None else found


def read(path: Path) -> Node:
    """The one document of a YAML file.

    Raises:
        NotFound: there is no such file.
        FileBroken: it cannot be read, is blank, too big, too deep, no YAML, or writes a key twice.
    """
    import yaml

    text = read_text(path)
    if len(text) > LIMIT_MIB * 1024 * 1024:
        raise FileBroken("source_too_big", file=path, limit_mib=LIMIT_MIB)
    if not text.strip():
        raise FileBroken("source_empty", file=path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(path, yaml.parse(text, Loader=loader)).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _syntax(path, line, 1, str(error.reason)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last = text.rstrip("\n").count("\n") + 1
        place = (min(mark.line + 1, last), mark.column + 1) if mark else (1, 1)
        raise _syntax(path, *place, str(error.problem or error.context or "")) from error


def _syntax(path: Path, line: int, column: int, detail: str) -> FileBroken:
    return FileBroken("visual_syntax", file=path, form="YAML", line=line, column=column, detail=detail)


class _Composer:
    """Nodes of a stream of events."""

    def __init__(self, path: Path, events: Iterator[Any]) -> None:
        self._path = path
        self._events = (event for event in events if type(event).__name__ not in {"StreamStartEvent"})
        self._named: dict[str, Node] = {}

    def document(self) -> Node:
        """The first document; there must be no second."""
        next(self._events)
        node = self._node(next(self._events), 0)
        next(self._events)
        after = next(self._events)
        if type(after).__name__ != "StreamEndEvent":
            raise _syntax(self._path, after.start_mark.line + 1, 1, "---")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        if depth > DEEPEST:
            raise FileBroken("source_too_deep", file=self._path)
        kind = type(event).__name__
        if kind == "AliasEvent":
            if event.anchor not in self._named:
                raise _syntax(self._path, line, event.start_mark.column + 1, f"*{event.anchor}")
            return self._named[event.anchor]
        made = Node(_MAKERS[kind](self, event, depth), line)
        if event.anchor:
            self._named[event.anchor] = made
        return made

    def _text(self, event: Any, _: int) -> str | None:
        return None if event.implicit[0] and event.value in _NOTHING else str(event.value)

    def _list(self, _: Any, depth: int) -> list[Node]:
        return [self._node(event, depth + 1) for event in self._until("SequenceEndEvent")]

    def _table(self, _: Any, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for event in self._until("MappingEndEvent"):
            key = self._node(event, depth + 1)
            name = str(key.value)
            if name in found:
                raise FileBroken("visual_key_twice", file=self._path, line=key.line, field=name[:40])
            found[name] = self._node(next(self._events), depth + 1)
        return found

    def _until(self, end: str) -> Iterator[Any]:
        while type(event := next(self._events)).__name__ != end:
            yield event


_MAKERS = {
    "ScalarEvent": _Composer._text,
    "SequenceStartEvent": _Composer._list,
    "MappingStartEvent": _Composer._table,
}
