"""Room: sandbox. What each Seedream model of Ark takes (section 2 of the wire notes, read 2026-11-21).

A field that a model lacks is refused by name, `"disabled"` too; a null counts as not there. Model ids with and without
`doubao-` are the same here, and an endpoint id (`ep-...`) is 4.0: which model stands behind it only its owner knows.
Uncertain: the most pixels of 5.0 lite, and 10 or 14 references.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hoasi.sandbox.easel import size_of

MOST_TOGETHER = 15  # references and pictures made
MOST_RATIO = 16.0
MOST_BYTES = 10_000_000
MOST_PIXELS = 36_000_000
_CLASSES = {"1K": 1024, "1.5K": 1536, "2K": 2048, "3K": 3072, "4K": 4096}
_PIXELS = re.compile(r"(\d+)x(\d+)")
_DATA = re.compile(r"data:image/[a-z]+;base64,(.+)", re.DOTALL)

Wrong = tuple[str, str]


@dataclass(frozen=True)
class Model:
    """One model: its size classes, the pixels that WxH may have, its references, and which fields it lacks."""

    classes: tuple[str, ...]
    pixels: tuple[int, int]
    references: int
    has_groups: bool
    formats: tuple[str, ...] = ()

    def problems(self, body: Mapping[str, Any]) -> Iterator[Wrong]:
        """Yield field and message of what is wrong with a body without nulls."""
        if not str(body.get("prompt", "")).strip():
            yield "prompt", "the prompt is required"
        for name in ("stream", "sequential_image_generation", "sequential_image_generation_options"):
            if name in body and not self.has_groups and body[name] is not False:
                yield name, f"{name} is not supported by this model"
        if "output_format" in body and body["output_format"] not in self.formats:
            yield "output_format", "the output format is not supported by this model"
        yield from self._wrong_size(str(body.get("size", "2K")))
        yield from self._wrong_pictures(body)

    def size(self, wanted: str) -> tuple[int, int]:
        """Return the pixels of a size that is in order; of a class alone the model takes a square here."""
        match = _PIXELS.fullmatch(wanted)
        return (int(match[1]), int(match[2])) if match else (_CLASSES[wanted], _CLASSES[wanted])

    def _wrong_size(self, wanted: str) -> Iterator[Wrong]:
        match = _PIXELS.fullmatch(wanted)
        if match is None:
            if wanted not in self.classes:
                yield "size", f"size must be one of {', '.join(self.classes)} or WIDTHxHEIGHT"
            return
        width, height = int(match[1]), int(match[2])
        if not self.pixels[0] <= width * height <= self.pixels[1]:
            yield "size", f"image size must be at least {self.pixels[0]} and at most {self.pixels[1]} pixels"
        elif max(width, height) > MOST_RATIO * min(width, height):
            yield "size", "the aspect ratio must be between 1/16 and 16"

    def _wrong_pictures(self, body: Mapping[str, Any]) -> Iterator[Wrong]:
        pictures, most = pictures_of(body), most_images(body)
        if len(pictures) > self.references:
            yield "image", f"at most {self.references} reference images"
        if not 1 <= most <= MOST_TOGETHER:
            yield "sequential_image_generation_options.max_images", "max_images must be between 1 and 15"
        elif most > 1 and len(pictures) + most > MOST_TOGETHER:
            yield "image", f"reference images and generated images must not exceed {MOST_TOGETHER}"
        yield from (("image", wrong) for picture in pictures if (wrong := _misfit(picture)))


def _misfit(picture: str) -> str | None:
    """Say what is wrong with a picture; other hosts are out of reach for a sandbox."""
    if picture.startswith(("http://", "https://")):
        return None
    match = _DATA.fullmatch(picture)
    content = _decoded(match[1]) if match else None
    size = size_of(content) if content and len(content) <= MOST_BYTES else None
    if size is None or min(size) <= 14 or size[0] * size[1] > MOST_PIXELS:
        return "the image must be a URL or data:image/<format>;base64, of at most 10 MB and 36 megapixels"
    return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def pictures_of(body: Mapping[str, Any]) -> list[str]:
    """List the references: one text, or a list of them."""
    given = body.get("image", [])
    return [str(picture) for picture in (given if isinstance(given, list) else [given])]


def most_images(body: Mapping[str, Any]) -> int:
    """Return how many pictures are asked for at most."""
    if body.get("sequential_image_generation", "disabled") != "auto":
        return 1
    return int((body.get("sequential_image_generation_options") or {}).get("max_images", 15))


_SMALL, _LARGE = (921_600, 16_777_216), (3_686_400, 16_777_216)
_NEW = Model(("1K", "1.5K", "2K"), (921_600, 4_624_220), 10, has_groups=False, formats=("png", "jpeg"))
MODELS: dict[str, Model] = {
    "seedream-4-0-250828": Model(("1K", "2K", "4K"), _SMALL, 14, has_groups=True),
    "seedream-4-5-251128": Model(("2K", "4K"), _LARGE, 14, has_groups=True),
    "seedream-5-0-260128": Model(("2K", "3K", "4K"), _LARGE, 14, has_groups=True, formats=("png", "jpeg")),
    "seedream-5-0-pro-260628": _NEW,
    "seedream-5-0-flash-260915": _NEW,
    "seedream-5-5-261028": _NEW,
}


def model_of(name: str) -> Model | None:
    """Find a model by its id on either platform, or by an endpoint's."""
    if name.startswith("ep-"):
        return MODELS["seedream-4-0-250828"]
    return MODELS.get(name.removeprefix("doubao-").removeprefix("dola-"))
