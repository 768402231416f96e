"""Sizes and seeds (floor 2, pure): what the nodes accept, and a word to the caller where something was changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hoasi.errors import WrongInput
from hoasi.given import Input

STEP = 16
"""`EmptySD3LatentImage` counts in 16 pixels."""

SIDE = (16, 16384)
"""Smallest and largest side of a picture, in pixels."""

OURS = -1
"""The seed that asks for one of ours."""

SEEDS = 2**31 - 1
"""Seeds of ours lie below, as in the rest of the house; a caller's may be greater."""

MOST_SEED = 2**64 - 1
"""The greatest that the nodes take."""


def rounded(width: int, height: int, step: int = STEP) -> tuple[int, int]:
    """Both sides to the nearest multiple of `step` pixels that the nodes accept.

    Raises:
        WrongInput: `comfy_size_bad`: a side is outside of 16..16384.
    """
    if not all(SIDE[0] <= side <= SIDE[1] for side in (width, height)):
        raise WrongInput("comfy_size_bad", width=width, height=height, least=SIDE[0], most=SIDE[1])
    near = (max((side + step // 2) // step * step, -(-SIDE[0] // step) * step) for side in (width, height))
    across, down = (min(side, SIDE[1] // step * step) for side in near)
    return across, down


def resolved(seed: int | None, *facts: Any) -> int:
    """The seed itself, or for -1 and None one that follows from the facts: the same wish gives the same picture.

    Raises:
        WrongInput: `comfy_seed_bad`: outside of 0..2^64-1.
    """
    if seed is None or seed == OURS:
        text = json.dumps(facts, sort_keys=True, default=str)
        return int(hashlib.sha256(text.encode()).hexdigest(), 16) % SEEDS
    if not 0 <= seed <= MOST_SEED:
        raise WrongInput("comfy_seed_bad", value=seed, limit=MOST_SEED)
    return seed


def mask_must_fit(picture: Input, mask: Input) -> None:
    """The mask has the picture's size, in pixels as a viewer shows them.

    Raises:
        WrongInput: `mask_size`.
    """
    if (picture.width, picture.height) != (mask.width, mask.height):
        raise WrongInput(
            "mask_size", picture=picture.written, size=_shown(picture), mask=mask.written, other=_shown(mask)
        )


def _shown(picture: Input) -> str:
    return f"{picture.width}x{picture.height}"
