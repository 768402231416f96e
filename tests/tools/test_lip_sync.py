"""lip_sync: a person in a clip says what a sound file says."""

from __future__ import annotations

from pathlib import Path

import pytest
from inputs import clip, sound
from tooling import Connect, is_file, refused, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_clip_speaks_once(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """Clip and sound are sent, the clip that speaks is filed; the same call again buys nothing."""
    call = {"video": await clip(workspace), "audio": sound(workspace), "provider": "fal", "job_id": "job-1"}
    async with connect() as client:
        reply = told(await client.call_tool("lip_sync", call))
        again = told(await client.call_tool("lip_sync", call))
    (entry,) = reply["generations"]
    assert (entry["state"], entry["paid"]) == ("succeeded", "yes")
    assert is_file(entry["outputs"][0])
    assert again["generations"][0]["state"] == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1
    assert sandbox.stats()["uploads"] == 2


async def test_what_a_model_has_not_is_refused_unpaid(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """Times and faces that this provider cannot choose are not lost in silence; a short sound is named."""
    call = {"video": await clip(workspace), "audio": sound(workspace), "provider": "fal"}
    async with connect() as client:
        times = refused(await client.call_tool("lip_sync", {**call, "sound_start_s": 0}))
        short = refused(await client.call_tool("lip_sync", {**call, "audio": sound(workspace, "a.wav", 0.5)}))
        alone = refused(await client.call_tool("lip_sync", {"video": call["video"]}))
    assert [times["key"], short["key"], alone["key"]] == [
        "option_not_supported",
        "input_too_short",
        "arguments_wrong",
    ]
    assert sandbox.stats()["posts_received"] == 0


async def test_a_dry_run_tells_the_price(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """By the clip's started five seconds; nothing is sent."""
    call = {"video": await clip(workspace), "audio": sound(workspace), "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("lip_sync", call))
    assert reply["estimate_usd"] == pytest.approx(0.07)
    assert sandbox.stats()["posts_received"] == 0


async def test_local_cannot_and_says_so(connect: Connect, workspace: Path) -> None:
    """There is no sketch of lips."""
    call = {"video": await clip(workspace), "audio": sound(workspace), "provider": "local"}
    async with connect() as client:
        error = refused(await client.call_tool("lip_sync", call))
    assert (error["key"], error["paid"]) == ("operation_not_offered", "no")
