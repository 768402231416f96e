"""Workbench (floor 1): a picture from bytes or a file, whole and upright, for the parts that look at faces.

What Pillow may open, and under which lock, is decided in `image`; here a broken picture is the caller's file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hoasi.errors import FileBroken, HoasiError
from hoasi.media.image import FORMATS, ONE_AT_A_TIME, flattened, is_cut_png, orientation, turned

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_MPX = 100


def upright(picture: bytes | Path) -> Image:
    """The decoded picture (the first frame of a film) as a viewer shows it: RGB, or RGBA where it is transparent.

    Raises:
        FileBroken: `not_a_picture`, `picture_too_large` (over 100 million pixels).
        OSError: the file cannot be opened.
    """
    with opened(picture) as found:
        return straight(found)


@contextmanager
def opened(picture: bytes | Path) -> Iterator[ImageFile]:
    """The picture, not decoded yet; whatever goes wrong with it while it is open becomes `FileBroken`."""
    from PIL import Image

    name = picture.name if isinstance(picture, Path) else "-"
    content = picture.read_bytes() if isinstance(picture, Path) else picture
    with ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):
        try:
            if is_cut_png(io.BytesIO(content)):
                raise FileBroken("not_a_picture", name=name)
            with Image.open(io.BytesIO(content), formats=FORMATS) as found:
                if found.width * found.height > MAX_MPX * 1_000_000:
                    raise FileBroken("picture_too_large", name=name, limit_mpx=MAX_MPX)
                yield found
        except HoasiError:
            raise
        except Image.DecompressionBombError as error:
            raise FileBroken("picture_too_large", name=name, limit_mpx=MAX_MPX) from error
        except Exception as error:
            raise FileBroken("not_a_picture", name=name) from error


def straight(found: ImageFile) -> Image:
    """An opened picture decoded, turned as its EXIF says, as RGB or RGBA, and with none of its metadata."""
    found.load()
    plain = flattened(found)
    see_through = plain.mode == "RGBA" and plain.getchannel("A").getextrema() != (255, 255)
    shown = turned(plain.convert("RGBA" if see_through else "RGB"), orientation(found))
    shown.info.clear()
    return shown


def is_turned(found: ImageFile) -> bool:
    """Whether EXIF asks viewers to turn or mirror the picture; ask after decoding."""
    return orientation(found) != 1
