"""Room: sandbox. RunPod's serverless endpoints (documentation and `runpod` 1.12.0, read and driven 2026-11-21).

    POST /v2/{endpoint}/run, /runsync[?wait=ms]         take a job in: `{"id", "status"}`, or all if it ended in time
    GET  /v2/{endpoint}/status/{id}, /status-sync/{id}  where it stands, and the output once it has COMPLETED
    GET  /v2/{endpoint}/stream/{id}                     what was not yet taken away of a streamed output
    POST /v2/{endpoint}/cancel/{id}, /retry/{id}        stop; run a FAILED or TIMED_OUT one again
    POST /v2/{endpoint}/purge-queue   GET /health       cancel what waits; counts

Every endpoint id is there but `no-such-endpoint`. The key comes as `Bearer <key>` or bare. What is wrong with an input
never shows at once: the job FAILS. Shapes of results: `runpod_replies`; times: `runpod_jobs`; errors: `runpod_worker`.
Fates: `completed_error` (FAILED, error = value), `error_inside` (COMPLETED, output.status "error"), `no_output`,
`timed_out`, `interrupted` (CANCELLED by somebody else), `vanished` (404), `blank`, `landscape`.

Uncertain: the bodies of 400, 401, 404 and 429 (`{"error"}` here), the answer to cancelling an ended job (it tells where
it stands), limits out of range (400), what purged jobs become (CANCELLED). Webhooks are refused as not built (400).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Endpoint, Gate, Refusal, Spoil
from hoasi.sandbox.runpod_jobs import KEPT_S, KEPT_SYNC_S, KEPT_WAITED_S, Job, Terms
from hoasi.sandbox.runpod_replies import Picture, reply
from hoasi.sandbox.runpod_worker import Task
from hoasi.sandbox.shelf import PREFIX as SHELF
from hoasi.sandbox.shelf import Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

UNKNOWN = "no-such-endpoint"
RUN_BYTES, RUNSYNC_BYTES = 10_000_000, 20_000_000
WAIT_MS = (1000, 90_000, 300_000)  # least, usual, most
_DAYS_MS = 7 * 86_400_000
_LIMITS_MS = {"executionTimeout": (5000, 600_000), "ttl": (10_000, 86_400_000)}  # least, usual


def routes(sandbox: Sandbox) -> list[Route]:
    """Serve RunPod's wire from a sandbox."""
    return Desk(sandbox).routes()


