"""Workbench (floor 1): paints one scene without any words: the place, then whoever and whatever stands in it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image, ImageFilter

from hoasi.media import storyboard_above as above
from hoasi.media import storyboard_land as land
from hoasi.media import storyboard_rooms as rooms
from hoasi.media import storyboard_sky as heaven
from hoasi.media import storyboard_town as town
from hoasi.media.storyboard_cast import act
from hoasi.media.storyboard_colour import Tones
from hoasi.media.storyboard_ink import Pen
from hoasi.media.storyboard_stage import Stage
from hoasi.media.storyboard_words import Camera, Motifs

_LAYERS: dict[str, Callable[..., None]] = {
    layer.__name__: layer
    for layer in (
        *(heaven.sky, heaven.clouds, land.ridge, land.ground, land.grass, land.trees, land.trunks, land.pines),
        *(land.furrows, land.water, land.shore, town.towers, town.road, town.fronts, rooms.backdrop, rooms.wall),
        *(rooms.floor, rooms.window, rooms.shelf, rooms.picture, rooms.lamps, rooms.counter, rooms.rail),
        *(rooms.plants, rooms.plant),
    )
}
_STAGED = ("stage", "shoulder")
_GROUNDS: dict[str, Callable[[Stage], None]] = {"plan": above.tabletop, "aerial": above.aerial}


def paint(size: tuple[int, int], tones: Tones, camera: Camera, motifs: Motifs, lead: float, rng: Random) -> Stage:
    """Paint the scene at `size` pixels; the picture is `stage.pen.image`."""
    stage = Stage(Pen(size, tones, rng), camera, motifs, camera.horizon * size[1], lead)
    _set(stage)
    _soften(stage.pen, camera.blur if camera.kind in _STAGED else 0.0)
    act(stage)
    if "rain" in motifs.lights and "window" not in motifs.layers:
        heaven.rain(stage, (-0.1 * size[0], -0.1 * size[1], 1.1 * size[0], 1.0 * size[1]), 150)
    return stage


def _set(stage: Stage) -> None:
    ground = above.land_plan if stage.is_land_from_above else _GROUNDS.get(stage.camera.kind)
    if ground:
        ground(stage)
        return
    for line in stage.motifs.layers:
        name, *words = line.split()
        _LAYERS[name](stage, *words)


def _soften(pen: Pen, amount: float) -> None:
    """Put the background out of focus, as a near lens does."""
    if not amount:
        return
    small = (max(1, pen.w // 4), max(1, pen.h // 4))
    soft = pen.image.resize(small, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(pen.unit * 0.0034 * amount))
    pen.image = soft.resize(pen.image.size, Image.Resampling.BICUBIC)
