"""`auto`: keys, capability, price; somebody else only if nothing was sent; and never a second purchase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calls import fal_environ, fault, person
from fundamentals.test_clips import asked, states
from hoasi import Studio
from hoasi.choosing import _ways
from hoasi.errors import KeyMissing, NotSupported
from hoasi.given import Given
from hoasi.messages import speak
from hoasi.records import Request, Scene
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:1"
KLING, FAL = "kling/images/omni-image", "fal-ai/nano-banana-pro/edit"


@pytest.fixture
def sandbox() -> Sandbox:
    """Pictures of a real size."""
    return Sandbox(latency_s=0.05, pictures="storyboard")


@pytest.fixture
def swap(workspace: Path) -> Request:
    """A face swap that anybody may make."""
    person(workspace / "a.png")
    person(workspace / "b.png", "blue")
    inputs = (Given(role="source", written="a.png"), Given(role="face", written="b.png"))
    return Request(operation="swap_face", prompt="swap", inputs=inputs, scene=Scene(id="SC_01"))


def both(fal: str, **more: str) -> dict[str, str]:
    """Both keys are set."""
    return fal_environ(fal, KLING_API_KEY="kling-5f3c9a-key", HOASI_KLING_URL=f"{fal}/kling", **more)


async def made(workspace: Path, environ: dict[str, str], request: Request, **more: Any) -> Any:
    """One call of a process that was told this."""
    async with Studio(workspace, environ=environ) as studio:
        return await studio.generate(asked(request, consent="Tôi đồng ý.", **more))


async def test_the_cheapest_who_can_makes_it_and_it_is_said(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request
) -> None:
    """Kling's picture costs less than fal's; the reply names both prices."""
    reply = await made(workspace, both(fal), swap)
    assert (states(reply), reply.generations[0].provider) == (["succeeded"], "kling")
    assert any("kling $0.028" in note and "fal $0.15" in note for note in reply.warnings)
    assert sandbox.stats()["models"] == {KLING: 1}


async def test_without_any_key_nothing_is_chosen(workspace: Path, fal: str, sandbox: Sandbox, swap: Request) -> None:
    """Not even the free sketch: it has to be named."""
    with pytest.raises(KeyMissing) as refused:
        await made(workspace, {}, swap)
    assert refused.value.key == "auto_no_key"


async def test_a_machine_of_ones_own_has_to_be_named(workspace: Path) -> None:
    """A key of RunPod, and where to: `auto` still knows of nobody."""
    own = {"RUNPOD_API_KEY": "rpa_5f3c9a7d1e2b", "RUNPOD_SERVER_100_ID": "abc123def456gh"}
    async with Studio(workspace, environ=own) as studio:
        with pytest.raises(KeyMissing) as refused:
            await studio.preview(asked(Request(prompt="a red coat", provider="auto")))
        named = await studio.preview(asked(Request(prompt="a red coat", provider="runpod")))
    assert (refused.value.key, states(named)) == ("auto_no_key", ["planned"])


async def test_somebody_else_makes_it_when_nothing_could_be_sent(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request, quick: object
) -> None:
    """No connection to the one that was chosen: proven unsent, so the next one makes it, once."""
    reply = await made(workspace, {**both(fal), "HOASI_KLING_URL": NOWHERE}, swap)
    entry = reply.generations[0]
    assert (entry.state, entry.provider, entry.cost_usd) == ("succeeded", "fal", 0.15)
    assert sandbox.stats()["models"] == {FAL: 1}


async def test_pictures_are_divided_alike_whoever_has_a_key(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """fal makes four at once, Stability one: two that fal made are not bought again when only Stability has a key."""
    two = Request(prompt="a red coat", num_images=2, provider="auto")
    first = await made(workspace, fal_environ(fal), two)
    then = await made(workspace, {"STABILITY_API_KEY": "sk-5f3c9a7d1e2b", "HOASI_STABILITY_URL": fal}, two)
    assert states(first) == ["succeeded"] * 2
    assert states(then) == ["skipped_existing"] * 2
    assert {entry.provider for entry in (*first.generations, *then.generations)} == {"fal"}
    assert sandbox.stats()["submissions"] == 2


async def test_a_lost_reply_stays_where_it_is(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been accepted: Kling is asked for it, and nobody else makes it."""
    sandbox.faults.add(fault("submit", "lost_reply", model=KLING))
    reply = await made(workspace, both(fal), swap)
    assert (states(reply), reply.generations[0].provider) == (["succeeded"], "kling")
    assert sandbox.stats()["models"] == {KLING: 1}


