"""Door (floor 5): a small picture for the model's eyes."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from hoasi.errors import WrongInput
from hoasi.tools._door import Parameters
from hoasi.tools._life import studio_of
from hoasi.tools._picture import contact_sheet, of_generation, shown

SMALL_PX = 768


class Call(Parameters):
    """One picture, or one page of a job's contact sheet."""

    id: str | None = None
    path: str | None = None
    job_id: str | None = None
    index: Annotated[int, Field(ge=1, description="default 1")] = 1
    max_px: Annotated[int | None, Field(ge=64, le=2048, description="default 768")] = None


async def view_generation(ctx: Context, call: Call) -> CallToolResult:
    """See a small copy of a picture (id or path) to judge it, or a job's contact sheet (job_id). Free."""
    if [call.id, call.path, call.job_id].count(None) != 2:
        raise WrongInput("view_which")
    studio = await studio_of(ctx)
    if call.job_id is not None:
        return await contact_sheet(studio.sheet(call.job_id), call.index, call.max_px)
    path = call.path or of_generation(studio.generations([call.id or ""])[0], call.index)
    return await shown(studio.settings.workspace, path, call.max_px or SMALL_PX)
