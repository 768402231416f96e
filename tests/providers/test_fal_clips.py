"""fal's translator for clips, swaps and edits: every model's words against its mirror image, reports, and prices."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import anyio
import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from calls import OpenStudio
from contract import OPERATIONS, SITE, needed, picture, planned
from hoasi import Ask
from hoasi.addresses import origin_of
from hoasi.catalogue import Card, Option, load
from hoasi.choosing import at
from hoasi.errors import HoasiError, NotSupported
from hoasi.given import Given
from hoasi.media import video
from hoasi.providers import fal_replies
from hoasi.providers._outcomes import Handle, Order, Ready, Sent
from hoasi.providers._provider import CallsBack, Publishes
from hoasi.providers.fal import Fal
from hoasi.providers.fal_body import body
from hoasi.record import Role
from hoasi.records import Planned, Request
from hoasi.results import Output
from hoasi.sandbox import Sandbox, serving
from hoasi.sandbox.fal_inputs import known_ids
from hoasi.settings import Settings, read
from hoasi.street import Reply, Street
from hoasi.webhooks import Forged
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
FAL = Fal()
KLING, VEO, LTX = "fal-ai/kling-video", "fal-ai/veo3.1", "fal-ai/ltx-2.3/extend-video"
ROLES: list[Role] = [role for role in get_args(Role) if role not in {"reference", "source", "face"}]
ASKED = [
    pytest.param(card, operation, id=f"{operation} {card.id}")
    for card in load("fal").cards
    if card.id in known_ids() and card.retired is None
    for operation in card.operations
    if operation in OPERATIONS and operation != "generate_image"
]


def card(model: str) -> Card:
    return load("fal").card(model)


def order(plan: Planned, callback_url: str = "") -> Order:
    """A plan whose inputs were uploaded; each address tells its role and its place."""
    sent = [Sent(item, url=f"https://files.example/{n}-{item.role}") for n, item in enumerate(plan.inputs, 1)]
    return Order(plan, tuple(sent), callback_url=callback_url)


def sent(model: str, operation: str, roles: str = "", references: int = 0, **options: object) -> dict[str, Any]:
    """The input of a model, without the prompt and what every picture model gets."""
    asked: dict[str, Any] = {"operation": operation, "roles": roles.split() or None, "options": options}
    plan = planned(card(model), references=references, **asked)
    usual = {"prompt", "seed", "num_images", "output_format", "negative_prompt"}
    return {name: value for name, value in body(order(plan)).items() if name not in usual}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What a process with nothing but fal's key was told."""
    return read(tmp_path, environ={"FAL_KEY": "id:secret"})


def extremes(option: Option) -> list[object]:
    """The values of an option that differ most."""
    return [*option.choices] or [option.least, option.most]


def everything(model: Card, operation: str, last: int) -> Planned:
    """A plan with all that a model takes: every role and parameter, each option at its first or its last value."""
    roles = [*needed(model, operation), *(role for role in ROLES if role in model.accepts and role not in model.needs)]
    asked: dict[str, Any] = {"options": {name: extremes(option)[last] for name, option in model.options.items()}}
    asked |= {"seed": 0} if "seed" in model.accepts else {}
    asked |= {"negative_prompt": "text"} if "negative_prompt" in model.accepts else {}
    asked |= {"resolution": model.resolutions[last]} if model.resolutions else {}
    asked |= {"aspect_ratio": model.sizes.ratios[last]} if model.sizes.ratios else {}
    references = model.references - (2 if operation == "swap_face" else 0)
    return planned(model, operation=operation, roles=roles, references=references, **asked)


@pytest.fixture
async def wire(fal: str, sandbox: Sandbox) -> AsyncIterator[Wire]:
    """The street as fal sees it, leading to the sandbox."""
    sandbox.change(latency_s=0)
    street = Street(frozenset({origin_of(fal)}))
    yield Wire(street, dict.fromkeys(Fal.origins, fal), FAL.auth("id:secret"))
    await street.close()


async def made(wire: Wire, wanted: Order) -> Output:
    """The one result of an order."""
    handle = await FAL.submit(wire, wanted)
    assert isinstance(handle, Handle)
    while not isinstance(seen := await FAL.poll(wire, handle.receipt), Ready):  # noqa: ASYNC110  (the sandbox ends it)
        await anyio.sleep(0.005)
    (output,) = (await FAL.collect(wire, handle.receipt, seen)).outputs
    return output


