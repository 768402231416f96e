"""Engine room (floor 3): wait for the end of a generation at its provider, or take it back there."""

from __future__ import annotations

import math
import time

import anyio

from hoasi.bringing import asked, waiting
from hoasi.errors import Cancelled, ResultExpired
from hoasi.line import Line, Parked, Stopped
from hoasi.pace import Schedule, looked, patiently, until_ready
from hoasi.providers._outcomes import Ready
from hoasi.providers._provider import Cancels, Follows

CANCEL_GRACE_S = 10.0
"""How long what was stopped may take to end."""


async def ended(line: Line) -> Ready:
    """Wait for its end at the provider.

    Raises:
        Stopped, Parked: it goes on beyond its time, and is to be taken back, or left.
        GenerationFailed: the provider knows no such request.
    """
    planned, maker = line.planned, line.maker
    if not isinstance(maker, Follows):
        raise ResultExpired("result_expired", provider=maker.name, status=0)
    if ready := await _within(line, maker, planned.cap_s):
        return ready
    if planned.stops_at_cap:
        raise Stopped
    raise Parked(waiting(line, "still_running"))


async def _within(line: Line, maker: Follows, seconds: float) -> Ready | None:
    """How it ended, if it does within that time: after the last pause it is looked at once more."""
    planned, most_s = line.planned, float(line.receipt.get("kept_s", math.inf)) / 2
    durations = line.shop.ledger.durations(planned.provider, planned.model)
    schedule = Schedule(durations, planned.expected_s, planned.poll_s, most_s)
    sent_at = line.generation.submitted_at or time.time()
    with anyio.move_on_after(seconds):
        return await asked(line, lambda: until_ready(maker, line, schedule, sent_at))
    return await _look(line, maker)


async def _look(line: Line, maker: Follows) -> Ready | None:
    """Where it stands now: how it ended, if it has."""
    seen = await asked(line, lambda: looked(maker, line))
    if isinstance(seen, Ready):
        return seen
    line.tell(seen)
    return None


async def taken_back(line: Line) -> Ready:
    """It is wanted back. What finished all the same is kept: it is paid.

    That it cost nothing is the provider's to say, in how it ended: what it was doing before it was stopped is no proof.
    """
    maker = line.maker
    is_taken = isinstance(maker, Cancels) and await asked(
        line, lambda: patiently(lambda: maker.cancel(line.wire, line.receipt))
    )
    if isinstance(maker, Follows):
        ready = await _look(line, maker) or (await _within(line, maker, CANCEL_GRACE_S) if is_taken else None)
        if ready is not None:
            return ready
    if is_taken:
        raise Cancelled("cancelled_at_work", provider=maker.name, paid="unknown")
    return await ended(line)
