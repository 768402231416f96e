"""extend_video: a clip goes on; its result can go on again."""

from __future__ import annotations

from pathlib import Path

import pytest
from inputs import clip
from tooling import Connect, is_file, refused, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_extensions_chain_by_their_ids(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """A file is extended, then its extension; the chain of parents is told, each step is paid once."""
    async with connect() as client:
        file = {"video": await clip(workspace), "provider": "fal", "duration_s": 2, "scene_id": "SC_01"}
        first = told(await client.call_tool("extend_video", file))["generations"][0]
        more = {"video": first["id"], "prompt": "rain begins", "provider": "fal", "duration_s": 3}
        second = told(await client.call_tool("extend_video", more))["generations"][0]
        again = told(await client.call_tool("extend_video", more))["generations"][0]
    assert [first["state"], second["state"], again["state"]] == ["succeeded", "succeeded", "skipped_existing"]
    assert [first["cost_usd"], second["cost_usd"]] == pytest.approx([0.2, 0.3])
    assert second["parents"] == [first["id"]]
    assert is_file(second["outputs"][0])
    assert sandbox.stats()["submissions"] == 2


async def test_a_beginning_is_asked_of_who_can_make_one(connect: Connect, workspace: Path) -> None:
    """`start` goes to a model that has it; one that has not is refused unpaid."""
    call = {"video": await clip(workspace), "prompt": "dawn", "extend_direction": "start", "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("extend_video", {**call, "provider": "fal"}))
        error = refused(await client.call_tool("extend_video", {**call, "model": "fal-ai/veo3.1/extend-video"}))
    assert reply["generations"][0]["model"] == "fal-ai/ltx-2.3/extend-video"
    assert (error["kind"], error["paid"]) == ("NotSupported", "no")


async def test_the_local_continuation_is_free(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """The last frame goes on moving; nothing leaves this machine."""
    call = {"video": await clip(workspace, duration_s=1), "provider": "local", "duration_s": 2}
    async with connect() as client:
        reply = told(await client.call_tool("extend_video", call))
    assert (reply["cost_usd"], reply["generations"][0]["state"]) == (0.0, "succeeded")
    assert sandbox.stats()["posts_received"] == 0


async def test_what_is_no_clip_is_refused(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """A missing file, an unknown id, a wrong direction: named, unpaid."""
    (workspace / "text.mp4").write_text("no clip", encoding="utf-8")
    wrong: dict[str, dict[str, str]] = {
        "reference_missing": {"video": "none.mp4"},
        "not_a_clip": {"video": "text.mp4"},
        "arguments_wrong": {"video": "text.mp4", "extend_direction": "up"},
    }
    async with connect() as client:
        for key, call in wrong.items():
            assert refused(await client.call_tool("extend_video", {"provider": "fal", **call}))["key"] == key
    assert sandbox.stats()["posts_received"] == 0
