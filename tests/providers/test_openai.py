"""OpenAI's translator against its mirror image: what is sent, what is refused, what it cost, what is lost."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from calls import OpenStudio, fault, harm, one, person, pictures
from contract import ProviderContract, fullest, picture, planned
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
)
from hoasi.given import Given
from hoasi.providers import openai_replies
from hoasi.providers._outcomes import Done, Order, Sent
from hoasi.providers.openai import OpenAI
from hoasi.providers.openai_body import body, files
from hoasi.records import Planned, Request
from hoasi.results import Output
from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.street import Reply, ReplyLost, Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
OPENAI = OpenAI()
SUNBURST, TWO = "gpt-image-2.5-sunburst", "gpt-image-2"
CARDS = load("openai").cards


class TestOpenAI(ProviderContract):
    """The promises of every provider, kept by OpenAI."""

    name = "openai"


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as OpenAI sees it, leading to the sandbox of all providers."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, {"": fal}, OPENAI.auth("key"))
    await street.close()


def card(model: str = SUNBURST) -> Card:
    return load("openai").card(model)


def png(width: int = 1280, height: int = 720, mode: str = "RGB") -> bytes:
    with io.BytesIO() as file:
        Image.new(mode, (width, height)).save(file, "png")
        return file.getvalue()


def order(model: str = SUNBURST, *, references: int = 0, **asked: object) -> Order:
    return sent_with(planned(card(model), references=references, **asked))


def sent_with(plan: Planned) -> Order:
    """A plan whose pictures are read."""
    return Order(plan, tuple(Sent(item, data=png()) for item in plan.inputs))


def body_of(wanted: Order) -> dict[str, Any]:
    return body(wanted.planned, card(wanted.planned.model))


def reply(status: int, code: str = "", **headers: str) -> Reply:
    content = json.dumps({"error": {"code": code, "message": "no"}}).encode() if code else b"<html>"
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, None),
        ({"aspect_ratio": "1:1"}, "1024x1024"),
        ({"aspect_ratio": "2:3"}, "1024x1536"),
        ({"aspect_ratio": "9:16"}, "864x1536"),
        ({"aspect_ratio": "16:9", "resolution": "2k"}, "2560x1440"),
        ({"aspect_ratio": "16:9", "resolution": "4K"}, "3840x2160"),
        ({"aspect_ratio": "1:1", "resolution": "4K"}, "2880x2880"),
        ({"aspect_ratio": "3:1", "resolution": "4K"}, "3840x1280"),
        ({"resolution": "2K"}, "1920x1920"),
        ({"resolution": "1792x1024"}, "1792x1024"),
        ({"resolution": "1792x1024", "aspect_ratio": "16:9"}, "1792x1024"),
        ({"resolution": "1920x1088"}, "1920x1088"),
        ({"resolution": "3840X1280 "}, "3840x1280"),
        ({"resolution": "1024x640"}, "1024x640"),
    ],
)
def test_a_shape_becomes_pixels(asked: dict[str, Any], size: str | None) -> None:
    """Ratio and resolution, or exact pixels; nothing asked leaves it to the model."""
    assert body_of(order(**asked)).get("size") == size


@pytest.mark.parametrize(
    "size",
    ["1000x1000", "1920x1080", "1024x624", "3856x2160", "3840x2176", "1664x544", "16x40960", "0x0", "big", "2048x"],
)
def test_pixels_that_openai_would_refuse_are_named_before(size: str) -> None:
    """Steps of 16, area, longest side, ratio of the sides: the refusal says how free the sizes are."""
    with pytest.raises(NotSupported) as refused:
        order(resolution=size)
    assert refused.value.key == "value_not_supported"
    assert all(word in str(refused.value.facts["allowed"]) for word in ("1792x1024", "4K", "16", "3840", "655360"))


@pytest.mark.parametrize(("size", "usd"), [("1920x1088", 0.053), ("2560x1440", 0.053), ("2576x1440", 0.106)])
def test_pixels_cost_what_the_resolution_costs_that_they_come_to(size: str, usd: float) -> None:
    """What is larger than 2K counts as 4K."""
    assert order(resolution=size, options={"quality": "high"}).planned.price.usd == usd


@pytest.mark.parametrize("resolution", ["1K", "2K", "4K"])
@pytest.mark.parametrize("ratio", card().sizes.ratios)
def test_every_shape_can_be_drawn(ratio: str, resolution: str) -> None:
    """Sides are multiples of 16, within the longest side, the pixels and the ratio that OpenAI takes."""
    sides = body_of(order(aspect_ratio=ratio, resolution=resolution))["size"].split("x")
    width, height = map(int, sides)
    across, down = map(int, ratio.split(":"))
    assert (width % 16, height % 16) == (0, 0)
    assert max(width, height) <= min(3840, 3 * min(width, height))
    assert 655_360 <= width * height <= 8_294_400
    assert width / height == pytest.approx(across / down, rel=0.02)


def test_a_larger_picture_keeps_the_shape_of_the_first() -> None:
    """An edit with a resolution and no ratio does not become square."""
    assert body_of(order(references=1, resolution="2K"))["size"] == "2560x1440"


def test_pixels_of_another_shape_than_the_ratio_are_refused() -> None:
    """Two shapes at once: neither is silently dropped."""
    with pytest.raises(NotSupported) as refused:
        body_of(order(resolution="1792x1024", aspect_ratio="9:16"))
    assert refused.value.key == "forbidden_together"


def test_only_what_was_asked_for_is_sent() -> None:
    """The model, the words, one picture, PNG and the default quality; never a seed or the scene."""
    assert body_of(order(seed=7, scene={"id": "SC_01"})) == {
        "model": SUNBURST, "prompt": "a kite", "n": 1, "output_format": "png", "quality": "medium",
    }  # fmt: skip


@pytest.mark.parametrize(("count", "names"), [(1, ["image"]), (3, ["image[]"] * 3)])
def test_pictures_are_parts_of_a_form(count: int, names: list[str]) -> None:
    """One is `image`, several are `image[]`, in their order; each is named after what its bytes are."""
    parts = files(order(references=count))
    assert [name for name, _ in parts] == names
    assert {(part[0].rpartition(".")[2], part[2]) for _, part in parts} == {("png", "image/png")}


@pytest.mark.parametrize(
    ("old", "now"),
    [(name, SUNBURST) for name in ("dall-e-3", "dall-e-2", "gpt-image-1", "gpt-image-1.5", "chatgpt-image-latest")]
    + [("gpt-image-1-mini", "gpt-image-2.5-flare")],
)
async def test_a_model_that_was_shut_down_becomes_its_successor(old: str, now: str, open_studio: OpenStudio) -> None:
    """Old names lead to today's model, and the plan says so."""
    async with open_studio(OPENAI_API_KEY="k") as studio:
        plan = await studio.plan(one(provider="openai", model=old))
    assert plan.items[0].model == now
    assert any(old in note and now in note for note in plan.warnings)


