"""Workbench (floor 1): PNG, JPEG and WEBP as lists of parts, so that metadata can be put in without decoding a pixel.

Formats: PNG third edition (https://www.w3.org/TR/png-3/), JPEG ITU-T T.81 annex B, WebP container
(https://developers.google.com/speed/webp/docs/riff_container); unknown parts are copied.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

Xmp = Callable[[bytes, int], bytes]
"""Takes the packet that is there (empty: none) and the room in bytes; gives the packet to write."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_XMP = b"XML:com.adobe.xmp\0\0"
_PNG_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_JPEG_XMP, _JPEG_EXIF = b"http://ns.adobe.com/xap/1.0/\0", b"Exif\0\0"
_JPEG_LOOSE = {bytes([code]) for code in (0x01, *range(0xD0, 0xDA))}
"""Markers without a length; none belongs before the pixels."""
_APP0, _APP1, _APP2, _APP11, _SOS = b"\xe0", b"\xe1", b"\xe2", b"\xeb", b"\xda"
_JPEG_ROOM, _ROOM = 65_502, 1 << 30
_WEBP_ALPHA, _WEBP_EXIF, _WEBP_XMP = 0x10, 0x08, 0x04


class CutShort(Exception):
    """The file is not of its format, or ends too early."""


class UnusualLayout(Exception):
    """Signed, or of a layout that viewers may forgive and we had better not touch."""


class Part(NamedTuple):
    """A PNG chunk, JPEG segment or RIFF chunk: its kind, what it says, and all its bytes."""

    kind: bytes
    body: bytes
    raw: bytes


def rebuilt(data: bytes, media_type: str, *, xmp: Xmp, exif: bytes, texts: Mapping[str, str]) -> bytes:
    """The same picture with XMP, with Exif (a TIFF block) if it had none, and in PNG with readable texts.

    Formats other than PNG, JPEG and WEBP come back unchanged.

    Raises:
        CutShort: not of that format, or it ends too early.
        UnusualLayout: better left alone.
    """
    match media_type:
        case "image/png":
            return _png(data, xmp, exif, texts)
        case "image/jpeg":
            return _jpeg(data, xmp, exif)
        case "image/webp":
            return _webp(data, xmp, exif)
    return data


def xmp_of(data: bytes) -> bytes:
    """The XMP packet of a PNG, JPEG or WEBP; empty when it has none.

    Raises:
        CutShort, UnusualLayout: as `rebuilt`.
    """
    if data.startswith(_PNG):
        found = [_png_xmp(part) for part in _png_parts(data)[0] if _is_png_xmp(part)]
    elif data.startswith(_JPEG):
        found = [part.body.removeprefix(_JPEG_XMP) for part in _jpeg_parts(data)[0] if _is_app1(part, _JPEG_XMP)]
    else:
        found = [part.body for part in _webp_parts(data)[0] if part.kind == b"XMP "]
    return found[0] if found else b""


# ---------------------------------------------------------------------------------------------------- PNG


def _png(data: bytes, xmp: Xmp, exif: bytes, texts: Mapping[str, str]) -> bytes:
    """New chunks come right behind IHDR, where readers find them before the pixels."""
    parts, tail = _png_parts(data)
    kinds = {part.kind for part in parts}
    if parts[0].kind != b"IHDR" or b"caBX" in kinds:
        raise UnusualLayout
    old = next((part for part in parts if _is_png_xmp(part)), None)
    fresh = [_png_chunk(b"iTXt", _PNG_XMP + bytes(3) + xmp(_png_xmp(old) if old else b"", _ROOM))]
    taken = {part.body.partition(b"\0")[0] for part in parts if part.kind in _PNG_TEXTS}
    for keyword, text in texts.items():
        if keyword.encode() not in taken:  # ComfyUI keeps its graph under "prompt"
            fresh.append(_png_chunk(b"iTXt", keyword.encode() + bytes(5) + text.encode()))
    if b"eXIf" not in kinds:
        fresh.append(_png_chunk(b"eXIf", exif))
    kept = [part.raw for part in parts[1:] if part is not old]
    return b"".join([_PNG, parts[0].raw, *fresh, *kept, tail])


def _png_parts(data: bytes) -> tuple[list[Part], bytes]:
    """Every chunk, and what follows the last one."""
    if not data.startswith(_PNG):
        raise CutShort
    parts: list[Part] = []
    at = len(_PNG)
    while not parts or parts[-1].kind != b"IEND":
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise CutShort
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : end - 4], data[at:end]))
        at = end
    return parts, data[at:]


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def _is_png_xmp(part: Part) -> bool:
    """The second zero says "not compressed"; a compressed packet is no XMP by its specification."""
    return part.kind == b"iTXt" and part.body.startswith(_PNG_XMP) and part.body.count(b"\0", len(_PNG_XMP)) >= 3


