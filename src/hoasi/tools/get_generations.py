"""Door (floor 5): wait for generations, take them up again, settle those whose payment is unknown."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server.mcpserver import Context
from pydantic import Field

from hoasi.errors import WrongInput
from hoasi.tools._door import Parameters
from hoasi.tools._life import studio_of
from hoasi.tools._options import Seconds
from hoasi.tools._results import Answer
from hoasi.tools._waiting import follow, shielded


class Call(Parameters):
    """Which ones, how long, and how to settle an unknown."""

    known = frozenset({"wait_seconds"})

    ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    wait_seconds: Seconds = None
    resolve: Annotated[
        Literal["resubmit", "attach", "abandon"] | None,
        Field(description="for one `unknown`: buy again, attach its receipt, give up"),
    ] = None
    receipt: Annotated[str | None, Field(description="the provider's request id")] = None


async def get_generations(ctx: Context, call: Call) -> Answer:
    """Wait for generations: state, paths, cost. Resumes interrupted work, fetches paid results again, free. Still
    running: call again after poll_after_seconds.
    """
    if call.resolve is None:
        return await follow(ctx, call.ids, call.wait_seconds)
    if len(call.ids) != 1:
        raise WrongInput("resolve_one", count=len(call.ids))
    studio = await studio_of(ctx)
    settled = await shielded(studio.resolve(call.ids[0], call.resolve, call.receipt, timeout_s=0))
    return await follow(ctx, [entry.id for entry in settled.generations], call.wait_seconds)
