"""Replicate's translator against its mirror image: schemas, what is sent and refused, results, what was lost."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from calls import OpenStudio, fault, one, person
from contract import ProviderContract, fullest, picture, planned
from hoasi import Ask, Studio, flow
from hoasi.addresses import origin_of
from hoasi.catalogue import Card, load
from hoasi.errors import (
    Cancelled,
    ContentBlocked,
    HoasiError,
    KeyRejected,
    NotAccepted,
    NotFound,
    NotSupported,
    PaymentUnknown,
    ProviderRefused,
    ProviderUnreachable,
    ResultExpired,
)
from hoasi.providers import replicate_replies
from hoasi.providers._outcomes import Order, Pending, Ready, Sent, TryAgain
from hoasi.providers.replicate import Replicate
from hoasi.providers.replicate_lost import Lost
from hoasi.providers.replicate_results import outputs
from hoasi.providers.replicate_schema import describe
from hoasi.records import Generation, Planned, Request, State
from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.sandbox import replicate as mirror
from hoasi.sandbox.replicate_models import SDXL
from hoasi.sandbox.replicate_webhooks import secret
from hoasi.street import Reply, ReplyLost, Street
from hoasi.webhooks import Forged
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
FLUX, BANANA, TWO = "black-forest-labs/flux-1.1-pro", "google/nano-banana-pro", "black-forest-labs/flux-2-pro"
SCHNELL, SEEDREAM, KLING = "black-forest-labs/flux-schnell", "bytedance/seedream-4", "kwaivgi/kling-v2.1"
CARDS = [card for card in load("replicate").cards if card.id != "*"]
PICTURES = tuple(f"https://files.example/{k}.png" for k in range(20))


class TestReplicate(ProviderContract):
    """The promises of every provider, kept by Replicate."""

    name = "replicate"


@pytest.fixture
def maker() -> Replicate:
    """One that has not read any schema yet."""
    return Replicate()


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox, maker: Replicate) -> AsyncIterator[Wire]:
    """The street as Replicate sees it, leading to the sandbox of all providers."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, {"": fal}, maker.auth("key"))
    await street.close()


def order(model: str = FLUX, *, references: int = 0, age_s: float | None = 0.0, **asked: object) -> Order:
    return order_of(planned(load("replicate").card(model), references=references, **asked), age_s)


def order_of(plan: Planned, age_s: float | None = 0.0) -> Order:
    """A plan whose inputs were uploaded, sent so long ago."""
    sent = tuple(Sent(item, url=url) for item, url in zip(plan.inputs, PICTURES, strict=False))
    return Order(plan, sent, "img-123-19a9f0c0000", age_s=age_s)


def beside(plan: Planned, receipt: dict[str, Any] | None = None) -> Generation:
    """Another order of this workspace: with its receipt, or still without."""
    state = State.SUBMITTING if receipt is None else State.RUNNING
    return Generation(id="img-456", planned=plan, attempt=1, state=state, handle=receipt, created_at=1.0)


async def given(maker: Replicate, wire: Wire, wanted: Order, sandbox: Sandbox) -> dict[str, Any]:
    """The input that was bought."""
    receipt = (await maker.submit(wire, wanted)).receipt
    told = await wire.call("GET", wire.url("", f"v1/predictions/{receipt['id']}"))
    assert sandbox.stats()["unknown_fields"] == {}
    return dict(told.fields["input"])


