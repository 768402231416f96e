"""swap_face: two pictures become one, and a clip where it is wished; nobody's face leaves without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inputs import garment, portrait
from mcp.types import ElicitRequestFormParams, ElicitResult
from tooling import Connect, fault, is_file, lying_in, refused, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio

AGREED = {"consent": "Lan và Minh đồng ý"}
SMALL = {**AGREED, "provider": "fal", "resolution": "1k"}


@pytest.fixture
def pair(workspace: Path) -> dict[str, str]:
    """Source and face, in two files."""
    (workspace / "face.jpg").write_bytes((workspace / portrait(workspace)).read_bytes() + b"\0")
    return {"source": "astronaut.jpg", "face": "face.jpg"}


async def test_a_face_is_swapped_once(connect: Connect, sandbox: Sandbox, pair: dict[str, str]) -> None:
    """One purchase, its cost and file; the same call again buys nothing."""
    call = {**pair, **AGREED, "provider": "fal", "scene_id": "SC_01", "job_id": "job-1"}
    async with connect() as client:
        reply = told(await client.call_tool("swap_face", call))
        again = told(await client.call_tool("swap_face", call))
    (entry,) = reply["generations"]
    assert (entry["state"], entry["paid"], entry["scene_id"], entry["cost_usd"]) == ("succeeded", "yes", "SC_01", 0.15)
    assert entry["model"] == "fal-ai/nano-banana-pro/edit"
    assert is_file(entry["outputs"][0])
    assert again["generations"][0]["state"] == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1


async def test_the_clip_is_made_of_the_result(connect: Connect, sandbox: Sandbox, pair: dict[str, str]) -> None:
    """`animate` buys a picture and a clip; the clip names the picture as what it came from."""
    sandbox.change(pictures="storyboard")
    async with connect() as client:
        reply = told(await client.call_tool("swap_face", {**pair, **SMALL, "animate": True}))
    picture, clip = reply["generations"]
    assert [picture["state"], clip["state"]] == ["succeeded", "succeeded"]
    assert (Path(picture["outputs"][0]).suffix, Path(clip["outputs"][0]).suffix) == (".png", ".mp4")
    assert clip["parents"] == [picture["id"]]
    assert sandbox.stats()["submissions"] == 2


async def test_a_failed_clip_leaves_the_picture(connect: Connect, sandbox: Sandbox, pair: dict[str, str]) -> None:
    """The reply holds the picture and the clip's error."""
    sandbox.change(pictures="storyboard")
    sandbox.faults.add(
        fault("submit", "validation", value="image_too_small", model="fal-ai/kling-video/v2.6/pro/image-to-video")
    )
    async with connect() as client:
        reply = told(await client.call_tool("swap_face", {**pair, **SMALL, "animate": True}))
    picture, clip = reply["generations"]
    assert (picture["state"], clip["state"]) == ("succeeded", "failed")
    assert is_file(picture["outputs"][0])
    assert (clip["error"]["kind"], clip["paid"]) == ("ProviderRefused", "no")


async def test_a_dry_run_prices_both_and_sends_nothing(
    connect: Connect, sandbox: Sandbox, workspace: Path, pair: dict[str, str]
) -> None:
    """Provider auto: chosen, named and priced; no consent is needed to look at a price."""
    before = lying_in(workspace)
    async with connect() as client:
        reply = told(await client.call_tool("swap_face", {**pair, "animate": True, "dry_run": True}))
    assert lying_in(workspace) == before
    assert [entry["state"] for entry in reply["generations"]] == ["planned", "planned"]
    assert reply["estimate_usd"] == pytest.approx(0.5)
    assert any("nano-banana-pro" in warning for warning in reply["warnings"])
    assert sandbox.stats()["posts_received"] == 0


async def test_the_local_preview_is_free_and_needs_no_key(
    connect: Connect, pair: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swap and clip as a sketch; nothing leaves, so nobody is asked."""
    monkeypatch.delenv("FAL_KEY")
    async with connect() as client:
        reply = told(await client.call_tool("swap_face", {**pair, "provider": "local", "animate": True}))
    assert [entry["state"] for entry in reply["generations"]] == ["succeeded", "succeeded"]
    assert reply["cost_usd"] == 0.0


async def test_without_a_word_no_face_leaves(connect: Connect, sandbox: Sandbox, pair: dict[str, str]) -> None:
    """A client that cannot ask gets the command that records a permission for a swap."""
    async with connect() as client:
        error = refused(await client.call_tool("swap_face", {**pair, "provider": "fal"}))
    assert (error["key"], error["paid"]) == ("consent_missing", "no")
    assert "--scope swap" in error["fix"]
    assert (sandbox.stats()["posts_received"], sandbox.stats()["uploads"]) == (0, 0)


@pytest.mark.parametrize("shows", ["consent_given", "no_consent"])
async def test_the_user_is_asked_for_both_pictures(
    connect: Connect, sandbox: Sandbox, pair: dict[str, str], shows: str
) -> None:
    """One question that names both; yes makes it, no sends nothing."""
    questions: list[ElicitRequestFormParams] = []

    async def user(_: Any, params: Any) -> ElicitResult:
        questions.append(params)
        return ElicitResult(action="accept", content={"shows": shows, "words": "được"})

    async with connect(elicitation_callback=user) as client:
        result = await client.call_tool("swap_face", {**pair, "provider": "fal"})
    assert all(name in questions[0].message for name in pair.values())
    assert len(questions) == 1
    if shows == "consent_given":
        assert told(result)["generations"][0]["state"] == "succeeded"
    else:
        assert refused(result)["kind"] == "ConsentMissing"
    assert sandbox.stats()["submissions"] == (1 if shows == "consent_given" else 0)


async def test_a_minor_is_refused_for_good(connect: Connect, sandbox: Sandbox, pair: dict[str, str]) -> None:
    """`minor` is recorded; no later word makes up for it."""
    async with connect() as client:
        first = refused(await client.call_tool("swap_face", {**pair, **AGREED, "provider": "fal", "minor": True}))
        later = refused(await client.call_tool("swap_face", {**pair, **AGREED, "provider": "fal"}))
    assert (first["kind"], later["kind"]) == ("ConsentMissing", "ConsentMissing")
    assert (sandbox.stats()["posts_received"], sandbox.stats()["uploads"]) == (0, 0)


async def test_a_picture_without_a_face_is_refused(
    connect: Connect, sandbox: Sandbox, workspace: Path, pair: dict[str, str]
) -> None:
    """The refusal says which picture; nothing was paid."""
    call = {**pair, **AGREED, "face": garment(workspace), "provider": "fal"}
    async with connect() as client:
        error = refused(await client.call_tool("swap_face", call))
    assert (error["key"], "coat.png" in error["message"]) == ("swap_no_face", True)
    assert sandbox.stats()["posts_received"] == 0


async def test_two_pictures_are_needed(connect: Connect, pair: dict[str, str]) -> None:
    """What is missing is named."""
    async with connect() as client:
        error = refused(await client.call_tool("swap_face", {"source": pair["source"]}))
    assert "«face»" in error["message"]
