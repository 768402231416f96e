"""Workbench (floor 1): frames of a clip side by side on one sheet, each with its time, for a model's eyes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from hoasi.media.storyboard_type import SEMIBOLD, font

_GAP = 4
_PAPER, _LABEL, _INK = (24, 24, 26), (24, 24, 26, 190), (255, 255, 255)


class _Grid(NamedTuple):
    columns: int
    rows: int
    width: int
    height: int


def sheet(shots: Sequence[tuple[float, Image.Image]], max_px: int) -> bytes:
    """The pictures with their times (seconds) in reading order: a JPEG, no side longer than `max_px` pixels."""
    grid = _grid(len(shots), shots[0][1].width / shots[0][1].height, max_px)
    size = (grid.columns * (grid.width + _GAP) - _GAP, grid.rows * (grid.height + _GAP) - _GAP)
    paper = Image.new("RGB", size, _PAPER)
    for number, (at_s, picture) in enumerate(shots):
        small = picture.resize((grid.width, grid.height), Image.Resampling.LANCZOS, reducing_gap=3)
        _label(small, f"{int(at_s // 60)}:{at_s % 60:04.1f}")
        row, column = divmod(number, grid.columns)
        paper.paste(small, (column * (grid.width + _GAP), row * (grid.height + _GAP)))
    file = io.BytesIO()
    paper.save(file, "JPEG", quality=85)
    return file.getvalue()


def _grid(count: int, ratio: float, max_px: int) -> _Grid:
    """The grid in which the pictures are largest."""
    return max((_fitted(columns, count, ratio, max_px) for columns in range(1, count + 1)), key=lambda grid: grid.width)


def _fitted(columns: int, count: int, ratio: float, max_px: int) -> _Grid:
    rows = math.ceil(count / columns)
    room = (max_px + _GAP) / columns - _GAP, (max_px + _GAP) / rows - _GAP
    width = max(1, math.floor(min(room[0], room[1] * ratio)))
    return _Grid(columns, rows, width, max(1, math.floor(width / ratio)))


def _label(picture: Image.Image, text: str) -> None:
    size = max(10, round(min(picture.size) * 0.075))
    face = font(SEMIBOLD, size)
    pen = ImageDraw.Draw(picture, "RGBA")
    width, pad = face.getlength(text), round(size * 0.4)
    pen.rectangle((0, picture.height - size - 2 * pad, width + 2 * pad, picture.height), fill=_LABEL)
    pen.text((pad, picture.height - pad - size * 0.14), text, font=face, fill=_INK, anchor="ls")
