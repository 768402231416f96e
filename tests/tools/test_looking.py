"""The tools that only look: generations, pictures, models."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tooling import Connect, lying_in, refused, text_of, told

from hoasi.catalogue import every_card

pytestmark = pytest.mark.anyio

PROMPTS = [{"scene_id": f"SC_0{k}", "prompt": f"a kite number {k}"} for k in range(1, 6)]


async def test_pages_lead_through_everything_once(connect: Connect) -> None:
    """`next` of each page is the call of the following one; the last has none. Newest first."""
    async with connect() as client:
        await client.call_tool("generate_batch", {"prompts": PROMPTS})
        seen: list[str] = []
        arguments: dict[str, Any] = {"limit": 2}
        while True:
            page = told(await client.call_tool("list_generations", arguments))
            seen += [entry["scene_id"] for entry in page["generations"]]
            if not page.get("next", "").startswith("list_generations("):
                break
            words = page["next"].removeprefix("list_generations(").removesuffix(")")
            arguments = {k: json.loads(v) for k, _, v in (pair.partition("=") for pair in words.split(", "))}
    assert seen == [f"SC_0{k}" for k in range(5, 0, -1)]
    assert page["cost_usd"] == 0.0


async def test_filters_hold(connect: Connect) -> None:
    """Job, scene and state choose."""
    async with connect() as client:
        await client.call_tool("generate_batch", {"prompts": PROMPTS[:2], "job_id": "job-1"})
        await client.call_tool("generate_image", {"prompt": "a cat", "provider": "local"})

        async def scenes(**filters: str) -> list[str]:
            reply = told(await client.call_tool("list_generations", filters))
            return [entry["scene_id"] for entry in reply.get("generations", [])]

        assert await scenes(job_id="job-1") == ["SC_02", "SC_01"]
        assert await scenes(scene_id="SC_01") == ["SC_01"]
        assert await scenes(state="failed") == []
        assert len(await scenes(state="succeeded")) == 3


async def test_a_new_workspace_has_nothing_and_stays_untouched(connect: Connect, workspace: Path) -> None:
    """Looking creates no ledger."""
    before = lying_in(workspace)
    async with connect() as client:
        reply = told(await client.call_tool("list_generations", {}))
    assert "generations" not in reply
    assert lying_in(workspace) == before


async def made(client: Any) -> dict[str, Any]:
    reply = told(await client.call_tool("generate_image", {"prompt": "a kite", "provider": "local", "num_images": 2}))
    entry: dict[str, Any] = reply["generations"][0]
    return entry


async def test_a_picture_can_be_seen_small(connect: Connect) -> None:
    """By id and index or by path: one picture within the asked size, one line of text, no structured content."""
    async with connect() as client:
        entry = await made(client)
        by_id = await client.call_tool("view_generation", {"id": entry["id"], "index": 2, "max_px": 200})
        by_path = await client.call_tool("view_generation", {"path": entry["outputs"][1], "max_px": 200})
    assert [block.type for block in by_id.content] == ["text", "image"]
    assert by_id.content == by_path.content
    assert by_id.structured_content is None
    assert json.loads(text_of(by_id))["path"] == entry["outputs"][1]
    picture = by_id.content[1]
    assert picture.type == "image"
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as small:
        assert max(small.size) == 200
        assert Image.MIME[small.format or ""] == picture.mime_type


async def test_only_pictures_of_the_workspace_are_shown(connect: Connect, workspace: Path, tmp_path: Path) -> None:
    """No file outside, no link that leads outside, no other file, no folder."""
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.png")
    (workspace / "link.png").symlink_to(tmp_path / "outside.png")
    (workspace / ".env").write_text("FAL_KEY=abc", encoding="utf-8")
    (workspace / "fake.png").write_bytes(b"GIF89a not really")
    wanted = {
        str(tmp_path / "outside.png"): "path_outside",
        "../outside.png": "path_outside",
        "link.png": "path_outside",
        ".env": "not_a_picture",
        "fake.png": "not_a_picture",
        "jobs": "view_no_file",
        "nothing.png": "view_no_file",
    }
    async with connect() as client:
        errors = {path: refused(await client.call_tool("view_generation", {"path": path})) for path in wanted}
    assert {path: error["key"] for path, error in errors.items()} == wanted
    assert {error["paid"] for error in errors.values()} == {"no"}


async def test_a_picture_that_is_not_there_is_refused(connect: Connect) -> None:
    """An index too high, an unknown id, both or neither way to name one."""
    async with connect() as client:
        entry = await made(client)
        wanted: list[tuple[dict[str, Any], str]] = [
            ({"id": entry["id"], "index": 3}, "picture_missing"),
            ({"id": "nobody-1"}, "generation_unknown"),
            ({}, "view_which"),
            ({"id": entry["id"], "path": "a.png"}, "view_which"),
        ]
        for arguments, key in wanted:
            assert refused(await client.call_tool("view_generation", arguments))["key"] == key


async def test_no_result_holds_a_picture_but_the_view(connect: Connect) -> None:
    """Results name files; base64 would fill a model's memory."""
    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "a kite", "provider": "local"})
        listed = await client.call_tool("list_generations", {})
    assert [block.type for block in result.content] == ["text", "resource_link"]
    assert [block.type for block in listed.content] == ["text"]
    for one in (result, listed):
        assert len(text_of(one)) < 2000


