"""Stability's translator against its mirror image: forms, blocked pictures, results asked for rarely, sizes."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from PIL import Image

from calls import OpenStudio, fault, pictures, told
from contract import ProviderContract, fullest, planned
from hoasi import Ask
from hoasi.addresses import origin_of
from hoasi.catalogue import Card, load
from hoasi.errors import (
    ContentBlocked,
    HoasiError,
    KeyRejected,
    NotAccepted,
    NotSupported,
    PaymentUnknown,
    ProviderRefused,
    ResultExpired,
)
from hoasi.line import Line
from hoasi.providers import stability, stability_replies, stability_v1
from hoasi.providers._outcomes import Done, Handle, Order, Pending, Ready, Sent, TryAgain
from hoasi.providers.stability import Stability, Told
from hoasi.providers.stability_form import form
from hoasi.records import Planned, Request
from hoasi.sandbox import Fault, Sandbox
from hoasi.street import Reply, ReplyLost, Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
MAKER = Stability()
CORE, ULTRA, SDXL = "stable-image/generate/core", "stable-image/generate/ultra", "stable-diffusion-xl-1024-v1-0"
LIGHT, TRANSFER = "stable-image/edit/replace-background-and-relight", "stable-image/control/style-transfer"
CARDS = [card for card in load("stability").cards if card.retired is None]


class TestStability(ProviderContract):
    """The promises of every provider, kept by Stability."""

    name = "stability"


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as Stability sees it, leading to the sandbox."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, {"": fal}, MAKER.auth("sk-key"))
    await street.close()


@pytest.fixture
def at_sandbox(fal: str) -> dict[str, str]:
    """The environment in which Stability is the sandbox."""
    return {"HOASI_STABILITY_URL": fal, "STABILITY_API_KEY": "sk-1234567"}


def card(model: str) -> Card:
    return load("stability").card(model)


def png(width: int = 320, height: int = 240) -> bytes:
    with io.BytesIO() as file:
        Image.radial_gradient("L").resize((width, height)).save(file, "PNG")
        return file.getvalue()


def order(model: str, **asked: Any) -> Order:
    wanted = card(model)
    asked.setdefault("references", wanted.references if wanted.needs_references else 0)
    return order_of(planned(wanted, **asked))


def order_of(plan: Planned) -> Order:
    """A plan whose pictures were read."""
    return Order(plan, tuple(Sent(item, data=png()) for item in plan.inputs))


def reply(status: int, fields: object = None, **headers: str) -> Reply:
    content = b"<html>" if fields is None else json.dumps(fields).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


async def made(wire: Wire, wanted: Order) -> Done:
    """The result of an order, at once or after looking."""
    outcome = await MAKER.submit(wire, wanted)
    if isinstance(outcome, Done):
        return outcome
    return await MAKER.collect(wire, outcome.receipt, await ended(wire, outcome.receipt))


async def ended(wire: Wire, receipt: dict[str, Any]) -> Ready:
    while not isinstance(seen := await MAKER.poll(wire, receipt), Ready):  # noqa: ASYNC110  (the sandbox ends it)
        await anyio.sleep(0.005)
    return seen


async def sent(wire: Wire) -> dict[str, Any]:
    """The receipt of a relight."""
    handle = await MAKER.submit(wire, order(LIGHT))
    assert isinstance(handle, Handle)
    return handle.receipt


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        (order(CORE, aspect_ratio="16:9"), {"aspect_ratio": "16:9", "output_format": "png"}),
        (order(CORE, seed=7), {"seed": "7"}),
        (order(CORE, seed=0), {"seed": "4294967294"}),
        (order("sd3.5-medium"), {"model": "sd3.5-medium"}),
        (order("sd3.5-large/image-to-image"), {"model": "sd3.5-large", "mode": "image-to-image", "strength": "0.6"}),
        (order(LIGHT), {"background_prompt": "a kite", "keep_original_background": "false"}),
        (order(LIGHT, options={"keep_original_background": True}), {"keep_original_background": "true"}),
        (order(CORE, negative_prompt="blur"), {"negative_prompt": "blur"}),
    ],
)
def test_our_words_become_stabilitys(wanted: Order, has: dict[str, str]) -> None:
    """Texts under the model's own names; a seed of zero is one, though theirs means "any"."""
    assert has.items() <= form(wanted, card(wanted.planned.model)).items()


