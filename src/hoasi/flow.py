"""Engine room (floor 3): `advance` brings one generation from its state to its end. It knows no queue.

Each step starts from a state the ledger holds and ends by saving the next one, so it can be resumed at every line. The
rule of money stands in `_send` and nowhere else: intent durable, POST once, receipt durable, then wait.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

from hoasi.bringing import asked, copy, fetch, waiting
from hoasi.errors import (
    Cancelled,
    HoasiError,
    LostOwnership,
    NotAccepted,
    PaymentUnknown,
    ProviderRefused,
    ProviderUnreachable,
    ResultExpired,
)
from hoasi.inputs import addresses, distrust, permitted
from hoasi.line import Line, Parked, Stopped
from hoasi.pace import Schedule, backoff_s, patiently, until_ready
from hoasi.providers._provider import Cancels, Done, Finds, Follows, Handle, Order, Ready
from hoasi.records import Problem, State
from hoasi.wire import AddressRefused, NotSent, WireTrouble

SUBMIT_TRIES = 4
"""One try and three repeats after a proven refusal."""
PLACE_POLL_S = 0.25
CANCEL_GRACE_S = 10.0


async def advance(line: Line) -> None:
    """Work on a generation until it ends or is parked.

    Raises:
        LostOwnership: it is somebody else's now.
    """
    try:
        _must_belong(line)
        while line.generation.state.is_open:
            step = copy if line.generation.copy_of is not None else _STEPS[line.generation.state]
            await step(line)
    except Parked as parked:
        line.park(parked.problem)
    except Stopped:
        line.fail(Cancelled("cancelled"))
    except LostOwnership:
        raise
    except HoasiError as error:
        if isinstance(error, ProviderRefused):
            distrust(line)
        line.fail(error)
    finally:
        line.leave_gate()


def _must_belong(line: Line) -> None:
    """What was asked of the real provider is not asked of the sandbox, nor the other way round; and a receipt is shown
    only to the address that gave it. It waits for a process that is told the same.

    Raises:
        Parked: it belongs elsewhere.
    """
    here, given = line.wire.address, str(line.receipt.get("at", line.wire.address))
    if here and (line.planned.realm != line.shop.settings.realm or given != here):
        facts = {"id": line.generation.id, "provider": line.maker.name, "here": here}
        raise Parked(Problem(kind="Elsewhere", key="elsewhere", facts=facts, paid=line.may_be_paid, retry="safe"))


# ---------------------------------------------------------------------- queued


async def _send(line: Line) -> None:
    """Queued: submit once."""
    with line.stoppable():
        await line.enter_gate()
        urls = await addresses(line)
        await line.gate.opened()
    permitted(line)
    await _take_place(line)
    line.sent_at = time.monotonic()
    try:
        outcome = await _submit(line, urls)
    except NotAccepted as refused:
        _requeue(line, refused)
    except PaymentUnknown as lost:
        await _recover(line, lost)
    else:
        await _keep(line, outcome, urls)


async def _keep(line: Line, outcome: Handle | Done, urls: tuple[str, ...]) -> None:
    """What the paid request gave, durable before anything else."""
    if isinstance(outcome, Handle):
        await line.hold({**outcome.receipt, "at": line.wire.address, "input_urls": list(urls)})
    else:
        line.done = outcome
        line.save(durable=line.may_be_paid != "no", state=State.FETCHING, duration_s=_since_sent(line))


async def _take_place(line: Line) -> None:
    """Intent, durable: from here on the request may have been sent."""
    with line.stoppable():
        while True:
            if line.shop.is_closing:
                await anyio.sleep_forever()
            taken = line.shop.ledger.take_place(line.generation.id, line.shop.owner, line.maker.name, line.gate.most)
            if taken is not None:
                line.generation = taken
                return
            await anyio.sleep(PLACE_POLL_S)


async def _submit(line: Line, urls: tuple[str, ...]) -> Handle | Done:
    """The one POST. What the street proves decides between "not sent" and "may have been billed"."""
    name = line.maker.name
    try:
        return await line.maker.submit(line.wire, Order(line.planned, urls, line.generation.id))
    except (NotSent, AddressRefused) as error:
        raise ProviderUnreachable("unreachable", provider=name, detail=str(error)) from error
    except WireTrouble as error:
        raise PaymentUnknown("reply_lost", provider=name, detail=str(error)) from error


def _requeue(line: Line, refused: NotAccepted) -> None:
    """Proven not accepted: back into the queue, and nobody goes to this provider for a while."""
    if line.generation.tries >= SUBMIT_TRIES:
        raise refused
    line.gate.close_for(backoff_s(line.generation.tries, refused.retry_after_s))
    line.save(state=State.QUEUED, submitted_at=None)


async def _recover(line: Line, lost: PaymentUnknown) -> None:
    """The receipt is missing: ask the provider where it can be asked, else say that nobody knows."""
    maker = line.maker
    if not isinstance(maker, Finds):
        raise lost
    order = Order(line.planned, (), line.generation.id)
    found = await asked(line, lambda: maker.find(line.wire, order))
    if found is None:
        line.save(state=State.QUEUED, submitted_at=None)
    else:
        await line.hold(found.receipt)


async def _reconcile(line: Line) -> None:
    """Submitting, found after a crash: the POST may have left. What is free is simply made again."""
    if line.planned.price.usd == 0:
        return line.save(state=State.QUEUED, submitted_at=None)
    return await _recover(line, PaymentUnknown("crashed_while_sending", provider=line.maker.name))


# ---------------------------------------------------------------------- running


async def _follow(line: Line) -> None:
    """Running: wait for the end at the provider, or take it back."""
    try:
        with line.stoppable():
            line.ready = await _until_ready(line)
    except Stopped:
        line.ready = await _take_back(line)
    except ResultExpired as gone:
        _mistrust(line, gone)
        raise
    line.leave_gate()
    line.save(durable=False, state=State.FETCHING, duration_s=_since_sent(line))


def _mistrust(line: Line, gone: ResultExpired) -> None:
    """A receipt that a person gave and nobody knows there was the wrong one: as unknown as before."""
    if line.receipt.get("attached"):
        line.save(handle=None)
        raise PaymentUnknown("reply_lost", provider=line.maker.name, detail=str(gone)) from gone


async def _until_ready(line: Line) -> Ready:
    planned, maker = line.planned, line.maker
    if not isinstance(maker, Follows):
        raise ResultExpired("result_expired", provider=maker.name, status=0)
    schedule = Schedule(line.shop.ledger.durations(planned.provider, planned.model), planned.expected_s)
    sent_at = line.generation.submitted_at or time.time()
    with anyio.move_on_after(maker.cap_s):
        return await asked(line, lambda: until_ready(maker, line.wire, line.receipt, schedule, sent_at, line.tell))
    raise Parked(waiting(line, "still_running"))


async def _take_back(line: Line) -> Ready:
    """The user wants it back. What finished all the same is kept: it is paid."""
    maker = line.maker
    if isinstance(maker, Cancels) and await asked(
        line, lambda: patiently(lambda: maker.cancel(line.wire, line.receipt))
    ):
        with anyio.move_on_after(CANCEL_GRACE_S):
            return await _until_ready(line)
        raise Cancelled("cancelled_at_work", provider=maker.name, paid="no" if line.phase == "queued" else "unknown")
    return await _until_ready(line)


def _since_sent(line: Line) -> float | None:
    """Seconds since the submission, if we saw it: what slept here in between says nothing about the model."""
    return round(time.monotonic() - line.sent_at, 3) if line.sent_at is not None else None


_STEPS: dict[State, Callable[[Line], Awaitable[None]]] = {
    State.QUEUED: _send,
    State.SUBMITTING: _reconcile,
    State.RUNNING: _follow,
    State.FETCHING: fetch,
}
