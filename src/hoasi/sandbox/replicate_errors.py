"""Room: sandbox. Replicate's errors: `detail` is always there, the rest is not (openapi.json and SDKs, 2026-11-21)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Refusal, Spoil

TITLES = {
    401: "Unauthenticated",
    402: "Insufficient credit",
    404: "Not found",
    422: "Input validation failed",
    429: "Too many requests",
    500: "Internal server error",
}


def error(status: int, detail: str = "", **more: Any) -> Response:
    """Return an error body."""
    title = TITLES.get(status, "Error")
    return JSONResponse({"title": title, "detail": detail or f"{title}.", "status": status, **more}, status)


def refusal(status: int, detail: str = "", **more: Any) -> Refusal:
    """Return what an endpoint raises that will not do it."""
    return Refusal(error(status, detail, **more))


def invalid(problems: Sequence[tuple[str, str]]) -> Refusal:
    """Return the refusal of an input, by field and what is wrong with it."""
    fields = [{"type": "invalid", "field": f"input.{name}", "description": text} for name, text in problems]
    return refusal(422, "".join(f"- input.{name}: {text}\n" for name, text in problems), invalid_fields=fields)


def _throttled(fault: Fault) -> Response:
    """The variant with a header, and a body without title."""
    seconds = fault.value if fault.value is not None else 1
    detail = f"Request was throttled. Your rate limit resets in ~{seconds}s."
    return JSONResponse({"detail": detail, "status": 429}, 429, {"Retry-After": str(seconds)})


REFUSALS: dict[Kind, Spoil] = {
    "429": _throttled,
    "concurrent_requests_limit": lambda _: error(429, "Request was throttled.", retry_after=2),
    "error_type": lambda fault: error(int(fault.number(500))),
    "validation": lambda fault: error(422, f"- input.{fault.value or 'prompt'}: is not valid\n"),
    "gone": lambda _: error(404),
}