@pytest.mark.parametrize("model", CARDS, ids=lambda c: c.id)
async def test_every_card_is_understood(model: Card, wire: Wire, sandbox: Sandbox) -> None:
    """All that a card takes, with and without pictures, is accepted and gives the picture and its exact cost."""
    for references in (0, 1, model.references):
        for quality in model.options["quality"].choices:
            plan = fullest(model, references=references)
            plan = plan.model_copy(update={"parameters": {**plan.parameters, "quality": quality}})
            done = await OPENAI.submit(wire, sent_with(plan))
            assert len(done.outputs) == 1
            assert ("cost_usd" in done.facts) == (model.price is not None)
    assert sandbox.stats()["posts_received"] == sandbox.stats()["submissions"]


# ---------------------------------------------------------------- refused before anything is sent


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"aspect_ratio": "5:1"}, "ratio_not_supported"),
        ({"resolution": "1000x1000"}, "value_not_supported"),
        ({"options": {"quality": "hd"}}, "value_not_supported"),
        ({"model": TWO, "options": {"quality": "max"}}, "value_not_supported"),
        ({"options": {"input_fidelity": "high"}}, "option_not_supported"),
        ({"options": {"output_compression": 101}}, "value_not_supported"),
        ({"references": 17}, "too_many_references"),
        ({"references": 1, "options": {"moderation": "low"}}, "forbidden_together"),
        ({"prompt": "x" * 32_001}, "prompt_too_long"),
        ({"negative_prompt": "text"}, "parameter_not_supported"),
        ({"output_format": "gif"}, "value_not_supported"),
    ],
)
def test_what_cannot_be_done_is_said_in_the_plan(asked: dict[str, Any], key: str) -> None:
    """Shapes, qualities, options, pictures: nothing is planned, let alone paid."""
    with pytest.raises(NotSupported) as refused:
        order(**asked)
    assert refused.value.key == key


