"""Workbench (floor 1): a webm or mkv as a row of elements: what it calls itself, and did all of it come.

Elements: EBML (RFC 8794), Matroska (RFC 9559). A live recording leaves sizes open; those cannot be checked.
"""

from __future__ import annotations

import os
from typing import BinaryIO, NamedTuple

START = b"\x1a\x45\xdf\xa3"

_SEGMENT, _DOCTYPE = 0x18538067, 0x4282
_MOST_ELEMENTS = 200_000


class Element(NamedTuple):
    """One element; `end` is None where its size is left open, and may lie behind the file's own end."""

    kind: int
    body: int
    end: int | None


def doctype(file: BinaryIO) -> str:
    """What the file calls itself: `webm`, `matroska`, or empty."""
    head = _element(file, 0)
    at, end = (head.body, head.end or 0) if head else (0, 0)
    for _ in range(32):
        item = _element(file, at) if at < end else None
        if item is None or item.end is None:
            return ""
        if item.kind == _DOCTYPE:
            file.seek(item.body)
            return file.read(min(item.end - item.body, 16)).rstrip(b"\0").decode("ascii", "replace")
        at = item.end
    return ""


def is_cut(file: BinaryIO) -> bool:
    """Does an element end behind the file's end, or is there none with samples at all?"""
    size, at, has_segment = file.seek(0, os.SEEK_END), 0, False
    for _ in range(_MOST_ELEMENTS):
        item = _element(file, at)
        if item is None:
            break
        if item.end is not None and item.end > size:
            return True
        is_segment = item.kind == _SEGMENT
        has_segment = has_segment or is_segment
        # An open segment is looked into; any other open element is the last that can be judged.
        if item.end is None and not is_segment:
            return False
        at = item.body if item.end is None else item.end
    return not has_segment or at < size


def _element(file: BinaryIO, at: int) -> Element | None:
    file.seek(at)
    head = file.read(12)
    kind = _number(head, 4)
    length = _number(head[kind[1] :], 8) if kind else None
    if kind is None or length is None:
        return None
    body = at + kind[1] + length[1]
    bits = 7 * length[1]
    size = length[0] & ((1 << bits) - 1)
    return Element(kind[0], body, None if size == (1 << bits) - 1 else body + size)


def _number(data: bytes, most: int) -> tuple[int, int] | None:
    """A number with its length mark, and how many bytes it takes; None where it is cut or too long."""
    if not data or not data[0]:
        return None
    width = 9 - data[0].bit_length()
    return (int.from_bytes(data[:width], "big"), width) if width <= min(most, len(data)) else None
