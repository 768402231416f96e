"""Room: sandbox. The sandbox itself: settings, state, counters, and the app that all providers' routes make up."""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from hoasi.sandbox import ark, comfyui, control, fal, fal_prices, kling, openai, replicate, runpod, stability
from hoasi.sandbox.comfyui_queue import Server as ComfyServer
from hoasi.sandbox.counters import Counters, Recorder
from hoasi.sandbox.easel import Easel, Pictures
from hoasi.sandbox.faults import Fault, FaultBook
from hoasi.sandbox.gate import Refusal
from hoasi.sandbox.kling_account import Account
from hoasi.sandbox.line import Failure, Line, Submission
from hoasi.sandbox.runpod_jobs import Platform
from hoasi.sandbox.runpod_replies import Form, Place
from hoasi.sandbox.shelf import Shelf

ChecksInput = Literal["at_submit", "at_run"]
DuplicateIds = Literal["rejected", "accepted"]
PROVIDERS = (ark, stability, comfyui, runpod, openai, replicate, kling, fal)  # fal stays last: its ids match any path


class Settings(BaseModel):
    """What can be changed while the sandbox runs.

    latency_s: how long a submission runs. slots: how many run at a time (None = all). reject_key: every key is wrong.
    forget_after_s: results and their media are gone this long after the work ended (None = never). checks_input:
    whether a bad input is refused at once or is accepted and fails (the live services differ and do not document it).
    cancel_stops_running: whether a cancelled submission that already runs stops, or goes on and is billed.
    kling_duplicate_ids: what becomes of an external_task_id that came before (Kling does not say).
    kling_submitted_s: how long an accepted task is told as submitted. kling_signs_callbacks: as after a webhook secret
    was made in the console. kling_faces_in_clip: how many faces identify-face finds in every clip.
    comfyui_version, comfyui_lacks (node classes), comfyui_loras (files): what is installed, also on RunPod's workers.
    runpod_cold_start_s: how long a worker takes to wake. runpod_reply_format, runpod_picture_form: where in a result
    pictures stand, and as what. runpod_result_limit_bytes: larger results get lost. runpod_bucket_url: another address
    of the sandbox, under which workers tell of what they host.
    stability_has_v1: whether SDXL still answers. ark_blocked: places of a group, from 0, whose picture is blocked.
    ark_group_gives: a group makes at most so many pictures, whatever was asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_s: float = Field(default=0.3, ge=0)
    slots: int | None = Field(default=None, ge=1)
    pictures: Pictures = "storyboard"
    reject_key: bool = False
    forget_after_s: float | None = Field(default=None, ge=0)
    checks_input: ChecksInput = "at_submit"
    cancel_stops_running: bool = False
    kling_duplicate_ids: DuplicateIds = "rejected"
    kling_submitted_s: float = Field(default=0, ge=0)
    kling_signs_callbacks: bool = True
    kling_faces_in_clip: int = Field(default=1, ge=0)
    comfyui_version: str = Field(default="0.3.64", pattern=r"^\d+(\.\d+)*$")
    comfyui_lacks: tuple[str, ...] = ()
    comfyui_loras: tuple[str, ...] = ()
    runpod_cold_start_s: float = Field(default=0, ge=0)
    runpod_reply_format: Place = "images"
    runpod_picture_form: Form = "object"
    runpod_result_limit_bytes: int = Field(default=20_000_000, ge=0)
    runpod_bucket_url: str = ""
    stability_has_v1: bool = True
    ark_blocked: tuple[int, ...] = ()
    ark_group_gives: int | None = Field(default=None, ge=1)


class Changes(TypedDict, total=False):
    """The names of `Settings`, for callers that give only some."""

    latency_s: float
    slots: int | None
    pictures: Pictures
    reject_key: bool
    forget_after_s: float | None
    checks_input: ChecksInput
    cancel_stops_running: bool
    kling_duplicate_ids: DuplicateIds
    kling_submitted_s: float
    kling_signs_callbacks: bool
    kling_faces_in_clip: int
    comfyui_version: str
    comfyui_lacks: tuple[str, ...]
    comfyui_loras: tuple[str, ...]
    runpod_cold_start_s: float
    runpod_reply_format: Place
    runpod_picture_form: Form
    runpod_result_limit_bytes: int
    runpod_bucket_url: str
    stability_has_v1: bool
    ark_blocked: tuple[int, ...]
    ark_group_gives: int | None


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
        self.kling = Account()
        self.line = Line(
            clock=clock,
            latency_s=lambda: self.settings.latency_s,
            slots=lambda: self.settings.slots,
            on_done=self._decide_fate,
        )
        self.signing_seed = secrets.token_bytes(32)  # providers that sign what they send make their keys of it
        self._errands: set[asyncio.Task[None]] = set()
        self.comfyui = ComfyServer(self)
        self.runpod = Platform(self)

    def app(self) -> Starlette:
        """Return the ASGI app. Faults that hang up need the connections of `serving`."""
        found = [route for part in PROVIDERS for route in part.routes(self)]
        found.sort(key=lambda route: getattr(route, "path", "") != fal_prices.PATH)  # OpenAI's /v1/models/{model} fits
        return self.app_of(found)

    def app_of(self, routes: Sequence[BaseRoute]) -> Starlette:
        """Return an app with these routes and the levers, for a server that is one provider only."""
        handlers: dict[type[Exception], Any] = {Refusal: _refused, HTTPException: _no_such_route}
        recorder = Middleware(Recorder, counters=self.counters)
        return Starlette(routes=[*control.routes(self), *routes], middleware=[recorder], exception_handlers=handlers)

    def stats(self) -> dict[str, Any]:
        """Return what was counted since the start or the last reset.

        posts_received (to models, spoiled or not), submissions (accepted, that is: paid), duplicates (accepted with
        the same model and input as an earlier one), models (accepted per model), polls, streams, results, downloads,
        uploads (files stored), sockets (websockets asked for), cancels, tokens, in_flight, max_in_flight (accepted and
        not done), max_running,
        webhook_posts (tries to deliver), webhooks_delivered (answered 2xx), leaks (Authorization headers where none
        belongs), unknown_fields ("model:field" that no schema knows),
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

    def run_errand(self, errand: Coroutine[Any, Any, None]) -> None:
        """Let work go on beside the answers (to deliver a webhook) until it ends, or reset or close ends it."""
        task = asyncio.ensure_future(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def reset(self) -> None:
        """Forget submissions, files, counts, errands and faults; keep the settings. What was in flight fails."""
        self._end_errands()
        self.faults.clear()
        self.line.clear(Failure("runner_disconnected"))
        self.kling.clear()
        self.shelf.clear()
        self.comfyui.clear()
        self.runpod.clear()
        self.counters.clear()

    def close(self) -> None:
        """Stop all work in flight; the counts stay readable."""
        self._end_errands()
        self.line.close()

    def is_forgotten(self, submission: Submission) -> bool:
        """Say whether the result of a submission is no longer kept."""
        kept_s, finished_at = self.settings.forget_after_s, submission.finished_at
        return kept_s is not None and finished_at is not None and self.clock() - finished_at >= kept_s

    def _end_errands(self) -> None:
        for task in self._errands:
            task.cancel()

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
