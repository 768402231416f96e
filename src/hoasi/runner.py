"""Engine room (floor 3): drives `advance` for one process. The work outlives the call that asked for it.

One asyncio task a generation; the doors of the providers limit how many are out at once. A slow pulse carries out
cancellations from other processes and takes over from dead ones; with nothing to do it rests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence

from hoasi import spool
from hoasi.addresses import origin_of
from hoasi.artifacts import sweep
from hoasi.errors import LostOwnership
from hoasi.files import ledger_trouble
from hoasi.flow import advance
from hoasi.ledger import Ledger
from hoasi.line import Line
from hoasi.presence import Presence
from hoasi.providers import REGISTRY, provider
from hoasi.providers._provider import Provider
from hoasi.records import OPEN_STATES, Generation, Problem, State
from hoasi.settings import Settings
from hoasi.shop import Shop, origins_of
from hoasi.street import Street
from hoasi.wire import Wire

log = logging.getLogger("hoasi.engine")

PAID_STATES = (State.SUBMITTING, State.RUNNING, State.FETCHING)
PULSE_S = 1.0
FOREIGN_POLL_S = 0.3
CLOSING_S = 10.0


class Runner:
    """The embedded engine. `start` before use, `close` when done; both are quick."""

    def __init__(self, settings: Settings, ledger: Ledger, on_end: Callable[[Generation], None]) -> None:
        self._ledger = ledger
        self._settings = settings
        self._on_end = on_end
        self._presence = Presence(settings.home / "workers")
        self._lines: dict[str, Line] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._parked: set[str] = set()
        street = Street(frozenset(self._origins()))
        self._shop = Shop(settings, ledger, street, self.owner, self._wait_for_one)
        self._is_open = False
        self._buried_at = 0.0
        self._pulse: asyncio.Task[None] | None = None
        self._has_work = asyncio.Event()

    @property
    def owner(self) -> str:
        """This process's mark in the ledger."""
        return self._presence.owner

    @property
    def street(self) -> Street:
        """All connections of this process."""
        return self._shop.street

    # ------------------------------------------------------------------ life

    def start(self) -> list[Generation]:
        """Appear, sweep what dead processes left, and take up every paid generation that nobody works on."""
        self._presence.enter()
        self._is_open = True
        self._bury_dead()
        self._sweep()
        self._pulse = asyncio.create_task(self._beat())
        return self.take_up(PAID_STATES)

    def _origins(self) -> Collection[tuple[str, str, int]]:
        makers = [provider(name) for name in REGISTRY]
        own = {origin_of(url) for maker in makers for url in origins_of(maker, self._settings).values()}
        return own | {origin_of(url) for url in self._settings.result_hosts}

    def wire(self, maker: Provider) -> Wire:
        """The street as a provider sees it."""
        return self._shop.wire(maker)

    def nudge(self, provider_name: str, request_id: str) -> bool:
        """A provider reported something of a request: if we follow it, ask now. True when we do."""
        lines = [line for line in self._lines.values() if line.maker.name == provider_name]
        told = [line for line in lines if request_id in map(str, line.receipt.values())]
        for line in told:
            line.nudge()
        return bool(told)

    async def close(self) -> None:
        """Stop waiting; keep every state. Nothing more is sent; a paid request that was sent may get its receipt."""
        if not self._is_open:
            return
        self._shop.is_closing = True
        deadline = time.monotonic() + CLOSING_S
        while any(line.is_sending for line in self._lines.values()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a receipt is a row in the ledger, not an event
        everything = [*self._tasks.values(), *([self._pulse] if self._pulse else [])]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        try:
            self._ledger.release(self.owner)
        except sqlite3.Error:
            log.exception("what this process owned is freed by the next one")
        await self._shop.street.close()
        self._is_open = False

    def leave(self) -> None:
        """The last step: from here on its half-written files are those of a dead process."""
        self._presence.leave()

    # ------------------------------------------------------------------ work

    def take_up(self, states: Collection[State], ids: Sequence[str] | None = None) -> list[Generation]:
        """Adopt what nobody works on, in these states, and work on it."""
        adopted = self._ledger.adopt(self.owner, states, ids)
        self.work(adopted)
        return adopted

    def work(self, generations: Sequence[Generation]) -> None:
        """Begin (or go on) with generations that this process owns."""
        for generation in generations:
            if generation.owner == self.owner and generation.id not in self._tasks:
                self._parked.discard(generation.id)
                line = self._lines[generation.id] = Line(self._shop, generation)
                self._tasks[generation.id] = asyncio.create_task(self._run(line))
        self._has_work.set()

    def again(self, generation: Generation) -> Generation:
        """Bring an ended one back without paying: fetch from the provider, copy again, or draw again what is free."""
        is_local_work = generation.copy_of is not None or generation.planned.price.usd == 0
        state = State.QUEUED if is_local_work else State.FETCHING
        if generation.state is State.CANCELLED:
            state = State.RUNNING
        try:
            opened = self._ledger.reopen(generation.id, self.owner, state, problem=None)
        except LostOwnership:  # somebody else brings it back already
            return self._ledger.get([generation.id])[0]
        self.work([opened])
        return opened

    async def _run(self, line: Line) -> None:
        """One generation to its end. A bug of ours leaves it as the ledger has it, for the next start."""
        name = line.generation.id
        try:
            await advance(line)
        except LostOwnership:
            log.warning("%s is in other hands now", name)
            return
        except Exception as error:
            log.exception("%s stopped by an error of ours", name)
            self._leave(line, error)
        finally:
            self._lines.pop(name, None)
            self._tasks.pop(name, None)
        if line.generation.state.is_open:
            self._parked.add(name)
        else:
            self._on_end(line.generation)

    def _leave(self, line: Line, error: Exception) -> None:
        """Nobody works on it until somebody asks. If not even that can be written, it stays ours until then."""
        facts = {"id": line.generation.id, "name": type(error).__name__}
        bug = Problem(kind="Bug", key="internal", facts=facts, paid=line.may_be_paid, retry="later")
        trouble = ledger_trouble(error, paid=line.may_be_paid, retry="later")
        problem = bug if trouble is None else trouble.problem()
        with contextlib.suppress(LostOwnership, sqlite3.Error):
            line.park(problem)

    def stop(self, ids: Sequence[str]) -> None:
        """Cancel: ours at their next moment, others' through the ledger."""
        self._ledger.ask_cancel(ids)
        self.take_up(tuple(OPEN_STATES), ids)
        for name in ids:
            if name in self._lines:
                self._lines[name].stop()

    def phases(self, ids: Sequence[str]) -> dict[str, str]:
        """How far each open generation is: its state, finer where this process follows it."""
        states = self._ledger.states(ids)
        fine = {name: self._lines[name].phase for name in ids if name in self._lines}
        return {
            name: fine.get(name, "running") if state is State.RUNNING else state.value
            for name, (state, _) in states.items()
        }

    # ------------------------------------------------------------------ waiting

    async def wait(self, ids: Sequence[str], timeout_s: float | None = None) -> list[Generation]:
        """The generations as they are when all have ended, or when the time is over. Never stops the work."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while waiting := self.unfinished(ids):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            await self._something(waiting, left)
        return self._ledger.get(ids)

    def unfinished(self, ids: Sequence[str]) -> list[str]:
        """Those still worth waiting for; what lost its process is taken up here."""
        waited = {i: owner for i, (state, owner) in self._ledger.states(ids).items() if state.is_open}
        orphans = [i for i, owner in waited.items() if owner is None and i not in self._parked]
        if orphans:
            self.take_up(tuple(OPEN_STATES), orphans)
        others = [i for i, owner in waited.items() if owner not in {None, self.owner}]
        if others:
            self._bury_dead_sometimes()
        return [i for i in waited if i in self._tasks or i in others]

    async def _something(self, waiting: list[str], left_s: float | None) -> None:
        """Wait until all of ours have ended; look now and then when others work on some."""
        ours = [self._tasks[name] for name in waiting if name in self._tasks]
        is_mixed = len(ours) < len(waiting)
        timeout = min(x for x in (left_s, FOREIGN_POLL_S if is_mixed else None, 60.0) if x is not None)
        if ours:
            await asyncio.wait(ours, timeout=timeout)
        else:
            await asyncio.sleep(timeout)

    async def _wait_for_one(self, name: str) -> Generation:
        return (await self.wait([name]))[0]

    # ------------------------------------------------------------------ the pulse

    async def _beat(self) -> None:
        while True:
            await self._has_work.wait()
            await asyncio.sleep(PULSE_S)
            if not self._tasks:
                self._has_work.clear()
                continue
            try:
                self._look_around()
            except (sqlite3.Error, OSError):
                log.exception("the pulse missed a beat")

    def _look_around(self) -> None:
        """Carry out what others want cancelled; take over what dead processes left."""
        for name in self._ledger.stops(self.owner):
            if name in self._lines:
                self._lines[name].stop()
        self._bury_dead()
        self.take_up(PAID_STATES, [i for i in self._ledger.orphans(PAID_STATES) if i not in self._parked])

    def _bury_dead_sometimes(self) -> None:
        """Who waits for others sees within a second that they died, whether or not there is work of our own."""
        if time.monotonic() >= self._buried_at + PULSE_S:
            self._bury_dead()

    def _bury_dead(self) -> None:
        """Free what dead processes owned, and remove their marks and their half-written files."""
        self._buried_at = time.monotonic()
        dead = [o for o in self._ledger.owners() | self._presence.marks() if not self._presence.is_alive(o)]
        for owner in dead:
            self._ledger.release(owner)
            self._presence.bury(owner)
        self._presence.bury_unborn()
        if dead:
            self._sweep()

    def _sweep(self) -> None:
        root = self._settings.workspace
        folders = [root, self._settings.home / "references", *root.glob("jobs/*/source")]
        sweep([*folders, *(root / folder for folder in self._ledger.folders())], self._presence.is_alive)
        spool.sweep(self._settings.home, self._needs_reply)

    def _needs_reply(self, name: str) -> bool:
        """A generation that is not over, or whose result may still be had."""
        state, _ = self._ledger.states([name]).get(name, (State.SUCCEEDED, None))
        return state.is_open or state is State.FAILED
