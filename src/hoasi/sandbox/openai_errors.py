"""Room: sandbox. OpenAI's error body and which code has which status (openai 3.52.0 and observed bodies, 2026-11-21).

`{"error": {"message", "type", "param", "code"}}`. Uncertain: status and text for a model that was shut down (404 here).
"""

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Refusal, Spoil

_REQUEST, _USER = "invalid_request_error", "image_generation_user_error"
_BLOCKED = "Your request was rejected by the safety system. safety_violations=[sexual]."
ERRORS: dict[str, tuple[int, str, str]] = {
    "invalid_value": (400, _REQUEST, "Invalid value"),
    "invalid_size": (400, _REQUEST, "Invalid size"),
    "unknown_parameter": (400, _REQUEST, "Unknown parameter"),
    "missing_required_parameter": (400, _REQUEST, "Missing required parameter"),
    "string_above_max_length": (400, _REQUEST, "Invalid 'prompt': string too long"),
    "invalid_input_fidelity_model": (400, _REQUEST, "input_fidelity is not supported by this model"),
    "invalid_image_file": (400, _USER, "Invalid image file or mode"),
    "image_too_large": (400, _USER, "The image is too large"),
    "invalid_mask": (400, _USER, "Mask size does not match the size of the first image"),
    "moderation_blocked": (400, _USER, _BLOCKED),
    "content_policy_violation": (400, _USER, _BLOCKED),
    "invalid_api_key": (401, _REQUEST, "Incorrect API key provided"),
    "organization_not_verified": (403, _REQUEST, "Your organization must be verified to use the model"),
    "model_not_found": (404, _REQUEST, "The model does not exist or you do not have access to it"),
    "rate_limit_exceeded": (429, "images", "Rate limit reached for images per minute"),
    "insufficient_quota": (429, "insufficient_quota", "You exceeded your current quota"),
    "billing_hard_limit_reached": (429, "billing_limit_user_error", "Billing hard limit has been reached"),
    "project_spend_limit_exceeded": (429, "billing_limit_user_error", "The project's spend limit was exceeded"),
    "server_error": (500, "server_error", "The server had an error while processing your request"),
}


def details(code: str, message: str = "", param: str | None = None) -> dict[str, str | None]:
    """Return the inner object of an error; a code that no list knows is a server error."""
    _, kind, usual = ERRORS.get(code, ERRORS["server_error"])
    return {"message": message or usual, "type": kind, "param": param, "code": code}


def error(code: str, message: str = "", param: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a code."""
    status = ERRORS.get(code, ERRORS["server_error"])[0]
    return JSONResponse({"error": details(code, message, param)}, status, headers)


def refusal(code: str, message: str = "", param: str | None = None) -> Refusal:
    """Return what an endpoint raises that will not do it."""
    return Refusal(error(code, message, param))


def _too_fast(fault: Fault) -> Response:
    return error("rate_limit_exceeded", headers={"Retry-After": str(fault.value if fault.value is not None else 1)})


REFUSALS: dict[Kind, Spoil] = {
    "429": _too_fast,
    "concurrent_requests_limit": lambda _: error("rate_limit_exceeded", headers={"Retry-After-Ms": "1500"}),
    "error_type": lambda fault: error(str(fault.value or "server_error")),
    "validation": lambda fault: error(str(fault.value or "invalid_value")),
    "gone": lambda _: error("model_not_found"),
}
