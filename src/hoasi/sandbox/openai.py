"""Room: sandbox. OpenAI's Images API (openai 3.52.0, read and driven 2026-11-21).

    POST /v1/images/generations    JSON; with `stream` server-sent events
    POST /v1/images/edits          a form: `image` or several `image[]`, `mask`
    GET  /v1/models[/{id}]         with `shutdown_date` where there is one

It stands below `/openai` and at the root. There, `/v1/images/generations` is Kling's too: a JSON object that names its
model `model`, and not `model_name`, is OpenAI's; every other one is passed on. The API is synchronous: an answer comes
when the work is done. Fates: `completed_error` (value = code, such as `moderation_blocked`), `blank`, `landscape`.
Not built: variations, the formats gif and svg, `markup`.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Message, Receive, Scope, Send

from hoasi.sandbox.easel import size_of
from hoasi.sandbox.gate import Endpoint, Gate
from hoasi.sandbox.openai_errors import REFUSALS, refusal
from hoasi.sandbox.openai_fields import QUALITIES, SHUT_DOWN, read
from hoasi.sandbox.openai_work import Job, Work

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PREFIX = "/openai"
GENERATIONS = "/v1/images/generations"
MOST_PICTURES = 16
_PASSED_ON = "hoasi.not_openai"


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Serve OpenAI's wire from a sandbox, below `/openai` and at the root."""
    desk = Desk(sandbox)
    return [Mount(PREFIX, routes=desk.routes()), *desk.routes(shared=True)]


def app(sandbox: Sandbox) -> Starlette:
    """Return OpenAI and nothing else, for `serving(sandbox, app=...)`."""
    return sandbox.app_of(Desk(sandbox).routes())


class Desk:
    """The routes of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._work = Work(sandbox)

    def routes(self, *, shared: bool = False) -> list[BaseRoute]:
        """Serve all; `shared`: other providers may have the path of new pictures too."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, lambda _: None, REFUSALS)
        generate = gate("submit", self._generate)
        forked = _Shared(GENERATIONS, _forked(generate), methods=["POST"])
        return [
            forked if shared else Route(GENERATIONS, generate, methods=["POST"]),
            Route("/v1/images/edits", gate("submit", self._edit), methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{model}", self._model, methods=["GET"]),
        ]

    async def _generate(self, request: Request) -> Response:
        self._check_key(request)
        try:
            body = await request.json()
        except ValueError:
            raise refusal("invalid_value", "We could not parse the JSON body of your request.") from None
        if not isinstance(body, dict):
            raise refusal("invalid_value", "The body must be an object")
        return await self._answered(read(body), [], "image_generation")

    async def _edit(self, request: Request) -> Response:
        self._check_key(request)
        async with request.form() as form:
            texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            pictures = [await _bytes(value) for name in ("image", "image[]") for value in form.getlist(name)]
            masks = [await _bytes(value) for value in form.getlist("mask")]
        body = read(texts, is_form=True)
        _check_pictures(pictures, masks)
        return await self._answered(body, [*pictures, *masks], "image_edit")

    async def _answered(self, body: dict[str, Any], files: list[bytes], events: str) -> Response:
        """Accept, and answer when the work is done, or with its events."""
        model = str(body["model"])
        began = time.monotonic()
        submission = self._sandbox.line.accept(model, body)
        sums = [hashlib.sha256(content).hexdigest() for content in files]
        self._sandbox.counters.accepted(model, {**body, "files": sums})
        job = Job(body, len(files), submission, events)
        if body.get("stream") is True:
            return StreamingResponse(self._work.stream(job), media_type="text/event-stream", headers=_headers(began))
        await self._work.ended(job)
        return JSONResponse(await self._work.whole(job), headers=_headers(began))

    async def _models(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse({"object": "list", "data": [_told(model) for model in (*QUALITIES, *SHUT_DOWN)]})

    async def _model(self, request: Request) -> Response:
        self._check_key(request)
        model = request.path_params["model"]
        if model not in QUALITIES:
            raise refusal("model_not_found", f"The model '{model}' does not exist", "model")
        return JSONResponse(_told(model))

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key.strip() or self._sandbox.settings.reject_key:
            raise refusal("invalid_api_key")


def _told(model: str) -> dict[str, Any]:
    dated = {"shutdown_date": SHUT_DOWN[model]} if model in SHUT_DOWN else {}
    return {"id": model, "object": "model", "created": 1_776_000_000, "owned_by": "system", **dated}


def _headers(began: float) -> dict[str, str]:
    took_ms = round((time.monotonic() - began) * 1000)
    told = {"openai-processing-ms": str(took_ms), "openai-organization": "sandbox"}
    return {"x-request-id": f"req_{uuid4().hex}", **told}


async def _bytes(value: UploadFile | str) -> bytes:
    return value.encode() if isinstance(value, str) else await value.read()


def _check_pictures(pictures: list[bytes], masks: list[bytes]) -> None:
    """Raise Refusal (400) unless 1 to 16 pictures came, and perhaps a mask as large as the first."""
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise refusal("invalid_value", f"Expected 1 to {MOST_PICTURES} images, got {len(pictures)}", "image")
    sizes = [size_of(content) for content in (*pictures, *masks)]
    if None in sizes:
        raise refusal("invalid_image_file", param="image")
    if len(masks) > 1 or any(size != sizes[0] for size in sizes[len(pictures) :]):
        raise refusal("invalid_mask", param="mask")


# ---------------------------------------------------------------------- a path that two providers have


class _Shared(Route):
    """A route that steps aside for a request which another provider's route is to answer."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope.get(_PASSED_ON) else super().matches(scope)


class _PassedOn(Response):
    """Lets the other routes answer, with the body that was read already."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._read: list[bytes] = [body]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the router again, without the route that was here."""

        async def replayed() -> Message:
            if self._read:
                return {"type": "http.request", "body": self._read.pop(), "more_body": False}
            return await receive()

        await scope["router"]({**scope, _PASSED_ON: True}, replayed, send)


def _forked(generate: Endpoint) -> Endpoint:
    async def forked(request: Request) -> Response:
        body = await request.body()
        return await generate(request) if _is_ours(body) else _PassedOn(body)

    return forked


def _is_ours(body: bytes) -> bool:
    try:
        told = json.loads(body)
    except ValueError:
        return False
    return isinstance(told, dict) and "model" in told and "model_name" not in told
