"""Translator for Kling: what its refusals mean (error page, read 2026-11-21). HTTP status and code count both.

A 429 may be an empty account, a 200 may be a refusal. Whatever has no code that proves it was not accepted may have
been: then Kling is asked for the task by our own id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import (
    DETAIL_LIMIT,
    ContentBlocked,
    HoasiError,
    KeyRejected,
    NotAccepted,
    PaymentUnknown,
    ProviderRefused,
    ResultExpired,
)
from hoasi.providers._outcomes import TryAgain

if TYPE_CHECKING:
    from hoasi.providers.kling.bills import Bill
    from hoasi.street import Reply

_BUSY_S = 1.0
"""The shortest pause after 1302 and 1303 (1303: a slot is free when a task has ended)."""
_BUSY = frozenset({1302, 1303})
_STALE = frozenset({1003, 1004})
_BLOCKED = frozenset({1300, 1301})
_REFUSED = frozenset({1200, 1201, 1202, 1203})
_ACCOUNT = {
    1000: "key_of_region",
    1001: "key_of_region",
    1002: "key_of_region",
    1003: "key_out_of_time",
    1004: "key_out_of_time",
    1100: "account_abnormal",
    1101: "balance_empty",
    1102: "balance_empty",
    1103: "model_not_permitted",
    1304: "address_not_permitted",
}
_TOO_LARGE = 413
"""A gateway's answer, without a code: so large a body never came in."""
_RISK = "risk control"
"""A task that failed by the content rules says so in words only."""


def code(reply: Reply) -> int | None:
    """Kling's own code; 0 is success, None a body that is not Kling's."""
    value = reply.fields.get("code")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def words(reply: Reply) -> str:
    """Kling's own sentence."""
    return str(reply.fields.get("message") or "")[:DETAIL_LIMIT]


def is_stale(reply: Reply) -> bool:
    """Only the token's age was wrong."""
    return reply.status == 401 and code(reply) in _STALE


def is_missing(reply: Reply) -> bool:
    """Kling knows no such task."""
    return reply.status == 404 or code(reply) == 1203


def is_no_id(reply: Reply) -> bool:
    """Kling knows no such task, or takes no such id here."""
    return is_missing(reply) or code(reply) in _REFUSED


def data(reply: Reply) -> Any:
    """What a free question was answered with.

    Raises:
        ResultExpired, KeyRejected, TryAgain: it was not.
    """
    if reply.is_ok and code(reply) == 0:
        return reply.fields.get("data")
    raise unanswered(reply)


def refused(reply: Reply, spent_usd: float = 0.0) -> HoasiError:
    """The error of a paid POST that gave no task; `spent_usd` was paid for the step before it."""
    number, more = code(reply), {"paid": "yes", "cost_usd": spent_usd} if spent_usd else {}
    facts: dict[str, Any] = {"provider": "kling", "status": reply.status, "detail": words(reply), **more}
    if reply.status == _TOO_LARGE or (reply.status < 500 and number in _REFUSED):
        return ProviderRefused("refused_after_step" if spent_usd else "refused", **facts)
    if reply.status >= 500 or number is None:
        return PaymentUnknown("reply_unclear", provider="kling", status=reply.status, detail=words(reply))
    if number in _BUSY:
        key = "refused_after_step" if spent_usd else "rate_limited"
        return NotAccepted(key, retry_after_s=max(reply.retry_after_s or 0.0, _BUSY_S), **facts)
    if number in _BLOCKED:
        return ContentBlocked("content_blocked", type=number, **facts)
    if number in _ACCOUNT:
        return KeyRejected(_ACCOUNT[number], **facts)
    return PaymentUnknown("reply_unclear", provider="kling", status=reply.status, detail=words(reply))


def unanswered(reply: Reply) -> Exception:
    """A free question that got no answer: gone, not allowed, or not now."""
    if is_missing(reply):
        return ResultExpired("result_expired", provider="kling", status=reply.status)
    if reply.status in {401, 403}:
        return KeyRejected(_ACCOUNT.get(code(reply) or 0, "key_of_region"), provider="kling", status=reply.status)
    return TryAgain(reply.status, reply.retry_after_s)


def failure(reason: str, bill: Bill) -> HoasiError:
    """The end of a task that Kling says has failed."""
    facts: dict[str, Any] = {"provider": "kling", "detail": reason, "paid": bill.paid, **bill.facts()}
    if _RISK in reason.lower():
        return ContentBlocked("content_blocked", type="risk control", **facts)
    return ProviderRefused("failed_there", type="failed", status=200, **facts)
