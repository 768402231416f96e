"""Workbench (floor 1): an mp4 or mov as a row of boxes: did all of it come, and a place for XMP at its end.

Boxes: ISO/IEC 14496-12, section 4.2; XMP in a `uuid` box: XMP specification part 3 (ISO base media files). No box is
moved: tables in `moov` hold absolute places in the file.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from hoasi.media.containers import CutShort, UnusualLayout, Xmp

STARTS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
"""Kinds of the first box; QuickTime files older than 2001 have no `ftyp`."""
PICTURES = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
"""Brands of still pictures in the same boxes: HEIF and AVIF."""

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_SAMPLES = {b"moov", b"mdat", b"moof"}
_MOST_BOXES = 200_000
_ROOM = 1 << 30


class Box(NamedTuple):
    """One top-level box: bytes `start` to `end` of the file. `end` may lie behind the file's own end."""

    kind: bytes
    start: int
    body: int
    end: int
    is_endless: bool
    extended: bytes
    """What kind of `uuid` box it is; empty for other boxes."""


def boxes(file: BinaryIO) -> Iterator[Box]:
    """Every top-level box, until the file ends or what follows is no box.

    Raises:
        UnusualLayout: more boxes than any clip has.
    """
    at, size = 0, file.seek(0, os.SEEK_END)
    for _ in range(_MOST_BOXES):
        box = _box(file, at, size)
        if box is None:
            return
        yield box
        at = box.end
    raise UnusualLayout


def _box(file: BinaryIO, at: int, size: int) -> Box | None:
    file.seek(at)
    head = file.read(32)
    if len(head) < 8:
        return None
    length, body = int.from_bytes(head[:4], "big"), 8
    if length == 1:
        length, body = int.from_bytes(head[8:16], "big"), 16
    is_endless = length == 0
    length = size - at if is_endless else length
    if length < body:
        return None
    kind = head[4:8]
    extended = head[body : body + 16] if kind == b"uuid" else b""
    return Box(kind, at, at + body + len(extended), at + length, is_endless, extended)


def is_cut(file: BinaryIO) -> bool:
    """Is a box of samples, or the table of them, missing or shorter than it says?

    Without a table nothing can be played. A fragment that was never begun cannot be missed: its file ends well.
    """
    size, end, kinds = file.seek(0, os.SEEK_END), 0, set()
    for box in boxes(file):
        if box.end > size and box.kind in _SAMPLES:
            return True
        kinds.add(box.kind)
        end = box.end
    return b"moov" not in kinds or (b"moof" in kinds and end != size)


def brand(file: BinaryIO) -> bytes:
    """The major brand; that of QuickTime where none is named."""
    first = next(boxes(file), None)
    if first is None or first.kind != b"ftyp":
        return b"qt  "
    file.seek(first.body)
    return file.read(4)


def with_xmp(data: bytes, xmp: Xmp) -> bytes:
    """The same file with one XMP box behind the others (before an index of fragments, which must stay last).

    An XMP box at that place gives way; one further up becomes free space of the same size.

    Raises:
        CutShort: not such a file, or samples are missing. UnusualLayout: signed, or its last box has no end of its own.
    """
    found = _whole(data)
    kept = [box for box in found if box.kind != b"mfra"]
    old = next((box for box in kept if box.extended == _XMP), None)
    packet = xmp(data[old.body : old.end] if old else b"", _ROOM)
    stays = kept[-1].end if old is not kept[-1] else old.start if old else 0
    freed = [box.start + 4 for box in kept if box.extended == _XMP and box.end <= stays]
    return b"".join([_freed(data[:stays], freed), _uuid(packet), data[kept[-1].end :]])


def _whole(data: bytes) -> list[Box]:
    file = io.BytesIO(data)
    found = list(boxes(file))
    if not found or found[0].kind not in STARTS or is_cut(file):
        raise CutShort
    is_odd = found[-1].is_endless or found[-1].end != len(data) or b"mfra" in {box.kind for box in found[:-1]}
    if is_odd or any(box.extended == _C2PA for box in found):
        raise UnusualLayout
    return found


def _freed(data: bytes, places: list[int]) -> bytes:
    for at in places:
        data = data[:at] + b"free" + data[at + 4 :]
    return data


def _uuid(packet: bytes) -> bytes:
    return (24 + len(packet)).to_bytes(4, "big") + b"uuid" + _XMP + packet


def xmp_of(data: bytes) -> bytes:
    """The XMP packet of an mp4 or mov; empty when it has none.

    Raises:
        UnusualLayout: as `boxes`.
    """
    found = [data[box.body : box.end] for box in boxes(io.BytesIO(data)) if box.extended == _XMP]
    return found[-1] if found else b""
