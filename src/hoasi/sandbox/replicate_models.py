"""Room: sandbox. Some of Replicate's models with their input schemas (pages of the models, 2026-11-21, in part).

Two of `acme` are made up: no card knows them, and one gives an object where others give an address or a list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Makes = Literal["picture", "pictures", "object", "clip", "text"]
SDXL = "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}
_TEXT, _FLAG = {"type": "string"}, {"type": "boolean"}
_FILE, _FILES = {"type": "string", "format": "uri"}, {"type": "array", "items": {"type": "string", "format": "uri"}}
_RATIOS = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5")


def _whole(least: int | None = None, most: int | None = None) -> dict[str, Any]:
    bounds = {"minimum": least, "maximum": most}
    return {"type": "integer", **{name: value for name, value in bounds.items() if value is not None}}


def _one_of(*values: Any) -> dict[str, Any]:
    return {"type": "integer" if isinstance(values[0], int) else "string", "enum": list(values)}


@dataclass(frozen=True)
class Model:
    """One model: its inputs, those it needs, what it gives."""

    id: str
    inputs: Mapping[str, Mapping[str, Any]]
    makes: Makes
    is_official: bool = True
    required: tuple[str, ...] = ("prompt",)
    version: str = ""

    @property
    def number(self) -> str:
        """Return the id of its only version."""
        return self.version or hashlib.sha256(self.id.encode()).hexdigest()

    def described(self) -> dict[str, Any]:
        """Return its version as the API tells it: lists of values stand apart and are referred to."""
        lists = {name: form for name, form in self.inputs.items() if "enum" in form}
        shown = {name: {"allOf": [{"$ref": f"#/components/schemas/{name}"}]} for name in lists}
        inputs = {"type": "object", "properties": {**self.inputs, **shown}, "required": list(self.required)}
        return {"id": self.number, "openapi_schema": {"components": {"schemas": {"Input": inputs, **lists}}}}

    def problems(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with an input, by field. Unknown fields are let through, as on the live service."""
        for name in self.required:
            if given.get(name) is None:
                yield name, "is required"
        for name, value in given.items():
            if name in self.inputs and (wrong := _wrong(value, self.inputs[name])):
                yield name, wrong


def _wrong(value: Any, form: Mapping[str, Any]) -> str:
    kind = str(form["type"])
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return f"Invalid type. Expected: {kind}"
    if "enum" in form and value not in form["enum"]:
        return f"{value} is not one of {form['enum']}"
    if "minimum" in form and value < form["minimum"]:
        return f"Must be greater than or equal to {form['minimum']}"
    return f"Must be less than or equal to {form['maximum']}" if "maximum" in form and value > form["maximum"] else ""


_FLUX = {
    "prompt": _TEXT,
    "aspect_ratio": _one_of(*_RATIOS, "21:9", "9:21", "custom"),
    "seed": _whole(),
    "output_format": _one_of("webp", "jpg", "png"),
    "output_quality": _whole(0, 100),
}
_KLING = {
    "prompt": _TEXT,
    "negative_prompt": _TEXT,
    "start_image": _FILE,
    "end_image": _FILE,
    "duration": _one_of(5, 10),
}
_OPEN = {**_KLING, "aspect_ratio": _one_of("16:9", "9:16", "1:1")}
_LISTED = (
    Model(
        "black-forest-labs/flux-1.1-pro",
        {
            **_FLUX,
            "image_prompt": _FILE,
            "width": _whole(256, 1440),
            "height": _whole(256, 1440),
            "safety_tolerance": _whole(1, 6),
            "prompt_upsampling": _FLAG,
        },
        "picture",
    ),
    Model("black-forest-labs/flux-dev", {**_FLUX, "num_outputs": _whole(1, 4)}, "pictures"),
    Model("black-forest-labs/flux-schnell", {**_FLUX, "num_outputs": _whole(1, 4)}, "pictures"),
    Model(
        "black-forest-labs/flux-2-pro",
        {
            **_FLUX,
            "input_images": _FILES,
            "aspect_ratio": _one_of("match_input_image", "custom", *_RATIOS),
            "resolution": _one_of("0.5 MP", "1 MP", "2 MP", "4 MP"),
        },
        "picture",
    ),
    Model(
        "google/nano-banana-pro",
        {
            "prompt": _TEXT,
            "image_input": _FILES,
            "aspect_ratio": _one_of("match_input_image", *_RATIOS, "21:9"),
            "resolution": _one_of("1K", "2K", "4K"),
            "output_format": _one_of("jpg", "png"),
        },
        "picture",
    ),
    Model(
        "bytedance/seedream-4",
        {
            "prompt": _TEXT,
            "image_input": _FILES,
            "size": _one_of("1K", "2K", "4K", "custom"),
            "width": _whole(1024, 4096),
            "height": _whole(1024, 4096),
            "aspect_ratio": _one_of("match_input_image", "1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "21:9"),
            "max_images": _whole(1, 15),
        },
        "pictures",
    ),
    Model(
        "stability-ai/sdxl",
        {
            "prompt": _TEXT,
            "negative_prompt": _TEXT,
            "image": _FILE,
            "mask": _FILE,
            "width": _whole(),
            "height": _whole(),
            "num_outputs": _whole(1, 4),
            "num_inference_steps": _whole(1, 500),
            "guidance_scale": {"type": "number", "minimum": 1, "maximum": 50},
            "seed": _whole(),
        },
        "pictures",
        is_official=False,
        required=(),
        version=SDXL,
    ),
    Model(
        "kwaivgi/kling-v2.1",
        {**_KLING, "mode": _one_of("standard", "pro")},
        "clip",
        required=("prompt", "start_image"),
    ),
    Model("kwaivgi/kling-v2.5-turbo-pro", _OPEN, "clip"),
    Model(
        "kwaivgi/kling-v2.6",
        {name: form for name, form in {**_OPEN, "generate_audio": _FLAG}.items() if name != "end_image"},
        "clip",
    ),
    Model(
        "acme/poster",
        {"text": _TEXT, "width": _whole(256, 1408), "height": _whole(256, 1408), "seed": _whole()},
        "object",
        is_official=False,
        required=("text",),
    ),
    Model(
        "acme/restyle",
        {"prompt": _TEXT, "input_image": _FILE, "style": _one_of("ink", "oil")},
        "picture",
        is_official=False,
        required=("prompt", "style"),
    ),
    Model("acme/talks", {"prompt": _TEXT}, "text"),
)
MODELS = {model.id: model for model in _LISTED}


def by_version(number: str) -> Model | None:
    """Find a model by the id of its version."""
    return next((model for model in _LISTED if model.number == number), None)
