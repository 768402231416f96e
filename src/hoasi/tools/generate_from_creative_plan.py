"""Door (floor 5): pictures for the scenes of a creative plan."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.ask import Ask
from hoasi.errors import WrongInput
from hoasi.tools._consent import Permission
from hoasi.tools._options import Only, Painting
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make


class Call(Painting):
    """A creative plan, or the job that holds it."""

    creative_plan: Annotated[str | None, Field(description="path; default: the job's")] = None
    only: Only = ()
    all_scenes: Annotated[bool, Field(description="unmarked ones too")] = False

    def ask(self, client: str) -> Ask:
        """The plan's scenes.

        Raises:
            WrongInput: neither plan nor job is named.
        """
        if self.creative_plan is None and self.job_id is None:
            raise WrongInput("plan_or_job_needed")
        plan = self.creative_plan or f"jobs/{self.job_id}/source/creative_plan.toml"
        return self._ask(client, creative_plan=plan, scene_ids=self.only, all_scenes=self.all_scenes)


async def generate_from_creative_plan(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Make pictures for the scenes that a creative_plan.toml marks ai_generated. First dry_run and tell the user the
    price. One scene again: only + overwrite. Else as generate_image.
    """
    return await make(ctx, call, permission)
