"""Workbench (floor 1): streets and houses of a scene."""

from __future__ import annotations

from hoasi.media.storyboard_colour import Colour, mix
from hoasi.media.storyboard_ink import Edges, Point, inside
from hoasi.media.storyboard_stage import Stage

_FRONTS = ("mid+", "far", "accent+", "mid", "far-")


def towers(stage: Stage, tone: str, lift: str) -> None:
    """Draw a row of houses up to `lift` of the height over the horizon, some windows lit."""
    pen, x = stage.pen, -stage.pen.unit * 0.03
    while x < pen.w:
        wide = pen.unit * pen.rng.uniform(0.07, 0.17)
        tall = pen.h * float(lift) * pen.rng.uniform(0.35, 1.0)
        colour = mix(pen.tones[tone], pen.tones["light"], pen.rng.uniform(0.0, 0.16))
        _house(stage, (x, stage.horizon - tall, x + wide, stage.horizon + pen.h * 0.02), colour)
        x += wide * pen.rng.uniform(0.92, 1.12)


def _house(stage: Stage, box: Edges, colour: Colour) -> None:
    pen, shade = stage.pen, mix(colour, stage.pen.tones["ink"], 0.2)
    pen.box(box, colour, pen.nib * 0.6)
    pen.fill(inside(box, [(0.78, 0), (1, 0), (1, 1), (0.78, 1)]), shade)
    if pen.rng.random() < 0.45:
        x, y = inside(box, [(0.4, 0)])[0]
        pen.line([(x, y), (x, y - pen.unit * 0.03)], pen.nib * 0.6)
    _windows(stage, box, shade)


def _windows(stage: Stage, box: Edges, dark: Colour) -> None:
    pen, (left, top, right, foot) = stage.pen, box
    lit, cell = (0.75 if stage.is_lit_by("night") else 0.18), max(pen.unit * 0.024, (right - left) / 6)
    for row in range(max(0, int((foot - top) / cell / 1.25 - 1))):
        for column in range(int((right - left) * 0.74 / cell)):
            x, y = left + cell * (0.35 + column), top + cell * (0.7 + 1.25 * row)
            glow = pen.tones["glow"] if pen.rng.random() < lit else dark
            pen.box((x, y, x + cell * 0.5, y + cell * 0.6), glow)


def road(stage: Stage) -> None:
    """Run a road from the foreground to the vanishing point."""
    pen, far, low = stage.pen, stage.pen.w * 0.5, stage.pen.h * 1.02
    narrow, half = pen.unit * 0.02, pen.w * 0.46
    edges = [(far - narrow, stage.horizon), (far + narrow, stage.horizon), (far + half, low), (far - half, low)]
    pen.slab(edges, mix(pen.tones["near"], pen.tones["far"], 0.35), pen.nib * 0.8)
    for i in range(7):
        (wa, ya), (wb, yb) = (_lane(stage, (i + share) / 7) for share in (0.15, 0.65))
        pen.fill([(far - wa, ya), (far + wa, ya), (far + wb, yb), (far - wb, yb)], pen.tones["light"])


def _lane(stage: Stage, near: float) -> Point:
    """Return half the width of the middle line and its height in the picture, `near` 0 (far) .. 1."""
    return (stage.pen.unit * (0.002 + 0.014 * near**2), stage.horizon + stage.room * near**2)


def fronts(stage: Stage) -> None:
    """Stand two rows of shop-houses left and right of the road, in perspective."""
    for side in (-1, 1):
        for i in range(4):
            near, colour = 1 - i * 0.22, stage.pen.tones[_FRONTS[(i * 2 + side) % 5]]
            _front(stage, side, (near, near - 0.22), stage.pen.rng.uniform(0.42, 0.62), colour)


def _front(stage: Stage, side: int, depth: tuple[float, float], tall: float, colour: Colour) -> None:
    pen, (near, back) = stage.pen, depth

    def pane(low: float, high: float, inset: float = 0.0) -> list[Point]:
        return [
            _corner(stage, side, share, rise)
            for share, rise in ((near - inset, low), (near - inset, high), (back + inset, high), (back + inset, low))
        ]

    awning, glass = ("accent" if near % 0.4 > 0.2 else "near"), ("glow" if stage.is_lit_by("night") else "near+")
    pen.slab(pane(0, tall), colour, pen.nib * 0.7)
    pen.slab(pane(0.15, 0.19), pen.tones[awning], pen.nib * 0.5)
    for rise in (0.24, 0.37):
        if rise + 0.09 < tall:
            pen.slab(pane(rise, rise + 0.08, 0.06), pen.tones[glass], pen.nib * 0.4)


def _corner(stage: Stage, side: int, share: float, rise: float) -> Point:
    """Return the pixel `share` of the way from the vanishing point, `rise` over the pavement."""
    pen = stage.pen
    x = pen.w * 0.5 + side * pen.w * (0.07 + 0.45 * share**1.6)
    return (x, stage.horizon + stage.room * 0.30 * share - rise * share * pen.h)
