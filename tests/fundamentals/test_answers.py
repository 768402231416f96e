"""Promises 3 to 5: every answer says what it cost and what comes next; what cannot be done is said before paying."""

from __future__ import annotations

import math
import sqlite3
import time
import unicodedata
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from calls import OpenStudio, fault, harm, one, until
from hoasi import Ask, Studio
from hoasi.answers import Reply
from hoasi.errors import BudgetExceeded, HoasiError, KeyMissing, NotFound, NotSupported, PathRefused, WrongInput
from hoasi.ledger_rows import month_began
from hoasi.messages import explain, say
from hoasi.records import Request, Scene
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
PLAN = "jobs/job-1/source/creative_plan.toml"


def kites(count: int, **more: object) -> Ask:
    """A call for so many scenes."""
    requests = tuple(Request(prompt=f"kite {k}", scene=Scene(id=f"SC_{k:02d}")) for k in range(1, count + 1))
    return one(prompt=None, requests=requests, **more)


def check(reply: Reply) -> Reply:
    """Every entry says paid, cost, files and, where something is to be done, what."""
    for entry in reply.generations:
        assert entry.paid in {"no", "unknown", "yes"}
        assert (entry.cost_usd is None) == (entry.paid == "unknown"), entry
        assert (entry.cost_usd == 0.0) == (entry.paid == "no"), entry
        assert all(Path(path).is_absolute() and Path(path).is_file() for path in entry.outputs)
        assert bool(entry.outputs) == (entry.state in {"succeeded", "skipped_existing"})
        assert (entry.error is None) == (entry.state in {"succeeded", "skipped_existing", "running"})
        if entry.error is not None:
            assert entry.error.message.strip()
            assert entry.error.fix.strip()
            assert entry.error.paid == entry.paid
    assert reply.message.strip()
    assert bool(reply.next) == bool(reply.generations)
    return reply


async def test_a_price_that_nobody_knows_is_not_told_as_none(open_studio: OpenStudio) -> None:
    """Paid at an unknown price: alone no sum is told, beside others it is said to be missing in theirs."""
    unpriced, priced = (Request(prompt="a kite", model=model) for model in ("fal-ai/flux-lora", None))
    async with open_studio() as studio:
        alone = await studio.generate(one(prompt=None, requests=(unpriced,)))
        mixed = await studio.generate(one(prompt=None, requests=(priced, unpriced), overwrite=True))
    assert (alone.cost_usd, mixed.cost_usd) == (None, None)
    assert say("summary.cost_not_known") in alone.message
    assert say("summary.cost", cost="$0.039") in mixed.message
    assert say("summary.cost_unpriced", count=1) in mixed.message


