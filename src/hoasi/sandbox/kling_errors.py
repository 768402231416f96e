"""Room: sandbox. Kling's envelope and its errors: HTTP status and code both count (read 2026-11-21).

`{"code": 0, "message": "SUCCEED", "request_id": ..., "data": ...}`. Uncertain: the sentences; only `SUCCEED` and that
of 1303 were seen.
"""

from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Refusal, Spoil

ERRORS: dict[int, tuple[int, str]] = {
    1000: (401, "Authentication failed"),
    1001: (401, "Authorization is empty"),
    1002: (401, "Authorization is invalid"),
    1003: (401, "Authorization is not yet valid"),
    1004: (401, "Authorization has expired"),
    1100: (429, "Account exception"),
    1101: (429, "Account in arrears"),
    1102: (429, "Resource pack used up or expired"),
    1103: (403, "Unauthorized access to the requested resource"),
    1200: (400, "Invalid request parameters"),
    1201: (400, "Invalid parameters"),
    1202: (404, "The requested method is invalid"),
    1203: (404, "The requested resource does not exist"),
    1300: (400, "Trigger strategy of the platform"),
    1301: (400, "Trigger the content security policy of the platform"),
    1302: (429, "The API request is too fast"),
    1303: (429, "parallel task over resource pack limit"),
    1304: (429, "Trigger the IP whitelisting policy of the platform"),
    5000: (500, "Server internal error"),
    5001: (503, "Server temporarily unavailable"),
    5002: (504, "Server internal timeout"),
}


def success(data: Any) -> Response:
    """Return the envelope of an answer."""
    return JSONResponse({"code": 0, "message": "SUCCEED", "request_id": str(uuid4()), "data": data})


def error(code: int, detail: str = "") -> Response:
    """Return the envelope of an error, with its HTTP status; a code that no list knows is a 500."""
    status, message = ERRORS.get(code, (500, "Server internal error"))
    return JSONResponse({"code": code, "message": detail or message, "request_id": str(uuid4())}, status)


def refusal(code: int, detail: str = "") -> Refusal:
    """Return what an endpoint raises that will not do it."""
    return Refusal(error(code, detail))


def _too_fast(fault: Fault) -> Response:
    answer = error(1302)
    if fault.value is not None:  # Kling documents no Retry-After; it comes only where a test wants one
        answer.headers["Retry-After"] = str(fault.value)
    return answer


REFUSALS: dict[Kind, Spoil] = {
    "429": _too_fast,
    "concurrent_requests_limit": lambda _: error(1303),
    "error_type": lambda fault: error(int(fault.number(5000))),
    "validation": lambda fault: error(1201, str(fault.value or "")),
    "gone": lambda _: error(1203),
}
