"""Hall (floor 6): the command line `hoasi`. Each command is a function in a `cli_*` file; `cli_frame` runs them.

Start-up is part of the promise: the engine, the drawing and the terminal's colours are loaded when first needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hoasi import cli_consent, cli_doctor, cli_generate, cli_models, cli_serve, cli_settle, cli_show
from hoasi.cli_frame import Command, Group, Root, call_of

app = typer.Typer(name="hoasi", cls=Root, help="help.hoasi", add_completion=False)
consents = typer.Typer(name="consent", cls=Group, help="help.consent")

SHARED = "help.heads.shared"

COMMANDS = {
    "generate": cli_generate.generate,
    "list": cli_show.list_,
    "show": cli_show.show,
    "resume": cli_settle.resume,
    "cancel": cli_settle.cancel,
    "models": cli_models.models,
    "doctor": cli_doctor.doctor,
    "serve": cli_serve.serve,
    "sandbox": cli_serve.sandbox,
    "demo": cli_generate.demo,
}
CONSENT_COMMANDS = {"add": cli_consent.add, "list": cli_consent.show, "revoke": cli_consent.revoke}

for name, function in COMMANDS.items():
    app.command(name, cls=Command, help=f"help.{name}")(function)
for name, function in CONSENT_COMMANDS.items():
    consents.command(name, cls=Command, help=f"help.consent_{name}")(function)
app.add_typer(consents)


@app.callback()
def shared(
    context: typer.Context,
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
) -> None:
    """What every command takes, before or after its name."""
    context.obj = replace(call_of(context), workspace=workspace, env_file=env_file, as_json=as_json, lang=lang)


def main(args: Sequence[str] | None = None, prog_name: str = "hoasi") -> NoReturn:
    """The console script. Leaves by `SystemExit`: 0 made, 1 some failed, 2 wrong input, 3 a payment is not known."""
    typer.main.get_command(app).main(args, prog_name=prog_name)
    raise AssertionError  # `Root.main` never returns
