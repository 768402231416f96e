"""Room: sandbox. fal's two error bodies and which error has which status.

Source: fal's documentation (model-apis/errors, /request-errors) and fal's own framework, read 2026-11-21.

Shape A, what the model says: `{"detail": [{"loc", "msg", "type", "url", "ctx", "input"}]}`; decide on `type`.
Shape B, what the infrastructure says: `{"detail": "...", "error_type": "..."}` and the same type in `X-Fal-Error-Type`.
Both say in `X-Fal-Retryable` whether trying again can help.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Spoil

INVALID = 422  # every other type of shape A, all of pydantic's among them
MODEL_STATUS: dict[str, int] = {
    "internal_server_error": 500,
    "generation_timeout": 504,
    "downstream_service_error": 400,
    "downstream_service_unavailable": 500,
}
REQUEST_STATUS: dict[str, int] = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "internal_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "concurrent_requests_limit": 429,
}
FINAL = frozenset({"client_disconnected", "client_cancelled", "bad_request"})

Problem = Mapping[str, Any]


def problem(kind: str, loc: Iterable[str | int], msg: str, value: object = None, **ctx: object) -> Problem:
    """Return one entry of shape A. Like the live service it echoes the input."""
    entry = {"loc": list(loc), "msg": msg, "type": kind, "input": value, "url": f"https://docs.fal.ai/errors#{kind}"}
    return {**entry, "ctx": ctx} if ctx else entry


def model_error(problems: Iterable[Problem]) -> Response:
    """Return shape A. Validation errors say that nothing is billed."""
    detail = list(problems)
    kind = detail[0]["type"]
    headers = {"X-Fal-Retryable": str(kind in MODEL_STATUS).lower()}
    status = MODEL_STATUS.get(kind, INVALID)
    if status == INVALID:
        headers["x-fal-billable-units"] = "0"
    return JSONResponse({"detail": detail}, status, headers)


def request_error(kind: str) -> Response:
    """Return shape B. A type that no list knows is a 500."""
    headers = {"X-Fal-Error-Type": kind, "X-Fal-Retryable": str(kind not in FINAL).lower()}
    if kind == "request_timeout":
        headers["X-Fal-Request-Timeout-Type"] = "user"
    if kind == "concurrent_requests_limit":
        headers["X-Fal-needs-retry"] = "1"
    return JSONResponse({"detail": message(kind), "error_type": kind}, REQUEST_STATUS.get(kind, 500), headers)


def failure(kind: str, problems: Iterable[Problem] = ()) -> Response:
    """Return the answer of a failed submission, in the shape its type belongs to."""
    if kind in REQUEST_STATUS:
        return request_error(kind)
    return model_error(problems or [problem(kind, ["body"], message(kind))])


def message(kind: str) -> str:
    """Return a sentence for an error type, e.g. `Request timeout`."""
    return kind.replace("_", " ").capitalize()


def _validation(fault: Fault) -> Response:
    kind = str(fault.value or "value_error")
    return model_error([problem(kind, ["body", "prompt"], message(kind))])


REFUSALS: dict[Kind, Spoil] = {
    "concurrent_requests_limit": lambda _: request_error("concurrent_requests_limit"),
    "error_type": lambda fault: request_error(str(fault.value or "internal_error")),
    "validation": _validation,
}
