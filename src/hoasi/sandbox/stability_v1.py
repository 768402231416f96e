"""Room: sandbox. What Stability's v1 takes and gives: SDXL 1.0, JSON both ways (OpenAPI of v1, read 2026-11-21)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from hoasi.sandbox.stability_fields import STYLES

ENGINES = ("stable-diffusion-xl-1024-v1-0", "stable-diffusion-v1-6")
SDXL_SIZES = frozenset(
    {
        (1024, 1024), (1152, 896), (1216, 832), (1344, 768), (1536, 640),
        (640, 1536), (768, 1344), (832, 1216), (896, 1152),
    }
)  # fmt: skip
DEFAULTS: dict[str, Any] = {"width": 1024, "height": 1024, "cfg_scale": 7, "steps": 30, "samples": 1, "seed": 0}
_RANGES: dict[str, tuple[float, float, str]] = {
    "cfg_scale": (0, 35, "invalid_cfg_scale"),
    "steps": (10, 50, "bad_request"),
    "samples": (1, 10, "invalid_samples"),
    "seed": (0, 4_294_967_295, "bad_request"),
}


def problem(engine: str, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return name and message of the first thing that is wrong with a body (defaults filled in); None if nothing is."""
    prompts = body.get("text_prompts")
    if not isinstance(prompts, list) or not prompts or not all(_is_prompt(row) for row in prompts):
        return "invalid_prompts", "text_prompts: must be 1 or more prompts of at most 2000 characters"
    size = (body["width"], body["height"])
    if engine == ENGINES[0] and size not in SDXL_SIZES:
        return "invalid_sdxl_v1_dimensions", "for stable-diffusion-xl-1024-v1-0 the allowed dimensions are fixed"
    if any(side % 64 or not 320 <= side <= 1536 for side in size):
        return "invalid_height_or_width", "height and width must be multiples of 64"
    for name, (least, most, kind) in _RANGES.items():
        if not isinstance(body[name], int | float) or not least <= body[name] <= most:
            return kind, f"{name}: must be between {least:g} and {most:g}"
    if body.get("style_preset") not in (None, *STYLES):
        return "bad_request", "style_preset: is not one of the presets"
    return None


def _is_prompt(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("text"), str) and 0 < len(row["text"]) <= 2000


def artifact(picture: bytes, seed: int, reason: str) -> dict[str, Any]:
    """Return one picture of an answer."""
    return {"base64": base64.b64encode(picture).decode(), "seed": seed, "finishReason": reason}
