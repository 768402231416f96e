"""Extensions: skills (SEP-2640). The how-to folders that ship with us, for clients that load them over MCP.

Nothing is read before a client asks: the files become resources with the first question about skills or resources.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, PaginatedRequestParams, RequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from hoasi.extensions._shelf import Skill

ID = "io.modelcontextprotocol/skills"
KEEP_MS = 3_600_000
"""Skills change with the version of the package only."""

Request = ServerRequestContext[Any, Any]


def skills_dir() -> Path:
    """Where the skills lie: inside the installed package, or at the top of the source tree."""
    package = Path(__file__).parents[1]
    inside = package / "skills"
    return inside if inside.is_dir() else package.parents[1] / "skills"


class OfSkill(RequestParams):
    """Which skill: the address of its SKILL.md."""

    uri: str


class OfFolder(PaginatedRequestParams):
    """Which folder of a skill."""

    uri: str


class Skills(Extension):
    """The extension. `folder` holds one folder a skill."""

    identifier = ID

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def settings(self) -> dict[str, Any]:
        """Folders can be listed too."""
        return {"directoryRead": True}

    def methods(self) -> Sequence[MethodBinding]:
        """All that a client can ask of skills; there are few, so everything is one page."""
        return (
            MethodBinding("skills/list", PaginatedRequestParams, self._list),
            MethodBinding("skills/get", OfSkill, self._get),
            MethodBinding("resources/directory/read", OfFolder, self._read_folder),
        )

    @cached_property
    def _skills(self) -> Sequence[Skill]:
        from hoasi.extensions._shelf import skills_in

        return skills_in(self._folder)

    async def _list(self, ctx: Request, params: PaginatedRequestParams) -> HandlerResult:
        _refuse_cursor(params)
        return _kept(ctx, {"skills": [skill.entry for skill in self._skills]})

    async def _get(self, ctx: Request, params: OfSkill) -> HandlerResult:
        for skill in self._skills:
            if skill.uri == params.uri:
                return _kept(ctx, {"skill": skill.entry})
        raise MCPError(INVALID_PARAMS, "Skill not found", {"uri": params.uri})

    async def _read_folder(self, ctx: Request, params: OfFolder) -> HandlerResult:
        _refuse_cursor(params)
        for skill in self._skills:
            children = skill.children(params.uri.rstrip("/"))
            if children is not None:
                return _kept(ctx, {"resources": children})
        raise MCPError(INVALID_PARAMS, "Not a directory", {"uri": params.uri})

    def shelving(self, server: MCPServer[Any]) -> ServerMiddleware[Any]:
        """Middleware: before the first question about resources the files become resources of the server."""
        is_done = False

        async def shelve(ctx: Request, call_next: CallNext) -> HandlerResult:
            nonlocal is_done
            if not is_done and ctx.method in {"resources/list", "resources/read"}:
                is_done = True
                for skill in self._skills:
                    for file in skill.resources():
                        server.add_resource(file)
            return await call_next(ctx)

        return shelve


def _refuse_cursor(params: PaginatedRequestParams) -> None:
    if params.cursor is not None:
        raise MCPError(INVALID_PARAMS, "Unknown cursor", {"cursor": params.cursor})


def _kept(ctx: Request, result: dict[str, Any]) -> dict[str, Any]:
    """The result, and for the era that knows it how long it stays true."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return result
    return {**result, "ttlMs": KEEP_MS, "cacheScope": "public"}
