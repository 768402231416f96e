"""Doors (floor 5): what a client may pick up beside the tools: resources to read, prompts to start from, completions.

Everything here only looks: nothing costs money, nothing is written. Texts lie in the TOML files beside the code.
"""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

from hoasi.offers import _completions, _prompts, _resources
from hoasi.offers._refusals import Explained
from hoasi.tools._lives import Lives


def offer(server: MCPServer[Lives], lives: Lives) -> None:
    """Register all of it; each reads in the workspace of whoever calls."""
    _resources.register(server, lives.here)
    _prompts.register(server)
    _completions.register(server, lives.here)
    server.middleware.append(Explained(lives.here, server.list_prompts))
