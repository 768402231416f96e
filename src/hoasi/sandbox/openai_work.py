"""Room: sandbox. What an OpenAI image model does with an accepted request: wait its turn, draw, count tokens.

Tokens: a word's about four letters; pictures that come in and go out have made-up but steady counts.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hoasi.sandbox.easel import Format, Recipe
from hoasi.sandbox.gate import Refusal
from hoasi.sandbox.openai_errors import details, error
from hoasi.sandbox.openai_fields import size_of

if TYPE_CHECKING:
    from hoasi.sandbox.line import Submission
    from hoasi.sandbox.sandbox import Sandbox

PICTURE_TOKENS = 323
DRAWN_TOKENS = {"low": 196, "medium": 439, "high": 1756, "xhigh": 3122, "max": 7024}
PARTIAL_TOKENS = 100
_FORMATS: dict[str, Format] = {"png": "png", "jpeg": "jpeg", "webp": "webp"}


@dataclass(frozen=True)
class Job:
    """One accepted request: its fields, how many pictures came with it, its place in the line, the kind of events."""

    body: Mapping[str, Any]
    pictures: int
    submission: Submission
    events: str

    @property
    def quality(self) -> str:
        """Return what `auto` resolves to."""
        asked = self.body.get("quality", "auto")
        return "medium" if asked == "auto" else str(asked)

    def facts(self) -> dict[str, Any]:
        """Return what was resolved."""
        width, height = size_of(self.body.get("size"))
        background = self.body.get("background", "auto")
        return {
            "background": "opaque" if background == "auto" else background,
            "output_format": self.body.get("output_format", "png"),
            "quality": self.quality,
            "size": f"{width}x{height}",
        }

    def usage(self, partial: int = 0) -> dict[str, Any]:
        """Return what is billed."""
        words = len(str(self.body["prompt"])) // 4 + 1
        given, made = self.pictures * PICTURE_TOKENS, DRAWN_TOKENS[self.quality] * self.body.get("n", 1)
        made += partial * PARTIAL_TOKENS
        return {
            "input_tokens": words + given,
            "input_tokens_details": {"text_tokens": words, "image_tokens": given},
            "output_tokens": made,
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
            "total_tokens": words + given + made,
        }

    def recipe(self, index: int, style: str = "storyboard") -> Recipe:
        """Return the picture with this number."""
        width, height = size_of(self.body.get("size"))
        fate = self.submission.fate
        return Recipe(
            style="blank" if fate == "blank" or style == "blank" else "storyboard",
            width=max(width, height) if fate == "landscape" else width,
            height=min(width, height) if fate == "landscape" else height,
            format=_FORMATS[str(self.body.get("output_format", "png"))],
            seed=self.submission.number,
            prompt=str(self.body["prompt"]),
            index=index,
            count=self.body.get("n", 1),
            references=self.pictures,
        )


class Work:
    """The machine room."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def ended(self, job: Job) -> None:
        """Wait for the end of a job. Raises Refusal with the error of one that failed."""
        async for _ in job.submission.changes():
            pass
        if job.submission.failure is not None:
            raise Refusal(error(job.submission.failure.type))

    async def whole(self, job: Job) -> dict[str, Any]:
        """Return the reply of an ended job."""
        listed = [{"b64_json": await self._drawn(job.recipe(k))} for k in range(job.body.get("n", 1))]
        return {"created": int(time.time()), **job.facts(), "data": listed, "usage": job.usage()}

    async def stream(self, job: Job) -> AsyncIterator[str]:
        """Yield the events: partial pictures at once, the finished ones when the work is done, or its error."""
        partial = int(job.body.get("partial_images", 0))
        for k in range(partial):
            told = {"partial_image_index": k, "b64_json": await self._drawn(job.recipe(0, "blank"))}
            yield _event(f"{job.events}.partial_image", {**job.facts(), **told})
        async for _ in job.submission.changes():
            pass
        if job.submission.failure is not None:
            yield _event("error", {"error": details(job.submission.failure.type)})
            return
        for told in await self._listed(job):
            yield _event(f"{job.events}.completed", {**job.facts(), **told, "usage": job.usage(partial)})

    async def _listed(self, job: Job) -> Sequence[dict[str, Any]]:
        return [{"b64_json": await self._drawn(job.recipe(k))} for k in range(job.body.get("n", 1))]

    async def _drawn(self, recipe: Recipe) -> str:
        easel = self._sandbox.easel
        return base64.b64encode(await easel.draw(easel.plan(recipe))).decode()


def _event(name: str, told: Mapping[str, Any]) -> str:
    data = json.dumps({"type": name, "created_at": int(time.time()), **told})
    return f"event: {name}\ndata: {data}\n\n"
