"""Kling's lip sync in two paid steps: faces first, then the clip; and the clips that go on."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calls import OpenStudio, fault
from hoasi import Ask
from hoasi.addresses import origin_of
from hoasi.errors import HoasiError, KeyRejected, NotAccepted, NotSupported, PaymentUnknown, ProviderRefused
from hoasi.given import Given, Remote
from hoasi.providers._outcomes import Handle, Order, Ready, Step
from hoasi.providers.kling import lip_sync
from hoasi.records import Request
from hoasi.sandbox import Fault, Sandbox
from hoasi.street import ReplyLost, Street
from hoasi.wire import Wire
from providers.kling_orders import KLING, RAW_SOUND, accepted, ended, made, of_clip, order

pytestmark = pytest.mark.anyio
LIPS, EXTEND = "kling/advanced-lip-sync", "kling/video-extend"
FACE = {"face_id": "7", "start_time": 1000, "end_time": 5000}
STEP = {"session_id": "s", "faces": [FACE], "spent_usd": 0.007}


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as Kling sees it, leading to the sandbox."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, {"": f"{fal}/kling"}, KLING.auth("key"))
    await street.close()


def sounding(wanted: Order, seconds: float) -> Order:
    """The same order with a sound of another length."""
    longer = [
        replace(s, item=s.item.model_copy(update={"duration_s": seconds})) if s.item.role == "audio" else s
        for s in wanted.sent
    ]
    return replace(wanted, sent=tuple(longer))


async def looked(wire: Wire, wanted: Order) -> Step:
    """The first step."""
    step = await KLING.submit(wire, wanted)
    assert isinstance(step, Step)
    return step


# ---------------------------------------------------------------- both steps


async def test_a_lip_sync_is_two_posts_and_one_clip(wire: Wire, sandbox: Sandbox) -> None:
    """Look for faces, then speak: each submit is one POST; the cost is that of both."""
    wanted = order(LIPS)
    step = await looked(wire, wanted)
    assert set(step.receipt) == {"session_id", "faces", "spent_usd"}
    assert step.receipt["faces"] == [{"face_id": "0", "start_time": 0, "end_time": 5000}]
    assert sandbox.stats()["posts_received"] == 1
    receipt = await accepted(wire, replace(wanted, step=step.receipt))
    assert sandbox.stats()["posts_received"] == 2
    done = await KLING.collect(wire, receipt, await ended(wire, receipt))
    assert (len(done.outputs), done.facts["cost_usd"]) == (1, pytest.approx(0.077))
    assert bool(done.outputs[0].id)
    assert wanted.planned.price.usd == pytest.approx(0.147)  # 6 s are two started steps of 5 s; there the clip had 5
    assert sandbox.stats()["unknown_fields"] == {}
    body = next(iter(sandbox.kling.tasks.values())).body
    assert (body["external_task_id"], body["watermark_info"]) == (wanted.id, {"enabled": False})


@pytest.mark.parametrize(
    ("asked", "seconds", "said"),
    [
        ({}, 3.0, {"sound_start_time": 0, "sound_end_time": 3000, "sound_insert_time": 1000}),
        ({}, 60.0, {"sound_start_time": 0, "sound_end_time": 4000, "sound_insert_time": 1000}),
        ({}, 0.0, {"sound_start_time": 0, "sound_end_time": 4000, "sound_insert_time": 1000}),
        (
            {"sound_start_s": 2},
            9.0,
            {"sound_start_time": 2000, "sound_end_time": 6000, "sound_insert_time": 1000},
        ),
        (
            {"sound_insert_s": 2.5},
            9.0,
            {"sound_start_time": 0, "sound_end_time": 2500, "sound_insert_time": 2500},
        ),
        (
            {"sound_start_s": 0, "sound_end_s": 2.2, "sound_insert_s": 0},
            9.0,
            {"sound_start_time": 0, "sound_end_time": 2200, "sound_insert_time": 0},
        ),
    ],
)
def test_the_sound_covers_as_much_as_both_last(asked: dict[str, Any], seconds: float, said: dict[str, int]) -> None:
    """Unless told otherwise all of the sound that fits while the face can speak; zero is a value."""
    wanted = sounding(order(LIPS, options=asked), seconds)
    assert lip_sync.body(wanted, STEP) == {
        "session_id": "s",
        "face_choose": [
            {"face_id": "7", "sound_file": RAW_SOUND, **said, "sound_volume": 1.0, "original_audio_volume": 1.0}
        ],
    }


async def test_the_face_that_is_asked_for_speaks(wire: Wire, sandbox: Sandbox) -> None:
    """`face_index` is ours; Kling gets the id of that face."""
    sandbox.change(kling_faces_in_clip=2)
    await made(wire, order(LIPS, options={"face_index": 1, "sound_volume": 0}))
    choice = next(iter(sandbox.kling.tasks.values())).body["face_choose"][0]
    assert (choice["face_id"], choice["sound_volume"]) == ("1", 0.0)


@pytest.mark.parametrize(
    ("faces", "index", "key", "facts"),
    [
        (0, 0, "no_face_in_clip", {}),
        (1, 1, "face_not_in_clip", {"index": 1, "count": 1, "most": 0}),
        (2, 5, "face_not_in_clip", {"index": 5, "count": 2, "most": 1}),
    ],
)
async def test_a_face_that_is_not_there_ends_before_the_second_step(
    faces: int, index: int, key: str, facts: dict[str, int], wire: Wire, sandbox: Sandbox
) -> None:
    """Only looking was paid, and its price is told; nothing is made."""
    sandbox.change(kling_faces_in_clip=faces)
    with pytest.raises(ProviderRefused) as refused:
        await KLING.submit(wire, order(LIPS, options={"face_index": index}))
    assert (refused.value.key, refused.value.paid) == (key, "yes")
    assert facts.items() <= refused.value.facts.items()
    assert refused.value.facts["cost_usd"] == pytest.approx(0.007)
    assert (sandbox.stats()["posts_received"], sandbox.kling.tasks) == (1, {})


async def test_a_clip_of_theirs_is_named_by_its_id(wire: Wire, sandbox: Sandbox) -> None:
    """What Kling made is not sent again: its number is enough, even without an address."""
    clip = await made(wire, order("kling-v1/text2video"))
    done = await made(wire, of_clip(order(LIPS), clip.outputs[0].id))
    task = [*sandbox.kling.tasks.values()][-1]
    assert (len(done.outputs), task.planned.source is not None) == (1, True)
    assert task.planned.source.id == clip.outputs[0].id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ({"sound_start_s": 7}, 8.0),
        ({"sound_start_s": 3, "sound_end_s": 4.5}, 8.0),
        ({"sound_insert_s": 4.5}, 8.0),
        ({"sound_insert_s": 3, "sound_end_s": 4}, 8.0),
        ({"sound_start_s": 7}, 8.5),
    ],
)
async def test_times_that_do_not_fit_are_refused_before_the_look(
    asked: dict[str, Any], seconds: float, wire: Wire, sandbox: Sandbox
) -> None:
    """Fewer than two seconds to be heard, or sound after the clip's end: said while nothing is paid."""
    with pytest.raises(NotSupported) as refused:
        await KLING.submit(wire, sounding(order(LIPS, options=asked), seconds))
    assert (refused.value.key, refused.value.paid) == ("sound_does_not_fit", "no")
    given = sounding(order(LIPS, options=asked), seconds)
    planned = given.planned.model_copy(update={"inputs": tuple(sent.item for sent in given.sent)})
    with pytest.raises(NotSupported, match="sound_does_not_fit"):
        KLING.settle(planned, {})
    assert sandbox.stats()["requests"] == []


