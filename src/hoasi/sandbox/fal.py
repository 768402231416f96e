"""Room: sandbox. fal.ai's queue, and the doors to its storage and prices (read 2026-11-21).

Sources: fal's documentation, `fal-client` 1.0.3 and `@fal-ai/client` 1.10.1, read and driven. On the live service these
are four hosts (queue.fal.run, rest.fal.ai, v3.fal.media, api.fal.ai/v1); here one origin answers for all of them.

    POST /{owner}/{alias}[/{path}]                         submit: the receipt carries the URLs of the next steps
    GET  /{owner}/{alias}/requests/{id}/status[/stream]    status, once (202, when done 200) or as server-sent events
    GET  /{owner}/{alias}/requests/{id}[/response]         result; 400 before its time, after a failure the error
    PUT  /{owner}/{alias}/requests/{id}/cancel             202 requested, 400 too late, 404 unknown

After submitting, the path of the endpoint id is left out: what was sent to `fal-ai/flux/dev` is asked for below
`fal-ai/flux`; the full form is answered 405. There are three states; a failure is COMPLETED with `error` and
`error_type`. Refused as not built here (422 `feature_not_supported`): everything but pictures and clips.

Uncertain on the live service: whether a bad input is refused at submit or fails when run (setting `checks_input`), what
becomes of a running request that is cancelled (`cancel_stops_running`), the bodies of 401 and of unknown requests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hoasi.sandbox import fal_prices
from hoasi.sandbox.fal_errors import REFUSALS, failure, message, model_error, problem, request_error
from hoasi.sandbox.fal_inputs import NAMESPACES, Schema, json_object, schema_of
from hoasi.sandbox.fal_storage import Storage
from hoasi.sandbox.fal_webhooks import Webhooks
from hoasi.sandbox.fal_work import Work
from hoasi.sandbox.gate import Gate, Refusal
from hoasi.sandbox.line import Failure, Submission

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

_STATUS = {"waiting": "IN_QUEUE", "running": "IN_PROGRESS", "done": "COMPLETED"}


def routes(sandbox: Sandbox) -> list[Route]:
    """Serve fal's wire from a sandbox. The queue comes last, because its ids match any path."""
    queue = Queue(sandbox)
    gate = Gate(sandbox.faults, sandbox.counters, sandbox.shelf.model_of, REFUSALS)
    return [
        *Storage(sandbox, queue.check_key).routes(gate),
        *sandbox.shelf.routes(gate),
        *fal_prices.routes(queue.check_key),
        *queue.webhooks.routes(),
        *queue.routes(),
    ]


