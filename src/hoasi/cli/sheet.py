"""Hall (floor 6): `sheet`: a job at one look, as a picture beside its logs. Costs nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from hoasi.answers import Reply
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import call_of
from hoasi.messages import say


def sheet(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="help.sheet_job", metavar="JOB")],
) -> Answer:
    """Draw a job's contact sheet; its files are named."""
    contact = call_of(context).studio().sheet(job)
    files = [str(path) for path in contact.keep()]
    reply = Reply(message=say("sheet.kept", job_id=job, told=contact.told))
    rows = tuple((path,) for path in files)
    return Answer(
        reply,
        sheets=(Sheet((say("cli.list.columns.file"),), rows),),
        facts={"files": files, "missing": contact.missing},
    )
