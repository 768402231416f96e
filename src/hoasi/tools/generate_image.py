"""Door (floor 5): pictures from one prompt."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.ask import Ask
from hoasi.tools._consent import Permission
from hoasi.tools._options import Painting
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make


class Call(Painting):
    """One prompt."""

    known = frozenset()

    prompt: Annotated[str, Field(min_length=1, description="English works best")]
    scene_id: Annotated[str | None, Field(description="names the file")] = None

    avatar: str | None = None

    def ask(self, client: str) -> Ask:
        """One prompt, for one scene at most."""
        scenes = (self.scene_id,) if self.scene_id else ()
        return self._ask(client, prompt=self.prompt, scene_ids=scenes, avatar=self.avatar)


async def generate_image(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Make pictures from one prompt (scenes: generate_from_creative_plan, generate_batch). fal: about $0.04, 10 s
    each. Safe to repeat, never paid twice. Returns absolute paths, cost and `next`: follow it, also while pictures run.
    """
    return await make(ctx, call, permission)