async def test_a_refusal_is_no_reason_to_go_elsewhere(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request
) -> None:
    """Refused content is refused: it is not carried from door to door."""
    sandbox.faults.add(fault("submit", "error_type", value="1301", model=KLING))
    reply = await made(workspace, both(fal), swap)
    assert (states(reply), reply.generations[0].paid) == (["failed"], "no")
    assert sandbox.stats()["models"] == {}


async def test_yesterdays_choice_is_not_bought_again_today(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request
) -> None:
    """A new key makes another provider the cheapest; what was made is found all the same."""
    first = await made(workspace, fal_environ(fal), swap)
    again = await made(workspace, both(fal), swap)
    assert (states(first), states(again)) == (["succeeded"], ["skipped_existing"])
    assert sandbox.stats()["models"] == {FAL: 1}


async def test_what_moved_is_found_again(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request, quick: object
) -> None:
    """Made by the second choice: the same call tomorrow, with the first one back, buys nothing."""
    await made(workspace, {**both(fal), "HOASI_KLING_URL": NOWHERE}, swap)
    again = await made(workspace, both(fal), swap)
    assert states(again) == ["skipped_existing"]
    assert sandbox.stats()["models"] == {FAL: 1}


async def test_what_moved_and_failed_there_is_asked_for_again(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request, quick: object
) -> None:
    """Made by nobody yet: the same call goes the same way once more, and so does a call of the first one by name."""
    environ = {**both(fal), "HOASI_KLING_URL": NOWHERE}
    sandbox.faults.add(fault("submit", "validation", model=FAL))
    failed = await made(workspace, environ, swap)
    alone = await made(workspace, environ, swap.model_copy(update={"provider": "kling"}))
    again = await made(workspace, environ, swap)
    entries = [reply.generations[0] for reply in (failed, alone, again)]
    told = [(entry.provider, entry.state, entry.paid) for entry in entries]
    assert told == [("fal", "failed", "no"), ("kling", "failed", "no"), ("fal", "succeeded", "yes")]
    assert sandbox.stats()["models"] == {FAL: 1}


async def test_what_moved_can_be_made_anew(
    workspace: Path, fal: str, sandbox: Sandbox, swap: Request, quick: object
) -> None:
    """`overwrite` buys again: by whom it was made, while the first one still cannot be reached."""
    environ = {**both(fal), "HOASI_KLING_URL": NOWHERE}
    replies = [await made(workspace, environ, swap, overwrite=again) for again in (False, True, True)]
    assert [(reply.generations[0].provider, states(reply)) for reply in replies] == [("fal", ["succeeded"])] * 3
    assert len({reply.generations[0].id for reply in replies}) == len(replies)
    assert sandbox.stats()["models"] == {FAL: 3}


def test_why_others_cannot_is_said_once_each_in_one_sentence() -> None:
    """The note about a choice is one sentence, however many are left out for the same reason."""
    speak("vi")
    mask, clip = (NotSupported("role_not_supported", model="m", role=role) for role in ("mặt nạ", "video"))
    assert _ways((), [mask, clip, mask]) == (
        "không dùng được (Model m không nhận mặt nạ); không dùng được (Model m không nhận video)."
    )
    assert _ways((), []) == ""
