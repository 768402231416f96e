"""Hall (floor 6): what a command answers, before anything is on a screen: a reply, tables, more facts, an exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hoasi.answers import Reply
from hoasi.errors import HoasiError
from hoasi.messages import explain
from hoasi.records import OPEN_STATES, State

INTERRUPTED = 130
_NOT_MADE = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED, *OPEN_STATES})


@dataclass(frozen=True)
class Sheet:
    """A table for people: on a terminal it is drawn, in a pipe it is one tab-separated line a row.

    `whole` names the columns that are never folded, `short` those that a terminal may end in an ellipsis; `styles` is
    the terminal's style of each row ("" for none).
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    whole: frozenset[int] = frozenset({0})
    short: frozenset[int] = frozenset()
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One command's answer. `facts` are more keys of the JSON object; `tells_entries` lists the reply's generations."""

    reply: Reply
    code: int = 0
    sheets: tuple[Sheet, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    tells_entries: bool = False

    def json(self) -> str:
        """The one JSON object of `--json`, on one line."""
        return json.dumps({**self.reply.model_dump(mode="json"), **self.facts}, ensure_ascii=False)


def made(reply: Reply) -> Answer:
    """The answer of a run: it failed where a picture is missing, and says so first where a payment is not known."""
    states = {entry.state for entry in reply.generations}
    errors = [entry.error for entry in reply.generations if entry.error is not None]
    is_unknown = State.UNKNOWN in states or any(error.kind == "PaymentUnknown" for error in errors)
    return Answer(reply, code=3 if is_unknown else int(bool(states & _NOT_MADE)), tells_entries=True)


def refused(error: HoasiError) -> Answer:
    """The answer to a call that could not be done."""
    view = explain(error.problem())
    cost = 0.0 if view.paid == "no" else None
    return Answer(Reply(message=view.message, next=view.fix, cost_usd=cost, error=view), code=error.exit_code)
