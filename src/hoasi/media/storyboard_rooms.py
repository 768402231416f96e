"""Workbench (floor 1): the inside of a scene: walls, windows, furniture, and the terrace."""

from __future__ import annotations

from hoasi.media.storyboard_colour import mix
from hoasi.media.storyboard_ink import Edges, inside, ring
from hoasi.media.storyboard_motif import Spot, drawing, place
from hoasi.media.storyboard_sky import rain
from hoasi.media.storyboard_stage import Stage, wave


def backdrop(stage: Stage) -> None:
    """Hang a plain backdrop with one great disc behind the figure."""
    pen = stage.pen
    pen.wash(pen.tones["far"])
    middle = (pen.w * (0.5 + (stage.lead - 0.5) * 0.7), pen.h * 0.42)
    for size, colour in ((0.56, mix(pen.tones["far"], pen.tones["sky"], 0.45)), (0.44, pen.tones["sky"])):
        pen.blob(ring(middle, (pen.unit * size, pen.unit * size), 16), colour)
    edge = wave(pen, stage.floor_line, pen.unit * 0.02, 6)
    pen.flood(edge, mix(pen.tones["far"], pen.tones["mid"], 0.6))
    pen.line(edge[::6], pen.nib * 0.6)


def wall(stage: Stage, tone: str) -> None:
    """Paint the back wall, darker toward the side that the figure leaves free."""
    pen = stage.pen
    pen.wash(pen.tones[tone])
    side = (0, 0, pen.w, pen.h) if stage.lead > 0.5 else (pen.w, 0, 0, pen.h)
    shade = mix(pen.tones[tone], pen.tones["mid"], 0.30)
    pen.fill(inside(side, [(0, 0), (0.30, 0), (0.12, 1), (0, 1)]), shade)


def floor(stage: Stage, tone: str) -> None:
    """Lay a boarded floor in perspective."""
    pen, top, seam = stage.pen, stage.floor_line, stage.pen.tones[f"{tone.rstrip('+-')}-"]
    pen.box((0, top, pen.w, pen.h + 9), pen.tones[tone], pen.nib * 0.7)
    for i in range(-6, 7):
        pen.line([(pen.w * (0.5 + i * 0.09), top), (pen.w * (0.5 + i * 0.24), pen.h)], pen.nib * 0.35, seam)


def window(stage: Stage) -> None:
    """Cut a window with curtains into the wall, on the side the figure leaves free."""
    pen, half = stage.pen, stage.pen.unit * 0.20
    middle, top = pen.w * (1 - stage.lead), pen.h * 0.12
    box = (middle - half, top, middle + half, max(top + pen.unit * 0.2, stage.floor_line - pen.h * 0.20))
    _view(stage, box)
    beam, left, right, foot = pen.unit * 0.010, box[0], box[2], box[3]
    for x in (left, middle, right):
        pen.box((x - beam, top - beam, x + beam, foot + beam), pen.tones["light"], pen.nib * 0.6)
    for y in (top, top + (foot - top) * 0.45, foot):
        pen.box((left - beam, y - beam, right + beam, y + beam), pen.tones["light"], pen.nib * 0.6)
    _curtain(stage, box)
    _curtain(stage, (right, top, left, foot))


def _curtain(stage: Stage, window_box: Edges) -> None:
    """Hang a curtain at the left side of the box (its right side, for a box given mirrored)."""
    pen = stage.pen
    fall = inside(window_box, [(0.02, -0.07), (-0.16, -0.07), (-0.20, 1.09), (-0.02, 1.10)])
    pen.slab(fall, mix(pen.tones["accent"], pen.tones["light"], 0.45), pen.nib * 0.7)
    pen.curve(inside(window_box, [(-0.09, 0), (-0.11, 1)]), pen.nib * 0.5, pen.tones["accent-"])


def _view(stage: Stage, box: Edges) -> None:
    """Show the weather through the window: a hill and a light, or rain."""
    pen, radius = stage.pen, (box[2] - box[0]) * 0.14
    if stage.is_lit_by("rain"):
        pen.box(box, pen.tones["mid"])
        rain(stage, (*inside(box, [(0.06, 0)])[0], *inside(box, [(1, 0.8)])[0]), 46)
        return
    outside, glow = ("near", "light") if stage.is_lit_by("night") else ("light", "glow")
    pen.box(box, pen.tones[outside])
    pen.blob(ring(inside(box, [(0.66, 0.34)])[0], (radius, radius)), pen.tones[glow])
    hill = inside(box, [(0, 1), (0, 0.72), (0.5, 0.60), (1, 0.78), (1, 1)])
    pen.fill(hill, mix(pen.tones["mid"], pen.tones[outside], 0.45))