def _png_xmp(part: Part) -> bytes:
    """What follows the method byte, the language and the translated keyword."""
    return part.body[len(_PNG_XMP) + 1 :].split(b"\0", 2)[2]


# ---------------------------------------------------------------------------------------------------- JPEG


def _jpeg(data: bytes, xmp: Xmp, exif: bytes) -> bytes:
    """Exif and XMP go behind the leading JFIF and Exif segments, before the multi-picture index with its offsets."""
    parts, pixels = _jpeg_parts(data)
    if any(part.kind == _APP11 and b"c2pa" in part.body for part in parts):
        raise UnusualLayout
    packets = [number for number, part in enumerate(parts) if _is_app1(part, _JPEG_XMP)]
    indexes = [number for number, part in enumerate(parts) if part.kind == _APP2 and part.body.startswith(b"MPF\0")]
    if packets and indexes and packets[0] > indexes[0]:
        raise UnusualLayout
    old = parts.pop(packets[0]) if packets else None
    packet = xmp(old.body.removeprefix(_JPEG_XMP) if old else b"", _JPEG_ROOM)
    fresh = [] if any(_is_app1(part, _JPEG_EXIF) for part in parts) else [_jpeg_segment(_JPEG_EXIF + exif)]
    fresh.append(_jpeg_segment(_JPEG_XMP + packet))
    raws = [part.raw for part in parts]
    place = next(
        (n for n, part in enumerate(parts) if part.kind != _APP0 and not _is_app1(part, _JPEG_EXIF)), len(raws)
    )
    return b"".join([_JPEG, *raws[:place], *fresh, *raws[place:], data[pixels:]])


def _jpeg_parts(data: bytes) -> tuple[list[Part], int]:
    """The segments before the pixels, and where those begin."""
    if not data.startswith(_JPEG):
        raise CutShort
    parts: list[Part] = []
    start = 2
    while True:
        at = start
        while data[at : at + 2] == b"\xff\xff":  # any number of fill bytes may precede a marker
            at += 1
        kind, end = data[at + 1 : at + 2], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == _SOS:
            return parts, start
        if at + 4 > len(data):
            raise CutShort
        if data[at] != 0xFF or kind in _JPEG_LOOSE or end < at + 4:
            raise UnusualLayout
        if end > len(data):
            raise CutShort
        parts.append(Part(kind, data[at + 4 : end], data[start:end]))
        start = end


def _jpeg_segment(body: bytes) -> bytes:
    return b"\xff" + _APP1 + (len(body) + 2).to_bytes(2, "big") + body


def _is_app1(part: Part, header: bytes) -> bool:
    return part.kind == _APP1 and part.body.startswith(header)


# ---------------------------------------------------------------------------------------------------- WEBP


def _webp(data: bytes, xmp: Xmp, exif: bytes) -> bytes:
    """A simple file becomes an extended one: only that form has metadata."""
    parts, tail = _webp_parts(data)
    chunks = {part.kind: part for part in reversed(parts)}  # of twins the first counts
    if b"C2PA" in chunks:
        raise UnusualLayout
    canvas = _webp_canvas(parts[0])
    flags = canvas[0] | _WEBP_EXIF | _WEBP_XMP
    old = chunks.get(b"XMP ")
    packet = xmp(old.body if old else b"", _ROOM)
    kept = [part.raw for part in parts if part is not old and part.kind != b"VP8X"]
    if b"EXIF" not in chunks:
        kept.append(_webp_chunk(b"EXIF", exif))
    body = b"".join([b"WEBP", _webp_chunk(b"VP8X", bytes([flags]) + canvas[1:]), *kept, _webp_chunk(b"XMP ", packet)])
    return b"RIFF" + len(body).to_bytes(4, "little") + body + tail


def _webp_parts(data: bytes) -> tuple[list[Part], bytes]:
    """Every chunk, and what follows the RIFF."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or end > len(data):
        raise CutShort
    parts: list[Part] = []
    at = 12
    while at + 8 <= end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > end:
            raise CutShort
        body = data[at + 8 : at + 8 + size]
        parts.append(Part(kind, body, _webp_chunk(kind, body)))
        at += 8 + size + size % 2
    if not parts:
        raise CutShort
    return parts, data[end:]


def _webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def _webp_canvas(first: Part) -> bytes:
    """Body of VP8X: flags, three reserved bytes, width - 1 and height - 1 in three bytes each."""
    body = first.body
    if first.kind == b"VP8X" and len(body) == 10:
        return body
    if first.kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return _canvas(0, width - 1, height - 1)
    if first.kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return _canvas(_WEBP_ALPHA if bits >> 28 & 1 else 0, bits & 0x3FFF, bits >> 14 & 0x3FFF)
    raise UnusualLayout


def _canvas(flags: int, right: int, bottom: int) -> bytes:
    return bytes([flags, 0, 0, 0]) + right.to_bytes(3, "little") + bottom.to_bytes(3, "little")
