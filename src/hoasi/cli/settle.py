"""Hall (floor 6): the commands that go on and take back: `resume`, `cancel`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hoasi.answers import Reply
from hoasi.cli.answer import Answer, made
from hoasi.cli.frame import Call, call_of, run
from hoasi.cli.watch import watched
from hoasi.errors import WrongInput
from hoasi.messages import say
from hoasi.records import OPEN_STATES, State

if TYPE_CHECKING:
    from hoasi.studio import Resolution, Studio

MOST_SHOWN = 1000
"""So many unfinished generations are followed on the screen; all are worked on."""


def resume(
    context: typer.Context,
    *,
    ids: Annotated[list[str] | None, typer.Argument(help="help.resume_ids", metavar="ID")] = None,
    resubmit: Annotated[bool, typer.Option("--resubmit", help="help.resume_resubmit")] = False,
    attach: Annotated[str | None, typer.Option("--attach", help="help.resume_attach", metavar="RECEIPT")] = None,
    abandon: Annotated[bool, typer.Option("--abandon", help="help.resume_abandon")] = False,
) -> Answer:
    """Bring unfinished generations to their end, or settle those whose payment is not known."""
    call, names = call_of(context), list(dict.fromkeys(ids or ()))
    ways: dict[Resolution, object] = {"resubmit": resubmit, "attach": attach is not None, "abandon": abandon}
    chosen = [way for way, is_given in ways.items() if is_given]
    if not chosen:
        return run(_resume(call, names))
    if len(chosen) > 1 or not names or (attach is not None and len(names) > 1):
        raise WrongInput("usage_settle")
    return run(_settle(call, names, chosen[0], attach))


async def _resume(call: Call, names: Sequence[str]) -> Answer:
    async with call.studio() as studio:
        followed = names or _ids(studio, OPEN_STATES)
        reply = await watched(studio, followed, studio.resume(names or None), call.screen)
        unknown = _ids(studio, [State.UNKNOWN]) if not reply.generations else []
    hint = {"next": say("next.settle", ids=", ".join(unknown[:10]))} if unknown else {}
    return made(reply.model_copy(update=hint))


def _ids(studio: Studio, states: Collection[str]) -> list[str]:
    found, _ = studio.list(states=states, limit=MOST_SHOWN)
    return [entry.id for entry in found.generations]


async def _settle(call: Call, names: Sequence[str], how: Resolution, receipt: str | None) -> Answer:
    """Settle each; giving up is what the user wants, so it is no failure."""
    async with call.studio() as studio:
        reply = await watched(studio, (), _settled(studio, names, how, receipt), call.screen)
    if how == "abandon":
        message = say("cli.settle.abandoned", ids=", ".join(names))
        return Answer(reply.model_copy(update={"message": message, "next": ""}))
    return made(reply)


async def _settled(studio: Studio, names: Sequence[str], how: Resolution, receipt: str | None) -> Reply:
    replies = await asyncio.gather(*(studio.resolve(name, how, receipt) for name in names))
    ids = [entry.id for reply in replies for entry in reply.generations]
    return replies[0] if len(replies) == 1 else studio.show(ids)


def cancel(
    context: typer.Context,
    *,
    ids: Annotated[list[str] | None, typer.Argument(help="help.cancel_ids", metavar="ID")] = None,
    everything: Annotated[bool, typer.Option("--all", help="help.cancel_all")] = False,
) -> Answer:
    """Take generations back; what finished all the same is kept."""
    if bool(ids) == everything:
        raise WrongInput("usage_cancel")

    async def take_back() -> Reply:
        async with call_of(context).studio() as studio:
            return await studio.cancel(list(dict.fromkeys(ids)) if ids else None)

    return Answer(run(take_back()), tells_entries=True)
