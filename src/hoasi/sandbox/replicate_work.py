"""Room: sandbox. Replicate's predictions: what becomes of an accepted input, and how it is told.

A prediction keeps its input, output and logs for an hour after its end (here: the setting `forget_after_s`).
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from hoasi.sandbox import reel
from hoasi.sandbox.easel import SIDES, Format, Recipe
from hoasi.sandbox.line import Failure, Submission
from hoasi.sandbox.replicate_models import Model
from hoasi.sandbox.shelf import PREFIX as SHELF
from hoasi.sandbox.shelf import Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

STOPPED = frozenset({"canceled", "aborted"})
_FORMATS: dict[str, Format] = {"png": "png", "jpg": "jpeg", "webp": "webp"}
_SIDE = 1024
_RATIO = re.compile(r"(\d+):(\d+)")


def new_id() -> str:
    """Return an id as predictions have it: lower-case letters and digits."""
    return secrets.token_hex(13)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Prediction:
    """One accepted request. Times are texts, as they are told."""

    submission: Submission
    model: Model
    input: dict[str, Any]
    origin: str
    root: str
    webhook: str = ""
    deadline_s: float | None = None
    created_at: str = field(default_factory=_now)
    completed_at: str | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        """Return its id."""
        return self.submission.id

    @property
    def status(self) -> str:
        """Return where it stands."""
        failure = self.submission.failure
        if self.submission.state != "done":
            return "starting" if self.submission.state == "waiting" else "processing"
        if failure is None:
            return "succeeded"
        return failure.type if failure.type in STOPPED else "failed"


class Predictions:
    """All predictions of one sandbox, the newest first."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._all: dict[str, Prediction] = {}

    def accept(self, prediction: Prediction) -> None:
        """Keep one, and stop it at its deadline."""
        self._all[prediction.id] = prediction
        if prediction.deadline_s is not None:
            self._sandbox.run_errand(self._stopped(prediction, prediction.deadline_s))

    def get(self, prediction_id: str) -> Prediction | None:
        """Find one; none that was accepted before the last reset."""
        found = self._all.get(prediction_id)
        return found if found is not None and self._sandbox.line.get(found.id) is found.submission else None

    def newest(self) -> list[Prediction]:
        """List them."""
        return [one for one in reversed(self._all.values()) if self.get(one.id) is not None]

    async def _stopped(self, prediction: Prediction, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.stop(prediction, "aborted" if prediction.submission.state == "waiting" else "canceled")

    def stop(self, prediction: Prediction, how: str = "canceled") -> None:
        """Take one back, if it has not ended."""
        if prediction.submission.state != "done":
            self._sandbox.line.cancel(prediction.submission, Failure(how), stops_running=True)

    async def told(self, prediction: Prediction) -> dict[str, Any]:
        """Return the object that the API answers with everywhere."""
        if prediction.submission.state == "done" and prediction.completed_at is None:
            prediction.completed_at = _now()
        submission, model = prediction.submission, prediction.model
        is_gone = self._sandbox.is_forgotten(submission)
        is_made = submission.state == "done" and submission.failure is None and not is_gone
        url = f"{prediction.root}/v1/predictions/{prediction.id}"
        return {
            "id": prediction.id,
            "model": model.id,
            "version": "hidden" if model.is_official else model.number,
            "input": {} if is_gone else prediction.input,
            "output": await self._output(prediction) if is_made else None,
            "logs": "",
            "error": self._error(submission),
            "status": prediction.status,
            "data_removed": is_gone,
            "source": "api",
            "created_at": prediction.created_at,
            "started_at": None if submission.started_at is None else prediction.created_at,
            "completed_at": prediction.completed_at,
            "metrics": self._metrics(prediction) if is_made else {},
            "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{prediction.id}"},
        }

    def _error(self, submission: Submission) -> str | None:
        failure = submission.failure
        return None if failure is None or failure.type in STOPPED else failure.type

    def _metrics(self, prediction: Prediction) -> dict[str, Any]:
        told: dict[str, Any] = {"predict_time": prediction.submission.took_s}
        if prediction.model.is_official and prediction.model.makes in {"picture", "pictures"}:
            told["image_count"] = self._count(prediction)
        return told

    def _count(self, prediction: Prediction) -> int:
        return int(prediction.input.get("num_outputs", 1))

    async def _output(self, prediction: Prediction) -> Any:
        """Return an address, a list, an object, or words."""
        match prediction.model.makes:
            case "text":
                return "A kite, as I see it."
            case "clip":
                return await self._clip(prediction)
            case "picture":
                return await self._picture(prediction, 0)
            case "object":
                return {"image": await self._picture(prediction, 0), "seed": 7}
            case "pictures":
                return [await self._picture(prediction, k) for k in range(self._count(prediction))]

    async def _picture(self, prediction: Prediction, index: int) -> str:
        width, height = _size(prediction.input)
        submission = prediction.submission
        if submission.fate == "landscape":
            width, height = max(width, height), min(width, height)
        kind = str(prediction.input.get("output_format", "webp"))
        recipe = self._sandbox.easel.plan(
            Recipe(
                style="blank" if submission.fate == "blank" else "storyboard",
                width=width,
                height=height,
                format=_FORMATS[kind],
                seed=int(prediction.input.get("seed", submission.number)) + index,
                prompt=str(prediction.input.get("prompt", "")),
                index=index,
                count=self._count(prediction),
            )
        )
        name = f"output-{index}.{kind}"
        return self._hosted(prediction, name, f"image/{recipe.format}", partial(self._sandbox.easel.draw, recipe))

    async def _clip(self, prediction: Prediction) -> str:
        is_tiny = self._sandbox.settings.pictures == "tiny"
        width, height = (64, 36) if is_tiny else (1280, 720)
        if prediction.input.get("aspect_ratio") == "9:16":
            width, height = height, width
        seconds = float(prediction.input.get("duration", 5))

        async def shoot() -> bytes:
            fps = reel.TINY_FPS if is_tiny else 24
            has_audio = prediction.input.get("generate_audio") is True
            taken = await reel.clip(width=width, height=height, duration_s=seconds, fps=fps, has_audio=has_audio)
            return taken[0]

        return self._hosted(prediction, "output.mp4", reel.CONTENT_TYPE, shoot)

    def _hosted(self, prediction: Prediction, name: str, content_type: str, load: Callable[[], Any]) -> str:
        key = f"replicate/{prediction.id}/{name}"
        is_gone = partial(self._sandbox.is_forgotten, prediction.submission)
        self._sandbox.shelf.put(key, Stored(content_type, load, prediction.model.id, is_gone))
        return f"{prediction.origin}{SHELF[1:]}{key}"


def _size(given: dict[str, Any]) -> tuple[int, int]:
    """Return the sides of a picture: told in pixels, or of this ratio and about a megapixel."""
    match = _RATIO.fullmatch(str(given.get("aspect_ratio", "1:1")))
    across, down = (int(match[1]), int(match[2])) if match else (1, 1)
    unit = int((_SIDE * _SIDE / (across * down)) ** 0.5)
    width, height = int(given.get("width", across * unit)), int(given.get("height", down * unit))
    return tuple(min(max(side, SIDES.start), SIDES.stop - 1) for side in (width, height))  # type: ignore[return-value]  # two sides
