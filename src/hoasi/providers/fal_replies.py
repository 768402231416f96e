"""Translator for fal.ai: what its answers mean (docs.fal.ai/errors, read 2026-11-21).

Errors have two shapes. A: `detail` is a list of objects with `type`; B: `detail` is a text, with `error_type`. We
decide on the type, never on the text, and never keep `input` (it echoes prompts and addresses).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import (
    DETAIL_LIMIT,
    ContentBlocked,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    ProviderRefused,
    ResultExpired,
)
from hoasi.providers._outcomes import Done, Pending, Ready, TryAgain, refusal
from hoasi.record import Paid
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.street import Reply

NOT_ACCEPTED = frozenset({"runner_scheduling_failure", "runner_connection_refused", "concurrent_requests_limit"})
"""Types that prove a submission was not accepted (section 5 of the wire notes)."""

_BLOCKED = frozenset({"content_policy_violation", "no_media_generated"})


def read(reply: Reply) -> tuple[str, str]:
    """Type and the provider's words of an error body; empty where it has none."""
    detail = reply.fields.get("detail")
    if isinstance(detail, list):
        rows = [row for row in detail if isinstance(row, dict)]
        words = "; ".join(f"{_field(row)}{row.get('msg', '')}" for row in rows)
        return str(rows[0].get("type", "")) if rows else "", words[:DETAIL_LIMIT]
    kind = reply.fields.get("error_type") or reply.headers.get("x-fal-error-type", "")
    return str(kind), str(detail or "")[:DETAIL_LIMIT]


def _field(row: dict[str, object]) -> str:
    """`aspect_ratio: ` from a location such as ["body", "aspect_ratio"]."""
    place = row.get("loc")
    names = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
    return ".".join(names) + ": " if names else ""


def is_told(reply: Reply, ready: Ready) -> bool:
    """The body is the end of the request itself, not the trouble of some gateway on the way to its result.

    The model's own errors are lists. A flat error counts only where the status said already that the request failed:
    a paid result must not be given up because one look at it met a busy runner.
    """
    if isinstance(reply.fields.get("detail"), list):
        return reply.status != 429
    return bool(ready.error or ready.error_type) and bool(read(reply)[0])


def refused(reply: Reply) -> HoasiError:
    """The error of a submission that was answered without a receipt."""
    kind, words = read(reply)
    if kind in _BLOCKED and 400 <= reply.status < 500:
        return ContentBlocked("content_blocked", provider="fal", type=kind, status=reply.status, detail=words)
    return refusal(reply, "fal", not_accepted=kind in NOT_ACCEPTED, detail=words)


def failure(reply: Reply) -> GenerationFailed:
    """The end of a generation that fal says has failed."""
    kind, words = read(reply)
    leaf = ContentBlocked if kind in _BLOCKED else ProviderRefused
    key = "content_blocked" if kind in _BLOCKED else "failed_there"
    return leaf(key, provider="fal", type=kind or "-", status=reply.status, detail=words, paid=billed(reply))


def billed(reply: Reply) -> Paid:
    """Only outputs are billed and >= 500 never is; a 422 may be, unless its header says zero units (section 5)."""
    units = reply.headers.get("x-fal-billable-units", "")
    if units:
        return "no" if units.strip("0.") == "" else "yes"
    is_list = isinstance(reply.fields.get("detail"), list)
    return "unknown" if reply.status < 500 and is_list else "no"


def status(event: dict[str, Any]) -> Pending | Ready:
    """A status body or event; the only end is `COMPLETED`."""
    if event.get("status") == "COMPLETED":
        return Ready(error=str(event.get("error") or ""), error_type=str(event.get("error_type") or ""))
    if event.get("status") == "IN_PROGRESS":
        return Pending("working")
    position = event.get("queue_position")
    return Pending("queued", position if isinstance(position, int) else None)


def done(reply: Reply, ready: Ready) -> Done:
    """The media of a result; a result without any is a failure."""
    listed = [item for name in ("images", "image", "video") for item in _listed(reply.fields.get(name))]
    found = [item for item in listed if isinstance(item, dict) and isinstance(item.get("url"), str)]
    if not found:
        raise ProviderRefused("no_media", provider="fal", detail=ready.error or ready.error_type, paid="unknown")
    facts = {name: reply.fields[name] for name in ("seed",) if isinstance(reply.fields.get(name), int)}
    return Done(tuple(Output(url=item["url"]) for item in found), facts)


def _listed(media: object) -> list[Any]:
    """Pictures come as a list or alone, clips alone or (of one family) as a list."""
    return media if isinstance(media, list) else [media]


def unanswered(reply: Reply) -> Exception:
    """A free question that got no answer: gone, not allowed, or not now."""
    if reply.status in {404, 410}:
        return ResultExpired("result_expired", provider="fal", status=reply.status)
    return unstored(reply)


def unstored(reply: Reply) -> Exception:
    """An upload that was not taken: not allowed, or not now; nothing was paid yet."""
    if reply.status in {401, 403}:
        return KeyRejected("key_rejected", provider="fal", status=reply.status)
    return TryAgain(reply.status, reply.retry_after_s)
