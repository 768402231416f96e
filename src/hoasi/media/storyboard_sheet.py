"""Workbench (floor 1): the paper a scene is mounted on: where picture and words go, texture, film gate, stamp."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from hoasi.media.storyboard_colour import Colour, Tones, mix
from hoasi.media.storyboard_ink import Pen
from hoasi.media.storyboard_type import EXTRABOLD, font, length, shorten

_RED: Colour = (176, 32, 38)
_CREAM: Colour = (255, 250, 240)
_STRAIGHT_BELOW = 160


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column after the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below the box."""
        return self.top + self.height


def layout(width: int, height: int) -> tuple[Box, Box]:
    """Return the boxes of picture and words: words at the right of a wide sheet, below on any other."""
    edge = max(2, round(min(width, height) * 0.026))
    if width >= height * 1.5:
        column = round(width * (0.235 if width < height * 2 else 0.215))
        picture = Box(edge, edge, width - column - 3 * edge, height - 2 * edge)
        return picture, Box(picture.right + edge, edge, column, height - 2 * edge)
    strip = round(height * (0.25 if height > width * 1.5 else 0.27))
    picture = Box(edge, edge, width - 2 * edge, height - strip - 3 * edge)
    return picture, Box(edge * 2, picture.bottom + edge, width - 4 * edge, strip)


def working_size(box: Box) -> tuple[int, int]:
    """Return the size to paint a box at: twice as fine, within 0.4 to 6 megapixels, so lines stay smooth."""
    area = box.width * box.height
    scale = min(max(2.0, (400_000 / area) ** 0.5), (6_000_000 / area) ** 0.5, 8.0)
    return max(8, round(box.width * scale)), max(8, round(box.height * scale))


def gate(scene: Image.Image, tones: Tones, paper: Colour, rng: Random) -> Image.Image:
    """Return the scene behind a film gate: round corners, a dark perforated edge, ink lines that overshoot."""
    pen = Pen(scene.size, tones | {"sky": paper}, rng)
    band, edge = pen.unit * 0.042, pen.unit * 0.010
    along_sides = pen.h > pen.w
    _film(pen, edge)
    across, down = (band, edge * 1.6) if along_sides else (edge * 1.6, band)
    hole = Image.new("L", scene.size, 0)
    window = (across + edge, down + edge, pen.w - across - edge, pen.h - down - edge)
    ImageDraw.Draw(hole).rounded_rectangle(window, radius=pen.unit * 0.028, fill=255)
    pen.image.paste(scene, mask=hole)
    _perforate(pen, band, edge, along_sides=along_sides)
    return pen.image


def _film(pen: Pen, edge: float) -> None:
    corners = [(edge, edge), (pen.w - edge, edge), (pen.w - edge, pen.h - edge), (edge, pen.h - edge)]
    pen.fill(pen.shaky(corners, edge * 0.12), pen.tones["ink"])
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        over = (edge * 0.9 * ((bx > ax) - (bx < ax)), edge * 0.9 * ((by > ay) - (by < ay)))
        pen.line([(ax - over[0], ay - over[1]), (bx + over[0], by + over[1])], pen.nib * 1.3)


def _perforate(pen: Pen, band: float, edge: float, *, along_sides: bool) -> None:
    long, short = (pen.h, pen.w) if along_sides else (pen.w, pen.h)
    count = max(4, round(long / (band * 1.75)))
    step, half = (long - 2 * edge) / count, band * 0.24
    for i in range(count):
        for near in (edge + band * 0.5, short - edge - band * 0.5):
            far = edge + step * (i + 0.5)
            x, y = (near, far) if along_sides else (far, near)
            tall, wide = (half * 1.45, half) if along_sides else (half, half * 1.45)
            pen.draw.rounded_rectangle(
                (x - wide, y - tall, x + wide, y + tall), radius=half * 0.5, fill=pen.tones["sky"]
            )


def grain(sheet: Image.Image, rng: Random) -> None:
    """Give the whole sheet the tooth of paper: fine dark and light specks, a few fibres."""
    for colour, strength, below in (((60, 50, 40), 26, 20), ((255, 255, 255), 34, 14)):
        tile = Image.frombytes("L", (256, 256), rng.randbytes(65536)).point(
            [strength if i < below else 0 for i in range(256)]
        )
        for top in range(0, sheet.height, 256):
            for left in range(0, sheet.width, 256):
                sheet.paste(colour, (left, top, left + 256, top + 256), tile)
    draw = ImageDraw.Draw(sheet, "RGBA")
    size = max(3.0, min(sheet.size) * 0.014)
    for _ in range(min(70, sheet.width * sheet.height // 4000)):
        x, y = rng.uniform(0, sheet.width), rng.uniform(0, sheet.height)
        bend = [(x + size * i * rng.uniform(0.5, 1), y + rng.uniform(-0.4, 0.4) * size) for i in range(4)]
        draw.line(bend, fill=(90, 75, 60, 30), width=max(1, round(size / 14)), joint="curve")


def stamp(sheet: Image.Image, box: Box, mark: str, third: float, rng: Random) -> None:
    """Press the mark on the picture, red on cream, a little askew, at the top of an upright third."""
    if not mark:
        return
    label = _label(mark, box)
    if box.width >= _STRAIGHT_BELOW:
        label = label.rotate(rng.uniform(-7, -3), Image.Resampling.BICUBIC, expand=True)
    inset = round(min(box.width * 0.145, (box.width - label.width) / 2))
    left = min(box.width - inset - label.width, max(inset, round(box.width * third - label.width / 2)))
    sheet.paste(label, (box.left + left, box.top + max(2, round(box.height * 0.055))), label)


def _label(mark: str, box: Box) -> Image.Image:
    size = max(9, round((box.width * box.height) ** 0.5 * 0.046))
    smallest = max(7, round(size * 0.55))
    while size > smallest and length(mark, EXTRABOLD, size) > box.width * 0.6:
        size -= 1
    text, letters = shorten(mark, EXTRABOLD, size, box.width * 0.72), font(EXTRABOLD, size)
    left, top, right, foot = letters.getbbox(text, anchor="ls")
    pad, line = max(3, round(size * 0.42)), max(1, round(size * 0.085))
    wide, tall = math.ceil(right - left) + 2 * pad, math.ceil(foot - top) + 2 * pad
    label = Image.new("RGBA", (wide, tall), (*_RED, 0))
    draw, edge = ImageDraw.Draw(label), (0, 0, wide - 1, tall - 1)
    draw.rounded_rectangle(edge, radius=pad * 0.8, fill=(*_CREAM, 226), outline=(*_RED, 255), width=line * 2)
    draw.text((pad - left, pad - top), text, font=letters, fill=(*_RED, 255), anchor="ls")
    return label


def paper_of(tones: Tones) -> Colour:
    """Return the sheet's colour: warm white with a breath of the mood."""
    return mix((252, 248, 239), tones["far"], 0.10)
