"""Translator for Kling: bodies of the new standard: words, frames, pictures, clips, movements (read 2026-11-21).

`POST /text-to-video/{model}`, `/image-to-video/{model}`, `/omni-video/{model}`, `/motion-control/{model}`. All but the
first tell their inputs as `contents`; pictures and clips that a prompt speaks of carry an id there (`@image_1`).
Uncertain: whether `contents` take base64 as v1 does (the pages say URL or base64 of images in general).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.providers.kling import motion_control, omni_video
from hoasi.providers.kling.words import address, pictures

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

SETTINGS = {
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "duration_s": "duration",
    "sound": "audio",
    "multi_shot": "multi_shot",
    "character_orientation": "character_orientation",
    "keep_original_sound": "audio",
}
TAKES = {**SETTINGS, "prompt": "", "extend_direction": ""}
ROLES = frozenset({"references", "first_frame", "last_frame", "video"})
_AUDIO = {
    ("sound", True): "native",
    ("sound", False): "off",
    ("keep_original_sound", True): "original",
    ("keep_original_sound", False): "off",
}


def text_to_video(order: Order) -> dict[str, Any]:
    """Nothing but words."""
    return {"prompt": order.planned.parameters["prompt"], "settings": settings(order)}


def image_to_video(order: Order) -> dict[str, Any]:
    """First and last frame."""
    prompt = str(order.planned.parameters.get("prompt", ""))
    return {"contents": [*_prompt(prompt), *_frames(order)], "settings": settings(order)}


def omni(order: Order) -> dict[str, Any]:
    """Words, frames, pictures, or a clip that goes on."""
    clips = [{"type": "feature_video", "url": address(sent), "id": "video_1"} for sent in order.of("video")]
    named = pictures(order, "reference")
    images = [{"type": "refer_image", "url": url, "id": f"image_{k}"} for k, url in enumerate(named, 1)]
    words = _prompt(omni_video.spoken(order, "@video_1"))
    return {
        "contents": [*words, *images, *_frames(order), *clips],
        "settings": {**settings(order), **omni_video.ratio(order)},
    }


def motion(order: Order) -> dict[str, Any]:
    """A person moves like a clip."""
    motion_control.check(order)
    images = [{"type": "image", "url": url} for url in pictures(order, "reference")]
    clips = [{"type": "video", "url": address(sent)} for sent in order.of("video")]
    prompt = str(order.planned.parameters.get("prompt", ""))
    return {"contents": [*_prompt(prompt), *images, *clips], "settings": settings(order)}


def settings(order: Order) -> dict[str, Any]:
    """Our parameters under their names there. A word that is not known stops here, unsent."""
    values = order.planned.parameters
    return {TAKES[name]: _AUDIO.get((name, value), value) for name, value in values.items() if TAKES[name]}


def _prompt(text: str) -> list[dict[str, Any]]:
    return [{"type": "prompt", "text": text}] if text else []


def _frames(order: Order) -> list[dict[str, Any]]:
    kinds = [("first_frame", url) for url in pictures(order, "first_frame")]
    kinds += [("last_frame", url) for url in pictures(order, "last_frame")]
    return [{"type": kind, "url": url} for kind, url in kinds]
