"""Room: sandbox. Replicate's HTTP API (openapi.json, replicate 1.0.7 and 2.0.0b4, read and driven 2026-11-21).

    POST /v1/predictions                      `version`: owner/name of an official model, [owner/name:]64 hex
    POST /v1/models/{o}/{n}/predictions       official models only
    POST /v1/deployments/{o}/{n}/predictions  any model, as if it were deployed under its name
    GET  /v1/predictions[/{id}]               one, or all, the newest first, in pages; POST .../{id}/cancel
    GET  /v1/models/{o}/{n}[/versions[/{id}]] with the input schema
    POST GET DELETE /v1/files[/{id}]          uploads, kept a day
    GET  /v1/account, /v1/webhooks/default/secret

It stands below `/replicate` and at the root. `Prefer: wait[=n]` holds the answer, `Cancel-After` stops the work.
Results lie on the shelf, whose host wants no key. Fates: `completed_error` (failed, with value as its error), `blank`,
`landscape`. Uncertain: whether 200 or 201 answers after a wait (201 here), the least deadline (5 s here).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from hoasi.sandbox.gate import Endpoint, Gate
from hoasi.sandbox.replicate_errors import REFUSALS, invalid, refusal
from hoasi.sandbox.replicate_models import MODELS, Model, by_version
from hoasi.sandbox.replicate_webhooks import EVENTS, Webhooks, secret
from hoasi.sandbox.replicate_work import Prediction, Predictions, new_id
from hoasi.sandbox.shelf import Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PREFIX = "/replicate"
PAGE = 100
FILE_BYTES = 100 * 1024 * 1024
_LEAST_DEADLINE_S = 5
_WAIT_S = 60
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Serve Replicate's wire from a sandbox, below `/replicate` and at the root; the shelf is served beside it."""
    own = Desk(sandbox).routes()
    return [Mount(PREFIX, routes=own), *own]


def app(sandbox: Sandbox) -> Starlette:
    """Return Replicate and nothing else, for `serving(sandbox, app=...)`."""
    gate = Gate(sandbox.faults, sandbox.counters, sandbox.shelf.model_of, REFUSALS)
    return sandbox.app_of([*Desk(sandbox).routes(), *sandbox.shelf.routes(gate)])


class Desk:
    """The routes of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._predictions = Predictions(sandbox)
        self._webhooks = Webhooks(sandbox, self._predictions)

    def routes(self) -> list[BaseRoute]:
        """Serve all."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, self._model_of, REFUSALS)
        create = gate("submit", self._create)
        one, model = "/v1/predictions/{id}", "/v1/models/{owner}/{name}"
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/v1/predictions", create),
            ("POST", f"{model}/predictions", create),
            ("POST", "/v1/deployments/{owner}/{name}/predictions", create),
            ("GET", "/v1/predictions", gate("status", self._list)),
            ("GET", one, gate("status", self._get)),
            ("POST", f"{one}/cancel", gate("cancel", self._cancel)),
            ("GET", model, gate("token", self._model)),
            ("GET", f"{model}/versions", gate("token", self._versions)),
            ("GET", model + "/versions/{version}", gate("token", self._version)),
            ("POST", "/v1/files", gate("upload", self._store)),
            ("GET", "/v1/files/{id}", gate("upload", self._file)),
            ("DELETE", "/v1/files/{id}", gate("upload", self._remove)),
            ("GET", "/v1/account", self._account),
            ("GET", "/v1/webhooks/default/secret", self._secret),
        ]
        return [Route(path, self._keyed(end), methods=[verb]) for verb, path, end in table]

    def _keyed(self, endpoint: Endpoint) -> Endpoint:
        async def keyed(request: Request) -> Response:
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            if scheme not in {"Bearer", "Token"} or not key.strip() or self._sandbox.settings.reject_key:
                raise refusal(401, "You did not pass a valid authentication token")
            return await endpoint(request)

        return keyed

    def _model_of(self, request: Request) -> str | None:
        found = self._predictions.get(request.path_params.get("id", ""))
        named = f"{request.path_params.get('owner')}/{request.path_params.get('name')}"
        return found.model.id if found else named if named in MODELS else None

    # ------------------------------------------------------------------ predictions

    async def _create(self, request: Request) -> Response:
        body = await _json_object(request)
        model, given = _called(request, body), body.get("input")
        if not isinstance(given, dict):
            raise invalid([("", "input must be an object")])
        if problems := list(model.problems(given)):
            raise invalid(problems)
        events = tuple(body.get("webhook_events_filter") or EVENTS)
        if not set(events) <= set(EVENTS):
            raise refusal(422, f"webhook_events_filter must be of {EVENTS}")
        deadline_s = _deadline_s(request)
        submission = self._sandbox.line.accept(model.id, given, named=new_id())
        self._sandbox.counters.accepted(model.id, given, unknown=[name for name in given if name not in model.inputs])
        root = str(request.base_url).rstrip("/") + str(request.scope.get("root_path", ""))
        webhook = str(body.get("webhook") or "")
        made = Prediction(submission, model, given, str(request.base_url), root, webhook, deadline_s)
        self._predictions.accept(made)
        self._webhooks.follow(made, events)
        await _waited(made, request)
        return JSONResponse(await self._predictions.told(made), 201)

    async def _get(self, request: Request) -> Response:
        return JSONResponse(await self._predictions.told(self._found(request)))

    async def _cancel(self, request: Request) -> Response:
        found = self._found(request)
        self._predictions.stop(found)
        await asyncio.sleep(0)
        return JSONResponse(await self._predictions.told(found))

    async def _list(self, request: Request) -> Response:
        cursor = request.query_params.get("cursor", "0")
        start = int(cursor) if cursor.isascii() and cursor.isdigit() else 0
        every = self._predictions.newest()
        shown = [await self._predictions.told(one) for one in every[start : start + PAGE]]
        url = str(request.url).partition("?")[0]
        following = f"{url}?cursor={start + PAGE}" if start + PAGE < len(every) else None
        told = {"previous": None, "next": following, "results": shown}
        return JSONResponse(told, headers={"Date": formatdate(usegmt=True)})

    def _found(self, request: Request) -> Prediction:
        found = self._predictions.get(request.path_params["id"])
        if found is None:
            raise refusal(404, "The requested resource does not exist, or you do not have permission to access it.")
        return found

    # ------------------------------------------------------------------ models

    async def _model(self, request: Request) -> Response:
        model = _named(request)
        owner, _, name = model.id.partition("/")
        url = f"https://replicate.com/{model.id}"
        told = {"owner": owner, "name": name, "url": url, "visibility": "public", "run_count": 1, "description": None}
        return JSONResponse({**told, "is_official": model.is_official, "latest_version": _dated(model)})

    async def _versions(self, request: Request) -> Response:
        return JSONResponse({"previous": None, "next": None, "results": [_dated(_named(request))]})

    async def _version(self, request: Request) -> Response:
        model = _named(request)
        if model.number != request.path_params["version"]:
            raise refusal(404)
        return JSONResponse(_dated(model))

    # ------------------------------------------------------------------ files, account

    async def _store(self, request: Request) -> Response:
        async with request.form() as form:
            part = form.get("content")
            if not isinstance(part, UploadFile):
                raise refusal(422, "Missing content")
            content, name = await part.read(), part.filename or "file"
            kind = part.content_type or "application/octet-stream"
        if len(content) > FILE_BYTES:
            raise refusal(422, "File is too large")
        key = f"replicate-files/{new_id()}"
        self._sandbox.shelf.put_bytes(key, content, kind)
        return JSONResponse(_stored(request, key.rpartition("/")[2], name, kind, content), 201)

    async def _file(self, request: Request) -> Response:
        stored = self._kept(request)
        content = await stored.load()
        return JSONResponse(_stored(request, request.path_params["id"], "file", stored.content_type, content))

    async def _remove(self, request: Request) -> Response:
        self._kept(request)
        key = f"replicate-files/{request.path_params['id']}"
        self._sandbox.shelf.put(key, Stored("", _nothing, is_gone=lambda: True))
        return Response(status_code=204)

    def _kept(self, request: Request) -> Stored:
        stored = self._sandbox.shelf.get(f"replicate-files/{request.path_params['id']}")
        if stored is None:
            raise refusal(404)
        return stored

    async def _account(self, request: Request) -> Response:  # noqa: ARG002 - 2026-11-27, Starlette's signature
        return JSONResponse({"type": "user", "username": "sandbox", "name": "Sandbox", "github_url": None})

    async def _secret(self, request: Request) -> Response:  # noqa: ARG002 - as above
        return JSONResponse({"key": secret(self._sandbox)})


