"""Room: sandbox. From a fal input to pictures and to the output JSON of its endpoint.

Sizes: fal's `image_size` names as documented; `aspect_ratio` at 1K as nano-banana draws it, read 2026-11-21.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hoasi.sandbox.easel import SIDES, Format, Recipe
from hoasi.sandbox.fal_inputs import Schema

Size = tuple[int, int]

IMAGE_SIZES: dict[str, Size] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
RATIO_SIZES: dict[str, Size] = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
SCALES = {"0.5K": 0.5, "1K": 1, "2K": 2, "3K": 3, "4K": 4}
FORMATS: dict[str, Format] = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
REFERENCE_FIELD = re.compile(r"(?:^|_)(?:image|picture|frame)s?_urls?$")
_SIDE = 1024
_STEP = 16
_AUTO = re.compile(r"auto(?:_(\dK))?")
_PIXELS = re.compile(r"(\d+)x(\d+)")
_SEED_STEP = 2_654_435_761  # spreads submission numbers over the seeds, the same way in every run


@dataclass(frozen=True)
class Picture:
    """One finished picture as the output tells of it."""

    url: str
    name: str
    recipe: Recipe
    size_bytes: int

    def facts(self) -> dict[str, Any]:
        """Return fal's image record."""
        return {
            "url": self.url,
            "content_type": f"image/{self.recipe.format}",
            "file_name": self.name,
            "file_size": self.size_bytes,
            "width": self.recipe.width,
            "height": self.recipe.height,
        }


def references(body: Mapping[str, Any]) -> list[str]:
    """List the pictures an input refers to, in the order given."""
    found = [body[name] for name in body if REFERENCE_FIELD.search(name)]
    urls = [url for value in found for url in (value if isinstance(value, list) else [value])]
    return [url for url in urls if isinstance(url, str)]


def asked_size(wanted: Mapping[str, Any], reference: Size | None) -> Size:
    """Return the size in pixels that an input (with defaults) asks for; `auto` follows the first reference."""
    size, ratio = wanted.get("image_size"), wanted.get("aspect_ratio")
    scale = SCALES.get(str(wanted.get("resolution", "1K")).upper(), 1)
    if isinstance(size, Mapping):
        return int(size.get("width", 512)), int(size.get("height", 512))
    if size in IMAGE_SIZES:
        return IMAGE_SIZES[size]
    if pixels := _PIXELS.fullmatch(str(size)):
        return int(pixels[1]), int(pixels[2])
    if auto := _AUTO.fullmatch(str(size)):
        return _shaped(reference or (1, 1), SCALES[auto[1] or "1K"])
    if isinstance(ratio, Mapping):
        ratio = ratio.get("ratio", "1:1")
    return _by_ratio(ratio, reference, scale) if isinstance(ratio, str) else reference or (_SIDE, _SIDE)


def _by_ratio(ratio: str, reference: Size | None, scale: float) -> Size:
    if ratio in RATIO_SIZES:
        width, height = RATIO_SIZES[ratio]
        return round(width * scale), round(height * scale)
    across, _, down = ratio.partition(":")
    shape = (int(across), int(down)) if across.isdigit() and down.isdigit() else reference
    return _shaped(shape or (1, 1), scale)


def _shaped(shape: Size, scale: float) -> Size:
    """Return about one megapixel times scale squared, in steps as models like them."""
    ratio = math.sqrt(shape[0] / shape[1])
    side = _SIDE * scale / _STEP
    return max(1, round(side * ratio)) * _STEP, max(1, round(side / ratio)) * _STEP


def seed_of(body: Mapping[str, Any], number: int) -> int:
    """Return the seed asked for (0 is one), or one of our choice that is the same in every run."""
    asked = body.get("seed")
    return asked if isinstance(asked, int) else number * _SEED_STEP % 2**31


def recipes(
    schema: Schema, body: Mapping[str, Any], number: int, fate: str | None, reference: Size | None
) -> list[Recipe]:
    """Return what is to be drawn for an input."""
    wanted = schema.with_defaults(body)
    width, height = (min(max(side, SIDES[0]), SIDES[-1]) for side in asked_size(wanted, reference))
    if fate == "landscape":
        width, height = widened(width, height)
    count = int(wanted.get("num_images", 1)) if "images" in schema.outputs else 1
    drawn = Recipe(
        style="blank" if fate == "blank" else "storyboard",
        width=width,
        height=height,
        format=FORMATS.get(str(wanted.get("output_format")), "png"),
        seed=seed_of(body, number),
        prompt=str(wanted.get("prompt", "")),
        count=count,
        references=len(references(body)),
    )
    return [replace(drawn, index=index) for index in range(count)]


def widened(width: int, height: int) -> Size:
    """Return the size that the fate `landscape` makes of another."""
    return (max(width, height), min(width, height)) if width != height else (width, width * 9 // 16)


def output(
    schema: Schema, body: Mapping[str, Any], seed: int, pictures: Sequence[Picture], took_s: float
) -> dict[str, Any]:
    """Return the result JSON with exactly the names that the endpoint's schema lists."""
    images = [picture.facts() for picture in pictures]
    prompt = str(body.get("prompt", ""))
    makers: dict[str, Callable[[], Any]] = {
        "images": lambda: images,
        "image": lambda: images[0],
        "description": lambda: f"Sandbox drawing of: {prompt}",
        "seed": lambda: seed,
        "prompt": lambda: prompt,
        "actual_prompt": lambda: prompt,
        "revised_prompt": lambda: prompt,
        "generated_text": lambda: "",
        "timings": lambda: {"inference": took_s},
        "has_nsfw_concepts": lambda: [False] * len(images),
    }
    return {name: makers[name]() for name in schema.outputs}
