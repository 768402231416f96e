"""What agents read of our tools in every session: small, complete, and reviewed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate
from mcp.client import Client
from pydantic.json_schema import GenerateJsonSchema

from hoasi.server import INSTRUCTIONS, build
from hoasi.sources.prompt import style_names
from hoasi.tools import REGISTRY, model_visible_bytes, snapshot, tools
from hoasi.tools.__main__ import main, stale, write
from hoasi.tools._options import Working

SCHEMAS = Path(__file__).parents[2] / "schemas" / "tools"
VISIBLE_BYTES = 11_945
"""Today's size. Lower it when it falls; raise it only on purpose: 14 tools must fit into 12,000."""

SAFETY = {"no_faces": True, "resubmit": True, "wait_seconds": 0, "seed": 7, "minor": True}
NEEDED = {"prompt": "x", "images": ["a.png"], "avatar_id": "lan"}
NEEDED |= dict.fromkeys(("source", "face", "video", "audio"), "a.png")


def schema(name: str) -> dict[str, Any]:
    (tool,) = [tool for tool in tools() if tool.name == name]
    return snapshot(tool)


def test_the_snapshots_in_the_repository_are_current() -> None:
    """`schemas/tools` holds exactly what clients get; `python -m hoasi.tools` renews it."""
    assert stale(SCHEMAS) == []


def test_what_is_not_current_is_found_and_renewed(tmp_path: Path) -> None:
    """A changed, a missing and a forgotten snapshot are told apart from good ones; renewing mends all three."""
    write(tmp_path)
    changed, missing, forgotten = (tmp_path / f"{name}.json" for name in ("list_models", "generate_image", "old_tool"))
    changed.write_text("{}", encoding="utf-8")
    missing.unlink()
    forgotten.write_text("{}", encoding="utf-8")
    assert stale(tmp_path) == sorted([changed, missing, forgotten])
    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0


def test_all_tools_together_stay_within_their_bytes() -> None:
    """Names, descriptions and input schemas of all tools never grow by accident."""
    sizes = {tool.name: model_visible_bytes(tool) for tool in tools()}
    assert sum(sizes.values()) <= VISIBLE_BYTES, sizes


def test_each_schema_is_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client waits for the first answer, so no schema is made twice: one a tool, and one for what they return."""
    generate, made = GenerateJsonSchema.generate, list[Any]()

    def counted(self: GenerateJsonSchema, *given: Any, **more: Any) -> Any:
        made.append(self)
        return generate(self, *given, **more)

    monkeypatch.setattr(GenerateJsonSchema, "generate", counted)
    returned = {json.dumps(tool.output_schema) for tool in tools() if tool.output_schema}
    assert 0 < len(made) <= len(REGISTRY) + len(returned)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_client_is_listed_exactly_the_snapshots(workspace: Path, mode: str) -> None:
    """What the server lists is what was reviewed, in the registry's order."""
    async with Client(build(workspace), mode=mode) as client:
        listed = (await client.list_tools()).tools
    assert [tool.name for tool in listed] == list(REGISTRY)
    for tool in listed:
        sent = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert json.loads((SCHEMAS / f"{tool.name}.json").read_text(encoding="utf-8")) == sent


@pytest.mark.parametrize("name", REGISTRY)
def test_every_tool_explains_itself_and_takes_nothing_unknown(name: str) -> None:
    """A description, typed flat parameters, no unknown ones, and an output schema unless it shows a picture."""
    told = schema(name)
    assert 40 <= len(told["description"]) <= 400
    assert all("type" in field for field in told["inputSchema"]["properties"].values())
    assert all("items" in field for field in told["inputSchema"]["properties"].values() if field["type"] == "array")
    assert "$ref" not in json.dumps(told["inputSchema"])
    assert ("outputSchema" in told) == (name != "view_generation")


@pytest.mark.parametrize("name", REGISTRY)
def test_a_client_that_holds_to_the_schema_can_send_everything(name: str) -> None:
    """A schema is closed when it names all that is taken; where generate_image tells the rest, it lets that through."""
    (tool,) = [tool for tool in tools() if tool.name == name]
    told = schema(name)["inputSchema"]
    unnamed = tool.record.model_fields.keys() - told["properties"].keys()
    assert ("additionalProperties" not in told) == bool(unnamed)
    assert unnamed <= schema("generate_image")["inputSchema"]["properties"].keys()
    if SAFETY.keys() <= tool.record.model_fields.keys():
        validate({**{field: NEEDED[field] for field in told.get("required", ())}, **SAFETY}, told)


@pytest.mark.parametrize("name", REGISTRY)
def test_the_hints_are_true(name: str) -> None:
    """Looking is read-only; making is never destructive and may be repeated; only cancelling destroys."""
    hints = schema(name)["annotations"]
    assert hints["readOnlyHint"] == (name in {"list_generations", "view_generation", "list_models"})
    assert hints["destructiveHint"] == (name == "cancel_generations")
    assert hints["idempotentHint"] is True


def test_choices_come_from_the_house() -> None:
    """A new provider or style needs no change in a tool, and a provider not a byte."""
    fields = schema("generate_image")["inputSchema"]["properties"]
    assert "enum" not in fields["provider"]
    assert fields["style"]["examples"] == list(style_names())


def test_the_instructions_name_what_no_making_tool_but_generate_image_names() -> None:
    """Exactly what a workflow takes and does not say is said once for all of them; nothing more."""
    silent = [
        tool.record.model_fields.keys() - schema(tool.name)["inputSchema"]["properties"].keys()
        for tool in tools()
        if issubclass(tool.record, Working)
    ]
    (named,) = re.findall(r"also takes generate_image's ([a-z_, ]+)\.", INSTRUCTIONS)
    assert set(named.split(", ")) == set.intersection(*silent)


def test_instructions_fit_every_client() -> None:
    """At most 2 kB, and they say in which language to answer."""
    assert len(INSTRUCTIONS.encode()) <= 2000
    assert "Vietnamese" in INSTRUCTIONS
