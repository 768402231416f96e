"""Whoever takes a request over keeps what was promised for it: its limits, its permissions, and one purchase."""

from __future__ import annotations

import wave
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from calls import OpenStudio, fal_environ, fault, let_go, one, person, until
from fundamentals.test_clips import asked
from hoasi import Studio, artifacts, consent, flow, pace
from hoasi.answers import Reply
from hoasi.errors import ProviderUnreachable
from hoasi.given import Given
from hoasi.ledger import Ledger
from hoasi.line import Line
from hoasi.providers import provider
from hoasi.records import Request, Scene
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:1"
KEY = "kling-5f3c9a-key"
FAL_SWAP = "fal-ai/nano-banana-pro/edit"
PERMISSIONS = "jobs/job-1/source/consent.toml"


@pytest.fixture
def sandbox() -> Sandbox:
    """Pictures of a real size."""
    return Sandbox(latency_s=0.05, pictures="storyboard")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip takes a minute at Kling, and nobody would look before; here it is there at once."""
    monkeypatch.setattr(pace.Schedule, "wait_s", lambda *_: 0.05)


@pytest.fixture
def faces(workspace: Path) -> None:
    """Two pictures of a person."""
    person(workspace / "a.png")
    person(workspace / "b.png", "blue")


def kling(fal: str) -> dict[str, str]:
    """Kling's key alone."""
    return {"KLING_API_KEY": KEY, "HOASI_KLING_URL": f"{fal}/kling"}


def both(fal: str, **more: str) -> dict[str, str]:
    """Keys of both."""
    return fal_environ(fal, **{**kling(fal), **more})


def swap(scene: str = "SC_01", **more: Any) -> Request:
    """A face swap by whoever is cheapest."""
    inputs = (Given(role="source", written="a.png"), Given(role="face", written="b.png"))
    return Request(operation="swap_face", prompt="swap", inputs=inputs, scene=Scene(id=scene), **more)


async def made(workspace: Path, environ: dict[str, str], *requests: Request, **more: Any) -> Reply:
    """One call in a process of its own."""
    async with Studio(workspace, environ=environ) as studio:
        return await studio.generate(asked(*requests, **{"consent": "Tôi đồng ý.", **more}))


