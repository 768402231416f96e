"""Hall (floor 6): `doctor`: looks at everything a run needs, and says how to mend what is missing. Shows no secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hoasi.answers import Reply
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import call_of, run
from hoasi.messages import say
from hoasi.providers import REGISTRY, provider

if TYPE_CHECKING:
    from hoasi.cli.checkup import Check

STYLES = {"ok": "", "warn": "yellow", "fail": "bold red"}


def doctor(
    context: typer.Context,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="help.doctor_offline")] = False,
) -> Answer:
    """Look at everything a run needs; exit 1 only if not even local use works."""
    from hoasi.cli import checkup
    from hoasi.cli import checkup_makers as makers

    settings = call_of(context).settings()
    looks = () if offline else (makers.hosts, makers.accounts, makers.nodes, makers.workers)
    checks = [*checkup.local(settings), *(check for look in looks for check in run(look(settings)))]
    bad = [check.state for check in checks if check.state != "ok"]
    worst = "fail" if "fail" in bad else "warn" if bad else "ok"
    reply = Reply(
        message=say(f"cli.doctor.{worst}", count=sum(state == worst for state in bad)), next=_first_fix(checks)
    )
    facts = {"checks": [asdict(check) for check in checks], "ok": worst != "fail"}
    return Answer(reply, code=int(worst == "fail"), sheets=(_sheet(checks),), facts=facts)


def _first_fix(checks: list[Check]) -> str:
    """What to mend first. A key is worth that only where none is set, and then it is the first one's."""
    keys = [check.fix for check in checks if check.what == "key" and check.fix]
    is_keyless = len(keys) == sum(bool(provider(name).secrets) for name in REGISTRY)
    rest = [check for check in checks if check.what != "key"]
    fixes = [check.fix for state in ("fail", "warn") for check in rest if check.state == state and check.fix]
    return next(iter([*fixes, *(keys if is_keyless else [])]), "")


def _sheet(checks: list[Check]) -> Sheet:
    columns = tuple(say(f"cli.doctor.columns.{name}") for name in ("state", "what", "found"))
    rows = tuple(
        (say(f"cli.doctor.states.{check.state}"), check.name, "\n".join(filter(None, (check.text, check.fix))))
        for check in checks
    )
    return Sheet(columns, rows, whole=frozenset({0, 1}), styles=tuple(STYLES[check.state] for check in checks))