def masked(mask: bytes, references: int = 1, **facts: object) -> Order:
    """An edit with a mask of these bytes, of which the plan knows these facts."""
    item = picture(9, "mask").model_copy(update={"size_bytes": len(mask), **facts})
    plan = planned(card(), references=references)
    made = sent_with(plan.model_copy(update={"inputs": (*plan.inputs, item)}))
    return replace(made, sent=(*made.sent[:-1], Sent(item, data=mask)))


UNFIT = [
    (masked(png(mode="RGBA"), width=64), "mask_size"),
    (masked(b"\xff\xd8\xff" + bytes(30), media_type="image/jpeg"), "mask_kind"),
    (masked(png(mode="RGBA") + bytes(4_000_000)), "mask_kind"),
    (masked(png(mode="RGBA"), references=0), "references_needed"),
    (order(options={"background": "transparent"}, output_format="jpeg"), "forbidden_together"),
    (order(options={"output_compression": 50}), "forbidden_together"),
]


@pytest.mark.parametrize(("wanted", "key"), UNFIT)
def test_what_does_not_fit_together_is_said_in_the_plan(wanted: Order, key: str) -> None:
    """A mask of another size or kind or without a picture, values that exclude each other."""
    with pytest.raises(NotSupported) as refused:
        OPENAI.settle(wanted.planned, {})
    assert refused.value.key == key


def test_a_mask_that_is_promised_is_not_judged_yet() -> None:
    """Of the result of another request nothing is known before it is there."""
    wanted = masked(b"", width=0, height=0, promise="x").planned
    assert OPENAI.settle(wanted, {}) is wanted


@pytest.mark.parametrize(("wanted", "key"), [*UNFIT, (masked(png(mode="RGB")), "mask_kind")])
async def test_what_does_not_fit_together_is_not_sent(wanted: Order, key: str, wire: Wire, sandbox: Sandbox) -> None:
    """A mask of another size or kind or without a picture, values that exclude each other: not one byte leaves."""
    with pytest.raises(NotSupported) as refused:
        await OPENAI.submit(wire, wanted)
    assert (refused.value.key, refused.value.paid, sandbox.stats()["requests"]) == (key, "no", [])


async def test_a_mask_that_fits_is_sent(wire: Wire, sandbox: Sandbox) -> None:
    """PNG with alpha, as large as the first picture."""
    assert len((await OPENAI.submit(wire, masked(png(mode="RGBA")))).outputs) == 1
    assert sandbox.stats()["requests"] == [("POST", "/v1/images/edits")]


# ---------------------------------------------------------------- what a refusal means


