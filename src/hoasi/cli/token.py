"""Hall (floor 6): `token add|list|revoke`: who may call `serve --http --tokens FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hoasi.answers import Reply
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import call_of
from hoasi.errors import WrongInput
from hoasi.messages import money, say

if TYPE_CHECKING:
    from hoasi.tokens import Tenant

Name = Annotated[str, typer.Argument(help="help.token.name", metavar="NAME")]
File = Annotated[Path, typer.Option("--tokens", help="help.token.file", metavar="FILE")]


def add(
    context: typer.Context,
    *,
    name: Name,
    file: File,
    month_usd: Annotated[float | None, typer.Option("--month-usd", help="help.token.month_usd", metavar="USD")] = None,
) -> Answer:
    """Make a token for the workspace of this call and show it, this once.

    Raises:
        WrongInput: the name is taken, or the budget makes no sense. FileBroken, DiskTrouble: the file.
    """
    from hoasi import tokens

    if month_usd is not None and not 0 <= month_usd < float("inf"):
        raise WrongInput("setting_not_number", name="--month-usd", value=month_usd)
    workspace = call_of(context).settings().workspace
    token = tokens.add(file, name, workspace, month_usd)
    told = say("cli.token.added", name=name, workspace=workspace, token=token)
    facts = {"token": token, "workspace": str(workspace), "month_usd": month_usd}
    return Answer(Reply(message=told, next=say("cli.token.use", path=file)), facts=facts)


def list_(context: typer.Context, *, file: File) -> Answer:
    """Who may call, in which workspace and up to how much; no token can be read from it."""
    from hoasi import tokens

    call_of(context).settings()
    found = tokens.Tokens(file).tenants()
    columns = tuple(say(f"cli.token.columns.{name}") for name in ("name", "workspace", "month_usd"))
    rows = tuple((one.name, str(one.workspace), _limit(one)) for one in found)
    facts = {"tokens": [one.model_dump(mode="json", exclude={"sha256"}) for one in found]}
    sheets = (Sheet(columns, rows, whole=frozenset({0, 1})),) if found else ()
    return Answer(Reply(message=say("cli.token.count", count=len(found))), sheets=sheets, facts=facts)


def _limit(tenant: Tenant) -> str:
    return "-" if tenant.month_usd is None else money(tenant.month_usd)


def revoke(context: typer.Context, *, name: Name, file: File) -> Answer:
    """Take somebody out: refused from the next request on, also by servers that run."""
    from hoasi import tokens

    call_of(context).settings()
    tokens.revoke(file, name)
    return Answer(Reply(message=say("cli.token.revoked", name=name)))
