"""fal's translator against its mirror image: what is sent, what a refusal means, where the key goes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from calls import fault
from contract import ProviderContract, fullest, planned
from hoasi.addresses import origin_of
from hoasi.catalogue import Card, load
from hoasi.errors import (
    ContentBlocked,
    HoasiError,
    KeyRejected,
    NotAccepted,
    PaymentUnknown,
    ProviderRefused,
    ResultExpired,
)
from hoasi.providers import fal_replies
from hoasi.providers._outcomes import Handle, Order, Pending, Ready, Sent, TryAgain, refusal
from hoasi.providers.fal import Fal
from hoasi.providers.fal_body import body
from hoasi.records import Planned
from hoasi.sandbox import Fault, Sandbox
from hoasi.sandbox.fal_inputs import known_ids
from hoasi.street import Reply, ReplyLost, Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
FAL = Fal()
BANANA, EDIT, FLUX = "fal-ai/nano-banana", "fal-ai/nano-banana/edit", "fal-ai/flux/dev"
SEEDREAM = "fal-ai/bytedance/seedream/v4/text-to-image"
USABLE = [c for c in load("fal").cards if "generate_image" in c.operations and c.retired is None]
MIRRORED = [card for card in USABLE if card.id in known_ids()]
PICTURES = tuple(f"https://pictures.example/{k}.png" for k in range(20))


class TestFal(ProviderContract):
    """The promises of every provider, kept by fal."""

    name = "fal"


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as fal sees it, leading to the sandbox."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, dict.fromkeys(Fal.origins, fal), FAL.auth("id:secret"))
    await street.close()


def card(model: str) -> Card:
    return load("fal").card(model)


def order(model: str, *, references: int = 0, **asked: Any) -> Order:
    return order_of(planned(card(model), references=references, **asked))


def order_of(plan: Planned) -> Order:
    """A plan whose inputs were uploaded."""
    return Order(plan, tuple(Sent(item, url=url) for item, url in zip(plan.inputs, PICTURES, strict=False)))


def reply(status: int, fields: object = None, **headers: str) -> Reply:
    content = b"<html>" if fields is None else json.dumps(fields).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


async def sent(wire: Wire, wanted: Order | None = None) -> dict[str, Any]:
    """The receipt of an order that is accepted."""
    handle = await FAL.submit(wire, wanted or order(BANANA))
    assert isinstance(handle, Handle)
    return handle.receipt


async def ended(wire: Wire, receipt: dict[str, Any]) -> Ready:
    """Poll until it has ended."""
    while not isinstance(seen := await FAL.poll(wire, receipt), Ready):  # noqa: ASYNC110  (the sandbox ends it)
        await anyio.sleep(0.005)
    return seen


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        (order(BANANA, aspect_ratio="9:16"), {"aspect_ratio": "9:16"}),
        (order(BANANA, seed=0), {"seed": 0}),
        (order(FLUX, aspect_ratio="9:16"), {"image_size": "portrait_16_9"}),
        (order(FLUX, aspect_ratio="1:1"), {"image_size": {"width": 1024, "height": 1024}}),
        (order(FLUX, aspect_ratio="4:5"), {"image_size": {"width": 832, "height": 1040}}),
        (order(EDIT, references=1), {"image_urls": [PICTURES[0]]}),
        (order(EDIT, references=3), {"image_urls": list(PICTURES[:3])}),
        (order("fal-ai/flux-pro/kontext", references=1), {"image_url": PICTURES[0]}),
        (order("fal-ai/flux-pro/v1.1-ultra", references=1), {"image_url": PICTURES[0]}),
        (order("fal-ai/nano-banana-pro", resolution="4K"), {"resolution": "4K"}),
        (order(BANANA, output_format="webp", num_images=4), {"output_format": "webp", "num_images": 4}),
        (order(BANANA, prompt="1080x1920"), {"prompt": "1080x1920"}),
    ],
)
def test_our_words_become_fals(wanted: Order, has: dict[str, Any]) -> None:
    """Ratios, sizes, references, seed zero: each under the name and in the form that the model wants."""
    made = body(wanted)
    assert has.items() <= made.items()
    assert made["prompt"] == wanted.planned.prompt


def test_what_was_not_asked_for_is_not_sent() -> None:
    """No empty references, no size, no scene: only the prompt, the count, the seed and the lossless format."""
    assert set(body(order(BANANA))) == {"prompt", "num_images", "seed", "output_format"}


def test_only_these_models_lack_a_mirror() -> None:
    """The sandbox knows the input of every usable picture model but these, whose schema nobody published."""
    assert {c.id for c in USABLE} - set(known_ids()) == {"openai/gpt-image-2", "openai/gpt-image-2/edit"}


@pytest.mark.parametrize("checks_input", ["at_submit", "at_run"])
@pytest.mark.parametrize("model", MIRRORED, ids=lambda c: c.id)
async def test_every_card_is_understood(model: Card, checks_input: Any, wire: Wire, sandbox: Sandbox) -> None:
    """All that a card takes, with and without references, is accepted, known to its schema, and gives the pictures."""
    sandbox.change(checks_input=checks_input)
    counts = {0, 1, model.references} if not model.needs_references else {1, model.references}
    for references in sorted(count for count in counts if count <= model.references):
        plan = fullest(model, references=references)
        receipt = await sent(wire, order_of(plan))
        done = await FAL.collect(wire, receipt, await ended(wire, receipt))
        assert len(done.outputs) == len(plan.stems)
    assert sandbox.stats()["unknown_fields"] == {}


# ---------------------------------------------------------------- what a refused submission means


@pytest.mark.parametrize(
    ("spoiled", "error", "paid", "retry"),
    [
        (fault("submit", "429", value=7), NotAccepted, "no", "safe"),
        (fault("submit", "concurrent_requests_limit"), NotAccepted, "no", "safe"),
        (fault("submit", "error_type", value="runner_scheduling_failure"), NotAccepted, "no", "safe"),
        (fault("submit", "error_type", value="runner_connection_refused"), NotAccepted, "no", "safe"),
        (fault("submit", "error_type", value="runner_disconnected"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "error_type", value="runner_server_error"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "error_type", value="request_timeout"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "error_type", value="client_disconnected"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "error_type", value="bad_request"), ProviderRefused, "no", "no"),
        (fault("submit", "validation", value="value_error"), ProviderRefused, "no", "no"),
        (fault("submit", "5xx", value=500), PaymentUnknown, "unknown", "no"),
        (fault("submit", "5xx", value=503), PaymentUnknown, "unknown", "no"),
        (fault("submit", "garbage"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "empty"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "wrong_type"), PaymentUnknown, "unknown", "no"),
        (fault("submit", "redirect", value="https://queue.example/"), PaymentUnknown, "unknown", "no"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_only_a_proven_refusal_is_unpaid(
    spoiled: Fault, error: type[HoasiError], paid: str, retry: str, wire: Wire, sandbox: Sandbox
) -> None:
    """One POST, and the right answer to: may it be sent again, and may it have been billed?"""
    sandbox.faults.add(spoiled)
    with pytest.raises(HoasiError) as refused:
        await FAL.submit(wire, order(BANANA))
    assert (type(refused.value), refused.value.paid, refused.value.retry) == (error, paid, retry)
    assert len(sandbox.stats()["requests"]) == 1
    if isinstance(refused.value, NotAccepted) and spoiled.kind == "429":
        assert refused.value.retry_after_s == 7


@pytest.mark.parametrize("kind", ["lost_reply", "reset", "truncated"])
async def test_a_broken_answer_is_lost(kind: str, wire: Wire, sandbox: Sandbox) -> None:
    """No whole answer is never taken for a refusal."""
    sandbox.faults.add(fault("submit", kind))
    with pytest.raises(ReplyLost):
        await FAL.submit(wire, order(BANANA))


async def test_a_wrong_key_is_rejected_unpaid(wire: Wire, sandbox: Sandbox) -> None:
    """401 names the key, not the picture."""
    sandbox.change(reject_key=True)
    with pytest.raises(KeyRejected) as refused:
        await FAL.submit(wire, order(BANANA))
    assert refused.value.paid == "no"


@pytest.mark.parametrize(
    ("status", "error"),
    [(s, ProviderRefused) for s in (400, 402, 404, 405, 410, 413, 415, 422)]
    + [(s, PaymentUnknown) for s in (204, 301, 304, 307, 408, 409, 425, 499, 500, 502, 503, 504, 524, 599)]
    + [(401, KeyRejected), (403, KeyRejected), (429, NotAccepted)],
)
def test_a_status_without_a_receipt_is_sorted(status: int, error: type[HoasiError]) -> None:
    """Only statuses that prove that nothing was begun are unpaid."""
    found = refusal(reply(status), "fal", detail="words")
    assert (type(found), found.detail, found.facts) == (error, "words", {"provider": "fal", "status": status})


def test_words_of_a_refusal_hold_no_input() -> None:
    """The field and fal's sentence are told; the echoed input is not; at most 300 characters."""
    row = {"loc": ["body", "image_size", "width"], "msg": "too small", "type": "ge", "input": "my secret prompt"}
    assert fal_replies.read(reply(422, {"detail": [row]})) == ("ge", "image_size.width: too small")
    assert len(fal_replies.read(reply(422, {"detail": [row] * 50}))[1]) == 300


