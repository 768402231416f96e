"""Room: sandbox. What each call of Stability's v2beta takes (OpenAPI document, read 2026-11-21), and what is wrong.

Unknown fields and empty texts are taken, as live. Pictures: png, jpeg or webp, sides of at least 64 pixels, 4,096 to
9,437,184 pixels; where the table says so another limit, or a ratio of 1:2.5 to 2.5:1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hoasi.sandbox.easel import size_of

MOST_PIXELS, LEAST_PIXELS, LEAST_SIDE, MOST_RATIO = 9_437_184, 4096, 64, 2.5
MEGAPIXEL = 1024 * 1024
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
RATIOS = ("1:1", "16:9", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
STYLES = (
    "3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art", "isometric",
    "line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic", "pixel-art", "tile-texture",
)  # fmt: skip
FORMATS = ("png", "jpeg", "webp")
CHOICES: dict[str, tuple[str, ...]] = {
    "aspect_ratio": RATIOS,
    "style_preset": STYLES,
    "output_format": FORMATS,
    "mode": ("text-to-image", "image-to-image"),
    "model": ("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium"),
    "keep_original_background": ("true", "false"),
    "light_source_direction": ("left", "right", "above", "below"),
}
UNIT = (0.0, 1.0)
RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 4_294_967_294),
    **dict.fromkeys(("strength", "creativity", "control_strength", "fidelity", "style_strength"), UNIT),
    **dict.fromkeys(("composition_fidelity", "preserve_original_subject", "original_background_depth"), UNIT),
    "light_source_strength": UNIT,
    "change_strength": (0.1, 1.0),
    "cfg_scale": (1, 10),
    "grow_mask": (0, 20),
    **dict.fromkeys(("left", "right", "up", "down"), (0, 2000)),
}
_COMMON = ("negative_prompt", "seed", "output_format", "style_preset")


@dataclass(frozen=True)
class Call:
    """One path: what it needs and takes besides what is common, its credits, and whether it answers with an id."""

    path: str
    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    credits: float = 5
    is_async: bool = False
    most_pixels: int = MOST_PIXELS
    formats: tuple[str, ...] = FORMATS
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scale: int = 1

    @property
    def pictures(self) -> tuple[str, ...]:
        """Return the names of its fields that are files."""
        return tuple(name for name in (*self.needs, *self.takes) if name in PICTURES)

    def problems(self, texts: Mapping[str, str], files: Mapping[str, bytes]) -> Iterator[str]:
        """Yield what is wrong with a form."""
        given = {name for name, text in texts.items() if text} | set(files)
        yield from (f"{name}: is required" for name in self.needs if name not in given)
        for name, text in texts.items():
            if text and name in CHOICES and text.lower() not in self._choices(name):
                yield f"{name}: must be one of {', '.join(self._choices(name))}"
            if text and name in RANGES and not _is_within(text, self.ranges.get(name, RANGES[name])):
                yield f"{name}: must be between {RANGES[name][0]:g} and {RANGES[name][1]:g}"
        yield from (f"{name}: {wrong}" for name in files for wrong in self._misfit(files[name]))
        yield from _apart(self.path, texts, given)

    def unknown(self, names: set[str]) -> list[str]:
        """List fields that the call does not know; the live service takes them without a word."""
        return sorted(names - {*self.needs, *self.takes, *_COMMON})

    def _choices(self, name: str) -> tuple[str, ...]:
        return self.formats if name == "output_format" else CHOICES[name]

    def _misfit(self, content: bytes) -> Iterator[str]:
        size = size_of(content) if content.startswith(MAGIC) else None
        if size is None:
            yield "must be a png, jpeg or webp picture"
            return
        if min(size) < LEAST_SIDE or not LEAST_PIXELS <= size[0] * size[1] <= self.most_pixels:
            yield f"must have sides of at least {LEAST_SIDE} and at most {self.most_pixels} pixels"
        if max(size) > MOST_RATIO * min(size):
            yield "must have an aspect ratio between 1:2.5 and 2.5:1"


def _is_within(text: str, bounds: tuple[float, float]) -> bool:
    try:
        return bounds[0] <= float(text) <= bounds[1]
    except ValueError:
        return False


def _apart(path: str, texts: Mapping[str, str], given: set[str]) -> Iterator[str]:
    """Yield what does not go together."""
    if "light_source_strength" in given and not given & {"light_source_direction", "light_reference"}:
        yield "light_source_strength: needs light_source_direction or light_reference"
    if "relight" in path and not given & {"background_prompt", "background_reference"}:
        yield "background_prompt: is required unless background_reference is given"
    if path.startswith("generate/") and ("image" in given) != ("strength" in given):
        yield "strength: is required with image, and only then"
    if path == "generate/sd3" and ("image" in given) != (texts.get("mode") == "image-to-image"):
        yield "mode: must be image-to-image with an image, and only then"
    if path == "generate/sd3" and {"image", "aspect_ratio"} <= given:
        yield "aspect_ratio: is not allowed in image-to-image mode"
    if path == "edit/outpaint" and not any(float(texts.get(side) or 0) for side in ("left", "right", "up", "down")):
        yield "left, right, up, down: at least one must be more than 0"


PICTURES = frozenset(
    {"image", "mask", "subject_image", "background_reference", "light_reference", "init_image", "style_image"}
)
_P, _I, _IP = ("prompt",), ("image",), ("image", "prompt")
_LIGHT = (
    "background_prompt", "background_reference", "foreground_prompt", "preserve_original_subject",
    "original_background_depth", "keep_original_background", "light_source_direction", "light_reference",
    "light_source_strength",
)  # fmt: skip
_SD3 = ("aspect_ratio", "mode", "image", "strength", "model", "cfg_scale")
CALLS = {
    call.path: call
    for call in (
        Call("generate/core", _P, ("aspect_ratio",), 3),
        Call("generate/ultra", _P, ("aspect_ratio", "image", "strength"), 8),
        Call("generate/sd3", _P, _SD3, 6.5, formats=("png", "jpeg")),
        Call("edit/erase", _I, ("mask", "grow_mask")),
        Call("edit/inpaint", _IP, ("mask", "grow_mask"), ranges={"grow_mask": (0, 100)}),
        Call("edit/outpaint", _I, ("left", "right", "up", "down", "creativity", "prompt"), 4),
        Call("edit/search-and-replace", (*_IP, "search_prompt"), ("grow_mask",)),
        Call("edit/search-and-recolor", (*_IP, "select_prompt"), ("grow_mask",)),
        Call("edit/remove-background", _I, most_pixels=4_194_304, formats=("png", "webp")),
        Call("edit/replace-background-and-relight", ("subject_image",), _LIGHT, 8, is_async=True),
        Call("control/sketch", _IP, ("control_strength",)),
        Call("control/structure", _IP, ("control_strength",)),
        Call("control/style", _IP, ("fidelity", "aspect_ratio")),
        Call(
            "control/style-transfer",
            ("init_image", "style_image"),
            ("prompt", "style_strength", "composition_fidelity", "change_strength"),
            8,
        ),
        Call("upscale/fast", _I, (), 2, most_pixels=MEGAPIXEL, scale=4),
        Call("upscale/conservative", _IP, ("creativity",), 40, ranges={"creativity": (0.2, 0.5)}, scale=2),
        Call(
            "upscale/creative",
            _IP,
            ("creativity",),
            60,
            is_async=True,
            most_pixels=MEGAPIXEL,
            ranges={"creativity": (0.1, 0.5)},
            scale=4,
        ),
    )
}
