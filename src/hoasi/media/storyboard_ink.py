"""Workbench (floor 1): the storyboard artist's hand. Smooth shapes, wobbly ink lines and hatching on one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

from PIL import Image, ImageDraw

from hoasi.media.storyboard_colour import Colour, Tones

Point = tuple[float, float]
Edges = tuple[float, float, float, float]
"""A rectangle: left, top, right, foot, in pixels."""


def smooth(points: Sequence[Point], *, closed: bool, steps: int = 7) -> list[Point]:
    """Return a Catmull-Rom curve through the points, `steps` pieces between two of them."""
    around = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    curve = [_between(around[i : i + 4], step / steps) for i in range(len(around) - 3) for step in range(steps)]
    return curve if closed else [*curve, points[-1]]


def _between(four: Sequence[Point], t: float) -> Point:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = four
    p, q = t * t, t * t * t
    wa, wb, wc, wd = -t + 2 * p - q, 2 - 5 * p + 3 * q, t + 4 * p - 3 * q, q - p
    return ((wa * ax + wb * bx + wc * cx + wd * dx) / 2, (wa * ay + wb * by + wc * cy + wd * dy) / 2)


def along(points: Sequence[Point], gap: float) -> list[Point]:
    """Return the polyline with extra points, so that no two neighbours are further apart than `gap` pixels."""
    dense = [points[0]]
    for (ax, ay), (bx, by) in pairwise(points):
        pieces = max(1, min(400, math.ceil(math.hypot(bx - ax, by - ay) / gap)))
        dense += [(ax + (bx - ax) * i / pieces, ay + (by - ay) * i / pieces) for i in range(1, pieces + 1)]
    return dense


def ring(centre: Point, radius: Point, count: int = 12) -> list[Point]:
    """Return `count` points of an ellipse."""
    turns = [2 * math.pi * i / count for i in range(count)]
    return [(centre[0] + radius[0] * math.cos(a), centre[1] + radius[1] * math.sin(a)) for a in turns]


def inside(box: Edges, points: Iterable[Point]) -> list[Point]:
    """Return the pixels of points given as shares of a box: (0, 0) its top left, (1, 1) its lower right corner."""
    left, top, right, foot = box
    return [(left + (right - left) * x, top + (foot - top) * y) for x, y in points]


class Pen:
    """A brush and an ink pen over one picture; positions and widths are pixels of that picture."""

    def __init__(self, size: tuple[int, int], tones: Tones, rng: Random) -> None:
        self.image = Image.new("RGB", size, tones["sky"])
        self.tones, self.rng = tones, rng
        self.w, self.h = size
        self.unit = min(size)
        self.nib = max(1.0, self.unit * 0.0042)

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        """The drawing surface of the present picture (`image` may be replaced between two strokes)."""
        return ImageDraw.Draw(self.image)

    def shaky(self, points: Iterable[Point], amount: float) -> list[Point]:
        """Return the points, each moved by about `amount` pixels."""
        gauss = self.rng.gauss
        return [(x + gauss(0, amount), y + gauss(0, amount)) for x, y in points]

    def fill(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon(points, fill=colour)

    def wash(self, colour: Colour) -> None:
        """Paint the whole picture in one colour."""
        self.fill([(0, 0), (self.w, 0), (self.w, self.h), (0, self.h)], colour)

    def flood(self, edge: Sequence[Point], colour: Colour) -> None:
        """Fill everything below a line that crosses the picture."""
        self.fill([*edge, (self.w, self.h), (0, self.h)], colour)

    def box(self, edges: Edges, colour: Colour, nib: float = 0.0, ink: Colour | None = None) -> None:
        """Fill an upright rectangle, with wobbly edges of `nib` pixels (0: none)."""
        left, top, right, foot = edges
        self.slab([(left, top), (right, top), (right, foot), (left, foot)], colour, nib, ink)

    def blob(self, points: Sequence[Point], colour: Colour, nib: float = 0.0, ink: Colour | None = None) -> None:
        """Fill a smooth closed shape and go round it with a loose line of `nib` pixels (0: no line)."""
        self.fill(smooth(points, closed=True), colour)
        if nib:
            loose = smooth(self.shaky(points, nib * 0.45), closed=True)
            start = self.rng.randrange(len(loose))
            turned = loose[start:] + loose[:start]
            self.ribbon([*turned, *turned[: max(2, len(turned) // 30)]], nib, ink or self.tones["ink"])

    def slab(self, points: Sequence[Point], colour: Colour, nib: float = 0.0, ink: Colour | None = None) -> None:
        """Fill a straight-edged shape; each edge gets its own wobbly line of `nib` pixels (0: none)."""
        self.fill(points, colour)
        for a, b in zip(points, [*points[1:], points[0]], strict=True):
            if nib:
                self.line([a, b], nib, ink or self.tones["ink"])

    def line(self, points: Sequence[Point], nib: float, colour: Colour | None = None) -> None:
        """Draw a hand-held line through the points: a slow wobble, ends that run out."""
        gap = max(self.unit * 0.05, 2.0)
        dense = self.shaky(along(points, gap), min(nib * 0.4, self.unit * 0.003))
        self.ribbon(smooth(dense, closed=False, steps=4), nib, colour or self.tones["ink"])

    def curve(self, points: Sequence[Point], nib: float, colour: Colour | None = None) -> None:
        """Draw a smooth open line through the points."""
        self.ribbon(smooth(self.shaky(points, nib * 0.2), closed=False), nib, colour or self.tones["ink"])

    def ribbon(self, points: Sequence[Point], nib: float, colour: Colour) -> None:
        """Draw a line of changing width: pressed in the middle, thin at its ends."""
        last = len(points) - 1
        phase, left, right = self.rng.random() * 6.3, [], []
        for i, (x, y) in enumerate(points):
            (ax, ay), (bx, by) = points[max(0, i - 1)], points[min(last, i + 1)]
            length = math.hypot(bx - ax, by - ay) or 1.0
            press = min(1.0, 0.35 + 4 * min(i, last - i) / max(1, last)) * (0.9 + 0.25 * math.sin(phase + i * 0.35))
            nx, ny = -(by - ay) / length * nib * press / 2, (bx - ax) / length * nib * press / 2
            left.append((x + nx, y + ny))
            right.append((x - nx, y - ny))
        self.draw.polygon([*left, *reversed(right)], fill=colour)

    def hatch(self, centre: Point, radius: Point, colour: Colour, *, gap: float, nib: float) -> None:
        """Shade an ellipse with slanted pencil strokes, `gap` pixels apart."""
        lean = min(radius[1] * 0.8, radius[0])
        for i in range(max(1, min(160, int(2 * radius[0] / gap)))):
            x = -radius[0] + (i + self.rng.uniform(0.2, 0.8)) * gap
            tall = radius[1] * math.sqrt(max(0.0, 1 - (x / radius[0]) ** 2)) * self.rng.uniform(0.75, 1.0)
            slant = lean * tall / max(1.0, radius[1])
            a, b = (centre[0] + x - slant / 2, centre[1] + tall), (centre[0] + x + slant / 2, centre[1] - tall)
            self.ribbon(self.shaky(along([a, b], max(2.0, tall / 2)), nib * 0.4), nib, colour)
