"""Workbench (floor 1): the director's marks over a picture: thirds, and arrows that say how the camera moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hoasi.media.storyboard_ink import Pen, Point, along, ring, smooth


def thirds(pen: Pen) -> None:
    """Draw the rule of thirds with light broken lines."""
    for share in (1 / 3, 2 / 3):
        _dashes(pen, [(pen.w * share, 0), (pen.w * share, pen.h)], pen.nib * 0.35)
        _dashes(pen, [(0, pen.h * share), (pen.w, pen.h * share)], pen.nib * 0.35)


def _dashes(pen: Pen, path: Sequence[Point], nib: float, dash: float = 0.012) -> None:
    dots = along(path, pen.unit * dash)
    for i in range(0, len(dots) - 1, 3):
        pen.ribbon([dots[i], dots[i + 1]], nib * 2.2, pen.tones["ink"])
        pen.ribbon([dots[i], dots[i + 1]], nib * 1.4, pen.tones["light"])


def move(pen: Pen, name: str) -> None:
    """Draw the marks of one camera move, e.g. "push_in"."""
    _MOVES[name](pen)


def arrow(pen: Pen, path: Sequence[Point], thick: float) -> None:
    """Draw a fat outlined arrow along the path; `thick` pixels across, its head twice and a half that."""
    (ax, ay), (bx, by) = path[-2], path[-1]
    length = math.hypot(bx - ax, by - ay) or 1.0
    dx, dy = (bx - ax) / length, (by - ay) / length
    neck = (bx - dx * thick * 1.9, by - dy * thick * 1.9)
    shaft = [point for point in path[:-1] if math.dist(point, path[-1]) > thick * 2.2]
    left, right = _sides([*shaft, neck], thick / 2)
    wings = [(neck[0] + dy * side * thick * 1.25, neck[1] - dx * side * thick * 1.25) for side in (1, -1)]
    shape = [*left, wings[0], (bx, by), wings[1], *reversed(right)]
    shape = pen.shaky(shape, thick * 0.02)
    pen.fill(shape, pen.tones["light"])
    pen.ribbon(along([*shape, shape[0], shape[1]], thick), max(pen.nib * 0.9, thick * 0.14), pen.tones["ink"])


def _sides(path: Sequence[Point], half: float) -> tuple[list[Point], list[Point]]:
    left, right = [], []
    for i, (x, y) in enumerate(path):
        (ax, ay), (bx, by) = path[max(0, i - 1)], path[min(len(path) - 1, i + 1)]
        length = math.hypot(bx - ax, by - ay) or 1.0
        nx, ny = (by - ay) / length * half, -(bx - ax) / length * half
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    return left, right


def _thick(pen: Pen) -> float:
    return max(2.0, min(pen.unit * 0.022, pen.h * 0.06))


def _corners(pen: Pen, inset: float) -> list[Point]:
    x, y = pen.w * inset, pen.h * inset
    return [(x, y), (pen.w - x, y), (pen.w - x, pen.h - y), (x, pen.h - y)]


def _zoom(pen: Pen, start: float, end: float) -> None:
    inner = _corners(pen, 0.15)
    _dashes(pen, [*inner, inner[0]], pen.nib * 0.6, 0.018)
    for a, b in zip(_corners(pen, start), _corners(pen, end), strict=True):
        arrow(pen, [a, b], _thick(pen))


def _push_in(pen: Pen) -> None:
    _zoom(pen, 0.04, 0.135)


def _pull_out(pen: Pen) -> None:
    _zoom(pen, 0.135, 0.04)


def _pan(pen: Pen, start: float, end: float) -> None:
    arrow(pen, [(pen.w * start, pen.h * 0.925), (pen.w * end, pen.h * 0.925)], _thick(pen) * 1.25)


def _tilt(pen: Pen, start: float, end: float) -> None:
    arrow(pen, [(pen.w * 0.925, pen.h * start), (pen.w * 0.925, pen.h * end)], _thick(pen) * 1.25)


def _tracking(pen: Pen) -> None:
    """Draw two rails with sleepers, and an arrow over them."""
    low, gauge = pen.h - pen.unit * 0.095, _thick(pen)
    for i in range(15):
        x = pen.w * (0.16 + 0.68 * i / 14)
        pen.line([(x, low - gauge), (x - gauge * 0.4, low + gauge)], pen.nib * 1.1, pen.tones["light"])
    for y in (low - gauge * 0.6, low + gauge * 0.6):
        pen.line([(pen.w * 0.14, y), (pen.w * 0.86, y)], pen.nib * 1.6)
        pen.line([(pen.w * 0.14, y), (pen.w * 0.86, y)], pen.nib * 0.8, pen.tones["light"])
    arrow(pen, [(pen.w * 0.2, low - gauge * 3), (pen.w * 0.8, low - gauge * 3)], _thick(pen) * 1.1)


def _handheld(pen: Pen) -> None:
    """Draw three frames that do not lie on each other, and shaking marks."""
    for lean in (-0.016, 0.004, 0.018):
        frame = [(x - (y - pen.h / 2) * lean, y + (x - pen.w / 2) * lean) for x, y in _corners(pen, 0.055 + abs(lean))]
        _dashes(pen, [*frame, frame[0]], pen.nib * 0.6, 0.02)
    size = _thick(pen)
    for x in (pen.w * 0.10, pen.w * 0.90):
        zigzag = [(x + size * (-0.9 if i % 2 else 0.9), pen.h * 0.5 + size * (i - 3) * 1.1) for i in range(7)]
        pen.line(zigzag, size * 0.62)
        pen.line(zigzag, size * 0.34, pen.tones["light"])


def _orbit(pen: Pen) -> None:
    oval = ring((pen.w * 0.5, pen.h * 0.84), (pen.w * 0.36, pen.h * 0.085), 24)
    arrow(pen, smooth(oval[23:] + oval[:14], closed=False, steps=3), _thick(pen))


_MOVES: dict[str, Callable[[Pen], None]] = {
    "push_in": _push_in,
    "pull_out": _pull_out,
    "pan_right": lambda pen: _pan(pen, 0.22, 0.80),
    "pan_left": lambda pen: _pan(pen, 0.78, 0.20),
    "tilt_up": lambda pen: _tilt(pen, 0.74, 0.26),
    "tilt_down": lambda pen: _tilt(pen, 0.26, 0.74),
    "tracking": _tracking,
    "handheld": _handheld,
    "orbit": _orbit,
}
