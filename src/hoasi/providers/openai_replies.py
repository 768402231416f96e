"""Translator for OpenAI: what its answers mean (openai 3.52.0, developers.openai.com, read 2026-11-21).

We decide on `code`, never on the text. Whether a picture that moderation stops has cost anything is told nowhere: such
a refusal is said to be of unknown cost. A 429 is a rate limit, or an empty purse, which no waiting fills.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hoasi.errors import DETAIL_LIMIT, ContentBlocked, HoasiError, KeyRejected, PaymentUnknown, ProviderRefused
from hoasi.providers._outcomes import Done, refusal
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.street import Reply

BLOCKED = frozenset({"moderation_blocked", "content_policy_violation"})
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "project_spend_limit_exceeded"})
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_KINDS = ("text", "image")


def is_end(event: dict[str, Any]) -> bool:
    """A finished picture or an error; partial pictures are not."""
    return str(event.get("type", "")).endswith(".completed") or _error(event) is not None


def picture(event: dict[str, Any]) -> Output | None:
    """The picture of a finished event, or of an entry of a reply's list."""
    is_partial = str(event.get("type", "")).endswith(".partial_image")
    text = event.get("b64_json")
    return None if is_partial or not isinstance(text, str) or not text else Output(data=_bytes(text))


def _bytes(text: str) -> bytes:
    """What base64 holds, as far as it is whole; the decoder of pictures judges the rest."""
    kept = _NOT_BASE64.sub("", text)
    kept = kept[:-1] if len(kept) % 4 == 1 else kept
    return base64.b64decode(kept + "=" * (-len(kept) % 4))


def streamed(reply: Reply, ends: list[dict[str, Any]], card: Card) -> Done:
    """The pictures of a stream; an error within it came after the work had begun."""
    failed = [error for event in ends if (error := _error(event)) is not None]
    outputs = tuple(output for event in ends if (output := picture(event)) is not None)
    if failed and not outputs:
        raise _failure(failed[0], reply.status)
    if not outputs:
        raise ProviderRefused("no_media", provider="openai", paid="unknown")
    return Done(outputs, _facts(ends[-1], card))


def done(reply: Reply, card: Card) -> Done:
    """The pictures of a whole reply.

    Raises:
        GenerationFailed, PaymentUnknown: there are none.
    """
    if not reply.is_ok:
        raise refused(reply)
    listed = reply.fields.get("data")
    if not isinstance(listed, list):
        raise PaymentUnknown("reply_unclear", provider="openai", status=reply.status)
    found = [picture(entry) for entry in listed if isinstance(entry, dict)]
    outputs = tuple(output for output in found if output is not None)
    if not outputs:
        raise ProviderRefused("no_media", provider="openai", paid="unknown")
    return Done(outputs, _facts(reply.fields, card))


# ---------------------------------------------------------------------- errors


def _error(fields: dict[str, Any]) -> dict[str, Any] | None:
    """The error object of a body or event; an event may be one itself."""
    error = fields.get("error")
    if isinstance(error, dict):
        return error
    return fields if fields.get("type") == "error" else None


def _code(error: dict[str, Any]) -> str:
    return str(error.get("code") or error.get("type") or "-")


def refused(reply: Reply) -> HoasiError:
    """The error of a request that was answered without pictures."""
    error = _error(reply.fields) or {}
    code, words = _code(error), str(error.get("message") or "")[:DETAIL_LIMIT]
    if code in NO_MONEY:
        return KeyRejected("balance_empty", provider="openai", status=reply.status, detail=words)
    if code in BLOCKED and 400 <= reply.status < 500:
        return _blocked(code, reply.status, words)
    return refusal(_patient(reply), "openai", detail=words)


def _blocked(code: str, status: int, words: str) -> ContentBlocked:
    return ContentBlocked("content_blocked", provider="openai", type=code, status=status, detail=words, paid="unknown")


def _failure(error: dict[str, Any], status: int) -> HoasiError:
    code, words = _code(error), str(error.get("message") or "")[:DETAIL_LIMIT]
    if code in BLOCKED:
        return _blocked(code, status, words)
    return ProviderRefused("failed_there", provider="openai", type=code, status=status, detail=words, paid="unknown")


def _patient(reply: Reply) -> Reply:
    """The same with `Retry-After` in seconds where only the finer `retry-after-ms` was told."""
    told = reply.headers.get("retry-after-ms", "")
    if "retry-after" in reply.headers or not told.isdigit():
        return reply
    return replace(reply, headers={**reply.headers, "retry-after": f"{int(told) / 1000:.3f}"})


# ---------------------------------------------------------------------- cost


def _facts(fields: dict[str, Any], card: Card) -> dict[str, Any]:
    """Size and quality as they were resolved, and what the tokens cost."""
    kept = {name: fields[name] for name in ("size", "quality") if isinstance(fields.get(name), str)}
    cost = cost_usd(fields.get("usage"), card)
    return kept if cost is None else {**kept, "cost_usd": cost}


def cost_usd(usage: object, card: Card) -> float | None:
    """Dollars by the token prices of the card; None where the reply or the card does not tell enough.

    Of what comes out only the picture's tokens have a price; where they are not told apart all are the picture's.
    """
    prices = card.price.tokens if card.price else {}
    if not prices or not isinstance(usage, dict):
        return None
    given, made = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    drawn = made.get("image_tokens") if isinstance(made, dict) else usage.get("output_tokens")
    counted = {f"{kind}_in": given.get(f"{kind}_tokens") for kind in _KINDS} if isinstance(given, dict) else {}
    counted["image_out"] = usage.get("output_tokens") if drawn is None else drawn
    if len(counted) < len(prices) or not all(isinstance(count, int) for count in counted.values()):
        return None
    return round(sum(prices[name] * count for name, count in counted.items() if isinstance(count, int)), 6)
