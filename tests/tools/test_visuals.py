"""The tool `generate_batch` with two other teams' files: their names, one scene anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tooling import Connect, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_scenes_yaml_keeps_its_names(connect: Connect, workspace: Path, sandbox: Sandbox) -> None:
    """`frames/scene-001.png`; `only` + `overwrite` makes one scene anew, under its name."""
    (workspace / "planning").mkdir()
    text = "scenes:\n- {id: 1, visual: {prompt: a cup}}\n- {id: 2, visual: {prompt: a boat}}\n"
    (workspace / "planning" / "scenes.yaml").write_text(text, encoding="utf-8")
    call = {"prompts_toml": "planning/scenes.yaml"}
    async with connect() as client:
        made = told(await client.call_tool("generate_batch", call))
        anew = told(await client.call_tool("generate_batch", {**call, "only": ["2"], "overwrite": True}))
    frames = [str(workspace / "frames" / f"scene-00{number}.png") for number in (1, 2)]
    assert [entry["outputs"] for entry in made["generations"]] == [[path] for path in frames]
    assert [entry["outputs"] for entry in anew["generations"]] == [frames[1:]]
    assert sandbox.stats()["submissions"] == 3


async def test_script_json_keeps_its_names(connect: Connect, workspace: Path) -> None:
    """`projects/<project_id>/image_01.png`, with the asset records beside it."""
    (workspace / "script.json").write_text(
        json.dumps({"project_id": "tet", "segments": [{"image_description": "a kite"}]}), encoding="utf-8"
    )
    async with connect() as client:
        made = told(await client.call_tool("generate_batch", {"prompts_toml": "script.json", "provider": "local"}))
    assert made["generations"][0]["outputs"] == [str(workspace / "projects" / "tet" / "image_01.png")]
    assert json.loads((workspace / "projects" / "tet" / "assets.json").read_text("utf-8"))[0]["prompt"] == "a kite"
