"""Engine room (floor 3): `advance` brings one generation from its state to its end. It knows no queue.

Each step starts from a state the ledger holds and ends by saving the next one, so it can be resumed at every line. The
rule of money stands in `_send` and nowhere else: intent durable, POST once, receipt durable, then wait.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from hoasi.borrowing import copy, promised
from hoasi.bringing import asked, fetch, heard_again, submitted, waiting
from hoasi.errors import (
    Cancelled,
    HoasiError,
    KeyRejected,
    LostOwnership,
    NotAccepted,
    PaymentUnknown,
    ProviderRefused,
    ResultExpired,
    WrongInput,
)
from hoasi.following import ended, taken_back
from hoasi.inputs import distrust, permitted, prepared
from hoasi.line import REPLY, Line, Parked, Stopped
from hoasi.pace import backoff_s
from hoasi.providers._outcomes import Done, Handle, Sent, Step
from hoasi.providers._provider import Finds
from hoasi.records import Problem, State

PLACE_POLL_S = 0.25
ARRIVAL_S, ARRIVAL_POLL_S = 20.0, 5.0
"""How long a request whose reply was lost may still arrive, and how often that is looked at."""


async def advance(line: Line) -> None:
    """Work on a generation until it ends or is parked.

    Raises:
        LostOwnership: it is somebody else's now.
    """
    try:
        _must_belong(line)
        while line.generation.state.is_open:
            await _step(line)
    except Parked as parked:
        line.park(parked.problem)
    except Stopped:
        if line.generation.handle is None:
            line.fail(Cancelled("cancelled"))
        else:  # it was sent: what it costs is the provider's to say
            line.fail(Cancelled("cancelled_at_work", provider=line.maker.name, paid="unknown"))
    except LostOwnership:
        raise
    except HoasiError as error:
        if isinstance(error, ProviderRefused):
            distrust(line)
        line.fail(error)
    finally:
        line.leave_gate()


async def _step(line: Line) -> None:
    """One step; what was proven never to have been taken may be made by somebody else."""
    step = copy if line.generation.copy_of is not None else _STEPS[line.generation.state]
    try:
        await step(line)
    except (NotAccepted, KeyRejected) as refused:
        if refused.paid != "no" or not line.move(refused):
            raise


def _must_belong(line: Line) -> None:
    """What was asked of the real provider is not asked of the sandbox, nor the other way round; and a receipt is shown
    only to the address that gave it. It waits for a process that is told the same.

    Raises:
        Parked: it belongs elsewhere.
    """
    kept = line.spool.kept() if line.generation.handle is None else None
    here, told = line.wire.address, line.receipt if kept is None else kept.head
    given = str(told.get("at", here))
    if here and (line.planned.realm != line.shop.settings.realm or given != here):
        facts = {"id": line.generation.id, "provider": line.maker.name, "here": here}
        raise Parked(Problem(kind="Elsewhere", key="elsewhere", facts=facts, paid=line.may_be_paid, retry="safe"))


# ---------------------------------------------------------------------- queued


async def _send(line: Line) -> None:
    """Queued: submit once."""
    with line.stoppable():
        await promised(line)
        await line.enter_gate()
        sent = await prepared(line)
        await line.gate.opened()
    await _take_place(line)
    line.sent_at = time.monotonic()
    await _heed(line, _submit(line, sent), sent)


async def _heed(line: Line, reply: Awaitable[Handle | Done | Step], sent: tuple[Sent, ...]) -> None:
    """What came of the paid request."""
    try:
        outcome = await reply
    except NotAccepted as refused:
        _requeue(line, refused)
    except PaymentUnknown as lost:
        await _recover(line, lost)
    except ProviderRefused as refused:
        await _known_there(line, refused)
    else:
        await _keep(line, outcome, sent)


async def _known_there(line: Line, refused: ProviderRefused) -> None:
    """Refused when sent again: perhaps because the first one had arrived after all."""
    if line.generation.tries > 1 and isinstance(line.maker, Finds):
        try:
            found = await _found(line, line.maker)
        except PaymentUnknown:  # sent again only because the first one was proven not to be there
            raise refused from None
        if found is not None:
            return await line.hold({**found.receipt, "at": line.wire.address})
    raise refused


async def _keep(line: Line, outcome: Handle | Done | Step, sent: tuple[Sent, ...]) -> None:
    """What the paid request gave, durable before anything else."""
    if isinstance(outcome, Handle):
        urls = [item.url for item in sent if item.url]
        await line.hold({**outcome.receipt, "at": line.wire.address, "input_urls": urls})
        if outcome.done is not None:
            line.done = outcome.done
            _to_fetch(line)
    elif isinstance(outcome, Step):
        line.requeue(step=outcome.receipt)
    else:
        line.done = outcome
        facts = {"duration_s": _since_sent(line), **_lasting(line, outcome)}
        await line.insist(durable=line.may_be_paid != "no", state=State.FETCHING, **facts)


def _lasting(line: Line, done: Done) -> dict[str, Any]:
    """What was made at once, as a receipt of ours: where it lies, or that its reply is kept here."""
    if line.may_be_paid == "no" or not done.outputs:
        return {}
    if all(output.url for output in done.outputs):
        outputs = [output.model_dump(mode="json", exclude={"data"}) for output in done.outputs]
        return {"handle": {"at": line.wire.address, "outputs": outputs, "facts": done.facts}}
    kept = line.spool.kept()
    return {"handle": {"at": line.wire.address, REPLY: kept.path.name}} if kept is not None and kept.is_whole else {}


async def _take_place(line: Line) -> None:
    """Intent, durable: from here on the request may have been sent."""
    with line.stoppable():
        while True:
            if line.shop.is_closing:
                await anyio.sleep_forever()
            permitted(line)  # at the last moment: waiting for a place may take minutes
            places = line.gate.fitting(line.planned.slots)
            lane = line.planned.lane or line.planned.provider
            taken = line.shop.ledger.take_place(line.generation.id, line.shop.owner, lane, places, line.gate.most)
            if taken is not None:
                line.generation = taken
                return
            await anyio.sleep(PLACE_POLL_S)


async def _submit(line: Line, sent: tuple[Sent, ...]) -> Handle | Done | Step:
    """The one POST; its reply is on disk before it is read."""
    is_paid = line.may_be_paid != "no"
    return await submitted(line, line.wire.keeping(line.spool) if is_paid else line.wire, sent)


def _requeue(line: Line, refused: NotAccepted) -> None:
    """Proven not accepted: back into the queue, and nobody goes to this provider for a while; not if it is for ever.

    When it was first sent stays written down if a reply was lost: the next process has to know that it did leave.
    """
    if refused.retry == "no" or line.generation.tries > line.planned.refusals:
        raise refused
    line.gate.close_for(backoff_s(line.generation.tries, refused.retry_after_s))
    line.requeue(submitted_at=line.generation.submitted_at if line.has_left else None)


async def _recover(line: Line, lost: PaymentUnknown) -> None:
    """The receipt is missing: ask the provider where it can be asked, else say that nobody knows.

    A request may still be on its way: that it is not there counts only when it had time to arrive since we gave up.
    """
    maker = line.maker
    if not isinstance(maker, Finds):
        raise lost
    lost_at = time.monotonic()
    line.has_left = True
    while (found := await _found(line, maker)) is None:
        left = lost_at + ARRIVAL_S - time.monotonic()
        if left <= 0:
            _requeue(line, NotAccepted("never_arrived", provider=maker.name))
            return
        await anyio.sleep(min(left, ARRIVAL_POLL_S))
    await line.hold({**found.receipt, "at": line.wire.address})


async def _found(line: Line, maker: Finds) -> Handle | None:
    """What the provider has of it. That it could not be asked says nothing of the purchase itself.

    Raises:
        Parked: it cannot be asked just now. PaymentUnknown: nor ever.
    """
    try:
        return await asked(line, lambda: maker.find(line.wire, line.lost()))
    except NotAccepted as error:
        raise Parked(waiting(line, "unreachable_while_waiting")) from error
    except WrongInput as error:
        raise PaymentUnknown("reply_lost", provider=line.maker.name, detail=str(error)) from error


async def _reconcile(line: Line) -> None:
    """Submitting, found after a crash: the POST may have left, and what came back is on disk as far as it came.

    What is free is made again, if nobody can be asked.
    """
    if line.spool.kept() is not None:
        return await _heed(line, heard_again(line), ())
    if line.planned.price.usd == 0 and not isinstance(line.maker, Finds):
        return line.requeue()
    return await _recover(line, PaymentUnknown("crashed_while_sending", provider=line.maker.name))


# ---------------------------------------------------------------------- running


async def _follow(line: Line) -> None:
    """Running: wait for the end at the provider, or take it back."""
    try:
        with line.stoppable():
            line.ready = await ended(line)
    except Stopped:
        line.ready = await taken_back(line)
    except ResultExpired as gone:
        _mistrust(line, gone)
        raise
    _to_fetch(line)


def _to_fetch(line: Line) -> None:
    line.leave_gate()
    line.save(durable=False, state=State.FETCHING, duration_s=_since_sent(line))


def _mistrust(line: Line, gone: ResultExpired) -> None:
    """A receipt that a person gave and nobody knows there was the wrong one: as unknown as before."""
    if line.receipt.get("attached"):
        line.save(handle=None)
        raise PaymentUnknown("reply_lost", provider=line.maker.name, detail=str(gone)) from gone


def _since_sent(line: Line) -> float | None:
    """Seconds since the submission, if we saw it: what slept here in between says nothing about the model."""
    return round(time.monotonic() - line.sent_at, 3) if line.sent_at is not None else None


_STEPS: dict[State, Callable[[Line], Awaitable[None]]] = {
    State.QUEUED: _send,
    State.SUBMITTING: _reconcile,
    State.RUNNING: _follow,
    State.FETCHING: fetch,
}
