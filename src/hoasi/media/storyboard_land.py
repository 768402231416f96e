"""Workbench (floor 1): the open land of a scene, back to front: ranges, ground, trees, fields, water."""

from __future__ import annotations

import math

from hoasi.media.storyboard_colour import Colour, mix
from hoasi.media.storyboard_ink import Pen, Point, inside, ring
from hoasi.media.storyboard_stage import Stage, wave

_ZIGZAG = ((0.10, 0.28), (-0.06, 0.46), (0.14, 0.72), (0.06, 1.05))
_TRUNKS = ((0.24, 0.030, 0.16), (0.84, 0.038, 0.26), (0.01, 0.065, 0.9), (0.99, 0.085, 1.2))
"""Across the picture, half as wide, how near (0: at the horizon)."""
_BARK = ((0.9, -0.1), (0.75, 0.3), (0.8, 0.8), (1.0, 0.93), (1.7, 1.0))


def ridge(stage: Stage, tone: str, kind: str, lift: str, rough: str) -> None:
    """Draw a mountain or hill range `lift` of the height over the horizon: kind "jag" or "soft"."""
    pen = stage.pen
    base, swing = stage.horizon - float(lift) * pen.h * 0.55, float(rough) * pen.h * 0.6
    line = wave(pen, base, swing, 7) if kind == "soft" else _peaks(pen, base, swing)
    pen.flood(line, pen.tones[tone])
    if kind == "jag":
        _flanks(pen, line, tone)
    pen.line(line[:: 4 if kind == "soft" else 1], pen.nib * 0.8)


def _peaks(pen: Pen, base: float, swing: float) -> list[Point]:
    """Return valley, peak, valley, peak ... valley."""
    x, line = -pen.w * 0.08, [(-pen.w * 0.1, base + swing)]
    while x < pen.w * 1.05:
        wide = pen.unit * pen.rng.uniform(0.10, 0.26)
        tall = swing * pen.rng.triangular(-0.1, 1.5, 0.3)
        line.append((x + wide * pen.rng.uniform(0.8, 1.2), base - tall))
        x += wide * 2
        line.append((x, base + swing * pen.rng.uniform(0.3, 0.9)))
    return line


def _flanks(pen: Pen, line: list[Point], tone: str) -> None:
    """Shade the side of each peak that lies away from the light, and put snow on the high ones."""
    shade = pen.tones[f"{tone.rstrip('+-')}-"]
    for (ax, ay), (x, y), (bx, by) in zip(line[0::2], line[1::2], line[2::2], strict=False):
        lee, luv = (x, y, bx, by), (x, y, ax, ay)
        zigzag = inside(lee, _ZIGZAG)
        pen.fill([(x, y), (bx, by), *reversed(zigzag)], shade)
        if by - y > pen.unit * 0.07:
            cap = inside(lee, [(0, 0), (0.28, 0.28), (0.1, 0.2), (0, 0.36)])
            pen.fill([*cap, *inside(luv, [(0.12, 0.18), (0.3, 0.3)])], pen.tones["light"])
        pen.line([(x, y), *zigzag], pen.nib * 0.45)


def ground(stage: Stage, tone: str, lift: str) -> None:
    """Lay the ground from the horizon down in three tones."""
    pen = stage.pen
    top = stage.horizon - float(lift) * pen.h
    for share, shade in ((0.0, 0.0), (0.32, 0.10), (0.68, 0.22)):
        edge = wave(pen, top + (pen.h - top) * share, pen.unit * (0.004 + share * 0.03), 6)
        pen.flood(edge, mix(pen.tones[tone], pen.tones["ink"], shade))
        if not share:
            pen.line(edge[::6], pen.nib * 0.7)


def grass(stage: Stage) -> None:
    """Scatter tufts, bigger toward the viewer."""
    pen = stage.pen
    for _ in range(46):
        near = pen.rng.random() ** 0.7
        x, y, tall = pen.rng.uniform(0, pen.w), stage.horizon + stage.room * near, pen.unit * (0.008 + 0.035 * near)
        for lean in (-0.5, 0.0, 0.6):
            blade = inside((x, y, x + tall, y - tall), [(0, 0), (lean * 0.4, 0.6), (lean, 1)])
            pen.curve(blade, pen.nib * (0.3 + 0.5 * near))


def trees(stage: Stage, tone: str, lift: str) -> None:
    """Draw a row of round trees, `lift` of the height tall, standing on the horizon."""
    pen, tall = stage.pen, float(lift) * stage.pen.h
    x = -tall
    while x < pen.w + tall:
        size = tall * pen.rng.uniform(0.6, 1.15)
        _crown(stage, x, size, mix(pen.tones[tone], pen.tones["leaf"], pen.rng.uniform(0.25, 0.6)))
        x += size * pen.rng.uniform(0.55, 1.1)


def _crown(stage: Stage, x: float, size: float, colour: Colour) -> None:
    pen, y = stage.pen, stage.horizon
    pen.blob(pen.shaky(ring((x, y - size * 0.52), (size * 0.5, size * 0.56), 9), size * 0.05), colour, pen.nib * 0.6)
    lee, shade = (x + size * 0.16, y - size * 0.4), mix(colour, pen.tones["ink"], 0.35)
    pen.hatch(lee, (size * 0.2, size * 0.3), shade, gap=size * 0.1, nib=pen.nib * 0.4)


