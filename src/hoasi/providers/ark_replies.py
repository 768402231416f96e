"""Translator for Ark: what its refusals mean (docs, read 2026-11-21).

`{"error": {"code", "message", "param", "type"}}`. We decide on the code. Content that is stopped before a picture is
made costs nothing; a 500 may have been billed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hoasi.errors import (
    DETAIL_LIMIT,
    ContentBlocked,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    ProviderRefused,
)
from hoasi.providers._outcomes import refusal

if TYPE_CHECKING:
    from hoasi.street import Reply

REGION = "HOASI_ARK_REGION"
_BLOCKED = ("SensitiveContent", "RiskDetection", "PolicyViolation")
_USED_UP = frozenset({"QuotaExceeded", "SetLimitExceeded", "InflightBatchsizeExceeded", "AccountOverdueError"})
_NOT_OPEN = frozenset({"InvalidEndpointOrModel.NotFound", "ModelNotOpen", "UnsupportedModel"})


def read(reply: Reply) -> tuple[str, str]:
    """Code and words of an error body, the field first; empty where it has none."""
    error = reply.fields.get("error")
    told: dict[str, Any] = error if isinstance(error, dict) else {}
    field = f"{told['param']}: " if told.get("param") else ""
    return str(told.get("code") or ""), f"{field}{told.get('message') or ''}"[:DETAIL_LIMIT]


def refused(reply: Reply, model: str, address: str, regions: tuple[str, ...]) -> HoasiError:
    """The error of a call that was answered without pictures."""
    code, words = read(reply)
    host = urlsplit(address).hostname or address
    facts: dict[str, Any] = {"provider": "ark", "status": reply.status, "detail": words}
    if leaf(code) is ContentBlocked and reply.status < 500:
        return ContentBlocked("content_blocked", type=code, **facts)
    if reply.status == 401:
        return KeyRejected("key_other_region", host=host, name=REGION, known=", ".join(regions), **facts)
    if code in _NOT_OPEN:
        return KeyRejected("model_not_open", host=host, name=REGION, model=model, **facts)
    if code in _USED_UP:
        return KeyRejected("key_rejected", **facts)
    return refusal(reply, "ark", detail=words)


def leaf(code: str) -> type[GenerationFailed]:
    """Blocked content, or another failure."""
    return ContentBlocked if any(word in code for word in _BLOCKED) else ProviderRefused


def usage(fields: dict[str, Any]) -> dict[str, Any] | None:
    """What was billed; None where it is not told."""
    told = fields.get("usage")
    return told if isinstance(told, dict) else None
