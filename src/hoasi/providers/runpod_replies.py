"""Translator for RunPod: what its answers mean (read and driven 2026-11-21).

RunPod fixes the envelope only; `output` is whatever a worker's code returns. A failure may hide in a success, and a
success may have lost its output: that is paid, and said so. Work that failed was billed for as long as it ran.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hoasi.comfy import verdicts
from hoasi.errors import DETAIL_LIMIT, Cancelled, HoasiError, KeyRejected, ProviderRefused, ResultExpired
from hoasi.providers import runpod_media
from hoasi.providers._outcomes import Done, Pending, Ready, TryAgain, refusal
from hoasi.record import Paid

if TYPE_CHECKING:
    from hoasi.street import Reply

ENDS = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
_WORKER = re.compile(r"not reachable|WebSocket|HTTP communication")
"""Words of a worker that had trouble of its own, whatever it was given."""


def refused(reply: Reply, endpoint: str, names: tuple[str, ...]) -> HoasiError:
    """The error of a job that was not taken."""
    detail = said(reply.fields.get("error"))[:DETAIL_LIMIT]
    if reply.status == 404:
        return ProviderRefused("runpod_endpoint", endpoint=endpoint, names=" / ".join(names), detail=detail)
    return refusal(reply, "runpod", detail=detail)


def told(reply: Reply) -> dict[str, Any]:
    """The object that answers a free question.

    Raises:
        KeyRejected: not for this key. ResultExpired: no such job (any more). TryAgain: not now.
    """
    if reply.status in {401, 403}:
        raise KeyRejected("key_rejected", provider="runpod", status=reply.status)
    if reply.status == 404:
        raise ResultExpired("runpod_gone", provider="runpod", paid="unknown")
    if not reply.is_ok or not isinstance(reply.json, dict):
        raise TryAgain(reply.status, reply.retry_after_s)
    return reply.fields


def status(fields: Mapping[str, Any]) -> Pending | Ready:
    """An envelope while the job goes on, or at its end; an output before the end is only progress."""
    if fields.get("status") in ENDS:
        return Ready()
    return Pending("working" if fields.get("status") in {"IN_PROGRESS", "RUNNING"} else "queued")


def finished(fields: Mapping[str, Any], usd_per_s: float) -> Done | None:
    """The pictures of an envelope, in whatever form, and what is known of the cost; None where there are none."""
    output = _output(fields)
    if fields.get("status") != "COMPLETED" or _is_error(output):
        return None
    found = runpod_media.made(output)
    return Done(tuple(found), _facts(fields, usd_per_s)) if found else None


def done(fields: Mapping[str, Any], usd_per_s: float) -> Done:
    """As `finished`, or why there is nothing.

    Raises:
        TryAgain: it has not ended. Cancelled, ProviderRefused: it ended without. ResultExpired: paid, but lost.
    """
    if whole := finished(fields, usd_per_s):
        return whole
    state, facts, output = fields.get("status"), _facts(fields, usd_per_s), _output(fields)
    if state not in ENDS:
        raise TryAgain(200)
    if state != "COMPLETED":
        raise _failure(fields, facts)
    if output in (None, {}, [], ""):
        raise ResultExpired("runpod_no_output", paid="yes", **facts)
    words = runpod_media.words(output)
    key = "runpod_failed" if _is_error(output) else "runpod_no_picture"
    raise ProviderRefused(key, count=len(words), detail="; ".join(words)[:DETAIL_LIMIT], paid="yes", **facts)


def _output(fields: Mapping[str, Any]) -> Any:
    return fields.get("output", {"images": fields["images"]} if fields.get("images") else None)


def _is_error(output: Any) -> bool:
    return isinstance(output, dict) and (output.get("status") == "error" or bool(output.get("error")))


def _facts(fields: Mapping[str, Any], usd_per_s: float) -> dict[str, Any]:
    """Seconds of work, and dollars where they can be told: the worker's own price, else by the second."""
    output, ran_ms = fields.get("output"), fields.get("executionTime")
    facts: dict[str, Any] = (
        {"seconds": round(ran_ms / 1000, 3)} if isinstance(ran_ms, int | float) else {"seconds": "?"}
    )
    own = output.get("cost") if isinstance(output, dict) else None
    if isinstance(own, int | float) and not isinstance(own, bool):
        return {**facts, "cost_usd": float(own)}
    is_known = usd_per_s > 0 and facts["seconds"] != "?"
    return {**facts, "cost_usd": round(facts["seconds"] * usd_per_s, 6)} if is_known else facts


def _failure(fields: Mapping[str, Any], facts: dict[str, Any]) -> HoasiError:
    state, words = fields["status"], said(fields.get("error"))
    paid = _paid(fields)
    if state == "CANCELLED":
        return Cancelled("runpod_stopped", paid=paid, **facts)
    more: dict[str, Any] = {**facts, "paid": paid, "detail": words[:DETAIL_LIMIT]}
    if state == "TIMED_OUT":
        return ProviderRefused("runpod_timed_out", **more)
    if class_type := verdicts.lacking(words):
        return verdicts.nodes_missing(class_type, paid)
    if verdicts.is_memory(words):
        return ProviderRefused("comfy_memory", provider="runpod", **more)
    if words.startswith("Workflow validation failed"):
        return ProviderRefused("comfy_refused", troubles=" ".join(words.split())[:DETAIL_LIMIT], **more)
    return ProviderRefused("runpod_worker_ill" if _WORKER.search(words) else "runpod_failed", **more)


def _paid(fields: Mapping[str, Any]) -> Paid:
    """A worker's time is billed however it ended; what no worker took costs nothing."""
    if fields.get("executionTime"):
        return "yes"
    has_started = bool(fields.get("delayTime") or fields.get("workerId"))
    return "no" if fields["status"] == "CANCELLED" and not has_started else "unknown"


def said(error: object) -> str:
    """The words of an error: a text, the SDK's JSON in a text, or whatever else a worker wrote."""
    from hoasi.street import parsed

    inner = parsed(error) if isinstance(error, str) and error.lstrip().startswith("{") else error
    if isinstance(inner, dict):
        return str(inner.get("error_message") or inner.get("message") or inner)
    return "" if error is None else str(error)
