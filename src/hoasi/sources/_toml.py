"""Floor 3, readers: TOML files as typed tables, and errors that name file, table, index, field and line.

Lines are looked for only while an error is built, so reading stays linear in the size of the file.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoasi.errors import FileBroken, NotFound
from hoasi.sources.prompt import clean

LIMIT_MIB = 16
VALUE_SHOWN = 40

_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")
_OPAQUE = re.compile(  # nothing possessive: before Python 3.11.3 that matches wrongly
    r'"""[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}'
    r"|'''[^']*(?:'{1,2}(?!')[^']*)*'{3,5}"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_PATH = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_STATEMENT = re.compile(rf"^[ \t]*(?:(\[\[?)[ \t]*({_PATH})[ \t]*\]\]?[ \t]*$|({_PATH})[ \t]*=)", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """One parsed TOML file."""

    path: Path
    text: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)

    def table(self, name: str) -> Table:
        """`[name]`; an absent one is empty.

        Raises:
            FileBroken: `name` is something else.
        """
        values = self.values.get(name, {})
        if isinstance(values, dict):
            return Table(self, name, None, values)
        raise Table(self, name, None, {}).broken("source_not_table")

    def tables(self, name: str) -> tuple[Table, ...]:
        """Every `[[name]]` in order; none when the file has none.

        Raises:
            FileBroken: `name` is something else.
        """
        rows = self.values.get(name, [])
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return tuple(Table(self, name, index, row) for index, row in enumerate(rows, 1))
        raise Table(self, name, None, {}).broken("source_not_tables")


@dataclass(frozen=True)
class Table:
    """One table and where it stands; `index` counts from 1 within an array of tables, None elsewhere.

    Every reader raises FileBroken when the field has another type; an absent field is never an error.
    """

    document: Document = field(repr=False)
    name: str
    index: int | None
    values: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> str:
        """As the file writes it: `[metadata]`, `[[scene_intents]] #3`."""
        return f"[{self.name}]" if self.index is None else f"[[{self.name}]] #{self.index}"

    def string(self, name: str) -> str | None:
        """Text exactly as written (paths), or None when absent."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self.broken("source_not_text", name)

    def strings(self, name: str) -> tuple[str, ...] | None:
        """A list of texts exactly as written, or None when absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise self.broken("source_not_texts", name)

    def text(self, name: str) -> str:
        """Text for people and models: NFC, stripped, empty when absent."""
        return clean(self.string(name) or "")

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts for people and models; blank entries are left out."""
        return tuple(text for item in self.strings(name) or () if (text := clean(item)))

    def text_or_texts(self, name: str) -> tuple[str, ...]:
        """The same for a field that may be one text or a list."""
        if isinstance(self.values.get(name), str):
            return tuple(filter(None, [self.text(name)]))
        return self.texts(name)

    def count(self, name: str, default: int) -> int:
        """A whole number of at least 1."""
        value = self.values.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
        raise self.broken("source_not_count", name)

    def matching(self, name: str, pattern: re.Pattern[str], key: str) -> str | None:
        """Text of one form, or None when absent; `key` is the error's."""
        text = self.string(name)
        if text is None or pattern.fullmatch(text := text.strip()):
            return text
        raise self.broken(key, name)

    def broken(self, key: str, name: str = "") -> FileBroken:
        """The error `key` with this place in its facts; for the caller to raise."""
        return FileBroken(key, **self.whereabouts(name))

    def whereabouts(self, name: str = "") -> dict[str, Any]:
        """Facts for an error about the field `name`, or about the whole table."""
        place: dict[str, Any] = {"file": self.document.path, "table": self.name, "place": self.place, "field": name}
        if self.index is not None:
            place["index"] = self.index
        place["line"] = _line(self.document.text, self.name, self.index or 0, name)
        return {**place, "value": str(self.values.get(name, ""))[:VALUE_SHOWN]}


def read(path: Path) -> Document:
    """Parse a TOML file.

    Raises:
        NotFound: there is no such file.
        FileBroken: it cannot be read, is blank, or is not TOML (facts: line and column).
    """
    text = read_text(path)
    if not text.strip():
        raise FileBroken("source_empty", file=path)
    try:
        return Document(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _syntax(path, text, str(error)) from error
    except (RecursionError, ValueError) as error:
        raise FileBroken("source_too_deep", file=path) from error


def read_text(path: Path) -> str:
    """The whole of a small UTF-8 text file, with or without BOM; line ends become LF.

    Raises:
        NotFound: there is no such file.
        FileBroken: a folder, a device, unreadable, over 16 MiB, or not UTF-8 (facts: line).
    """
    raw = _bytes(path)
    if len(raw) > LIMIT_MIB * 1024 * 1024:
        raise FileBroken("source_too_big", file=path, limit_mib=LIMIT_MIB)
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise FileBroken("source_not_utf8", file=path, line=error.object.count(b"\n", 0, error.start) + 1) from error


def _bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a named pipe would be waited for without end
            raise FileBroken("source_not_file", file=path)
        with path.open("rb") as file:
            return file.read(LIMIT_MIB * 1024 * 1024 + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("source_missing", file=path) from error
    except (OSError, ValueError) as error:
        raise FileBroken("source_unreadable", file=path, detail=str(getattr(error, "strerror", "") or error)) from error


def _syntax(path: Path, text: str, message: str) -> FileBroken:
    """The parser's own position; it names none at the end of the file."""
    found = _POSITION.search(message)
    line, column = map(int, found.groups()) if found else (text.count("\n") + 1, len(text) - text.rfind("\n"))
    return FileBroken("source_syntax", file=path, line=line, column=column, detail=message)


def _line(text: str, table: str, index: int, name: str) -> int:
    """Best known line of a field: its own, else its table's header, else where the table begins."""

    def nearness(row: tuple[int, tuple[str, ...], int]) -> int:
        _, path, place = row
        if path[0] != table:
            return 0
        return 1 if place != index else 3 if path[1:2] == (name,) else 2

    return max(_statements(text), key=nearness, default=(1, (), 0))[0]


def _statements(text: str) -> Iterator[tuple[int, tuple[str, ...], int]]:
    """Line, dotted path, and number within its array of tables, of every header and key."""
    bare = _OPAQUE.sub(_visible, text)
    header: tuple[str, ...] = ()
    seen: Counter[tuple[str, ...]] = Counter()
    line, at = 1, 0
    for match in _STATEMENT.finditer(bare):
        line, at = line + bare.count("\n", at, match.start()), match.start()
        brackets, table, key = match.groups()
        if table:
            header = _names(table)
            seen[header] += brackets == "[["
        path = header if table else header + _names(key)
        yield line, path, seen[path[:1]]


def _visible(match: re.Match[str]) -> str:
    """Comments and texts over several lines leave only their line ends; a short text may be a quoted key."""
    text = match[0]
    return "\n" * text.count("\n") if text.startswith(('"""', "'''", "#")) else text


def _names(path: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, path))