@pytest.mark.parametrize(
    ("spoiled", "error", "paid", "retry"),
    [
        (fault("submit", "429", value=7), NotAccepted, "no", "safe"),
        (fault("submit", "concurrent_requests_limit"), NotAccepted, "no", "safe"),
        (fault("submit", "error_type", value="insufficient_quota"), KeyRejected, "no", "no"),
        (fault("submit", "error_type", value="billing_hard_limit_reached"), KeyRejected, "no", "no"),
        (fault("submit", "error_type", value="project_spend_limit_exceeded"), KeyRejected, "no", "no"),
        (fault("submit", "error_type", value="organization_not_verified"), KeyRejected, "no", "no"),
        (fault("submit", "error_type", value="moderation_blocked"), ContentBlocked, "unknown", "no"),
        (fault("submit", "error_type", value="content_policy_violation"), ContentBlocked, "unknown", "no"),
        (fault("submit", "error_type", value="model_not_found"), ProviderRefused, "no", "no"),
        (fault("submit", "validation", value="invalid_size"), ProviderRefused, "no", "no"),
        (fault("submit", "error_type", value="server_error"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "5xx", value=503), PaymentUnknown, "unknown", "no"),
        (fault("submit", "garbage"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "empty"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "wrong_type"), PaymentUnknown, "unknown", "no"),
        (fault("status", "completed_error", value="server_error"), ProviderRefused, "unknown", "no"),
        (fault("status", "completed_error", value="moderation_blocked"), ContentBlocked, "unknown", "no"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_only_a_proven_refusal_is_unpaid(
    spoiled: Fault, error: type[HoasiError], paid: str, retry: str, wire: Wire, sandbox: Sandbox
) -> None:
    """One POST, and the right answer to: may it be sent again, and may it have been billed?"""
    sandbox.faults.add(spoiled)
    with pytest.raises(HoasiError) as refused:
        await OPENAI.submit(wire, order())
    assert (type(refused.value), refused.value.paid, refused.value.retry) == (error, paid, retry)
    assert sandbox.stats()["posts_received"] == 1


@pytest.mark.parametrize("kind", ["lost_reply", "reset", "truncated"])
@pytest.mark.parametrize("references", [0, 1])
async def test_a_broken_answer_is_lost(kind: str, references: int, wire: Wire, sandbox: Sandbox) -> None:
    """No whole answer is never taken for a refusal; a stream's answer is whole with its last event."""
    sandbox.faults.add(fault("submit", kind))
    if kind == "truncated" and not references:
        kept: list[tuple[int, Output]] = []

        async def keep(k: int, output: Output) -> None:
            kept.append((k, output))

        with pytest.raises(ReplyLost):
            await OPENAI.submit(wire, replace(order(), arrived=keep))
        assert [k for k, _ in kept] == [0]
        return
    with pytest.raises(ReplyLost):
        await OPENAI.submit(wire, order(references=references))


async def test_only_finished_pictures_are_kept() -> None:
    """A stream may show partial pictures; they are nobody's result, and the one that counts is kept at its event."""
    told = [
        {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "QUJD"},
        {"type": "image_generation.completed", "b64_json": "REVG"},
    ]

    async def stream(request: HttpRequest) -> HttpResponse:
        text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told)
        return HttpResponse(text, media_type="text/event-stream")

    kept: list[tuple[int, bytes | None]] = []

    async def keep(k: int, output: Output) -> None:
        kept.append((k, output.data))

    there = Starlette(routes=[Route("/v1/images/generations", stream, methods=["POST"])])
    async with serving(Sandbox(), app=there) as url:
        street = Street(frozenset({origin_of(url)}))
        done = await OPENAI.submit(Wire(street, {"": url}, {}), replace(order(), arrived=keep))
        await street.close()
    assert ([output.data for output in done.outputs], kept) == ([b"DEF"], [(0, b"DEF")])


def test_a_pause_may_be_told_in_milliseconds() -> None:
    """`retry-after-ms` counts where `retry-after` is not told."""
    asked = [
        openai_replies.refused(reply(429, "rate_limit_exceeded", retry_after_ms="1500")),
        openai_replies.refused(reply(429, "rate_limit_exceeded", retry_after_ms="1500", retry_after="3")),
        openai_replies.refused(reply(429, "rate_limit_exceeded")),
    ]
    assert [error.retry_after_s for error in asked if isinstance(error, NotAccepted)] == [1.5, 3, None]


async def test_a_wrong_key_is_rejected_unpaid(wire: Wire, sandbox: Sandbox) -> None:
    """401 names the key, not the picture."""
    sandbox.change(reject_key=True)
    with pytest.raises(KeyRejected) as refused:
        await OPENAI.submit(wire, order())
    assert refused.value.paid == "no"


@pytest.mark.parametrize("text", ["", "!", "QQ", "Q", "QQ==", "QUJD", "Q U\nJ D"])
def test_broken_base64_is_no_crash(text: str) -> None:
    """What was paid and came broken is judged by the decoder of pictures, not by a crash."""
    output = openai_replies.picture({"b64_json": text})
    assert (output is None) == (text == "")


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (
            {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 1056,
                "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
            },
            0.03205,
        ),
        ({"input_tokens_details": {"text_tokens": 10, "image_tokens": 0}, "output_tokens": 1000}, 0.03005),
        ({"input_tokens": 50, "output_tokens": 1056}, None),
        ({"input_tokens_details": {"text_tokens": 10}, "output_tokens": 1056}, None),
        ({"input_tokens_details": {"text_tokens": 10, "image_tokens": 0}}, None),
        (None, None),
        ("many", None),
    ],
)
def test_the_cost_is_exact_or_not_told(usage: object, cost: float | None) -> None:
    """Tokens by their kinds times the card's prices; what is not told apart is not guessed."""
    assert openai_replies.cost_usd(usage, card()) == cost


