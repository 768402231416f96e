"""Doors (floor 5): what a client may pick up beside the tools: resources to read, prompts to start from, completions.

Everything here only looks: nothing costs money, nothing is written. Texts lie in the TOML files beside the code.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcp.server.mcpserver import MCPServer

from hoasi.offers import _completions, _prompts, _resources
from hoasi.offers._refusals import Explained
from hoasi.tools._life import Life


def offer(server: MCPServer[Life], lives: Sequence[Life]) -> None:
    """Register all of it; `lives` holds the server's life once it runs."""

    def life() -> Life:
        return lives[-1]

    _resources.register(server, life)
    _prompts.register(server)
    _completions.register(server, life)
    server.middleware.append(Explained(life))
