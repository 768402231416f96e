"""Room: sandbox. What OpenAI's image models take, field by field (openai 3.52.0, developers.openai.com, 2026-11-21).

The first thing wrong is the answer. Sizes: both sides multiples of 16, at most 3840, 655,360 to 8,294,400 pixels, ratio
at most 3:1. Not built, answered as bad values: the formats gif and svg, and `markup`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hoasi.sandbox.gate import Refusal
from hoasi.sandbox.openai_errors import refusal

SHUT_DOWN = {
    "dall-e-2": "2026-05-12",
    "dall-e-3": "2026-05-12",
    "gpt-image-1": "2026-10-23",
}
_NEW = ("auto", "low", "medium", "high", "xhigh", "max")
QUALITIES: dict[str, tuple[str, ...]] = {
    "gpt-image-2": _NEW[:4],
    "gpt-image-2.5-sunburst": _NEW,
    "gpt-image-2.5-flare": _NEW,
    "gpt-image-2.6-sunburst": _NEW,
    "gpt-image-2.6-flare": _NEW,
}
_CHOICES = {
    "output_format": ("png", "jpeg", "webp"),
    "background": ("auto", "opaque", "transparent"),
    "moderation": ("auto", "low"),
    "complexity": ("low", "medium", "high"),
}
_NUMBERS = {"n": (1, 10), "output_compression": (0, 100), "partial_images": (0, 3)}
_OTHERS = {"model", "prompt", "size", "quality", "stream", "safety_identifier", "user"}
FIELDS = frozenset({*_CHOICES, *_NUMBERS, *_OTHERS})
_SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
_USUAL = (1024, 1024)
MOST_WORDS = 32_000


def read(body: Mapping[str, Any], *, is_form: bool = False) -> dict[str, Any]:
    """Return the fields of a request, those of a form as what they mean. Raises Refusal for the first wrong one."""
    model = body.get("model")
    if not isinstance(model, str) or model not in QUALITIES:
        raise _no_model(model)
    if body.get("input_fidelity") is not None:
        raise refusal("invalid_input_fidelity_model", param="input_fidelity")
    found = {name: _meant(name, value) if is_form else value for name, value in body.items() if value is not None}
    for name, value in found.items():
        _check(name, value, QUALITIES[model])
    _check_whole(found)
    return found


def _no_model(model: object) -> Refusal:
    if isinstance(model, str) and model in SHUT_DOWN:
        learn = "Learn more: https://platform.openai.com/docs/deprecations"
        return refusal("model_not_found", f"The model `{model}` has been deprecated. {learn}")
    return refusal("model_not_found", f"The model '{model}' does not exist", "model")


def _meant(name: str, text: str) -> Any:
    """Return what a part of a form says."""
    if name == "stream":
        return {"true": True, "false": False}.get(text.lower(), text)
    return int(text) if name in _NUMBERS and text.isascii() and text.isdigit() else text


def _check(name: str, value: Any, qualities: tuple[str, ...]) -> None:
    if name not in FIELDS:
        raise refusal("unknown_parameter", f"Unknown parameter: '{name}'.", name)
    choices = qualities if name == "quality" else _CHOICES.get(name)
    if choices is not None and value not in choices:
        raise refusal("invalid_value", f"Invalid value: '{value}'. Supported values are: {choices}.", name)
    if name in _NUMBERS and not _is_within(value, *_NUMBERS[name]):
        raise refusal("invalid_value", f"Invalid value: '{value}'. Expected {_NUMBERS[name]}.", name)
    if name == "size":
        size_of(value)


def _is_within(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_whole(body: Mapping[str, Any]) -> None:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise refusal("missing_required_parameter", param="prompt")
    if len(prompt) > MOST_WORDS:
        raise refusal("string_above_max_length", param="prompt")
    form = body.get("output_format", "png")
    if (body.get("background"), form) == ("transparent", "jpeg"):
        raise refusal("invalid_value", "Transparent background is not supported for jpeg", "background")
    if "output_compression" in body and form == "png":
        raise refusal("invalid_value", "output_compression is for jpeg and webp", "output_compression")
    if "partial_images" in body and body.get("stream") is not True:
        raise refusal("invalid_value", "partial_images needs stream", "partial_images")


def size_of(text: object) -> tuple[int, int]:
    """Return the sides of a size, the usual ones for `auto`. Raises Refusal (400) for one that no model draws."""
    if text in {None, "auto"}:
        return _USUAL
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise refusal("invalid_size", f"Invalid size '{text}'", "size")
    width, height = int(match[1]), int(match[2])
    is_drawn = width % 16 == height % 16 == 0 and max(width, height) <= min(3840, 3 * min(width, height))
    if not is_drawn or not 655_360 <= width * height <= 8_294_400:
        raise refusal("invalid_size", f"Invalid size '{text}'", "size")
    return width, height
