"""Workbench (floor 1): puts people and things into a painted place, as the camera asks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hoasi.media.storyboard_colour import mix
from hoasi.media.storyboard_ink import Point, ring
from hoasi.media.storyboard_motif import Spot, drawing, place
from hoasi.media.storyboard_stage import Stage
from hoasi.media.storyboard_words import table

_BASES = {"portrait": 1.04, "bust": 1.03}
_ORDER = (0, -1, 1, -2)
_SIZES = {"child": 0.66, "long": 0.96, "short": 1.0}


def act(stage: Stage) -> None:
    """Draw the people and things of the scene."""
    match stage.camera.kind:
        case "plan":
            _from_above(stage)
        case "shoulder":
            _over_the_shoulder(stage)
        case _:
            _traffic(stage)
            _people(stage)
            _table_things(stage)


def _thing(name: str) -> Mapping[str, Any]:
    entry: Mapping[str, Any] = table("storyboard_motifs.toml")["thing"][name]
    return entry


def _where(name: str) -> str:
    return str(_thing(name)["where"])


def _held(stage: Stage) -> str | None:
    """Return the thing the first person holds in front of them."""
    if not stage.motifs.cast or not stage.camera.is_near:
        return None
    return next((name for name in stage.motifs.things if _where(name) == "hand"), None)


def _people(stage: Stage) -> None:
    """Draw the cast from back to front; the first one stands on the leading third."""
    heads = stage.motifs.cast
    for i, head in reversed(list(enumerate(heads))):
        _person(stage, head, i, len(heads))


def _person(stage: Stage, head: str, index: int, count: int) -> None:
    pen, camera = stage.pen, stage.camera
    cast, height = camera.cast, _tall(stage, count)
    if camera.is_near:
        bottom = pen.h * _BASES[cast] + max(0.0, height - pen.h * 0.9) * 0.42 - index * height * 0.05
        height *= _SIZES[head] ** 0.25
    else:
        bottom, height = _feet(stage) - index * height * 0.04, height * _SIZES[head]
        cast = "kid" if head == "child" else pen.rng.choice(("standing", "walking"))
    spot = Spot(_across(stage, index, count, height), bottom, height, stage.turn if index % 2 == 0 else -stage.turn)
    holds = _held(stage) if index == 0 else None
    place(pen, drawing("cast", cast), spot, {head, "hold" if holds and cast == "bust" else "rest"}, index)
    if holds:
        _hold(stage, holds, spot, cast)


def _tall(stage: Stage, count: int) -> float:
    """Return the figure's height in pixels: the framing's share, less where the picture is too narrow for it."""
    pen, camera = stage.pen, stage.camera
    tall = camera.height * camera.scale * pen.h * (0.86 if count > 1 and camera.is_near else 1.0)
    wide = {"portrait": 0.62, "bust": 0.80}.get(camera.cast, 0.36) * (1.0 + 0.25 * (count > 1))
    return min(tall, pen.w * (1.25 if camera.height > 1 else 0.98) / wide)


def _feet(stage: Stage) -> float:
    """Return where feet stand: small figures near the horizon, big ones near the lower edge."""
    room = stage.pen.h - stage.horizon
    share = min(0.96, 0.22 + stage.camera.height * 0.95)
    if "shore" in stage.motifs.layers and stage.camera.kind == "stage":
        share = 0.86
    return stage.horizon + room * max(share, 0.30)


def _across(stage: Stage, index: int, count: int, height: float) -> float:
    pen = stage.pen
    pull = 0.35 if stage.camera.cast == "portrait" else 0.62 if stage.camera.is_near else 1.0
    wide_enough = min(1.0, (pen.w / pen.h) * 0.9 + 0.25)
    middle = 0.5 + (stage.lead - 0.5) * pull * (wide_enough if stage.camera.is_near else 1.0)
    if count > 1 and stage.camera.is_near:
        middle = 0.5
    step = min(height * {"portrait": 0.52, "bust": 0.42}.get(stage.camera.cast, 0.30), pen.w * 0.36)
    return pen.w * middle + stage.turn * step * _ORDER[index] + stage.turn * step * 0.5 * (count % 2 == 0)


def _hold(stage: Stage, name: str, spot: Spot, cast: str) -> None:
    """Put the thing before the person: in the hand of a bust, into the lower foreground of a portrait."""
    pen = stage.pen
    if cast == "bust":
        where = Spot(*spot.at((0.03, 0.735)), spot.height * 0.21, spot.turn)
        place(pen, drawing("thing", name)[1:], where)
        place(pen, drawing("cast", "arm"), spot)
        return
    where = Spot(*spot.at((0.20, 0.99)), spot.height * 0.34, spot.turn)
    place(pen, drawing("thing", name)[1:], where)
    place(pen, drawing("cast", "hand"), where)


def _traffic(stage: Stage) -> None:
    for name in stage.motifs.things:
        if _where(name) == "ground":
            _on_the_ground(stage, name)


def _table_things(stage: Stage) -> None:
    held = _held(stage)
    if held and stage.camera.cast == "portrait":
        return
    names = [name for name in stage.motifs.things if _where(name) != "ground" and name != held]
    for i, name in enumerate(names):
        _on_a_table(stage, name, i)


def _on_the_ground(stage: Stage, name: str) -> None:
    pen, camera = stage.pen, stage.camera
    height = min(pen.h * camera.thing_height * 0.8, pen.w * 0.36)
    x = pen.w * (0.5 if not stage.motifs.cast else 1 - stage.lead)
    bottom = min(pen.h * 0.93, _feet(stage) if not camera.is_near else pen.h * 0.90)
    place(pen, drawing("thing", name), Spot(x, bottom, height, stage.turn))


def _on_a_table(stage: Stage, name: str, index: int) -> None:
    """Stand a thing on a table edge in the foreground, big when it is alone."""
    pen, camera = stage.pen, stage.camera
    alone = not stage.motifs.cast
    height = (
        min(pen.h * camera.thing_height, pen.w * max(0.62, camera.thing_height))
        * (1.0 if alone else 0.62)
        * (0.72 if index else 1.0)
    )
    top = pen.h * (0.80 if alone or not camera.is_near else 0.88)
    if index == 0:
        _table(stage, top)
    lead = 0.5 + (stage.lead - 0.5) * 0.6 if alone else 1 - stage.lead
    if camera.kind == "shoulder":
        lead = 0.5
    x = pen.w * (lead if index == 0 else 1 - lead) if alone else pen.w * (lead + stage.turn * 0.2 * index)
    place(pen, drawing("thing", name), Spot(x, top + height * 0.06 + pen.unit * 0.05, height, stage.turn))


def _table(stage: Stage, top: float) -> None:
    pen, shade = stage.pen, stage.pen.tones["mid-"]
    pen.box((-9, top, pen.w + 9, pen.h + 9), mix(pen.tones["mid"], pen.tones["accent"], 0.18), pen.nib)
    pen.box((-9, pen.h * 0.96, pen.w + 9, pen.h + 9), shade)
    for _ in range(7):
        x, y = pen.rng.uniform(-0.1, 0.9) * pen.w, pen.rng.uniform(top + pen.unit * 0.015, pen.h * 0.95)
        pen.curve([(x, y), (x + pen.unit * 0.12, y + pen.unit * 0.004), (x + pen.unit * 0.3, y)], pen.nib * 0.4, shade)


def _over_the_shoulder(stage: Stage) -> None:
    """Draw the one we look at on one side, and the one we look past, dark and near, on the other."""
    pen = stage.pen
    heads = stage.motifs.cast or ("short",)
    tall = min(pen.h * 0.62, pen.w * 0.86)
    spot = Spot(pen.w * (0.5 + (stage.lead - 0.5) * 1.15), pen.h * 0.98, tall, stage.turn)
    place(pen, drawing("cast", "bust"), spot, {heads[0], "rest"})
    for i, name in enumerate(stage.motifs.things[:1]):
        _on_a_table(stage, name, i)
    near = min(pen.h * 0.74, pen.w * 1.0)
    back = Spot(pen.w * (0.5 - (stage.lead - 0.5) * 2.1), pen.h * 0.93, near, stage.turn)
    place(pen, drawing("cast", "back"), back, {heads[-1] if len(heads) > 1 else "short"})


def _from_above(stage: Stage) -> None:
    """Lay things and people out as on a plan."""
    pen, things = stage.pen, stage.motifs.things
    size, plate = pen.unit * (0.58 if len(things) < 2 else 0.41), mix(pen.tones["light"], pen.tones["far"], 0.3)
    if not things or stage.motifs.cast:
        _heads_from_above(stage)
    for (x, y), name in zip(_plan_spots(stage), things, strict=False):
        if _thing(name).get("plate"):
            pen.blob(ring((x, y), (size * 0.74, size * 0.74), 14), plate, pen.nib * 0.5)
        place(pen, drawing("thing", name, "plan"), Spot(x, y + size / 2, size, stage.turn))


def _plan_spots(stage: Stage) -> list[Point]:
    """Return the middles of one or two plates, far enough apart in any format."""
    pen = stage.pen
    if len(stage.motifs.things) < 2:
        return [(pen.w * 0.5, pen.h * 0.44)]
    aside, low = (0.17, 0.24) if pen.h > pen.w * 0.75 else (0.24, 0.03)
    side = math.copysign(aside, stage.lead - 0.5)
    return [(pen.w * (0.5 + side), pen.h * (0.52 - low)), (pen.w * (0.5 - side), pen.h * (0.48 + low))]


def _heads_from_above(stage: Stage) -> None:
    pen, heads = stage.pen, stage.motifs.cast[:3]
    size = pen.unit * (0.11 if stage.is_land_from_above else 0.52 if len(heads) < 2 else 0.36)
    for i, _ in enumerate(heads):
        x = pen.w * (stage.lead if len(heads) == 1 else (i + 0.5) / len(heads))
        y = pen.h - size * 0.26 if stage.motifs.things else pen.h * 0.5
        place(pen, drawing("cast", "plan"), Spot(x, y + size / 2, size), dress=i)
