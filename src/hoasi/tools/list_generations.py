"""Door (floor 5): what was made and what is under way."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.messages import say
from hoasi.records import State
from hoasi.tools._door import Parameters
from hoasi.tools._life import studio_of
from hoasi.tools._results import Answer, answer, call_of


class Call(Parameters):
    """Filters and the place to go on from."""

    job_id: str | None = None
    scene_id: str | None = None
    state: State | None = None
    limit: Annotated[int, Field(ge=1, le=50, description="default 20")] = 20
    cursor: Annotated[int, Field(ge=0, le=2**63 - 1, description="from `next`")] = 0


async def list_generations(ctx: Context, call: Call) -> Answer:
    """List generations, newest first: state, paths, cost, error. Free."""
    studio = await studio_of(ctx)
    states = [call.state] if call.state else []
    reply, cursor = studio.list(
        job_id=call.job_id, scene_id=call.scene_id, states=states, limit=call.limit, cursor=call.cursor
    )
    reply = reply.model_copy(update={"message": say("door_list.listed", count=len(reply.generations)), "cost_usd": 0.0})
    more = call.model_dump(exclude_defaults=True, exclude={"cursor"}) | {"cursor": cursor}
    return answer(reply, next_call=call_of("list_generations", **more) if cursor else "")
