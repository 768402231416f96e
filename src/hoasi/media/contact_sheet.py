"""Workbench (floor 1): a contact sheet: pictures of any shape in one grid, a caption under each.

What is not there is an empty frame that says why. For a person's eyes and a model's; never put where a watcher looks.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

from PIL import Image, ImageDraw

from hoasi.media.storyboard_colour import Colour
from hoasi.media.storyboard_type import (
    EXTRABOLD,
    REGULAR,
    SEMIBOLD,
    clean,
    fit,
    font,
    length,
    line_height,
    rise,
    shorten,
)

Tone = Literal["plain", "busy", "bad"]

PAPER, WELL, EDGE = (22, 22, 25), (33, 33, 37), (74, 74, 80)
INK, FAINT = (242, 240, 235), (164, 162, 158)
HEADS: dict[Tone, Colour] = {"plain": (196, 194, 190), "busy": (236, 190, 104), "bad": (244, 132, 116)}
QUALITY = 88
NARROWEST, WIDEST = 9 / 16, 16 / 9
"""The shape of all cells follows the pictures, within these."""
LARGEST = 0.45
"""A few pictures are not blown up: a side of a cell is at most this share of the sheet's longest side."""


@dataclass(frozen=True)
class Shot:
    """One frame of the sheet. Without a `picture` its `head` and `reason` stand in the empty frame."""

    caption: str
    picture: Image.Image | None = None
    note: str = ""
    """Short, at the caption's right."""
    is_clip: bool = False
    head: str = ""
    reason: str = ""
    tone: Tone = "plain"


class Grid(NamedTuple):
    """Where everything goes, in pixels."""

    columns: int
    rows: int
    width: int
    height: int
    gap: int
    edge: int
    letters: int
    """Size of the captions."""
    top: int
    """Where the first row begins."""

    @property
    def step(self) -> tuple[int, int]:
        """From one cell to the next, across and down."""
        return self.width + self.gap, self.height + line_height(SEMIBOLD, self.letters) + self.letters + self.gap // 2

    @property
    def size(self) -> tuple[int, int]:
        """Of the whole sheet."""
        across, down = self.step
        return 2 * self.edge + self.columns * across - self.gap, self.top + self.rows * down - self.gap // 2 + self.edge

    @property
    def largest(self) -> int:
        """No picture is shown longer than this."""
        return max(self.width, self.height)


def grid_of(count: int, ratios: Sequence[float], max_px: int) -> Grid:
    """The grid in which so many cells are largest; no side of the sheet is longer than `max_px`.

    Args:
        count: cells, at least one.
        ratios: width / height of the pictures that are there.
        max_px: longest side of the sheet.
    """
    ratio = min(max(median(ratios), NARROWEST), WIDEST) if ratios else 1.0
    return max((_fitted(columns, count, ratio, max_px) for columns in range(1, count + 1)), key=lambda grid: grid.width)


def _fitted(columns: int, count: int, ratio: float, max_px: int) -> Grid:
    """The largest cells in so many columns, found by halving; a grid that never fits has cells of one pixel."""
    low, high = 1, max(1, int(max_px * LARGEST * min(1.0, ratio)))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if max(_grid(columns, count, ratio, middle, max_px).size) <= max_px else (low, middle - 1)
        )
    return _grid(columns, count, ratio, low, max_px)


def _grid(columns: int, count: int, ratio: float, width: int, max_px: int) -> Grid:
    height = max(1, round(width / ratio))
    letters = min(max(11, round(width * 0.1)), max(11, round(max_px * 0.014)))
    edge = max(8, round(max_px * 0.018))
    title = max(12, round(max_px * 0.017))
    top = edge + line_height(EXTRABOLD, title) + line_height(REGULAR, _second(title)) + edge
    return Grid(columns, math.ceil(count / columns), width, height, max(8, letters), edge, letters, top)


def _second(title: int) -> int:
    """Size of the second line under a title."""
    return max(10, round(title * 0.72))


def draw(title: str, told: str, shots: Sequence[Shot], grid: Grid, max_px: int) -> bytes:
    """The sheet as a JPEG: a title, what is told under it, and every shot in reading order."""
    size = max(12, round(max_px * 0.017))
    paper = Image.new("RGB", _roomy(title, told, grid, size, max_px), PAPER)
    pen = ImageDraw.Draw(paper)
    room = paper.width - 2 * grid.edge
    _line(pen, (grid.edge, grid.edge), shorten(clean(title), EXTRABOLD, size, room), EXTRABOLD, size, INK)
    below = grid.edge + line_height(EXTRABOLD, size)
    second = _second(size)
    _line(pen, (grid.edge, below), shorten(clean(told), REGULAR, second, room), REGULAR, second, FAINT)
    for number, shot in enumerate(shots):
        row, column = divmod(number, grid.columns)
        at = grid.edge + column * grid.step[0], grid.top + row * grid.step[1]
        _frame(paper, pen, shot, at, grid)
        _caption(pen, shot, (at[0], at[1] + grid.height), grid)
    file = io.BytesIO()
    paper.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def _roomy(title: str, told: str, grid: Grid, size: int, max_px: int) -> tuple[int, int]:
    """The grid's size, wider where the words over it need it."""
    words = max(length(clean(title), EXTRABOLD, size), length(clean(told), REGULAR, _second(size)))
    return min(max(grid.size[0], math.ceil(words) + 2 * grid.edge), max_px), grid.size[1]


