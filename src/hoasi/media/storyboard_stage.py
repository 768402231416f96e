"""Workbench (floor 1): the record a scene is painted from, and the lines every place needs."""

from __future__ import annotations

from dataclasses import dataclass

from hoasi.media.storyboard_ink import Pen, Point, smooth
from hoasi.media.storyboard_words import Camera, Motifs


@dataclass(frozen=True)
class Stage:
    """One scene on one picture: `horizon` in pixels from the top, `lead` the upright third (1/3, 2/3) of the figure."""

    pen: Pen
    camera: Camera
    motifs: Motifs
    horizon: float
    lead: float

    @property
    def turn(self) -> int:
        """Which side the figure looks to: 1 as drawn, -1 mirrored; it always looks into the picture."""
        return 1 if self.lead < 0.5 else -1

    @property
    def room(self) -> float:
        """The pixels from the horizon down to the lower edge."""
        return self.pen.h - self.horizon

    @property
    def floor_line(self) -> float:
        """Where wall and floor meet, in pixels from the top."""
        return min(self.pen.h * 0.92, self.horizon + self.pen.h * 0.17)

    @property
    def is_land_from_above(self) -> bool:
        """Is this a top-down shot of open land (not of things on a table)?"""
        return self.camera.kind == "plan" and "sky" in self.motifs.layers and not self.motifs.things

    def is_lit_by(self, *lights: str) -> bool:
        """Does the scene name one of these lights ("sun", "sunset", "night", "rain")?"""
        return not self.motifs.lights.isdisjoint(lights)


def wave(pen: Pen, y: float, swing: float, count: int) -> list[Point]:
    """Return a soft line across the picture around the height `y`, swinging by `swing` pixels."""
    knots = [(pen.w * (i - 1) / (count - 2), y + pen.rng.uniform(-swing, swing)) for i in range(count)]
    return smooth(knots, closed=False, steps=10)
