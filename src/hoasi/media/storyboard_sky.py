"""Workbench (floor 1): the sky of a scene and what is in it: sun, moon, clouds, rain."""

from __future__ import annotations

from hoasi.media.storyboard_colour import mix
from hoasi.media.storyboard_ink import Edges, Point, inside, ring
from hoasi.media.storyboard_stage import Stage, wave

_CLOUD = ((-1, 0), (-0.55, -0.16), (-0.1, -0.3), (0.4, -0.17), (1, -0.02), (0.2, 0.05))


def sky(stage: Stage) -> None:
    """Paint the sky in broad bands, lighter toward the horizon, then its lights."""
    pen, bands = stage.pen, 5
    top, low = mix(pen.tones["sky"], pen.tones["far"], 0.62), pen.tones["sky"]
    pen.wash(top)
    for band in range(1, bands):
        y = stage.horizon * (band / bands) ** 0.85
        edge = wave(pen, y, pen.unit * 0.018, 6)
        pen.flood(edge, mix(top, low, band / (bands - 1)))
    for light, paint in (("night", _moon), ("sunset", _sunset), ("sun", _sun)):
        if light in stage.motifs.lights:
            paint(stage)
            break


def _sun(stage: Stage) -> None:
    _disc(stage, (stage.pen.w * (1 - stage.lead), stage.horizon * 0.42), 0.085)


def _sunset(stage: Stage) -> None:
    _disc(stage, (stage.pen.w * (1 - stage.lead), stage.horizon * 0.90), 0.13)


def _disc(stage: Stage, middle: Point, size: float) -> None:
    pen = stage.pen
    radius, below = pen.unit * size, pen.tones["sky"]
    for ring_size, share in ((2.5, 0.14), (1.85, 0.28), (1.35, 0.46)):
        pen.blob(ring(middle, (radius * ring_size, radius * ring_size)), mix(below, pen.tones["accent"], share))
    pen.blob(ring(middle, (radius, radius)), mix(pen.tones["accent"], pen.tones["light"], 0.25), pen.nib * 0.8)


def _moon(stage: Stage) -> None:
    pen, radius = stage.pen, stage.pen.unit * 0.07
    x, y = pen.w * (1 - stage.lead), stage.horizon * 0.34
    for size, share in ((2.3, 0.10), (1.6, 0.2)):
        pen.blob(ring((x, y), (radius * size, radius * size)), mix(pen.tones["sky"], pen.tones["light"], share))
    pen.blob(ring((x, y), (radius, radius)), pen.tones["light"], pen.nib * 0.6)
    pen.blob(ring((x - radius * 0.25, y + radius * 0.2), (radius * 0.2, radius * 0.16)), pen.tones["light-"])
    for _ in range(42):
        star, size = (
            (pen.rng.uniform(0, pen.w), pen.rng.uniform(0, stage.horizon * 0.8)),
            pen.rng.uniform(0.0015, 0.0045),
        )
        pen.fill(ring(star, (size * pen.unit, size * pen.unit), 6), pen.tones["light"])


def clouds(stage: Stage, count: str) -> None:
    """Float a few long clouds; none at night."""
    pen = stage.pen
    white = mix(pen.tones["light"], pen.tones["sky"], 0.25)
    for i in range(0 if stage.is_lit_by("night") else int(count)):
        wide = pen.unit * pen.rng.uniform(0.14, 0.30)
        x, y = pen.w * (i + pen.rng.uniform(0.1, 0.9)) / int(count), stage.horizon * pen.rng.uniform(0.10, 0.62)
        puffs = pen.shaky(inside((x, y, x + wide, y + wide), _CLOUD), wide * 0.04)
        pen.blob(puffs, white, pen.nib * 0.45, pen.tones["far-"])


def rain(stage: Stage, box: Edges, drops: int) -> None:
    """Let it rain inside the box, over everything drawn so far."""
    pen, (left, top, right, foot) = stage.pen, box
    colour = mix(pen.tones["light"], pen.tones["far"], 0.3)
    for _ in range(drops):
        x, y = pen.rng.uniform(left, right), pen.rng.uniform(top, foot)
        long = pen.unit * pen.rng.uniform(0.03, 0.075)
        pen.ribbon([(x, y), (x - long * 0.1, y + long * 0.5), (x - long * 0.2, y + long)], pen.nib * 0.55, colour)
