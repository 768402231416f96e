"""Room: sandbox. Ark's errors: `{"error": {"code", "message", "param", "type"}}` (2026-11-21; `type` uncertain)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Refusal, Spoil

_STATUS: dict[str, int] = {
    "AuthenticationError": 401,
    "AccountOverdueError": 403,
    "AccessDenied": 403,
    "InvalidEndpointOrModel.NotFound": 404,
    "ModelNotOpen": 404,
    "UnsupportedModel": 404,
    "QuotaExceeded": 429,
    "SetLimitExceeded": 429,
    "InflightBatchsizeExceeded": 429,
    "ServerOverloaded": 429,
    "RequestBurstTooFast": 429,
    "InternalServiceError": 500,
}
_TYPES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
BLOCKED = "OutputImageSensitiveContentDetected"


def body(code: str, message: str = "", param: str = "") -> dict[str, str]:
    """Return the inside of an error."""
    kind = _TYPES.get(status_of(code), "InternalServerError")
    words = f"{message or code}. Request id: {uuid4().hex}"
    return {"code": code, "message": words, "param": param, "type": kind}


def status_of(code: str) -> int:
    """Return the HTTP status of a code: 429 for every rate, 400 for what no list knows."""
    return 429 if "RateLimit" in code or "MExceeded" in code else _STATUS.get(code, 400)


def error(code: str, message: str = "", param: str = "") -> Response:
    """Return an error."""
    return JSONResponse({"error": body(code, message, param)}, status_of(code))


def refusal(code: str, message: str = "", param: str = "") -> Refusal:
    """Return what an endpoint raises that will not do it."""
    return Refusal(error(code, message, param))


def failed_picture(code: str) -> dict[str, Any]:
    """Return what stands in the place of a picture that failed."""
    return {"error": {"code": code, "message": "The output image may contain sensitive information"}}


def _too_fast(fault: Fault) -> Response:
    answer = error("ModelAccountIpmRateLimitExceeded")
    if fault.value is not None:
        answer.headers["Retry-After"] = str(fault.value)
    return answer


REFUSALS: dict[Kind, Spoil] = {
    "429": _too_fast,
    "concurrent_requests_limit": lambda _: error("ServerOverloaded"),
    "error_type": lambda fault: error(str(fault.value or "InternalServiceError")),
    "validation": lambda fault: error("InvalidParameter", "the parameter is not valid", str(fault.value or "prompt")),
}