def test_what_was_not_asked_for_is_not_sent() -> None:
    """A picture from words alone: the prompt, the seed and the lossless format."""
    assert set(form(order(CORE), card(CORE))) == {"prompt", "seed", "output_format"}


@pytest.mark.parametrize("model", CARDS, ids=lambda c: c.id)
async def test_every_card_is_understood(model: Card, wire: Wire, sandbox: Sandbox) -> None:
    """All that a card takes is accepted by its call, known to it, and gives the pictures."""
    plan = fullest(model)
    done = await made(wire, order_of(plan))
    assert len(done.outputs) == len(plan.stems)
    assert (sandbox.stats()["unknown_fields"], sandbox.stats()["submissions"]) == ({}, 1)


@pytest.mark.parametrize("model", CARDS, ids=lambda c: c.id)
async def test_every_option_is_within_its_range(model: Card, wire: Wire) -> None:
    """The ends of each range, and each choice, are taken."""
    for name, option in model.options.items():
        ends = [end for end in (option.least, option.most) if end is not None]
        for value in [*(option.choices or ends)]:
            extra = {"light_source_direction": "left"} if name == "light_source_strength" else {}
            options = {**extra, name: value}
            if (name, value) != ("left", 0):  # nothing beyond any edge
                assert len((await made(wire, order(model.id, options=options))).outputs) == 1


async def test_two_pictures_go_to_their_own_fields(wire: Wire, sandbox: Sandbox) -> None:
    """The first is the one that changes, the second gives the style."""
    await made(wire, order(TRANSFER))
    assert sandbox.stats()["models"] == {"control/style-transfer": 1}
    with pytest.raises(ProviderRefused) as refused:
        await MAKER.submit(wire, order(TRANSFER, references=1))
    assert "style_image: is required" in refused.value.detail


# ---------------------------------------------------------------- what is refused before money


@pytest.mark.parametrize(
    ("model", "asked", "key"),
    [
        (CORE, {"aspect_ratio": "5:3"}, "ratio_not_supported"),
        (CORE, {"options": {"target_size": "1920"}}, "value_not_supported"),
        (CORE, {"options": {"target_size": "8000x100"}}, "value_not_supported"),
        (CORE, {"options": {"style_preset": "baroque"}}, "value_not_supported"),
        (CORE, {"output_format": "gif"}, "value_not_supported"),
        (SDXL, {"options": {"steps": 51}}, "value_not_supported"),
        (TRANSFER, {"references": 3}, "too_many_references"),
        ("stable-image/edit/inpaint", {"roles": []}, "role_needed"),
        (LIGHT, {"options": {"light_source_strength": 0.5}}, "forbidden_together"),
        (LIGHT, {"options": {"light_source_direction": "front"}}, "value_not_supported"),
    ],
)
def test_what_cannot_be_done_is_refused_before_money(model: str, asked: dict[str, Any], key: str) -> None:
    """Ratios, sizes, styles, numbers of pictures, masks, light: named, with what is allowed."""
    wanted = card(model)
    asked = {"references": int(wanted.needs_references), **asked}
    with pytest.raises(NotSupported) as refused:
        planned(wanted, **asked)
    assert refused.value.key == key


@pytest.mark.parametrize(("size", "is_fine"), [((1280, 720), True), ((640, 360), True), ((720, 1280), False)])
def test_a_mask_of_another_shape_is_refused_before_money(size: tuple[int, int], is_fine: bool) -> None:
    """The service would stretch it to the picture; another size of the same shape is no harm."""
    plan = planned(card("stable-image/edit/inpaint"), references=1)
    changed = {"width": size[0], "height": size[1]}
    inputs = tuple(i.model_copy(update=changed) if i.role == "mask" else i for i in plan.inputs)
    plan = plan.model_copy(update={"inputs": inputs})
    if is_fine:
        assert MAKER.settle(plan, {}) == plan
        return
    with pytest.raises(NotSupported) as refused:
        MAKER.settle(plan, {})
    assert (refused.value.key, refused.value.facts["other"]) == ("mask_size", "720x1280")