def trunks(stage: Stage) -> None:
    """Frame the picture with tall trunks and hanging leaves."""
    pen = stage.pen
    for across, wide, near in _TRUNKS:
        middle, half, foot = pen.w * across, pen.unit * wide, stage.horizon + stage.room * near
        right = [(middle + half * out, foot * down) for out, down in _BARK]
        left = [(2 * middle - x, y) for x, y in reversed(right)]
        pen.blob([*right, (middle, foot * 1.01), *left], pen.tones["ink" if near > 0.5 else "near"], pen.nib * 0.8)
    for _ in range(26):
        size, leaf = pen.unit * pen.rng.uniform(0.05, 0.13), pen.rng.choice(["leaf", "leaf-", "leaf+"])
        spot = (pen.rng.uniform(0, pen.w), pen.rng.uniform(-0.4, 0.7) * size)
        pen.blob(pen.shaky(ring(spot, (size, size * 0.6), 8), size * 0.08), pen.tones[leaf], pen.nib * 0.5)


def pines(stage: Stage, count: str) -> None:
    """Plant firs at both sides, small at the horizon, tall in the foreground."""
    pen = stage.pen
    for i in range(int(count)):
        near = (i + 0.5) / int(count)
        aside = pen.rng.uniform(0.0, 0.46 - 0.22 * near) * pen.rng.choice((-1, 1))
        foot = (pen.w * (aside % 1.0), stage.horizon + stage.room * near**1.6 * 0.95)
        _pine(stage, foot, pen.unit * (0.06 + 0.34 * near**1.5))


def _pine(stage: Stage, foot: Point, tall: float) -> None:
    pen, (x, y) = stage.pen, foot
    colour = mix(pen.tones["leaf-"], pen.tones["near"], 0.5)
    pen.box((x - tall * 0.035, y - tall * 0.2, x + tall * 0.035, y), pen.tones["ink"])
    for low, wide in ((0.12, 0.26), (0.36, 0.20), (0.60, 0.13)):
        skirt = inside((x, y, x + tall, y - tall), [(0, low + 0.42), (wide, low), (0, low - 0.05), (-wide, low)])
        pen.slab(pen.shaky(skirt, tall * 0.012), colour, pen.nib * 0.5)
        pen.fill(skirt[:3], mix(colour, pen.tones["ink"], 0.25))


def furrows(stage: Stage) -> None:
    """Draw rice terraces: bands that come closer toward the horizon."""
    pen = stage.pen
    for i in range(1, 8):
        edge = wave(pen, stage.horizon + stage.room * (i / 7.2) ** 1.7, pen.unit * 0.004 * i, 7)
        bank = [(x, y + stage.room * 0.01 * i) for x, y in reversed(edge)]
        pen.fill([*edge, *bank], mix(pen.tones["leaf"], pen.tones["accent"], 0.18 + 0.05 * (i % 3)))
        pen.line(edge[::8], pen.nib * (0.4 + i * 0.05))


def water(stage: Stage) -> None:
    """Lay the sea with swell lines and the light's path on it."""
    pen = stage.pen
    for share, shade in ((0.0, 0.0), (0.16, 0.14), (0.42, 0.3), (0.72, 0.46)):
        edge = wave(pen, stage.horizon + stage.room * share, pen.unit * share * 0.03 + 0.5, 6)
        pen.flood(edge, mix(pen.tones["mid"], pen.tones["near"], shade))
    pen.line([(0, stage.horizon), (pen.w, stage.horizon)], pen.nib * 0.7)
    for _ in range(60):
        _crest(stage, pen.rng.random())
    if stage.is_lit_by("sun", "sunset", "night"):
        _path_of_light(stage)


def _crest(stage: Stage, near: float) -> None:
    pen, long = stage.pen, stage.pen.unit * (0.02 + 0.09 * near)
    x, y = pen.rng.uniform(0, pen.w), stage.horizon + stage.room * near
    crest = inside((x, y, x + long, y + long), [(-1, 0), (-0.3, -0.12), (0.3, 0.04), (1, 0)])
    pen.curve(crest, pen.nib * (0.35 + 0.6 * near), pen.tones[pen.rng.choice(["far", "light", "near"])])


def _path_of_light(stage: Stage) -> None:
    pen, colour = stage.pen, stage.pen.tones["light" if stage.is_lit_by("night") else "glow"]
    for i in range(13):
        y, long = stage.horizon + stage.room * (0.03 + 0.06 * i), pen.unit * pen.rng.uniform(0.03, 0.11)
        x = pen.w * (1 - stage.lead) + pen.rng.uniform(-0.03, 0.03) * pen.unit
        pen.ribbon([(x - long, y), (x, y - 1), (x + long, y)], pen.nib * (0.8 + i * 0.16), colour)


def shore(stage: Stage) -> None:
    """Put a beach with foam into the foreground."""
    pen = stage.pen
    line = wave(pen, stage.horizon + stage.room * 0.62, pen.unit * 0.02, 7)
    edge = [(x, y + math.sin(x / pen.w * 3) * pen.unit * 0.05) for x, y in line]
    pen.flood([(x, y - pen.unit * 0.022) for x, y in edge], pen.tones["light"])
    pen.flood(edge, mix(pen.tones["far"], pen.tones["accent"], 0.16))
    pen.line(edge[::6], pen.nib * 0.6)