class Queue:
    """The queue of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._line = sandbox.line
        self._work = Work(sandbox)
        self.webhooks = Webhooks(sandbox, self._work)

    def routes(self) -> list[Route]:
        """Serve submit and the steps that follow, for plain apps and for those in a namespace."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, self._model_of, REFUSALS)
        found: list[Route] = []
        for namespace in ("", *(f"/{name}" for name in NAMESPACES)):
            request = namespace + "/{owner}/{alias}/requests/{request_id}"
            found += [
                Route(request, gate("result", self._result), methods=["GET"]),
                Route(request + "/response", gate("result", self._result), methods=["GET"]),
                Route(request + "/status", gate("status", self._status), methods=["GET"]),
                Route(request + "/status/stream", gate("stream", self._stream), methods=["GET"]),
                Route(request + "/cancel", gate("cancel", self._cancel), methods=["PUT"]),
            ]
        submit = Route("/{endpoint:path}", gate("submit", self._submit), methods=["POST"])
        return [*found, submit, Route("/{endpoint:path}", self._elsewhere, methods=["GET", "PUT", "PATCH", "DELETE"])]

    def check_key(self, request: Request) -> None:
        """Raise Refusal (401) unless the request carries `Authorization: Key <anything>` and keys are not rejected."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Key" or not key.strip() or self._sandbox.settings.reject_key:
            raise Refusal(JSONResponse({"detail": "Cannot access application: invalid or missing key"}, 401))

    async def _submit(self, request: Request) -> Response:
        self.check_key(request)
        schema = _schema(request)
        body = await json_object(request)
        _refuse_unbuilt(schema)
        webhook = self.webhooks.target(request)
        problems = [*schema.problems(body), *self._work.undownloadable(body, request.url.netloc)]
        if problems and self._sandbox.settings.checks_input == "at_submit":
            raise Refusal(model_error(problems))
        submission = self._line.accept(schema.id, body, start_within_s=_start_within_s(request))
        self._sandbox.counters.accepted(schema.id, body, unknown=schema.unknown(body))
        if problems:
            self._line.end(submission, Failure(problems[0]["type"], tuple(problems)))
        receipt = {"status": "IN_QUEUE", "queue_position": self._line.position(submission), "logs": None, "metrics": {}}
        if webhook is not None:
            self.webhooks.promise(submission, webhook, str(request.base_url))
            receipt["gateway_request_id"] = submission.id
        return JSONResponse({**receipt, **_links(submission, request)}, headers=_named(submission))

    async def _status(self, request: Request) -> Response:
        submission = self._submission(request)
        status = 200 if submission.state == "done" else 202
        return JSONResponse(self._facts(submission, request), status, _named(submission))

    async def _stream(self, request: Request) -> Response:
        submission = self._submission(request)

        async def events() -> AsyncIterator[str]:
            async for _ in submission.changes():
                yield f"data: {json.dumps(self._facts(submission, request))}\n\n"

        headers = {"Cache-Control": "no-cache", **_named(submission)}
        return StreamingResponse(events(), headers=headers, media_type="text/event-stream")

    async def _result(self, request: Request) -> Response:
        submission = self._submission(request)
        if submission.state != "done":
            answer: Response = JSONResponse({"detail": "Request is still in progress"}, 400)
        elif self._sandbox.is_forgotten(submission):
            raise _unknown_request()
        elif submission.failure:
            answer = failure(submission.failure.type, submission.failure.problems)
        else:
            answer = JSONResponse(await self._work.result(submission, str(request.base_url)))
        answer.headers.update(_named(submission))
        return answer

    async def _cancel(self, request: Request) -> Response:
        self.check_key(request)
        submission = self._find(request)
        if submission is None:
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        if submission.state == "done":
            return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
        stops_running = self._sandbox.settings.cancel_stops_running
        self._line.cancel(submission, Failure("client_cancelled"), stops_running=stops_running)
        return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)

    async def _elsewhere(self, request: Request) -> Response:
        self.check_key(request)
        model, _, rest = request.path_params["endpoint"].partition("/requests/")
        if schema_of(model) is None:
            raise _no_such_path(request)
        detail = "Method Not Allowed" if not rest else "Requests live below owner/alias, not below the full endpoint id"
        return JSONResponse({"detail": detail}, 405)

    def _find(self, request: Request) -> Submission | None:
        submission = self._line.get(request.path_params.get("request_id", ""))
        return submission if submission and _app(submission.model) == _asked_app(request) else None

    def _submission(self, request: Request) -> Submission:
        self.check_key(request)
        submission = self._find(request)
        if submission is None:
            raise _unknown_request()
        return submission

    def _model_of(self, request: Request) -> str | None:
        submission = self._find(request)
        return submission.model if submission else request.path_params.get("endpoint")

    def _facts(self, submission: Submission, request: Request) -> dict[str, Any]:
        """Return the status record; every state has its own fields, and clients rely on them."""
        facts: dict[str, Any] = {"status": _STATUS[submission.state], **_links(submission, request)}
        if submission.state == "waiting":
            return {**facts, "queue_position": self._line.position(submission)}
        wants_logs = request.query_params.get("logs", "0").lower() in ("1", "true")
        facts["logs"] = [_log_line(submission)] if wants_logs else None
        if submission.state == "done":
            facts["metrics"] = {"inference_time": submission.took_s}
        if submission.failure:
            facts |= {"error": message(submission.failure.type), "error_type": submission.failure.type}
        return facts


def _schema(request: Request) -> Schema:
    schema = schema_of(request.path_params["endpoint"])
    if schema is None:
        raise _no_such_path(request)
    return schema


def _refuse_unbuilt(schema: Schema) -> None:
    if not (schema.draws_pictures() or schema.draws_clips()):
        text = f"The sandbox draws and films only ({schema.id})"
        raise Refusal(model_error([problem("feature_not_supported", ("body",), text)]))


def _start_within_s(request: Request) -> float | None:
    header = request.headers.get("x-fal-request-timeout")
    try:
        return None if header is None else float(header)
    except ValueError:
        raise Refusal(request_error("bad_request")) from None


def _app(model: str) -> str:
    """Return the part of an endpoint id below which its requests live: owner/alias, with a namespace if it has one."""
    parts = model.split("/")
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


def _asked_app(request: Request) -> str:
    return request.url.path.partition("/requests/")[0].strip("/")


def _links(submission: Submission, request: Request) -> dict[str, str]:
    url = f"{request.base_url}{_app(submission.model)}/requests/{submission.id}"
    return {
        "request_id": submission.id,
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
    }


def _named(submission: Submission) -> dict[str, str]:
    return {"x-fal-request-id": submission.id}


def _log_line(submission: Submission) -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"message": f"Sandbox draws {submission.id}", "timestamp": now, "level": "INFO", "source": "USER"}


def _unknown_request() -> Refusal:
    return Refusal(JSONResponse({"detail": "Request not found"}, 404))


def _no_such_path(request: Request) -> Refusal:
    return Refusal(JSONResponse({"detail": f"Path {request.url.path} not found"}, 404))