@pytest.mark.usefixtures("faces", "quick")
@pytest.mark.parametrize(("limit", "makers"), [(0.05, ["kling"]), (0.2, ["fal"]), (None, ["fal"])])
async def test_who_takes_over_stays_within_the_limit(
    limit: float | None, makers: list[str], workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Kling for $0.028 cannot be reached; fal would take $0.15."""
    environ = both(fal, HOASI_KLING_URL=NOWHERE)
    reply = await made(workspace, environ, swap(), max_cost_usd=limit)
    assert [entry.provider for entry in reply.generations] == makers
    assert sandbox.stats()["submissions"] == (makers == ["fal"])
    told = [note for entry in reply.generations for note in entry.notes if "chuyển sang fal" in note]
    assert len(told) == (makers == ["fal"])


@pytest.mark.usefixtures("faces", "quick")
async def test_the_limit_holds_for_all_that_are_taken_over(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """One at fal fits, two do not."""
    environ = both(fal, HOASI_KLING_URL=NOWHERE)
    reply = await made(workspace, environ, swap(), swap("SC_02", seed=7), max_cost_usd=0.2)
    assert [(entry.provider, entry.paid) for entry in reply.generations] == [("fal", "yes"), ("kling", "no")]
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.usefixtures("faces", "quick")
async def test_what_one_made_whose_key_is_gone_is_not_bought_again(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Kling made it; today only fal has a key."""
    await made(workspace, both(fal), swap())
    reply = await made(workspace, fal_environ(fal), swap())
    assert [(entry.provider, entry.state) for entry in reply.generations] == [("kling", "skipped_existing")]
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.usefixtures("faces", "quick")
@pytest.mark.parametrize("overwrite", [False, True])
async def test_an_unknown_elsewhere_waits_for_a_word(
    overwrite: bool, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Nobody knows whether fal made it: only `resubmit` buys it at another, overwriting does not."""
    sandbox.faults.add(fault("submit", "lost_reply", model=FAL_SWAP))
    await made(workspace, fal_environ(fal), swap())
    reply = await made(workspace, kling(fal), swap(), overwrite=overwrite)
    assert [(entry.provider, entry.state) for entry in reply.generations] == [("fal", "unknown")]
    reply = await made(workspace, kling(fal), swap(), resubmit=True)
    assert [(entry.provider, entry.state) for entry in reply.generations] == [("kling", "succeeded")]


@pytest.mark.usefixtures("faces", "quick")
async def test_what_never_came_in_is_not_moved(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply was lost and Kling says that it has nothing: it did leave, so nobody else makes it in this run."""
    monkeypatch.setattr(flow, "ARRIVAL_S", 0.0)
    sandbox.faults.add(*[fault("submit", "5xx", model="kling/images/omni-image")] * 9)
    reply = await made(workspace, both(fal), swap())
    assert [(entry.provider, entry.paid) for entry in reply.generations] == [("kling", "no")]
    assert sandbox.stats()["submissions"] == 0


@pytest.mark.usefixtures("faces")
@pytest.mark.parametrize("then", [[], ["429"]])
async def test_what_left_is_not_moved_by_another_process(
    then: list[str], workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply was lost, perhaps refused when sent again, and the process ended: the next one knows that it left."""
    monkeypatch.setattr(flow, "ARRIVAL_S", 0.0)
    monkeypatch.setattr(flow, "backoff_s", lambda *_: 30.0)
    for tries, kind in enumerate(["5xx", *then], 1):
        sandbox.faults.add(fault("submit", kind, model="kling/images/omni-image"))
        async with Studio(workspace, environ=both(fal)) as studio:
            batch = await studio.begin(asked(swap(), consent="Tôi đồng ý."))
            row = partial(studio.generations, batch.ids)
            await until(lambda: (row()[0].tries, row()[0].state) == (tries, "queued"))  # noqa: B023  (called at once)
    monkeypatch.setattr(flow, "backoff_s", lambda *_: 0.02)
    reply = await made(workspace, both(fal, HOASI_KLING_URL=NOWHERE), swap())
    assert [(entry.provider, entry.state, entry.paid) for entry in reply.generations] == [("kling", "failed", "no")]
    assert sandbox.stats()["submissions"] == 0


class Clock:
    """Of `flow` alone: time passes while it sleeps."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await anyio.lowlevel.checkpoint()


@pytest.mark.usefixtures("quick")
async def test_a_late_arrival_has_its_time_from_the_moment_the_reply_was_lost(
    open_studio: OpenStudio, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the reply was waited for: a request may arrive after that, so it is looked for more than once."""
    looked: list[float] = []
    submit, real = flow._submit, flow.asked

    async def slow(line: Line, sent: Any) -> Any:
        try:
            return await submit(line, sent)
        finally:
            line.save(submitted_at=(line.generation.submitted_at or 0.0) - 60.0)

    async def counted(line: Line, ask: Any) -> Any:
        looked.append(line.sent_at or 0.0)
        return await real(line, ask)

    clock = Clock()
    monkeypatch.setattr(flow, "time", clock)
    monkeypatch.setattr(flow, "anyio", clock)
    monkeypatch.setattr(flow, "_submit", slow)
    monkeypatch.setattr(flow, "asked", counted)
    sandbox.faults.add(*[fault("submit", "5xx", model="kling/videos/text2video")] * 9)
    request = Request(operation="text_to_video", prompt="a kite", scene=Scene(id="SC_01"), provider="kling")
    async with open_studio(**kling(fal)) as studio:
        await studio.generate(asked(request))
    assert len(looked) / len(set(looked)) >= 3


@pytest.mark.usefixtures("faces", "quick")
async def test_revoked_while_it_waits_for_a_place_of_another_process(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permission is asked for at the last moment, not before the queue."""
    take, refused = Ledger.take_place, list[str]()

    def noted(ledger: Ledger, name: str, *more: Any) -> Any:
        taken = take(ledger, name, *more)
        refused.extend([name] if taken is None else [])
        return taken

    monkeypatch.setattr(Ledger, "take_place", noted)
    sandbox.change(latency_s=600)
    environ = fal_environ(fal, HOASI_FAL_CONCURRENCY="1")
    rain = Request(operation="text_to_video", prompt="rain", scene=Scene(id="SC_09"), provider="fal")
    async with Studio(workspace, environ=environ) as first, Studio(workspace, environ=environ) as second:
        busy = await first.begin(asked(rain))
        await until(lambda: sandbox.stats()["submissions"] == 1)
        waits = await second.begin(asked(swap(provider="fal"), consent="Tôi đồng ý."))
        await until(lambda: waits.ids[0] in refused)
        consent.revoke(
            workspace / PERMISSIONS,
            sha256((workspace / "b.png").read_bytes()).hexdigest(),
            at="2026-11-27T09:00:00+07:00",
            lock_path=workspace / ".hoasi/locks/consent.lock",
            temp_name=".hoasi-0-c.tmp",
        )
        let_go(sandbox)
        reply = await second.wait(waits)
        await first.wait(busy)
    (entry,) = reply.generations
    assert (entry.state, entry.paid, entry.error and entry.error.key) == ("failed", "no", "consent_revoked")
    assert FAL_SWAP not in sandbox.stats()["models"]


@pytest.mark.usefixtures("quick")
async def test_cancelled_between_its_two_paid_steps(
    workspace: Path, open_studio: OpenStudio, fal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step is paid: that is said, with what it cost."""
    with wave.open(str(workspace / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 32000)
    keep = flow._keep

    async def stopped(line: Line, outcome: Any, sent: Any) -> None:
        await keep(line, outcome, sent)
        line.stop()

    async with open_studio(**kling(fal)) as studio:
        kite = Request(operation="text_to_video", prompt="a kite", scene=Scene(id="SC_01"), provider="kling")
        clip = (await studio.generate(asked(kite))).generations[0]
        monkeypatch.setattr(flow, "_keep", stopped)
        inputs = (Given(role="video", written=clip.id), Given(role="audio", written="a.wav"))
        lips = Request(operation="lip_sync", prompt="", inputs=inputs, scene=Scene(id="SC_01"), provider="kling")
        (entry,) = (await studio.generate(asked(lips, no_faces=True))).generations
    assert (entry.state, entry.paid, entry.error and entry.error.key) == ("cancelled", "yes", "cancelled_between")
    assert entry.cost_usd == pytest.approx(0.007)


@pytest.mark.usefixtures("faces", "quick")
async def test_a_chain_whose_maker_changed_is_not_bought_again(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Yesterday fal alone made both; today Kling would be cheaper."""
    clip = Request(
        operation="image_to_video",
        prompt="she breathes",
        inputs=(Given(role="first_frame", of=0),),
        scene=Scene(id="SC_01"),
        provider="auto",
    )
    await made(workspace, fal_environ(fal), swap(), clip)
    again = await made(workspace, both(fal), swap(), clip)
    assert [(entry.provider, entry.state) for entry in again.generations] == [("fal", "skipped_existing")] * 2
    assert sandbox.stats()["submissions"] == 2


@pytest.mark.usefixtures("faces", "quick")
async def test_a_chain_goes_on_from_a_swap_that_was_moved(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """The swap was taken over by fal, the clip failed: the next call makes the clip from that very swap."""
    model = "fal-ai/kling-video/v2.6/pro/image-to-video"
    sandbox.faults.add(fault("result", "completed_error", value="internal_server_error", model=model))
    clip = Request(
        operation="image_to_video",
        prompt="she breathes",
        inputs=(Given(role="first_frame", of=0),),
        scene=Scene(id="SC_01"),
        provider="fal",
    )
    first = await made(workspace, both(fal, HOASI_KLING_URL=NOWHERE), swap(), clip)
    assert [entry.state for entry in first.generations] == ["succeeded", "failed"]
    again = await made(workspace, both(fal), swap(), clip)
    assert [entry.state for entry in again.generations] == ["skipped_existing", "succeeded"]
    assert again.generations[0].id in again.generations[1].parents


@pytest.mark.usefixtures("quick")
async def test_who_cannot_be_asked_says_nothing_of_the_purchase(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply is lost and the look-up fails as well: it waits, and the next process finds what was bought."""
    kite = Request(operation="text_to_video", prompt="a kite", scene=Scene(id="SC_01"), provider="kling")
    sandbox.faults.add(fault("submit", "lost_reply"))

    async def sick(*_: object) -> None:
        raise ProviderUnreachable("unreachable", provider="kling", detail="503")

    with monkeypatch.context() as away:
        away.setattr(type(provider("kling")), "find", sick)
        first = await made(workspace, kling(fal), kite)
    assert [(entry.state, entry.paid) for entry in first.generations] == [("submitting", "unknown")]
    again = await made(workspace, kling(fal), kite)
    assert [entry.state for entry in again.generations] == ["succeeded"]
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.usefixtures("quick")
async def test_what_is_in_hand_when_the_process_ends_is_kept(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that came with the paid reply is brought to the disk before the process goes."""
    real, begun = artifacts.fetch, anyio.Event()

    async def slow(*given: Any) -> Any:
        begun.set()
        await anyio.sleep(0.3)
        return await real(*given)

    monkeypatch.setattr(artifacts, "fetch", slow)
    environ = {"STABILITY_API_KEY": "sk-stability-1234567", "HOASI_STABILITY_URL": fal}
    async with Studio(workspace, environ=environ) as studio:
        await studio.begin(one(provider="stability"))
        await begun.wait()
    async with Studio(workspace, environ=environ) as studio:
        (entry,) = studio.list()[0].generations
    assert (entry.state, len(entry.outputs)) == ("succeeded", 1)
    assert sandbox.stats()["submissions"] == 1
