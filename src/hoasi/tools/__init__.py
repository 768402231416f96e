"""Doors (floor 5): the tools that agents call. Adding one is its file, one line here, and its schema snapshot."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from mcp.types import ToolAnnotations

from hoasi.tools._door import AgentTool

MAKES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
LOOKS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
WAITS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
STOPS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)

REGISTRY = {
    "generate_image": MAKES,
    "generate_from_creative_plan": MAKES,
    "generate_batch": MAKES,
    "edit_image": MAKES,
    "swap_face": MAKES,
    "generate_video": MAKES,
    "extend_video": MAKES,
    "lip_sync": MAKES,
    "create_avatar": MAKES,
    "list_generations": LOOKS,
    "get_generations": WAITS,
    "cancel_generations": STOPS,
    "view_generation": LOOKS,
    "list_models": LOOKS,
}


def tools() -> list[AgentTool]:
    """All tools, in the order in which an agent reads them."""
    return [
        AgentTool.of(getattr(import_module(f"hoasi.tools.{name}"), name), hints) for name, hints in REGISTRY.items()
    ]


def snapshot(tool: AgentTool) -> dict[str, Any]:
    """What a client gets to know of a tool."""
    told = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "annotations": REGISTRY[tool.name].model_dump(by_alias=True, exclude_none=True),
        "inputSchema": tool.parameters,
        "outputSchema": tool.output_schema,
    }
    return {name: value for name, value in told.items() if value is not None}


def model_visible_bytes(tool: AgentTool) -> int:
    """What a tool costs in every session of an agent: name, description and input schema as compact JSON."""
    seen = {name: snapshot(tool)[name] for name in ("name", "description", "inputSchema")}
    return len(json.dumps(seen, ensure_ascii=False, separators=(",", ":")).encode())
