"""create_avatar: portraits, a choice, angles; who made them is said, and what is missing is named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from inputs import portrait
from tooling import Connect, fault, is_file, refused, told

from hoasi import avatars
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
AGREED = {"consent": "Lan đồng ý"}
ANGLE = "kling/images/generations"


@pytest.fixture(autouse=True)
def keys(connect: Connect, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ark and Kling are the sandbox too; pictures are small, but not below Kling's 300 px."""
    for name, value in {"ARK_API_KEY": "ark-5f3c9a-key", "KLING_API_KEY": "kling-5f3c9a-key"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOASI_ARK_URL", fal)
    monkeypatch.setenv("HOASI_KLING_URL", f"{fal}/kling")
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_SIDE", 420)
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_LONGEST", 1000)
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)


@pytest.fixture
def first(workspace: Path) -> dict[str, Any]:
    """The first step."""
    return {"avatar_id": "lan", "photos": [portrait(workspace)], **AGREED}


async def test_an_avatar_is_made_in_two_steps(
    connect: Connect, sandbox: Sandbox, first: dict[str, Any], workspace: Path
) -> None:
    """Four portraits, a choice, three angles: the engine is named each time, `next` says how it goes on."""
    async with connect() as client:
        portraits = told(await client.call_tool("create_avatar", first))
        angles = told(await client.call_tool("create_avatar", {"avatar_id": "lan", "portrait": 3}))
        again = told(await client.call_tool("create_avatar", {"avatar_id": "lan"}))
    (entry,) = portraits["generations"]
    assert [Path(path).name for path in entry["outputs"]] == [f"confirm_{n}.png" for n in range(1, 5)]
    assert all(map(is_file, entry["outputs"]))
    assert "ark (doubao-seedream-4-0-250828)" in portraits["message"]
    assert 'create_avatar(avatar_id="lan", portrait=' in portraits["next"]
    assert [entry["scene_id"] for entry in angles["generations"]] == list(avatars.angles())
    assert "kling (kling-v2-1/generations)" in angles["message"]
    assert 'avatar="lan"' in angles["next"]
    assert {entry["state"] for entry in again["generations"]} == {"skipped_existing"}
    avatar = avatars.load(workspace, "lan")
    assert (avatar.number, avatar.engine.provider, avatar.missing) == (3, "ark", ())
    assert sandbox.stats()["models"] == {"doubao-seedream-4-0-250828": 1, ANGLE: 3}


async def test_a_missing_angle_is_named_and_made_alone(
    connect: Connect, sandbox: Sandbox, first: dict[str, Any], workspace: Path
) -> None:
    """Two angles are a success that names the third; the avatar's file knows the two."""
    sandbox.faults.add(fault("status", "completed_error", model=ANGLE, value="internal error"))
    async with connect() as client:
        await client.call_tool("create_avatar", first)
        part = told(await client.call_tool("create_avatar", {"avatar_id": "lan", "portrait": 1}))
        (lost,) = [entry["scene_id"] for entry in part["generations"] if entry["state"] == "failed"]
        known = (workspace / "avatars/lan/avatar.toml").read_text(encoding="utf-8")
        whole = told(await client.call_tool("create_avatar", {"avatar_id": "lan"}))
    assert any(lost in note for note in part["warnings"])
    assert known.count("[angles.") == 2
    assert f"[angles.{lost}]" not in known
    assert sorted(entry["state"] for entry in whole["generations"])[-1] == "succeeded"
    assert sandbox.stats()["models"][ANGLE] == 4


async def test_angles_that_came_after_the_answer_stand_in_the_file(
    connect: Connect, sandbox: Sandbox, first: dict[str, Any], workspace: Path
) -> None:
    """The call answered before its client hung up: the next look at the generations finds the angles noted."""
    file = workspace / "avatars/lan/avatar.toml"
    async with connect() as client:
        await client.call_tool("create_avatar", first)
        sandbox.change(latency_s=0.6)
        early = told(await client.call_tool("create_avatar", {"avatar_id": "lan", "portrait": 1, "wait_seconds": 0}))
        before = tomllib.loads(file.read_text(encoding="utf-8"))
        ids = [entry["id"] for entry in early["generations"]]
        await client.call_tool("get_generations", {"ids": ids, "wait_seconds": 30})
    after = tomllib.loads(file.read_text(encoding="utf-8"))
    assert ("angles" in before, sorted(after["angles"])) == (False, sorted(avatars.angles()))
    assert {after["angles"][key]["generation_id"] for key in after["angles"]} == set(ids)


async def test_a_face_needs_a_word_for_avatars(connect: Connect, sandbox: Sandbox, first: dict[str, Any]) -> None:
    """Nothing is sent without it."""
    async with connect() as client:
        error = refused(await client.call_tool("create_avatar", {**first, "consent": None}))
    assert error["key"] == "consent_missing"
    assert sandbox.stats()["requests"] == []


async def test_a_price_is_told_for_nothing(connect: Connect, sandbox: Sandbox, first: dict[str, Any]) -> None:
    """`dry_run` tells file names and price of either step, and chooses no portrait."""
    async with connect() as client:
        portraits = told(await client.call_tool("create_avatar", {**first, "dry_run": True}))
        await client.call_tool("create_avatar", first)
        angles = told(await client.call_tool("create_avatar", {"avatar_id": "lan", "portrait": 2, "dry_run": True}))
        error = refused(await client.call_tool("create_avatar", {"avatar_id": "lan"}))
    assert portraits["estimate_usd"] == pytest.approx(0.12)
    assert portraits["generations"][0]["outputs"][0].endswith("avatars/lan/confirm_1.png")
    assert angles["estimate_usd"] == pytest.approx(3 * 0.028)
    assert error["key"] == "avatar_not_chosen"
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize(
    ("call", "key"),
    [
        ({"avatar_id": "../lan", "portrait": 1}, "avatar_id_bad"),
        ({"avatar_id": "lan", "portrait": 1}, "avatar_no_portrait"),
        ({"avatar_id": "lan"}, "avatar_unknown"),
        ({"avatar_id": "lan", "portrait": 1, "photos": ["a.png"]}, "avatar_step"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    connect: Connect, sandbox: Sandbox, call: dict[str, Any], key: str
) -> None:
    """With its reason; nothing is sent or written."""
    async with connect() as client:
        assert refused(await client.call_tool("create_avatar", call))["key"] == key
    assert sandbox.stats()["requests"] == []


async def test_an_avatar_is_shown_by_other_tools(connect: Connect, sandbox: Sandbox, first: dict[str, Any]) -> None:
    """generate_image takes the picture that fits the prompt, edit_image all; nobody asks for the permission again."""
    async with connect() as client:
        await client.call_tool("create_avatar", first)
        await client.call_tool("create_avatar", {"avatar_id": "lan", "portrait": 1})
        seen = {"prompt": "Lan in profile at a window", "avatar": "lan", "provider": "kling", "job_id": "job-1"}
        picture = told(await client.call_tool("generate_image", seen))
        edit = {"images": ["astronaut.jpg"], "prompt": "<<<image_1>>> at night", "avatar": "lan", "provider": "kling"}
        edited = told(await client.call_tool("edit_image", {**edit, **AGREED}))
        nobody = refused(await client.call_tool("generate_image", {**seen, "avatar": "minh"}))
    assert picture["generations"][0]["state"] == "succeeded"
    assert any("profile_right" in note for note in picture["warnings"])
    assert edited["generations"][0]["state"] == "succeeded"
    assert (nobody["key"], "lan" in nobody["fix"]) == ("avatar_unknown", True)
