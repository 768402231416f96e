"""Promise 2: nothing paid is lost."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from calls import OpenStudio, content, fault, harm, let_go, one, pictures, told, until
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BROKEN = ["truncated", "wrong_type", "not_a_picture", "empty", "lost_reply", "reset", "5xx", "gone", "garbage"]


async def test_a_restart_goes_on_with_what_runs(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """The next process takes up what is at the provider, by itself, and brings it home."""
    sandbox.change(latency_s=600)
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["streams"] == 1)
        first = await studio.wait(batch, timeout_s=0)
    let_go(sandbox)
    async with open_studio() as studio:
        taken = studio.start()
        reply = await studio.follow(taken)
        assert studio.engine.ledger.durations("fal", "fal-ai/nano-banana") == []  # how long we were away is no duration
    assert [entry.id for entry in reply.generations] == [first.generations[0].id]
    assert reply.generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


async def test_a_restart_goes_on_with_a_download(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Stopped in the middle of a download: the next process asks for the result again and brings it home."""
    sandbox.faults.add(fault("download", "hang", times=1))
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["downloads"] > 0)
    async with open_studio() as studio:
        reply = await studio.resume()
    assert [(e.id, e.state) for e in reply.generations] == [(batch.ids[0], "succeeded")]
    assert sandbox.stats()["submissions"] == 1


