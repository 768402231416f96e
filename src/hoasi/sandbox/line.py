"""Room: sandbox. The waiting line: accepted submissions, slots, and the time that work takes.

Timers of the event loop do the work and one `asyncio.Event` per change wakes the streams: a thousand submissions in
flight cost a thousand timers, no task and no polling.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

State = Literal["waiting", "running", "done"]


@dataclass(frozen=True)
class Failure:
    """Why a submission ended without a result, in the provider's own words (`type`), with its own details."""

    type: str
    problems: tuple[Mapping[str, Any], ...] = ()


@dataclass(eq=False)
class Submission:
    """One accepted request of a model, with the slots it takes. Times are readings of the sandbox's clock (seconds)."""

    model: str
    body: Mapping[str, Any]
    number: int
    accepted_at: float
    slots: int = 1
    id: str = field(default_factory=lambda: str(uuid4()))
    state: State = "waiting"
    started_at: float | None = None
    finished_at: float | None = None
    failure: Failure | None = None
    fate: str | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def took_s(self) -> float:
        """Return how long the work took; 0 if it never started or goes on."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return self.finished_at - self.started_at

    async def changes(self) -> AsyncIterator[State]:
        """Yield the state at once and after every change, until done."""
        while True:
            changed = self._changed  # taken before yielding: a change meanwhile must not be missed
            yield self.state
            if self.state == "done":
                return
            await changed.wait()

    def enter(self, state: State) -> None:
        """Change the state and wake everybody who waits for it."""
        self.stop_timer()
        self.state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def call_later(self, delay_s: float, action: Callable[["Submission"], None]) -> None:
        """Set the one timer of this submission; a change of state stops it."""
        self._timer = asyncio.get_running_loop().call_later(delay_s, action, self)

    def stop_timer(self) -> None:
        """Stop the timer, if one runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Line:
    """All submissions: those that wait, those that run (at most `slots` at a time), those that are done."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        latency_s: Callable[[], float],
        slots: Callable[[], int | None],
        on_done: Callable[[Submission], None],
    ) -> None:
        self._clock = clock
        self._latency_s = latency_s
        self._slots = slots
        self._on_done = on_done
        self._numbers = itertools.count(1)
        self._all: dict[str, Submission] = {}
        self._waiting: deque[Submission] = deque()
        self._running: set[Submission] = set()
        self.max_in_flight = 0
        self.max_running = 0

    @property
    def in_flight(self) -> int:
        """How many submissions are accepted and not done."""
        return len(self._waiting) + len(self._running)

    def get(self, submission_id: str) -> Submission | None:
        """Find a submission by the id that its receipt carries."""
        return self._all.get(submission_id)

    def has_room(self, slots: int = 1) -> bool:
        """Say whether a submission that takes so many slots could start now."""
        allowed = self._slots()
        return allowed is None or (not self._waiting and self._fits(slots, allowed))

    def accept(
        self,
        model: str,
        body: Mapping[str, Any],
        *,
        start_within_s: float | None = None,
        slots: int = 1,
        named: str | None = None,
    ) -> Submission:
        """Take a submission in, under an id of its own or as named.

        It starts now if its slots are free, and fails if it cannot start within the given time.
        """
        submission = Submission(model, body, next(self._numbers), self._clock(), slots, named or str(uuid4()))
        self._all[submission.id] = submission
        self._waiting.append(submission)
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.admit()
        if submission.state == "waiting" and start_within_s is not None:
            submission.call_later(start_within_s, self._start_overdue)
        return submission

    def position(self, submission: Submission) -> int:
        """Count how many wait before this one."""
        return self._waiting.index(submission) if submission in self._waiting else 0

    def admit(self) -> None:
        """Start waiting submissions while slots are free."""
        while self._waiting:
            allowed = self._slots()
            if allowed is not None and not self._fits(self._waiting[0].slots, allowed):
                return
            self._start(self._waiting.popleft())

    def cancel(self, submission: Submission, failure: Failure, *, stops_running: bool) -> None:
        """End a waiting submission; a running one only if the provider can stop it."""
        if submission.state == "waiting" or stops_running:
            self.end(submission, failure)

    def end(self, submission: Submission, failure: Failure | None = None) -> None:
        """Let a submission be done, well or with a failure, and give its slot to the next."""
        submission.failure = failure
        submission.finished_at = self._clock()
        self._running.discard(submission)
        if submission.state == "waiting":
            self._waiting.remove(submission)
        self._on_done(submission)
        submission.enter("done")
        self.admit()

    def finish(self, model: str | None = None) -> int:
        """Let everything in flight (or all of one model) be done now, well; say how many."""
        running = [one for one in (*self._waiting, *self._running) if model in (None, one.model)]
        for submission in running:
            self.end(submission)
        return len(running)

    def clear(self, failure: Failure) -> None:
        """Forget all submissions; those in flight fail first, so that whoever waits for them is told."""
        for submission in [*self._waiting, *self._running]:
            self.end(submission, failure)
        self._all.clear()
        self.max_in_flight = self.max_running = 0

    def close(self) -> None:
        """Stop all timers; the submissions stay as they are."""
        for submission in self._all.values():
            submission.stop_timer()

    def _fits(self, slots: int, allowed: int) -> bool:
        return sum(running.slots for running in self._running) + slots <= allowed

    def _start(self, submission: Submission) -> None:
        submission.enter("running")
        submission.started_at = self._clock()
        self._running.add(submission)
        self.max_running = max(self.max_running, len(self._running))
        submission.call_later(self._latency_s(), self.end)

    def _start_overdue(self, submission: Submission) -> None:
        self.end(submission, Failure("request_timeout"))
