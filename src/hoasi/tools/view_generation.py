"""Door (floor 5): a small picture for the model's eyes."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from hoasi.errors import WrongInput
from hoasi.tools._door import Parameters
from hoasi.tools._life import studio_of
from hoasi.tools._picture import of_generation, shown


class Call(Parameters):
    """One picture."""

    id: Annotated[str | None, Field(description="generation")] = None
    path: Annotated[str | None, Field(description="or file")] = None
    index: Annotated[int, Field(ge=1, description="default 1")] = 1
    max_px: Annotated[int, Field(ge=64, le=2048, description="default 768")] = 768


async def view_generation(ctx: Context, call: Call) -> CallToolResult:
    """See a small copy of a picture, by id or path, to judge it. Free."""
    if (call.id is None) == (call.path is None):
        raise WrongInput("view_which")
    studio = await studio_of(ctx)
    path = call.path or of_generation(studio.generations([call.id or ""])[0], call.index)
    return await shown(studio.settings.workspace, path, call.max_px)