# ---------------------------------------------------------------- what it says later


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        ({"status": "IN_QUEUE", "queue_position": 0}, Pending("queued", 0)),
        ({"status": "IN_QUEUE", "queue_position": "two"}, Pending("queued")),
        ({"status": "IN_PROGRESS", "logs": None}, Pending("working")),
        ({"status": "COMPLETED"}, Ready()),
        ({"status": "COMPLETED", "error": "Boom", "error_type": "internal_error"}, Ready("Boom", "internal_error")),
        ({"status": "SOMETHING_NEW"}, Pending("queued")),
        ({}, Pending("queued")),
    ],
)
def test_a_status_is_translated(event: dict[str, Any], seen: Pending | Ready) -> None:
    """The only end is COMPLETED; what is not known is waiting."""
    assert fal_replies.status(event) == seen


async def test_the_stream_tells_the_end(wire: Wire) -> None:
    """`watch` yields until `Ready`."""
    receipt = await sent(wire)
    assert [seen async for seen in FAL.watch(wire, receipt)][-1] == Ready()


async def test_a_result_too_early_is_asked_for_again(wire: Wire, sandbox: Sandbox) -> None:
    """`still in progress` is no failure."""
    sandbox.change(latency_s=60)
    receipt = await sent(wire)
    assert isinstance(await FAL.poll(wire, receipt), Pending)
    with pytest.raises(TryAgain):
        await FAL.collect(wire, receipt, Ready())


