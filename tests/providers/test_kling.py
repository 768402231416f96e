"""Kling's translator against its mirror image: what is sent, what comes back, in both generations of its wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from contract import OPERATIONS, ProviderContract, planned
from hoasi.addresses import origin_of
from hoasi.catalogue import Card, load
from hoasi.errors import NotSupported, WrongInput
from hoasi.planning import plan_request
from hoasi.providers._outcomes import Order, Pending, Ready
from hoasi.providers.kling import (
    Kling,
    generations,
    image_to_video,
    lip_sync,
    motion_control,
    multi_image_to_image,
    multi_image_to_video,
    new_clips,
    omni_image,
    omni_video,
    text_to_video,
    try_on,
    video_extend,
)
from hoasi.providers.kling.routes import ROUTES
from hoasi.providers.kling.words import every
from hoasi.record import Operation
from hoasi.sandbox import Sandbox
from hoasi.street import Street
from hoasi.wire import Wire
from providers.kling_orders import (
    BARE,
    CARDS,
    CLIP,
    KLING,
    RAW,
    accepted,
    ended,
    made,
    of_clip,
    order,
    order_of,
    variants,
)

pytestmark = pytest.mark.anyio
KINDS = [(card, operation) for card in CARDS.values() for operation in card.operations if operation in OPERATIONS]
FILES = {
    "images/omni-image": omni_image,
    "images/generations": generations,
    "images/multi-image2image": multi_image_to_image,
    "images/kolors-virtual-try-on": try_on,
    "videos/text2video": text_to_video,
    "videos/image2video": image_to_video,
    "videos/omni-video": omni_video,
    "videos/multi-image2video": multi_image_to_video,
    "videos/motion-control": motion_control,
    "videos/video-extend": video_extend,
    "videos/advanced-lip-sync": lip_sync,
}
SPOKEN = "Based on <<<video_1>>>, generate the next shot: a kite"


class TestKling(ProviderContract):
    """The promises of every provider, kept by Kling."""

    name = "kling"


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as Kling sees it, leading to the sandbox."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, {"": f"{fal}/kling"}, KLING.auth("key"))
    await street.close()


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("body", "wanted", "has"),
    [
        (
            omni_image.body,
            order("kling-image-o1/omni-image", operation="swap_face", resolution="2k", aspect_ratio="auto"),
            {"n": 1, "resolution": "2k", "aspect_ratio": "auto", "image_list": [{"image": RAW}, {"image": RAW}]},
        ),
        (omni_image.body, order("kling-v3-omni/omni-image", num_images=2), {"n": 2}),
        (
            generations.body,
            order("kling-v2-1/generations", references=1, options={"image_reference": "face", "image_fidelity": 0}),
            {"n": 1, "image": RAW, "image_reference": "face", "image_fidelity": 0},
        ),
        (generations.body, order("kling-v3/generations", negative_prompt="text"), {"n": 1, "negative_prompt": "text"}),
        (
            multi_image_to_image.body,
            order("kling-v2/multi-image2image", references=2),
            {"n": 1, "subject_image_list": [{"subject_image": RAW}] * 2},
        ),
        (
            text_to_video.body,
            order("kling-v2-6/text2video", options={"sound": True, "mode": "pro"}, aspect_ratio="9:16"),
            {"duration": "5", "mode": "pro", "sound": "on", "aspect_ratio": "9:16"},
        ),
        (
            text_to_video.body,
            order("kling-v1/text2video", options={"cfg_scale": 0, "duration_s": 10}),
            {"duration": "10", "mode": "std", "cfg_scale": 0},
        ),
        (text_to_video.body, order("kling-v2-master/text2video"), {"duration": "5"}),
        (
            image_to_video.body,
            order("kling-v2-6/image2video", "first_frame", "last_frame", options={"mode": "pro"}),
            {"duration": "5", "mode": "pro", "sound": "off", "image": RAW, "image_tail": RAW},
        ),
        (
            omni_video.body,
            order("kling-video-o1/omni-video", "first_frame", operation="image_to_video"),
            {"duration": "5", "mode": "std", "image_list": [{"image_url": RAW, "type": "first_frame"}]},
        ),
        (
            omni_video.body,
            order("kling-video-o1/omni-video", "first_frame", references=1, operation="reference_to_video"),
            {
                "duration": "5",
                "mode": "std",
                "image_list": [{"image_url": RAW}, {"image_url": RAW, "type": "first_frame"}],
            },
        ),
        (
            omni_video.body,
            order("kling-video-o1/omni-video", operation="text_to_video"),
            {"duration": "5", "mode": "std", "aspect_ratio": "16:9"},
        ),
        (
            omni_video.body,
            order("kling-video-o1/omni-video", "video", operation="extend_video", options={"duration_s": 7}),
            {
                "prompt": SPOKEN,
                "duration": "7",
                "mode": "std",
                "aspect_ratio": "16:9",
                "video_list": [{"video_url": CLIP, "refer_type": "feature"}],
            },
        ),
        (
            multi_image_to_video.body,
            order("kling-v1-6/multi-image2video", references=2, negative_prompt="text"),
            {"negative_prompt": "text", "duration": "5", "mode": "std", "image_list": [{"image": RAW}, {"image": RAW}]},
        ),
        (
            motion_control.body,
            order("kling-v2-6/motion-control", references=1, options={"keep_original_sound": False}),
            {
                "mode": "pro",
                "character_orientation": "image",
                "keep_original_sound": "no",
                "image_url": RAW,
                "video_url": CLIP,
            },
        ),
        (
            video_extend.body,
            order("kling/video-extend", options={"cfg_scale": 0.5, "extend_direction": "end"}),
            {"video_id": "829001", "cfg_scale": 0.5},
        ),
    ],
    ids=lambda value: value.planned.model if isinstance(value, Order) else "",
)
def test_our_words_become_klings(body: Callable[[Order], Any], wanted: Order, has: dict[str, Any]) -> None:
    """Each endpoint of v1 gets exactly its own fields: raw base64, addresses, numbers as text where it wants text."""
    assert body(wanted) == {"prompt": "a kite", **has}


@pytest.mark.parametrize(
    ("body", "wanted", "has"),
    [
        (
            new_clips.text_to_video,
            order("kling-3.0/text-to-video", resolution="4k", aspect_ratio="9:16", options={"multi_shot": False}),
            {
                "prompt": "a kite",
                "settings": {
                    "duration": 5,
                    "audio": "off",
                    "multi_shot": False,
                    "resolution": "4k",
                    "aspect_ratio": "9:16",
                },
            },
        ),
        (
            new_clips.image_to_video,
            order("kling-2.5-turbo/image-to-video", "first_frame", "last_frame", resolution="1080p"),
            {
                "contents": [
                    {"type": "prompt", "text": "a kite"},
                    {"type": "first_frame", "url": RAW},
                    {"type": "last_frame", "url": RAW},
                ],
                "settings": {"duration": 5, "resolution": "1080p"},
            },
        ),
        (
            new_clips.omni,
            order("kling-3.0-omni/omni-video", references=1, operation="reference_to_video", options={"sound": True}),
            {
                "contents": [
                    {"type": "prompt", "text": "a kite"},
                    {"type": "refer_image", "url": RAW, "id": "image_1"},
                ],
                "settings": {"duration": 5, "audio": "native", "aspect_ratio": "16:9"},
            },
        ),
        (
            new_clips.omni,
            order("kling-o1/omni-video", "video", operation="extend_video", options={"extend_direction": "start"}),
            {
                "contents": [
                    {"type": "prompt", "text": "Based on @video_1, generate the previous shot: a kite"},
                    {"type": "feature_video", "url": CLIP, "id": "video_1"},
                ],
                "settings": {"duration": 5, "aspect_ratio": "16:9"},
            },
        ),
        (
            new_clips.motion,
            order("kling-3.0/motion-control", references=1),
            {
                "contents": [
                    {"type": "prompt", "text": "a kite"},
                    {"type": "image", "url": RAW},
                    {"type": "video", "url": CLIP},
                ],
                "settings": {"character_orientation": "image", "audio": "original"},
            },
        ),
    ],
    ids=lambda value: value.planned.model if isinstance(value, Order) else "",
)
def test_our_words_become_the_new_standards(body: Callable[[Order], Any], wanted: Order, has: dict[str, Any]) -> None:
    """The new standard gets contents and settings; lengths are numbers there, sound is `native`, `original` or off."""
    assert body(wanted) == has


def test_the_person_comes_before_the_garment() -> None:
    """A try-on takes exactly two pictures and no prompt; one too few is refused unsent."""
    model = "kolors-virtual-try-on-v1-5/try-on"
    assert try_on.body(order(model, references=2)) == {"human_image": RAW, "cloth_image": RAW}
    one_short = order(model, references=1)
    for tried in (lambda: try_on.body(one_short), lambda: KLING.settle(one_short.planned, {})):
        with pytest.raises(NotSupported, match="try_on_pictures"):
            tried()
    with pytest.raises(NotSupported, match="parameter_not_supported"):
        order(model, references=2, prompt="a red coat")


def test_every_task_carries_our_own_id() -> None:
    """Our id, no watermark, and where to report to, if anywhere."""
    wanted = order("kling-v3/generations")
    assert every(wanted) == {"external_task_id": wanted.id, **BARE}
    reported = Order(wanted.planned, id="a", callback_url="https://h.example/callbacks/kling")
    assert every(reported) == {
        "external_task_id": "a",
        **BARE,
        "callback_url": "https://h.example/callbacks/kling",
    }
    assert every(Order(wanted.planned)) == BARE


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_nothing_that_a_card_takes_is_lost(card: Card) -> None:
    """Every word and option of a card is known to the file of its endpoint, and the other way round nothing is lost."""
    file = FILES.get(card.endpoint, new_clips)
    roles = {"references", "first_frame", "last_frame", "video", "audio"}
    said = {*card.accepts, *card.options}
    assert said & roles <= {*file.ROLES}
    assert said - roles <= {*file.TAKES}
    assert card.endpoint in ROUTES


@pytest.mark.parametrize(("card", "operation"), KINDS, ids=[f"{card.id}-{operation}" for card, operation in KINDS])
async def test_every_card_is_understood(card: Card, operation: str, wire: Wire, sandbox: Sandbox) -> None:
    """All that a card takes, and every value of every option, is accepted, known to the endpoint, and gives results."""
    clip = await made(wire, order("kling-v1/text2video"))
    for plan in variants(card, operation):
        wanted = order_of(plan)
        if card.id == "kling/video-extend":
            wanted = of_clip(wanted, clip.outputs[0].id)
        done = await made(wire, wanted)
        assert len(done.outputs) == len(plan.stems)
        assert all(output.url for output in done.outputs)
    assert sandbox.stats()["unknown_fields"] == {}


@pytest.mark.parametrize("model", ["kling-v2-6/text2video", "kling-3.0/text-to-video"])
async def test_our_id_and_callback_arrive(model: str, wire: Wire, sandbox: Sandbox) -> None:
    """Both generations get our id and the address for reports where they want them."""
    wanted = order_of(planned(CARDS[model]), callback_url="https://h.example/callbacks/kling")
    receipt = await accepted(wire, wanted)
    task = sandbox.kling.tasks[receipt.get("task_id") or receipt["id"]]
    assert (task.external_id, task.callback_url) == (wanted.id, wanted.callback_url)
    assert task.body.get("options", task.body)["watermark_info"] == {"enabled": False}


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize("model", ["kling-v2-6/text2video", "kling-3.0/text-to-video"])
async def test_a_task_is_queued_then_works_then_ends(model: str, wire: Wire, sandbox: Sandbox) -> None:
    """`submitted` waits, `processing` works; the end has the clip, its id at Kling, and what it cost."""
    sandbox.change(latency_s=600, slots=1)
    receipts = [await accepted(wire, order(model)) for _ in range(1)]
    sandbox.change(kling_submitted_s=600)
    assert await KLING.poll(wire, receipts[0]) == Pending("queued")
    sandbox.change(kling_submitted_s=0)
    assert await KLING.poll(wire, receipts[0]) == Pending("working")
    submission = sandbox.line.get(receipts[0].get("task_id") or receipts[0]["id"])
    assert submission is not None
    sandbox.line.end(submission)
    assert await KLING.poll(wire, receipts[0]) == Ready()
    done = await KLING.collect(wire, receipts[0], Ready())
    assert [bool(output.id and output.url) for output in done.outputs] == [True]
    assert done.facts["cost_usd"] == pytest.approx(CARDS[model].price.usd * 5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wanted", "usd"),
    [
        (order("kling-v2-6/text2video", options={"mode": "pro", "sound": True, "duration_s": 10}), 1.4),
        (order("kling-v2-6/image2video", options={"mode": "pro"}), 0.35),
        (order("kling-v3/text2video", options={"mode": "4k", "duration_s": 3}), 1.26),
        (order("kling-video-o1/omni-video", "video", operation="extend_video", options={"duration_s": 5}), 0.63),
        (order("kling-3.0-omni/omni-video", operation="text_to_video", options={"sound": True}), 0.56),
        (order("kling-2.6/text-to-video", resolution="1080p", options={"sound": True}), 0.7),
        (order("kling-v2-1/generations", num_images=3), 0.042),
        (order("kling-v2-1/generations", references=1), 0.028),
        (order("kling-v3-omni/omni-image", resolution="4k"), 0.056),
        (order("kling-image-o1/omni-image", references=1, num_images=9), 0.252),
        (order("kling-v2/multi-image2image", references=1), 0.056),
    ],
    ids=lambda value: value.planned.model if isinstance(value, Order) else "",
)
async def test_the_cost_is_what_kling_deducts(wanted: Order, usd: float, wire: Wire) -> None:
    """The units that Kling tells, at their list price, are the estimate of the card."""
    done = await made(wire, wanted)
    assert done.facts["cost_usd"] == pytest.approx(usd)
    assert wanted.planned.price.usd == pytest.approx(usd)


async def test_a_try_on_costs_what_its_card_says(wire: Wire) -> None:
    """In which unit it is deducted is not known: the units are kept, the dollars are the card's."""
    done = await made(wire, order("kolors-virtual-try-on-v1-5/try-on", references=2))
    assert set(done.facts) == {"units"}