async def content(output: Output) -> bytes:
    async with httpx.AsyncClient() as keyless:
        return (await keyless.get(output.url or "")).content


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("last", [0, -1])
@pytest.mark.parametrize(("model", "operation"), ASKED)
async def test_every_model_is_understood(
    model: Card, operation: str, last: int, wire: Wire, sandbox: Sandbox, tmp_path: Path
) -> None:
    """All that a card takes is accepted and known to the model's schema; what comes back is whole, and as asked."""
    plan = everything(model, operation, last)
    output = await made(wire, order(plan))
    assert (sandbox.stats()["unknown_fields"], output.id) == ({}, "")
    file = await content(output)
    if model.media == "image":
        Image.open(io.BytesIO(file)).load()
        return
    (tmp_path / "clip").write_bytes(file)
    look = video.inspect(tmp_path / "clip")
    assert look.has_audio or not plan.parameters.get("sound")
    if "duration_s" in plan.parameters and operation != "extend_video":
        assert look.duration_s == pytest.approx(plan.parameters["duration_s"], abs=0.3)


def test_every_operation_has_a_model() -> None:
    """Whatever can be asked for can be asked of fal, and the defaults are driven here or with the pictures."""
    assert set(load("fal").defaults) == OPERATIONS
    driven = {(wanted.values[0].id, wanted.values[1]) for wanted in ASKED}  # type: ignore[union-attr]
    for operation, models in load("fal").defaults.items():
        assert operation == "generate_image" or {(model, operation) for model in models} <= driven


