"""The conformance suite's fixtures are no part of the product: they are loaded by name, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mcp.client import Client

from hoasi.errors import NotFound
from hoasi.extensions import fixtures
from hoasi.server import build
from hoasi.tools import REGISTRY


@pytest.mark.anyio
async def test_the_product_has_no_fixtures_and_the_switch_adds_them(workspace: Path) -> None:
    """Bare: our tools and no others. With fixtures: ours, unchanged, and the suite's."""
    async with Client(build(workspace)) as client:
        ours = (await client.list_tools()).tools
    assert [tool.name for tool in ours] == [*REGISTRY]
    loaded = fixtures.load()
    server = build(workspace, fixtures=loaded)
    assert set(loaded.dress(server)) == {"event_store", "retry_interval"}
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        assert tools[: len(ours)] == ours
        assert {"test_simple_text", "slow_compute", "json_schema_2020_12_tool"} <= {tool.name for tool in tools}


def test_without_a_source_tree_there_are_none(tmp_path: Path) -> None:
    """An installed package says where it looked."""
    with pytest.raises(NotFound, match="fixtures_missing"):
        fixtures.load(tmp_path)


def test_nothing_of_them_is_imported_unasked() -> None:
    """The server loads without them."""
    code = "import hoasi.server, sys; sys.exit(any('fixtures' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
