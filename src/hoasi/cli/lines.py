"""Hall (floor 6): how an answer reads: lines of text pieces with a style; the screen decides whether styles show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hoasi.answers import Entry, ErrorView
from hoasi.cli.answer import Answer
from hoasi.messages import money, say
from hoasi.records import State

Line = tuple[tuple[str, str], ...]
"""Pieces of (text, style of rich)."""

SKIPPED, PLANNED = "skipped_existing", "planned"
STYLES = {
    State.SUCCEEDED: "green",
    SKIPPED: "dim",
    PLANNED: "cyan",
    State.FAILED: "bold red",
    State.EXPIRED: "bold red",
    State.CANCELLED: "dim",
    State.UNKNOWN: "bold yellow",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INDENT = " " * 10
_DOT = " \u00b7 "


def clean(text: str) -> str:
    """Without control characters: what a provider or a file says must not drive the terminal."""
    return _CONTROLS.sub("", text)


def state_word(state: str) -> str:
    """A state in the reader's language."""
    return say(f"cli.state.{state}")


def entry_lines(entry: Entry, *, is_short: bool) -> Iterator[Line]:
    """One generation: a line for each file, or its error; `is_short`: names only, the summary has the folder."""
    style = STYLES.get(entry.state, "")
    start: Line = ((f"{state_word(entry.state):<10}", style), (f"{entry.scene_id or '-':<8} ", "bold"))
    for number, path in enumerate(entry.outputs):
        cost = _cost(entry) if number == 0 else ""
        yield (*start, (Path(path).name if is_short else path, ""), (f"  {cost}" if cost else "", "dim"))
    if entry.error is not None:
        yield (*start, (f"{entry.id}  ", "dim"), (clean(entry.error.message), style))
        yield from _error_more(entry.error, _INDENT)
    elif not entry.outputs:
        yield (*start, (entry.id, "dim"))
    if entry.state != PLANNED:
        yield from (((f"{_INDENT}{clean(note)}", "yellow"),) for note in entry.notes)


def _cost(entry: Entry) -> str:
    if entry.state == SKIPPED:
        return ""
    return money(entry.estimate_usd if entry.state == PLANNED else entry.cost_usd)


def error_lines(view: ErrorView) -> Iterator[Line]:
    """An error on its own: what, how to mend it, whether it cost money; the machine's words dim."""
    yield (say("cli.error"), "bold red"), (" ", ""), (clean(view.message), "bold")
    yield from _error_more(view, "")


def _error_more(view: ErrorView, indent: str) -> Iterator[Line]:
    if view.fix:
        yield (f"{indent}{say('cli.fix')} ", "green"), (clean(view.fix), "")
    detail = f"{_DOT}{clean(view.detail)}" if view.detail else ""
    yield (
        (f"{indent}{say(f'cli.paid.{view.paid}')} ", "bold yellow" if view.paid != "no" else ""),
        (view.key + detail, "dim"),
    )


def closing_lines(answer: Answer, noted: set[str]) -> Iterator[Line]:
    """The end of an answer: summary, warnings that were not told yet, what to do next."""
    reply = answer.reply
    if reply.message:
        yield ((clean(reply.message), "bold"),)
    for warning in reply.warnings:
        if warning not in noted:
            yield warning_line(warning)
    if reply.next:
        yield (f"{say('cli.next')} ", "cyan"), (clean(reply.next), "")


def warning_line(text: str) -> Line:
    """A warning."""
    return (f"{say('cli.warning')} ", "bold yellow"), (clean(text), "")
