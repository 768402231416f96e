"""Hall (floor 6): what a terminal shows that a pipe cannot: the live bar and drawn tables. Loads rich."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from hoasi.cli.answer import Sheet
from hoasi.cli.lines import Line, clean
from hoasi.messages import money, say

if TYPE_CHECKING:
    from hoasi import answers

_WORD = re.compile(r"\S+")


class _Elapsed(ProgressColumn):
    """Minutes and seconds since the start."""

    def render(self, task: Task) -> Text:
        minutes, seconds = divmod(int(task.elapsed or 0), 60)
        return Text(f"{minutes}:{seconds:02}", style="dim")


class _Bar:
    """See `terminal.Bar`."""

    def __init__(self, drawn: Progress) -> None:
        self._drawn = drawn
        self._task = drawn.add_task(say("cli.at_work"), total=None, numbers="", cost="")

    def update(self, progress: answers.Progress, cost_usd: float) -> None:
        numbers = say("cli.numbers", **progress.model_dump())
        if progress.failed:
            numbers += say("cli.numbers_failed", failed=progress.failed)
        ended = progress.done + progress.failed
        self._drawn.update(self._task, total=progress.total, completed=ended, numbers=numbers, cost=money(cost_usd))


@contextmanager
def shown(console: Console) -> Iterator[_Bar]:
    """The bar at the bottom while the body runs; gone afterwards."""
    columns = (
        SpinnerColumn("line"),
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[numbers]}", markup=False),
        _Elapsed(),
        TextColumn("{task.fields[cost]}", style="green", markup=False),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=8) as drawn:
        yield _Bar(drawn)


def wrapped(line: Line, console: Console) -> list[Text]:
    """A line broken between words, as far in as its first piece begins or ends.

    A word that is too long (a path) stays whole, so that it can be copied.
    """
    text, start, room, breaks = Text.assemble(*line), 0, console.width, []
    hang = _hang(line[0][0])
    for word in _WORD.finditer(text.plain):
        if word.start() > start and word.end() - start > room:
            breaks.append(word.start())
            start, room = word.start(), console.width - hang
    first, *rest = text.divide(breaks)
    parts = [first, *(Text(" " * hang) + part for part in rest)]
    for part in parts:
        part.rstrip()
    return parts


def _hang(first: str) -> int:
    """A first piece that fills a column indents what follows it, as does one that begins with blanks."""
    return len(first) if first.endswith("  ") else len(first) - len(first.lstrip())


def table(sheet: Sheet) -> Table:
    """A drawn table; `whole` columns keep their width, the others fold."""
    drawn = Table(title=sheet.title or None, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    drawn.show_header = any(sheet.columns)
    for number, name in enumerate(sheet.columns):
        drawn.add_column(name, no_wrap=number in sheet.whole, overflow="fold")
    for number, row in enumerate(sheet.rows):
        style = sheet.styles[number] if sheet.styles else ""
        drawn.add_row(*(Text(clean(cell)) for cell in row), style=style)
    return drawn