async def test_every_ending_says_paid_cost_files_and_next(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Made, skipped, fetched again, copied, refused, blocked, unknown, not arrived, cancelled: each answer is whole."""
    async with open_studio() as studio:
        made = check(await studio.generate(one("a", seed=1)))
        assert (made.cost_usd, made.generations[0].cost_usd, made.generations[0].paid) == (0.039, 0.039, "yes")
        assert check(await studio.generate(one("a", seed=1))).cost_usd == 0.0
        harm(made.generations[0].outputs[0])
        assert check(await studio.generate(one("a", seed=1))).cost_usd == 0.0
        assert check(await studio.generate(one("a", seed=1, scene_ids=("SC_01",)))).cost_usd == 0.0
        for at, kind, value, cost in (
            ("submit", "validation", "content_policy_violation", 0.0),
            ("result", "completed_error", "content_policy_violation", 0.0),
            ("result", "completed_error", "downstream_service_error", None),
            ("submit", "lost_reply", None, None),
            ("submit", "5xx", 503, None),
            ("submit", "429", 1, 0.0),
            ("download", "truncated", None, 0.039),
        ):
            sandbox.faults.clear()
            sandbox.faults.add(fault(at, kind, value=value, times=0))
            assert check(await studio.generate(one(f"{at} {kind} {value}"))).cost_usd == cost
        sandbox.faults.clear()
        assert check(await studio.generate(one("b", provider="local"))).cost_usd == 0.0


async def test_a_handle_says_that_it_may_be_billed(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """What is still at work has no cost yet, but nobody claims that it costs nothing; it names the next call."""
    sandbox.change(latency_s=600)
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: studio.engine.phases(batch.ids)[batch.ids[0]] in {"queued", "working"})
        reply = check(await studio.wait(batch, timeout_s=0.05))
    assert reply.generations[0].state == "running"
    assert reply.generations[0].id in reply.next
    assert reply.poll_after_seconds is not None
    assert reply.cost_usd == 0.0


async def test_one_failed_scene_never_loses_the_others(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Three scenes, the second is refused: two pictures, one reason, only the two are paid."""
    sandbox.faults.add(fault("submit", "validation", value="content_policy_violation", after=1))
    async with open_studio(HOASI_FAL_CONCURRENCY="1") as studio:
        reply = check(await studio.generate(kites(3)))
        again = check(await studio.generate(kites(3)))
    assert sorted(entry.state for entry in reply.generations) == ["failed", "succeeded", "succeeded"]
    assert reply.cost_usd == 0.078
    assert sorted(entry.state for entry in again.generations) == ["skipped_existing", "skipped_existing", "succeeded"]


async def test_more_than_twenty_pictures_are_a_warning_not_a_question(open_studio: OpenStudio) -> None:
    """Above twenty the plan says so, and goes on."""
    async with open_studio() as studio:
        few, many = await studio.preview(kites(20)), await studio.preview(kites(21))
        assert [w for w in many.warnings if "21" in w]
        assert not [w for w in few.warnings if "20" in w]
        assert (many.estimate_usd, many.cost_usd) == (0.819, 0.0)
        assert len((await studio.generate(kites(21))).warnings) > 0


async def test_a_dry_run_names_what_the_real_run_makes(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """The preview's file names and prices are those of the run; it touches neither network nor disk."""
    async with open_studio() as studio:
        plan = await studio.preview(one(prompt=None, creative_plan=PLAN))
        assert not (studio.settings.workspace / ".hoasi").exists()
        assert sandbox.stats()["requests"] == []
        real = await studio.generate(one(prompt=None, creative_plan=PLAN))
    assert [e.outputs for e in plan.generations] == [e.outputs for e in real.generations]
    assert plan.estimate_usd == real.cost_usd


@pytest.mark.parametrize(
    ("limits", "key"),
    [
        ({"max_cost_usd": 0.1}, "budget_call_usd"),
        ({"max_images": 2}, "budget_call_images"),
        ({"max_cost_usd": 0}, "budget_call_usd"),
        ({"max_images": 0}, "budget_call_images"),
        ({"HOASI_MAX_COST_USD": "0.1"}, "budget_call_usd"),
        ({"HOASI_MAX_IMAGES": "2"}, "budget_call_images"),
        ({"HOASI_JOB_MAX_COST_USD": "0.1"}, "budget_job_usd"),
        ({"HOASI_JOB_MAX_IMAGES": "0"}, "budget_job_images"),
        ({"HOASI_MONTH_MAX_COST_USD": "0.1"}, "budget_month_usd"),
    ],
    ids=str,
)
async def test_a_limit_refuses_before_anything_is_sent(
    limits: dict[str, object], key: str, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """Three pictures above a limit of the call or the job: refused, nothing sent, nothing written down."""
    environ = {name: str(value) for name, value in limits.items() if name.startswith("HOASI")}
    asked = {name: value for name, value in limits.items() if not name.startswith("HOASI")}
    async with open_studio(**environ) as studio:
        with pytest.raises(BudgetExceeded) as refused:
            await studio.generate(kites(3, **asked))
        assert studio.list()[0].generations == ()
    assert refused.value.key == key
    assert sandbox.stats()["requests"] == []


async def test_limits_count_only_what_would_be_bought(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Skipped and copied pictures are free, so a limit of nothing lets them through; one more picture does not fit."""
    async with open_studio() as studio:
        await studio.generate(kites(3, seed=7, max_cost_usd=0.117, max_images=3))
        free = await studio.generate(kites(3, seed=7, max_cost_usd=0, max_images=0))
        copied = await studio.generate(one("kite 1", seed=7, scene_ids=("SC_99",), max_cost_usd=0))
        with pytest.raises(BudgetExceeded):
            await studio.generate(kites(4, seed=7, max_cost_usd=0))
        await studio.generate(kites(4, seed=7, max_cost_usd=0.04, max_images=1))
    assert (free.cost_usd, copied.cost_usd) == (0.0, 0.0)
    assert sandbox.stats()["submissions"] == 4


async def test_a_job_limit_counts_earlier_calls_and_unknowns(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """What was bought, and what may have been, is spent; what failed free is not; other jobs have their own."""
    limit = {"HOASI_JOB_MAX_COST_USD": "0.08"}
    sandbox.faults.add(fault("submit", "validation", value="content_policy_violation"), fault("submit", "lost_reply"))
    async with open_studio(**limit) as studio:
        await studio.generate(one("free"))
        unknown = (await studio.generate(one("unknown"))).generations[0]
        await studio.generate(one("bought"))
        with pytest.raises(BudgetExceeded):
            await studio.generate(one("too much"))
        with pytest.raises(BudgetExceeded):
            await studio.resolve(unknown.id, "resubmit")
        (studio.settings.workspace / "jobs" / "job-2").mkdir()
        assert (await studio.generate(one("other", job_id="job-2"))).generations[0].state == "succeeded"


async def test_a_month_s_limit_counts_every_job_of_this_month(
    open_studio: OpenStudio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All jobs together, sent since the first of the month; earlier months are over, free work fits."""
    now = time.time()  # for whoever decides: a month may end while this runs
    monkeypatch.setattr("hoasi.opening.time", SimpleNamespace(time=lambda: now))
    async with open_studio(HOASI_MONTH_MAX_COST_USD="0.08") as studio:
        for name in ("job-2", "job-3"):
            (studio.settings.workspace / "jobs" / name).mkdir()
        old = (await studio.generate(one("a"))).generations[0]
        await studio.generate(one("b", job_id="job-2"))
        with pytest.raises(BudgetExceeded) as refused:
            await studio.generate(one("c", job_id="job-3"))
        assert (await studio.generate(one("d", provider="local"))).generations[0].state == "succeeded"
        with closing(sqlite3.connect(studio.settings.home / "ledger.db")) as db, db:
            db.execute("UPDATE generation SET submitted_at = submitted_at - 31 * 86400 WHERE id = ?", (old.id,))
        assert (await studio.generate(one("c", job_id="job-3"))).generations[0].state == "succeeded"
    assert refused.value.key == "budget_month_usd"
    assert sandbox.stats()["submissions"] == 3


async def test_make_believe_dollars_do_not_count_against_real_ones(
    open_studio: OpenStudio, workspace: Path, fal: str
) -> None:
    """A rehearsal in the sandbox takes nothing away from the limits of job and month."""
    limits = {"HOASI_MONTH_MAX_COST_USD": "0.05", "HOASI_JOB_MAX_COST_USD": "0.05", "HOASI_JOB_MAX_IMAGES": "1"}
    async with Studio(workspace, environ={"HOASI_SANDBOX": fal, **limits}) as studio:
        await studio.generate(one("a"))
        with pytest.raises(BudgetExceeded):
            await studio.generate(one("b"))
    async with open_studio(**limits) as studio:
        assert (await studio.generate(one("a"))).generations[0].state == "succeeded"


@pytest.mark.parametrize(
    ("at", "began"),
    [("2026-11-30T23:59:59", "2026-11-01"), ("2026-12-01T00:00:00", "2026-12-01"), ("2027-01-31T12:00", "2027-01-01")],
)
def test_months_begin_in_utc(at: str, began: str) -> None:
    """The same moment for every machine, wherever it stands."""
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (at, began)]
    assert month_began(moments[0]) == moments[1]


@pytest.mark.parametrize("limit", [-0.01, math.nan])
async def test_a_limit_that_makes_no_sense_is_refused(limit: float, open_studio: OpenStudio) -> None:
    """A negative limit, or none that can be compared, must not become "no limit"."""
    async with open_studio() as studio:
        with pytest.raises(WrongInput):
            await studio.generate(one(max_cost_usd=limit))


async def test_zero_is_a_seed(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Seed 0 is sent as 0 and differs from no seed."""
    async with open_studio() as studio:
        zero = await studio.generate(one(seed=0))
        none = await studio.generate(one())
    (_, first), (_, second) = sandbox.counters.inputs
    assert '"seed": 0' in first
    assert f'"seed": {none.generations[0].seed}' in second
    assert zero.generations[0].seed == 0 != none.generations[0].seed


@pytest.mark.parametrize(
    ("ask", "kind", "names"),
    [
        (one(""), WrongInput, "--prompt"),
        (one(model="fal-ai/nano-bananna"), NotFound, "fal-ai/nano-banana"),
        (one(provider="fall"), NotFound, "fal"),
        (one(aspect_ratio="7:5"), NotSupported, "7:5"),
        (one(aspect_ratio="tall"), WrongInput, "tall"),
        (one(resolution="4K"), NotSupported, "resolution"),
        (one(output_format="gif"), NotSupported, "gif"),
        (one(negative_prompt="fog"), NotSupported, "negative_prompt"),
        (one(num_images=0), WrongInput, "0"),
        (one(seed=-2), WrongInput, "-2"),
        (one(job_id="Job-1"), PathRefused, "job-1"),
        (one(job_id="../job-1"), PathRefused, "job"),
        (one(job_id="job-2"), NotFound, "job-1"),
        (one(output_dir="/tmp"), PathRefused, "--output-dir"),
        (one(prompt=None, creative_plan="missing.toml"), WrongInput, "missing.toml"),
        (one(prompt=None, creative_plan=PLAN, scene_ids=("SC_09",)), WrongInput, "SC_09"),
        (one(creative_plan=PLAN), WrongInput, "--prompt"),
        (one(references=("none.png",)), WrongInput, "none.png"),
        (one("\udcff"), WrongInput, "udcff"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value.replace("/", "-"),
)
async def test_what_cannot_be_done_is_said_before_money_moves(
    ask: Ask, kind: type[HoasiError], names: str, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """A wrong call is refused in Vietnamese with diacritics, naming the field and a way out; nothing is sent."""
    async with open_studio() as studio:
        with pytest.raises(kind) as refused:
            await studio.generate(ask)
        view = explain(refused.value.problem())
    assert names in view.message + view.fix
    for text in (view.message, view.fix):
        assert any(unicodedata.combining(char) for char in unicodedata.normalize("NFD", text)), text
    assert sandbox.stats()["requests"] == []


async def test_no_key_is_said_with_its_name_and_its_page(workspace: Path) -> None:
    """Without a key nothing starts, and local is never taken silently."""
    async with Studio(workspace, environ={}) as studio:
        with pytest.raises(KeyMissing) as refused:
            await studio.generate(one())
        view = explain(refused.value.problem())
    assert "FAL_API_KEY" in view.fix
    assert "--provider local" in view.fix
    assert not (workspace / ".hoasi").exists()