async def _nothing() -> bytes:
    return b""


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refusal(422, "The body must be a JSON object")
    return body


def _named(request: Request) -> Model:
    model = MODELS.get(f"{request.path_params['owner']}/{request.path_params['name']}")
    if model is None:
        raise refusal(404, "The requested resource could not be found.")
    return model


def _called(request: Request, body: dict[str, Any]) -> Model:
    """Return the model of a request. Raises Refusal: 404 not official, 422 no such version."""
    if "owner" in request.path_params:
        model = _named(request)
        if not model.is_official and "/models/" in request.url.path:
            raise refusal(404, "This model has no official endpoint")
        return model
    name, _, number = str(body.get("version") or "").rpartition(":")
    official = MODELS.get(number) if not name else None
    found = official if official and official.is_official else by_version(number)
    if found is None or (name and found.id != name):
        raise refusal(422, "- version: Invalid version or not permitted\n")
    return found


def _dated(model: Model) -> dict[str, Any]:
    return {**model.described(), "created_at": "2026-01-01T00:00:00.000Z", "cog_version": "0.16.0"}


def _deadline_s(request: Request) -> float | None:
    """Return the seconds of `Cancel-After`. Raises Refusal (422) if it makes no sense."""
    text = request.headers.get("cancel-after")
    if text is None:
        return None
    match = _SPAN.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total < _LEAST_DEADLINE_S:
        raise refusal(422, f"Cancel-After must be at least {_LEAST_DEADLINE_S}s")
    return float(total)


async def _waited(prediction: Prediction, request: Request) -> None:
    """Hold the answer as long as `Prefer: wait` says, or until the end."""
    match = re.fullmatch(r"wait(?:=(\d+))?", request.headers.get("prefer", "").strip())
    if match is None:
        return
    try:
        async with asyncio.timeout(min(max(int(match[1] or _WAIT_S), 1), _WAIT_S)):
            async for _ in prediction.submission.changes():
                pass
    except TimeoutError:
        return


def _stored(request: Request, file_id: str, name: str, kind: str, content: bytes) -> dict[str, Any]:
    root = str(request.base_url).rstrip("/") + str(request.scope.get("root_path", ""))
    return {
        "id": file_id,
        "name": name,
        "content_type": kind,
        "size": len(content),
        "etag": file_id,
        "checksums": {"sha256": hashlib.sha256(content).hexdigest()},
        "metadata": {},
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400)),
        "urls": {"get": f"{root}/v1/files/{file_id}"},
    }
