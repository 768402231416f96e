"""Workbench (floor 1): grounds seen from above: a table for top-down shots, the land for drone shots."""

from __future__ import annotations

from hoasi.media.storyboard_colour import mix
from hoasi.media.storyboard_ink import Point, inside, ring, smooth
from hoasi.media.storyboard_land import ridge
from hoasi.media.storyboard_sky import sky
from hoasi.media.storyboard_stage import Stage

_GREENS = ("leaf", "leaf+", "leaf-", "mid", "far", "accent+")
_STONES = ("far", "far-", "mid+", "leaf", "mid")


def tabletop(stage: Stage) -> None:
    """Fill the picture with a table seen from straight above."""
    pen, step = stage.pen, stage.pen.unit / 7
    for i in range(int(pen.h / step) + 1):
        wood, x = mix(pen.tones["far"], pen.tones["mid"], pen.rng.uniform(0.0, 0.35)), pen.rng.uniform(0, pen.w)
        pen.box((-9, i * step, pen.w + 9, (i + 1) * step), wood, pen.nib * 0.4, pen.tones["mid-"])
        fibre = inside((x, i * step, x + step, (i + 1) * step), [(0, 0.4), (1, 0.5), (2.4, 0.42)])
        pen.curve(fibre, pen.nib * 0.4, pen.tones["mid"])


def aerial(stage: Stage) -> None:
    """Lay out the land in strong perspective: sky, far hills, then the parcels."""
    sky(stage)
    ridge(stage, "far", "soft", ".07", ".05")
    ridge(stage, "mid", "soft", ".02", ".03")
    _parcels(stage, 1.8)


def land_plan(stage: Stage) -> None:
    """Lay out the land as on a map: a coast, or parcels."""
    if "water" in stage.motifs.layers:
        _coast(stage)
    else:
        _parcels(stage, 1.0)


def _coast(stage: Stage) -> None:
    """Part sand and sea by a winding line from the upper to the lower edge."""
    pen = stage.pen
    pen.wash(mix(pen.tones["far"], pen.tones["accent"], 0.16))
    left = stage.lead > 0.5
    knots = [(0.48 + pen.rng.uniform(-0.07, 0.07), y / 6) for y in range(-1, 8)]
    for off, tone in ((0.0, "light"), (0.03, "mid"), (0.12, "mid-"), (0.26, "near+")):
        edge = inside((0, 0, pen.w, pen.h) if left else (pen.w, 0, 0, pen.h), [(x - off, y) for x, y in knots])
        sea = 0 if left else pen.w
        pen.fill([(sea, -9), *smooth(edge, closed=False), (sea, pen.h + 9)], pen.tones[tone])
        pen.curve(edge, pen.nib * 0.5)


def _parcels(stage: Stage, depth: float) -> None:
    """Cover the ground with parcels and a road; `depth` 1: seen straight from above, more: in perspective."""
    stage.pen.box((0, stage.horizon, stage.pen.w, stage.pen.h), stage.pen.tones["leaf"])
    rows, columns = 9, range(-9, 10)
    net = {(row, column): _knot(stage, row / rows, column, depth) for row in range(rows + 1) for column in columns}
    for row in range(rows):
        for column in columns[:-1]:
            corners = ((row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column))
            (_lane if column == 0 else _parcel)(stage, [net[corner] for corner in corners])


def _knot(stage: Stage, near: float, column: int, depth: float) -> Point:
    """Return the corner of four parcels; `near` 0 at the horizon, 1 at the lower edge."""
    pen, flat = stage.pen, depth == 1.0
    wide = pen.w * (0.14 if flat else 0.045 + 0.17 * near**depth)
    off = 0.0 if column in (0, 1) else pen.rng.uniform(-0.28, 0.28) * wide
    bend = pen.w * 0.16 * (1 - near) ** 2 * stage.turn
    share = near**depth + (pen.rng.uniform(-0.014, 0.014) if 0 < near < 1 else 0.0)
    return (pen.w * 0.5 + bend + (column - 0.5) * wide + off, stage.horizon + stage.room * share * 1.02)


def _lane(stage: Stage, corners: list[Point]) -> None:
    """Pave one piece of the road."""
    pen, (a, b, c, d) = stage.pen, corners
    pen.slab(corners, pen.tones["near+"], pen.nib * 0.4)
    upper, lower = ((a[0] + b[0]) / 2, a[1] + (d[1] - a[1]) * 0.2), ((c[0] + d[0]) / 2, a[1] + (d[1] - a[1]) * 0.7)
    pen.line([upper, lower], pen.nib * 0.8, pen.tones["light"])


def _parcel(stage: Stage, corners: list[Point]) -> None:
    """Lay out one piece of land, with a house (in towns) or trees on some."""
    pen, is_town = stage.pen, "road" in stage.motifs.layers
    pen.slab(corners, pen.tones[pen.rng.choice(_STONES if is_town else _GREENS)], pen.nib * 0.4)
    middle, tall = (sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4), corners[2][1] - corners[0][1]
    if is_town and pen.rng.random() < 0.8:
        _block(stage, middle, tall)
    elif pen.rng.random() < 0.45:
        _grove(stage, middle, tall)


def _grove(stage: Stage, middle: Point, size: float) -> None:
    pen = stage.pen
    for _ in range(pen.rng.randint(1, 4)):
        spot = (middle[0] + pen.rng.uniform(-0.5, 0.5) * size, middle[1] + pen.rng.uniform(-0.2, 0.3) * size)
        crown = pen.shaky(ring(spot, (size * 0.2, size * 0.17), 8), size * 0.02)
        pen.blob(crown, pen.tones["leaf-"], pen.nib * 0.4)


def _block(stage: Stage, middle: Point, size: float) -> None:
    """Stand a house with a roof on a parcel."""
    pen, (x, y) = stage.pen, middle
    half, tall = size * 0.42, size * pen.rng.uniform(0.4, 1.3)
    colour, foot = pen.tones[pen.rng.choice(["light", "mid+", "far", "accent+", "mid"])], y + size * 0.25
    pen.box((x - half, foot - tall, x + half, foot), colour, pen.nib * 0.5)
    roof = inside((x - half, foot - tall - size * 0.25, x + half, foot - tall), [(0, 1), (0.15, 0), (0.85, 0), (1, 1)])
    pen.slab(roof, mix(colour, pen.tones["ink"], 0.22), pen.nib * 0.5)