def _line(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, face: str, size: int, colour: Colour) -> None:
    pen.text((at[0], at[1] + rise(face, size)), text, font=font(face, size), fill=colour, anchor="ls")


# ---------------------------------------------------------------------- one frame


def _frame(paper: Image.Image, pen: ImageDraw.ImageDraw, shot: Shot, at: tuple[int, int], grid: Grid) -> None:
    left, top = at
    box = left, top, left + grid.width - 1, top + grid.height - 1
    pen.rectangle(box, fill=WELL)
    if shot.picture is None:
        _dashes(pen, box, HEADS["bad"] if shot.tone == "bad" else EDGE)
        _why(pen, shot, at, grid)
        return
    shown = _contained(shot.picture, grid)
    place = left + (grid.width - shown.width) // 2, top + (grid.height - shown.height) // 2
    paper.paste(shown, place)
    if shot.is_clip:
        _mark_clip(paper, (place[0], place[1] + shown.height), grid)


def _contained(picture: Image.Image, grid: Grid) -> Image.Image:
    """The whole picture, as large as a cell allows."""
    scale = min(grid.width / picture.width, grid.height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _mark_clip(paper: Image.Image, foot: tuple[int, int], grid: Grid) -> None:
    """A clip says that it is one: a small triangle in its lower left corner."""
    side = max(8, round(min(grid.width, grid.height) * 0.11))
    pad = side // 2
    plate = Image.new("RGBA", (side + 2 * pad, side + 2 * pad), (12, 12, 14, 190))
    third = ImageDraw.Draw(plate)
    third.polygon([(pad, pad), (pad, pad + side), (pad + round(side * 0.9), pad + side // 2)], fill=INK)
    paper.paste(plate, (foot[0], foot[1] - plate.height), plate)


def _dashes(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour) -> None:
    """A dashed outline, the dashes evenly spread over each side."""
    left, top, right, bottom = box
    for is_across, span in ((True, right - left), (False, bottom - top)):
        count = max(3, round(span / 14))
        step = span / count
        for number in range(count):
            begin, end = round(number * step + step * 0.2), round(number * step + step * 0.8)
            for side in (top, bottom) if is_across else (left, right):
                ends = (
                    [(left + begin, side), (left + end, side)]
                    if is_across
                    else [(side, top + begin), (side, top + end)]
                )
                pen.line(ends, fill=colour, width=1)


def _why(pen: ImageDraw.ImageDraw, shot: Shot, at: tuple[int, int], grid: Grid) -> None:
    """Head and reason in the middle of an empty frame, the reason as small as need be and cut off at the last."""
    pad = max(4, grid.letters // 2)
    room = grid.width - 2 * pad
    head = fit(clean(shot.head), SEMIBOLD, (room, grid.height * 0.4), (grid.letters, max(9, grid.letters - 2)))
    high = len(head.lines) * line_height(SEMIBOLD, head.size)
    smaller = range(max(9, grid.letters - 1), 8, -1)
    reason = fit(clean(shot.reason), REGULAR, (room, grid.height - high - 2 * pad), tuple(smaller))
    tall = high + len(reason.lines) * line_height(REGULAR, reason.size)
    y = at[1] + (grid.height - tall) / 2
    blocks = ((head, SEMIBOLD, HEADS[shot.tone]), (reason, REGULAR, FAINT))
    for block, face, colour in blocks:
        for line in block.lines:
            x = at[0] + (grid.width - length(line, face, block.size)) / 2
            _line(pen, (x, y), line, face, block.size, colour)
            y += line_height(face, block.size)


def _caption(pen: ImageDraw.ImageDraw, shot: Shot, at: tuple[int, int], grid: Grid) -> None:
    """The caption at the left, the note at the right; the caption gives way."""
    y = at[1] + grid.letters * 0.25
    small = max(9, grid.letters - 2)
    note = shorten(clean(shot.note), REGULAR, small, grid.width * 0.55)
    taken = length(note, REGULAR, small)
    room = grid.width - taken - (grid.letters if note else 0)
    _line(pen, (at[0], y), shorten(clean(shot.caption), SEMIBOLD, grid.letters, room), SEMIBOLD, grid.letters, INK)
    if note:
        foot = y + rise(SEMIBOLD, grid.letters) - rise(REGULAR, small)
        _line(pen, (at[0] + grid.width - taken, foot), note, REGULAR, small, FAINT)
