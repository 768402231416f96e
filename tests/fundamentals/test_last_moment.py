"""What a second look at the promises found: passing errors, other addresses, revoked permissions, half a result."""

from __future__ import annotations

from pathlib import Path

import pytest

from calls import OpenStudio, content, fal_environ, fault, one, person, until
from hoasi import Studio, consent
from hoasi.errors import BudgetExceeded, PathRefused
from hoasi.sandbox import Sandbox, serving

pytestmark = pytest.mark.anyio
BUSY = [("concurrent_requests_limit", None), ("error_type", "runner_connection_error"), ("429", 0)]


def move(old: str, new: str) -> None:
    """What people do with files."""
    Path(old).rename(new)


@pytest.fixture
def face(workspace: Path) -> str:
    """A reference picture in the workspace."""
    person(workspace / "face.png")
    return "face.png"


@pytest.mark.parametrize(("kind", "value"), BUSY)
async def test_a_busy_answer_for_a_finished_result_is_not_its_end(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object, kind: str, value: object
) -> None:
    """The result is paid; one look at it that meets a busy runner is followed by another look, not by a purchase."""
    sandbox.faults.add(fault("result", kind, value=value))
    async with open_studio() as studio:
        assert (await studio.generate(one())).generations[0].state == "succeeded"
    assert sandbox.stats()["posts_received"] == 1


