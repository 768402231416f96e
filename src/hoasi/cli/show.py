"""Hall (floor 6): the commands that look: `list`, `show`, `models`. They cost nothing and change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hoasi.answers import Entry
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import call_of
from hoasi.cli.lines import STYLES, clean, state_word
from hoasi.cli.words import listed
from hoasi.errors import WrongInput
from hoasi.messages import money, say
from hoasi.records import OPEN_STATES, Generation, State, iso


def list_(
    context: typer.Context,
    job: Annotated[str | None, typer.Option("--job", help="help.list_job", metavar="ID")] = None,
    scene: Annotated[str | None, typer.Option("--scene-id", help="help.list_scene", metavar="ID")] = None,
    states: Annotated[list[str] | None, typer.Option("--state", help="help.list_state", metavar="STATE")] = None,
    limit: Annotated[int, typer.Option("--limit", help="help.list_limit", metavar="N")] = 20,
    cursor: Annotated[int, typer.Option("--cursor", help="help.list_cursor", metavar="N")] = 0,
) -> Answer:
    """Generations of this workspace, newest first."""
    wanted = listed(states)
    for state in wanted:
        if state not in set(State):
            raise WrongInput("usage_value_bad", option="--state", kind=", ".join(State))
    if limit < 1:
        raise WrongInput("usage_value_bad", option="--limit", kind=say("cli.kinds.COUNT"))
    if cursor < 0:
        raise WrongInput("usage_value_bad", option="--cursor", kind=say("cli.kinds.N"))
    studio = call_of(context).studio()
    reply, more = studio.list(job_id=job, scene_id=scene, states=wanted, limit=limit, cursor=cursor)
    count = len(reply.generations)
    reply = reply.model_copy(
        update={
            "message": say("cli.list.count" if count else "cli.list.none", count=count),
            "next": say("cli.list.more", cursor=more) if more else "",
        }
    )
    return Answer(reply, sheets=(_entries(reply.generations),), facts={"next_cursor": more})


def _entries(entries: tuple[Entry, ...]) -> Sheet:
    names = ("id", "scene", "state", "model", "cost", "file")
    return Sheet(
        tuple(say(f"cli.list.columns.{name}") for name in names),
        tuple(_entry(entry) for entry in entries),
        whole=frozenset({0, 2, 4, 5}),
        short=frozenset({3}),
        styles=tuple(STYLES.get(entry.state, "") if entry.state != State.SUCCEEDED else "" for entry in entries),
    )


def _entry(entry: Entry) -> tuple[str, ...]:
    first = Path(entry.outputs[0]).name if entry.outputs else (entry.error.key if entry.error else "-")
    more = f" +{len(entry.outputs) - 1}" if len(entry.outputs) > 1 else ""
    model = entry.model if entry.model.startswith(entry.provider) else f"{entry.provider}/{entry.model}"
    return entry.id, entry.scene_id or "-", entry.state, model, _spent(entry), first + more


def _spent(entry: Entry) -> str:
    """What it came to; nothing yet while it is at work, and no price is missing where only the payment is unclear."""
    if entry.cost_usd is None and entry.state in OPEN_STATES:
        return "-"
    return say("cli.state.unknown") if entry.cost_usd is None and entry.paid == "unknown" else money(entry.cost_usd)


# ---------------------------------------------------------------------- everything about one


def show(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(help="help.show_ids", metavar="ID")],
) -> Answer:
    """Everything about some generations."""
    from hoasi import replies

    studio = call_of(context).studio()
    found = studio.generations(ids)
    reply = studio.show(ids).model_copy(update={"message": say("cli.list.count", count=len(ids)), "next": ""})
    sheets = tuple(
        Sheet(("", ""), _facts(entry, generation), title=generation.id)
        for entry, generation in zip(reply.generations, found, strict=True)
    )
    return Answer(reply, sheets=sheets, facts={"details": [replies.details(generation) for generation in found]})


def _cost(entry: Entry) -> str:
    """What was paid; the estimate where that is not known."""
    if entry.cost_usd is None:
        return say("cli.show.estimate", cost=money(entry.estimate_usd))
    return money(entry.cost_usd)


def _facts(entry: Entry, generation: Generation) -> tuple[tuple[str, str], ...]:
    """The same for people, row by row; what is not known is left out."""
    planned, error = generation.planned, entry.error
    sent = {name: value for name, value in planned.parameters.items() if name not in {"prompt", "scene", "seed"}}
    times = (generation.created_at, generation.submitted_at, generation.finished_at)
    rows = {
        "state": f"{entry.state} ({state_word(entry.state)})",
        "scene": entry.scene_id,
        "job": planned.job_id,
        "model": f"{entry.provider}: {entry.model}",
        "prompt": planned.prompt,
        "parameters": ", ".join(f"{name}={value}" for name, value in sent.items()),
        "seed": str(entry.seed) if planned.seed_is_sent else say("cli.show.seed_not_sent", seed=entry.seed),
        "references": "\n".join(item.written for item in planned.inputs),
        "cost": f"{_cost(entry)}. {say(f'cli.paid.{entry.paid}')}",
        "files": "\n".join(entry.outputs),
        "provenance": "\n".join(
            f"{a.width}x{a.height}, {a.size_bytes:,} B, sha256 {a.sha256}" for a in generation.artifacts
        ),
        "notes": "\n".join(entry.notes),
        "error": error and f"{error.message} {error.fix} [{error.key}] {error.detail}",
        "receipt": generation.receipt,
        "times": " > ".join(iso(at) for at in times if at),
        "copy_of": generation.copy_of,
        "log": planned.log_path,
    }
    return tuple((say(f"cli.show.{name}"), clean(str(value))) for name, value in rows.items() if value)
