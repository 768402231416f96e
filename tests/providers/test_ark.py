"""Ark's translator against its mirror image: profiles, groups that are kept event by event, regions, refusals."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calls import OpenStudio, content, fault, told
from contract import ProviderContract, fullest, planned
from hoasi import Ask
from hoasi.addresses import origin_of
from hoasi.catalogue import Card, load
from hoasi.errors import (
    ContentBlocked,
    GenerationFailed,
    HoasiError,
    KeyRejected,
    NotAccepted,
    NotSupported,
    PaymentUnknown,
    ProviderRefused,
)
from hoasi.providers import ark_replies, provider
from hoasi.providers._outcomes import Order, Sent
from hoasi.providers.ark import Ark
from hoasi.providers.ark_body import body, counted, named
from hoasi.providers.ark_group import Group
from hoasi.records import Planned, Request
from hoasi.results import Output
from hoasi.sandbox import Fault, Sandbox
from hoasi.sandbox.ark_models import model_of
from hoasi.settings import read
from hoasi.shop import origins_of
from hoasi.street import Reply, ReplyLost, Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
MAKER = Ark()
FOUR, PRO, ENDPOINT = "doubao-seedream-4-0-250828", "doubao-seedream-5-0-pro-260628", "ep-20251121abcdef-x1y2z"
CHINA, ASIA = Ark.origins[""], Ark.regions["ap-southeast"][""]
CARDS = load("ark").cards
GROUPS = [card for card in CARDS if card.max_images > 1]


class TestArk(ProviderContract):
    """The promises of every provider, kept by Ark."""

    name = "ark"


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as Ark sees it, leading to the sandbox."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, {"": fal}, MAKER.auth("ark-key"))
    await street.close()


@pytest.fixture
def at_sandbox(fal: str) -> dict[str, str]:
    """The environment in which Ark is the sandbox."""
    return {"HOASI_ARK_URL": fal, "ARK_API_KEY": "ark-1234567"}


def card(model: str) -> Card:
    return load("ark").card(model)


def png() -> bytes:
    with io.BytesIO() as file:
        Image.radial_gradient("L").resize((64, 48)).save(file, "PNG")
        return file.getvalue()


def order(model: str = FOUR, **asked: Any) -> Order:
    return order_of(planned(card(model), **asked))


def order_of(plan: Planned, **more: Any) -> Order:
    return Order(plan, tuple(Sent(item, data=png()) for item in plan.inputs), **more)


def group(count: int = 4) -> tuple[Order, list[tuple[int, Output]]]:
    """An order of several pictures, and what arrives of it before the end."""
    came: list[tuple[int, Output]] = []

    async def arrived(k: int, output: Output) -> None:
        came.append((k, output))

    return order_of(planned(card(FOUR), num_images=count), arrived=arrived), came


def reply(status: int, fields: object = None) -> Reply:
    return Reply(status, {}, b"" if fields is None else json.dumps(fields).encode())


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (order(), "2K"),
        (order(resolution="4k"), "4K"),
        (order(aspect_ratio="3:4"), "1728x2304"),
        (order(aspect_ratio="16:9", resolution="1K"), "1280x720"),
        (order(aspect_ratio="3:2", resolution="4K"), "4992x3328"),
        (order(PRO, aspect_ratio="9:16", resolution="1.5K"), "1080x1920"),
        (order(ENDPOINT, aspect_ratio="21:9"), "3024x1296"),
    ],
)
def test_a_class_or_exact_pixels_never_both(wanted: Order, size: str) -> None:
    """Without a ratio the class alone is sent; with one its pixels in that class."""
    assert body(wanted, CHINA)["size"] == size


def test_what_a_model_lacks_is_not_sent() -> None:
    """One picture: no group, no stream, no seed, no nulls; the watermark is off, said aloud."""
    assert set(body(order(), CHINA)) == {"model", "prompt", "size", "response_format", "watermark"}
    assert body(order(PRO), CHINA) == {
        "model": PRO,
        "prompt": "a kite",
        "size": "2K",
        "response_format": "url",
        "watermark": False,
        "output_format": "png",
    }


def test_a_group_is_streamed_and_its_prompt_says_how_many() -> None:
    """Several pictures are one call; a prompt that says the number already stays as it is."""
    made = body(order(num_images=4), CHINA)
    options = made["sequential_image_generation_options"]
    assert (made["sequential_image_generation"], options, made["stream"]) == ("auto", {"max_images": 4}, True)
    assert made["prompt"] == "a kite\n\nGenerate 4 images."
    for said in ("4 pictures of a kite", "\u751f\u62104\u5f20", "Generate 4 Images"):
        assert counted(said, 4) == said
    assert counted("14 images", 4) != "14 images"


def test_references_travel_as_data_or_address() -> None:
    """Bytes as a data address of their type, an address as it is."""
    plan = planned(card(FOUR), references=2)
    first, second = plan.inputs
    wanted = Order(plan, (Sent(first, data=b"abc"), Sent(second, url="https://files.example/2.png")))
    assert body(wanted, CHINA)["image"] == [
        f"data:image/png;base64,{base64.b64encode(b'abc').decode()}",
        "https://files.example/2.png",
    ]


def test_the_other_platform_writes_ids_without_their_prefix() -> None:
    """BytePlus has no `doubao-`; an endpoint's id is the same everywhere."""
    assert (named(FOUR, ASIA), named(FOUR, CHINA)) == ("seedream-4-0-250828", FOUR)
    assert named(ENDPOINT, ASIA) == ENDPOINT
    assert load("ark").card("seedream-4-0-250828", "generate_image").id == FOUR


