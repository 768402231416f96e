"""Hall (floor 6): `avatar create|confirm|angles|list|show`: people who are shown again and again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoasi.answers import Reply
from hoasi.cli import making
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import Call, call_of, run
from hoasi.messages import say
from hoasi.records import iso

if TYPE_CHECKING:
    from hoasi.avatars import Avatar
    from hoasi.workflows import Workflow

Id = Annotated[str, typer.Argument(help="help.avatar.id", metavar="ID")]
Photos = Annotated[list[str], typer.Argument(help="help.avatar.photos", metavar="PHOTO")]
Number = Annotated[int, typer.Argument(help="help.avatar.number", metavar="N")]


def create(
    context: typer.Context,
    *,
    avatar_id: Id,
    photos: Photos,
    provider: making.Provider = None,
    model: making.Model = None,
    seed: making.Seed = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
    consent: making.Consent = None,
    no_faces: making.NoFaces = False,
    minor: making.Minor = False,
) -> Answer:
    """Make portraits to choose from. Costs four pictures."""
    given = dict(locals())
    from hoasi.workflows import CreateAvatar

    call = call_of(context)
    root = call.settings().workspace
    said = {**_said(given), "photos": tuple(making.input_of(name, root) for name in photos)}
    return _made(call, making.workflow(CreateAvatar, said), given, say("cli.avatar.choose", id=avatar_id))


def confirm(context: typer.Context, *, avatar_id: Id, number: Number) -> Answer:
    """Choose a portrait. Free."""
    call = call_of(context)
    avatar = run(_confirmed(call, avatar_id, number))
    told = say("cli.avatar.confirmed", id=avatar_id, number=number, path=avatar.portrait.path)
    return Answer(Reply(message=told, next=say("cli.avatar.angles", id=avatar_id)), facts=_facts(avatar))


async def _confirmed(call: Call, avatar_id: str, number: int) -> Avatar:
    from hoasi import avatars

    async with call.studio() as studio:
        return avatars.confirm(studio.settings, avatar_id, number, studio.generations, at=iso(time.time()))


def angles(
    context: typer.Context,
    *,
    avatar_id: Id,
    provider: making.Provider = None,
    model: making.Model = None,
    seed: making.Seed = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
    consent: making.Consent = None,
    no_faces: making.NoFaces = False,
    minor: making.Minor = False,
) -> Answer:
    """Make the angles of the chosen portrait that are missing. Costs a picture each."""
    given = dict(locals())
    from hoasi import avatars
    from hoasi.workflows import AvatarAngles

    call = call_of(context)
    work = making.workflow(AvatarAngles, _said(given))
    answer = _made(call, work, given, say("cli.avatar.use", id=avatar_id))
    if not dry_run:
        avatars.settle(call.settings(), avatar_id)
    return answer


def list_(context: typer.Context) -> Answer:
    """Every avatar of the workspace."""
    from hoasi import avatars
    from hoasi.errors import NotFound

    root = call_of(context).settings().workspace
    rows, found = [], []
    for name in avatars.ids(root):
        try:
            found.append(avatars.load(root, name))
            rows.append(_row(found[-1]))
        except NotFound:  # its portrait is not chosen yet
            rows.append((name, "-", "-", "-", "-"))
    columns = tuple(say(f"cli.avatar.columns.{name}") for name in ("id", "engine", "portrait", "angles", "missing"))
    reply = Reply(message=say("cli.avatar.count", count=len(rows)))
    return Answer(reply, sheets=(Sheet(columns, tuple(rows)),), facts={"avatars": [_facts(one) for one in found]})


def show(context: typer.Context, *, avatar_id: Id) -> Answer:
    """One avatar and its files."""
    from hoasi import avatars

    avatar = avatars.load(call_of(context).settings().workspace, avatar_id)
    told = say("cli.avatar.told", id=avatar.id, engine=_engine(avatar), number=avatar.number)
    files = [("portrait", avatar.portrait.path), *((key, picture.path) for key, picture in avatar.angles.items())]
    columns = (say("cli.avatar.columns.angles"), say("cli.list.columns.file"))
    return Answer(Reply(message=told), sheets=(Sheet(columns, tuple(files)),), facts=_facts(avatar))


def _row(avatar: Avatar) -> tuple[str, ...]:
    return avatar.id, _engine(avatar), str(avatar.number), ", ".join(avatar.angles), ", ".join(avatar.missing) or "-"


def _engine(avatar: Avatar) -> str:
    return f"{avatar.engine.provider} ({avatar.engine.model})"


def _facts(avatar: Avatar) -> dict[str, Any]:
    return {**avatar.model_dump(mode="json"), "missing": list(avatar.missing)}


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of avatar, maker and seed."""
    names = ("avatar_id", "provider", "model", "seed")
    return {name: given[name] for name in names if given[name] is not None}


def _made(call: Call, work: Workflow, given: Mapping[str, Any], what_next: str) -> Answer:
    """Preview it, or make it and wait; its files land in the avatar's folder."""
    from hoasi import avatars
    from hoasi.cli.generate import paint, preview

    place = avatars.folder(call.settings().workspace, given["avatar_id"])
    ask = making.asked(call, work, {**given, "job_id": None, "output_dir": str(place)})
    answer = preview(call, ask) if given["dry_run"] else paint(call, ask)
    return replace(answer, reply=avatars.told(answer.reply, "" if given["dry_run"] else what_next))
