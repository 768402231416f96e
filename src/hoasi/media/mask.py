"""Workbench (floor 1): masks as a model reads them. People mark what is painted anew in white or by transparency."""

from __future__ import annotations

import io
from typing import Literal

from hoasi.media import face_picture

HALF = 128


def meaning(content: bytes, media_type: str, meant: Literal["white", "transparent"]) -> tuple[bytes, str]:
    """The mask, saying the same to a model for which `meant` is what is painted anew; as it came where it does already.

    Args:
        content: a picture; where any of it is transparent that is what it marks, else its white.
        media_type: of the content.
        meant: how the model reads masks.

    Raises:
        FileBroken: `not_a_picture`, `picture_too_large`.
    """
    from PIL import Image

    with face_picture.opened(content) as found:
        picture = face_picture.straight(found)
    is_transparent = picture.mode == "RGBA"
    if is_transparent == (meant == "transparent"):
        return content, media_type
    if is_transparent:
        made = picture.getchannel("A").point(lambda alpha: 0 if alpha >= HALF else 255)
    else:
        made = Image.new("RGBA", picture.size)
        made.putalpha(picture.convert("L").point(lambda light: 0 if light >= HALF else 255))
    sheet = io.BytesIO()
    made.save(sheet, "PNG")
    return sheet.getvalue(), "image/png"