# ---------------------------------------------------------------- refused, lost


@pytest.mark.parametrize(
    ("spoiled", "error", "paid"),
    [
        (fault("submit", "error_type", value=1201), ProviderRefused, "no"),
        (fault("submit", "error_type", value=1302), NotAccepted, "no"),
        (fault("submit", "5xx"), PaymentUnknown, "unknown"),
        (fault("submit", "garbage"), PaymentUnknown, "unknown"),
    ],
    ids=lambda value: f"{value.kind}-{value.value}" if isinstance(value, Fault) else "",
)
async def test_a_refused_first_step_costs_nothing(
    spoiled: Fault, error: type[HoasiError], paid: str, wire: Wire, sandbox: Sandbox
) -> None:
    """As any other refusal."""
    sandbox.faults.add(spoiled)
    with pytest.raises(error) as refused:
        await KLING.submit(wire, order(LIPS))
    assert refused.value.paid == paid


@pytest.mark.parametrize(
    ("code", "error", "key"),
    [
        (1201, ProviderRefused, "refused_after_step"),
        (1303, NotAccepted, "refused_after_step"),
        (1102, KeyRejected, "balance_empty"),
    ],
)
async def test_a_refused_second_step_says_that_the_first_was_paid(
    code: int, error: type[HoasiError], key: str, wire: Wire, sandbox: Sandbox
) -> None:
    """Looking for faces was paid whatever becomes of the rest."""
    wanted = order(LIPS)
    step = await looked(wire, wanted)
    sandbox.faults.add(fault("submit", "error_type", value=code))
    with pytest.raises(error) as refused:
        await KLING.submit(wire, replace(wanted, step=step.receipt))
    assert (refused.value.key, refused.value.paid) == (key, "yes")
    assert refused.value.facts["cost_usd"] == pytest.approx(0.007)


