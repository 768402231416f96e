"""Hall (floor 6): `demo`: what hoasi does, on the example job, drawn on this machine for free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hoasi.ask import Ask
from hoasi.cli.answer import Answer, made
from hoasi.cli.frame import Call, call_of, run
from hoasi.cli.generate import painted
from hoasi.errors import NotFound
from hoasi.messages import say

if TYPE_CHECKING:
    from hoasi.answers import Entry, Reply
    from hoasi.studio import Studio

JOB = "2026-04-25_001_morning-routine-ad"
PLAN = f"jobs/{JOB}/source/creative_plan.toml"
SOURCE, FACE = (f"jobs/{JOB}/input/reference/{name}.jpg" for name in ("nguoi_mau", "khuon_mat"))
CLIP_S, MORE_S = 3, 2


def demo(context: typer.Context) -> Answer:
    """A plan's pictures, one more picture, a face swap, a clip and its extension, with the free local provider.

    Raises:
        NotFound: this workspace does not hold the example.
    """
    call = call_of(context)
    plan = call.settings().workspace / PLAN
    if not plan.is_file():
        raise NotFound("demo_missing", path=plan)
    return run(_shown(call))


async def _shown(call: Call) -> Answer:
    async with call.studio() as studio:
        entries: list[Entry] = []
        for name, ask in _steps(studio, entries):
            call.screen.note(say(f"demo.{name}"))
            reply = await painted(call, studio, ask)
            entries += reply.generations
        return made(_whole(reply, entries))


def _steps(studio: Studio, entries: list[Entry]) -> Iterator[tuple[str, Ask]]:
    """What is asked for, one after the other; later steps go on from what earlier ones made."""
    yield "plan", _ask(creative_plan=str(studio.settings.workspace / PLAN), provider="local")
    yield "picture", _ask(prompt=say("demo.prompt"), scene_ids=("TEASER",), aspect_ratio="9:16", provider="local")
    yield from _moving(entries)


def _moving(entries: list[Entry]) -> Iterator[tuple[str, Ask]]:
    """What needs the optional parts for clips and faces."""
    from hoasi.workflows import ExtendVideo, GenerateVideo, SwapFace

    swap = SwapFace(source=SOURCE, face=FACE, provider="local", scene_id="SWAP")
    yield "swap", _ask(requests=swap.requests())
    clip = GenerateVideo(first_frame=entries[0].id, duration_s=CLIP_S, provider="local", scene_id=entries[0].scene_id)
    yield "clip", _ask(requests=clip.requests())
    longer = ExtendVideo(video=entries[-1].id, duration_s=MORE_S, provider="local", scene_id=entries[0].scene_id)
    yield "longer", _ask(requests=longer.requests())


def _ask(**said: object) -> Ask:
    return Ask.model_validate({"job_id": JOB, "by": "cli", "client": "hoasi", **said})


def _whole(last: Reply, entries: list[Entry]) -> Reply:
    """One reply for all of it."""
    from hoasi.replies import summary

    costs = [entry.cost_usd or 0.0 for entry in entries]
    told = {"message": summary(entries), "generations": tuple(entries), "cost_usd": round(sum(costs), 6)}
    return last.model_copy(update=told)
