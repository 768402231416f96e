"""Door (floor 5): a face comes into a picture."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.tools._consent import Permission
from hoasi.tools._options import Working
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make
from hoasi.workflows import SwapFace


class Call(Working):
    """Two pictures, and a wish."""

    source: Annotated[str, Field(min_length=1, description="stays; path, https or generation id")]
    face: Annotated[str, Field(min_length=1, description="whose face comes")]
    prompt: str = ""
    face_index: Annotated[int | None, Field(ge=0, description="0 = largest")] = None
    resolution: Annotated[str | None, Field(description="default 2k")] = None
    aspect_ratio: str | None = None
    animate: Annotated[bool, Field(description="also a 5 s clip")] = False

    def work(self) -> SwapFace:
        """The swap."""
        return self._as(SwapFace)


async def swap_face(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Put the face of one picture into another; both people must consent; never a minor. About $0.15, 30 s. Else as
    generate_image.
    """
    return await make(ctx, call, permission)
