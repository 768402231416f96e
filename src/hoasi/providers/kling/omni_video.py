"""Translator for Kling: `POST /v1/videos/omni-video`: words, frames, pictures, a clip that goes on (read 2026-11-21).

An extension is a clip as `feature` and words that ask for the next or the previous shot. `aspect_ratio` has to be
there unless a first frame gives the shape. Not sent: elements, shots, clips to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.providers.kling.words import address, card_of, pictures, said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES = {
    "prompt": "prompt",
    "aspect_ratio": "aspect_ratio",
    "duration_s": "duration",
    "mode": "mode",
    "sound": "sound",
    "extend_direction": "",
}
ROLES = frozenset({"references", "first_frame", "last_frame", "video"})
MOST_IMAGES = {False: 7, True: 4}
"""Pictures without and with a clip."""
_RATIOS = {"16:9": 16 / 9, "1:1": 1.0, "9:16": 9 / 16}
_SHOTS = {"end": "next", "start": "previous"}


def body(order: Order) -> dict[str, Any]:
    """Plain pictures come first, for prompts number them; frames after them.

    Raises:
        NotSupported: too many pictures, or too long a prompt with the words of an extension; nothing was sent.
    """
    images = [{"image_url": image} for image in pictures(order, "reference")]
    images += [{"image_url": image, "type": "first_frame"} for image in pictures(order, "first_frame")]
    images += [{"image_url": image, "type": "end_frame"} for image in pictures(order, "last_frame")]
    clips = [{"video_url": address(sent), "refer_type": "feature"} for sent in order.of("video")]
    _check(order, len(images), has_clip=bool(clips))
    media = {"image_list": images, "video_list": clips}
    given = {name: rows for name, rows in media.items() if rows}
    return {**said(order, TAKES), "prompt": spoken(order, "<<<video_1>>>"), **ratio(order), **given}


def spoken(order: Order, clip: str) -> str:
    """The prompt; of an extension with the words that ask for it.

    Raises:
        NotSupported: it is too long with them.
    """
    prompt = str(order.planned.parameters.get("prompt", ""))
    if not order.of("video"):
        return prompt
    shot = _SHOTS[str(order.planned.parameters.get("extend_direction", "end"))]
    asked = f"Based on {clip}, generate the {shot} shot: {prompt}"
    card = card_of(order)
    if card.max_prompt is not None and len(asked) > card.max_prompt:
        raise NotSupported("prompt_too_long", model=card.id, over=len(asked) - card.max_prompt, limit=card.max_prompt)
    return asked


def ratio(order: Order) -> dict[str, str]:
    """The shape as asked for, else that of the clip that goes on, else 16:9; a first frame brings its own."""
    asked = order.planned.parameters.get("aspect_ratio")
    if asked or order.of("first_frame"):
        return {"aspect_ratio": asked} if asked else {}
    sides = [sent.item.width / sent.item.height for sent in order.of("video") if sent.item.width and sent.item.height]
    shape = sides[0] if sides else _RATIOS["16:9"]
    return {"aspect_ratio": min(_RATIOS, key=lambda name: abs(_RATIOS[name] - shape))}


def _check(order: Order, count: int, *, has_clip: bool) -> None:
    if count > MOST_IMAGES[has_clip]:
        facts: dict[str, Any] = {"model": order.planned.model, "count": count, "limit": MOST_IMAGES[has_clip]}
        raise NotSupported("too_many_references", **facts)
