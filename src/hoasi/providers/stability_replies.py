"""Translator for Stability AI: what the answers of v2beta mean (OpenAPI document, read 2026-11-21).

Errors are `{"id", "name", "errors": [...]}` and are not billed. A blocked picture comes as HTTP 200, blurred, with
`finish-reason: CONTENT_FILTERED`: no result; whether it is billed is not said, so we say it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import (
    DETAIL_LIMIT,
    ContentBlocked,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    NotAccepted,
    ProviderRefused,
    ResultExpired,
)
from hoasi.providers._outcomes import Done, TryAgain, refusal
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.street import Reply

POLL_EVERY_S = 10.0
TIME_OUT_S = 60.0
"""How long the door stays shut after more than 150 requests in ten seconds."""
FILTERED = "CONTENT_FILTERED"
_BLOCKED = frozenset({"content_moderation", "public_figure"})
_NO_BALANCE = frozenset({"payment_required", "insufficient_balance"})
_FAILED = frozenset({400, 403, 413, 422})


def read(reply: Reply) -> tuple[str, str]:
    """Name and words of an error body; empty where it has none. v1 has one `message` instead of `errors`."""
    listed = reply.fields.get("errors") or [reply.fields.get("message") or ""]
    words = "; ".join(map(str, listed)) if isinstance(listed, list) else str(listed)
    return str(reply.fields.get("name") or ""), words[:DETAIL_LIMIT]


def refused(reply: Reply) -> HoasiError:
    """The error of a paid POST that was answered without a result."""
    name, words = read(reply)
    facts: dict[str, Any] = {"provider": "stability", "status": reply.status, "detail": words}
    if reply.status == 429:
        return NotAccepted("rate_limited", retry_after_s=reply.retry_after_s or TIME_OUT_S, **facts)
    if reply.status == 402 or name in _NO_BALANCE:
        return KeyRejected("key_rejected", **facts)
    if (name in _BLOCKED and reply.status < 500) or (reply.status == 500 and name == "internal_error"):
        return failed(reply)
    return refusal(reply, "stability", detail=words)


def failed(reply: Reply) -> GenerationFailed:
    """A call that ended without a picture, in the service's own words: not billed."""
    name, words = read(reply)
    leaf = ContentBlocked if name in _BLOCKED else ProviderRefused
    key = "content_blocked" if name in _BLOCKED else "failed_there"
    return leaf(key, provider="stability", type=name or "-", status=reply.status, detail=words)


def is_its_failure(reply: Reply) -> bool:
    """The end of the very call that is asked about, not the answer to a wrong key or a crowd."""
    name, _ = read(reply)
    return reply.status in _FAILED and bool(name) and name not in {"permission_denied", "unauthorized"}


def is_picture(reply: Reply) -> bool:
    """The body says of itself that it is a picture, and is not empty."""
    return reply.is_ok and reply.headers.get("content-type", "").startswith("image/") and bool(reply.body)


def done(reply: Reply) -> Done:
    """The picture of an answer.

    Raises:
        ContentBlocked: it was blurred by the content filter.
    """
    if reply.headers.get("finish-reason", "").upper() == FILTERED:
        raise filtered(reply.status)
    told = reply.headers.get("seed", "")
    facts = {"seed": int(told)} if told.isascii() and told.isdigit() else {}
    media_type = reply.headers["content-type"].partition(";")[0].strip()
    return Done((Output(data=reply.body, media_type=media_type),), facts)


def filtered(status: int) -> ContentBlocked:
    """What came is a blurred picture."""
    return ContentBlocked("content_blocked", provider="stability", type=FILTERED, status=status, paid="yes")


def unanswered(reply: Reply) -> Exception:
    """A look that told nothing: gone after a day, not allowed, or not now."""
    if reply.status in {404, 410}:
        return ResultExpired("result_expired", provider="stability", status=reply.status)
    if reply.status in {401, 403}:
        return KeyRejected("key_rejected", provider="stability", status=reply.status)
    return TryAgain(reply.status, reply.retry_after_s or POLL_EVERY_S)