async def ended(maker: Replicate, wire: Wire, receipt: dict[str, Any]) -> Ready:
    while not isinstance(seen := await maker.poll(wire, receipt), Ready):  # noqa: ASYNC110  (the sandbox ends it)
        await anyio.sleep(0.005)
    return seen


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        (order(FLUX, aspect_ratio="9:16", seed=0), {"aspect_ratio": "9:16", "seed": 0, "output_format": "png"}),
        (order(FLUX, output_format="jpeg"), {"output_format": "jpg"}),
        (order(FLUX, references=1), {"image_prompt": PICTURES[0]}),
        (order(TWO, references=2, resolution="2 mp"), {"input_images": list(PICTURES[:2]), "resolution": "2 MP"}),
        (order(BANANA, references=1, resolution="4k"), {"image_input": [PICTURES[0]], "resolution": "4K"}),
        (order(SEEDREAM, resolution="2K"), {"size": "2K"}),
        (order(SCHNELL, num_images=3), {"num_outputs": 3}),
        (order("stability-ai/sdxl", aspect_ratio="9:16"), {"width": 768, "height": 1344}),
        (order("stability-ai/sdxl", references=1, roles=["mask"]), {"mask": PICTURES[0], "image": PICTURES[1]}),
        (order("stability-ai/sdxl", negative_prompt="text"), {"negative_prompt": "text"}),
        (order(KLING), {"start_image": PICTURES[0], "duration": 5, "mode": "standard"}),
        (order(KLING, options={"duration_s": 10, "mode": "pro"}), {"duration": 10, "mode": "pro"}),
        (
            order("acme/poster", aspect_ratio="16:9", seed=7),
            {"text": "a kite", "width": 1344, "height": 768, "seed": 7},
        ),
    ],
)
async def test_our_words_become_the_models(
    wanted: Order, has: dict[str, Any], maker: Replicate, wire: Wire, sandbox: Sandbox
) -> None:
    """Each under the name that the model's own schema has for it, in its spelling, and nothing it does not know."""
    made = await given(maker, wire, wanted, sandbox)
    assert has.items() <= made.items()