async def test_a_card_without_prices_tells_no_cost(wire: Wire) -> None:
    """Nobody knows what the newest model's tokens cost."""
    done = await OPENAI.submit(wire, order("gpt-image-2.6-flare"))
    assert "cost_usd" not in done.facts


# ---------------------------------------------------------------- the whole way


@pytest.fixture
def environ(fal: str) -> dict[str, str]:
    return {"OPENAI_API_KEY": "id-5f3c9a:secret-7d1e2b", "HOASI_OPENAI_URL": fal}


def drawn(**more: Any) -> Ask:
    return one(provider="openai", aspect_ratio="9:16", **more)


async def test_a_picture_costs_what_its_tokens_cost(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, workspace: Path
) -> None:
    """The estimate gives way to the exact cost; asked again it is there already and costs nothing."""
    async with open_studio(**environ) as studio:
        made = await studio.generate(drawn())
        assert made.error is None
        assert made.estimate_usd != made.cost_usd == pytest.approx(6 * 5e-6 + 439 * 30e-6)
        assert (await studio.generate(drawn())).cost_usd == 0
    assert sandbox.stats()["models"] == {SUNBURST: 1}
    assert len(pictures(workspace)) == 1


async def test_organisation_and_project_travel_with_the_key(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox
) -> None:
    """Where they are set they are sent, as headers; unset they are not."""
    assert OPENAI.headers({}) == {}
    assert OPENAI.headers({"OPENAI_ORG_ID": "org-1"}) == {"openai-organization": "org-1"}
    async with open_studio(**environ, OPENAI_ORG_ID="org-1", OPENAI_PROJECT_ID="proj-1") as studio:
        assert (await studio.generate(drawn())).error is None
    assert sandbox.stats()["submissions"] == 1


async def test_several_pictures_are_several_calls(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox
) -> None:
    """One picture a call, so that a lost reply loses one."""
    async with open_studio(**environ) as studio:
        made = await studio.generate(drawn(num_images=3))
    assert len([path for entry in made.generations for path in entry.outputs]) == 3
    assert sandbox.stats()["submissions"] == 3


async def test_an_empty_purse_is_never_asked_twice(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox
) -> None:
    """429 without money ends at once; nothing was paid."""
    sandbox.faults.add(fault("submit", "error_type", value="insufficient_quota", times=0))
    async with open_studio(**environ) as studio:
        made = await studio.generate(drawn())
    assert (made.generations[0].state, made.generations[0].paid) == ("failed", "no")
    assert made.generations[0].error is not None
    assert made.generations[0].error.key == "balance_empty"
    assert sandbox.stats()["posts_received"] == 1


