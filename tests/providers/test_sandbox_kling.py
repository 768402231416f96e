"""The sandbox speaks Kling's old standard: tasks, ids, lists, lifetimes, clips and pictures, lip sync, packs."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image

from hoasi.sandbox import Fault, Sandbox, reel, serving
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
    content,
    done,
    end,
    picture,
    problem,
    told,
)

pytestmark = pytest.mark.anyio
FACES, LIPS, EXTEND = "/v1/videos/identify-face", "/v1/videos/advanced-lip-sync", "/v1/videos/video-extend"
CHOICE = {"face_id": "0", "audio_id": "a", "sound_start_time": 0, "sound_end_time": 3000, "sound_insert_time": 1000}


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def sandbox(now: list[float]) -> Sandbox:
    return Sandbox(latency_s=600, pictures="tiny", clock=lambda: now[0])


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        yield client


async def measured(url: str) -> reel.Measures:
    answer = await content(url)
    assert answer.headers["content-type"] == "video/mp4"
    measures = await reel.measured(answer.content)
    assert measures
    return measures


async def extended(http: httpx.AsyncClient, sandbox: Sandbox, video_id: str) -> dict[str, Any]:
    return dict((await done(http, sandbox, EXTEND, video_id=video_id))["task_result"]["videos"][0])


async def test_a_task_goes_from_submitted_to_a_clip(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The receipt says submitted, then a task is processing, then it has succeeded with clip, duration and cost."""
    task_id = await accepted(http, TEXT, prompt="x", model_name="kling-v2-6", external_task_id="job-1:sc-2")
    running = await told(http, TEXT, task_id)
    assert (running["task_status"], "task_result" in running) == ("processing", False)
    end(sandbox, task_id)
    task = await told(http, TEXT, task_id)
    (clip,) = task["task_result"]["videos"]
    assert (task["task_status"], task["task_status_msg"], task["final_unit_deduction"]) == ("succeed", "", "1.5")
    assert (task["task_info"], clip["duration"]) == ({"external_task_id": "job-1:sc-2"}, "5.0")
    assert (clip["watermark_url"], task["watermark_info"]) == ("", {"enabled": False})
    assert (await measured(clip["url"])).duration_s == pytest.approx(5, abs=0.2)
    assert sandbox.stats()["leaks"] == 0


async def test_a_task_rests_as_submitted_as_long_as_asked(http: httpx.AsyncClient, sandbox: Sandbox, now: Any) -> None:
    """`kling_submitted_s` keeps a task submitted; it holds its slot all the while."""
    sandbox.change(kling_submitted_s=10, slots=1)
    task_id = await accepted(http)
    assert (await told(http, TEXT, task_id))["task_status"] == "submitted"
    assert problem(await http.post(TEXT, json=V1)) == (429, 1303)
    now[0] = 10
    assert (await told(http, TEXT, task_id))["task_status"] == "processing"


