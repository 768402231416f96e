"""What Kling's stand-in takes and refuses, field by field, in both generations."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hoasi.sandbox import Sandbox, serving
from hoasi.sandbox.kling_fields import new_endpoints, table, v1_endpoints
from providers.kling_calls import (
    CLIP,
    IMAGE,
    KEY,
    OMNI,
    OMNI_PICTURES,
    PICTURES,
    TEXT,
    URL,
    V1,
    accepted,
    picture,
    problem,
)

pytestmark = pytest.mark.anyio
MULTI, MOTION, TRYON = "/v1/videos/multi-image2video", "/v1/videos/motion-control", "/v1/images/kolors-virtual-try-on"
SUBJECTS = "/v1/images/multi-image2image"
X: dict[str, Any] = {"prompt": "x"}
V26, V3 = {**X, "model_name": "kling-v2-6"}, {**X, "model_name": "kling-v3"}
FIVE = {"video_list": [{"video_url": CLIP}]}
MOVED = {"image_url": URL, "video_url": CLIP, "character_orientation": "image", "mode": "std"}
CAMERA = {"type": "simple", "config": {"horizontal": 5, "pan": 0}}
MASKS = [{"mask": URL, "trajectories": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}]
SHOTS = [{"index": 1, "prompt": "a", "duration": "2"}, {"index": 2, "prompt": "b", "duration": "3"}]
NEW_TEXT, NEW_IMAGE, NEW_OMNI = "/text-to-video/kling-3.0", "/image-to-video/kling-3.0", "/omni-video/kling-3.0-omni"


def frames(count: int, *kinds: str) -> list[dict[str, str]]:
    return [{"image_url": URL}] * count + [{"image_url": URL, "type": kind} for kind in kinds]


def parts(*kinds: str, **settings: Any) -> dict[str, Any]:
    links = {"feature_video": CLIP, "base_video": CLIP, "video": CLIP}
    made = [
        {"type": "prompt", "text": "x"}
        if kind == "prompt"
        else {"type": kind, "element_id": 1}
        if kind == "element"
        else {"type": kind, "url": links.get(kind, URL)}
        for kind in kinds
    ]
    return {"contents": made, "settings": settings}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=600, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        yield client


GOOD: list[tuple[str, dict[str, Any]]] = [
    (OMNI_PICTURES, {**X, "image_list": [{"image": URL}] * 7, "element_list": [{"element_id": 1}] * 3}),
    (OMNI_PICTURES, {**X, "model_name": "kling-v3-omni", "resolution": "4k", "aspect_ratio": "auto"}),
    (OMNI_PICTURES, {**X, "aspect_ratio": "21:9", "n": 9}),
    (OMNI_PICTURES, {**X, "aspect_ratio": "auto", "element_list": [{"element_id": 1}]}),
    (OMNI_PICTURES, X),
    (PICTURES, {**X, "negative_prompt": "y", "n": 1}),
    (PICTURES, {**X, "model_name": "kling-v2-1", "image": URL, "image_reference": "subject", "human_fidelity": 0}),
    (SUBJECTS, {"subject_image_list": [{"subject_image": URL}] * 4, "scene_image": URL}),
    (TRYON, {"human_image": URL, "cloth_image": picture(form="JPEG")}),
    (TEXT, {**X, "prompt": "x" * 2500, "cfg_scale": 0, "camera_control": CAMERA}),
    (TEXT, {**V26, "sound": "on", "mode": "pro", "voice_list": [{"voice_id": "v"}]}),
    (TEXT, {**V3, "mode": "4k", "duration": "15", "sound": "on"}),
    (TEXT, {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize", "multi_prompt": SHOTS}),
    (IMAGE, {"image": URL, "image_tail": URL, "model_name": "kling-v2-6", "mode": "pro"}),
    (IMAGE, {"image_tail": picture(), "model_name": "kling-v1-5"}),
    (IMAGE, {"image": URL, "static_mask": URL, "dynamic_masks": MASKS}),
    (IMAGE, {"image": URL, "model_name": "kling-v3", "element_list": [{"element_id": 1}] * 3}),
    (OMNI, {**X, "aspect_ratio": "9:16", "duration": "10"}),
    (OMNI, {**X, "aspect_ratio": "9:16", "image_list": frames(7), "duration": "7"}),
    (OMNI, {**X, "image_list": frames(0, "first_frame", "end_frame")}),
    (OMNI, {**X, **FIVE, "image_list": frames(4)}),
    (OMNI, {**X, "model_name": "kling-v3-omni", "sound": "on", "aspect_ratio": "1:1", "duration": "15"}),
    (MULTI, {**X, "image_list": [{"image": URL}] * 4, "mode": "pro", "duration": "10"}),
    (MOTION, {**MOVED, "keep_original_sound": "no"}),
    (NEW_TEXT, {"prompt": "x" * 3072, "settings": {"duration": 15, "resolution": "4k", "audio": "native"}}),
    (NEW_TEXT, {"prompt": "x"}),
    (NEW_IMAGE, parts("prompt", "first_frame", "last_frame", "element", "element", "element")),
    (NEW_OMNI, parts("prompt", "refer_image", "feature_video")),
    (NEW_OMNI, parts("prompt", "base_video", audio="original")),
    ("/motion-control/kling-3.0", parts("image", "video", character_orientation="video")),
]

BAD: list[tuple[str, dict[str, Any]]] = [
    (OMNI_PICTURES, {}),
    (OMNI_PICTURES, {**X, "model_name": "kling-v2-1"}),
    (OMNI_PICTURES, {**X, "prompt": "x" * 2501}),
    (OMNI_PICTURES, {**X, "prompt": ""}),
    (OMNI_PICTURES, {**X, "image_list": [{"image": URL}] * 8, "element_list": [{"element_id": 1}] * 3}),
    (OMNI_PICTURES, {**X, "image_list": [URL]}),
    (OMNI_PICTURES, {**X, "image_list": [{"image_url": URL}]}),
    (OMNI_PICTURES, {**X, "resolution": "4k"}),
    (OMNI_PICTURES, {**X, "result_type": "series"}),
    (OMNI_PICTURES, {**X, "aspect_ratio": "auto"}),
    (OMNI_PICTURES, {**X, "n": 10}),
    (OMNI_PICTURES, {**X, "n": True}),
    (OMNI_PICTURES, {**X, "model_name": "kling-v3-omni", "series_amount": 1}),
    (PICTURES, {**X, "negative_prompt": "y", "image": URL}),
    (PICTURES, {**X, "aspect_ratio": "auto"}),
    (PICTURES, {**X, "image_reference": "subject", "model_name": "kling-v2-1"}),
    (PICTURES, {**X, "image_reference": "subject", "image": URL}),
    (PICTURES, {**X, "image_fidelity": 0.5, "image": URL}),
    (PICTURES, {**X, "image": URL, "image_reference": "face", "human_fidelity": 0.5, "model_name": "kling-v2-1"}),
    (PICTURES, {**X, "model_name": "kling-v1-5"}),
    (SUBJECTS, X),
    (SUBJECTS, {"subject_image_list": [{"subject_image": URL}] * 5}),
    (SUBJECTS, {"subject_image_list": []}),
    (TRYON, {"human_image": URL}),
    (TEXT, {"model_name": "kling-v1"}),
    (TEXT, {**X, "model_name": "kling-v1-5"}),
    (TEXT, {**V26, "cfg_scale": 0.5}),
    (TEXT, {**X, "cfg_scale": 1.1}),
    (TEXT, {**X, "cfg_scale": "0.5"}),
    (TEXT, {**X, "sound": "on"}),
    (TEXT, {**V26, "sound": "on"}),
    (TEXT, {**V26, "mode": "4k"}),
    (TEXT, {**X, "duration": "7"}),
    (TEXT, {**X, "duration": 5}),
    (TEXT, {**V26, "camera_control": CAMERA}),
    (TEXT, {**X, "camera_control": CAMERA, "mode": "pro"}),
    (TEXT, {**X, "camera_control": {"type": "simple"}}),
    (TEXT, {**X, "camera_control": {"type": "simple", "config": {"pan": 1, "tilt": 1}}}),
    (TEXT, {**X, "camera_control": {"type": "simple", "config": {"pan": 11}}}),
    (TEXT, {**X, "camera_control": {"type": "down_back", "config": {"pan": 1}}}),
    (TEXT, {**V26, "multi_shot": True, "shot_type": "intelligence"}),
    (TEXT, {**V3, "multi_shot": True}),
    (TEXT, {**V3, "multi_shot": True, "shot_type": "customize"}),
    (TEXT, {**V3, "multi_prompt": [{"index": 1, "prompt": "x" * 513, "duration": "5"}]}),
    (TEXT, {**V26, "voice_list": [{"voice_id": "v"}], "mode": "pro"}),
    (TEXT, {**V3, "sound": "on", "voice_list": [{"voice_id": "v"}] * 3}),
    (TEXT, {**X, "callback_url": "ftp://me"}),
    (TEXT, {**X, "watermark_info": {"enabled": "no"}}),
    (IMAGE, X),
    (IMAGE, {"image": URL, "model_name": "kling-video-o1"}),
    (IMAGE, {"image": URL, "image_tail": URL, "static_mask": URL}),
    (IMAGE, {"image": URL, "image_tail": URL, "camera_control": CAMERA}),
    (IMAGE, {"image": URL, "dynamic_masks": MASKS, "camera_control": CAMERA}),
    (IMAGE, {"image": URL, "static_mask": URL, "camera_control": CAMERA}),
    (IMAGE, {"image": URL, "dynamic_masks": MASKS * 7}),
    (IMAGE, {"image": URL, "dynamic_masks": [{"mask": URL, "trajectories": [{"x": 1, "y": 1}]}]}),
    (IMAGE, {"image": URL, "image_tail": URL, "model_name": "kling-v2-6"}),
    (IMAGE, {"image": URL, "image_tail": URL, "model_name": "kling-v2-6", "mode": "pro", "sound": "on"}),
    (IMAGE, {"image": URL, "element_list": [{"element_id": 1}]}),
    (IMAGE, {"image": "data:image/png;base64," + picture()}),
    (IMAGE, {"image": "not base64!"}),
    (IMAGE, {"image": base64.b64encode(b"no picture").decode()}),
    (IMAGE, {"image": picture(form="WEBP")}),
    (IMAGE, {"image": picture(299, 400)}),
    (IMAGE, {"image": picture(300, 751)}),
    (IMAGE, {"image": base64.b64encode(base64.b64decode(picture()) + bytes(10_000_000)).decode()}),
    (IMAGE, {"image": "http://localhost/a.png"}),
    (IMAGE, {"image": "file:///tmp/a.png"}),
    (IMAGE, {"image": "http://[bad"}),
    (OMNI, X),
    (OMNI, {**X, "aspect_ratio": "9:16", "duration": "7"}),
    (OMNI, {**X, "image_list": frames(0, "first_frame"), "duration": "7"}),
    (OMNI, {**X, "aspect_ratio": "9:16", "image_list": frames(8)}),
    (OMNI, {**X, **FIVE, "image_list": frames(5)}),
    (OMNI, {**X, "image_list": frames(1, "first_frame", "end_frame")}),
    (OMNI, {**X, "aspect_ratio": "9:16", "image_list": frames(0, "end_frame")}),
    (OMNI, {**X, **FIVE, "image_list": frames(0, "first_frame")}),
    (OMNI, {**X, "video_list": [{"video_url": CLIP, "refer_type": "feature"}]}),
    (OMNI, {**X, "video_list": [{"video_url": CLIP}] * 2}),
    (OMNI, {**X, "video_list": [{"video_url": "http://example.com/a.mp4"}]}),
    (OMNI, {**X, "video_list": [{"video_url": base64.b64encode(b"mp4").decode()}]}),
    (OMNI, {**X, "aspect_ratio": "9:16", "mode": "4k"}),
    (OMNI, {**X, "aspect_ratio": "9:16", "sound": "on"}),
    (OMNI, {**X, "aspect_ratio": "9:16", "duration": "15"}),
    (OMNI, {**X, **FIVE, "sound": "on", "model_name": "kling-v3-omni"}),
    (MULTI, {**X, "image_list": []}),
    (MULTI, {**X, "image_list": [{"image": URL}] * 5}),
    (MULTI, {**X, "image_list": [{"image": URL}], "model_name": "kling-v2-6"}),
    (MOTION, {**MOVED, "mode": None}),
    (MOTION, {**MOVED, "character_orientation": None}),
    (MOTION, {"image": URL, "video_url": CLIP, "character_orientation": "image", "mode": "std"}),
    (MOTION, {**MOVED, "element_list": [{"element_id": 1}]}),
    (NEW_TEXT, {"prompt": "x" * 3073}),
    (NEW_TEXT, {"prompt": "x", "settings": {"duration": "5"}}),
    (NEW_TEXT, {"prompt": "x", "settings": {"duration": 2}}),
    ("/text-to-video/kling-3.0-turbo", {"prompt": "x", "settings": {"resolution": "4k"}}),
    (NEW_IMAGE, parts("prompt")),
    (NEW_IMAGE, parts("prompt", "last_frame")),
    (NEW_IMAGE, parts("prompt", "first_frame", "first_frame")),
    (NEW_IMAGE, parts("first_frame", *["element"] * 4)),
    (NEW_IMAGE, parts("first_frame", "refer_image")),
    (NEW_OMNI, parts("refer_image")),
    (NEW_OMNI, parts("prompt", "prompt")),
    (NEW_OMNI, parts("prompt", "last_frame")),
    (NEW_OMNI, parts("prompt", "feature_video", audio="native")),
    (NEW_OMNI, parts("prompt", "base_video", audio="native")),
    (NEW_OMNI, parts("prompt", "base_video", "first_frame")),
    (NEW_OMNI, parts("prompt", "base_video", "feature_video")),
    (NEW_OMNI, parts("prompt", "base_video", "base_video")),
    (NEW_OMNI, parts("prompt", "base_video", multi_shot=True)),
    ("/motion-control/kling-3.0", parts("image", "video")),
    ("/motion-control/kling-3.0", {"contents": parts("image", "video")["contents"]}),
    ("/motion-control/kling-3.0", parts("image", character_orientation="image")),
]


@pytest.mark.parametrize(("path", "body"), GOOD)
async def test_what_is_documented_is_taken(
    http: httpx.AsyncClient, sandbox: Sandbox, path: str, body: dict[str, Any]
) -> None:
    """A body at the documented limits is accepted, and every field of it is known."""
    await accepted(http, path, **body)
    assert (sandbox.stats()["submissions"], sandbox.stats()["unknown_fields"]) == (1, {})


@pytest.mark.parametrize(("path", "body"), BAD)
async def test_what_is_beyond_the_documentation_is_refused(
    http: httpx.AsyncClient, sandbox: Sandbox, path: str, body: dict[str, Any]
) -> None:
    """A body beyond the limits is a 400 (1201), costs nothing and is never accepted."""
    answer = await http.post(path, json=body)
    assert problem(answer) == (400, 1201), answer.text
    assert answer.json()["message"] != "Invalid parameters"
    assert sandbox.stats()["submissions"] == 0


async def test_a_message_names_the_field(http: httpx.AsyncClient) -> None:
    """Whoever reads the answer knows what to change, also deep inside a body."""
    for body, message in (
        ({**X, "cfg_scale": 2}, "cfg_scale must be at most 1"),
        ({"model_name": "kling-v1"}, "prompt is required"),
        (
            {**X, "camera_control": {"type": "simple", "config": {"pan": "x"}}},
            "camera_control.config.pan must be a num",
        ),
        ({**V3, "multi_prompt": [{"index": 1, "duration": "2"}]}, "multi_prompt[0].prompt is required"),
    ):
        assert (await http.post(TEXT, json=body)).json()["message"].startswith(message)


@pytest.mark.parametrize("content", [b"{not json", b"[]", b"\xff", b""])
async def test_a_body_that_is_no_object_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    """What is not a JSON object is a 400 (1200)."""
    assert problem(await http.post(TEXT, content=content)) == (400, 1200)


async def test_unknown_fields_are_counted_not_refused(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Fields that never existed are dropped without a word, as on the live service, but a test can see them."""
    await accepted(http, TEXT, **V1, style="anime", camera_control={**CAMERA, "speed": 1})
    await accepted(http, NEW_TEXT, prompt="x", settings={"seed": 0})
    assert sandbox.stats()["unknown_fields"] == {
        "kling/videos/text2video:style": 1,
        "kling/videos/text2video:camera_control.speed": 1,
        "kling/text-to-video/kling-3.0:settings.seed": 1,
    }


