"""Room: sandbox. Stability's errors: `errors` is a list in v2beta, `message` a text in v1 (read 2026-11-21)."""

from __future__ import annotations

from uuid import uuid4

from starlette.responses import JSONResponse, Response

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Refusal, Spoil

STATUS: dict[str, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "payment_required": 402,
    "content_moderation": 403,
    "permission_denied": 403,
    "not_found": 404,
    "payload_too_large": 413,
    "invalid_language": 422,
    "public_figure": 422,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
}
WORDS: dict[str, str] = {
    "unauthorized": "authorization: is missing or not valid",
    "content_moderation": "Your request was flagged by our content moderation system, you were not charged",
    "invalid_language": "English is the only supported language for this service.",
}


def error(name: str, *words: str) -> Response:
    """Return the error body of v2beta; a name that no list knows is a 400."""
    listed = list(words) or [WORDS.get(name, name.replace("_", " "))]
    return JSONResponse({"id": uuid4().hex, "name": name, "errors": listed}, STATUS.get(name, 400))


def v1_error(name: str, message: str, status: int = 400) -> Response:
    """Return the error body of v1."""
    return JSONResponse({"id": uuid4().hex, "name": name, "message": message}, status)


def refusal(name: str, *words: str) -> Refusal:
    """Return what an endpoint raises that will not do it."""
    return Refusal(error(name, *words))


def _too_many(fault: Fault) -> Response:
    answer = error("rate_limit_exceeded")
    if fault.value is not None:  # no Retry-After is documented; it comes only where a test wants one
        answer.headers["Retry-After"] = str(fault.value)
    return answer


REFUSALS: dict[Kind, Spoil] = {
    "429": _too_many,
    "concurrent_requests_limit": lambda _: error("rate_limit_exceeded"),
    "error_type": lambda fault: error(str(fault.value or "internal_error")),
    "validation": lambda fault: error("bad_request", str(fault.value or "prompt: is not allowed to be empty")),
    "gone": lambda _: error("not_found"),
}