async def test_a_lost_reply_is_unknown_and_never_sent_again(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox
) -> None:
    """Nobody can be asked: it may have been billed, and asking again buys nothing."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio(**environ) as studio:
        assert (await studio.generate(drawn())).generations[0].state == "unknown"
        assert (await studio.generate(drawn())).generations[0].state == "unknown"
    assert sandbox.stats()["posts_received"] == 1


async def test_a_picture_that_came_is_kept_though_its_stream_breaks(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, workspace: Path
) -> None:
    """The end of the reply is lost, the picture is not, and it is not bought again."""
    sandbox.faults.add(fault("submit", "truncated"))
    async with open_studio(**environ) as studio:
        first = (await studio.generate(drawn())).generations[0]
        again = (await studio.generate(drawn())).generations[0]
    assert (first.state, first.paid, first.cost_usd, len(first.outputs)) == ("succeeded", "yes", first.estimate_usd, 1)
    assert (again.state, again.paid, again.cost_usd) == ("skipped_existing", "no", 0.0)
    assert (len(pictures(workspace)), sandbox.stats()["posts_received"]) == (1, 1)


async def test_a_file_that_is_gone_is_said_and_not_bought_again_by_itself(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, workspace: Path
) -> None:
    """There is no receipt to fetch it with: the reply says so, costs nothing, and `overwrite` is the word that buys."""
    async with open_studio(**environ) as studio:
        made = (await studio.generate(drawn())).generations[0]
        harm(made.outputs[0])
        again = (await studio.generate(drawn())).generations[0]
        bought = (await studio.generate(drawn().model_copy(update={"overwrite": True}))).generations[0]
        later = (await studio.generate(drawn())).generations[0]
    assert (again.state, again.outputs, again.cost_usd) == ("expired", (), 0.0)
    assert again.error is not None
    assert again.error.key == "file_gone"
    assert (bought.state, later.state) == ("succeeded", "skipped_existing")
    assert sandbox.stats()["posts_received"] == 2


async def test_an_edit_goes_the_whole_way(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, workspace: Path
) -> None:
    """Two pictures of people, with consent, and a mask: one form, one picture."""
    for name, colour in (("a", "red"), ("b", "blue")):
        first = person(workspace / f"{name}.png", colour)
    with Image.open(first) as opened:
        Image.new("RGBA", opened.size).save(workspace / "mask.png")
    edit = Request(
        operation="edit_image",
        prompt="put <<<image_1>>> beside <<<image_2>>>",
        provider="openai",
        references=("a.png", "b.png"),
        inputs=(Given(role="mask", written="mask.png"),),
    )
    async with open_studio(**environ) as studio:
        made = await studio.generate(Ask(requests=(edit,), job_id="job-1", consent="I am both of them and agree."))
    assert made.error is None, made
    assert made.generations[0].state == "succeeded"
    assert sandbox.stats()["requests"] == [("POST", "/v1/images/edits")]


def test_a_stream_without_pictures_is_no_success() -> None:
    """It ended as it should, but brought nothing."""
    with pytest.raises(ProviderRefused) as refused:
        openai_replies.streamed(Reply(200, {}, b""), [{"type": "image_generation.completed"}], card())
    assert (refused.value.key, refused.value.paid) == ("no_media", "unknown")


def test_done_is_data() -> None:
    """A reply's pictures are bytes, in their order."""
    fields = {"data": [{"b64_json": "QUJD"}, {"b64_json": "REVG"}], "size": "1024x1024", "quality": "low"}
    done = openai_replies.done(Reply(200, {}, json.dumps(fields).encode()), card())
    assert isinstance(done, Done)
    assert [output.data for output in done.outputs] == [b"ABC", b"DEF"]
    assert done.facts == {"size": "1024x1024", "quality": "low"}
