"""Floor 3, workflows: the preset skin_enhance."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

from hoasi.errors import WrongInput
from hoasi.records import Request
from hoasi.workflows._editing import Editing, masked
from hoasi.workflows._workflow import words


class SkinEnhance(Editing):
    """Retouch the skin in one portrait. Costs one picture a result.

    `intensity` is a step (natural, moderate, max) or 0 to 100, where these steps stand at 0, 50 and 100. Between two
    steps the prompt keeps the leading phrases of the lower one and takes the leading phrases of the upper one, each as
    many as its share of the way, rounded; numbers are never sent.
    """

    chooses: ClassVar[str] = "intensity"

    intensity: str | float = "natural"
    mask: str | None = None
    """A picture of the shape of the portrait: only what is white in it, or transparent, is painted anew."""

    def requests(self) -> tuple[Request, ...]:
        """The one edit."""
        template = words("skin_enhance")["template"]
        prompt = template.format(intensity=", ".join(blended(self.intensity)))
        return (self._edit(prompt, inputs=masked(self.mask)),)


def blended(intensity: str | float) -> list[str]:
    """The phrases of an intensity.

    Raises:
        WrongInput: neither a step nor 0 to 100.
    """
    steps = words("skin_enhance")["steps"]
    at = _at(intensity, steps)
    for lower, upper in pairwise(steps):
        if at <= upper["at"]:
            way = (at - lower["at"]) / (upper["at"] - lower["at"])
            return _leading(lower["phrases"], 1 - way) + _leading(upper["phrases"], way)
    raise _unknown(intensity, steps)


def _leading(phrases: list[str], share: float) -> list[str]:
    return phrases[: int(len(phrases) * share + 0.5)]


def _at(intensity: str | float, steps: list[dict[str, Any]]) -> float:
    named = {step["name"]: float(step["at"]) for step in steps}
    try:
        at = named.get(str(intensity).strip().lower())
        at = float(intensity) if at is None else at
    except ValueError as error:
        raise _unknown(intensity, steps) from error
    if not at >= steps[0]["at"]:  # nan is nowhere
        raise _unknown(intensity, steps)
    return at


def _unknown(intensity: str | float, steps: list[dict[str, Any]]) -> WrongInput:
    allowed = ", ".join([*(step["name"] for step in steps), f"{steps[0]['at']}-{steps[-1]['at']}"])
    return WrongInput("edit_value", parameter="intensity", value=str(intensity)[:80], allowed=allowed)
