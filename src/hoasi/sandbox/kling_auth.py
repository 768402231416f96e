"""Room: sandbox. Who may speak to Kling: an API key, or (old standard only) a token signed with a secret key.

Any API key is right unless `reject_key` is set. A token is right if it is a JWT, HS256, signed with `SECRET_KEY`, with
`iss` (any access key), `exp` ahead and `nbf` behind; seconds of the system clock, no leeway.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from hoasi.sandbox.kling_errors import refusal

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

SECRET_KEY = "sandbox-secret"  # noqa: S105 - 2026-11-27, a stand-in's secret is no secret


def check_key(sandbox: Sandbox, request: Request, *, takes_token: bool = True) -> None:
    """Raise Refusal (401) unless the request carries a key or, where it may, a token."""
    scheme, _, key = request.headers.get("authorization", "").strip().partition(" ")
    if sandbox.settings.reject_key:
        raise refusal(1000)
    if not scheme or (scheme == "Bearer" and not key.strip()):
        raise refusal(1001)
    if scheme != "Bearer":
        raise refusal(1002)
    if _is_token(key):
        if not takes_token:
            raise refusal(1002, "This API takes an API key only")
        _check_token(key)


def _is_token(key: str) -> bool:
    parts = key.split(".")
    return len(parts) == 3 and isinstance(_json(parts[0]), dict)


def _check_token(token: str) -> None:
    head, claims, signature = token.split(".")
    facts = _json(claims)
    wanted = hmac.digest(SECRET_KEY.encode(), f"{head}.{claims}".encode(), hashlib.sha256)
    if _json(head).get("alg") != "HS256" or _decoded(signature) != wanted or not isinstance(facts, dict):
        raise refusal(1002)
    expires, begins = facts.get("exp"), facts.get("nbf")
    if not facts.get("iss") or not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise refusal(1002, "iss, exp and nbf are required")
    if expires <= time.time():
        raise refusal(1004)
    if begins > time.time():
        raise refusal(1003)


def _json(part: str) -> Any:
    try:
        return json.loads(_decoded(part))
    except ValueError:
        return None


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