def test_a_region_is_chosen_by_name(tmp_path: Path) -> None:
    """`HOASI_ARK_REGION` leads to the host of that platform; a name that is none is refused."""
    assert origins_of(provider("ark"), read(tmp_path, environ={})) == {"": CHINA}
    assert origins_of(provider("ark"), read(tmp_path, environ={"HOASI_ARK_REGION": "AP-Southeast"})) == {"": ASIA}
    with pytest.raises(NotSupported) as refused:
        origins_of(provider("ark"), read(tmp_path, environ={"HOASI_ARK_REGION": "mars"}))
    assert refused.value.facts["known"] == "cn-beijing, ap-southeast"


def test_an_endpoint_of_ones_own_has_a_careful_card() -> None:
    """Its id is kept, so that two endpoints are two models; only what all models take is offered."""
    plan = planned(card(ENDPOINT), model=ENDPOINT)
    other = planned(card(ENDPOINT), model="ep-2")
    assert (plan.model, plan.price.usd, plan.fingerprint == other.fingerprint) == (ENDPOINT, None, False)
    with pytest.raises(NotSupported):
        planned(card(ENDPOINT), resolution="4K")


@pytest.mark.parametrize("model", CARDS, ids=lambda c: c.id)
async def test_every_card_is_understood(model: Card, wire: Wire, sandbox: Sandbox) -> None:
    """All that a card takes, with and without references, in each class and shape, is accepted."""
    for references in (0, 1, model.references):
        plan = fullest(model, references=references)
        done = await MAKER.submit(wire, order_of(plan))
        assert len(done.outputs) == len(plan.stems)
    for resolution in model.resolutions:
        for ratio in (None, *model.sizes.ratios):
            await MAKER.submit(wire, order_of(planned(model, resolution=resolution, aspect_ratio=ratio)))
    assert sandbox.stats()["unknown_fields"] == {}


@pytest.mark.parametrize(
    ("model", "asked", "key"),
    [
        (FOUR, {"resolution": "3K"}, "value_not_supported"),
        (FOUR, {"aspect_ratio": "5:1"}, "ratio_not_supported"),
        (FOUR, {"references": 11}, "too_many_references"),
        (FOUR, {"output_format": "png"}, "parameter_not_supported"),
        (PRO, {"output_format": "webp"}, "value_not_supported"),
        (FOUR, {"negative_prompt": "blur"}, "parameter_not_supported"),
        (FOUR, {"roles": ["mask"]}, "mask_not_taken"),
    ],
)
def test_what_cannot_be_done_is_refused_before_money(model: str, asked: dict[str, Any], key: str) -> None:
    """Classes, shapes, numbers of references, formats: named, with what is allowed."""
    with pytest.raises(NotSupported) as refused:
        planned(card(model), **asked)
    assert refused.value.key == key


# ---------------------------------------------------------------- groups


async def test_each_picture_of_a_group_is_told_at_its_event(wire: Wire) -> None:
    """Numbered as they come; the end says what was billed."""
    wanted, came = group()
    done = await MAKER.submit(wire, wanted)
    assert [k for k, _ in came] == [0, 1, 2, 3]
    assert [output for _, output in came] == list(done.outputs)
    assert done.facts == {"generated_images": 4, "cost_usd": 0.12}


async def test_a_blocked_picture_does_not_take_the_paid_ones_away(wire: Wire, sandbox: Sandbox) -> None:
    """What was blocked is missing, with its reason, and not billed; the others close up."""
    sandbox.change(ark_blocked=(1,))
    wanted, came = group()
    done = await MAKER.submit(wire, wanted)
    assert ([k for k, _ in came], len(done.outputs)) == ([0, 1, 2], 3)
    assert done.facts == {
        "generated_images": 3,
        "cost_usd": 0.09,
        "missing": 1,
        "missing_why": ["OutputImageSensitiveContentDetected"],
    }


