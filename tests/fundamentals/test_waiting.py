"""Promise 2, while waiting: streams break, providers fall silent, disks fill up; nothing paid is lost."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from calls import OpenStudio, fault, let_go, one, pictures, told, until
from hoasi import Studio, flow, planning, runner
from hoasi.engine import Engine
from hoasi.line import Line
from hoasi.records import Request
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@contextmanager
def full_disk(room: int = 4096) -> Iterator[None]:
    """No file of this process can grow beyond `room` bytes: the ledger, the logs and the pictures alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def learned(studio: Studio) -> None:
    """Three results, so that the model's usual duration is known."""
    await studio.generate(one(prompt=None, requests=tuple(Request(prompt=f"learning {k}") for k in range(3))))


async def test_a_picture_takes_four_requests(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Submit, one stream, one result, one download: no poll at all."""
    async with open_studio() as studio:
        await studio.generate(one())
    stats = sandbox.stats()
    counted = {name: stats[name] for name in ("posts_received", "streams", "polls", "results", "downloads")}
    assert counted == {"posts_received": 1, "streams": 1, "polls": 0, "results": 1, "downloads": 1}
    assert len(stats["requests"]) == 4


@pytest.mark.parametrize("kind", ["5xx", "truncated", "hang", "garbage", "lost_reply", "wrong_type", "empty", "gone"])
async def test_a_broken_stream_falls_back_to_polling(
    kind: str, open_studio: OpenStudio, sandbox: Sandbox, impatient: None
) -> None:
    """Refused, cut, silent or senseless: we ask instead, a few times only."""
    async with open_studio() as studio:
        await learned(studio)
        sandbox.faults.add(fault("stream", kind, times=0))
        sandbox.change(latency_s=0.5)
        reply = await studio.generate(one())
    assert reply.generations[0].state == "succeeded"
    assert 1 <= sandbox.stats()["polls"] <= 6
    assert sandbox.stats()["submissions"] == 4


async def test_a_first_picture_is_not_polled_before_it_can_be_done(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Without a stream and without experience the card's usual duration decides: one look finds it."""
    sandbox.faults.add(fault("stream", "gone", times=0))
    async with open_studio() as studio:
        await studio.generate(one())
    assert sandbox.stats()["polls"] == 1


@pytest.mark.parametrize("at", ["status", "result"])
@pytest.mark.parametrize("kind", ["5xx", "lost_reply", "reset", "429", "hang"])
async def test_trouble_with_free_questions_is_overcome(
    at: str, kind: str, open_studio: OpenStudio, sandbox: Sandbox, quick: object, impatient: None
) -> None:
    """Status and result are asked for again, however often that failed a moment ago."""
    async with open_studio() as studio:
        await learned(studio)
        sandbox.faults.add(fault("stream", "gone", times=0), fault(at, kind, times=3, value=0))
        reply = await studio.generate(one())
    assert reply.generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 4


async def test_a_provider_that_is_down_is_waited_for_later(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Nobody answers: we stop asking, keep the receipt, say so; `resume` brings the picture, a copy of it too."""
    down = [fault(at, "5xx", value=503, times=0) for at in ("stream", "status", "result")]
    async with open_studio() as studio:
        await learned(studio)
        sandbox.faults.add(*down)
        copy = await studio.begin(one(seed=7))
        copy = await studio.begin(one(seed=7, scene_ids=("SC_02",)))
        entry = (await studio.generate(one(seed=7))).generations[0]
        assert entry.state in {"running", "fetching"}
        assert entry.paid == "unknown"
        assert entry.error is not None
        assert entry.error.key == "unreachable_while_waiting"
        sandbox.faults.clear()
        assert {e.state for e in (await studio.resume()).generations} == {"succeeded"}
        assert (await studio.follow(copy.ids)).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 4


async def test_a_rejected_key_while_waiting_loses_nothing(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """The key was taken back after the submission: the receipt stays, the right key brings the picture."""
    sandbox.change(latency_s=0.3)
    async with open_studio() as studio:
        await learned(studio)
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["submissions"] == 4)
        sandbox.change(reject_key=True)
        entry = (await studio.wait(batch)).generations[0]
        assert entry.error is not None
        assert (entry.state in {"running", "fetching"}, entry.error.kind) == (True, "KeyRejected")
        sandbox.change(reject_key=False)
        assert (await studio.follow(batch.ids)).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 4


async def test_the_longest_wait_parks_and_does_not_block_the_next(
    open_studio: OpenStudio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the provider's cap it is left, resumable; its place is free again after a while, for others."""
    monkeypatch.setitem(planning.CAPS_S, "image", 0.2)
    monkeypatch.setattr("hoasi.ledger.SLOT_LIFE_S", 0.5)
    sandbox.change(latency_s=600)
    async with open_studio(HOASI_FAL_CONCURRENCY="1") as studio:
        entry = (await studio.generate(one("slow"))).generations[0]
        assert entry.error is not None
        assert (entry.state, entry.error.key) == ("running", "still_running")
        sandbox.change(latency_s=0.05)
        assert (await studio.generate(one("next"))).generations[0].state == "succeeded"
        let_go(sandbox)
        assert (await studio.follow([entry.id])).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 2


async def test_a_receipt_waits_for_a_full_disk(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """The reply came while nothing could be written: the receipt is kept until it can be."""
    sandbox.faults.add(fault("submit", "slow", value=0.3))
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["posts_received"] == 1)
        with full_disk():
            await until(lambda: sandbox.stats()["submissions"] == 1)
            await asyncio.sleep(0.2)
            assert studio.generations(batch.ids)[0].handle is None
        reply = await studio.wait(batch)
    assert reply.generations[0].state == "succeeded"


async def test_a_full_disk_while_fetching_is_mended_by_resume(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Neither picture nor ledger can be written: the call ends all the same, and `resume` brings it home, free."""
    sandbox.faults.add(fault("result", "slow", value=0.3))
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["results"] == 1)
        with full_disk():
            stuck = (await studio.wait(batch)).generations[0]
        assert stuck.state in {"running", "fetching"}
        assert stuck.paid == "unknown"
        assert {e.state for e in (await studio.resume()).generations} == {"succeeded"}
    assert sandbox.stats()["submissions"] == 1


async def test_a_folder_in_the_way_is_a_paid_failure_that_resume_mends(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """The picture's folder became a file: failed, paid; when it is mended, `resume` fetches without paying."""
    sandbox.faults.add(fault("result", "slow", value=0.2))
    folder = workspace / "jobs/job-1/input/raw_assets/images/ai_generated"
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["results"] == 1)
        folder.rmdir()
        folder.touch()
        entry = (await studio.wait(batch)).generations[0]
        assert (entry.state, entry.paid) == ("failed", "yes")
        assert entry.error is not None
        assert entry.error.kind == "DiskTrouble"
        folder.unlink()
        assert (await studio.resume()).generations[0].state == "succeeded"
    assert len(pictures(workspace)) == 1
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize("name", ["ai_image_generation.toml", "asset_semantics.toml"])
async def test_a_file_that_cannot_be_written_stops_neither_picture_nor_answer(
    name: str, open_studio: OpenStudio, workspace: Path
) -> None:
    """The picture is there and the answer tells of the file; when it is mended, everything stands in it."""
    blocked = workspace / "jobs/job-1/source" / name
    blocked.mkdir()
    async with open_studio() as studio:
        reply = await studio.generate(one("one", provider="local", scene_ids=("SC_01",)))
        assert reply.generations[0].state == "succeeded"
        assert [w for w in reply.warnings if name in w]
        assert len(set(reply.warnings)) == len(reply.warnings)
        blocked.rmdir()
        reply = await studio.generate(one("two", provider="local", scene_ids=("SC_02",)))
        assert not [w for w in reply.warnings if name in w]
    assert len(told(workspace)) == 2
    assert (workspace / "jobs/job-1/source/asset_semantics.toml").read_text().count("[[assets]]") == 2


async def test_a_locked_ledger_stops_nothing(open_studio: OpenStudio, sandbox: Sandbox, workspace: Path) -> None:
    """Another program holds the ledger for a moment: everything waits, nothing is lost or bought twice."""
    async with open_studio() as studio:
        batch = await studio.begin(one())
        other = sqlite3.connect(workspace / ".hoasi/ledger.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.5, other.rollback)
        release.start()
        reply = await studio.wait(batch)
        release.join()
        other.close()
    assert reply.generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


async def test_leaving_waits_for_the_receipt_and_for_nothing_else(
    open_studio: OpenStudio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that leaves takes the receipt of a request that is out with it, and sends nothing more."""
    monkeypatch.setattr(runner, "CLOSING_S", 100.0)
    monkeypatch.setattr(flow, "PLACE_POLL_S", 0.005)
    submit, reply, is_out = flow._submit, anyio.Event(), anyio.Event()

    async def held_up(line: Line, sent: Any) -> Any:
        outcome = await submit(line, sent)
        if line.planned.request.prompt == "kite 1":
            is_out.set()
            await reply.wait()
        return outcome

    monkeypatch.setattr(flow, "_submit", held_up)
    sandbox.change(latency_s=600)
    async with open_studio(HOASI_FAL_CONCURRENCY="2") as studio:
        batches = [await studio.begin(one("kite 0"))]
        await until(lambda: sandbox.stats()["streams"] == 1)
        batches.append(await studio.begin(one("kite 1")))
        await is_out.wait()
        batches.append(await studio.begin(one("kite 2")))
        leaving = asyncio.create_task(studio.close())
        await asyncio.sleep(0)
        sandbox.line.end(next(iter(sandbox.line._all.values())))
        await until(lambda: studio.generations(batches[0].ids)[0].state == "succeeded")
        await asyncio.sleep(0.1)  # its place is free now, and would have been taken many times
        assert not leaving.done()
        reply.set()
        await leaving
        rows = [studio.generations(batch.ids)[0] for batch in batches]
    states = sorted((row.state.value, row.handle is None) for row in rows)
    assert states == [("queued", True), ("running", False), ("succeeded", False)]
    assert sandbox.stats()["posts_received"] == 2
    assert len(asyncio.all_tasks()) <= 2


async def test_work_begins_before_the_caller_can_give_up(
    open_studio: OpenStudio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is cancelled right after its intent was written down: the work goes on without any other call."""
    looked = threading.Event()
    monkeypatch.setattr(Engine, "_intact", lambda *_: looked.wait(10) and set())
    async with open_studio() as studio:
        call = asyncio.create_task(studio.generate(one()))
        await until(lambda: studio.list()[0].generations != ())
        call.cancel()
        looked.set()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: studio.list(states=["succeeded"])[0].generations != ())
    assert sandbox.stats()["submissions"] == 1