async def test_what_waits_in_the_queue_is_resumed(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Requests that were never sent wait for `resume`; then each is bought once."""
    sandbox.change(latency_s=600)
    async with open_studio() as studio:
        for k in range(4):
            await studio.begin(one(f"kite {k}"))
        await until(lambda: sandbox.stats()["streams"] == 2)
    assert sandbox.stats()["submissions"] == 2
    let_go(sandbox)
    async with open_studio() as studio:
        reply = await studio.resume()
    assert [e.state for e in reply.generations] == ["succeeded"] * 4
    assert sandbox.stats()["submissions"] == 4


@pytest.mark.parametrize("provider", ["fal", "stability"])
async def test_a_ledger_that_cannot_be_written_takes_nothing_away(
    provider: str, open_studio: OpenStudio, fal: str, sandbox: Sandbox, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked by another program just when a receipt, or the paid picture itself, comes in: it waits, and is kept."""
    monkeypatch.setattr("hoasi.ledger.BUSY_S", 0.05)
    sandbox.faults.add(fault("submit", "slow", value=0.3))
    async with open_studio(STABILITY_API_KEY="sk-stability-1234567", HOASI_STABILITY_URL=fal) as studio:
        batch = await studio.begin(one(provider=provider))
        await until(lambda: sandbox.stats()["posts_received"] == 1)
        other = sqlite3.connect(workspace / ".hoasi" / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await until(lambda: sandbox.stats()["submissions"] == 1)
        await asyncio.sleep(0.6)
        other.close()
        reply = await studio.wait(batch, timeout_s=20)
    assert [(entry.state, entry.paid, len(entry.outputs)) for entry in reply.generations] == [("succeeded", "yes", 1)]
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_download_is_fetched_again(
    kind: str, open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Half a file, a login page, no picture, nothing: it is asked for again."""
    sandbox.faults.add(fault("download", kind, times=2))
    async with open_studio() as studio:
        reply = await studio.generate(one())
    assert reply.generations[0].state == "succeeded"
    assert (sandbox.stats()["downloads"], sandbox.stats()["submissions"]) == (3, 1)


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if kind != "gone"])
@pytest.mark.parametrize("again", ["resume", "rerun"])
async def test_a_result_that_would_not_come_is_fetched_later_free(
    kind: str, again: str, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, quick: object
) -> None:
    """After four tries it has failed, paid; `resume` or a rerun fetches it without paying."""
    sandbox.faults.add(fault("download", kind, times=0))
    async with open_studio() as studio:
        failed = (await studio.generate(one())).generations[0]
        sandbox.faults.clear()
        assert (failed.state, failed.paid, failed.cost_usd) == ("failed", "yes", 0.039)
        assert pictures(workspace) == []
        reply = await (studio.resume() if again == "resume" else studio.generate(one()))
    assert (reply.generations[0].id, reply.generations[0].state) == (failed.id, "succeeded")
    assert [row["status"] for row in told(workspace)] == ["failed", "success"]
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize("provider", ["fal", "local"])
async def test_a_harmed_file_comes_back_free(
    how: str, provider: str, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """A rerun sees that its file is gone or changed, and brings it back without paying."""
    async with open_studio() as studio:
        (path,) = (await studio.generate(one(provider=provider))).generations[0].outputs
        whole = content(path)
        harm(path, how)
        reply = await studio.generate(one(provider=provider))
    assert (reply.generations[0].state, reply.generations[0].paid, reply.cost_usd) == ("succeeded", "no", 0.0)
    assert content(path) == whole
    assert sandbox.stats()["submissions"] == (provider == "fal")
    assert [row["status"] for row in told(workspace)] == ["success"]


@pytest.mark.parametrize("provider", ["fal", "local"])
async def test_a_copy_comes_back_even_if_its_source_is_harmed(
    provider: str, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """An equal request whose pictures are gone everywhere is fetched, or drawn, for its own place, free."""
    shutil.copytree(workspace / "jobs" / "job-1", workspace / "jobs" / "job-2")
    async with open_studio() as studio:
        (source,) = (await studio.generate(one(seed=7, provider=provider))).generations[0].outputs
        harm(source)
        (copy,) = (await studio.generate(one(seed=7, provider=provider, job_id="job-2"))).generations[0].outputs
        harm(copy, "damaged")
        reply = await studio.generate(one(seed=7, provider=provider, job_id="job-2"))
    assert (reply.generations[0].state, reply.generations[0].paid) == ("succeeded", "no")
    assert content(copy).endswith(b"IEND\xaeB`\x82")
    assert pictures(workspace) == []
    assert sandbox.stats()["submissions"] == (provider == "fal")


async def test_an_older_picture_never_replaces_a_newer_one(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """A download that failed, then an overwrite: neither `resume` nor a copy brings the old picture to that place."""
    sandbox.faults.add(fault("download", "truncated", times=4))
    async with open_studio() as studio:
        old = (await studio.generate(one(seed=7))).generations[0]
        new = (await studio.generate(one(seed=7, overwrite=True))).generations[0]
        kept = content(new.outputs[0])
        assert (old.state, new.state) == ("failed", "succeeded")
        assert (await studio.resume()).generations == ()
        assert (await studio.resume([old.id])).generations[0].state == "failed"
    assert content(new.outputs[0]) == kept


async def test_what_the_provider_no_longer_has_is_expired(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Paid, lost here, gone there: it says so, and only `overwrite` buys it again."""
    async with open_studio() as studio:
        (path,) = (await studio.generate(one())).generations[0].outputs
        harm(path)
        sandbox.change(forget_after_s=0)
        entry = (await studio.generate(one())).generations[0]
        assert entry.state == "expired"
        assert entry.error is not None
        assert entry.error.paid == "yes"
        assert (await studio.generate(one())).generations[0].state == "expired"
        assert (await studio.resume()).generations == ()
        assert sandbox.stats()["submissions"] == 1
        sandbox.change(forget_after_s=None)
        assert (await studio.generate(one(overwrite=True))).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 2


async def test_a_failed_overwrite_leaves_the_earlier_picture(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """The new one failed; the old one stays where it was and is what a rerun finds."""
    async with open_studio() as studio:
        old = await studio.generate(one())
        sandbox.faults.add(fault("submit", "validation", value="content_policy_violation"))
        assert (await studio.generate(one(overwrite=True))).generations[0].state == "failed"
        again = await studio.generate(one())
    assert (again.generations[0].id, again.generations[0].state) == (old.generations[0].id, "skipped_existing")


async def test_an_overwrite_elsewhere_leaves_this_picture(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Scene 2 bought its picture anew; scene 1, which did not ask for that, keeps its own."""
    async with open_studio() as studio:
        first = await studio.generate(one(seed=7, scene_ids=("SC_01",)))
        await studio.generate(one(seed=7, scene_ids=("SC_02",)))
        await studio.generate(one(seed=7, scene_ids=("SC_02",), overwrite=True))
        again = await studio.generate(one(seed=7, scene_ids=("SC_01",)))
    assert (again.generations[0].id, again.generations[0].state) == (first.generations[0].id, "skipped_existing")


@pytest.mark.parametrize("how", ["attach", "abandon", "resubmit"])
async def test_an_unknown_is_settled_once(how: str, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path) -> None:
    """The user looked it up, gives it up, or buys it again; afterwards it is unknown no more."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio() as studio:
        name = (await studio.generate(one())).generations[0].id
        receipt = next(iter(sandbox.line._all))
        settled = (await studio.resolve(name, how, receipt if how == "attach" else None)).generations[0]  # type: ignore[arg-type]
    expected = {"attach": ("succeeded", "yes"), "abandon": ("cancelled", "unknown"), "resubmit": ("succeeded", "yes")}
    assert (settled.state, settled.paid) == expected[how]
    assert sandbox.stats()["submissions"] == (2 if how == "resubmit" else 1)
    end = {"attach": "success", "abandon": "cancelled", "resubmit": "success"}[how]
    assert [row["status"] for row in told(workspace)] == ["unknown", end]


async def test_a_wrong_receipt_settles_nothing(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """A receipt that the provider does not know leaves it unknown: the right one can still be given."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio() as studio:
        name = (await studio.generate(one())).generations[0].id
        wrong = (await studio.resolve(name, "attach", "no-such-request")).generations[0]
        assert (wrong.state, wrong.paid) == ("unknown", "unknown")
        right = await studio.resolve(name, "attach", next(iter(sandbox.line._all)))
    assert right.generations[0].state == "succeeded"


async def test_a_cancelled_request_that_waits_is_never_sent(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """What still waits for a place is taken back free."""
    sandbox.change(latency_s=600)
    async with open_studio(HOASI_FAL_CONCURRENCY="1") as studio:
        busy = await studio.begin(one("one"))
        await until(lambda: sandbox.stats()["submissions"] == 1)
        waiting = await studio.begin(one("two"))
        entry = (await studio.cancel(waiting.ids)).generations[0]
        assert (entry.state, entry.paid, entry.cost_usd) == ("cancelled", "no", 0.0)
        let_go(sandbox)
        await studio.wait(busy)
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_is_cancelled_while_queued_there_costs_nothing(
    restarted: bool, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The provider takes it off its queue: cancelled, not paid."""
    sandbox.change(latency_s=600, slots=1)
    async with open_studio() as studio:
        busy = await studio.begin(one("one"))
        await until(lambda: sandbox.stats()["streams"] == 1)
        queued = await studio.begin(one("two"))
        await until(lambda: sandbox.stats()["streams"] == 2)
        if not restarted:
            entry = (await studio.cancel(queued.ids)).generations[0]
    if restarted:
        async with open_studio() as studio:
            entry = (await studio.cancel(queued.ids)).generations[0]
            let_go(sandbox)
            await studio.wait(busy)
    assert (entry.state, entry.paid, entry.cost_usd) == ("cancelled", "no", 0.0)
    assert entry.error is not None
    assert entry.error.key == "cancelled"
    assert sandbox.stats()["cancels"] == 1


async def test_what_finishes_although_cancelled_is_kept(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """It ran already and was finished: it is paid, so it is brought home."""
    sandbox.change(latency_s=600)
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["streams"] > 0)
        cancelled = asyncio.create_task(studio.cancel(batch.ids))
        await until(lambda: sandbox.stats()["cancels"] > 0)
        let_go(sandbox)
        (entry,) = (await cancelled).generations
    assert (entry.state, entry.paid, len(entry.outputs)) == ("succeeded", "yes", 1)


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_is_cancelled_at_work_may_be_billed(
    restarted: bool, open_studio: OpenStudio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on at the provider longer than we wait: cancelled, and it says that it may be billed."""
    monkeypatch.setattr("hoasi.following.CANCEL_GRACE_S", 0.2)
    sandbox.change(latency_s=60)
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["streams"] > 0)
        if not restarted:
            entry = (await studio.cancel(batch.ids)).generations[0]
    if restarted:
        async with open_studio() as studio:
            sandbox.faults.add(fault("stream", "hang_before", times=0))
            entry = (await studio.cancel(batch.ids)).generations[0]
    assert (entry.state, entry.paid, entry.cost_usd) == ("cancelled", "unknown", None)


async def test_a_cancelled_finished_picture_can_still_be_mended(open_studio: OpenStudio, workspace: Path) -> None:
    """Cancelling what has ended changes nothing, not even later."""
    async with open_studio() as studio:
        (entry,) = (await studio.generate(one(provider="local"))).generations
        assert (await studio.cancel([entry.id])).generations[0].state == "succeeded"
        harm(entry.outputs[0])
        assert (await studio.generate(one(provider="local"))).generations[0].state == "succeeded"


@pytest.mark.usefixtures("quick")
async def test_an_address_that_failed_at_first_is_asked_for_once_more(
    open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The file may come later, at another address: the next call collects it again, and only then is it gone."""
    sandbox.faults.add(fault("download", "gone", times=4))
    async with open_studio() as studio:
        first = await studio.generate(one())
        again = await studio.generate(one())
    assert [(entry.state, entry.paid) for entry in first.generations] == [("failed", "yes")]
    assert [len(entry.outputs) for entry in again.generations] == [1]
    assert sandbox.stats()["submissions"] == 1


async def test_one_404_for_a_finished_result_is_no_loss(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """It was said to be there a moment ago: a gateway that errs once or twice does not take a paid picture away."""
    sandbox.faults.add(fault("result", "gone", times=2))
    async with open_studio() as studio:
        (made,) = (await studio.generate(one())).generations
    assert (made.state, made.paid, sandbox.stats()["submissions"]) == ("succeeded", "yes", 1)