@pytest.mark.parametrize(
    ("target", "ratio"),
    [("1920x1080", "16:9"), ("1080x1920", "9:16"), ("1000x1010", "1:1"), ("2000x900", "21:9"), ("1080x1350", "4:5")],
)
def test_a_size_in_pixels_takes_the_nearest_ratio(target: str, ratio: str) -> None:
    """The model is told the nearest shape it knows, and the size itself is not sent."""
    wanted = order(CORE, options={"target_size": target})
    assert form(wanted, card(CORE))["aspect_ratio"] == ratio
    assert "target_size" not in form(wanted, card(CORE))


@pytest.mark.parametrize(("ratio", "size"), [("16:9", (1344, 768)), ("21:9", (1536, 640)), (None, (1024, 1024))])
def test_sdxl_gets_one_of_its_nine_sizes(ratio: str | None, size: tuple[int, int]) -> None:
    """A ratio becomes the legal size that is nearest to it; weights, steps and style are those of before."""
    body = stability_v1.body(order(SDXL, aspect_ratio=ratio, negative_prompt="blur", seed=0), card(SDXL))
    assert (body["width"], body["height"]) == size
    assert body["text_prompts"] == [{"text": "a kite", "weight": 1.0}, {"text": "blur", "weight": -1.0}]
    facts = (body["cfg_scale"], body["steps"], body["style_preset"], body["samples"], body["seed"])
    assert facts == (8, 40, "photographic", 1, 4294967294)


def test_an_old_name_is_mapped_and_said() -> None:
    """`sdxl` and the retired names become the model of today, with a warning."""
    plan = planned(card(CORE), model="stable-diffusion-v1-6")
    assert (plan.model, "stable-diffusion-v1-6" in plan.warnings[0]) == (CORE, True)
    assert planned(card("sd3.5-large"), model="sd3-large").model == "sd3.5-large"


# ---------------------------------------------------------------- what a refusal means


