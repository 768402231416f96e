"""Floor 3, writers: where copies of pictures lie, told in the rows of a job's log that stand there already (`s3_url`).

A line is put into the text of each row; every other byte stays. Unlike an update of the log this reads the file, and
what comes out is read too: it is written only if it says the same and the addresses, whoever wrote the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoasi.errors import FileBroken
from hoasi.exports._toml import string
from hoasi.exports.joblog import Memory, amended
from hoasi.files import held, replace_file

_QUIET = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|#[^\n]*", re.DOTALL
)
"""Strings and comments: what stands in them is no structure."""
_BLOCK = re.compile(r"^[ \t]*\[\[[ \t]*generations[ \t]*\]\]", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
_KNOWN = re.compile(r"^[ \t]*s3_url[ \t]*=[ \t]*(_+)", re.MULTILINE)

Picture = tuple[str, str]
"""Workspace-relative path and SHA-256."""


def tell(
    path: Path, urls: Mapping[Picture, str], *, memory: Memory | None, lock_path: Path, temp_name: str
) -> Memory | None:
    """Put `s3_url` into every row of these pictures. Rows that say so already cost no write.

    Args:
        path: the log; none is no trouble.
        urls: address of each picture's copy.
        memory: what `joblog.write` remembers of the file.
        lock_path: as `joblog.write`.
        temp_name: as `joblog.write`.

    Returns:
        What to remember now.

    Raises:
        FileBroken: `log_not_told`: it is no TOML, or laid out so that a line cannot be added; it is as it was.
        DiskTrouble: as `joblog.write`.
    """
    with held(lock_path):
        old = path.read_bytes() if path.exists() else b""
        new = _told(path, old, urls)
        if new == old:
            return memory
        replace_file(path, new, temp_name)
    return amended(memory, old, new)


def _told(path: Path, old: bytes, urls: Mapping[Picture, str]) -> bytes:
    try:
        text = old.decode()
        whole = tomllib.loads(text)
        due = _due(whole.get("generations", []), urls)
        new = _with_lines(text, due)
        for number, url in due.items():
            whole["generations"][number]["s3_url"] = url
        if tomllib.loads(new) == whole:
            return new.encode()
    except (ValueError, LookupError, RecursionError, AttributeError, TypeError) as error:
        raise FileBroken("log_not_told", file=path, detail=type(error).__name__) from error
    raise FileBroken("log_not_told", file=path)


def _due(rows: list[dict[str, Any]], urls: Mapping[Picture, str]) -> dict[int, str]:
    """Numbers of the rows that lack their address."""
    found = {n: urls.get((str(row.get("output_path")), str(row.get("sha256")))) for n, row in enumerate(rows)}
    return {n: url for n, url in found.items() if url and rows[n].get("s3_url") != url}


def _with_lines(text: str, due: Mapping[int, str]) -> str:
    """The text with an address in each of these blocks, from the last to the first so that places stay where they are.

    Raises:
        IndexError: it has fewer blocks than rows.
    """
    shape = _QUIET.sub(lambda match: "_" * len(match[0]), text) if due else ""
    starts = [match.end() for match in _BLOCK.finditer(shape)]
    for number in sorted(due, reverse=True):
        start = starts[number]
        table = _TABLE.search(shape, start)
        own = shape[start : len(shape) if table is None else table.start()].rstrip()
        known = _KNOWN.search(own)
        begin, end = known.span(1) if known else (len(own), len(own))
        line = string(due[number]) if known else f"\ns3_url = {string(due[number])}"
        text = text[: start + begin] + line + text[start + end :]
    return text
