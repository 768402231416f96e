"""Engine room (floor 3): `advance` brings one generation from its state to its end. It knows no queue.

Each step starts from a state the ledger holds and ends by saving the next one, so it can be resumed at every line. The
rule of money stands in `_send` and nowhere else: intent durable, POST once, receipt durable, then wait.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from hoasi import artifacts
from hoasi.errors import (
    Cancelled,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    LostOwnership,
    NotAccepted,
    PaymentUnknown,
    ProviderUnreachable,
    ResultBroken,
    ResultExpired,
)
from hoasi.inputs import addresses
from hoasi.line import Line, Parked, Stopped
from hoasi.opening import comes_back_free
from hoasi.pace import Schedule, backoff_s, patiently, until_ready
from hoasi.providers._provider import Cancels, Done, Finds, Follows, Handle, Order, Ready, TryAgain
from hoasi.records import Artifact, Generation, Output, Problem, State
from hoasi.wire import AddressRefused, NotSent, ReplyLost, TooLarge, WireTrouble

T = TypeVar("T")

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
        while line.generation.state.is_open:
            step = _copy if line.generation.copy_of is not None else _STEPS[line.generation.state]
            await step(line)
    except Parked as parked:
        line.park(parked.problem)
    except Stopped:
        line.fail(Cancelled("cancelled"))
    except LostOwnership:
        raise
    except HoasiError as error:
        line.fail(error)
    finally:
        line.leave_gate()


# ---------------------------------------------------------------------- queued


async def _send(line: Line) -> None:
    """Queued: submit once."""
    with line.stoppable():
        await line.enter_gate()
        urls = await addresses(line)
        await line.gate.opened()
    await _take_place(line)
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
        await line.hold({**outcome.receipt, "input_urls": list(urls)})
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
    found = await _asked(line, lambda: maker.find(line.wire, order))
    if found is None:
        line.save(state=State.QUEUED, submitted_at=None)
    else:
        await line.hold(found.receipt)


async def _reconcile(line: Line) -> None:
    """Submitting, found after a crash: the POST may have left. What is free is simply made again."""
    if line.planned.price.usd == 0:
        return line.save(state=State.QUEUED, submitted_at=None)
    return await _recover(line, PaymentUnknown("crashed_while_sending", provider=line.maker.name))


async def _copy(line: Line) -> None:
    """An equal request was or is bought elsewhere: wait for it and copy its files."""
    with line.stoppable():
        source = await _source(line)
    if source.state.is_open:
        raise Parked(_waiting(line, "still_running"))
    if source.state is not State.SUCCEEDED:
        raise GenerationFailed("copy_source_failed", id=source.id, state=source.state.value)
    made = [
        await anyio.to_thread.run_sync(artifacts.copy, artifact, line.target(k))
        for k, artifact in enumerate(source.artifacts)
    ]
    _finish(line, made, is_paid=False)


async def _source(line: Line) -> Generation:
    """What is copied, when it has ended; harmed files are brought back first."""
    source = await line.shop.wait_for(str(line.generation.copy_of))
    if source.state is State.SUCCEEDED and not await _is_whole(line, source):
        if not comes_back_free(source):
            raise GenerationFailed("copy_source_damaged", id=source.id)
        source = await line.shop.bring_back(source)
    return source


async def _is_whole(line: Line, source: Generation) -> bool:
    workspace = line.shop.settings.workspace
    return await anyio.to_thread.run_sync(lambda: all(artifacts.is_intact(workspace, a) for a in source.artifacts))


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
        return await _asked(line, lambda: until_ready(maker, line.wire, line.receipt, schedule, sent_at, line.tell))
    raise Parked(_waiting(line, "still_running"))


async def _asked(line: Line, ask: Callable[[], Awaitable[T]]) -> T:
    """A free question; without an answer the generation is parked, never given up."""
    try:
        return await ask()
    except KeyRejected as error:
        raise Parked(error.problem()) from error
    except (WireTrouble, TryAgain) as error:
        raise Parked(_waiting(line, "unreachable_while_waiting")) from error


def _waiting(line: Line, key: str) -> Problem:
    facts = {"provider": line.maker.name, "id": line.generation.id}
    return Problem(kind="StillRunning", key=key, facts=facts, paid=line.may_be_paid, retry="safe")


async def _take_back(line: Line) -> Ready:
    """The user wants it back. What finished all the same is kept: it is paid."""
    maker = line.maker
    if isinstance(maker, Cancels) and await _asked(
        line, lambda: patiently(lambda: maker.cancel(line.wire, line.receipt))
    ):
        with anyio.move_on_after(CANCEL_GRACE_S):
            return await _until_ready(line)
        raise Cancelled("cancelled_at_work", provider=maker.name, paid="no" if line.phase == "queued" else "unknown")
    return await _until_ready(line)


# ---------------------------------------------------------------------- fetching


async def _fetch(line: Line) -> None:
    """Fetching: bring the results home, verify, name, sign."""
    done = line.done or await _collected(line)
    if done is None:
        return
    outputs = done.outputs[: len(line.planned.stems)]
    made = [await _bring(line, k, output) for k, output in enumerate(outputs)]
    _finish(line, made, is_paid=True)


async def _collected(line: Line) -> Done | None:
    """Ask where the results are. What was free and drawn at once (no receipt) is simply drawn again."""
    maker = line.maker
    if isinstance(maker, Follows):
        return await _asked(line, lambda: patiently(lambda: maker.collect(line.wire, line.receipt, line.ready)))
    if line.planned.price.usd != 0.0:
        raise ResultExpired("result_expired", provider=maker.name, status=0)
    line.save(state=State.QUEUED, submitted_at=None)
    return None


async def _bring(line: Line, k: int, output: Output) -> Artifact:
    """One download, a few times if need be: it is paid for, and a new file may take a moment to be served."""
    try:
        return await patiently(
            lambda: artifacts.fetch(line.shop.street, output, line.target(k)),
            tries=4,
            also=(ResultBroken, ResultExpired),
        )
    except (NotSent, ReplyLost) as error:
        raise ResultBroken("download_lost", provider=line.maker.name, detail=str(error)) from error
    except (AddressRefused, TooLarge) as error:
        raise ResultBroken("download_unsafe", provider=line.maker.name, detail=str(error), retry="no") from error


def _finish(line: Line, made: list[Artifact], *, is_paid: bool) -> None:
    """Durable success; the cost is the estimate for what was really delivered."""
    planned = line.planned
    price = planned.price.usd if is_paid else 0.0
    cost = None if price is None else round(price * len(made) / len(planned.stems), 6)
    line.end(
        State.SUCCEEDED,
        artifacts=[artifact.model_dump(mode="json") for artifact in made],
        problem=None,
        paid="no" if cost == 0 else "yes",
        cost_usd=cost,
    )


def _since_sent(line: Line) -> float:
    return round(time.time() - (line.generation.submitted_at or time.time()), 3)


_STEPS: dict[State, Callable[[Line], Awaitable[None]]] = {
    State.QUEUED: _send,
    State.SUBMITTING: _reconcile,
    State.RUNNING: _follow,
    State.FETCHING: _fetch,
}