async def test_a_clip_is_there_only_after_its_task_has_succeeded(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The URL of a clip answers 404 before its time, and for ever if the task failed."""
    ids = [await accepted(http), await accepted(http)]
    urls = [sandbox.kling.tasks[task_id].planned.made[0].url for task_id in ids]
    assert [(await content(url)).status_code for url in urls] == [404, 404]
    end(sandbox, ids[0])
    sandbox.faults.add(Fault(at="status", kind="completed_error"))
    end(sandbox, ids[1])
    assert [(await content(url)).status_code for url in urls] == [200, 404]


async def test_a_task_is_found_by_the_callers_own_id(http: httpx.AsyncClient) -> None:
    """Both ids work in the same slot, below the task's own path only; nobody's id is a 404 (1203)."""
    task_id = await accepted(http, TEXT, **V1, external_task_id="mine")
    assert (await told(http, TEXT, "mine"))["task_id"] == task_id
    for url in (f"{IMAGE}/mine", f"{IMAGE}/{task_id}", f"{TEXT}/nobody"):
        assert problem(await http.get(url)) == (404, 1203)


async def test_an_id_that_came_before_is_refused_or_accepted_as_set(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """By default nothing is bought under an id twice; the other way the newest task is found, and a duplicate shows."""
    body = {**V1, "external_task_id": "mine"}
    await accepted(http, TEXT, **body)
    assert problem(await http.post(TEXT, json=body)) == (400, 1201)
    assert (sandbox.stats()["submissions"], sandbox.stats()["duplicates"]) == (1, 0)
    sandbox.change(kling_duplicate_ids="accepted")
    second = await accepted(http, TEXT, **body)
    assert (await told(http, TEXT, "mine"))["task_id"] == second
    assert sandbox.stats()["duplicates"] == 1


async def test_the_same_input_under_another_id_is_a_duplicate(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Ids and callbacks do not hide that the same thing was bought twice."""
    await accepted(http, TEXT, **V1, external_task_id="a")
    await accepted(http, TEXT, **V1, external_task_id="b", callback_url="http://127.0.0.1:1/")
    await accepted(http, TEXT, **{**V1, "prompt": "another"})
    stats = sandbox.stats()
    assert (stats["submissions"], stats["duplicates"], stats["models"]) == (3, 1, {"kling/videos/text2video": 3})


async def test_lists_come_in_pages_of_one_capability(http: httpx.AsyncClient) -> None:
    """A list shows its own capability, the newest first; a page beyond the bounds is a 1201."""
    ids = [await accepted(http) for _ in range(3)]
    await accepted(http, PICTURES, prompt="x")
    first, second = [(await http.get(f"{TEXT}?pageNum={n}&pageSize=2")).json()["data"] for n in (1, 2)]
    assert [task["task_id"] for task in first + second] == ids[::-1]
    for query in ("pageNum=0", "pageNum=1001", "pageSize=501", "pageSize=x"):
        assert problem(await http.get(f"{TEXT}?{query}")) == (400, 1201)


async def test_everything_is_gone_after_its_time(http: httpx.AsyncClient, sandbox: Sandbox, now: list[float]) -> None:
    """Task, list entry, clip and external id are forgotten together; the id may be used again."""
    sandbox.change(forget_after_s=30 * 86400)
    task = await done(http, sandbox, TEXT, **V1, external_task_id="mine")
    url = task["task_result"]["videos"][0]["url"]
    now[0] = 30 * 86400 - 1
    assert (await content(url)).status_code == 200
    now[0] += 1
    assert (await content(url)).status_code == 404
    assert problem(await http.get(f"{TEXT}/{task['task_id']}")) == (404, 1203)
    assert (await http.get(TEXT)).json()["data"] == []
    assert problem(await http.post(EXTEND, json={"video_id": task["task_result"]["videos"][0]["id"]})) == (400, 1201)
    await accepted(http, TEXT, **V1, external_task_id="mine")


async def test_a_failed_task_says_why_and_costs_nothing(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A fate makes the task fail with its own sentence; HTTP and code say that the query went well."""
    sandbox.faults.add(Fault(at="status", kind="completed_error", value="Failure to pass the risk control system"))
    task = await done(http, sandbox)
    assert (task["task_status"], task["task_status_msg"]) == ("failed", "Failure to pass the risk control system")
    assert (task["final_unit_deduction"], "task_result" in task) == ("0", False)


async def test_pictures_come_as_many_as_asked(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`n` pictures of the asked ratio, or a series; each costs its units."""
    task = await done(http, sandbox, PICTURES, prompt="x", n=3, aspect_ratio="9:16")
    assert (task["final_unit_deduction"], task["task_result"]["result_type"]) == ("24", "single")
    pictures = task["task_result"]["images"]
    assert [each["index"] for each in pictures] == [0, 1, 2]
    drawn = Image.open(io.BytesIO((await content(pictures[2]["url"])).content))
    assert (drawn.format, drawn.width / drawn.height) == ("PNG", pytest.approx(9 / 16, abs=0.02))
    body = {"prompt": "x", "model_name": "kling-v3-omni", "result_type": "series", "series_amount": 2, "n": 9}
    series = (await done(http, sandbox, OMNI_PICTURES, **body))["task_result"]
    assert (series["images"], len(series["series_images"])) == ([], 2)


async def test_what_is_made_follows_its_picture(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A clip from a picture has the picture's shape, `auto` too; a watermarked one is hosted twice."""
    tall = picture(320, 640)
    body = {"image": tall, "model_name": "kling-v3", "sound": "on", "duration": "3"}
    clip = (await done(http, sandbox, IMAGE, **body, watermark_info={"enabled": True}))["task_result"]["videos"][0]
    measures = await measured(clip["url"])
    assert (measures.height, measures.has_audio) == (2 * measures.width, True)
    assert (await content(clip["watermark_url"])).status_code == 200
    edited = await done(http, sandbox, OMNI_PICTURES, prompt="x", image_list=[{"image": tall}], aspect_ratio="auto")
    drawn = Image.open(io.BytesIO((await content(edited["task_result"]["images"][0]["url"])).content))
    assert drawn.height / drawn.width == pytest.approx(2, abs=0.05)


async def test_a_fate_shows_in_what_was_made(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`blank` and `landscape` are drawn as fates; `clip_empty` and `clip_truncated` break the file at the download."""
    sandbox.faults.add(
        Fault(at="status", kind="blank", model="kling/images/generations"),
        Fault(at="status", kind="landscape", model="kling/videos/text2video"),
        Fault(at="download", kind="clip_empty", model="kling/videos/text2video", after=1),
    )
    blank = (await done(http, sandbox, PICTURES, prompt="x"))["task_result"]["images"][0]
    assert Image.open(io.BytesIO((await content(blank["url"])).content)).convert("RGB").getcolors(1)
    clip = (await done(http, sandbox, TEXT, **V1, aspect_ratio="9:16"))["task_result"]["videos"][0]
    measures = await measured(clip["url"])
    assert measures.width > measures.height
    assert (await content(clip["url"])).content == b""


async def test_a_clip_of_the_first_models_is_extended_up_to_three_minutes(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    """Each extension is 5 seconds, names its parent and can be extended in turn, but never beyond 180 seconds."""
    clip = (await done(http, sandbox))["task_result"]["videos"][0]
    task = await done(http, sandbox, EXTEND, video_id=clip["id"], prompt="x")
    assert task["task_info"]["parent_video"] == {"id": clip["id"], "url": clip["url"], "duration": "5.0"}
    longer = task["task_result"]["videos"][0]
    assert (longer["duration"], longer["id"] != clip["id"]) == ("10.0", True)
    for _ in range(34):
        longer = await extended(http, sandbox, longer["id"])
    assert longer["duration"] == "180.0"
    assert problem(await http.post(EXTEND, json={"video_id": longer["id"]})) == (400, 1201)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TEXT, {"prompt": "x", "model_name": "kling-v2-6"}),
        (OMNI, {"prompt": "x", "aspect_ratio": "9:16"}),
        ("/v1/videos/multi-image2video", {"prompt": "x", "image_list": [{"image": URL}]}),
    ],
)
async def test_other_clips_cannot_be_extended(
    http: httpx.AsyncClient, sandbox: Sandbox, path: str, body: dict[str, Any]
) -> None:
    """Clips of later models and of other capabilities are refused, and so is one that is not made yet."""
    clip = (await done(http, sandbox, path, **body))["task_result"]["videos"][0]
    early = sandbox.kling.tasks[await accepted(http)].planned.made[0].id
    for video_id in (clip["id"], early, "nobody"):
        assert problem(await http.post(EXTEND, json={"video_id": video_id})) == (400, 1201)


async def test_motion_control_is_as_long_as_its_reference(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """There is no `duration` (it is counted as unknown): the clip is as long as the reference."""
    source = (await done(http, sandbox, TEXT, prompt="x", model_name="kling-v3", duration="9"))["task_result"]
    body = {"image_url": URL, "video_url": source["videos"][0]["url"], "character_orientation": "video", "mode": "std"}
    task = await done(http, sandbox, "/v1/videos/motion-control", **body, duration="5")
    assert task["task_result"]["videos"][0]["duration"] == "9.0"
    assert sandbox.stats()["unknown_fields"] == {"kling/videos/motion-control:duration": 1}


async def test_lip_sync_takes_two_steps(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Faces are found at once and paid; the session and one face then make a clip that names its parent."""
    clip = (await done(http, sandbox))["task_result"]["videos"][0]
    found = (await http.post(FACES, json={"video_id": clip["id"]})).json()["data"]
    (face,) = found["face_data"]
    assert (face["face_id"], face["start_time"], face["end_time"], found["final_unit_deduction"]) == (
        ("0", 0, 5000, "0.05")
    )
    assert Image.open(io.BytesIO((await content(face["face_image"])).content)).format == "PNG"
    task = await done(http, sandbox, LIPS, session_id=found["session_id"], face_choose=[CHOICE], external_task_id="l")
    assert (task["task_info"]["parent_video"]["id"], task["final_unit_deduction"]) == (clip["id"], "0.5")
    made = await measured(task["task_result"]["videos"][0]["url"])
    assert (made.has_audio, round(made.duration_s)) == (True, 5)
    assert problem(await http.get(f"{LIPS}/l")) == (404, 1203)
    assert sandbox.stats()["models"]["kling/videos/identify-face"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"face_id": "1"},
        {"audio_id": None},
        {"sound_file": URL},
        {"sound_end_time": 1999},
        {"sound_insert_time": 3001},
        {"sound_insert_time": None},
        {"sound_volume": 2.1},
    ],
)
async def test_a_sound_must_fit_its_face(http: httpx.AsyncClient, sandbox: Sandbox, change: dict[str, Any]) -> None:
    """Another face, no or two sounds, and times that leave less than 2 seconds are refused and not billed."""
    clip = (await done(http, sandbox))["task_result"]["videos"][0]
    session_id = (await http.post(FACES, json={"video_id": clip["id"]})).json()["data"]["session_id"]
    body = {"session_id": session_id, "face_choose": [{**CHOICE, **change}]}
    assert problem(await http.post(LIPS, json=body)) == (400, 1201)
    await accepted(http, LIPS, session_id=session_id, face_choose=[{**CHOICE, "sound_insert_time": 3000}])


async def test_faces_are_as_many_as_set_and_a_session_lasts_a_day(
    http: httpx.AsyncClient, sandbox: Sandbox, now: list[float]
) -> None:
    """A clip without a face gives an empty list; a session ends after 24 hours; neither or both clips are refused."""
    sandbox.change(kling_faces_in_clip=0)
    assert (await http.post(FACES, json={"video_url": CLIP})).json()["data"]["face_data"] == []
    sandbox.change(kling_faces_in_clip=2)
    found = (await http.post(FACES, json={"video_url": CLIP})).json()["data"]
    assert [face["face_id"] for face in found["face_data"]] == ["0", "1"]
    now[0] = 24 * 3600
    assert problem(await http.post(LIPS, json={"session_id": found["session_id"], "face_choose": [CHOICE]}))[1] == 1201
    for body in ({}, {"video_url": CLIP, "video_id": "1"}, {"video_id": "nobody"}):
        assert problem(await http.post(FACES, json=body)) == (400, 1201)


async def test_packs_tell_what_is_left_once_a_second(http: httpx.AsyncClient, now: list[float]) -> None:
    """The packs shrink by what was bought; a second question within a second is too fast, one without times wrong."""
    await accepted(http, PICTURES, prompt="x")
    asked = "/account/costs?start_time=1&end_time=2"
    packs = (await http.get(asked)).json()["data"]["resource_pack_subscribe_infos"]
    assert [(pack["resource_pack_type"], pack["remaining_quantity"], pack["status"]) for pack in packs] == [
        ("decreasing_total", 1000.0, "online"),
        ("decreasing_total", 9992.0, "online"),
    ]
    assert problem(await http.get(asked)) == (429, 1302)
    now[0] = 1
    name = packs[0]["resource_pack_name"]
    one = (await http.get(asked, params={"start_time": "1", "end_time": "2", "resource_pack_name": name})).json()
    assert len(one["data"]["resource_pack_subscribe_infos"]) == 1
    assert problem(await http.get("/account/costs")) == (400, 1201)


async def test_there_is_no_cancel_and_no_omni_edit(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """What never existed is a 404 (1202) in Kling's words, whatever the method."""
    task_id = await accepted(http)
    for method, path in (
        ("POST", f"{TEXT}/{task_id}/cancel"),
        ("PUT", f"{TEXT}/{task_id}"),
        ("DELETE", f"{TEXT}/{task_id}"),
        ("POST", f"/task/{task_id}/cancel".replace("/task/", "/tasks/")),
        ("POST", "/v1/images/omni-edit"),
        ("GET", "/v1/images/omni-edit/1"),
        ("GET", FACES),
        ("GET", "/text-to-video/kling-3.0"),
    ):
        assert problem(await http.request(method, path)) == (404, 1202), path
    assert sandbox.stats()["submissions"] == 1


async def test_it_stands_below_its_own_prefix_too(http: httpx.AsyncClient) -> None:
    """`/kling` is the same account: other providers share paths such as /v1/images/generations."""
    task_id = await accepted(http, "/kling" + PICTURES, prompt="x")
    assert (await told(http, PICTURES, task_id))["task_id"] == task_id
    assert problem(await http.post("/kling/v1/images/omni-edit", json={})) == (404, 1202)


async def test_reset_forgets_everything(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """After a reset no task, id or unit is left."""
    task_id = await accepted(http, TEXT, **V1, external_task_id="mine")
    sandbox.reset()
    assert problem(await http.get(f"{TEXT}/{task_id}")) == (404, 1203)
    await accepted(http, TEXT, **V1, external_task_id="mine")
    assert sandbox.stats()["submissions"] == 1