# ---------------------------------------------------------------- what is refused before money


@pytest.mark.parametrize(
    ("model", "roles", "asked", "key"),
    [
        ("kling-v2-6/text2video", (), {"options": {"sound": True}}, "forbidden_together"),
        ("kling-v2-6/text2video", (), {"options": {"cfg_scale": 0.5}}, "option_not_supported"),
        ("kling-v2-6/text2video", (), {"options": {"duration_s": 7}}, "value_not_supported"),
        ("kling-v2-6/image2video", ("first_frame", "last_frame"), {}, "forbidden_together"),
        (
            "kling-v2-6/image2video",
            ("first_frame", "last_frame"),
            {"options": {"mode": "pro", "sound": True}},
            "forbidden_together",
        ),
        ("kling-v2-master/image2video", ("first_frame", "last_frame"), {}, "role_not_supported"),
        ("kling-v2-1/generations", (), {"options": {"image_reference": "face"}}, "forbidden_together"),
        ("kling-v2-1/generations", (), {"references": 1, "negative_prompt": "text"}, "forbidden_together"),
        (
            "kling-v2-1/generations",
            (),
            {"references": 1, "options": {"image_reference": "face", "human_fidelity": 0.6}},
            "forbidden_together",
        ),
        ("kling-v3/generations", (), {"references": 1, "options": {"image_fidelity": 0.5}}, "option_not_supported"),
        ("kling-image-o1/omni-image", (), {"operation": "edit_image"}, "references_needed"),
        ("kling-image-o1/omni-image", (), {"references": 1, "resolution": "4k"}, "value_not_supported"),
        (
            "kling-video-o1/omni-video",
            ("first_frame",),
            {"operation": "image_to_video", "options": {"duration_s": 7}},
            "forbidden_together",
        ),
        ("kling-video-o1/omni-video", (), {"operation": "extend_video"}, "forbidden_together"),
        ("kling-video-o1/omni-video", (), {"operation": "image_to_video"}, "forbidden_together"),
        (
            "kling-video-o1/omni-video",
            (),
            {"operation": "text_to_video", "options": {"extend_direction": "start"}},
            "forbidden_together",
        ),
        (
            "kling-v3-omni/omni-video",
            ("video",),
            {"operation": "extend_video", "options": {"sound": True}},
            "forbidden_together",
        ),
        ("kling-2.6/text-to-video", (), {"options": {"sound": True}}, "forbidden_together"),
        ("kling/video-extend", ("video",), {"options": {"extend_direction": "start"}}, "value_not_supported"),
    ],
)  # fmt: skip
def test_what_goes_not_together_is_said_before(model: str, roles: Any, asked: dict[str, Any], key: str) -> None:
    """What Kling would refuse is refused here, by name."""
    with pytest.raises(NotSupported) as refused:
        planned(CARDS[model], roles=roles, references=asked.pop("references", 0), **asked)
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        (of_clip(order("kling-video-o1/omni-video", "video", operation="extend_video"), "829"), "input_needs_address"),
        (of_clip(order("kling-v2-6/motion-control", references=1), "829"), "input_needs_address"),
        (of_clip(order("kling-3.0/motion-control", references=1), "829"), "input_needs_address"),
        (
            order("kling-video-o1/omni-video", "first_frame", references=7, operation="reference_to_video"),
            "too_many_references",
        ),
        (
            order("kling-video-o1/omni-video", "video", references=5, operation="extend_video"),
            "too_many_references",
        ),
        (
            order("kling-video-o1/omni-video", "video", operation="extend_video", prompt="x" * 2490),
            "prompt_too_long",
        ),
    ],
)
async def test_what_only_the_translator_sees_is_refused_unsent(
    wanted: Order, key: str, wire: Wire, sandbox: Sandbox
) -> None:
    """A clip without an address, one picture too many, words that do not fit: nothing leaves, and planning says so."""
    with pytest.raises(NotSupported) as refused:
        await KLING.submit(wire, wanted)
    assert (refused.value.key, refused.value.paid) == (key, "no")
    assert sandbox.stats()["requests"] == []
    with pytest.raises(NotSupported, match=key):
        KLING.settle(wanted.planned, {})


