"""Workbench (floor 1): looking at a picture: is it whole, how large, which way up, is there anything on it.

Pillow is loaded when first needed. Pictures come from strangers: only six formats are opened, the size is judged before
a pixel is decoded, and whatever a decoder stumbles over means "not a picture".
"""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from hoasi.errors import HoasiError, ResultBroken
from hoasi.record import Record

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 200_000_000
FLAT = 3
"""A picture whose parts differ by no more than this (of 255) in every channel is blank."""
SQUARE = 0.05
"""Sides that differ by no more than this share count as equal."""

_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tiff",
}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_FILMS = {"PNG", "WEBP", "GIF"}
_RATIO = re.compile(r"\s*(\d+(?:\.\d+)?)\s*[:x/]\s*(\d+(?:\.\d+)?)\s*")
_TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
"""What undoes the EXIF orientations 2 to 8."""

# Python 3.11 keeps its warning filters for the whole process, and a decoded picture may take 800 MB.
ONE_AT_A_TIME = threading.Lock()


class Look(Record):
    """What is known of a picture after decoding all of it. Sizes in pixels, as a viewer shows them."""

    format: str
    media_type: str
    width: int
    height: int
    is_blank: bool
    animated: bool


def inspect(path: Path, *, max_pixels: int = MAX_PIXELS) -> Look:
    """Decode a whole picture (PNG, JPEG, WEBP, GIF, BMP, TIFF) once; what it is comes from its content.

    Args:
        path: the file; its name does not matter.
        max_pixels: larger ones are not decoded. Pillow's own limit (179 million unless the program that uses us
            changed it) holds as well. The frames of an animation are decoded until they come to as many.

    Raises:
        ResultBroken: `not_a_picture` (another format, broken, or cut short), `picture_too_large`.
        OSError: the file cannot be opened.
    """
    with _opened(path, max_pixels) as picture:
        picture.load()
        is_blank, width, height = _is_blank(picture), picture.width, picture.height
        if orientation(picture) > 4:
            width, height = height, width
        name = "JPEG" if picture.format == "MPO" else str(picture.format)
        is_film = name in _FILMS and bool(getattr(picture, "is_animated", False))
        if is_film:
            _play(picture, max_pixels)
        return Look(
            format=name,
            media_type=f"image/{name.lower()}",
            width=width,
            height=height,
            is_blank=is_blank,
            animated=is_film,
        )


def extension(media_type: str) -> str:
    """File name extension, without dot, of a media type that `inspect` gave.

    Raises:
        KeyError: not one of ours.
    """
    return _EXTENSIONS[media_type]


def small(path: Path, max_px: int = 768, *, is_opaque: bool = False) -> tuple[bytes, str]:
    """A preview for a model's eyes and its media type: JPEG, or PNG where something is transparent.

    With `is_opaque` white shines through instead, and it is always a JPEG.

    No side is longer than `max_px` pixels; turned upright; nothing of the original's metadata is in it.

    Raises:
        ResultBroken: as `inspect`.
        OSError: the file cannot be opened.
    """
    with _opened(path, MAX_PIXELS) as picture:
        picture.draft(None, (2 * max_px, 2 * max_px))
        picture.load()
        plain = flattened(picture)
        plain.thumbnail((max_px, max_px))
        plain = turned(plain, orientation(picture))
        plain = on_white(plain) if is_opaque else plain
        is_opaque = plain.mode != "RGBA" or plain.getchannel("A").getextrema() == (255, 255)
        plain = plain.convert("RGB") if is_opaque else plain
        plain.info.clear()
        sheet = io.BytesIO()
        if is_opaque:
            plain.save(sheet, "JPEG", quality=85)
            return sheet.getvalue(), "image/jpeg"
        plain.save(sheet, "PNG")
        return sheet.getvalue(), "image/png"


def orientation_matches(width: int, height: int, asked_ratio: str | None) -> bool:
    """Whether a picture is portrait, landscape or square as asked (`9:16`); True where nothing readable was asked."""
    asked = _RATIO.fullmatch(asked_ratio or "")
    if asked is None:
        return True
    return _shape(width, height) == _shape(float(asked[1]), float(asked[2]))


def _shape(width: float, height: float) -> str:
    if abs(width - height) <= SQUARE * min(width, height):
        return "square"
    return "landscape" if width > height else "portrait"


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[ImageFile]:
    """The picture, not decoded yet; whatever goes wrong with it while it is open becomes `ResultBroken`."""
    from PIL import Image

    with path.open("rb") as file, ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):
        try:
            if is_cut_png(file):
                raise ResultBroken("not_a_picture", name=path.name)
            with Image.open(file, formats=FORMATS) as picture:
                if picture.width * picture.height > max_pixels:
                    raise _too_large(path, max_pixels)
                yield picture
        except HoasiError:
            raise
        except Image.DecompressionBombError as error:
            raise _too_large(path, max_pixels) from error
        except Exception as error:
            raise ResultBroken("not_a_picture", name=path.name) from error


def _too_large(path: Path, max_pixels: int) -> ResultBroken:
    return ResultBroken("picture_too_large", name=path.name, limit_mpx=max_pixels // 1_000_000)


def is_cut_png(file: BinaryIO) -> bool:
    """Pillow shows a PNG whose last bytes are missing; we say that it was cut."""
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return False
    while len(head := file.read(8)) == 8:
        if head[4:] == b"IEND":
            return len(file.read(4)) < 4
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return True


def _play(picture: ImageFile, max_pixels: int) -> None:
    """Decode the later frames too: a film may be cut after its first."""
    frames = getattr(picture, "n_frames", 1)
    for number in range(1, min(frames, max_pixels // (picture.width * picture.height) + 1)):
        picture.seek(number)
        picture.load()


def orientation(picture: Image) -> int:
    """EXIF orientation 1..8; ask after decoding. Unreadable EXIF does not make a picture unreadable."""
    try:
        value = picture.getexif().get(0x0112, 1)
    except (SyntaxError, struct.error, ValueError, LookupError, TypeError, OSError):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turned(picture: Image, way: int) -> Image:
    """The picture as an EXIF orientation (1 to 8) wants it shown."""
    from PIL.Image import Transpose

    return picture if way == 1 else picture.transpose(Transpose[_TURNS[way - 2]])


def flattened(picture: Image) -> Image:
    """The decoded picture as L, RGB, RGBA or CMYK, 8 bits a channel."""
    if picture.mode.startswith(("I", "F")):  # converted directly, nearly every 16-bit grey would become white
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if picture.mode in {"L", "RGB", "RGBA", "CMYK"} and "transparency" not in picture.info:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def on_white(picture: Image) -> Image:
    """The same picture with white behind whatever is transparent."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    return paper


def _is_blank(picture: Image) -> bool:
    """Compares averages over a grid of about 64 x 64: noise and dust vanish, two white pixels in black do not."""
    plain = flattened(picture)
    grid = plain.reduce((max(1, plain.width // 64), max(1, plain.height // 64)))
    grid = grid.convert("RGBa") if grid.mode == "RGBA" else grid
    extremes = (cast("tuple[int, int]", band.getextrema()) for band in grid.split())
    return all(high - low <= FLAT for low, high in extremes)