@pytest.mark.parametrize(
    ("spoiled", "error", "paid"),
    [
        (fault("result", "completed_error", value="content_policy_violation"), ContentBlocked, "no"),
        (fault("result", "completed_error", value="internal_server_error"), ProviderRefused, "no"),
        (fault("result", "completed_error", value="generation_timeout"), ProviderRefused, "no"),
        (fault("result", "completed_error", value="runner_disconnected"), ProviderRefused, "no"),
        (fault("result", "completed_error", value="downstream_service_error"), ProviderRefused, "unknown"),
        (fault("result", "gone"), ResultExpired, "yes"),
        (fault("result", "gone", value=410), ResultExpired, "yes"),
        (fault("result", "5xx", value=502), TryAgain, None),
        (fault("result", "429", value=3), TryAgain, None),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_a_result_that_is_none_is_translated(
    spoiled: Fault, error: type[Exception], paid: str | None, wire: Wire, sandbox: Sandbox
) -> None:
    """Failed there, blocked, gone, or only not now; and whether it cost something."""
    sandbox.faults.add(spoiled)
    receipt = await sent(wire)
    ready = await ended(wire, receipt)
    with pytest.raises(error) as failed:
        await FAL.collect(wire, receipt, ready)
    assert getattr(failed.value, "paid", None) == paid


@pytest.mark.parametrize("what", ["poll", "collect", "cancel", "submit"])
async def test_a_key_that_was_taken_back_is_named(what: str, wire: Wire, sandbox: Sandbox) -> None:
    """Every question says so."""
    receipt = await sent(wire)
    sandbox.change(reject_key=True)
    asked = {"poll": (receipt,), "collect": (receipt, Ready()), "cancel": (receipt,), "submit": (order(BANANA),)}
    with pytest.raises(KeyRejected):
        await getattr(FAL, what)(wire, *asked[what])


@pytest.mark.parametrize("fields", [{}, {"images": []}, {"images": [{"url": None}, "x"]}, {"images": {}}, [], "text"])
def test_a_result_without_media_is_a_failure_that_may_cost(fields: object) -> None:
    """An ended request without pictures is not a success, and perhaps billed."""
    with pytest.raises(ProviderRefused) as failed:
        fal_replies.done(reply(200, fields), Ready(error="nothing"))
    assert (failed.value.key, failed.value.paid, failed.value.detail) == ("no_media", "unknown", "nothing")


def test_media_are_found_in_each_form() -> None:
    """`images`, `image` or `video`; the seed that was used comes along, zero too."""
    for fields in ({"images": [{"url": "u"}]}, {"image": {"url": "u"}}, {"video": {"url": "u"}}):
        done = fal_replies.done(reply(200, {**fields, "seed": 0}), Ready())
        assert ([output.url for output in done.outputs], done.facts) == (["u"], {"seed": 0})
