"""Promise 1: nothing is paid twice."""

from __future__ import annotations

import asyncio
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from calls import OpenStudio, content, fal_environ, fault, let_go, one, pictures, ports, until
from hoasi import Studio
from hoasi.records import Request
from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.sandbox.gate import CONNECTION, HungUp

pytestmark = pytest.mark.anyio


async def test_a_rerun_skips_what_is_there(open_studio: OpenStudio, sandbox: Sandbox, workspace: Path) -> None:
    """The same plan again buys nothing, asks the provider nothing, and says the old picture is there."""
    ask = one(prompt=None, creative_plan="jobs/job-1/source/creative_plan.toml")
    async with open_studio() as studio:
        first = await studio.generate(ask)
        asked = sandbox.stats()["requests"]
        again = await studio.generate(ask)
    assert [entry.state for entry in again.generations] == ["skipped_existing", "skipped_existing"]
    assert [entry.outputs for entry in again.generations] == [entry.outputs for entry in first.generations]
    assert (again.cost_usd, {entry.paid for entry in again.generations}) == (0.0, {"no"})
    assert sandbox.stats()["requests"] == asked
    assert len(pictures(workspace)) == 2


async def test_a_rerun_after_a_restart_skips_too(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """What was bought is known to the next process."""
    async with open_studio() as studio:
        await studio.generate(one())
    async with open_studio() as studio:
        again = await studio.generate(one())
    assert again.generations[0].state == "skipped_existing"
    assert sandbox.stats()["posts_received"] == 1


async def test_processes_that_ask_at_once_buy_once(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Five windows on one workspace ask for the same picture at the same moment: one pays, all get it."""
    async with (
        open_studio() as a,
        open_studio() as b,
        open_studio() as c,
        open_studio() as d,
        open_studio() as e,
    ):
        replies = await asyncio.gather(*(studio.generate(one()) for studio in (a, b, c, d, e)))
    assert {reply.generations[0].state for reply in replies} <= {"succeeded", "skipped_existing"}
    assert len({reply.generations[0].outputs for reply in replies}) == 1
    assert sandbox.stats()["submissions"] == 1


async def test_a_repeated_call_attaches_to_the_running_one(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """A client that timed out and calls again meets its own generation."""
    sandbox.change(latency_s=600)
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: sandbox.stats()["submissions"] == 1)
        first = await studio.wait(batch, timeout_s=0)
        assert first.generations[0].state in {"submitting", "running"}
        repeated = await studio.begin(one())
        let_go(sandbox)
        again = await studio.wait(repeated)
    assert (again.generations[0].id, again.generations[0].state) == (first.generations[0].id, "succeeded")
    assert sandbox.stats()["submissions"] == 1


async def test_a_call_that_is_given_up_goes_on_without_its_caller(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """A cancelled call does not stop its work, whenever it was cancelled; the next call finds it."""
    async with open_studio() as studio:
        for turns in range(6):
            call = asyncio.create_task(studio.generate(one(f"balcony {turns}")))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        replies = [await studio.generate(one(f"balcony {turns}")) for turns in range(6)]
    assert {reply.generations[0].state for reply in replies} <= {"succeeded", "skipped_existing"}
    assert sandbox.stats()["submissions"] == 6


async def test_overwrite_buys_again_exactly_once(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """`overwrite` buys a new picture; a repeated `overwrite` attaches while that is under way."""
    async with open_studio() as studio:
        old = await studio.generate(one())
        sandbox.change(latency_s=600)
        await studio.begin(one(overwrite=True))
        repeated = await studio.begin(one(overwrite=True))
        await until(lambda: sandbox.stats()["submissions"] == 2)
        let_go(sandbox)
        new = await studio.wait(repeated)
        assert sandbox.stats()["submissions"] == 2
        assert new.generations[0].id != old.generations[0].id
        again = await studio.generate(one())
    assert (again.generations[0].id, again.generations[0].state) == (new.generations[0].id, "skipped_existing")


async def test_a_lost_reply_is_unknown_and_never_sent_again(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Accepted, but the reply was lost: it may have been billed, it says so, and no rerun or restart buys it again."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
        assert (entry.state, entry.paid, entry.cost_usd) == ("unknown", "unknown", None)
        assert entry.error is not None
        assert entry.error.kind == "PaymentUnknown"
        assert (await studio.generate(one(overwrite=True))).generations[0].state == "unknown"
    async with open_studio() as studio:
        assert (await studio.resume()).generations == ()
        again = await studio.generate(one())
    assert (again.generations[0].id, again.generations[0].state) == (entry.id, "unknown")
    assert entry.id in again.next
    assert sandbox.stats()["posts_received"] == 1


async def test_resubmit_buys_an_unknown_once(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """`resubmit` is the caller's word that it may be bought again; said twice, it is bought once more, not twice."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio() as studio:
        await studio.generate(one())
        sandbox.change(latency_s=600)
        await studio.begin(one(resubmit=True))
        repeated = await studio.begin(one(resubmit=True))
        await until(lambda: sandbox.stats()["submissions"] == 2)
        let_go(sandbox)
        reply = await studio.wait(repeated)
        assert reply.generations[0].state == "succeeded"
        assert (await studio.generate(one())).generations[0].state == "skipped_existing"
    assert sandbox.stats()["submissions"] == 2


@pytest.mark.parametrize("kind", ["hang", "hang_before", "reset", "garbage", "truncated", "wrong_type", "empty"])
async def test_an_unclear_answer_is_one_post_and_unknown(
    kind: str, open_studio: OpenStudio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence, a reset, half an answer, an answer without a receipt: one POST, then `unknown` (fal's SDK sends ten)."""
    monkeypatch.setattr("hoasi.street.READ_S", 0.25)
    sandbox.faults.add(fault("submit", kind, times=0))
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
    assert (entry.state, entry.paid) == ("unknown", "unknown")
    assert sandbox.stats()["posts_received"] == 1


@pytest.mark.parametrize(
    "refusal",
    [
        fault("submit", "429", value=7),
        fault("submit", "concurrent_requests_limit"),
        fault("submit", "error_type", value="runner_scheduling_failure"),
        fault("submit", "error_type", value="runner_connection_refused"),
    ],
    ids=lambda f: f"{f.kind}-{f.value}",
)
async def test_what_was_surely_not_accepted_is_sent_again(
    refusal: Fault, open_studio: OpenStudio, sandbox: Sandbox, quick: list[tuple[int, float | None]]
) -> None:
    """A rate limit and the listed refusals are repeated after the pause the provider asks for."""
    sandbox.faults.add(refusal)
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
    assert entry.state == "succeeded"
    assert (sandbox.stats()["posts_received"], sandbox.stats()["submissions"]) == (2, 1)
    assert quick == [(1, 7.0 if refusal.kind == "429" else None)]


@pytest.mark.parametrize(("kind", "value"), [("429", 1), ("concurrent_requests_limit", None)])
async def test_a_refusal_without_end_is_a_free_failure(
    kind: str, value: int | None, open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """After four refusals the generation has failed, unpaid; a rerun tries again."""
    sandbox.faults.add(fault("submit", kind, value=value, times=4))
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
        assert (entry.state, entry.paid, entry.cost_usd) == ("failed", "no", 0.0)
        assert sandbox.stats()["posts_received"] == 4
        assert (await studio.generate(one())).generations[0].state == "succeeded"


@pytest.mark.parametrize(
    "trouble",
    [
        fault("submit", "5xx", value=500, times=0),
        fault("submit", "5xx", value=502, times=0),
        fault("submit", "5xx", value=503, times=0),
        fault("submit", "error_type", value="request_timeout", times=0),
        fault("submit", "error_type", value="runner_connection_timeout", times=0),
        fault("submit", "error_type", value="runner_disconnected", times=0),
        fault("submit", "error_type", value="internal_error", times=0),
        fault("submit", "redirect", value="/fal-ai/flux/dev", times=0),
    ],
    ids=lambda f: f"{f.kind}-{f.value}",
)
async def test_any_other_trouble_is_never_sent_again(
    trouble: Fault, open_studio: OpenStudio, sandbox: Sandbox, quick: list[object]
) -> None:
    """Another 5xx, or a redirect, does not say whether it was accepted: one POST, `unknown`."""
    sandbox.faults.add(trouble)
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
    assert (entry.state, sandbox.stats()["posts_received"], quick) == ("unknown", 1, [])


async def test_a_refused_connection_is_repeated(workspace: Path, sandbox: Sandbox) -> None:
    """Nobody listens: surely not sent, so it is tried again until somebody does."""
    with ports() as (port,):
        async with Studio(workspace, environ=fal_environ(f"http://127.0.0.1:{port}")) as studio:
            batch = await studio.begin(one())
            row = partial(studio.generations, batch.ids)
            await until(lambda: row()[0].tries > 1 or (row()[0].tries, row()[0].state) == (1, "queued"))
            async with serving(sandbox, port=port):
                reply = await studio.wait(batch)
    assert reply.generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


class Forgetful(Sandbox):
    """A server that drops a connection as soon as a second POST comes over it, as an idle one times out just then."""

    def app(self) -> ASGIApp:  # type: ignore[override]
        answer, used = super().app(), set[object]()

        async def forgetful(scope: Scope, receive: Receive, send: Send) -> None:
            is_second = scope["method"] == "POST" and scope[CONNECTION] in used
            used.add(scope[CONNECTION])
            await (HungUp() if is_second else answer)(scope, receive, send)

        return forgetful


async def test_a_stale_connection_cannot_fake_a_lost_reply(workspace: Path) -> None:
    """The server hangs up on used connections: a paid request goes over a fresh one and is not lost."""
    forgetful = Forgetful(latency_s=0.05, pictures="tiny")
    async with serving(forgetful) as url, Studio(workspace, environ=fal_environ(url)) as studio:
        states = [(await studio.generate(one(f"kite {k}"))).generations[0].state for k in range(3)]
    assert states == ["succeeded"] * 3


async def test_an_equal_request_elsewhere_is_copied_free(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """The same prompt with the same explicit seed for another scene or job is the same picture: copied, not bought."""
    shutil.copytree(workspace / "jobs" / "job-1", workspace / "jobs" / "job-2")
    async with open_studio() as studio:
        first = await studio.generate(one(seed=7, scene_ids=("SC_01",)))
        scene = await studio.generate(one(seed=7, scene_ids=("SC_02",)))
        other = await studio.generate(one(seed=7, job_id="job-2"))
        again = await studio.generate(one(seed=7, job_id="job-2"))
    entries = [reply.generations[0] for reply in (scene, other)]
    assert [(e.state, e.paid, e.cost_usd) for e in entries] == [("succeeded", "no", 0.0)] * 2
    made = content(first.generations[0].outputs[0])
    assert [content(e.outputs[0]) == made for e in entries] == [True, True]
    assert len({e.outputs for e in (*entries, first.generations[0])}) == 3
    assert again.generations[0].state == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1


async def test_two_equal_prompts_in_one_batch_are_bought_once(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Two scenes with the same words and the same explicit seed cost one picture; each gets its file."""
    twins = tuple(Request(prompt="a kite", scene={"id": name}, seed=5) for name in ("SC_01", "SC_02"))
    async with open_studio() as studio:
        reply = await studio.generate(one(prompt=None, requests=twins))
    assert [entry.state for entry in reply.generations] == ["succeeded", "succeeded"]
    assert sorted(entry.paid for entry in reply.generations) == ["no", "yes"]
    assert sandbox.stats()["submissions"] == 1
    assert [re.sub("_.{8}[.]png", "", path.name) for path in pictures(workspace)] == ["sc_01_1", "sc_02_1"]


async def test_a_failure_that_may_have_been_billed_is_not_bought_again(
    open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The provider worked on it and failed: it may be billed, so only the caller's word buys it again."""
    sandbox.faults.add(fault("result", "completed_error", value="downstream_service_error"))
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
        assert (entry.state, entry.paid, entry.cost_usd) == ("failed", "unknown", None)
        assert (await studio.generate(one())).generations[0].id == entry.id
        assert (await studio.resume()).generations == ()
        assert sandbox.stats()["submissions"] == 1
        assert (await studio.generate(one(resubmit=True))).generations[0].state == "succeeded"


@pytest.mark.parametrize(
    "failure",
    [
        fault("submit", "validation", value="content_policy_violation"),
        fault("result", "completed_error", value="content_policy_violation"),
        fault("result", "completed_error", value="internal_server_error"),
    ],
    ids=lambda f: f"{f.at}-{f.value}",
)
async def test_a_failure_that_cost_nothing_is_tried_again_by_a_rerun(
    failure: Fault, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """Refused at the door, or failed there unbilled: a rerun simply buys it."""
    sandbox.faults.add(failure)
    async with open_studio() as studio:
        entry = (await studio.generate(one())).generations[0]
        assert (entry.state, entry.paid, entry.cost_usd) == ("failed", "no", 0.0)
        assert (await studio.generate(one())).generations[0].state == "succeeded"
