"""Engine room (floor 3): one generation on its way through this process."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio

from hoasi.errors import (
    Cancelled,
    DiskTrouble,
    HoasiError,
    KeyRejected,
    LostOwnership,
    NotAccepted,
    PaymentUnknown,
    ResultExpired,
)
from hoasi.ledger_rows import sent_beside
from hoasi.messages import explain, say
from hoasi.providers import provider
from hoasi.providers._outcomes import Done, Order, Pending, Ready, Sent
from hoasi.record import Paid
from hoasi.records import Generation, Planned, Problem, State
from hoasi.shop import Shop, is_called_back
from hoasi.spool import Spool, folders

log = logging.getLogger("hoasi.engine")
REPLY = "reply"
"""In a receipt of ours: the provider's whole reply is on disk, and holds the result."""


class Stopped(Exception):
    """The user wants it back, and this is a moment where it can be stopped."""


class Parked(Exception):
    """We stop following; the generation keeps its state and can be resumed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.key)
        self.problem = problem


class Line:
    """One generation at work here. `generation` is always what the ledger holds."""

    def __init__(self, shop: Shop, generation: Generation) -> None:
        self.shop = shop
        self.generation = generation
        self._go_to(generation.planned)
        self.phase = "running"
        """What was last heard of it: `queued` or `working` there; `running` before anything was heard."""
        self.is_stop_wanted = generation.cancel_requested
        self.done: Done | None = None
        self.ready: Ready | None = None
        """How it ended at the provider, where this process saw it."""
        self.sent_at: float | None = None
        """When this process submitted it (monotonic clock)."""
        self.has_left = generation.state is State.QUEUED and generation.submitted_at is not None
        """A reply was lost: that it never came in is the provider's word, good for asking the same provider again."""
        self._pause: anyio.CancelScope | None = None
        self._is_nudged = False
        self._scope: anyio.CancelScope | None = None
        self._taken = 0

    def _go_to(self, planned: Planned) -> None:
        self.maker = provider(planned.provider)
        self.gate = self.shop.gate(self.maker, planned.lane or planned.provider)
        self.wire = self.shop.wire(self.maker)

    def move(self, refused: NotAccepted | KeyRejected) -> bool:
        """Nothing was taken and will be: the next of those who could make it does; False when there is none."""
        is_gone = isinstance(refused, NotAccepted) and refused.retry == "no"
        able = [other for other in self.planned.alternatives if is_gone or not other.stands_by]
        if not able or self.generation.step is not None or self.has_left:
            return False
        first = able[0]
        rest = [other for other in self.planned.alternatives if other is not first]
        why = explain(refused.problem()).message
        note = say("note.moved", why=why, now=first.provider, model=first.model)
        planned = first.model_copy(update={"alternatives": tuple(rest), "moved": note})
        self.leave_gate()
        try:
            self.generation = self.shop.ledger.move(self.generation.id, self.shop.owner, planned)
        except sqlite3.IntegrityError:  # that very request was bought before: the first refusal stands
            return False
        self._go_to(planned)
        return True

    def order(self, sent: tuple[Sent, ...] = ()) -> Order:
        """What the provider gets. The id holds for one purchase, however often it is sent, in one workspace."""
        maker = self.maker
        callback = self.shop.settings.callback_url(maker.name) if is_called_back(maker, self.shop.settings) else ""
        name = f"{self.generation.id}-{int(self.generation.created_at * 1000):x}"
        return Order(self.planned, sent, name, self.generation.step, callback)

    @property
    def spool(self) -> Spool:
        """Where the reply to its latest paid POST is kept until what it brought is ours."""
        sent_at = self.generation.submitted_at or 0.0
        return Spool(f"{self.generation.id}-{int(sent_at * 1e6):x}", folders(self.shop.settings.home))

    def lost(self) -> Order:
        """The order as it is looked for: when it was first sent, and what else is at this provider."""
        sent_at = self.generation.submitted_at
        with self.shop.ledger.transaction(durable=False) as db:
            others = sent_beside(db, self.generation)
        return replace(self.order(), age_s=None if sent_at is None else max(time.time() - sent_at, 0.0), others=others)

    @property
    def planned(self) -> Planned:
        """What was decided before money."""
        return self.generation.planned

    @property
    def receipt(self) -> dict[str, Any]:
        """The provider's receipt."""
        return self.generation.handle or {}

    @property
    def comes_again(self) -> bool:
        """What was made can be had once more without paying, should it be lost here."""
        return self.may_be_paid == "no" or self.generation.handle is not None

    @property
    def is_sending(self) -> bool:
        """A paid request is out and its receipt is not here yet, nor what came in place of one on the disk."""
        is_out = self.generation.state is State.SUBMITTING
        is_in_hand = self.generation.state is State.FETCHING and self.done is not None
        return (is_out or is_in_hand) and self.may_be_paid != "no"

    @property
    def may_be_paid(self) -> Paid:
        """What can be said while nothing is decided: what is free, or was not sent, costs nothing."""
        is_free = self.planned.price.usd == 0 or self.generation.copy_of is not None
        is_unsent = self.generation.state is State.QUEUED and self.generation.step is None
        return "no" if is_free or is_unsent else "unknown"

    def tell(self, seen: Pending) -> None:
        """Note how far the provider is, for progress."""
        self.phase = seen.phase

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the provider itself reports something."""
        if not self._is_nudged:
            with anyio.CancelScope() as self._pause:
                await anyio.sleep(seconds)
        self._is_nudged = False

    def nudge(self) -> None:
        """The provider reported something: a reason to ask at once."""
        self._is_nudged = True
        if self._pause is not None:
            self._pause.cancel()

    # ------------------------------------------------------------------ stopping

    def stop(self) -> None:
        """Ask it to stop at the next moment where it can."""
        self.is_stop_wanted = True
        if self._scope is not None:
            self._scope.cancel()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """A stretch of waiting that `stop` ends.

        Raises:
            Stopped: it was asked to stop, before or meanwhile.
        """
        if self.is_stop_wanted:
            raise Stopped
        with anyio.CancelScope() as scope:
            self._scope = scope
            yield
        self._scope = None
        if scope.cancelled_caught:
            raise Stopped

    # ------------------------------------------------------------------ the provider's door

    async def enter_gate(self) -> None:
        """Take the places of this process that it needs, once."""
        if not self._taken:
            places = self.gate.fitting(self.planned.slots)
            await self.gate.enter(places)
            self._taken = places

    def leave_gate(self) -> None:
        """Give them back, once."""
        taken, self._taken = self._taken, 0
        self.gate.leave(taken)

    # ------------------------------------------------------------------ saving

    def save(self, **fields: Any) -> None:
        """Durable, fenced."""
        self.generation = self.shop.ledger.save(self.generation.id, self.shop.owner, **fields)

    def requeue(self, **fields: Any) -> None:
        """It is to be sent (again); the reply to its last POST has said what it had to say."""
        spool = self.spool
        self.save(**{"state": State.QUEUED, "submitted_at": None, **fields})
        spool.drop()

    async def hold(self, receipt: dict[str, Any]) -> None:
        """The receipt is money: saved whatever happens, for as long as it takes, even when we were fenced off."""
        try:
            await self.insist(state=State.RUNNING, handle=receipt)
        except LostOwnership:
            self.shop.ledger.rescue_receipt(self.generation.id, receipt)
            raise
        self.spool.drop()

    async def insist(self, **fields: Any) -> None:
        """Saved, for as long as it takes: a ledger that cannot be written just now takes nothing away."""
        while True:
            try:
                return self.save(**fields)
            except sqlite3.Error:
                log.exception("the ledger cannot be written; %s waits", self.generation.id)
            await anyio.sleep(0.5)

    def end(self, state: State, **fields: Any) -> None:
        """The last save: nobody owns it any more. A kept reply goes, unless what failed can be had from it again."""
        is_kept = REPLY in self.receipt and state is State.FAILED
        if REPLY in self.receipt and not is_kept:
            fields["handle"] = None
        self.save(
            durable=state is not State.SUCCEEDED or not self.comes_again or "handle" in fields,
            state=state,
            owner=None,
            finished_at=time.time(),
            cancel_requested=0,
            **fields,
        )
        if not is_kept:
            self.spool.drop()

    def park(self, problem: Problem) -> None:
        """Nobody works on it; its state stays, so that somebody can go on."""
        self.save(owner=None, problem=self._kept(problem))

    def _kept(self, problem: Problem) -> dict[str, Any]:
        """As the ledger keeps it: whatever a provider echoes, no secret of ours is written down."""
        detail = problem.detail
        for secret in self.shop.settings.secrets():
            detail = detail.replace(secret, "***")
        return problem.model_copy(update={"detail": detail}).model_dump(mode="json")

    def fail(self, error: HoasiError) -> None:
        """End with an error; a failure that cost nothing after `stop` is a cancellation.

        What was made once stays made: that its harmed files cannot be had again just now is noted beside it. And what
        had all arrived before the rest of its reply was lost is there, and paid.
        """
        if len(self.generation.artifacts) >= len(self.planned.stems):
            is_first = self.generation.finished_at is None
            said = {"paid": "yes", "cost_usd": self.planned.price.usd, "problem": None}
            return self.end(State.SUCCEEDED, **(said if is_first else {"problem": self._kept(error.problem())}))
        paid, usd = self._was_paid(error), error.facts.get("cost_usd", self.planned.price.usd)
        if paid == "no" and self.generation.step is not None:
            paid, usd = "yes", self.generation.step.get("spent_usd")
            error = Cancelled("cancelled_between") if isinstance(error, Cancelled) else error
        if self.is_stop_wanted and paid == "no":
            error = Cancelled("cancelled")
        states = {Cancelled: State.CANCELLED, ResultExpired: State.EXPIRED, PaymentUnknown: State.UNKNOWN}
        cost = {"no": 0.0, "unknown": None, "yes": usd}[paid]
        problem = self._kept(error.problem().model_copy(update={"paid": paid}))
        return self.end(states.get(type(error), State.FAILED), problem=problem, paid=paid, cost_usd=cost, logged=0)

    def _was_paid(self, error: HoasiError) -> Paid:
        """What is free, or was never sent, cost nothing; trouble with our own disk comes after the bill."""
        if self.may_be_paid == "no":
            return "no"
        is_after = self.generation.state is State.FETCHING and isinstance(error, DiskTrouble)
        return "yes" if is_after else error.paid