@pytest.mark.parametrize(("card", "operation"), KINDS, ids=lambda value: getattr(value, "id", value))
def test_planning_takes_what_can_be_sent(card: Card, operation: Operation) -> None:
    """Also what is not there yet: nothing is known of the result of another request, so nothing is held against it."""
    for plan in variants(card, operation):
        nothing = {"promise": "0" * 64, "written": "", "remote": None, "duration_s": 0.0}
        promised = tuple(item.model_copy(update=nothing) for item in plan.inputs)
        for inputs in (plan.inputs, promised):
            settled = plan.model_copy(update={"inputs": inputs})
            assert KLING.settle(settled, {}) is settled


async def test_a_long_clip_needs_the_persons_turn(wire: Wire, sandbox: Sandbox) -> None:
    """Turned like the picture the clip may last 10 s; turned like the clip 30 s."""
    plans = [
        planned(CARDS["kling-v2-6/motion-control"], references=1, options={"character_orientation": turned})
        for turned in ("image", "video")
    ]
    longer = [
        plan.model_copy(update={"inputs": tuple(i.model_copy(update={"duration_s": 20.0}) for i in plan.inputs)})
        for plan in plans
    ]
    with pytest.raises(NotSupported, match="input_too_long"):
        await KLING.submit(wire, order_of(longer[0]))
    with pytest.raises(NotSupported, match="input_too_long"):
        KLING.settle(longer[0], {})
    assert sandbox.stats()["submissions"] == 0
    assert await accepted(wire, order_of(longer[1]))


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "operation", "model", "is_corrected"),
    [
        ("kling-v2-6", "text_to_video", "kling-v2-6/text2video", False),
        ("kling-v2-6", "image_to_video", "kling-v2-6/image2video", False),
        ("kling-v2-6", "motion_control", "kling-v2-6/motion-control", False),
        ("kling-v2-6", "extend_video", "kling-video-o1/omni-video", True),
        ("kling-v2-1", "generate_image", "kling-v2-1/generations", False),
        ("kling-v1-5", "generate_image", "kling-v2-1/generations", True),
        ("kling-v2-1", "edit_image", "kling-image-o1/omni-image", True),
        ("kling-v2-1", "swap_face", "kling-image-o1/omni-image", True),
        ("omni-edit", "edit_image", "kling-image-o1/omni-image", True),
        ("kling-v2", "edit_image", "kling-v2/multi-image2image", False),
        ("kling-video-o1", "image_to_video", "kling-video-o1/omni-video", False),
        ("kling-video-o1/image2video", "image_to_video", "kling-video-o1/omni-video", True),
        ("kling-v1-6", "reference_to_video", "kling-v1-6/multi-image2video", False),
        ("kling-v1-6", "extend_video", "kling/video-extend", False),
        ("kling-v2-6", "lip_sync", "kling/advanced-lip-sync", True),
        ("kling-3.0", "image_to_video", "kling-3.0/image-to-video", False),
        ("kolors-virtual-try-on-v1-5", "edit_image", "kolors-virtual-try-on-v1-5/try-on", False),
    ],
)
def test_a_name_means_the_call_that_the_operation_needs(
    name: str, operation: str, model: str, is_corrected: bool
) -> None:
    """The wire's names stand for several calls; wrong names of the wild are corrected, and the plan says so."""
    card = load("kling").card(name, operation)
    assert card.id == model
    plan = planned(card, references=int(card.needs_references), operation=operation)
    request = plan.request.model_copy(update={"model": name})
    again = plan_request(request, load("kling"), plan.inputs, _site(), plan.prompt)[0]
    assert (again.model, any(name in note and model in note for note in again.warnings)) == (model, is_corrected)


