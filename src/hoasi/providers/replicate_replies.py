"""Translator for Replicate: what its answers mean (api.replicate.com/openapi.json, replicate 1.0.7, read 2026-11-21).

Errors: `detail` first, `title` is not always there. A prediction says when it started: what never started cost nothing;
what was taken back at work is charged; whether a failure is, depends on the model and is not told.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hoasi.errors import (
    DETAIL_LIMIT,
    Cancelled,
    ContentBlocked,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    ProviderRefused,
    ResultExpired,
)
from hoasi.providers._outcomes import Done, Pending, Ready, TryAgain, refusal
from hoasi.providers.replicate_results import facts, outputs
from hoasi.record import Paid

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.street import Reply
    from hoasi.wire import Wire

ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
_BLOCKED = re.compile(r"\(E005\)|\bNSFW\b|flagged as sensitive", re.IGNORECASE)
_RESETS = re.compile(r"resets in ~?(\d+)s")


def refused(reply: Reply) -> HoasiError:
    """The error of a paid POST that was answered without a prediction."""
    words = str(reply.fields.get("detail") or reply.fields.get("title") or "")[:DETAIL_LIMIT]
    if reply.status == 402:
        return KeyRejected("balance_empty", provider="replicate", status=402, detail=words)
    return refusal(_patient(reply), "replicate", detail=words)


def _patient(reply: Reply) -> Reply:
    """The same with `Retry-After`, where only the body tells how long."""
    told = reply.fields.get("retry_after")
    match = _RESETS.search(str(reply.fields.get("detail") or ""))
    seconds = str(told) if isinstance(told, int | float) else match[1] if match else ""
    if "retry-after" in reply.headers or not seconds:
        return reply
    return replace(reply, headers={**reply.headers, "retry-after": seconds})


def unanswered(reply: Reply) -> Exception:
    """A free question that got no answer: gone, not allowed, or not now."""
    if reply.status in {404, 410}:
        return ResultExpired("result_expired", provider="replicate", status=reply.status)
    if reply.status in {401, 403}:
        return KeyRejected("key_rejected", provider="replicate", status=reply.status)
    return TryAgain(reply.status, reply.retry_after_s)


async def asked(wire: Wire, receipt: dict[str, Any]) -> Reply:
    """The prediction of a receipt; free."""
    reply = await wire.call("GET", wire.url("", f"v1/predictions/{receipt['id']}"))
    if not reply.is_ok:
        raise unanswered(reply)
    if not isinstance(reply.fields.get("status"), str):
        raise TryAgain(reply.status)
    return reply


def stored(reply: Reply) -> str:
    """The address of an uploaded file."""
    urls = reply.fields.get("urls")
    if not reply.is_ok:
        raise unanswered(reply)
    if not isinstance(urls, dict) or not isinstance(urls.get("get"), str):
        raise TryAgain(reply.status)
    return str(urls["get"])


def seen(prediction: dict[str, Any]) -> Pending | Ready:
    """How far it is. One that is at work may show results already; they count when it has ended."""
    status = str(prediction.get("status"))
    if status in ENDED:
        return Ready(error=str(prediction.get("error") or ""), error_type="" if status == "succeeded" else status)
    return Pending("queued" if status == "starting" else "working")


def done(reply: Reply, card: Card) -> Done:
    """The results of a prediction that has ended.

    Raises:
        GenerationFailed: it has none. TryAgain: it has not ended.
    """
    told = reply.fields
    if told.get("status") not in ENDED:
        raise TryAgain(reply.status, 0.5)
    if told["status"] != "succeeded":
        raise _failure(told)
    if told.get("data_removed") is True:
        raise ResultExpired("result_expired", provider="replicate", status=reply.status)
    found = outputs(told.get("output"))
    if not found:
        raise ProviderRefused("no_media", provider="replicate", detail=_shown(told.get("output")), paid="unknown")
    return Done(found, facts(told, card))


def _failure(told: dict[str, Any]) -> GenerationFailed:
    words, status = _shown(told.get("error")), str(told["status"])
    has_started = bool(told.get("started_at"))
    if status in {"canceled", "aborted"}:
        return Cancelled("cancelled_at_work", provider="replicate", paid="yes" if has_started else "no", detail=words)
    paid: Paid = "unknown" if has_started else "no"
    if _BLOCKED.search(words):
        return ContentBlocked("content_blocked", provider="replicate", type="E005", detail=words, paid=paid)
    return ProviderRefused("failed_there", provider="replicate", type=status, status=200, detail=words, paid=paid)


def _shown(value: object) -> str:
    return "" if value is None else str(value)[:DETAIL_LIMIT]