async def test_a_file_of_the_sandbox_is_taken_while_it_is_there(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The sandbox's own files are downloadable although it stands on a loopback address; missing ones are not."""
    sandbox.shelf.put_bytes("b/a.png", b"x", "image/png")
    await accepted(http, IMAGE, image=str(http.base_url.join("/files/b/a.png")))
    gone = await http.post(IMAGE, json={"image": str(http.base_url.join("/files/b/none.png"))})
    assert problem(gone) == (400, 1201)


async def test_every_rule_and_every_price_belongs_to_an_endpoint() -> None:
    """The table is whole: each rule, form and check it names exists, each is used, each model has a price."""
    rows = [*table()["v1"].values(), *table()["new"].values()]
    assert {name for row in rows for name in row.get("rules", ())} == set(table()["rules"])
    words = {word.rstrip("*") for row in rows for word in row["takes"].split()} - {"contents"}
    common = {"callback_url", "external_task_id", "watermark_info"}
    assert words | common == set(table()["forms"])
    for endpoint in [*v1_endpoints().values(), *new_endpoints().values()]:
        models = endpoint.forms.get("model_name", {"enum": filter(None, [endpoint.model])})["enum"]
        prices = "usd_per_picture" if endpoint.makes == "images" else "usd_per_second"
        assert {table()["same_price"].get(model, model) for model in models} <= set(table()[prices])


async def test_a_null_is_as_good_as_nothing(http: httpx.AsyncClient) -> None:
    """A null leaves a field to its default; a required one is missing then."""
    await accepted(http, TEXT, **V1, cfg_scale=None, camera_control=None)
    assert problem(await http.post(MULTI, json={"prompt": None, "image_list": [{"image": URL}]})) == (400, 1201)