def shelf(stage: Stage) -> None:
    """Hang two shelves with jars and books on the wall behind the figure."""
    pen, wide = stage.pen, stage.pen.unit * 0.42
    left = pen.w * stage.lead - wide / 2
    for y in (pen.h * 0.24, pen.h * 0.37):
        x = left + wide * 0.05
        while x < left + wide * 0.9:
            thick, tall = wide * pen.rng.uniform(0.05, 0.11), wide * pen.rng.uniform(0.12, 0.22)
            colour = pen.tones[pen.rng.choice(["accent+", "mid", "light", "near+", "mid+"])]
            pen.box((x, y - tall, x + thick, y), colour, pen.nib * 0.5)
            x += thick * pen.rng.uniform(1.05, 1.9)
        pen.box((left, y, left + wide, y + wide * 0.04), pen.tones["near"], pen.nib * 0.6)


def picture(stage: Stage) -> None:
    """Hang a framed picture."""
    pen, (x, y) = stage.pen, (stage.pen.w * stage.lead, stage.pen.h * 0.24)
    for grow, tone in ((0.110, "near"), (0.090, "light"), (0.068, "mid")):
        half, tall = pen.unit * grow, pen.unit * grow * 1.25
        pen.box((x - half, y - tall, x + half, y + tall), pen.tones[tone], pen.nib * 0.6)
    pen.blob(ring((x, y), (pen.unit * 0.033, pen.unit * 0.033)), pen.tones["accent"])


def lamps(stage: Stage, count: str) -> None:
    """Hang lamps from the ceiling."""
    pen, size = stage.pen, stage.pen.unit * 0.05
    for i in range(int(count)):
        x, y = pen.w * (i + 0.5) / int(count), pen.h * (0.10 + 0.03 * (i % 2))
        shade = inside((x - size, y, x + size, y + size), [(0.35, 0), (0.65, 0), (1, 0.9), (0.5, 1), (0, 0.9)])
        pen.line([(x, 0), (x, y)], pen.nib * 0.6)
        pen.blob(shade, pen.tones["accent"], pen.nib * 0.7)
        pen.blob(ring((x, y + size * 1.05), (size * 0.35, size * 0.22)), pen.tones["glow+"])


def counter(stage: Stage) -> None:
    """Stand a kitchen counter before the wall."""
    pen, foot = stage.pen, stage.floor_line + stage.pen.h * 0.03
    top = foot - pen.unit * 0.26
    pen.box((0, top, pen.w, foot), pen.tones["mid"], pen.nib * 0.7)
    pen.box((0, top - pen.unit * 0.03, pen.w, top), pen.tones["light"], pen.nib * 0.7)
    for i in range(1, 6):
        pen.line([(pen.w * i / 6, top), (pen.w * i / 6, foot)], pen.nib * 0.5)


def rail(stage: Stage) -> None:
    """Put a balcony's railing across the picture."""
    pen, foot = stage.pen, stage.floor_line
    top, count = foot - pen.unit * 0.26, max(8, round(pen.w / pen.unit * 14))
    for i in range(count + 1):
        pen.line([(pen.w * i / count, top), (pen.w * i / count, foot)], pen.nib * 0.9, pen.tones["near"])
    for y in (top, foot - pen.unit * 0.02):
        pen.box((0, y, pen.w, y + pen.unit * 0.018), pen.tones["near"], pen.nib * 0.5)


def plants(stage: Stage) -> None:
    """Stand potted plants along the railing."""
    pen = stage.pen
    for x, size in ((0.08, 0.36), (0.30, 0.24), (0.74, 0.26), (0.93, 0.40)):
        foot = stage.floor_line + pen.h * 0.02 + size * pen.unit * 0.14
        place(pen, drawing("thing", "plant"), Spot(pen.w * x, foot, pen.unit * size, pen.rng.choice([-1, 1])))


def plant(stage: Stage) -> None:
    """Stand one plant in the free corner."""
    pen = stage.pen
    x = pen.w * (0.9 if stage.lead < 0.5 else 0.1)
    place(pen, drawing("thing", "plant"), Spot(x, stage.floor_line + pen.h * 0.05, pen.unit * 0.42, stage.turn))