@pytest.mark.parametrize(
    ("spoiled", "error", "paid"),
    [
        (fault("submit", "429", value=7), NotAccepted, "no"),
        (fault("submit", "429"), NotAccepted, "no"),
        (fault("submit", "error_type", value="content_moderation"), ContentBlocked, "no"),
        (fault("submit", "error_type", value="public_figure"), ContentBlocked, "no"),
        (fault("submit", "error_type", value="invalid_language"), ProviderRefused, "no"),
        (fault("submit", "error_type", value="payment_required"), KeyRejected, "no"),
        (fault("submit", "error_type", value="permission_denied"), KeyRejected, "no"),
        (fault("submit", "error_type", value="payload_too_large"), ProviderRefused, "no"),
        (fault("submit", "error_type", value="internal_error"), ProviderRefused, "no"),
        (fault("submit", "validation"), ProviderRefused, "no"),
        (fault("submit", "5xx", value=500), PaymentUnknown, "unknown"),
        (fault("submit", "5xx", value=502), PaymentUnknown, "unknown"),
        (fault("submit", "garbage"), PaymentUnknown, "unknown"),
        (fault("submit", "wrong_type"), PaymentUnknown, "unknown"),
        (fault("submit", "empty"), PaymentUnknown, "unknown"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_a_refusal_says_whether_it_was_paid(
    spoiled: Fault, error: type[HoasiError], paid: str, wire: Wire, sandbox: Sandbox
) -> None:
    """One POST; the service bills no failure it names itself, and who sent too much waits a minute."""
    sandbox.faults.add(spoiled)
    with pytest.raises(HoasiError) as refused:
        await MAKER.submit(wire, order(CORE))
    assert (type(refused.value), refused.value.paid) == (error, paid)
    assert len(sandbox.stats()["requests"]) == 1
    if isinstance(refused.value, NotAccepted):
        assert refused.value.retry_after_s == (spoiled.value or 60)


@pytest.mark.parametrize("fields", [{"errors": ["a: is bad", "b"]}, {"message": "a: is bad; b"}])
def test_words_of_both_versions_are_read(fields: dict[str, Any]) -> None:
    """v2beta lists its errors, v1 has one message; an error of neither form has no words."""
    assert stability_replies.read(reply(400, {"name": "bad_request", **fields})) == ("bad_request", "a: is bad; b")
    assert stability_replies.read(reply(502)) == ("", "")


@pytest.mark.parametrize("kind", ["lost_reply", "reset", "truncated"])
async def test_a_broken_answer_is_lost(kind: str, wire: Wire, sandbox: Sandbox) -> None:
    """No whole answer is never taken for a refusal."""
    sandbox.faults.add(fault("submit", kind))
    with pytest.raises(ReplyLost):
        await MAKER.submit(wire, order(CORE))


@pytest.mark.parametrize("model", [CORE, LIGHT, SDXL])
async def test_a_blurred_picture_is_blocked_though_http_says_200(model: str, wire: Wire, sandbox: Sandbox) -> None:
    """`CONTENT_FILTERED` in a header or in the body is no result; it is said to be paid."""
    sandbox.faults.add(fault("result", "completed_error", value="CONTENT_FILTERED"))
    with pytest.raises(ContentBlocked) as blocked:
        await made(wire, order(model))
    assert (blocked.value.paid, blocked.value.facts["status"]) == ("yes", 200)


async def test_of_several_only_the_blurred_one_is_missing(
    open_studio: OpenStudio, at_sandbox: dict[str, str], workspace: Path, sandbox: Sandbox
) -> None:
    """Each picture of SDXL is a call of its own: the good ones are kept, the blurred one has failed and is billed."""
    sandbox.faults.add(fault("result", "completed_error", value="CONTENT_FILTERED"))
    request = Request(prompt="a kite", provider="stability", model=SDXL, num_images=3)
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(Ask(requests=(request,), job_id="job-1"))
    ends = sorted((entry.state, entry.paid) for entry in said.generations)
    assert ends == [("failed", "yes"), ("succeeded", "yes"), ("succeeded", "yes")]
    assert (len(pictures(workspace)), sandbox.stats()["submissions"]) == (2, 3)


async def test_sdxl_that_is_gone_costs_nothing_and_names_core(wire: Wire, sandbox: Sandbox) -> None:
    """v1 may have been switched off: tried, refused, unpaid."""
    sandbox.change(stability_has_v1=False)
    with pytest.raises(NotAccepted) as gone:
        await MAKER.submit(wire, order(SDXL))
    assert (gone.value.key, gone.value.paid, gone.value.facts["instead"]) == ("model_gone", "no", CORE)


@pytest.mark.parametrize(
    ("asked", "ratio"),
    [
        ({}, None),
        ({"aspect_ratio": "16:9"}, "16:9"),
        ({"aspect_ratio": "4:3"}, "5:4"),
        ({"aspect_ratio": "7:4"}, "16:9"),
    ],
)
def test_core_stands_by_for_sdxl(asked: dict[str, Any], ratio: str | None) -> None:
    """With the nearest of its own shapes, and without the options that only v1 has."""
    plan = MAKER.settle(planned(card(SDXL), options={"steps": 30, "style_preset": "anime"}, **asked), {})
    (other,) = plan.alternatives
    assert (other.model, other.parameters.get("aspect_ratio")) == (CORE, ratio)
    assert (other.parameters["style_preset"], "steps" in other.parameters) == ("anime", False)


@pytest.mark.parametrize(
    "fields", [{}, {"artifacts": []}, {"artifacts": [{"finishReason": "ERROR"}]}, {"artifacts": 1}]
)
def test_an_answer_of_v1_without_pictures_is_unclear(fields: object) -> None:
    """200 without a picture may have been billed."""
    with pytest.raises(PaymentUnknown):
        stability_v1.done(reply(200, fields))


# ---------------------------------------------------------------- results


async def test_a_relight_gives_a_receipt_and_its_picture(wire: Wire, sandbox: Sandbox) -> None:
    """200 with an id; 202 while at work; the look that finds the picture brings it, and it is not asked for again."""
    sandbox.change(latency_s=60)
    receipt = await sent(wire)
    assert await MAKER.poll(wire, receipt) == Pending("working")
    with pytest.raises(TryAgain) as soon:
        await MAKER.collect(wire, receipt, Ready())
    assert soon.value.retry_after_s == 10
    sandbox.line.finish()
    ready = await MAKER.poll(wire, receipt)
    asked = sandbox.counters.seen["result"]
    assert isinstance(ready, Told)
    done = await MAKER.collect(wire, receipt, ready)
    assert (done.outputs[0].media_type, sandbox.counters.seen["result"]) == ("image/png", asked)


@pytest.mark.parametrize(
    ("spoiled", "error", "paid"),
    [
        (fault("result", "gone"), ResultExpired, "yes"),
        (fault("result", "completed_error", value="content_moderation"), ContentBlocked, "no"),
        (fault("result", "completed_error", value="bad_request"), ProviderRefused, "no"),
        (fault("result", "5xx", value=502), TryAgain, None),
        (fault("result", "429"), TryAgain, None),
        (fault("result", "error_type", value="unauthorized"), KeyRejected, "no"),
        (fault("result", "empty"), TryAgain, None),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_a_result_that_is_none_is_translated(
    spoiled: Fault, error: type[Exception], paid: str | None, wire: Wire, sandbox: Sandbox
) -> None:
    """Gone after a day, blocked, failed, or only not now."""
    sandbox.faults.add(spoiled)
    receipt = await sent(wire)
    with pytest.raises(error) as failed:
        await MAKER.collect(wire, receipt, await ended(wire, receipt))
    assert getattr(failed.value, "paid", None) == paid


async def test_what_came_at_once_cannot_be_asked_for_again(wire: Wire, sandbox: Sandbox) -> None:
    """A picture that was lost between its answer and the disk has no id there: it says so and asks nobody."""
    for ask in (MAKER.poll(wire, {}), MAKER.collect(wire, {}, Ready())):
        with pytest.raises(ResultExpired):
            await ask
    assert sandbox.stats()["requests"] == []


# ---------------------------------------------------------------- with the engine


async def test_a_picture_of_exactly_the_asked_size(
    open_studio: OpenStudio, at_sandbox: dict[str, str], workspace: Path
) -> None:
    """1920x1080 is made at the nearest legal size, cut and scaled here, and both sizes stand in the log."""
    ask = Ask(
        requests=(Request(prompt="a kite", provider="stability", options={"target_size": "1920x1080"}),), job_id="job-1"
    )
    async with open_studio(**at_sandbox) as studio:
        told_all = await studio.generate(ask)
    (entry,) = told_all.generations
    assert (entry.state, entry.cost_usd) == ("succeeded", 0.03)
    with Image.open(entry.outputs[0]) as picture:
        assert picture.size == (1920, 1080)
    (row,) = told(workspace)
    assert (row["width"], row["height"]) == (1920, 1080)
    assert "1920x1080" in str(row["warnings"])


async def test_a_relight_is_looked_for_no_faster_than_allowed(
    open_studio: OpenStudio,
    at_sandbox: dict[str, str],
    workspace: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before each look lie at least ten seconds of the clock (here short ones), and the last one brings the picture."""
    pauses: list[float] = []
    now = time.time

    async def pause(line: Line, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            sandbox.line.finish()
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(Line, "pause", pause)
    monkeypatch.setattr("hoasi.pace.time.time", lambda: now() + sum(pauses))
    sandbox.change(latency_s=600)
    (workspace / "cat.png").write_bytes(png())
    request = Request(prompt="golden hour", operation="relight", provider="stability", references=("cat.png",))
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(Ask(requests=(request,), job_id="job-1", no_faces=True))
    (entry,) = said.generations
    assert (entry.state, entry.cost_usd) == ("succeeded", 0.08)
    assert len(pauses) == sandbox.counters.seen["result"] == 3
    assert min(pauses) >= 10


class Clock:
    """anyio, whose pauses take no time but are counted."""

    now_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(anyio, name)

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await anyio.sleep(0.01)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the result was asked for, by a clock on which only our own pauses take time."""
    clock, ask = Clock(), stability._asked
    times: list[float] = []

    async def noted(wire: Wire, receipt: dict[str, Any]) -> Reply:
        times.append(clock.now_s)
        return await ask(wire, receipt)

    for room in ("pace", "bringing", "line"):
        monkeypatch.setattr(f"hoasi.{room}.anyio", clock)
    monkeypatch.setattr(stability, "_asked", noted)
    return times


async def test_no_trouble_and_no_restart_makes_it_look_faster(
    open_studio: OpenStudio, at_sandbox: dict[str, str], workspace: Path, sandbox: Sandbox, looks: list[float]
) -> None:
    """Looks that were lost, a result that cannot be saved, the next process, a forgotten status: ten seconds apart."""
    sandbox.faults.add(*(fault("result", kind) for kind in ("truncated", "5xx", "truncated")))
    (workspace / "cat.png").write_bytes(png())
    folder = workspace / "jobs/job-1/input/raw_assets/images/ai_generated"
    request = Request(prompt="golden hour", operation="relight", provider="stability", references=("cat.png",))
    async with open_studio(**at_sandbox) as studio:
        batch = await studio.begin(Ask(requests=(request,), job_id="job-1", no_faces=True))
        folder.rmdir()
        folder.touch()
        said = await studio.wait(batch)
    assert [(entry.state, entry.paid) for entry in said.generations] == [("failed", "yes")]
    assert len(looks) >= 4
    folder.unlink()
    before = len(looks)
    sandbox.faults.add(*(fault("result", kind) for kind in ("truncated", "gone")))
    async with open_studio(**at_sandbox) as studio:
        said = await studio.resume()
    assert [entry.state for entry in said.generations] == ["succeeded"]
    assert len(looks) == before + 3
    assert len(looks) == sandbox.counters.seen["result"]
    assert min(later - earlier for earlier, later in pairwise(looks)) > 9.999  # sums of fractions


async def test_a_lost_reply_is_unknown_and_never_sent_again(
    open_studio: OpenStudio, at_sandbox: dict[str, str], sandbox: Sandbox
) -> None:
    """Nobody can be asked for it: it stays unknown, also when the same is asked for again."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    ask = Ask(requests=(Request(prompt="a kite", provider="stability"),), job_id="job-1")
    for _ in range(2):
        async with open_studio(**at_sandbox) as studio:
            said = await studio.generate(ask)
        assert [(entry.state, entry.paid) for entry in said.generations] == [("unknown", "unknown")]
    assert sandbox.stats()["submissions"] == 1


async def test_a_blurred_picture_is_never_a_file(
    open_studio: OpenStudio, at_sandbox: dict[str, str], workspace: Path, sandbox: Sandbox
) -> None:
    """A blocked picture is a failure that was paid, and no file."""
    sandbox.faults.add(fault("result", "completed_error", value="CONTENT_FILTERED"))
    ask = Ask(requests=(Request(prompt="a kite", provider="stability"),), job_id="job-1")
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(ask)
    assert [(e.state, e.paid, e.cost_usd, e.outputs) for e in said.generations] == [("failed", "yes", 0.03, ())]
    assert pictures(workspace) == []


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("count", [1, 3])
async def test_sdxl_is_tried_and_core_makes_what_it_cannot(
    count: int,
    is_there: bool,
    open_studio: OpenStudio,
    at_sandbox: dict[str, str],
    workspace: Path,
    sandbox: Sandbox,
    quick: object,
) -> None:
    """Where v1 still lives it makes the pictures; where not, Core does at once, which reply and log say."""
    sandbox.change(stability_has_v1=is_there)
    options = {"target_size": "1920x1080"}
    request = Request(prompt="a kite", provider="stability", model=SDXL, num_images=count, options=options)
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(Ask(requests=(request,), job_id="job-1"))
    used = SDXL if is_there else CORE
    assert [(entry.state, entry.model) for entry in said.generations] == [("succeeded", used)] * count
    assert [row["model"] for row in told(workspace)] == [used] * count
    assert all(any(CORE in note for note in entry.notes) != is_there for entry in said.generations)
    assert list(sandbox.stats()["models"].values()) == [count]
    assert [path for _, path in sandbox.stats()["requests"] if "/v1/" in path] == [f"/{card(SDXL).endpoint}"] * count
    assert quick == []  # nobody paused
    with Image.open(said.generations[0].outputs[0]) as picture:
        assert picture.size == (1920, 1080)


@pytest.mark.parametrize("why", [{"kind": "429"}, {"kind": "error_type", "value": "unauthorized"}])
async def test_core_does_not_make_what_sdxl_only_cannot_make_now(
    why: dict[str, str], open_studio: OpenStudio, at_sandbox: dict[str, str], sandbox: Sandbox, quick: object
) -> None:
    """A crowd that does not pass, or a refused key, is no reason to make it with another model than was asked for."""
    sandbox.faults.add(fault("submit", **why, times=0))
    request = Request(prompt="a kite", provider="stability", model=SDXL)
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(Ask(requests=(request,), job_id="job-1"))
    (entry,) = said.generations
    assert (entry.state, entry.paid, entry.model) == ("failed", "no", SDXL)
    assert {path for _, path in sandbox.stats()["requests"]} == {f"/{card(SDXL).endpoint}"}
