"""Door (floor 5): a person in a clip says what a sound file says."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.tools._consent import Permission
from hoasi.tools._options import Working
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make
from hoasi.workflows import LipSync


class Call(Working):
    """Clip, sound, and how they meet."""

    video: Annotated[str, Field(min_length=1)]
    audio: Annotated[str, Field(min_length=1)]
    face_index: Annotated[int | None, Field(ge=0)] = None
    sound_volume: float | None = None
    original_audio_volume: float | None = None
    sound_start_s: float | None = None
    sound_end_s: float | None = None
    sound_insert_s: float | None = None

    def work(self) -> LipSync:
        """The clip that speaks."""
        return self._as(LipSync)


async def lip_sync(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Make a person in a clip (2-10 s, face visible) speak a sound file. 1-10 min; price: dry_run. Else as
    swap_face.
    """
    return await make(ctx, call, permission)
