"""A model that follows a script: it asks for one tool after the other and does what their results say.

It is as simple as an agent can be: while a result has `poll_after_seconds`, the call in its `next` is made, word for
word; then comes the next step of the script. What is no result of hoasi (a client's "timed out") ends the run.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TOLD_AT_MOST = 400


class Step(NamedTuple):
    """A tool to ask for, and how long a provider shall work on what it makes."""

    tool: str
    arguments: Mapping[str, Any]
    latency_s: float


@dataclass
class Call:
    """One call that the model asked its client for."""

    tool: str
    arguments: Mapping[str, Any]
    id: str
    asked_at: float = field(default_factory=time.monotonic)
    took_s: float | None = None
    """From asking for it until its result was read; None: never read."""
    reply: Mapping[str, Any] = field(default_factory=dict)


class Model:
    """One conversation. `begin` is told of every step before its tool is asked for."""

    def __init__(self, steps: Sequence[Step], begin: Callable[[Step], None]) -> None:
        self._steps = list(steps)
        self._begin = begin
        self.turns = 0
        self.calls: list[Call] = []
        self.entries: dict[str, Mapping[str, Any]] = {}
        """What was last said of each generation."""
        self.trouble = "no tool of hoasi was offered"
        """Why the script did not come to its end; "" when it did."""

    def turn(self, tools: Sequence[str], results: Mapping[str, object]) -> Call | str:
        """The next call, or the last words. A question that is asked again gets the same answer."""
        if offered("get_generations", tools) is None:
            return "hoasi"  # no turn of the script: clients also ask for titles and summaries
        self.turns += 1
        if not self.calls:
            return self._next_step()
        call = self.calls[-1]
        if call.took_s is not None:
            return "Done."
        return self._after(call, results[call.id]) if call.id in results else call

    def _after(self, call: Call, result: object) -> Call | str:
        call.took_s = time.monotonic() - call.asked_at
        call.reply = reply_in(result)
        self.entries.update({entry["id"]: entry for entry in call.reply.get("generations", ())})
        if not call.reply:
            return self._give_up(f"{call.tool} was not answered: {json.dumps(result, ensure_ascii=False)}")
        if call.reply.get("poll_after_seconds") is not None:
            return self._follow(call.reply.get("next", ""))
        bad = [entry for entry in self.entries.values() if entry["state"] != "succeeded"]
        return self._give_up(f"not made: {json.dumps(bad, ensure_ascii=False)}") if bad else self._next_step()

    def _follow(self, told: str) -> Call | str:
        found = re.fullmatch(r"(\w+)\(ids=(\[.*\])\)", told)
        return self._ask(found[1], {"ids": json.loads(found[2])}) if found else self._give_up(f"what next? {told!r}")

    def _next_step(self) -> Call | str:
        if not self._steps:
            self.trouble = ""
            return "Done."
        step = self._steps.pop(0)
        self._begin(step)
        return self._ask(step.tool, step.arguments)

    def _ask(self, tool: str, arguments: Mapping[str, Any]) -> Call:
        self.trouble = f"{tool} was asked for, and no result came"
        self.calls.append(Call(tool, arguments, f"call_{len(self.calls) + 1}"))
        return self.calls[-1]

    def _give_up(self, why: str) -> str:
        self.trouble = why[:TOLD_AT_MOST]
        return why


def offered(tool: str, names: Sequence[str]) -> str | None:
    """The tool's name as the client offers it: every client puts something of its own before it."""
    return next((name for name in names if re.search(rf"(^|[^a-z]){tool}$", name)), None)


def reply_in(result: object) -> Mapping[str, Any]:
    """hoasi's reply in what a client made of it: JSON in some text, alone or among other words; empty if none."""
    for text in _texts(result):
        for start in re.finditer(r"\{", text):
            try:
                found, _ = json.JSONDecoder().raw_decode(text, start.start())
            except ValueError:
                continue
            if "message" in found and "generations" in found:
                return dict(found)
    return {}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)
