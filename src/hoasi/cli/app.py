"""Hall (floor 6): the command line `hoasi`. Each command is a function in a file of its own; `frame` runs them.

Start-up is part of the promise: the engine, the drawing and the terminal's colours are loaded when first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from hoasi.answers import Reply
from hoasi.cli import (
    avatar,
    clips,
    consent,
    demo,
    doctor,
    edit,
    generate,
    models,
    push,
    serve,
    settle,
    sheet,
    show,
    styles,
    swap,
    token,
    visuals,
)
from hoasi.cli.answer import Answer
from hoasi.cli.frame import Command, Group, Root, call_of, refuse_silence

app = typer.Typer(name="hoasi", cls=Root, help="help.hoasi", add_completion=False, invoke_without_command=True)
consents = typer.Typer(
    name="consent", cls=Group, help="help.consent", invoke_without_command=True, callback=refuse_silence
)
looks = typer.Typer(
    name="styles", cls=Group, help="help.styles.group", invoke_without_command=True, callback=refuse_silence
)
pictures = typer.Typer(
    name="visuals", cls=Group, help="help.visuals.group", invoke_without_command=True, callback=refuse_silence
)
people = typer.Typer(
    name="avatar", cls=Group, help="help.avatar.group", invoke_without_command=True, callback=refuse_silence
)
keys = typer.Typer(
    name="token", cls=Group, help="help.token.group", invoke_without_command=True, callback=refuse_silence
)

SHARED = "help.heads.shared"

COMMANDS: dict[str, Callable[..., Any]] = {
    "generate": generate.generate,
    "edit": edit.edit,
    "swap-face": swap.swap_face,
    "video": clips.video,
    "extend": clips.extend,
    "lip-sync": clips.lip_sync,
    "list": show.list_,
    "show": show.show,
    "sheet": sheet.sheet,
    "resume": settle.resume,
    "cancel": settle.cancel,
    "models": models.models,
    "doctor": doctor.doctor,
    "serve": serve.serve,
    "sandbox": serve.sandbox,
    "demo": demo.demo,
}
WORKFLOWS = frozenset({"edit", "swap-face", "video", "extend", "lip-sync"})
"""Their texts are kept together."""
CONSENT_COMMANDS: dict[str, Callable[..., Any]] = {
    "add": consent.add,
    "list": consent.show,
    "revoke": consent.revoke,
}

STYLE_COMMANDS: dict[str, Callable[..., Any]] = {
    "list": styles.list_,
    "show": styles.show,
    "add": styles.add,
    "update": styles.update,
    "remove": styles.remove,
}

AVATAR_COMMANDS: dict[str, Callable[..., Any]] = {
    "create": avatar.create,
    "confirm": avatar.confirm,
    "angles": avatar.angles,
    "list": avatar.list_,
    "show": avatar.show,
}

TOKEN_COMMANDS: dict[str, Callable[..., Any]] = {"add": token.add, "list": token.list_, "revoke": token.revoke}

for name, function in COMMANDS.items():
    key = f"help.make.{name.replace('-', '_')}" if name in WORKFLOWS else f"help.{name}"
    app.command(name, cls=Command, help=key)(function)
app.command("push", cls=Command, help="help.s3.push")(push.push)
for name, function in CONSENT_COMMANDS.items():
    consents.command(name, cls=Command, help=f"help.consent_{name}")(function)
app.add_typer(consents)
for name, function in STYLE_COMMANDS.items():
    looks.command(name, cls=Command, help=f"help.styles.{name}")(function)
app.add_typer(looks)
for name, function in AVATAR_COMMANDS.items():
    people.command(name, cls=Command, help=f"help.avatar.{name}")(function)
app.add_typer(people)
for name, function in TOKEN_COMMANDS.items():
    keys.command(name, cls=Command, help=f"help.token.{name}")(function)
app.add_typer(keys)
pictures.command("generate", cls=Command, help="help.visuals.generate")(visuals.generate)
pictures.command("regenerate", cls=Command, help="help.visuals.regenerate")(visuals.regenerate)
app.add_typer(pictures)


@app.callback()
def shared(
    context: typer.Context,
    *,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="help.workspace", metavar="DIR", rich_help_panel=SHARED)
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="help.env_file", metavar="FILE", rich_help_panel=SHARED)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="help.json", rich_help_panel=SHARED)] = False,
    lang: Annotated[
        str | None, typer.Option("--lang", help="help.lang", metavar="vi|en", rich_help_panel=SHARED)
    ] = None,
    tells_version: Annotated[bool, typer.Option("--version", help="help.version")] = False,
) -> None:
    """What every command takes, before or after its name. Who asks for the version gets that and nothing else."""
    context.obj = replace(call_of(context), workspace=workspace, env_file=env_file, as_json=as_json, lang=lang)
    if tells_version:
        number = version("hoasi")
        call_of(context).screen.tell(Answer(Reply(message=f"hoasi {number}"), facts={"version": number}))
        raise typer.Exit
    refuse_silence(context)


def run(args: Sequence[str] | None = None, prog_name: str = "hoasi") -> None:
    """The console script. Leaves by `SystemExit`: 0 made, 1 some failed, 2 wrong input, 3 a payment is not known."""
    typer.main.get_command(app).main(args, prog_name=prog_name)
