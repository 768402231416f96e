"""A dry run says what would be made, what it would cost, and what still stands in its way; it does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from calls import OpenStudio, fal_environ, person
from hoasi import Ask, Studio
from hoasi.errors import HoasiError, KeyMissing
from hoasi.messages import explain, say
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio

ASK = Ask(prompt="a quiet balcony", job_id="job-1")


def lying_in(folder: Path) -> list[Path]:
    """Every file and folder below."""
    return sorted(folder.rglob("*"))


async def refused(studio: Studio, ask: Ask) -> str:
    """The words with which the real call is refused."""
    with pytest.raises(HoasiError) as error:
        await studio.begin(ask)
    return explain(error.value.problem()).message


@pytest.mark.parametrize("limit", ["call", "job", "month"])
async def test_a_limit_that_forbids_the_run_is_told_with_the_plan(
    limit: str, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """In the very words of the refusal; the plan and its price are told all the same."""
    environ = {"job": {"HOASI_JOB_MAX_COST_USD": "0.05"}, "month": {"HOASI_MONTH_MAX_COST_USD": "0.05"}}.get(limit, {})
    ask = ASK.model_copy(update={"max_cost_usd": 0.01}) if limit == "call" else ASK
    async with open_studio(**environ) as studio:
        if limit != "call":
            assert (await studio.preview(ask)).next == say("next.run")
            await studio.generate(ask)
        more = ask.model_copy(update={"prompt": "a loud street"})
        told = await studio.preview(more)
        assert told.warnings[-1] == say("warning.refused", why=await refused(studio, more))
    assert (told.estimate_usd, told.generations[0].state) == (0.039, "planned")
    assert told.next != say("next.run")
    assert sandbox.stats()["submissions"] == (0 if limit == "call" else 1)


async def test_what_is_there_already_needs_no_money(open_studio: OpenStudio) -> None:
    """A limit counts what would be bought, in a preview as in a run."""
    async with open_studio() as studio:
        await studio.generate(ASK)
        told = await studio.preview(ASK.model_copy(update={"max_cost_usd": 0.0}))
    assert told.next == say("next.run")


async def test_a_missing_permission_is_told_with_the_plan(open_studio: OpenStudio, workspace: Path) -> None:
    """So that the user is asked for it and for the price at once; whoever gives it is told nothing of it."""
    person(workspace / "lan.png")
    ask = ASK.model_copy(update={"references": ("lan.png",)})
    async with open_studio() as studio:
        told = await studio.preview(ask)
        assert told.warnings[-1] == say("warning.refused", why=await refused(studio, ask))
        assert "hoasi consent add" in told.next
        assert (await studio.preview(ask.model_copy(update={"consent": "Lan agrees"}))).next == say("next.run")
        at_home = ask.model_copy(update={"provider": "local", "references": ()})
        assert (await studio.preview(at_home)).next == say("next.run")
    assert not (workspace / "jobs/job-1/source/consent.toml").exists()


async def test_what_was_not_fetched_is_not_judged(open_studio: OpenStudio) -> None:
    """A preview asks nobody: of a picture elsewhere it does not know whether it shows a face."""
    ask = ASK.model_copy(update={"references": ("https://example.com/lan.png",)})
    async with open_studio() as studio:
        assert (await studio.preview(ask)).next == say("next.run")


async def test_a_missing_key_is_told_and_nothing_is_made_on_disk(workspace: Path, fal: str) -> None:
    """A preview in a new workspace leaves it as it was."""
    before = lying_in(workspace)
    keys = {name: value for name, value in fal_environ(fal).items() if "KEY" not in name}
    async with Studio(workspace, environ=keys) as studio:
        told = await studio.preview(ASK)
        with pytest.raises(KeyMissing) as caught:
            await studio.begin(ASK)
        missing = caught.value
        assert told.warnings[-1] == say("warning.refused", why=explain(missing.problem()).message)
        assert lying_in(workspace) == before
