"""Room: sandbox. What Stability makes of an accepted form. Sizes: as documented for 16:9, others by area; uncertain."""

from __future__ import annotations

import math
from typing import Any

from hoasi.sandbox.easel import SIDES, Recipe, size_of
from hoasi.sandbox.line import Submission
from hoasi.sandbox.stability_fields import CALLS, MEGAPIXEL, PICTURES

FILTERED = "CONTENT_FILTERED"
_AREAS = {"generate/core": 2016 * 1152}
_EXACT = {("generate/core", "16:9"): (2016, 1152), ("generate/core", "9:16"): (1152, 2016)}
_STEP = 64
_LAST = 4_294_967_294
_SEED_STEP = 2_654_435_761  # spreads submission numbers over the seeds, the same way in every run


def is_filtered(submission: Submission) -> bool:
    """Say whether the content filter blurred it."""
    return submission.failure is not None and submission.failure.type == FILTERED


def recipe(submission: Submission) -> Recipe:
    """Return what a form of v2beta makes."""
    body = submission.body
    width, height = _seen(_size(submission.model, body), submission)
    return Recipe(
        style="blank" if submission.fate == "blank" else "storyboard",
        width=width,
        height=height,
        format=body.get("output_format") or "png",
        seed=_seed(body.get("seed"), submission.number),
        prompt=str(body.get("prompt") or body.get("background_prompt") or ""),
        references=len(PICTURES & set(body)),
    )


def v1_recipe(submission: Submission) -> Recipe:
    """Return what a body of v1 makes."""
    body = submission.body
    width, height = _seen((body["width"], body["height"]), submission)
    return Recipe(
        style="blank" if submission.fate == "blank" else "storyboard",
        width=width,
        height=height,
        format="png",
        seed=_seed(body["seed"], submission.number),
        prompt=body["text_prompts"][0]["text"],
        count=body["samples"],
    )


def _seed(asked: Any, number: int) -> int:
    """Return the seed asked for, or one of our choice: 0 is any."""
    return int(asked or 0) or number * _SEED_STEP % _LAST


def _size(path: str, body: Any) -> tuple[int, int]:
    """Return the size of an edit's picture, or one by ratio."""
    if path == "edit/outpaint":
        width, height = size_of(body["image"]) or (1024, 1024)
        left, right, up, down = (int(float(body.get(side) or 0)) for side in ("left", "right", "up", "down"))
        return width + left + right, height + up + down
    pictures = [body[name] for name in ("image", "subject_image", "init_image") if name in body]
    if pictures and path != "control/style":
        width, height = size_of(pictures[0]) or (1024, 1024)
        return width * CALLS[path].scale, height * CALLS[path].scale
    return _shaped(path, body.get("aspect_ratio") or "1:1")


def _shaped(path: str, ratio: str) -> tuple[int, int]:
    across, _, down = ratio.partition(":")
    root, side = math.sqrt(int(across) / int(down)), math.sqrt(_AREAS.get(path, MEGAPIXEL)) / _STEP
    return _EXACT.get((path, ratio), (round(side * root) * _STEP, round(side / root) * _STEP))


def _seen(size: tuple[int, int], submission: Submission) -> tuple[int, int]:
    """Return the size within what can be drawn, and wide where the fate says so."""
    width, height = (min(max(side, SIDES[0]), SIDES[-1]) for side in size)
    if submission.fate != "landscape":
        return width, height
    return (max(width, height), min(width, height)) if width != height else (width, width * 9 // 16)