@pytest.mark.parametrize("model", CARDS, ids=lambda c: c.id)
async def test_every_card_is_understood(model: Card, maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """All that a card takes, for each thing it does, is known to its schema, accepted, and gives the results."""
    for operation in model.operations:
        for references in {0, model.references}:
            plan = fullest(model, operation, references=references)
            receipt = (await maker.submit(wire, order_of(plan))).receipt
            done = await maker.collect(wire, receipt, await ended(maker, wire, receipt))
            assert len(done.outputs) == len(plan.stems)
    assert sandbox.stats()["unknown_fields"] == {}


@pytest.mark.parametrize(
    ("model", "version"),
    [
        (FLUX, FLUX),
        ("stability-ai/sdxl", f"stability-ai/sdxl:{SDXL}"),
        (f"stability-ai/sdxl:{SDXL}", f"stability-ai/sdxl:{SDXL}"),
        ("acme/talks", "acme/talks"),
    ],
)
async def test_a_model_is_called_by_name_or_version(model: str, version: str, wire: Wire) -> None:
    """Official models by name, all others by the version that is pinned or the latest."""
    assert (await describe(wire, model)).version == version


async def test_a_schema_is_read_once(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """One free question a model, then only purchases."""
    for _ in range(3):
        await maker.submit(wire, order())
    assert sandbox.stats()["requests"] == [("GET", f"/v1/models/{FLUX}"), *[("POST", "/v1/predictions")] * 3]


async def test_a_schema_that_misled_is_read_again(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """A refused input may mean that the model has changed."""
    sandbox.faults.add(fault("submit", "validation"))
    with pytest.raises(ProviderRefused):
        await maker.submit(wire, order())
    await maker.submit(wire, order())
    assert [verb for verb, _ in sandbox.stats()["requests"]] == ["GET", "POST"] * 2


async def test_a_purchase_has_its_brakes(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """A quick model has ended with the answer; a slow one is stopped at twice the time that we would follow it."""
    seen: list[dict[str, str]] = []
    real = wire.pay

    async def pay(url: str, **content: Any) -> Reply:
        seen.append(content["headers"])
        return await real(url, **content)

    wire.pay = pay  # type: ignore[method-assign]  # only looks on
    receipt = (await maker.submit(wire, order())).receipt
    assert receipt["has_ended"] is True
    polls = sandbox.stats()["polls"]
    assert await maker.poll(wire, receipt) == Ready()
    assert sandbox.stats()["polls"] == polls
    await maker.submit(wire, order(KLING))
    assert [one["cancel-after"] for one in seen] == ["600s", "1200s"]
    assert {one["prefer"] for one in seen} == {"wait=1"}


# ---------------------------------------------------------------- refused before anything is paid


@pytest.mark.parametrize(
    ("wanted", "error", "key"),
    [
        (order("acme/nothing"), NotFound, "model_unknown"),
        (order(f"{FLUX}:{SDXL}"), NotFound, "model_unknown"),
        (order("acme/poster", negative_prompt="text"), NotSupported, "parameter_not_supported"),
        (order("acme/poster", references=1), NotSupported, "parameter_not_supported"),
        (order("acme/poster", num_images=2), NotSupported, "parameter_not_supported"),
        (order("acme/restyle", references=2), NotSupported, "too_many_references"),
        (order("acme/restyle", references=1), NotSupported, "schema_needs"),
        (order("acme/restyle", aspect_ratio="9:16"), NotSupported, "parameter_not_supported"),
        (order("acme/poster", aspect_ratio="21:9"), NotSupported, "value_not_supported"),
        (order(f"stability-ai/sdxl:{SDXL}", options={"cfg_scale": 0}), NotSupported, "value_not_supported"),
        (order("acme/poster", options={"mode": "pro"}), NotSupported, "parameter_not_supported"),
    ],
)
async def test_what_a_model_does_not_take_is_not_sent(
    wanted: Order, error: type[HoasiError], key: str, maker: Replicate, wire: Wire, sandbox: Sandbox
) -> None:
    """Its own schema says so, free: nothing was sent, nothing was paid."""
    with pytest.raises(error) as refused:
        await maker.submit(wire, wanted)
    assert (refused.value.key, refused.value.paid, sandbox.stats()["posts_received"]) == (key, "no", 0)


@pytest.mark.parametrize("name", ["sdxl", "a/b/c", "owner/", "https://replicate.com/a/b", "owner/name:latest", "../x"])
async def test_a_model_is_called_owner_and_name(name: str, open_studio: OpenStudio) -> None:
    """Anything else is refused in the plan."""
    async with open_studio(REPLICATE_API_TOKEN="k") as studio:
        with pytest.raises(NotFound) as refused:
            await studio.plan(one(provider="replicate", model=name))
    assert refused.value.key == "model_unknown"


@pytest.mark.parametrize(
    ("spoiled", "error"),
    [
        (fault("token", "5xx", value=503), ProviderUnreachable),
        (fault("token", "garbage"), ProviderUnreachable),
        (fault("token", "empty"), ProviderUnreachable),
        (fault("token", "429"), ProviderUnreachable),
        (fault("token", "error_type", value=401), KeyRejected),
    ],
)
async def test_without_a_schema_nothing_is_bought(
    spoiled: Fault, error: type[HoasiError], maker: Replicate, wire: Wire, sandbox: Sandbox
) -> None:
    """No answer to the free question: it is asked again later, nothing was paid."""
    sandbox.faults.add(spoiled)
    with pytest.raises(error) as refused:
        await maker.submit(wire, order())
    assert (refused.value.paid, sandbox.stats()["posts_received"]) == ("no", 0)


# ---------------------------------------------------------------- what a refusal means


@pytest.mark.parametrize(
    ("spoiled", "error", "paid"),
    [
        (fault("submit", "429", value=30), NotAccepted, "no"),
        (fault("submit", "concurrent_requests_limit"), NotAccepted, "no"),
        (fault("submit", "error_type", value=401), KeyRejected, "no"),
        (fault("submit", "error_type", value=402), KeyRejected, "no"),
        (fault("submit", "error_type", value=404), ProviderRefused, "no"),
        (fault("submit", "validation"), ProviderRefused, "no"),
        (fault("submit", "error_type", value=500), PaymentUnknown, "unknown"),
        (fault("submit", "5xx", value=502), PaymentUnknown, "unknown"),
        (fault("submit", "garbage"), PaymentUnknown, "unknown"),
        (fault("submit", "empty"), PaymentUnknown, "unknown"),
        (fault("submit", "wrong_type"), PaymentUnknown, "unknown"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_only_a_proven_refusal_is_unpaid(
    spoiled: Fault, error: type[HoasiError], paid: str, maker: Replicate, wire: Wire, sandbox: Sandbox
) -> None:
    """One POST, and the right answer to: may it be sent again, and may it have been billed?"""
    sandbox.faults.add(spoiled)
    with pytest.raises(HoasiError) as refused:
        await maker.submit(wire, order())
    assert (type(refused.value), refused.value.paid) == (error, paid)
    assert sandbox.stats()["posts_received"] == 1
    if isinstance(refused.value, NotAccepted):
        assert refused.value.retry_after_s == (30 if spoiled.kind == "429" else 2)


def reply(fields: object, status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(fields).encode())


def test_a_pause_is_read_from_the_words_too() -> None:
    """Where neither header nor number tells it."""
    words = {"detail": "Request was throttled. Your rate limit resets in ~12s."}
    error = replicate_replies.refused(reply(words, 429))
    assert isinstance(error, NotAccepted)
    assert error.retry_after_s == 12


# ---------------------------------------------------------------- how it ended


@pytest.mark.parametrize(
    ("told", "error", "paid"),
    [
        ({"status": "failed", "error": "CUDA out of memory", "started_at": "x"}, ProviderRefused, "unknown"),
        ({"status": "failed", "error": "no machine", "started_at": None}, ProviderRefused, "no"),
        ({"status": "failed", "error": "flagged as sensitive (E005)", "started_at": "x"}, ContentBlocked, "unknown"),
        ({"status": "canceled", "started_at": "x"}, Cancelled, "yes"),
        ({"status": "canceled", "started_at": None}, Cancelled, "no"),
        ({"status": "aborted", "started_at": None}, Cancelled, "no"),
        ({"status": "succeeded", "output": None, "data_removed": True}, ResultExpired, "yes"),
        ({"status": "succeeded", "output": "just words"}, ProviderRefused, "unknown"),
        ({"status": "succeeded", "output": None}, ProviderRefused, "unknown"),
    ],
)
def test_an_end_without_results(told: dict[str, Any], error: type[HoasiError], paid: str) -> None:
    """Failed, blocked, taken back, too old, words only: each says whether it was paid."""
    with pytest.raises(error) as ended_badly:
        replicate_replies.done(reply(told), load("replicate").card(FLUX))
    assert ended_badly.value.paid == paid


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ("https://replicate.delivery/a.png", 1),
        (["https://a/1", "https://a/2"], 2),
        ({"image": "https://a/1", "seed": 7}, 1),
        ({"images": ["https://a/1", "https://a/2"], "text": "x"}, 2),
        ("data:image/png;base64,QUJD", 1),
        ("data:image/png;base64,Q", 0),
        ("words", 0),
        (7, 0),
        (None, 0),
        ([None, {"x": "https://a/1"}], 0),
    ],
)
def test_results_have_several_forms(told: object, count: int) -> None:
    """One address, a list, an object, bytes inside; words are no result."""
    assert len(outputs(told)) == count


def test_results_of_one_at_work_do_not_count() -> None:
    """`processing` may come with an output already."""
    at_work = {"status": "processing", "output": "https://a/1"}
    assert replicate_replies.seen(at_work) == Pending("working")
    with pytest.raises(TryAgain):
        replicate_replies.done(reply(at_work), load("replicate").card(FLUX))


def test_pictures_that_are_counted_have_an_exact_cost() -> None:
    """What was made, times the price of one; where no price is known there is none."""
    told = {"status": "succeeded", "output": ["https://a/1"], "metrics": {"image_count": 3, "predict_time": 1.5}}
    card = load("replicate").card
    assert replicate_replies.done(reply(told), card(SCHNELL)).facts == {
        "image_count": 3, "predict_time": 1.5, "cost_usd": 0.009,
    }  # fmt: skip
    assert "cost_usd" not in replicate_replies.done(reply(told), card(BANANA)).facts


async def test_what_is_forgotten_has_expired(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """After an hour the results are gone: paid, and said so."""
    receipt = (await maker.submit(wire, order())).receipt
    sandbox.change(forget_after_s=0)
    with pytest.raises(ResultExpired):
        await maker.collect(wire, receipt, Ready())
    with pytest.raises(ResultExpired):
        await maker.poll(wire, {"id": "nothing", "model": FLUX})


async def test_cancelling_says_whether_it_helped(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """What runs is taken back; what has ended is not."""
    done = (await maker.submit(wire, order())).receipt
    sandbox.change(latency_s=60)
    receipt = (await maker.submit(wire, order(seed=1))).receipt
    assert [await maker.cancel(wire, one) for one in (receipt, done, {"id": "nothing"})] == [True, False, False]
    with pytest.raises(Cancelled):
        await maker.collect(wire, receipt, Ready())


async def test_an_upload_is_an_input(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """The address of the file is at Replicate; a failed upload is tried again."""
    address = await maker.upload(wire, picture(), b"the bytes")
    assert address.startswith(wire.url("", "v1/files/"))
    sandbox.faults.add(fault("upload", "5xx"), fault("upload", "garbage"))
    for _ in range(2):
        with pytest.raises(TryAgain):
            await maker.upload(wire, picture(), b"x")
    assert sandbox.stats()["uploads"] == 2


async def test_a_report_is_believed_only_when_it_is_signed(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """Replicate posts the end; its signature is checked, and the body names the prediction."""
    took: list[tuple[dict[str, str], bytes]] = []

    async def take(request: HttpRequest) -> Response:
        took.append((dict(request.headers), await request.body()))
        return Response()

    async with serving(Sandbox(), app=Starlette(routes=[Route("/hook", take, methods=["POST"])])) as here:
        receipt = (await maker.submit(wire, replace(order(), callback_url=f"{here}/hook"))).receipt
        while not took:  # noqa: ASYNC110  (the sandbox delivers)
            await anyio.sleep(0.01)
    headers, body = took[0]
    told = maker.report(headers, body, [secret(sandbox)], time.time())
    assert told == (headers["webhook-id"], receipt["id"])
    with pytest.raises(Forged):
        maker.report(headers, body, ["whsec_b3RoZXI="], time.time())
    with pytest.raises(Forged):
        maker.report(headers, body + b" ", [secret(sandbox)], time.time())


# ---------------------------------------------------------------- a lost receipt


async def lost(maker: Replicate, wire: Wire, sandbox: Sandbox, wanted: Order) -> None:
    sandbox.faults.add(fault("submit", "lost_reply"))
    with pytest.raises(ReplyLost):
        await maker.submit(wire, wanted)


async def test_a_lost_receipt_is_found_by_its_input(
    maker: Replicate, wire: Wire, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among others, on a later page, without its files: the seed tells."""
    monkeypatch.setattr(mirror, "PAGE", 2)
    wanted = order(references=1)
    await lost(maker, wire, sandbox, wanted)
    bought = [(await maker.submit(wire, order(seed=seed))).receipt["id"] for seed in range(4)]
    found = await maker.find(wire, replace(wanted, sent=()))
    assert found is not None
    assert found.receipt["id"] not in bought
    assert len((await maker.collect(wire, found.receipt, Ready())).outputs) == 1


async def test_what_never_arrived_is_not_found(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """Nothing fits: it may be sent again."""
    assert await maker.find(wire, order()) is None
    await maker.submit(wire, order(seed=1))
    await maker.submit(wire, order(SCHNELL))
    assert await maker.find(wire, order()) is None


@pytest.mark.parametrize(("listed", "could"), [(FLUX.title(), True), (None, True), (SCHNELL, False)])
def test_a_name_is_the_same_however_the_list_writes_it(listed: str | None, could: bool) -> None:
    """What could be it is never taken for absent: that would buy it again."""
    wanted = Lost(FLUX, {"seed": 7}, 0.0, frozenset(), is_seed_own=True)
    assert wanted.could_be({"id": "p1", "model": listed, "input": {"seed": 7}}) is could


async def test_what_is_older_than_the_order_is_not_it(maker: Replicate, wire: Wire) -> None:
    """The same input was bought long before: that was another purchase."""
    await maker.submit(wire, order())
    assert await maker.find(wire, order(age_s=-3600.0)) is None
    assert await maker.find(wire, order(age_s=60.0)) is not None


def test_the_lists_own_clock_counts() -> None:
    """How long ago it was sent, from what the list's clock shows, and two minutes more; without it nobody can tell."""
    wanted = Lost(FLUX, {}, 10.0, frozenset(), is_seed_own=True)
    assert wanted.since(Reply(200, {"date": "Sat, 21 Nov 2026 10:00:00 +0700"}, b"")) == "2026-11-21T02:57:50"
    for headers in ({}, {"date": "yesterday"}):
        with pytest.raises(PaymentUnknown):
            wanted.since(Reply(200, headers, b""))


@pytest.mark.parametrize(
    "why",
    [
        "no seed",
        "two fit",
        "two on two pages",
        "input gone",
        "no time",
        "another's seed",
        "a double",
        "another version",
    ],
)
async def test_what_cannot_be_told_stays_unknown(
    why: str, maker: Replicate, wire: Wire, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No seed, or one that others may have chosen too; several that fit; nothing to compare: nobody guesses."""
    wanted = order(BANANA) if why == "no seed" else order(age_s=None if why == "no time" else 0.0)
    bought = wanted = order(references=1, seed=7) if why == "another's seed" else wanted
    if why == "another's seed":  # the same words and seed, other pictures, of another workspace
        bought = replace(wanted, sent=tuple(replace(sent, url=PICTURES[9]) for sent in wanted.sent))
    for _ in range(2 if why.startswith("two") else 1):
        await maker.submit(wire, bought)
    if why == "two on two pages":
        monkeypatch.setattr(mirror, "PAGE", 1)
    if why == "input gone":
        sandbox.change(forget_after_s=0)
    version = order(seed=8).planned.model_copy(update={"model": f"{FLUX}:{'a' * 64}"})
    others = {"a double": (beside(wanted.planned),), "another version": (beside(version),)}.get(why, ())
    with pytest.raises(PaymentUnknown):
        await maker.find(wire, replace(wanted, sent=(), others=others))


async def test_what_belongs_to_another_is_passed_over(maker: Replicate, wire: Wire) -> None:
    """Its receipt is known here: the lost one is another, or never arrived."""
    wanted = order()
    others = (beside(wanted.planned, (await maker.submit(wire, wanted)).receipt),)
    assert await maker.find(wire, replace(wanted, others=others)) is None
    mine = await maker.submit(wire, wanted)
    found = await maker.find(wire, replace(wanted, others=others))
    assert found is not None
    assert found.receipt["id"] == mine.receipt["id"]


async def test_who_would_look_different_is_no_double(maker: Replicate, wire: Wire) -> None:
    """Others without receipt whose seed or model is another one leave no doubt; a chosen seed does, with the input."""
    wanted = order(seed=7)
    await maker.submit(wire, wanted)
    others = [beside(order(seed=8).planned), beside(order(SCHNELL, seed=7).planned)]
    assert await maker.find(wire, replace(wanted, others=tuple(others))) is not None


@pytest.mark.parametrize("kind", ["5xx", "validation"])
async def test_what_is_unclear_is_looked_for_as_it_was_sent(
    kind: str, maker: Replicate, wire: Wire, sandbox: Sandbox
) -> None:
    """The schema is not read anew for it, lest another one finds nothing; after a plain refusal it is."""
    sandbox.faults.add(fault("submit", kind), fault("token", "5xx", after=1))
    with pytest.raises(PaymentUnknown if kind == "5xx" else ProviderRefused):
        await maker.submit(wire, order())
    if kind == "5xx":
        assert await maker.find(wire, order()) is None
    else:
        with pytest.raises(ProviderUnreachable):
            await maker.submit(wire, order())


async def test_a_list_that_does_not_answer_is_asked_again(maker: Replicate, wire: Wire, sandbox: Sandbox) -> None:
    """No answer is no proof."""
    sandbox.faults.add(fault("status", "5xx"), fault("status", "garbage"))
    for _ in range(2):
        with pytest.raises(TryAgain):
            await maker.find(wire, order())


# ---------------------------------------------------------------- the whole way


@pytest.fixture
def environ(fal: str) -> dict[str, str]:
    return {"REPLICATE_API_TOKEN": "id-5f3c9a:secret-7d1e2b", "HOASI_REPLICATE_URL": fal}


async def test_any_model_makes_a_picture(open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox) -> None:
    """A model that no card knows, whose result is an object; its price is not known, so it fits no budget."""
    ask = one(provider="replicate", model="acme/poster", aspect_ratio="9:16")
    async with open_studio(**environ) as studio:
        made = await studio.generate(ask)
        assert made.error is None, made
        assert (made.generations[0].state, made.estimate_usd) == ("succeeded", None)
        with pytest.raises(HoasiError) as refused:
            await studio.generate(ask.model_copy(update={"max_cost_usd": 5.0, "prompt": "another"}))
    assert refused.value.key == "budget_price_unknown"
    assert sandbox.stats()["models"] == {"acme/poster": 1}
    assert sandbox.stats()["leaks"] == 0


async def test_a_lost_reply_is_paid_once(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, quick: object
) -> None:
    """The prediction is found again and brought home."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio(**environ) as studio:
        made = await studio.generate(one(provider="replicate", aspect_ratio="9:16"))
    assert made.generations[0].state == "succeeded"
    assert (sandbox.stats()["submissions"], sandbox.stats()["duplicates"]) == (1, 0)


async def test_a_refusal_is_no_reason_to_look_for_anything(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Refused when it was sent first: what another workspace just bought with the same words is not taken for it."""
    (tmp_path / "other" / "jobs" / "job-1").mkdir(parents=True)
    async with Studio(tmp_path / "other", environ=environ) as studio:
        await studio.generate(one(provider="replicate"))
    sandbox.faults.add(fault("submit", "validation"))
    async with open_studio(**environ) as studio:
        (entry,) = (await studio.generate(one(provider="replicate"))).generations
    assert (entry.state, entry.paid) == ("failed", "no")


async def test_a_refusal_of_what_is_sent_again_is_looked_into(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, quick: object
) -> None:
    """The first one was listed late: it is found all the same."""
    monkeypatch.setattr(flow, "ARRIVAL_S", 0.0)
    sandbox.faults.add(fault("submit", "lost_reply"), fault("submit", "validation"))
    find, looked = Replicate.find, list[Order]()

    async def late(maker: Replicate, wire: Wire, wanted: Order) -> Any:
        looked.append(wanted)
        return await find(maker, wire, wanted) if len(looked) > 1 else None

    monkeypatch.setattr(Replicate, "find", late)
    async with open_studio(**environ) as studio:
        (entry,) = (await studio.generate(one(provider="replicate"))).generations
    assert (entry.state, entry.paid, sandbox.stats()["submissions"]) == ("succeeded", "yes", 1)
    assert (looked[1].age_s or 0.0) > (looked[0].age_s or 0.0)


@pytest.mark.parametrize(("kind", "state"), [("lost_reply", "unknown"), ("reset", "succeeded")])
async def test_another_picture_is_another_order(
    kind: str, state: str, open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, workspace: Any,
    monkeypatch: pytest.MonkeyPatch, quick: object,
) -> None:  # fmt: skip
    """The same words and seed with two pictures: the second, its reply lost, never gets what was made of the first."""
    monkeypatch.setattr(flow, "ARRIVAL_S", 0.0)
    Image.new("RGB", (600, 600), "red").save(workspace / "a.png")
    Image.new("RGB", (600, 600), "blue").save(workspace / "b.png")
    async with open_studio(**environ) as studio:
        first = await studio.generate(one(provider="replicate", seed=7, references=("a.png",), no_faces=True))
        sandbox.faults.add(fault("submit", kind))
        second = await studio.generate(one(provider="replicate", seed=7, references=("b.png",), no_faces=True))
        made = studio.generations([reply.generations[0].id for reply in (first, second)])
    assert [one.state for one in made] == ["succeeded", state]
    assert (made[1].handle or {}).get("id") != (made[0].handle or {})["id"]
    assert sandbox.stats()["submissions"] == 2


@pytest.mark.parametrize("kind", ["lost_reply", "reset"])
async def test_an_overwrite_never_gets_the_earlier_picture(
    kind: str, open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch,
    quick: object,
) -> None:  # fmt: skip
    """Bought again at once, its reply lost: it is found, or sent again; the earlier one's stays its own."""
    monkeypatch.setattr(flow, "ARRIVAL_S", 0.0)
    async with open_studio(**environ) as studio:
        first = await studio.generate(one(provider="replicate"))
        sandbox.faults.add(fault("submit", kind))
        second = await studio.generate(one(provider="replicate", overwrite=True))
        made = studio.generations([reply.generations[0].id for reply in (first, second)])
    assert [one.state for one in made] == ["succeeded", "succeeded"]
    assert len({(one.handle or {})["id"] for one in made}) == 2
    assert sandbox.stats()["submissions"] == 2


async def test_a_person_in_a_clip_goes_the_whole_way(
    open_studio: OpenStudio, environ: dict[str, str], sandbox: Sandbox, workspace: Any
) -> None:
    """Consent, upload, schema, purchase, clip."""
    person(workspace / "a.png")
    clip = Request.model_validate(
        {
            "operation": "image_to_video",
            "prompt": "she waves",
            "provider": "replicate",
            "inputs": [{"role": "first_frame", "written": "a.png"}],
        }
    )
    async with open_studio(**environ) as studio:
        made = await studio.generate(Ask(requests=(clip,), job_id="job-1", consent="I am she and agree."))
    assert made.error is None, made
    assert made.generations[0].outputs[0].endswith(".mp4")
    assert (sandbox.stats()["uploads"], sandbox.stats()["submissions"]) == (1, 1)


def test_any_clip_model_makes_clips() -> None:
    """What a model without card makes is told by what is asked of it."""
    plan = planned(load("replicate").card("owner/clips"), operation="text_to_video")
    settled = Replicate().settle(plan, {})
    assert (settled.media, settled.cap_s) == ("video", 600)
    still = planned(load("replicate").card("owner/pictures"), operation="generate_image")
    assert Replicate().settle(still, {}) is still
