"""Room: sandbox. What may go wrong on purpose, and the book that says whose turn it is.

Two families. A *request fault* spoils one HTTP exchange: the book is asked with the place (`at`) and the model of each
request. A *fate* (`completed_error`, `blank`, `landscape`) belongs to a submission: it is drawn once, when its work
ends, and `at` only documents where the caller will notice it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

At = Literal["submit", "status", "stream", "result", "cancel", "download", "upload", "token"]

Kind = Literal[
    "429",  # refused, `Retry-After` = value seconds (default 1)
    "concurrent_requests_limit",  # refused by the provider's own concurrency limit
    "5xx",  # nginx-like HTML page, status = value (default 500); nothing was accepted
    "error_type",  # the provider's infrastructure error named by value
    "validation",  # the provider's input error named by value
    "lost_reply",  # fully done and counted, then the connection closes without an answer
    "hang",  # fully done and counted, then silence; a stream falls silent after its first event
    "hang_before",  # nothing done, nothing answered
    "reset",  # nothing done, TCP reset
    "garbage",  # done, answered 200 with a body that is not JSON
    "truncated",  # the body ends before its declared end, then the connection closes
    "wrong_type",  # 200 text/html instead of what was asked
    "empty",  # 200 with zero bytes
    "not_a_picture",  # 200 image/png with bytes that no decoder knows
    "gone",  # 404, or 410 when value says so
    "redirect",  # 302 to value
    "slow",  # value seconds more (default 1), then as usual
    "clip_truncated",  # 200, complete as HTTP goes, but the clip itself was cut off in the middle of its media
    "clip_empty",  # 200 with a clip of zero bytes
    "completed_error",  # fate: COMPLETED with error_type = value; the result answers with that error
    "error_inside",  # fate: COMPLETED, but the output says that it failed, with value as its message (RunPod)
    "no_output",  # fate: COMPLETED without an output (RunPod)
    "timed_out",  # fate: the provider's limit of time is over (RunPod)
    "interrupted",  # fate: somebody else stops it (ComfyUI, RunPod)
    "vanished",  # fate: nobody knows it any more (ComfyUI restarts: value "saved" = after its files; RunPod: 404)
    "blank",  # fate: the picture or clip is one flat colour
    "landscape",  # fate: the picture or clip is wide although tall was asked
]

_ENDS: frozenset[Kind] = frozenset({"error_inside", "no_output", "timed_out", "interrupted", "vanished"})
FATES: frozenset[Kind] = frozenset({"completed_error", "blank", "landscape", *_ENDS})
_MAKING: frozenset[At] = frozenset({"submit", "status", "stream", "result"})
_FITS: dict[Kind, frozenset[At]] = {
    "concurrent_requests_limit": frozenset(get_args(At)) - {"download"},
    "error_type": frozenset(get_args(At)) - {"download"},
    "validation": frozenset(get_args(At)) - {"download"},
    "not_a_picture": frozenset({"download"}),
    "clip_truncated": frozenset({"download"}),
    "clip_empty": frozenset({"download"}),
    "completed_error": _MAKING,
    **dict.fromkeys(_ENDS, _MAKING),
    "blank": _MAKING | {"download"},
    "landscape": _MAKING | {"download"},
}


class Fault(BaseModel):
    """One thing that goes wrong: where, what, for which model, how often.

    `times` = how often it fires (0 = for ever), `after` = how many matching requests pass unharmed first. `value` is
    read as `Kind` says. Raises pydantic's ValidationError for a fault that could never fire.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: At
    kind: Kind
    times: int = Field(default=1, ge=0)
    after: int = Field(default=0, ge=0)
    model: str | None = None
    value: str | int | float | None = None

    @model_validator(mode="after")
    def _can_fire(self) -> Self:
        if self.at not in _FITS.get(self.kind, frozenset(get_args(At))):
            raise ValueError(f"a fault of kind {self.kind!r} cannot happen at {self.at!r}")
        if self.kind == "redirect" and not self.value:
            raise ValueError("a redirect needs its target in `value`")
        return self

    def number(self, default: float) -> float:
        """Return `value` as a number, or the default where none was given."""
        return default if self.value is None else float(self.value)


@dataclass
class _Entry:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def is_due(self) -> bool:
        """Count one matching request and say whether the fault wants it."""
        self.seen += 1
        return self.seen > self.fault.after and (self.fault.times == 0 or self.fired < self.fault.times)

    def matches(self, model: str | None) -> bool:
        return self.fault.model in (None, model)


class FaultBook:
    """The faults still to come: the first written comes first, and each counts all requests that match it."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._entries = [_Entry(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """Write faults at the end of the book."""
        self._entries.extend(_Entry(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all faults."""
        self._entries.clear()

    def take(self, at: At, model: str | None) -> Fault | None:
        """Return the fault that spoils this request, if one does."""
        return _first_due(
            e for e in self._entries if e.fault.kind not in FATES and e.fault.at == at and e.matches(model)
        )

    def fate(self, model: str) -> Fault | None:
        """Return the fate of a submission whose work ends now, if it has one."""
        return _first_due(e for e in self._entries if e.fault.kind in FATES and e.matches(model))

    def report(self) -> list[dict[str, Any]]:
        """List every fault with how many requests it saw and how often it fired."""
        return [{**e.fault.model_dump(), "seen": e.seen, "fired": e.fired} for e in self._entries]


def _first_due(entries: Iterable[_Entry]) -> Fault | None:
    due = [entry for entry in entries if entry.is_due()]
    if not due:
        return None
    due[0].fired += 1
    return due[0].fault