def _site() -> Any:
    from contract import SITE

    return SITE


def test_pictures_take_as_many_places_as_they_are() -> None:
    """Kling counts pictures one by one and clips as one, each kind apart."""
    pictures, clip = planned(CARDS["kling-v3/generations"], num_images=9), planned(CARDS["kling-v2-6/text2video"])
    assert (pictures.slots, pictures.lane) == (9, "kling/image")
    assert (clip.slots, clip.lane) == (1, "kling/video")


def test_prompts_name_their_pictures_as_each_generation_does() -> None:
    """`<<<image_1>>>` stays in v1 and becomes `@image_1` in the new standard."""
    words = "<<<image_1>>> flies a kite"
    old = planned(CARDS["kling-video-o1/omni-video"], references=1, operation="reference_to_video", prompt=words)
    new = planned(CARDS["kling-3.0-omni/omni-video"], references=1, operation="reference_to_video", prompt=words)
    assert (old.prompt, new.prompt) == (words, "@image_1 flies a kite")


def test_an_edit_without_words_is_for_models_without_words() -> None:
    """Only a model that takes no prompt can do without one."""
    with pytest.raises(WrongInput, match="prompt_empty"):
        order("kling-image-o1/omni-image", references=1, prompt="")
    wordless = order("kolors-virtual-try-on-v1/try-on", references=2, prompt="").planned
    assert (wordless.parameters, wordless.warnings) == ({}, ())


def test_regions_have_their_own_addresses() -> None:
    """Accounts of Singapore and Beijing are apart."""
    assert {name: urls[""] for name, urls in Kling.regions.items()} == {
        "singapore": "https://api-singapore.klingai.com",
        "beijing": "https://api-beijing.klingai.com",
    }
    assert Kling.origins == Kling.regions["singapore"]


async def test_a_pasted_id_finds_the_task(wire: Wire) -> None:
    """A task id from the console is enough to fetch the result, in both generations."""
    for model in ("kling-v2-6/text2video", "kling-3.0/text-to-video"):
        wanted = order(model)
        receipt = await accepted(wire, wanted)
        pasted = KLING.attach(wanted.planned, f" {receipt.get('task_id') or receipt['id']}\n").receipt
        assert pasted == receipt
        assert (await KLING.collect(wire, pasted, await ended(wire, pasted))).outputs
