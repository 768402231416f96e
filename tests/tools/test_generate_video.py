"""generate_video: from words, frames, pictures, or another clip's movement; what is given says what is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inputs import clip, garment, portrait
from tooling import Connect, is_file, refused, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_clip_from_words(connect: Connect, sandbox: Sandbox) -> None:
    """State, cost, seconds, an mp4 in the job's folder of clips; once."""
    call = {"prompt": "a kite over rice fields", "job_id": "job-1", "scene_id": "SC_01", "duration_s": 5}
    async with connect() as client:
        reply = told(await client.call_tool("generate_video", call))
        again = told(await client.call_tool("generate_video", call))
    (entry,) = reply["generations"]
    assert (entry["state"], entry["paid"], entry["cost_usd"]) == ("succeeded", "yes", 0.35)
    assert is_file(entry["outputs"][0])
    assert Path(entry["outputs"][0]).parts[-4:-1] == ("raw_assets", "videos", "ai_generated")
    assert entry["clip_seconds"] > 0
    assert again["generations"][0]["state"] == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1


async def test_a_picture_begins_to_move(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """A picture of nobody needs no word; our own result may be the first frame, by its id."""
    async with connect() as client:
        picture = told(await client.call_tool("generate_image", {"prompt": "a kite", "provider": "local"}))
        name = picture["generations"][0]["id"]
        call = {"first_frame": name, "prompt": "it flies", "provider": "fal"}
        reply = told(await client.call_tool("generate_video", call))
    (entry,) = reply["generations"]
    assert (entry["state"], entry["parents"]) == ("succeeded", [name])
    assert "image-to-video" in entry["model"]
    assert sandbox.stats()["submissions"] == 1


async def test_two_frames_pictures_and_movement_are_told_apart(connect: Connect, workspace: Path) -> None:
    """Each way finds a model that does it, priced before anything is paid."""
    a, b = garment(workspace), garment(workspace, "hat.png", shade=200)
    calls: dict[str, dict[str, Any]] = {
        "image-to-video": {"prompt": "x", "first_frame": a, "last_frame": b},
        "reference-to-video": {"prompt": "<<<image_1>>> and <<<image_2>>>", "references": [a, b]},
        "motion-control": {"references": [portrait(workspace)], "motion_video": await clip(workspace, duration_s=4)},
    }
    async with connect() as client:
        for kind, call in calls.items():
            reply = told(await client.call_tool("generate_video", {**call, "provider": "fal", "dry_run": True}))
            assert kind in reply["generations"][0]["model"], kind
            assert reply["estimate_usd"] > 0


async def test_a_named_model_takes_its_own_words(connect: Connect, sandbox: Sandbox) -> None:
    """Veo by name; a length it does not make is refused before it is paid."""
    call = {"prompt": "a kite", "model": "fal-ai/veo3.1/fast", "aspect_ratio": "9:16"}
    async with connect() as client:
        made = told(await client.call_tool("generate_video", {**call, "duration_s": 6}))
        error = refused(await client.call_tool("generate_video", {**call, "duration_s": 7}))
    assert (made["generations"][0]["model"], made["generations"][0]["state"]) == ("fal-ai/veo3.1/fast", "succeeded")
    assert (error["key"], error["paid"]) == ("value_not_supported", "no")
    assert sandbox.stats()["submissions"] == 1


async def test_a_person_in_a_frame_needs_a_word(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """A face in the first frame is a face."""
    call = {"first_frame": portrait(workspace), "prompt": "she smiles", "provider": "fal"}
    async with connect() as client:
        error = refused(await client.call_tool("generate_video", call))
        told(await client.call_tool("generate_video", {**call, "consent": "Lan đồng ý"}))
    assert error["key"] == "consent_missing"
    assert sandbox.stats()["submissions"] == 1


async def test_the_local_clip_is_free(connect: Connect, sandbox: Sandbox) -> None:
    """A sketch that moves, without a key's help."""
    async with connect() as client:
        call = {"prompt": "a kite", "provider": "local", "duration_s": 2}
        reply = told(await client.call_tool("generate_video", call))
    assert (reply["cost_usd"], reply["generations"][0]["state"]) == (0.0, "succeeded")
    assert sandbox.stats()["posts_received"] == 0


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "prompt_empty"),
    ({"prompt": "x", "last_frame": "b.jpg"}, "video_needs"),
    ({"motion_video": "m.mp4", "references": ["a.jpg"], "last_frame": "b.jpg"}, "video_together"),
    ({"motion_video": "m.mp4"}, "video_character"),
    ({"prompt": "x", "mode": "fast"}, "arguments_wrong"),
    ({"prompt": "x", "duration_s": 0}, "arguments_wrong"),
    ({"prompt": "x", "length": 5}, "arguments_wrong"),
    ({"prompt": "x", "first_frame": "nothing.jpg"}, "reference_missing"),
    ({"prompt": "x", "max_cost_usd": 0.01}, "budget_call_usd"),
]


@pytest.mark.parametrize(("call", "key"), WRONG, ids=[f"{key} {' '.join(call)}" for call, key in WRONG])
async def test_what_cannot_be_is_refused_unpaid(
    connect: Connect, sandbox: Sandbox, call: dict[str, Any], key: str
) -> None:
    """With the parameter and the fix, before anything is sent."""
    async with connect() as client:
        error = refused(await client.call_tool("generate_video", {"provider": "fal", **call}))
    assert (error["key"], error["paid"]) == (key, "no")
    assert sandbox.stats()["posts_received"] == 0
