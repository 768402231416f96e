"""Doors (floor 5): what a call gives is read before anything is decided: files, addresses, the faces in them.

Nobody knows how long a stranger takes to hand over a picture, or how long a clip is searched for faces. Whoever calls
is answered in time all the same: the reading goes on, and the same call made again finds what was read meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context

from hoasi.errors import NotReady
from hoasi.messages import say
from hoasi.tools._client import reading_s
from hoasi.tools._life import life_of

if TYPE_CHECKING:
    from hoasi.ask import Ask
    from hoasi.reading import Known
    from hoasi.records import Plan
    from hoasi.studio import Studio
    from hoasi.tools._options import Making

TELL_S, STEP = 5.0, 1e-6
"""How often it is told that reading goes on. Progress must grow: all these steps are less than the work's first."""
AT_MOST = 16
"""Readings that nobody waits for any more; the oldest is given up for a new one."""
_SAID = {"by", "client", "consent", "no_faces", "minor"}
"""What is said about the inputs does not change them."""


class Reading:
    """One call's reading: it goes on when the call does not wait for it any longer."""

    def __init__(self, plan: asyncio.Task[Plan], known: Known) -> None:
        self.plan = plan
        self._known = known
        plan.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to hear it

    def fetched(self) -> Known:
        """What came from elsewhere; files here are read again, for they may have changed."""
        return {key: item for key, item in self._known.items() if key[0].written.startswith(("http://", "https://"))}


Readings = dict[str, Reading]

_call: ContextVar[tuple[float, Known]] = ContextVar("hoasi_call")


def begins() -> None:
    """A call begins now, and has read nothing."""
    _call.set((time.monotonic(), {}))


def elapsed_s() -> float:
    """How long the call's client has been waiting."""
    return time.monotonic() - _call.get()[0]


def answered() -> None:
    """The client's user answered a question, so the client is still there: it waits from now on."""
    _call.set((time.monotonic(), _call.get()[1]))


async def read(ctx: Context[Any, Any], studio: Studio, call: Making, ask: Ask) -> Plan:
    """Everything decided before money, read while the client has patience; tells every five seconds.

    Raises:
        NotReady: it takes longer; nothing was sent, and the reading goes on.
        HoasiError: what was given cannot be used.
    """
    limit_s = reading_s(ctx, studio.settings, call.wait_seconds)
    left, name = life_of(ctx).readings, f"{call.dry_run}{ask.model_dump_json(exclude=_SAID)}"
    since, known = _call.get()
    if (earlier := left.pop(name, None)) is not None:
        await _in_time(ctx, earlier, limit_s, left, name)
        known = {**known, **earlier.fetched()}
    work = studio.plan(ask) if call.dry_run else studio.read(ask, known)
    now = Reading(asyncio.create_task(work), known)
    await _in_time(ctx, now, limit_s, left, name)
    _call.set((since, now.fetched()))
    return await now.plan


async def _in_time(ctx: Context[Any, Any], reading: Reading, limit_s: float, left: Readings, name: str) -> None:
    """Wait until it has ended; who gives up, or is given up, leaves it to the same call made again."""
    try:
        await _told(ctx, reading, limit_s)
    finally:
        if not reading.plan.done():
            left[name] = reading
            _make_room(left)


async def _told(ctx: Context[Any, Any], reading: Reading, limit_s: float) -> None:
    number = 0.0
    while not reading.plan.done():
        if (left_s := limit_s - elapsed_s()) <= 0:
            raise NotReady("still_reading", seconds=round(limit_s))
        await asyncio.wait([reading.plan], timeout=min(TELL_S, left_s))
        if not reading.plan.done():
            number += STEP
            await ctx.report_progress(number, None, say("progress.reading", seconds=round(elapsed_s())))


def _make_room(left: Readings) -> None:
    while len(left) > AT_MOST:
        left.pop(next(iter(left))).plan.cancel()
