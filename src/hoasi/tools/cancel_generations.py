"""Door (floor 5): take generations back."""

from __future__ import annotations

from mcp.server.mcpserver import Context

from hoasi.errors import WrongInput
from hoasi.records import OPEN_STATES
from hoasi.tools._door import Parameters
from hoasi.tools._life import studio_of
from hoasi.tools._results import Answer, answer

MOST = 100_000


class Call(Parameters):
    """Exactly one way to say which."""

    ids: tuple[str, ...] = ()
    all_of_job: str | None = None
    everything: bool = False


async def cancel_generations(ctx: Context, call: Call) -> Answer:
    """Cancel unfinished generations: ids, all_of_job (its id) or everything. What has started may still be billed;
    what finishes anyway is kept.
    """
    if [bool(call.ids), call.all_of_job is not None, call.everything].count(True) != 1:
        raise WrongInput("cancel_which")
    studio = await studio_of(ctx)
    if call.all_of_job is None:
        return answer(await studio.cancel(None if call.everything else call.ids))
    reply, _ = studio.list(job_id=call.all_of_job, states=OPEN_STATES, limit=MOST)
    return answer(await studio.cancel([entry.id for entry in reply.generations]))
