"""Door (floor 5): a clip goes on."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.tools._consent import Permission
from hoasi.tools._options import Working
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make
from hoasi.workflows import ExtendVideo


class Call(Working):
    """The clip, and what comes."""

    video: Annotated[str, Field(min_length=1, description="or Kling clip id")]
    prompt: str = ""
    duration_s: Annotated[float | None, Field(ge=0.1)] = None
    extend_direction: Literal["end", "start"] | None = None

    def work(self) -> ExtendVideo:
        """The longer clip."""
        return self._as(ExtendVideo)


async def extend_video(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Add seconds to a clip; its new id can be extended again. 1-5 min; price: dry_run. Else as swap_face."""
    return await make(ctx, call, permission)
