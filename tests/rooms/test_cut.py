"""Workbench: a result is cut at its centre and scaled to exactly the asked size, and nothing is stretched."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageDraw

from hoasi.errors import ResultBroken
from hoasi.media.cut import to_size

KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def circle(width: int, height: int, form: str = "PNG") -> bytes:
    """A white circle of half the height at the centre of a black picture."""
    picture = Image.new("RGB", (width, height))
    x, y, r = width / 2, height / 2, height / 4
    ImageDraw.Draw(picture).ellipse((x - r, y - r, x + r, y + r), fill="white")
    with io.BytesIO() as file:
        picture.save(file, form)
        return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1920, 1080), (640, 640), (90, 160), (1344, 768)])
def test_the_size_is_exact_and_a_circle_stays_one(kind: str, size: tuple[int, int]) -> None:
    """Width and height as asked, the format as it came, a circle as wide as it is high and at the centre."""
    with Image.open(io.BytesIO(to_size(circle(1344, 768, KINDS[kind]), kind, size))) as made:
        assert (made.size, made.format) == (size, KINDS[kind])
        left, top, right, bottom = made.convert("L").point(lambda v: 255 if v > 127 else 0).getbbox() or (0, 0, 0, 0)
    assert abs((right - left) - (bottom - top)) <= 2
    assert abs(left + right - size[0]) <= 2
    assert abs(top + bottom - size[1]) <= 2


def test_nothing_is_cut_that_need_not_be() -> None:
    """1344x768 to 1920x1080 loses a few lines at the top and bottom, and no column."""
    picture = Image.new("RGB", (1344, 768), "white")
    picture.paste("red", (0, 0, 8, 768))
    picture.paste("red", (1336, 0, 1344, 768))
    with io.BytesIO() as file:
        picture.save(file, "PNG")
        content = file.getvalue()
    with Image.open(io.BytesIO(to_size(content, "image/png", (1920, 1080)))) as made:
        assert [made.getpixel((x, 540)) for x in (2, 1917)] == [(255, 0, 0)] * 2


def test_a_format_that_is_not_written_here_is_no_picture() -> None:
    """What cannot be written again is told, not passed on in the wrong size."""
    with pytest.raises(ResultBroken):
        to_size(circle(64, 64), "image/gif", (32, 32))
