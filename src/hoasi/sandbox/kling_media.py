"""Room: sandbox. The pictures, clips and sounds that a body of Kling's refers to, and the sizes of what is made.

A picture is a URL or raw base64: png or jpeg, at most 10 MB, sides of at least 300 pixels, ratio 1:2.5 to 2.5:1. What
a URL leads to is not looked at (other hosts are out of reach, and tiny pictures of the sandbox itself shall be taken);
it must only be downloadable: no loopback address but the sandbox's own, where the file must still be there.
Sizes are uncertain: Kling documents ratios and short sides only.
"""

import base64
import binascii
import math
from collections.abc import Awaitable, Callable
from urllib.parse import unquote, urlsplit

from hoasi.sandbox.easel import SIDES, size_of
from hoasi.sandbox.kling_fields import Medium
from hoasi.sandbox.shelf import PREFIX, Shelf

Size = tuple[int, int]
SHORT_SIDES = {"std": 720, "pro": 1080, "4k": 2160, "720p": 720, "1080p": 1080}
_PICTURE_SIDES = {"1k": 1024, "2k": 2048, "4k": 4096}
_STEP = 16
_LEAST_SIDE = 300
_MOST_RATIO = 2.5
_MOST_PICTURE_BYTES = 10_000_000
_MOST_SOUND_BYTES = 5_000_000
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def wrong_medium(medium: Medium, shelf: Shelf, own: str) -> str | None:
    """Say what is wrong with a picture, clip or sound; None if nothing is. `own` is the sandbox's host and port."""
    value = medium.value
    if "://" in value:
        return None if _is_downloadable(medium, shelf, own) else f"{medium.where} cannot be downloaded"
    check = {"picture": _wrong_picture, "sound": _wrong_sound}.get(medium.kind)
    if check is None:
        return f"{medium.where} must be a URL"
    if value.startswith("data:"):
        return f"{medium.where} must be base64 without the data: prefix"
    wrong = check(medium)
    return f"{medium.where} {wrong}" if wrong else None


def hosted(shelf: Shelf, url: str) -> Callable[[], Awaitable[bytes]] | None:
    """Return what loads a file of ours; None for other hosts and for what is not there."""
    stored = shelf.get(unquote(urlsplit(url).path).removeprefix(PREFIX))
    return stored.load if stored else None


def content_of(value: str) -> bytes | None:
    """Decode raw base64; None if it is none."""
    try:
        return base64.b64decode(value, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def picture_size(ratio: str | None, resolution: str, reference: Size | None) -> Size:
    """Return the sides of a picture: about one megapixel (2k, 4k: more), by ratio or as the reference."""
    across, down = _shape(ratio, reference, (1, 1))
    side, root = _PICTURE_SIDES[resolution] / _STEP, math.sqrt(across / down)
    return _fit(round(side * root) * _STEP), _fit(round(side / root) * _STEP)


def clip_size(ratio: str | None, short_side: int, reference: Size | None) -> Size:
    """Return the sides of a clip, both even: its short side by mode, its shape by ratio or as the reference."""
    across, down = _shape(ratio, reference, (16, 9))
    scale = short_side / min(across, down)
    return _fit(round(across * scale / 2) * 2), _fit(round(down * scale / 2) * 2)


def _shape(ratio: str | None, reference: Size | None, usual: Size) -> Size:
    across, _, down = (ratio or "").partition(":")
    return (int(across), int(down)) if down else reference or usual


def _fit(side: int) -> int:
    return min(max(side, SIDES[0]), SIDES[-1])


def _is_downloadable(medium: Medium, shelf: Shelf, own: str) -> bool:
    try:
        parts = urlsplit(medium.value)
    except ValueError:
        return False
    if parts.netloc == own:
        return hosted(shelf, medium.value) is not None
    schemes = ("https",) if medium.kind == "clip" else ("http", "https")
    return parts.scheme in schemes and parts.hostname not in _LOOPBACK


def _wrong_picture(medium: Medium) -> str | None:
    content = content_of(medium.value)
    if content is None:
        return "is neither a URL nor base64"
    if len(content) > medium.form.get("most_bytes", _MOST_PICTURE_BYTES):
        return "is too large a file"
    size = size_of(content) if content.startswith(_MAGIC) else None
    if size is None:
        return "is no jpg or png"
    if min(size) < _LEAST_SIDE:
        return f"has sides of less than {_LEAST_SIDE} pixels"
    return "has a ratio beyond 1:2.5 and 2.5:1" if max(size) > _MOST_RATIO * min(size) else None


def _wrong_sound(medium: Medium) -> str | None:
    content = content_of(medium.value)
    if content is None:
        return "is neither a URL nor base64"
    return "is too large a file" if len(content) > _MOST_SOUND_BYTES else None
