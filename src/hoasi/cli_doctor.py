"""Hall (floor 6): `doctor`: looks at everything a run needs, and says how to mend what is missing. Shows no secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from hoasi import checkup
from hoasi.checkup import Check
from hoasi.cli_answer import Answer, Sheet
from hoasi.cli_frame import call_of, run
from hoasi.messages import say
from hoasi.records import Reply

STYLES = {"ok": "", "warn": "yellow", "fail": "bold red"}


def doctor(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="help.doctor_offline")] = False,
) -> Answer:
    """Look at workspace, keys, hosts, folders, ledger, prices, fonts and versions. Exit 1 only if local use is broken."""
    settings = call_of(context).settings()
    checks = [*checkup.local(settings), *([] if offline else run(checkup.hosts(settings)))]
    bad = [check.state for check in checks if check.state != "ok"]
    worst = "fail" if "fail" in bad else "warn" if bad else "ok"
    reply = Reply(message=say(f"cli.doctor.{worst}", count=bad.count(worst) if bad else 0), next=_first_fix(checks))
    facts = {"checks": [asdict(check) for check in checks], "ok": worst != "fail"}
    return Answer(reply, code=int(worst == "fail"), sheets=(_sheet(checks),), facts=facts)


def _first_fix(checks: list[Check]) -> str:
    return next((check.fix for state in ("fail", "warn") for check in checks if check.state == state and check.fix), "")


def _sheet(checks: list[Check]) -> Sheet:
    columns = tuple(say(f"cli.doctor.columns.{name}") for name in ("state", "what", "found"))
    rows = tuple(
        (say(f"cli.doctor.states.{check.state}"), check.name, "\n".join(filter(None, (check.text, check.fix))))
        for check in checks
    )
    return Sheet(columns, rows, whole=frozenset({0, 1}), styles=tuple(STYLES[check.state] for check in checks))
