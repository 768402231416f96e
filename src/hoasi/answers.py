"""Ground floor: what a reader gets: an error, a generation and a whole reply in words, paths and costs."""

from __future__ import annotations

from hoasi.record import Paid, Record, Retry


class ErrorView(Record):
    """An error as a reader gets it: the machine's words and the user's."""

    kind: str
    key: str
    message: str
    fix: str
    paid: Paid
    retry: Retry
    detail: str = ""


class Entry(Record):
    """One generation in a reply. Paths are absolute; `cost_usd` is what this call added (an estimate)."""

    id: str
    scene_id: str
    state: str
    paid: Paid
    cost_usd: float | None
    provider: str
    model: str
    seed: int
    outputs: tuple[str, ...] = ()
    error: ErrorView | None = None
    estimate_usd: float | None = None
    expected_seconds: float | None = None
    clip_seconds: float | None = None
    parents: tuple[str, ...] = ()
    """A clip's chain: the generations it was made from, nearest first."""
    notes: tuple[str, ...] = ()


class Reply(Record):
    """What every door answers: what happened, what it cost, where the files are, what to call next."""

    message: str
    generations: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()
    cost_usd: float | None = 0.0
    estimate_usd: float | None = None
    next: str = ""
    poll_after_seconds: float | None = None
    error: ErrorView | None = None


class Progress(Record):
    """How far some generations are, in numbers; those whose results are fetched are among the working."""

    total: int
    done: int
    failed: int
    working: int
    queued: int
    fetching: int = 0
