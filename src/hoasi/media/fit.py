"""Workbench (floor 1): a picture made fit for a provider: cut, upright, small and light enough, of a type it takes.

Nothing is done that need not be done: a picture that fits goes out as it came, byte for byte. What is written anew
carries none of the old file's metadata (EXIF, GPS), and the same picture and need give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hoasi.errors import FileBroken
from hoasi.given import CLEAR_FACE
from hoasi.media import face_picture
from hoasi.record import Record

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

QUALITIES = (95, 90, 85, 80, 72, 64)
SHRINK = 0.8

Size = tuple[int, int]
Edges = tuple[int, int, int, int]


class Need(Record):
    """What a provider takes. None and () mean "anything"; sides in pixels, `max_ratio` = longer side over shorter."""

    min_side: int | None = None
    max_side: int | None = None
    max_bytes: int | None = None
    max_ratio: float | None = None
    media_types: tuple[str, ...] = ()


def check(width: int, height: int, size_bytes: int, need: Need) -> None:
    """Refuse what `fit` would refuse, without decoding; too many pixels or bytes are no reason, they can be mended.

    Args:
        width: as a viewer shows the picture (EXIF applied).
        height: likewise.
        size_bytes: of the file; an empty one is no picture.
        need: of the provider.

    Raises:
        FileBroken: `picture_too_small`, `picture_ratio`, `not_a_picture`.
    """
    if size_bytes <= 0:
        raise FileBroken("not_a_picture", name="-")
    _target((width, height), need, may_grow=False)


def fit(content: bytes, need: Need, crop: Edges | None = None, *, face_side: int = 0) -> tuple[bytes, str]:
    """The picture as the provider takes it, and its media type: PNG where it was PNG or is transparent, else JPEG.

    Args:
        content: PNG, JPEG, WEBP, GIF (its first frame), BMP or TIFF.
        need: of the provider.
        crop: left, top, right, bottom in the upright picture; what lies outside of it is left out.
        face_side: shorter side, in pixels, of the face that `crop` is about; from 120 on a small cutting is enlarged.

    Raises:
        FileBroken: `not_a_picture`, `picture_too_large`, `picture_too_small`, `picture_ratio`, `picture_too_heavy`.
        ValueError: the need allows neither PNG nor JPEG, or the crop lies outside of the picture.
    """
    with face_picture.opened(content) as found:
        upright, media_type = face_picture.straight(found), _media_type(found)
        is_turned = face_picture.is_turned(found)
    image = upright.crop(_inside(crop, upright.size)) if crop else upright
    size = _target(image.size, need, may_grow=crop is not None and face_side >= CLEAR_FACE)
    is_same = size == upright.size and not is_turned and image.size == upright.size
    if is_same and _is_allowed(media_type, need) and len(content) <= (need.max_bytes or math.inf):
        return content, media_type
    return _written(image, size, need, was_png=media_type == "image/png")


def _media_type(found: ImageFile) -> str:
    return "image/jpeg" if found.format == "MPO" else f"image/{str(found.format).lower()}"


def _is_allowed(media_type: str, need: Need) -> bool:
    return not need.media_types or media_type in need.media_types


def _inside(crop: Edges, size: Size) -> Edges:
    left, top = max(0, crop[0]), max(0, crop[1])
    right, bottom = min(size[0], crop[2]), min(size[1], crop[3])
    if left >= right or top >= bottom:
        raise ValueError(f"crop {crop} lies outside of a picture of {size}")
    return left, top, right, bottom


def _target(size: Size, need: Need, *, may_grow: bool) -> Size:
    """The size to send; refuses what no scaling can mend."""
    width, height = size
    longer, shorter = max(size), max(1, min(size))
    if need.max_ratio and longer > shorter * need.max_ratio:
        raise _ratio(size, need.max_ratio)
    scale = 1.0
    if need.min_side and shorter < need.min_side:
        if not may_grow:
            raise FileBroken("picture_too_small", width=width, height=height, limit_px=need.min_side)
        scale = need.min_side / shorter
    if need.max_side and longer * scale > need.max_side:
        scale = need.max_side / longer
        if need.min_side and round(shorter * scale) < need.min_side:
            raise _ratio(size, need.max_side / need.min_side)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _ratio(size: Size, limit: float) -> FileBroken:
    return FileBroken("picture_ratio", width=size[0], height=size[1], limit=f"{limit:g}")


def _written(image: Image, size: Size, need: Need, *, was_png: bool) -> tuple[bytes, str]:
    """The first way of writing it that is light enough: the best one at full size, then coarser, then smaller."""
    limit = need.max_bytes or math.inf
    for smaller in _sizes(size, need):
        scaled = image if smaller == image.size else _resized(image, smaller)
        for written, media_type in _ways(scaled, need, was_png=was_png):
            if len(written) <= limit:
                return written, media_type
    raise FileBroken("picture_too_heavy", limit_mb=f"{limit / 1_000_000:g}")


def _sizes(size: Size, need: Need) -> Iterator[Size]:
    least = need.min_side or 64
    yield size
    while min(size) * SHRINK >= least:
        size = round(size[0] * SHRINK), round(size[1] * SHRINK)
        yield size


def _resized(image: Image, size: Size) -> Image:
    from PIL.Image import Resampling

    return image.resize(size, Resampling.LANCZOS)


def _ways(image: Image, need: Need, *, was_png: bool) -> Iterator[tuple[bytes, str]]:
    png, jpeg = _is_allowed("image/png", need), _is_allowed("image/jpeg", need)
    if not (png or jpeg):
        raise ValueError(f"neither PNG nor JPEG is allowed: {need.media_types}")
    if png and (was_png or image.mode == "RGBA" or not jpeg):
        yield _encoded(image, "PNG", compress_level=6), "image/png"
    for quality in QUALITIES if jpeg else ():
        yield _encoded(_on_white(image), "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2), "image/jpeg"


def _on_white(image: Image) -> Image:
    """A JPEG has no transparency; white is what a viewer shows behind it."""
    if image.mode != "RGBA":
        return image
    from PIL import Image as Images

    return Images.alpha_composite(Images.new("RGBA", image.size, "white"), image).convert("RGB")


def _encoded(image: Image, form: str, **options: int) -> bytes:
    sheet = io.BytesIO()
    image.save(sheet, form, **options)
    return sheet.getvalue()