async def test_a_group_may_be_smaller_than_asked(wire: Wire, sandbox: Sandbox) -> None:
    """The model decides; what is missing is said, and only what came is billed."""
    sandbox.change(ark_group_gives=2)
    done = await MAKER.submit(wire, group()[0])
    assert (len(done.outputs), done.facts["missing"], done.facts["cost_usd"]) == (2, 2, 0.06)


@pytest.mark.parametrize("count", [1, 4])
async def test_nothing_but_blocked_pictures_is_a_blocked_result(count: int, wire: Wire, sandbox: Sandbox) -> None:
    """Unpaid, and it says so."""
    sandbox.change(ark_blocked=(0, 1, 2, 3))
    with pytest.raises(ContentBlocked) as blocked:
        await MAKER.submit(wire, group(count)[0])
    assert blocked.value.paid == "no"


async def test_a_stream_that_breaks_off_keeps_what_came(wire: Wire, sandbox: Sandbox) -> None:
    """The connection ends after the first event: the first picture was told, the rest is unknown."""
    sandbox.faults.add(fault("submit", "truncated"))
    wanted, came = group()
    with pytest.raises(ReplyLost):
        await MAKER.submit(wire, wanted)
    assert [k for k, _ in came] == [0]


async def test_a_stream_without_its_end_is_unclear() -> None:
    """Fewer pictures than asked and no word of the bill: nobody knows."""
    wanted, _ = group(2)
    seen = Group(wanted)
    await seen.take({"type": "image_generation.partial_succeeded", "url": "https://a.example/0"})
    with pytest.raises(PaymentUnknown):
        seen.done(reply(200))
    await seen.take({"type": "image_generation.partial_succeeded", "url": "https://a.example/1"})
    assert len(seen.done(reply(200)).outputs) == 2


async def test_other_events_are_passed_over() -> None:
    """What is not known says nothing."""
    wanted, came = group(2)
    seen = Group(wanted)
    for event in ({}, {"type": "image_generation.started"}, {"type": "x", "url": None}, {"error": "text"}):
        await seen.take(event)
    assert came == []


@pytest.mark.parametrize("fields", [{}, {"data": []}, {"data": [{}]}, {"data": 1}, [], "text"])
async def test_an_answer_without_pictures_is_unclear(fields: object) -> None:
    """200 without a picture or an error may have been billed."""
    seen = Group(order())
    await seen.read(reply(200, fields))
    with pytest.raises(PaymentUnknown):
        seen.done(reply(200, fields))


# ---------------------------------------------------------------- what a refusal means