class Desk:
    """The routes of all endpoints."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._platform = sandbox.runpod

    def routes(self) -> list[Route]:
        """Serve all."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, _model_of, REFUSALS)
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "run", gate("submit", self._run)),
            ("POST", "runsync", gate("submit", self._runsync)),
            ("GET", "status/{job_id}", gate("status", self._status)),
            ("GET", "status-sync/{job_id}", gate("status", self._status_sync)),
            ("GET", "stream/{job_id}", gate("stream", self._stream)),
            ("POST", "cancel/{job_id}", gate("cancel", self._cancel)),
            ("POST", "retry/{job_id}", gate("submit", self._retry)),
            ("POST", "purge-queue", gate("cancel", self._purge)),
            ("GET", "health", self._health),
        ]
        return [Route("/v2/{endpoint_id}/" + path, self._checked(end), methods=[verb]) for verb, path, end in table]

    def _checked(self, endpoint: Endpoint) -> Endpoint:
        """Ask for the key and for an endpoint that is there."""

        async def checked(request: Request) -> Response:
            key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not key or self._sandbox.settings.reject_key:
                return _error("Unauthorized", 401)
            if request.path_params["endpoint_id"] == UNKNOWN:
                return _error("endpoint not found", 404)
            return await endpoint(request)

        return checked

    async def _run(self, request: Request) -> Response:
        body = await _body(request, RUN_BYTES)
        job = self._accept(request, body, Terms(*_limits(body), KEPT_S, origin=str(request.base_url)))
        return JSONResponse({"id": job.id, "status": "IN_QUEUE"})  # always: told before a worker looks

    async def _runsync(self, request: Request) -> Response:
        body = await _body(request, RUNSYNC_BYTES)
        kept_s = KEPT_WAITED_S if "wait" in request.query_params else KEPT_SYNC_S
        terms = Terms(*_limits(body), kept_s, is_sync=True, origin=str(request.base_url))
        return await self._waited(request, self._accept(request, body, terms))

    def _accept(self, request: Request, body: dict[str, Any], terms: Terms) -> Job:
        return self._platform.accept(request.path_params["endpoint_id"], body["input"], terms)

    async def _status(self, request: Request) -> Response:
        job = self._job(request)
        if "ttl" in request.query_params:
            job.kept_s = _number(request, "ttl", 0) / 1000
        return JSONResponse(await self._envelope(job))

    async def _status_sync(self, request: Request) -> Response:
        return await self._waited(request, self._job(request))

    async def _stream(self, request: Request) -> Response:
        job = self._job(request)
        told = (await self._envelope(job)).get("output")
        chunks = told if isinstance(told, list) else []
        fresh, job.delivered = chunks[job.delivered :], len(chunks)
        return JSONResponse({"status": job.status, "stream": [{"output": chunk} for chunk in fresh]})

    async def _cancel(self, request: Request) -> Response:
        job = self._job(request)
        self._platform.cancel(job)
        return JSONResponse({"id": job.id, "status": job.status})

    async def _retry(self, request: Request) -> Response:
        job = self._job(request)
        if job.status not in {"FAILED", "TIMED_OUT"}:
            return _error(f"job is {job.status} and cannot be retried", 400)
        self._platform.retry(job)
        return JSONResponse({"id": job.id, "status": "IN_QUEUE"})

    async def _purge(self, request: Request) -> Response:
        removed = self._platform.purge(request.path_params["endpoint_id"])
        return JSONResponse({"removed": removed, "status": "completed"})

    async def _health(self, request: Request) -> Response:
        return JSONResponse(self._platform.health(request.path_params["endpoint_id"]))

    def _job(self, request: Request) -> Job:
        job = self._platform.get(request.path_params["endpoint_id"], request.path_params["job_id"])
        if job is None:
            raise Refusal(_error("job not found", 404))
        return job

    async def _waited(self, request: Request, job: Job) -> Response:
        least, usual, most = WAIT_MS
        wait_s = min(max(_number(request, "wait", usual), least), most) / 1000
        with contextlib.suppress(TimeoutError):  # what a client gets then tells that it goes on
            await asyncio.wait_for(job.ended.wait(), wait_s)
        return JSONResponse(await self._envelope(job))

    async def _envelope(self, job: Job) -> dict[str, Any]:
        """Return the job as RunPod tells of it."""
        told: dict[str, Any] = {"id": job.id, "status": job.status, **job.times()}
        if job.submission is not None and job.submission.started_at is not None:
            told["workerId"] = f"sandbox{job.submission.number}"
        if job.status in {"FAILED", "TIMED_OUT"}:
            failure = job.submission.failure if job.submission else None
            return {**told, "error": failure.type if failure else job.error or "job timed out"}
        return {**told, **await self._result(job)} if job.status == "COMPLETED" else told

    async def _result(self, job: Job) -> dict[str, Any]:
        fate, settings = job.submission.fate if job.submission else None, self._sandbox.settings
        if fate == "error_inside":
            return {"output": {"status": "error", "message": "The sandbox was told to fail inside of a success"}}
        if fate == "no_output" or job.task is None:
            return {}
        pictures = [await self._picture(job, name, number) for number, (name, _) in enumerate(_planned(job))]
        place, form = settings.runpod_reply_format, settings.runpod_picture_form
        if job.task.is_public:
            place, form = "image_url", "url"
        made = reply(place, form, pictures, job.task.seed)
        return made if len(json.dumps(made)) <= settings.runpod_result_limit_bytes else {}

    async def _picture(self, job: Job, name: str, number: int) -> Picture:
        """Draw one picture and host it, so that it can be given by its address too."""
        recipe = self._sandbox.easel.plan(_planned(job)[number][1])
        draw = partial(self._sandbox.easel.draw, recipe)
        key = f"runpod/{job.id}/{name}"
        self._sandbox.shelf.put(key, Stored("image/png", draw, job.model))
        bucket = self._sandbox.settings.runpod_bucket_url or job.terms.origin
        return Picture(name, await draw(), f"{bucket.rstrip('/')}{SHELF}{key}")


def _planned(job: Job) -> list[tuple[str, Any]]:
    fate = job.submission.fate if job.submission else None
    return (job.task or Task()).recipes(fate)


async def _body(request: Request, most_bytes: int) -> dict[str, Any]:
    content = await request.body()
    if len(content) > most_bytes:
        raise Refusal(_error(f"payload exceeds {most_bytes} bytes", 400))
    try:
        body = json.loads(content)
    except ValueError:
        raise Refusal(_error("bad request: body is not JSON", 400)) from None
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict | str):
        raise Refusal(_error("bad request: missing input", 400))
    if "webhook" in body:
        raise Refusal(_error("the sandbox delivers no webhooks", 400))
    return body


def _limits(body: dict[str, Any]) -> tuple[float, float]:
    """Return executionTimeout and ttl in seconds."""
    policy = body.get("policy") or {}
    given = {name: policy.get(name, usual) for name, (_, usual) in _LIMITS_MS.items()}
    for name, value in given.items():
        least, most = _LIMITS_MS[name][0], _DAYS_MS
        if not isinstance(value, int | float) or not least <= value <= most:
            raise Refusal(_error(f"bad request: policy.{name} must be {least} to {most}", 400))
    return given["executionTimeout"] / 1000, given["ttl"] / 1000


def _number(request: Request, name: str, usual: float) -> float:
    try:
        return float(request.query_params.get(name, usual))
    except ValueError:
        raise Refusal(_error(f"bad request: {name} is no number", 400)) from None


def _model_of(request: Request) -> str:
    return f"runpod/{request.path_params['endpoint_id']}"


def _error(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status)


def _rate_limited(fault: Fault) -> Response:
    answer = _error("Too many requests", 429)
    answer.headers["Retry-After"] = str(fault.value if fault.value is not None else 1)
    return answer


REFUSALS: dict[Kind, Spoil] = {
    "429": _rate_limited,
    "concurrent_requests_limit": _rate_limited,
    "validation": lambda fault: _error(str(fault.value or "bad request"), 400),
    "error_type": lambda fault: _error(str(fault.value or "internal server error"), 500),
    "gone": lambda fault: _error("job not found", int(fault.number(404))),
}
