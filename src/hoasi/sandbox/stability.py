"""Room: sandbox. Stability AI over REST (OpenAPI documents and official nodes, read 2026-11-21).

    POST /v2beta/stable-image/{generate|edit|control|upscale}/{call}   multipart: a picture, or 200 `{"id"}`
    GET  /v2beta/results/{id}                                          202, the picture, or 404
    POST /v1/generation/{engine}/text-to-image                         JSON both ways (setting `stability_has_v1`)
    GET  /v1/engines/list, /v1/user/balance

`accept`: `image/*` (also `*/*`) gives bytes, `application/json` base64 under `image`, of a result under `result`. The
key may stand bare. A fate `completed_error` with the value `CONTENT_FILTERED` is a blurred picture in an answer 200.

Uncertain on the live service: whether v1 still answers; whether a filtered picture is billed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox import stability_v1
from hoasi.sandbox.gate import Gate, Refusal
from hoasi.sandbox.line import Submission
from hoasi.sandbox.stability_errors import REFUSALS, error, refusal, v1_error
from hoasi.sandbox.stability_fields import CALLS, PICTURES, Call
from hoasi.sandbox.stability_pictures import FILTERED, is_filtered, recipe, v1_recipe

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PREFIX = "/v2beta/stable-image/"
MOST_BYTES = 10 * 1024 * 1024


def routes(sandbox: Sandbox) -> list[Route]:
    """Serve Stability's wire from a sandbox."""
    return Desk(sandbox).routes()


class Desk:
    """Both versions of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Serve every call, the results, and v1."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, self._model_of, REFUSALS)
        return [
            *(Route(PREFIX + path, gate("submit", self._make), methods=["POST"]) for path in CALLS),
            Route("/v2beta/results/{id}", gate("result", self._result), methods=["GET"]),
            Route("/v1/generation/{engine}/text-to-image", gate("submit", self._make_v1), methods=["POST"]),
            Route("/v1/engines/list", self._engines, methods=["GET"]),
            Route("/v1/user/balance", self._balance, methods=["GET"]),
        ]

    def _model_of(self, request: Request) -> str | None:
        submission = self._sandbox.line.get(request.path_params.get("id", ""))
        return submission.model if submission else request.path_params.get("engine") or _path(request)

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").rpartition(" ")
        if not key.strip() or scheme not in ("", "Bearer") or self._sandbox.settings.reject_key:
            raise refusal("unauthorized")

    async def _make(self, request: Request) -> Response:
        self._check_key(request)
        call = CALLS[_path(request)]
        accept = _accepted(request)
        texts, files = await _form(request)
        _check(call, texts, files)
        body = {**texts, **{name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
        submission = self._sandbox.line.accept(call.path, {**texts, **files})
        self._sandbox.counters.accepted(call.path, body, unknown=call.unknown(set(body)))
        if call.is_async:
            return JSONResponse({"id": submission.id})
        return await self._picture(await _ended(submission), accept, "image")

    async def _result(self, request: Request) -> Response:
        self._check_key(request)
        accept, submission = _accepted(request), self._sandbox.line.get(request.path_params["id"])
        if submission is None or not _is_async(submission) or self._sandbox.is_forgotten(submission):
            return error("not_found", "No result with this id, or older than 24 hours")
        if submission.state != "done":
            return JSONResponse({"id": submission.id, "status": "in-progress"}, 202)
        return await self._picture(submission, accept, "result")

    async def _picture(self, submission: Submission, accept: str, name: str) -> Response:
        """Answer with what an ended submission made: bytes, or base64 under a name."""
        if submission.failure and not is_filtered(submission):
            return error(submission.failure.type)
        drawn = self._sandbox.easel.plan(recipe(submission))
        content = await self._sandbox.easel.draw(drawn)
        reason, seed = FILTERED if is_filtered(submission) else "SUCCESS", recipe(submission).seed
        if accept == "json":
            told = {name: base64.b64encode(content).decode(), "finish_reason": reason, "seed": seed}
            return JSONResponse(told)
        headers = {"finish-reason": reason, "seed": str(seed)}
        return Response(content, headers=headers, media_type=f"image/{drawn.format}")

    # ------------------------------------------------------------------ v1

    async def _make_v1(self, request: Request) -> Response:
        engine = request.path_params["engine"]
        if not self._sandbox.settings.stability_has_v1 or engine not in stability_v1.ENGINES:
            return v1_error("not_found", f"The specified engine (ID {engine}) was not found", 404)
        self._check_key_v1(request)
        given = await _json(request)
        body = {**stability_v1.DEFAULTS, **given}
        if wrong := stability_v1.problem(engine, body):
            return v1_error(*wrong)
        submission = await _ended(self._sandbox.line.accept(engine, body))
        self._sandbox.counters.accepted(engine, given)
        if submission.failure and not is_filtered(submission):
            return v1_error("server_error", submission.failure.type, 500)
        return JSONResponse({"artifacts": [await self._artifact(submission, k) for k in range(body["samples"])]})

    async def _artifact(self, submission: Submission, index: int) -> dict[str, Any]:
        """One sample; of several only the first is filtered."""
        wanted = replace(v1_recipe(submission), index=index)
        is_blurred = is_filtered(submission) and index == 0
        content = await self._sandbox.easel.draw(self._sandbox.easel.plan(wanted))
        return stability_v1.artifact(content, wanted.seed + index, FILTERED if is_blurred else "SUCCESS")

    def _check_key_v1(self, request: Request) -> None:
        try:
            self._check_key(request)
        except Refusal:
            raise Refusal(v1_error("unauthorized", "missing authorization header", 401)) from None

    async def _engines(self, request: Request) -> Response:
        self._check_key_v1(request)
        names = stability_v1.ENGINES
        return JSONResponse([{"id": name, "name": name, "description": name, "type": "PICTURE"} for name in names])

    async def _balance(self, request: Request) -> Response:
        self._check_key_v1(request)
        return JSONResponse({"credits": 1000.0})


def _check(call: Call, texts: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Raise Refusal (400, 413) unless a form is in order."""
    if sum(map(len, files.values())) > MOST_BYTES:
        raise refusal("payload_too_large")
    if wrong := list(call.problems(texts, files)):
        raise refusal("bad_request", *wrong)


def _path(request: Request) -> str:
    return request.url.path.removeprefix(PREFIX)


def _is_async(submission: Submission) -> bool:
    return submission.model in CALLS and CALLS[submission.model].is_async


async def _ended(submission: Submission) -> Submission:
    async for _ in submission.changes():
        pass
    return submission


def _accepted(request: Request) -> str:
    """Return how the picture is wanted. Raises Refusal (400)."""
    wanted = request.headers.get("accept", "*/*").partition(";")[0].strip()
    if wanted in ("image/*", "*/*"):
        return "bytes"
    if wanted == "application/json":
        return "json"
    raise refusal("bad_request", "accept: must be image/* or application/json")


async def _form(request: Request) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return texts and files of a multipart body. Raises Refusal (400) for any other."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise refusal("bad_request", "content-type: must be multipart/form-data")
    async with request.form() as form:
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        files = {name: await value.read() for name, value in form.items() if isinstance(value, UploadFile)}
    return texts, {name: content for name, content in files.items() if name in PICTURES}


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(v1_error("bad_request", "the body must be a JSON object"))
    return body