async def test_what_was_just_made_is_linked(connect: Connect) -> None:
    """At most five links, each readable; none to what was there before, runs still, or failed."""
    prompts = [{"scene_id": f"SC_0{k}", "prompt": f"a kite {k}"} for k in range(1, 8)]
    async with connect() as client:
        first = await client.call_tool("generate_batch", {"prompts": prompts, "provider": "local"})
        links = [block for block in first.content if block.type == "resource_link"]
        again = await client.call_tool("generate_batch", {"prompts": prompts, "provider": "local"})
        shown = [(await client.read_resource(link.uri)).contents[0] for link in links]
        preview = await client.call_tool("generate_image", {"prompt": "a boat", "dry_run": True})
    assert len(links) == 5
    assert [link.name for link in links] == [Path(e["outputs"][0]).name for e in told(first)["generations"][:5]]
    assert {(link.mime_type, content.mime_type) for link, content in zip(links, shown, strict=True)} == {
        ("image/jpeg", "image/jpeg")
    }
    assert [block.type for block in again.content] == ["text"]
    assert [block.type for block in preview.content] == ["text"]


# ---------------------------------------------------------------------- a job at one look


async def seen(client: Any, **call: Any) -> tuple[dict[str, Any], Image.Image]:
    """What is told of a sheet, and the sheet."""
    result = await client.call_tool("view_generation", call)
    assert not result.is_error, result.content
    assert [block.type for block in result.content] == ["text", "image"]
    assert result.content[1].mime_type == "image/jpeg"
    return json.loads(text_of(result)), Image.open(io.BytesIO(base64.b64decode(result.content[1].data)))


async def test_a_job_can_be_seen_at_one_look(connect: Connect, workspace: Path) -> None:
    """Every scene of the plan that wants a picture has its frame, made or not; the picture fits a model's eyes."""
    async with connect() as client:
        empty, _ = await seen(client, job_id="job-1")
        await client.call_tool(
            "generate_from_creative_plan", {"job_id": "job-1", "only": ["SC_02"], "provider": "local"}
        )
        before = lying_in(workspace)
        half, sheet = await seen(client, job_id="job-1")
        _, smaller = await seen(client, job_id="job-1", max_px=600)
        assert lying_in(workspace) == before
    assert (empty["missing"], half["missing"]) == (["SC_01", "SC_02"], ["SC_01"])
    assert (half["page"], half["pages"]) == (1, 1)
    assert max(sheet.size) <= 1568
    assert max(smaller.size) <= 600


async def test_a_sheet_that_cannot_be_is_refused(connect: Connect, workspace: Path) -> None:
    """No such job, nothing in it, no such page, or a picture named as well."""
    (workspace / "jobs" / "bare").mkdir()
    wanted = [
        ({"job_id": "nobody"}, "job_missing"),
        ({"job_id": "../x"}, "job_id_bad"),
        ({"job_id": "bare"}, "sheet_nothing"),
        ({"job_id": "job-1", "index": 2}, "sheet_no_page"),
        ({"job_id": "job-1", "path": "a.png"}, "view_which"),
    ]
    async with connect() as client:
        for arguments, key in wanted:
            assert refused(await client.call_tool("view_generation", arguments))["key"] == key


async def test_models_are_told_with_price_limits_and_key(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every card is there; filters choose; whether the key is set is said, the key is not."""
    async with connect() as client:
        everything = told(await client.call_tool("list_models", {}))
        ours = told(await client.call_tool("list_models", {"provider": "fal", "operation": "generate_image"}))
    assert {model["id"] for model in everything["models"]} == {card.id for card in every_card()}
    assert {model["provider"] for model in ours["models"]} == {"fal"}
    assert all("generate_image" in model["operations"] and model["key_is_set"] for model in ours["models"])
    (default,) = [model for model in ours["models"] if "generate_image" in model.get("is_default_for", [])]
    assert (default["id"], default["price_usd"], default["price_unit"]) == ("fal-ai/nano-banana", 0.039, "image")
    monkeypatch.delenv("FAL_KEY")
    async with connect() as client:
        without = told(await client.call_tool("list_models", {"provider": "fal"}))
    assert not any(model["key_is_set"] for model in without["models"])


async def test_an_unknown_provider_is_refused_with_the_nearest(connect: Connect) -> None:
    """`provider` of list_models is checked like everywhere."""
    async with connect() as client:
        assert refused(await client.call_tool("list_models", {"provider": "locl"}))["key"] == "provider_unknown"


async def test_the_listed_price_is_that_of_a_plain_call(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the model's own defaults: the dearest quality is not what anybody gets unasked."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-5f3c9a")
    asked = {"prompt": "a kite", "provider": "openai", "dry_run": True}
    async with connect() as client:
        listed = told(await client.call_tool("list_models", {"provider": "openai"}))["models"]
        for model in listed:
            plain = told(await client.call_tool("generate_image", {**asked, "model": model["id"]}))
            assert plain.get("estimate_usd") == model.get("price_usd"), model["id"]
