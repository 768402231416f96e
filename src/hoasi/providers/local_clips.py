"""Translator for the key-less provider: clips without any model (a slow move over a picture); no sound, H.264.

Each is marked as a sketch throughout. A new part of a clip of ours is marked like any other: the mark that its last
frame bears leaves the picture with the move.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hoasi.messages import say
from hoasi.providers.local_pictures import frame
from hoasi.records import Planned
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.given import Input
    from hoasi.providers._outcomes import Order

MOST_PIXELS = 1920 * 1080
"""Of a clip that follows its picture; more costs time and shows nothing new."""


def from_picture(order: Order) -> list[Output]:
    """A slow move over the first frame; without an asked shape it has the picture's own, never larger than it."""
    _need_media()
    (first,) = order.of("first_frame")
    return [_moved(order.planned, first.data, _size(order.planned, first.item))]


def from_words(order: Order) -> list[Output]:
    """A slow move over the storyboard frame of the scene, or of the prompt."""
    _need_media()
    from hoasi.media.storyboard import render_png

    drawn = frame(order.planned, 0, mark="")  # the clip bears the mark where no move takes it away
    return [_moved(order.planned, render_png(drawn), (drawn.width, drawn.height))]


def longer(order: Order) -> list[Output]:
    """The whole clip, and a slow move on from its last frame or towards its first one."""
    from hoasi.media import clip_longer

    (clip,) = order.of("video")
    said = order.planned.parameters
    made = clip_longer.longer(
        clip.data,
        clip.item.path,
        duration_s=said["duration_s"],
        direction=said["extend_direction"],
        seed=order.planned.seed,
        mark=say("storyboard.mark"),
    )
    return [Output(data=made, media_type="video/mp4")]


def _need_media() -> None:
    """Said before anything is drawn.

    Raises:
        NotSupported: `media_extra_missing`.
    """
    from hoasi.media.clip_open import need_av

    need_av()


def _moved(planned: Planned, picture: bytes, size: tuple[int, int]) -> Output:
    from hoasi.media.kenburns import ken_burns

    made = ken_burns(
        picture,
        duration_s=planned.parameters["duration_s"],
        width=size[0],
        height=size[1],
        seed=planned.seed,
        mark=say("storyboard.mark"),
    )
    return Output(data=made, media_type="video/mp4")


def _size(planned: Planned, picture: Input) -> tuple[int, int]:
    """Pixels of the clip: the asked shape, else the picture's."""
    if "size" in planned.parameters:
        width, _, height = planned.parameters["size"].partition("x")
        return int(width), int(height)
    scale = min(1.0, math.sqrt(MOST_PIXELS / (picture.width * picture.height)))
    return round(picture.width * scale), round(picture.height * scale)