CLIP = "https://files.example/1-video"
FIRST, LAST = "https://files.example/1-first_frame", "https://files.example/2-last_frame"


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (
            sent(f"{KLING}/v2.6/pro/image-to-video", "image_to_video", "first_frame last_frame", duration_s=10),
            {"start_image_url": FIRST, "end_image_url": LAST, "duration": "10", "generate_audio": False},
        ),
        (
            sent(f"{KLING}/v2.5-turbo/pro/image-to-video", "image_to_video", "first_frame last_frame", cfg_scale=0),
            {"image_url": FIRST, "tail_image_url": LAST, "duration": "5", "cfg_scale": 0.0},
        ),
        (
            sent(f"{KLING}/o3/pro/image-to-video", "image_to_video", "first_frame last_frame", sound=True),
            {"image_url": FIRST, "end_image_url": LAST, "duration": "5", "generate_audio": True},
        ),
        (
            sent(f"{VEO}/first-last-frame-to-video", "image_to_video", "first_frame last_frame", duration_s=4),
            {"first_frame_url": FIRST, "last_frame_url": LAST, "duration": "4s", "generate_audio": False},
        ),
        (
            sent(f"{KLING}/o1/reference-to-video", "reference_to_video", references=2),
            {"image_urls": ["https://files.example/1-reference", "https://files.example/2-reference"], "duration": "5"},
        ),
        (
            sent(f"{KLING}/v2.6/pro/motion-control", "motion_control", "video", references=1),
            {
                "video_url": CLIP,
                "image_url": "https://files.example/2-reference",
                "character_orientation": "image",
                "keep_original_sound": True,
            },
        ),
        (
            sent(f"{KLING}/o1/video-to-video/reference", "extend_video", "video", keep_original_sound=True),
            {"video_url": CLIP, "keep_audio": True, "duration": "5"},
        ),
        (
            sent(LTX, "extend_video", "video", extend_direction="start", duration_s=7),
            {"video_url": CLIP, "mode": "start", "duration": 7},
        ),
        (
            sent(f"{VEO}/extend-video", "extend_video", "video", extend_direction="end"),
            {"video_url": CLIP, "duration": "7s", "generate_audio": False},
        ),
        (
            sent(f"{KLING}/lipsync/audio-to-video", "lip_sync", "video audio"),
            {"video_url": CLIP, "audio_url": "https://files.example/2-audio"},
        ),
        (
            sent("fal-ai/nano-banana-pro/edit", "swap_face", "source face", face_index=0),
            {"image_urls": ["https://files.example/1-source", "https://files.example/2-face"]},
        ),
    ],
)
def test_our_words_become_the_models(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Frames, clips, seconds and switches: each under the model's own name, in its own form, and nothing besides."""
    assert found == wanted


def test_a_shape_within_an_object() -> None:
    """Relighting wants its ratio inside an object."""
    asked: dict[str, Any] = {"aspect_ratio": "9:16", "options": {"lighting_style": "neon"}}
    plan = planned(card("fal-ai/image-apps-v2/relighting"), operation="relight", references=1, **asked)
    assert body(order(plan)) == {
        "aspect_ratio": {"ratio": "9:16"},
        "lighting_style": "neon",
        "image_url": "https://files.example/1-reference",
    }


@pytest.mark.parametrize(
    ("model", "marked"),
    [("fal-ai/kling-image/o1", "@Image2 in @Image1"), ("fal-ai/nano-banana-2/edit", "image 2 in image 1")],
)
def test_pictures_are_named_as_the_model_names_them(model: str, marked: str) -> None:
    """Markers of ours become the model's own."""
    plan = planned(card(model), operation="edit_image", references=2, prompt="<<<image_2>>> in <<<image_1>>>")
    assert body(order(plan))["prompt"] == marked


# ---------------------------------------------------------------- which model, and at what price


@pytest.mark.parametrize(
    ("operation", "roles", "asked", "model", "usd"),
    [
        ("image_to_video", "first_frame", {}, f"{KLING}/v2.6/pro/image-to-video", 0.35),
        ("image_to_video", "first_frame", {"sound": True}, f"{KLING}/v2.6/pro/image-to-video", 0.7),
        ("image_to_video", "first_frame", {"duration_s": 7}, f"{KLING}/v3/standard/image-to-video", 0.588),
        ("image_to_video", "first_frame", {"mode": "std"}, f"{KLING}/v3/standard/image-to-video", 0.42),
        ("image_to_video", "first_frame", {"resolution": "1080p"}, f"{VEO}/fast/image-to-video", 0.8),
        ("image_to_video", "first_frame last_frame", {"resolution": "4k"}, f"{VEO}/first-last-frame-to-video", 3.2),
        ("text_to_video", "", {"mode": "pro", "duration_s": 12}, f"{KLING}/v3/pro/text-to-video", 1.344),
        ("motion_control", "video", {}, f"{KLING}/v2.6/pro/motion-control", 0.672),
        ("motion_control", "video", {"mode": "std"}, f"{KLING}/v2.6/standard/motion-control", 0.42),
        ("extend_video", "video", {"extend_direction": "start"}, LTX, 0.5),
        ("extend_video", "video", {"sound": True}, f"{VEO}/extend-video", 2.8),
        ("lip_sync", "video audio", {}, f"{KLING}/lipsync/audio-to-video", 0.14),
        ("swap_face", "source face", {}, "fal-ai/nano-banana-pro/edit", 0.15),
        ("reference_to_video", "", {}, f"{KLING}/o1/standard/reference-to-video", 0.42),
        ("reference_to_video", "", {"sound": True}, f"{KLING}/o3/standard/reference-to-video", 0.56),
    ],
)
def test_the_first_model_that_can_is_taken_and_priced(
    operation: str, roles: str, asked: dict[str, Any], model: str, usd: float, settings: Settings
) -> None:
    """The default's order holds; seconds, sound and resolution make the price."""
    inputs = [picture(n, role) for n, role in enumerate(roles.split(), 1)]  # type: ignore[arg-type]
    inputs += [picture(9)] if operation in {"motion_control", "reference_to_video"} else []
    given = [Given(role=item.role, written=item.written) for item in inputs]
    words = "" if operation == "lip_sync" else "a kite"
    wanted: dict[str, Any] = {"prompt": words, "operation": operation, "inputs": given}
    wanted |= {"resolution": asked["resolution"]} if "resolution" in asked else {"options": asked}
    (plan,) = at("fal", Request.model_validate(wanted), inputs, SITE, words, settings)
    assert (plan.model, plan.price.usd) == (model, usd)


@pytest.mark.parametrize(
    ("model", "operation", "role", "spoiled", "key"),
    [
        (f"{KLING}/lipsync/audio-to-video", "lip_sync", "video", {"duration_s": 10.5}, "input_too_long"),
        (f"{KLING}/lipsync/audio-to-video", "lip_sync", "audio", {"size_bytes": 5_000_001}, "input_too_heavy"),
        (f"{KLING}/v2.6/pro/motion-control", "motion_control", "video", {"duration_s": 2}, "input_too_short"),
        (f"{KLING}/v2.6/pro/motion-control", "motion_control", "video", {"media_type": "video/webm"}, "input_type"),
        (f"{KLING}/o1/video-to-video/reference", "extend_video", "video", {"height": 480}, "input_too_small"),
        (f"{KLING}/v3/pro/image-to-video", "image_to_video", "first_frame", {"width": 2000}, "input_ratio"),
        ("fal-ai/kling-image/o1", "swap_face", "source", {"height": 299}, "input_too_small"),
    ],
)
def test_what_a_model_cannot_use_is_refused(
    model: str, operation: str, role: str, spoiled: dict[str, Any], key: str, settings: Settings
) -> None:
    """Too long, too heavy, of the wrong kind: said before anything is sent or paid."""
    roles = needed(card(model), operation)
    inputs = [picture(n, one, card(model)) for n, one in enumerate(roles, 1)]
    inputs += [picture(9)] if operation == "motion_control" else []
    inputs = [item.model_copy(update=spoiled) if item.role == role else item for item in inputs]
    words = "a kite" if "prompt" in card(model).accepts else ""
    given = [Given(role=item.role, written=item.written) for item in inputs]
    wanted = Request.model_validate({"prompt": words, "operation": operation, "model": model, "inputs": given})
    with pytest.raises(NotSupported) as refused:
        at("fal", wanted, inputs, SITE, words, settings)
    assert refused.value.key == key


# ---------------------------------------------------------------- what comes back


def test_clips_are_found_in_each_form() -> None:
    """Alone or as a list."""
    for media in ({"url": "u"}, [{"url": "u"}]):
        reply = Reply(200, {}, json.dumps({"video": media}).encode())
        assert [output.url for output in fal_replies.done(reply, Ready()).outputs] == ["u"]


async def test_a_report_comes_to_the_address_and_can_be_verified(wire: Wire, sandbox: Sandbox) -> None:
    """The address survives the way through the query; the report is fal's, names its request, and no other will do."""
    taken: asyncio.Queue[tuple[str, dict[str, str], bytes]] = asyncio.Queue()

    async def take(asked: Asked) -> Response:
        taken.put_nowait((str(asked.query_params["of"]), dict(asked.headers), await asked.body()))
        return Response(status_code=204)

    ear = Starlette(routes=[Route("/callbacks/fal", take, methods=["POST"])])
    plan = planned(card(f"{KLING}/v2.6/pro/text-to-video"))
    async with serving(Sandbox(), app=ear) as url:
        handle = await FAL.submit(wire, order(plan, callback_url=f"{url}/callbacks/fal?of=a%26b+c"))
        with anyio.fail_after(10):
            of, headers, told = await taken.get()
    assert isinstance(FAL, CallsBack)
    assert isinstance(FAL, Publishes)
    assert isinstance(handle, Handle)
    keys = FAL.keys_of(await wire.call("GET", wire.url(*FAL.callback_keys), with_key=False))
    request_id = handle.receipt["request_id"]
    assert (of, FAL.report(headers, told, keys, time.time())) == ("a&b c", (request_id, request_id))
    for spoiled in ((headers, told + b" "), ({**headers, "x-fal-webhook-user-id": "me"}, told)):
        with pytest.raises(Forged):
            FAL.report(*spoiled, keys, time.time())


async def test_nobody_is_reported_to_unless_asked(wire: Wire, sandbox: Sandbox) -> None:
    """Without an address nothing is posted, and the model's own error is told as ever."""
    await made(wire, order(planned(card(f"{KLING}/v2.6/pro/text-to-video"))))
    assert sandbox.stats()["webhook_posts"] == 0
    with pytest.raises(HoasiError):
        await FAL.submit(wire, order(planned(card("fal-ai/nano-banana")), callback_url="no url"))


async def test_a_clip_and_its_extension_in_one_workspace(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Bought once each; the clip of the first is what the second is made from, and the whole of it comes back."""
    kite = Request(prompt="a kite", operation="text_to_video", provider="fal", aspect_ratio="9:16")
    async with open_studio() as studio:
        first = await studio.generate(Ask(requests=(kite,), job_id="job-1"))
        more = Request(prompt="it falls", operation="extend_video", provider="fal", options={"duration_s": 3})
        more = more.model_copy(update={"inputs": (Given(role="video", written=first.generations[0].id),)})
        second = await studio.generate(Ask(requests=(kite, more), job_id="job-1"))
    assert (first.cost_usd, second.cost_usd) == (0.35, 0.3)
    assert [entry.model for entry in second.generations] == [f"{KLING}/v2.6/pro/text-to-video", LTX]
    assert video.inspect(Path(second.generations[1].outputs[0])).duration_s == pytest.approx(8, abs=0.3)
    assert (sandbox.stats()["submissions"], sandbox.stats()["unknown_fields"], sandbox.stats()["leaks"]) == (2, {}, 0)
