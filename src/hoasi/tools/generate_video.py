"""Door (floor 5): a clip from words, frames, pictures, or another clip's movement."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.tools._consent import Permission
from hoasi.tools._options import Working
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make
from hoasi.workflows import GenerateVideo


class Call(Working):
    """What is given says what is made."""

    prompt: str = ""
    first_frame: str | None = None
    last_frame: str | None = None
    references: tuple[str, ...] = ()
    motion_video: str | None = None
    duration_s: Annotated[float | None, Field(ge=0.1, description="often 5 or 10")] = None
    mode: Literal["std", "pro", "4k"] | None = None
    sound: bool | None = None
    aspect_ratio: str | None = None
    negative_prompt: str | None = None
    cfg_scale: float | None = None
    character_orientation: Literal["image", "video"] | None = None
    keep_original_sound: bool | None = None

    def work(self) -> GenerateVideo:
        """The clip."""
        return self._as(GenerateVideo)


async def generate_video(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Make a clip from a prompt, first_frame (+ last_frame), 1-7 references, or 1 reference moving like motion_video.
    $0.2-4, 1-5 min: dry_run first. Else as swap_face.
    """
    return await make(ctx, call, permission)
