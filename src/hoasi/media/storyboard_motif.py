"""Workbench (floor 1): draws one motif (a person, a cup, a car) from its lines in storyboard_motifs.toml."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache

from hoasi.media.storyboard_ink import Pen, Point, ring, smooth
from hoasi.media.storyboard_words import table


@dataclass(frozen=True)
class Part:
    """One line of a drawing: `kind` of mark, tone, line width (share of the height) and points in a box of height 1."""

    tag: str
    kind: str
    tone: str
    width: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Spot:
    """Where a drawing stands, in pixels: middle, bottom and height; `turn` is -1 for its mirror image."""

    x: float
    bottom: float
    height: float
    turn: int = 1

    def at(self, point: Point) -> Point:
        """Return the pixel of a point of the box."""
        return (self.x + point[0] * self.height * self.turn, self.bottom - (1 - point[1]) * self.height)


@cache
def drawing(group: str, name: str, view: str = "parts") -> tuple[Part, ...]:
    """Return the parsed parts of `[group.name]`, e.g. ("thing", "cup", "plan")."""
    return tuple(_part(line) for line in table("storyboard_motifs.toml")[group][name][view])


def _part(line: str) -> Part:
    head, tone, *rest = line.split()
    tag, _, kind = head.rpartition(":")
    width = float(rest.pop(0)) if kind == "line" else 0.0
    pairs = (pair.split(",") for pair in rest)
    return Part(tag, kind, tone, width, tuple((float(x), float(y)) for x, y in pairs))


def place(pen: Pen, parts: Sequence[Part], spot: Spot, tags: Set[str] = frozenset(), dress: int = 0) -> None:
    """Draw the parts whose tag is empty or among `tags`; `dress` 0..3 chooses the clothes."""
    nib = max(pen.unit * 0.0016, min(pen.nib * 1.15, spot.height * 0.0125))
    for part in parts:
        if not part.tag or part.tag in tags:
            _mark(pen, part, spot, nib, _dressed(part.tone, dress))


def _dressed(tone: str, dress: int) -> str:
    name = tone.rstrip("+-")
    worn = {"top": f"top{dress or ''}", "low": f"low{dress % 2 or ''}"}.get(name, name)
    return worn + tone[len(name) :]


def _mark(pen: Pen, part: Part, spot: Spot, nib: float, tone: str) -> None:
    colour = pen.tones[tone]
    points = [spot.at(point) for point in part.points]
    match part.kind:
        case "blob":
            pen.blob(points, colour, nib)
        case "flat":
            pen.fill(smooth(points, closed=True), colour)
        case "slab":
            pen.slab(points, colour, nib)
        case "face":
            pen.fill(points, colour)
        case "line":
            pen.curve(points, max(nib * 0.7, part.width * spot.height), colour)
        case _:
            radius = part.points[1]
            edge = ring(points[0], (radius[0] * spot.height, radius[1] * spot.height))
            pen.blob(edge, colour, nib if part.kind == "oval" else 0.0)
