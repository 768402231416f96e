"""edit_image: pictures are changed as a prompt or a preset says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inputs import garment, portrait
from tooling import Connect, is_file, refused, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_pictures_are_combined_by_a_prompt(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """Two pictures of nobody, two results, one purchase; the same call again buys nothing."""
    images = [garment(workspace), garment(workspace, "hat.png", shade=200)]
    call = {"images": images, "prompt": "put <<<image_2>>> on <<<image_1>>>", "num_images": 2, "provider": "fal"}
    async with connect() as client:
        reply = told(await client.call_tool("edit_image", call))
        again = told(await client.call_tool("edit_image", call))
    (entry,) = reply["generations"]
    assert (entry["state"], entry["paid"], len(entry["outputs"])) == ("succeeded", "yes", 2)
    assert all(map(is_file, entry["outputs"]))
    assert again["generations"][0]["state"] == "skipped_existing"
    assert (sandbox.stats()["submissions"], sandbox.stats()["uploads"]) == (1, 2)


async def test_variants_are_made_side_by_side(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """Each variant is a generation that names itself; one that fails loses no other."""
    call = {"images": [garment(workspace)], "preset": "outfit_shot", "choices": ["cover", "flat_lay", "lifestyle"]}
    async with connect() as client:
        reply = told(await client.call_tool("edit_image", {**call, "platform": "douyin", "scene_id": "SC_02"}))
    entries = reply["generations"]
    assert [entry["scene_id"] for entry in entries] == ["SC_02_cover", "SC_02_flat_lay", "SC_02_lifestyle"]
    assert {entry["state"] for entry in entries} == {"succeeded"}
    assert sandbox.stats()["submissions"] == 3


@pytest.mark.parametrize("choice", ["max", 70, "70"])
async def test_an_intensity_is_a_step_or_a_number(connect: Connect, workspace: Path, choice: Any) -> None:
    """70 and "70" are the same wish."""
    call = {"images": [garment(workspace)], "preset": "skin_enhance", "choices": [choice], "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("edit_image", call))
    assert reply["generations"][0]["state"] == "planned"
    assert reply["estimate_usd"] > 0


async def test_a_background_that_is_kept_is_not_announced_as_replaced(
    connect: Connect, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """relight, with the model's own option."""
    monkeypatch.setenv("STABILITY_API_KEY", "sk-1234567")
    call = {"images": [garment(workspace)], "preset": "relight", "choices": ["studio"], "dry_run": True}
    async with connect() as client:
        plain = told(await client.call_tool("edit_image", call))
        kept = told(await client.call_tool("edit_image", {**call, "options": {"keep_original_background": True}}))
    assert [any("phông nền" in note for note in reply["warnings"]) for reply in (plain, kept)] == [True, False]


async def test_a_person_who_is_dressed_has_agreed(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """A face among the pictures needs a word; with it the garment is put on."""
    call = {"images": [portrait(workspace), garment(workspace)], "preset": "outfit_swap", "choices": "upper"}
    async with connect() as client:
        error = refused(await client.call_tool("edit_image", call))
        reply = told(await client.call_tool("edit_image", {**call, "consent": "Lan đồng ý"}))
    assert error["key"] == "consent_missing"
    assert reply["generations"][0]["state"] == "succeeded"
    assert sandbox.stats()["submissions"] == 1


async def test_a_picture_that_is_never_named_is_reported(connect: Connect, workspace: Path) -> None:
    """It is sent all the same, and the reply says so; a number without its picture is refused."""
    images = [garment(workspace), garment(workspace, "hat.png", shade=200)]
    call = {"images": images, "provider": "fal", "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("edit_image", {**call, "prompt": "brighten <<<image_1>>>"}))
        error = refused(await client.call_tool("edit_image", {**call, "prompt": "brighten <<<image_3>>>"}))
    assert any("2" in warning for warning in reply["warnings"])
    assert error["key"] == "marker_without_picture"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "prompt_or_preset"),
    ({"preset": "relit"}, "preset_unknown"),
    ({"preset": "skin_enhance", "prompt": "x"}, "preset_parameter"),
    ({"preset": "skin_enhance", "choices": ["strong"]}, "edit_value"),
    ({"preset": "outfit_swap"}, "edit_images"),
    ({"preset": "ai_stylist", "choices": ["work", "date"]}, "edit_choices"),
    ({"prompt": "x", "season": "summer"}, "preset_parameter"),
    ({"prompt": "x", "num_images": 10}, "arguments_wrong"),
    ({"prompt": "x", "images": []}, "arguments_wrong"),
    ({"prompt": "x", "model": "fal-ai/nano-banana/edit", "resolution": "2k"}, "parameter_not_supported"),
]


@pytest.mark.parametrize(("call", "key"), WRONG, ids=[f"{key} {' '.join(call)}" for call, key in WRONG])
async def test_what_cannot_be_is_refused_unpaid(
    connect: Connect, sandbox: Sandbox, workspace: Path, call: dict[str, Any], key: str
) -> None:
    """With the parameter and the fix, before anything is sent."""
    async with connect() as client:
        error = refused(await client.call_tool("edit_image", {"images": [garment(workspace)], **call}))
    assert (error["key"], error["paid"]) == (key, "no")
    assert sandbox.stats()["posts_received"] == 0