async def test_a_failed_lip_sync_still_cost_the_look(wire: Wire, sandbox: Sandbox) -> None:
    """Kling deducts nothing for a failed task; the faces were paid before."""
    wanted = order(LIPS)
    step = await looked(wire, wanted)
    sandbox.faults.add(fault("submit", "completed_error", value="Internal problem"))
    receipt = await accepted(wire, replace(wanted, step=step.receipt))
    await ended(wire, receipt)
    with pytest.raises(ProviderRefused) as failed:
        await KLING.collect(wire, receipt, Ready())
    assert (failed.value.paid, failed.value.facts["cost_usd"]) == ("yes", pytest.approx(0.007))


async def test_a_lost_first_step_cannot_be_looked_up(wire: Wire, sandbox: Sandbox) -> None:
    """Nobody can be asked for a session: it may have been billed, and is not bought again silently."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    wanted = order(LIPS)
    with pytest.raises(ReplyLost):
        await KLING.submit(wire, wanted)
    with pytest.raises(PaymentUnknown):
        await KLING.find(wire, wanted)
    assert sandbox.stats()["submissions"] == 1


async def test_a_lost_second_step_is_found_in_the_list(wire: Wire, sandbox: Sandbox) -> None:
    """By our own id, with what the first step cost; what is not there never came in."""
    other, wanted = order(LIPS), order(LIPS)
    await made(wire, other)
    speaking = replace(wanted, step=(await looked(wire, wanted)).receipt)
    assert await KLING.find(wire, speaking) is None
    sandbox.faults.add(fault("submit", "lost_reply"))
    with pytest.raises(ReplyLost):
        await KLING.submit(wire, speaking)
    found = await KLING.find(wire, speaking)
    assert isinstance(found, Handle)
    assert found.receipt["task_id"] == [*sandbox.kling.tasks][-1]
    done = await KLING.collect(wire, found.receipt, await ended(wire, found.receipt))
    assert done.facts["cost_usd"] == pytest.approx(0.077)


async def test_a_task_without_a_name_could_be_ours(wire: Wire) -> None:
    """Where the list holds lip syncs without an id of a caller, it does not prove that ours is missing."""
    nameless, wanted = replace(order(LIPS), id=""), order(LIPS)
    await made(wire, nameless)
    speaking = replace(wanted, step=(await looked(wire, wanted)).receipt)
    with pytest.raises(PaymentUnknown):
        await KLING.find(wire, speaking)


# ---------------------------------------------------------------- clips that go on


async def test_a_clip_goes_on_and_on(wire: Wire) -> None:
    """Each extension has an id of its own, so that it can be extended again."""
    first = await made(wire, order("kling-v1-6/text2video"))
    second = await made(wire, of_clip(order(EXTEND), first.outputs[0].id))
    third = await made(wire, of_clip(order(EXTEND, prompt=""), second.outputs[0].id))
    assert len({done.outputs[0].id for done in (first, second, third)}) == 3


async def test_what_kling_made_is_extended_by_its_id_only(wire: Wire, sandbox: Sandbox) -> None:
    """A file or an address is not enough; nothing is sent."""
    wanted = of_clip(order(EXTEND), "")
    with pytest.raises(NotSupported, match="input_needs_address"):
        await KLING.submit(wire, wanted)
    foreign = of_clip(order(EXTEND), "5", url="https://files.example/a.mp4")
    item = foreign.sent[0].item.model_copy(update={"remote": Remote(provider="fal", id="5")})
    with pytest.raises(NotSupported, match="input_not_theirs"):
        await KLING.submit(wire, replace(foreign, sent=(replace(foreign.sent[0], item=item),)))
    assert sandbox.stats()["requests"] == []


@pytest.mark.parametrize(
    ("model", "age_days", "key"),
    [
        ("kling-v2-6/text2video", 1.0, "input_model"),
        ("kling-v1-6/multi-image2video", 1.0, "input_model"),
        ("kling-v1/text2video", 31.0, "input_expired"),
        ("kling-v1/text2video", 29.0, None),
        ("kling-v1-5/image2video", 29.0, None),
        (EXTEND, 29.0, None),
    ],
)
def test_which_clips_go_on_is_known_before_paying(model: str, age_days: float, key: str | None) -> None:
    """Clips of old models, not older than 30 days; said before anything is paid."""
    from contract import SITE
    from hoasi.catalogue import load
    from hoasi.planning import plan_request

    plan = order(EXTEND).planned
    remote = Remote(provider="kling", model=model, id="5", age_days=age_days)
    clip = plan.inputs[0].model_copy(update={"remote": remote})
    if key is None:
        assert plan_request(plan.request, load("kling"), [clip], SITE, plan.prompt)
        return
    with pytest.raises(NotSupported) as refused:
        plan_request(plan.request, load("kling"), [clip], SITE, plan.prompt)
    assert refused.value.key == key


# ---------------------------------------------------------------- through the whole house


def sound(root: Path, seconds: int = 3) -> str:
    """A silent sound file in the workspace."""
    with wave.open(str(root / "voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000 * seconds))
    return "voice.wav"


def clip(operation: str, prompt: str = "", *inputs: Given, **more: Any) -> Ask:
    """A call for one clip at Kling."""
    wanted = {"operation": operation, "prompt": prompt, "provider": "kling", "inputs": inputs, **more}
    return Ask(requests=(Request.model_validate(wanted),), job_id="job-1")


@pytest.fixture
def kling(fal: str) -> dict[str, str]:
    """An environment in which Kling is the sandbox."""
    return {"KLING_API_KEY": "key-1234567", "HOASI_KLING_URL": f"{fal}/kling"}


async def test_a_clip_goes_on_by_our_id_and_speaks_by_its_number(
    open_studio: OpenStudio,
    kling: dict[str, str],
    workspace: Path,
    wire: Wire,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Words become a clip, our id is enough to extend it; a clip that only Kling has speaks by its number there."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)
    there = await made(wire, order("kling-v1/text2video"))
    speaks = (Given(role="video", written=there.outputs[0].id), Given(role="audio", written=sound(workspace)))
    async with open_studio(**kling) as studio:
        ours = await studio.generate(clip("text_to_video", "a kite", model="kling-v1"))
        longer = await studio.generate(clip("extend_video", "", Given(role="video", written=ours.generations[0].id)))
        speaking = await studio.generate(clip("lip_sync", "", *speaks))
    entries = [reply.generations[0] for reply in (ours, longer, speaking)]
    assert [(entry.error, entry.state) for entry in entries] == [(None, "succeeded")] * 3
    assert [entry.model for entry in entries[1:]] == ["kling/video-extend", "kling/advanced-lip-sync"]
    assert [entry.cost_usd for entry in entries] == [pytest.approx(usd) for usd in (0.14, 0.14, 0.077)]
    assert longer.generations[0].parents == (ours.generations[0].id,)
    assert (sandbox.stats()["unknown_fields"], sandbox.stats()["uploads"]) == ({}, 0)


@pytest.mark.parametrize("code", [None, 1302])
async def test_no_face_is_told_with_what_the_look_cost(
    code: int | None,
    open_studio: OpenStudio,
    kling: dict[str, str],
    workspace: Path,
    wire: Wire,
    sandbox: Sandbox,
    quick: object,
) -> None:
    """Also where the look had to wait for its turn: failed, paid, 0.007 dollars, nothing made."""
    there = await made(wire, order("kling-v1/text2video"))
    speaks = (Given(role="video", written=there.outputs[0].id), Given(role="audio", written=sound(workspace)))
    sandbox.change(kling_faces_in_clip=0)
    if code is not None:
        sandbox.faults.add(fault("submit", "error_type", value=code))
    async with open_studio(**kling) as studio:
        entry = (await studio.generate(clip("lip_sync", "", *speaks))).generations[0]
    assert entry.error is not None
    assert (entry.state, entry.error.key, entry.paid) == ("failed", "no_face_in_clip", "yes")
    assert entry.cost_usd == pytest.approx(0.007)