async def test_a_receipt_is_shown_only_where_it_was_given(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """A process that talks to another address, or to the sandbox, leaves the receipt for one that is told the same."""
    sandbox.change(latency_s=30)
    async with open_studio() as studio:
        (name,) = (await studio.begin(one())).ids
        await until(lambda: studio.generations([name])[0].handle is not None)
        receipt = studio.generations([name])[0].handle or {}
    other = Sandbox(pictures="tiny")
    async with serving(other) as elsewhere:
        for environ in (fal_environ(elsewhere), {"HOASI_SANDBOX": elsewhere}):
            async with Studio(workspace, environ=environ) as studio:
                entry = (await studio.resume([name])).generations[0]
                assert (entry.state, entry.error and entry.error.key) == ("running", "elsewhere")
    assert other.stats()["requests"] == []
    submission = sandbox.line.get(receipt["request_id"])
    assert submission is not None
    sandbox.line.end(submission)
    async with open_studio() as studio:
        assert (await studio.resume()).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


async def test_what_was_asked_of_the_real_one_is_never_made_by_the_sandbox(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Queued work of the real provider waits; make-believe does not pass for it."""
    sandbox.faults.add(fault("submit", "429", value=60, times=0))
    async with open_studio() as studio:
        batch = await studio.begin(one())
        await until(lambda: studio.generations(batch.ids)[0].tries == 1)
    async with Studio(workspace, environ={"HOASI_SANDBOX": "http://127.0.0.1:9"}) as studio:
        entry = (await studio.resume(batch.ids)).generations[0]
    assert (entry.state, entry.error and entry.error.key) == ("queued", "elsewhere")


async def test_a_permission_that_is_revoked_meanwhile_holds_the_picture_back(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, face: str
) -> None:
    """Asked with consent, revoked before it was sent: nothing leaves, nothing is bought."""
    sandbox.faults.add(fault("token", "hang_before", times=0))
    async with open_studio() as studio:
        (name,) = (await studio.begin(one(references=(face,), consent="I agree."))).ids
        file = consent.file_of(studio.settings, "job-1")
        sha = studio.generations([name])[0].planned.inputs[0].sha256
    place = {"lock_path": workspace / ".hoasi" / "lock", "temp_name": ".hoasi-0-x.tmp"}
    assert consent.revoke(file, sha, at="2026-11-21T08:00:00+00:00", **place)
    sandbox.faults.clear()
    async with open_studio() as studio:
        entry = (await studio.resume([name])).generations[0]
    assert (entry.state, entry.paid, entry.error and entry.error.key) == ("failed", "no", "consent_revoked")
    assert (sandbox.stats()["uploads"], sandbox.stats()["submissions"]) == (0, 0)


async def test_uploads_of_another_address_are_not_used(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, face: str
) -> None:
    """What was uploaded to one address is uploaded anew to the next."""
    async with open_studio() as studio:
        await studio.generate(one("a", references=(face,), consent="I agree."))
    other = Sandbox(latency_s=0.05, pictures="tiny")
    async with serving(other) as elsewhere, Studio(workspace, environ=fal_environ(elsewhere)) as studio:
        assert (await studio.generate(one("b", references=(face,)))).generations[0].state == "succeeded"
    assert (sandbox.stats()["uploads"], other.stats()["uploads"]) == (1, 1)


async def test_one_bad_picture_of_several_keeps_the_others(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Two are paid, one does not arrive: the other is named at once, and only the missing one is fetched later."""
    sandbox.faults.add(fault("download", "not_a_picture", times=0, after=1))
    async with open_studio() as studio:
        entry = (await studio.generate(one(num_images=2))).generations[0]
        assert (entry.state, len(entry.outputs)) == ("failed", 1)
        kept, asked = content(entry.outputs[0]), sandbox.stats()["downloads"]
        sandbox.faults.clear()
        again = (await studio.generate(one(num_images=2))).generations[0]
    assert (again.state, len(again.outputs), content(again.outputs[0])) == ("succeeded", 2, kept)
    assert (sandbox.stats()["downloads"] - asked, sandbox.stats()["submissions"]) == (1, 1)


async def test_a_picture_that_is_back_needs_nobody(open_studio: OpenStudio, sandbox: Sandbox, quick: object) -> None:
    """Moved away while the provider had forgotten it, then moved back: it is there, and nothing is to be bought."""
    async with open_studio() as studio:
        (path,) = (await studio.generate(one())).generations[0].outputs
        move(path, f"{path}.aside")
        sandbox.change(forget_after_s=0)
        lost = (await studio.generate(one())).generations[0]
        assert (lost.state, lost.outputs) == ("expired", ())
        move(f"{path}.aside", path)
        assert (await studio.generate(one())).generations[0].state == "skipped_existing"
        assert studio.show([lost.id]).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


async def test_resubmit_is_not_a_word_for_what_is_paid(
    open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """A paid picture that did not arrive is fetched again, also under `resubmit`."""
    sandbox.faults.add(fault("download", "truncated", times=0))
    async with open_studio() as studio:
        assert (await studio.generate(one())).generations[0].paid == "yes"
        sandbox.faults.clear()
        assert (await studio.generate(one(resubmit=True))).generations[0].state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize("name", [".env", "jobs/job-1/source/creative_plan.toml", "notes.txt"])
async def test_a_log_is_never_written_over_something_else(workspace: Path, name: str) -> None:
    """`report_toml` names a new .toml or a log of ours; keys and plans stay as they are."""
    (workspace / name).parent.mkdir(parents=True, exist_ok=True)
    if not (workspace / name).exists():
        (workspace / name).write_text("FAL_KEY=x\n", encoding="utf-8")
    before = content(workspace / name)
    async with Studio(workspace, environ={}) as studio:
        with pytest.raises(PathRefused, match="report_not_log"):
            await studio.generate(one(provider="local", report_toml=name))
        with pytest.raises(PathRefused, match="folder_hidden"):
            await studio.generate(one(provider="local", output_dir=".hoasi"))
    assert content(workspace / name) == before


async def test_a_call_above_its_budget_leaves_nothing(open_studio: OpenStudio, workspace: Path, face: str) -> None:
    """Refused for money: no permission is written down, no folder is made."""
    async with open_studio() as studio:
        with pytest.raises(BudgetExceeded):
            await studio.generate(one(references=(face,), consent="I agree.", max_cost_usd=0))
    assert not (workspace / "jobs" / "job-1" / "source" / "consent.toml").exists()
    assert not (workspace / "jobs" / "job-1" / "input").exists()
