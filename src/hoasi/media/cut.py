"""Workbench (floor 1): a result of another size than asked is cut at its centre to the asked shape and scaled.

Only where a model cannot be told the size (Stability knows ratios, SDXL nine sizes). The format stays.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hoasi.errors import ResultBroken

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 95
_FORMS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def to_size(content: bytes, media_type: str, size: tuple[int, int]) -> bytes:
    """The picture with exactly this width and height in pixels, nothing stretched.

    Raises:
        ResultBroken: `not_a_picture`: a format that is not written here.
    """
    from PIL import Image

    form = _FORMS.get(media_type)
    if form is None:
        raise ResultBroken("not_a_picture", name=media_type)
    with Image.open(io.BytesIO(content)) as found, io.BytesIO() as file:
        found.load()
        resized = found.resize(size, Image.Resampling.LANCZOS, box=_centre(found, size))
        resized.save(file, form, quality=QUALITY, icc_profile=found.info.get("icc_profile"))
        return file.getvalue()


def _centre(picture: Image, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest part of a picture, at its centre, that has the shape of a size."""
    scale = min(picture.width / size[0], picture.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return left, top, left + width, top + height
