"""Translator for Kling: which endpoint of a card is spoken to how. A new one is its file and a line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hoasi.providers.kling import (
    generations,
    image_to_video,
    lip_sync,
    motion_control,
    multi_image_to_image,
    multi_image_to_video,
    new_clips,
    omni_image,
    omni_video,
    text_to_video,
    try_on,
    video_extend,
)
from hoasi.providers.kling.new import New
from hoasi.providers.kling.old import Old

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Handle, Order, Step
    from hoasi.wire import Wire

OLD, NEW = Old(), New()
GENERATIONS: dict[str, Old | New] = {"v1": OLD, "new": NEW}
Body = Callable[["Order"], dict[str, Any]]


@dataclass(frozen=True)
class Route:
    """How an order is sent, how a lost one is found, and what refuses it before anything is sent."""

    api: Old | New
    send: Callable[[Wire, Order, Card], Awaitable[Handle | Step]]
    find: Callable[[Wire, Order, Card], Awaitable[Handle | None]]
    check: Callable[[Order], object]


def _one_step(api: Old | New, body: Body) -> Route:
    async def send(wire: Wire, order: Order, card: Card) -> Handle:
        return await api.create(wire, order, card, body(order))

    return Route(api, send, api.find, body)


ROUTES = {
    "images/omni-image": _one_step(OLD, omni_image.body),
    "images/generations": _one_step(OLD, generations.body),
    "images/multi-image2image": _one_step(OLD, multi_image_to_image.body),
    "images/kolors-virtual-try-on": _one_step(OLD, try_on.body),
    "videos/text2video": _one_step(OLD, text_to_video.body),
    "videos/image2video": _one_step(OLD, image_to_video.body),
    "videos/omni-video": _one_step(OLD, omni_video.body),
    "videos/multi-image2video": _one_step(OLD, multi_image_to_video.body),
    "videos/motion-control": _one_step(OLD, motion_control.body),
    "videos/video-extend": _one_step(OLD, video_extend.body),
    "videos/advanced-lip-sync": Route(OLD, lip_sync.send, lip_sync.find, lip_sync.check),
    "text-to-video/{model}": _one_step(NEW, new_clips.text_to_video),
    "image-to-video/{model}": _one_step(NEW, new_clips.image_to_video),
    "omni-video/{model}": _one_step(NEW, new_clips.omni),
    "motion-control/{model}": _one_step(NEW, new_clips.motion),
}
"""Endpoint as cards name it -> how it is spoken to."""
