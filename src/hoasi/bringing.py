"""Engine room (floor 3): results come home: asked for, downloaded or copied, and then the generation has succeeded."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from hoasi import artifacts
from hoasi.addresses import origin_of
from hoasi.artifacts import Target
from hoasi.catalogue import load
from hoasi.errors import (
    DiskTrouble,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    PaymentUnknown,
    ProviderUnreachable,
    ResultBroken,
    ResultExpired,
)
from hoasi.line import REPLY, Line, Parked
from hoasi.media.provenance import Provenance
from hoasi.pace import backoff_s, patiently
from hoasi.providers._outcomes import Done, Handle, Ready, Sent, Step, TryAgain
from hoasi.providers._provider import Follows
from hoasi.records import Generation, Problem, State, iso
from hoasi.requirements import MAX_IMAGES_A_REQUEST
from hoasi.results import Artifact, Output
from hoasi.shapes import pixels
from hoasi.street import AddressRefused, NotSent, ReplyLost, TooLarge, WireTrouble
from hoasi.wire import Wire

MOST_RESULTS = MAX_IMAGES_A_REQUEST
"""So many results of one request are kept, however many a provider names."""

log = logging.getLogger("hoasi.engine")
T = TypeVar("T")
ROOM_S = 30.0
"""The longest pause between two tries to save what is nowhere but in memory."""


async def asked(line: Line, ask: Callable[[], Awaitable[T]]) -> T:
    """A free question; without an answer the generation is parked, never given up."""
    try:
        return await ask()
    except KeyRejected as error:
        raise Parked(error.problem()) from error
    except (WireTrouble, TryAgain) as error:
        raise Parked(waiting(line, "unreachable_while_waiting")) from error


def waiting(line: Line, key: str) -> Problem:
    """Why it is left for now, as data."""
    facts = {"provider": line.maker.name, "id": line.generation.id}
    return Problem(kind="StillRunning", key=key, facts=facts, paid=line.may_be_paid, retry="safe")


async def submitted(line: Line, wire: Wire, sent: tuple[Sent, ...]) -> Handle | Done | Step:
    """The one POST, or its kept reply. What the street proves decides between "not sent" and "may have been billed"."""
    name = line.maker.name
    try:
        return await line.maker.submit(wire, replace(line.order(sent), arrived=partial(arrived, line)))
    except (NotSent, AddressRefused) as error:
        raise ProviderUnreachable("unreachable", provider=name, detail=str(error)) from error
    except WireTrouble as error:
        raise PaymentUnknown("reply_lost", provider=name, detail=str(error)) from error


async def heard_again(line: Line) -> Handle | Done | Step:
    """What the kept reply says, in its provider's own translation. Nothing is sent; the inputs may be gone long since.

    Raises:
        PaymentUnknown: it broke off, or could not be translated. GenerationFailed: it brought no result.
    """
    wire = line.wire.hearing(line.spool)
    try:
        return await submitted(line, wire, tuple(Sent(item) for item in line.planned.inputs))
    except (HoasiError, TryAgain) as error:
        if wire.is_heard:
            raise
        raise PaymentUnknown("reply_lost", provider=line.maker.name, detail=str(error)) from error


async def fetch(line: Line) -> None:
    """Fetching: bring the results home, verify, name, sign.

    What is nowhere but in this process's memory is tried for as long as it lives, with pauses of at most `ROOM_S`.
    """
    done = line.done or await _collected(line)
    tries = 0
    while done is not None:
        try:
            made = await brought(line, done)
            lost = len(done.outputs) - len(made)
            finish(line, made, is_paid=True, facts={**done.facts, **({"left_out": lost} if lost else {})})
        except (DiskTrouble, sqlite3.Error) as trouble:
            if line.comes_again:
                raise
            _say_unsaved(line, done, trouble)
        else:
            return
        tries += 1
        await anyio.sleep(min(backoff_s(tries), ROOM_S))


def _say_unsaved(line: Line, done: Done, trouble: Exception) -> None:
    """Whoever asks meanwhile hears that it is paid, and how much room it needs."""
    log.warning("%s is paid and cannot be saved: %s", line.generation.id, trouble)
    size_mb = round(sum(len(output.data or b"") for output in done.outputs) / 1e6 + 1)
    facts = {"path": str(line.shop.settings.workspace / line.planned.output_dir), "size_mb": size_mb}
    problem = Problem(kind="DiskTrouble", key="not_saved", facts=facts, paid="yes", retry="later")
    try:
        line.save(durable=False, problem=problem.model_dump(mode="json"))
    except sqlite3.Error:
        log.exception("nor can the ledger say so")


async def brought(line: Line, done: Done) -> list[Artifact]:
    """Each result, noted as soon as it is here: one that fails does not take the others away.

    More than was asked for is kept, too: it is made and paid. What fails of that is no reason to fail.
    """
    there = await anyio.to_thread.run_sync(_there, line)
    made: list[Artifact] = []
    for k, output in enumerate(done.outputs[:MOST_RESULTS]):
        known = there.get(line.planned.stem(k))
        made += [known] if known else await _kept_or_failed(line, k, output)
        if len(done.outputs) > 1:
            line.save(durable=False, artifacts=[artifact.model_dump(mode="json") for artifact in made])
    return made


async def _kept_or_failed(line: Line, k: int, output: Output) -> list[Artifact]:
    try:
        return [await _bring(line, k, output)]
    except GenerationFailed as error:
        if k < len(line.planned.stems):
            raise
        log.warning("%s: result %d, beyond what was asked for, did not come home: %s", line.generation.id, k, error)
        return []


async def arrived(line: Line, k: int, output: Output) -> None:
    """A result that came before its reply was complete: kept at once, so that a lost reply does not take it away."""
    if k >= MOST_RESULTS:
        return
    there = await anyio.to_thread.run_sync(_there, line)
    if line.planned.stem(k) in there:  # it came before, and its reply is heard again
        return
    try:
        made = await _bring(line, k, output)
        known = [artifact.model_dump(mode="json") for artifact in (*there.values(), made)]
        line.save(durable=False, artifacts=known)
    except (GenerationFailed, WireTrouble, sqlite3.Error) as error:  # the others still come; it is brought at the end
        log.warning("%s: result %d did not come home: %s", line.generation.id, k, error)


def _there(line: Line) -> dict[str, Artifact]:
    """Pictures of this generation that came earlier and are as we left them (in a worker thread)."""
    workspace = line.shop.settings.workspace
    known = [artifact for artifact in line.generation.artifacts if artifacts.is_intact(workspace, artifact)]
    return {PurePosixPath(artifact.path).stem: artifact for artifact in known}


async def _collected(line: Line) -> Done | None:
    """Ask where the results are. What was free and drawn at once (no receipt) is simply drawn again."""
    maker = line.maker
    if REPLY in line.receipt:
        return await _reheard(line)
    if "outputs" in line.receipt:
        outputs = tuple(Output.model_validate(output) for output in line.receipt["outputs"])
        return Done(outputs, line.receipt["facts"])
    if isinstance(maker, Follows):
        seen = line.ready
        ready = seen if seen is not None else await asked(line, lambda: _looked(line, maker))
        gone = () if seen is None else (ResultExpired,)  # it was there a moment ago: believed when said again and again
        return await asked(line, lambda: had(line, maker, line.receipt, ready, also=gone))
    if line.planned.price.usd != 0.0:
        raise ResultExpired("result_expired", provider=maker.name, status=0)
    line.requeue()
    return None


async def _reheard(line: Line) -> Done:
    outcome = await heard_again(line) if line.spool.kept() is not None else None
    if not isinstance(outcome, Done):
        raise ResultExpired("result_expired", provider=line.maker.name, status=0)
    return outcome


async def _looked(line: Line, maker: Follows) -> Ready:
    """How it had ended, for a process that did not see it; a status that is forgotten says nothing of the result.

    Somebody may have asked just before us, and `collect` may be a look, too.
    """
    least_s = line.planned.poll_s
    await anyio.sleep(least_s)
    try:
        seen = await patiently(lambda: maker.poll(line.wire, line.receipt), least_s=least_s)
        if isinstance(seen, Ready):
            return seen
    except ResultExpired as gone:
        log.info("%s: the status is forgotten, the result may be there: %s", line.generation.id, gone)
    await anyio.sleep(least_s)
    return Ready()


async def had(
    line: Line, maker: Follows, receipt: dict[str, Any], ready: Ready, also: tuple[type[Exception], ...] = ()
) -> Done:
    """The results, asked for no oftener than allowed; `also`: answers that are no answer yet."""
    return await patiently(lambda: maker.collect(line.wire, receipt, ready), also=also, least_s=line.planned.poll_s)


async def _bring(line: Line, k: int, output: Output) -> Artifact:
    """One download, a few times if need be: it is paid for, and a new file may take a moment to be served."""
    try:
        return await patiently(
            lambda: artifacts.fetch(line.shop.street, output, target(line, k)),
            tries=4,
            also=(ResultBroken, ResultExpired),
        )
    except ResultExpired as gone:
        if line.generation.finished_at is not None or not isinstance(line.maker, Follows):
            raise
        raise ResultBroken("download_lost", provider=line.maker.name, detail=str(gone)) from gone  # asked for once more
    except (NotSent, ReplyLost) as error:
        raise ResultBroken("download_lost", provider=line.maker.name, detail=str(error)) from error
    except AddressRefused as error:  # it can be had again as soon as that host is trusted
        scheme, host, port = origin_of(output.url or "")
        where = f"{scheme}://{host}:{port}" if host else "-"
        raise ResultBroken("download_unsafe", provider=line.maker.name, detail=str(error), where=where) from error
    except TooLarge as error:
        raise ResultBroken("download_too_large", provider=line.maker.name, detail=str(error), retry="no") from error


def finish(line: Line, made: list[Artifact], *, is_paid: bool, facts: Mapping[str, Any] | None = None) -> None:
    """Durable success. The cost is what the provider told, else the estimate for what was really delivered."""
    planned, facts = line.planned, dict(facts or {})
    price = planned.price.usd if is_paid else 0.0
    share = min(len(made) / len(planned.stems), 1.0)
    cost = None if price is None else round(price * share, 6)
    cost = facts.get("cost_usd", cost) if is_paid else cost
    line.end(
        State.SUCCEEDED,
        artifacts=[artifact.model_dump(mode="json") for artifact in made],
        problem=None,
        paid="no" if cost == 0 else "yes",
        cost_usd=cost,
        facts=facts,
    )


def target(line: Line, k: int) -> Target:
    """Where the k-th picture goes, and what is written into it."""
    planned = line.planned
    return Target(
        workspace=line.shop.settings.workspace,
        folder=planned.output_dir,
        stem=planned.stem(k),
        owner=line.shop.owner,
        media=planned.media,
        asked_ratio=planned.request.aspect_ratio,
        asked_size=pixels(planned.parameters.get("target_size") or planned.request.prefers.get("target_size")),
        is_png=bool(planned.fixed_name),
        provenance=told_in(line.generation),
    )


def told_in(generation: Generation) -> Provenance:
    """What its pictures and clips say of themselves."""
    planned = generation.planned
    return Provenance(
        generation_id=generation.id,
        provider=planned.provider,
        model=planned.model,
        prompt=planned.prompt,
        seed=planned.seed,
        created_at=iso(generation.created_at),
        is_trained=load(planned.provider).is_trained,
    )
