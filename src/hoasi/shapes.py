"""Workbench (floor 1), pure: a ratio in the words of a model: a listed ratio, a named size, or exact pixels."""

from __future__ import annotations

import math
import re
from typing import Any

from hoasi.catalogue import Card, Sizes
from hoasi.errors import NotSupported, WrongInput
from hoasi.messages import say
from hoasi.records import Request

LEAST_SIDE, MOST_SIDE = 64, 4096
"""Sides, in pixels, of what results are cut and scaled to."""
FLATTEST = 1 / 8
"""Width by height of the narrowest picture; the flattest is as flat as this one is narrow."""


def size(ratio: str | None, card: Card) -> dict[str, Any]:
    """The parameter that tells the model the picture's shape; empty when none is asked for, or none can be told.

    Raises:
        NotSupported: the model has no such shape.
    """
    if ratio is None or card.sizes.kind == "none":
        return {}
    if ratio in card.sizes.ratios:
        return {"aspect_ratio": ratio}
    across, down = _sides(ratio, card)
    if card.sizes.kind == "image_size":
        return {"size": card.sizes.names.get(f"{across}:{down}") or _pixels(across, down, card)}
    if f"{across}:{down}" in card.sizes.ratios:
        return {"aspect_ratio": f"{across}:{down}"}
    near = min(card.sizes.ratios, key=lambda r: abs(math.log(_quotient(r) * down / across)), default="-")
    raise NotSupported(
        "ratio_not_supported", model=card.id, ratio=ratio, near=near, allowed=", ".join(card.sizes.ratios)
    )


def pixels(text: object) -> tuple[int, int] | None:
    """Width and height of `1920x1080`; None for anything else, and for what no picture of ours can be."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", str(text or "").strip().lower())
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    return size if min(size) >= LEAST_SIDE and max(size) <= MOST_SIDE else None


def exact(text: str | None, sizes: Sizes) -> str | None:
    """Exact pixels that a model of free sizes takes, as it writes them; None for everything else."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", (text or "").strip().lower())
    across, down = (int(match[1]), int(match[2])) if match else (0, 0)
    is_within = sizes.min_pixels <= across * down <= sizes.max_pixels and max(across, down) <= (sizes.longest or 0)
    is_even = is_within and across % sizes.step == down % sizes.step == 0
    return f"{across}x{down}" if is_even and max(across, down) <= sizes.flattest * min(across, down) else None


def class_of(resolution: str | None, sizes: Sizes) -> str | None:
    """The word for a resolution that exact pixels come to; others as they are."""
    if (pixels_of := exact(resolution, sizes)) is None:
        return resolution
    area = math.prod(map(int, pixels_of.split("x")))
    return next((name for name, most in sizes.classes.items() if area <= most), resolution)


def nearest(target: object, card: Card) -> str | None:
    """The model's ratio nearest to a size in pixels, from which it is cut and scaled here; None without a target.

    Raises:
        NotSupported: the target is no size.
    """
    if target is None:
        return None
    size = pixels(target)
    if size is None:
        allowed = f"{LEAST_SIDE}x{LEAST_SIDE}..{MOST_SIDE}x{MOST_SIDE}"
        facts: dict[str, Any] = {"model": card.id, "parameter": "target_size", "value": str(target)[:80]}
        raise NotSupported("value_not_supported", allowed=allowed, **facts)
    if card.sizes.kind == "image_size":
        shared = math.gcd(*size)
        return f"{size[0] // shared}:{size[1] // shared}"
    ratios = card.sizes.ratios or tuple(card.sizes.names)
    return min(ratios, key=lambda r: abs(math.log(_quotient(r) * size[1] / size[0])), default=None)


def fitting(ratio: str, card: Card) -> str | None:
    """The shape itself where the model has it, else the nearest that it has; None where it can be told none."""
    quotient = _quotient(ratio)
    if card.sizes.kind == "none" or not FLATTEST <= quotient <= 1 / FLATTEST:
        return None
    near = min(card.sizes.ratios, key=lambda r: abs(math.log(_quotient(r) / quotient)), default=ratio)
    is_free = card.sizes.kind == "image_size" or math.isclose(_quotient(near), quotient)
    return ratio if is_free else near


def told_shape(request: Request, card: Card) -> list[str]:
    """What became of the shape that it would rather have."""
    if not request.shape_from:
        return []
    wished, got = request.prefers.get("aspect_ratio"), request.aspect_ratio
    key = "not_told" if got is None else "taken" if got == wished else "nearest"
    return [say(f"note.job_shape.{key}", model=card.id, ratio=wished, got=got, file=request.shape_from)]


def _quotient(ratio: str) -> float:
    """Width by height; shapes without numbers (`auto`) are infinitely far from any."""
    across, _, down = ratio.partition(":")
    return int(across) / int(down) if across.isdigit() and down.isdigit() else 1e9


def _sides(ratio: str, card: Card) -> tuple[int, int]:
    """A ratio in lowest terms, but named as the world names it (21:9)."""
    match = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", ratio.strip())
    if match is None or not FLATTEST <= int(match[1]) / int(match[2]) <= 1 / FLATTEST:
        raise WrongInput("ratio_bad", ratio=ratio)
    across, down = int(match[1]), int(match[2])
    for known in (*card.sizes.ratios, *card.sizes.names):
        left, _, right = known.partition(":")
        if left.isdigit() and right.isdigit() and int(left) * down == int(right) * across:
            return int(left), int(right)
    shared = math.gcd(across, down)
    return across // shared, down // shared


def _pixels(across: int, down: int, card: Card) -> str:
    """`WxH` of exactly this ratio near the model's preferred area; rounded sides where no exact ones fit."""
    sizes = card.sizes
    step_across = across * sizes.step // math.gcd(across, sizes.step)
    step_down = down * sizes.step // math.gcd(down, sizes.step)
    unit = math.lcm(step_across // across, step_down // down)
    times = round(math.sqrt(sizes.pixels / (across * down * unit * unit)))
    width, height = across * unit * times, down * unit * times
    if not sizes.min_pixels <= width * height <= sizes.max_pixels:
        width, height = _rounded(across / down, sizes)
    return f"{width}x{height}"


def _rounded(quotient: float, sizes: Sizes) -> tuple[int, int]:
    width = math.sqrt(sizes.pixels * quotient)
    return round(width / sizes.step) * sizes.step, round(width / quotient / sizes.step) * sizes.step
