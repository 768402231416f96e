"""Room: sandbox. The sandbox itself: settings, state, counters, and the app that all providers' routes make up."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hoasi.sandbox import control, fal
from hoasi.sandbox.counters import Counters, Recorder
from hoasi.sandbox.easel import Easel, Pictures
from hoasi.sandbox.faults import Fault, FaultBook
from hoasi.sandbox.gate import Refusal
from hoasi.sandbox.line import Failure, Line, Submission
from hoasi.sandbox.shelf import Shelf

ChecksInput = Literal["at_submit", "at_run"]
PROVIDERS = (fal,)  # fal stays last: its model ids match any path


class Settings(BaseModel):
    """What can be changed while the sandbox runs.

    latency_s: how long a submission runs. slots: how many run at a time (None = all). reject_key: every key is wrong.
    forget_after_s: results and their media are gone this long after the work ended (None = never). checks_input:
    whether a bad input is refused at once or is accepted and fails (the live services differ and do not document it).
    cancel_stops_running: whether a cancelled submission that already runs stops, or goes on and is billed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_s: float = Field(default=0.3, ge=0)
    slots: int | None = Field(default=None, ge=1)
    pictures: Pictures = "storyboard"
    reject_key: bool = False
    forget_after_s: float | None = Field(default=None, ge=0)
    checks_input: ChecksInput = "at_submit"
    cancel_stops_running: bool = False


class Changes(TypedDict, total=False):
    """The names of `Settings`, for callers that give only some."""

    latency_s: float
    slots: int | None
    pictures: Pictures
    reject_key: bool
    forget_after_s: float | None
    checks_input: ChecksInput
    cancel_stops_running: bool


class Sandbox:
    """One local stand-in for the providers. Everything lives in memory; costs nothing; `**settings` as in `Settings`.

    Raises pydantic's ValidationError for settings that make no sense.
    """

    def __init__(
        self, *, faults: Sequence[Fault] = (), clock: Callable[[], float] = time.monotonic, **settings: Unpack[Changes]
    ) -> None:
        self.settings = Settings(**settings)
        self.faults = FaultBook(faults)
        self.clock = clock
        self.counters = Counters()
        self.shelf = Shelf(self.counters)
        self.easel = Easel(lambda: self.settings.pictures)
        self.line = Line(
            clock=clock,
            latency_s=lambda: self.settings.latency_s,
            slots=lambda: self.settings.slots,
            on_done=self._decide_fate,
        )

    def app(self) -> Starlette:
        """Return the ASGI app. Faults that hang up need the connections of `serving`."""
        routes = [route for part in (control, *PROVIDERS) for route in part.routes(self)]
        handlers: dict[type[Exception], Any] = {Refusal: _refused, HTTPException: _no_such_route}
        recorder = Middleware(Recorder, counters=self.counters)
        return Starlette(routes=routes, middleware=[recorder], exception_handlers=handlers)

    def stats(self) -> dict[str, Any]:
        """Return what was counted since the start or the last reset.

        posts_received (to models, spoiled or not), submissions (accepted, that is: paid), duplicates (accepted with
        the same model and input as an earlier one), models (accepted per model), polls, streams, results, downloads,
        uploads (files stored), cancels, tokens, in_flight, max_in_flight (accepted and not done), max_running,
        leaks (Authorization headers where none belongs), unknown_fields ("model:field" that no schema knows),
        faults (each with seen and fired), requests (the last 10,000 as (method, path)).
        """
        return {
            **self.counters.report(),
            "in_flight": self.line.in_flight,
            "max_in_flight": self.line.max_in_flight,
            "max_running": self.line.max_running,
            "faults": self.faults.report(),
        }

    def change(self, **settings: Unpack[Changes]) -> None:
        """Change some settings at once. Raises pydantic's ValidationError and changes nothing if one is wrong."""
        self.settings = Settings.model_validate({**self.settings.model_dump(), **settings})
        self.line.admit()

    def reset(self) -> None:
        """Forget submissions, files, counts and faults; keep the settings. What was in flight fails."""
        self.faults.clear()
        self.line.clear(Failure("runner_disconnected"))
        self.shelf.clear()
        self.counters.clear()

    def close(self) -> None:
        """Stop all work in flight; the counts stay readable."""
        self.line.close()

    def is_forgotten(self, submission: Submission) -> bool:
        """Say whether the result of a submission is no longer kept."""
        kept_s, finished_at = self.settings.forget_after_s, submission.finished_at
        return kept_s is not None and finished_at is not None and self.clock() - finished_at >= kept_s

    def _decide_fate(self, submission: Submission) -> None:
        fate = None if submission.failure else self.faults.fate(submission.model)
        if fate is None:
            return
        if fate.kind == "completed_error":
            submission.failure = Failure(str(fate.value or "internal_error"))
        submission.fate = fate.kind


async def _refused(request: Request, refusal: Refusal) -> Response:  # noqa: ARG001 - 2026-11-21, Starlette's signature
    return refusal.response


async def _no_such_route(request: Request, error: HTTPException) -> Response:
    detail = f"Path {request.url.path} not found" if error.status_code == 404 else error.detail
    return JSONResponse({"detail": detail}, error.status_code, error.headers)