@pytest.mark.parametrize("count", [1, 4], ids=["one", "group"])
@pytest.mark.parametrize(
    ("spoiled", "error", "paid", "key"),
    [
        (fault("submit", "429", value=7), NotAccepted, "no", "rate_limited"),
        (fault("submit", "error_type", value="ServerOverloaded"), NotAccepted, "no", "rate_limited"),
        (fault("submit", "error_type", value="QuotaExceeded"), KeyRejected, "no", "key_rejected"),
        (fault("submit", "error_type", value="SetLimitExceeded"), KeyRejected, "no", "key_rejected"),
        (fault("submit", "error_type", value="AccountOverdueError"), KeyRejected, "no", "key_rejected"),
        (fault("submit", "error_type", value="AuthenticationError"), KeyRejected, "no", "key_other_region"),
        (fault("submit", "error_type", value="ModelNotOpen"), KeyRejected, "no", "model_not_open"),
        (
            fault("submit", "error_type", value="InvalidEndpointOrModel.NotFound"),
            KeyRejected,
            "no",
            "model_not_open",
        ),
        (
            fault("submit", "error_type", value="InputTextSensitiveContentDetected"),
            ContentBlocked,
            "no",
            "content_blocked",
        ),
        (
            fault("submit", "error_type", value="InputImageSensitiveContentDetected.PrivacyInformation"),
            ContentBlocked,
            "no",
            "content_blocked",
        ),
        (fault("submit", "validation", value="size"), ProviderRefused, "no", "refused"),
        (fault("submit", "error_type", value="InternalServiceError"), PaymentUnknown, "unknown", "reply_unclear"),
        (fault("submit", "5xx", value=502), PaymentUnknown, "unknown", "reply_unclear"),
        (fault("submit", "garbage"), PaymentUnknown, "unknown", "reply_unclear"),
        (fault("submit", "empty"), PaymentUnknown, "unknown", "reply_unclear"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_a_refusal_says_whether_it_was_paid(
    spoiled: Fault, error: type[HoasiError], paid: str, key: str, count: int, wire: Wire, sandbox: Sandbox
) -> None:
    """One POST; rates may wait, what is used up may not, content is named, the rest may have been billed."""
    sandbox.faults.add(spoiled)
    with pytest.raises(HoasiError) as refused:
        await MAKER.submit(wire, group(count)[0])
    assert (type(refused.value), refused.value.paid, refused.value.key) == (error, paid, key)
    assert len(sandbox.stats()["requests"]) == 1


def test_a_wrong_region_is_named() -> None:
    """A 401 tells the host, the variable and the regions; the field stands before the words of a 400."""
    error = {"error": {"code": "AuthenticationError", "message": "invalid key", "param": ""}}
    refused = ark_replies.refused(reply(401, error), FOUR, ASIA, tuple(Ark.regions))
    assert refused.facts["host"] == "ark.ap-southeast.bytepluses.com"
    assert (refused.facts["name"], refused.facts["known"]) == ("HOASI_ARK_REGION", "cn-beijing, ap-southeast")
    error = {"error": {"code": "InvalidParameter", "message": "too small", "param": "size"}}
    assert ark_replies.refused(reply(400, error), FOUR, ASIA, ()).detail == "size: too small"


def test_a_group_that_failed_for_other_reasons_is_no_blocked_content() -> None:
    """Only what speaks of content is content."""
    assert ark_replies.leaf("InternalServiceError") is ProviderRefused
    assert ark_replies.leaf("OutputImageSensitiveContentDetected") is ContentBlocked
    assert issubclass(ark_replies.leaf("-"), GenerationFailed)


# ---------------------------------------------------------------- with the engine


def asked(count: int) -> Ask:
    return Ask(requests=(Request(prompt="a kite", provider="ark", num_images=count),), job_id="job-1")


async def test_a_group_lands_on_disk(open_studio: OpenStudio, at_sandbox: dict[str, str], workspace: Path) -> None:
    """Four pictures, one call, what usage says is what it cost."""
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(asked(4))
    (entry,) = said.generations
    assert (entry.state, entry.paid, entry.cost_usd, len(entry.outputs)) == ("succeeded", "yes", 0.12, 4)
    assert len({path for row in told(workspace) if (path := row["output_path"])}) == 4


async def test_of_a_partly_blocked_group_the_paid_pictures_are_kept(
    open_studio: OpenStudio, at_sandbox: dict[str, str], sandbox: Sandbox
) -> None:
    """Three of four come, under the first three names, and three are paid."""
    sandbox.change(ark_blocked=(0,))
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(asked(4))
    (entry,) = said.generations
    assert (entry.state, entry.cost_usd, len(set(entry.outputs))) == ("succeeded", 0.09, 3)
    assert sandbox.counters.seen["download"] == 3


async def test_a_lost_stream_keeps_its_pictures_and_is_unknown(
    open_studio: OpenStudio, at_sandbox: dict[str, str], sandbox: Sandbox
) -> None:
    """What came before the connection broke is on disk; the generation says that more may have been billed."""
    sandbox.faults.add(fault("submit", "truncated"))
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(asked(4))
    (entry,) = said.generations
    assert (entry.state, entry.paid, len(entry.outputs)) == ("unknown", "unknown", 1)
    assert content(entry.outputs[0]).startswith(b"\xff\xd8")
    assert sandbox.stats()["submissions"] == 1


async def test_an_address_that_ran_out_is_told(
    open_studio: OpenStudio, at_sandbox: dict[str, str], sandbox: Sandbox, quick: object
) -> None:
    """Ark keeps a picture for a day: when it is gone, the generation has expired and was paid."""
    sandbox.change(forget_after_s=0)
    async with open_studio(**at_sandbox) as studio:
        said = await studio.generate(asked(1))
    (entry,) = said.generations
    assert (entry.state, entry.paid) == ("expired", "yes")


def test_the_profiles_are_those_of_the_mirror() -> None:
    """Cards and sandbox agree on classes, groups and formats of every model."""
    for wanted in CARDS:
        theirs = model_of(wanted.id)
        assert theirs is not None
        assert set(wanted.resolutions) <= set(theirs.classes)
        assert theirs.has_groups or wanted.max_images == 1
        assert set(wanted.formats) <= set(theirs.formats)


async def test_an_address_is_kept_as_a_receipt(
    open_studio: OpenStudio, at_sandbox: dict[str, str], sandbox: Sandbox, quick: object
) -> None:
    """The picture could not be had just now: the next call fetches it from where it lies, and pays nothing."""
    sandbox.faults.add(fault("download", "5xx", times=4))
    async with open_studio(**at_sandbox) as studio:
        (first,) = (await studio.generate(asked(1))).generations
    async with open_studio(**at_sandbox) as studio:
        (again,) = (await studio.generate(asked(1))).generations
    assert (first.state, first.paid) == ("failed", "yes")
    assert (len(again.outputs), again.error) == (1, None)
    assert sandbox.stats()["submissions"] == 1
