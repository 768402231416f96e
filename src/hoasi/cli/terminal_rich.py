"""Hall (floor 6): what a terminal shows that a pipe cannot: the live bar and drawn tables. Loads rich."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.cells import cell_len
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
_GAP = 2
"""Blanks between columns."""
_SHORT = 10
"""A column that may be cut short still shows so much."""
_READABLE, _LONG_WORD = 20, 26
"""A column that folds is at least so wide, and need not be wider for the sake of one word."""


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
    hang = _hang(line[0][0])
    text, start, room, breaks = Text.assemble(*line), 0, console.width, list[int]()
    for word in _WORD.finditer(text.plain):
        if word.start() > max(start, 0 if breaks else hang) and cell_len(text.plain[start : word.end()]) > room:
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


def draw(sheet: Sheet, console: Console) -> None:
    """A table where it fits; where it does not, each row is a few lines under its first cell: nothing is cut off."""
    if sheet.title:
        console.print(Text(sheet.title, style="bold"), soft_wrap=True)
    widths = [_narrowest(sheet, number) for number in range(len(sheet.columns))]
    spare = console.width - sum(widths) - _GAP * (len(widths) - 1)
    if any(sheet.columns) and spare >= 0:
        console.print(_table(sheet, _widened(sheet, widths, spare)))
        return
    for line in _stacked(sheet) if any(sheet.columns) else _pairs(sheet):
        for part in wrapped(line, console):
            console.print(part, soft_wrap=True)


def _cells(sheet: Sheet, number: int) -> list[str]:
    return [line for row in (sheet.columns, *sheet.rows) for line in clean(row[number]).split("\n")]


def _narrowest(sheet: Sheet, number: int) -> int:
    """The width that a column needs: a `whole` one all of it, a `short` one little, the others their longest word."""
    cells = _cells(sheet, number)
    widest = max(map(cell_len, cells))
    if number in sheet.whole:
        return widest
    if number in sheet.short:
        return min(widest, _SHORT)
    longest_word = max(cell_len(word) for cell in cells for word in cell.split() or [""])
    return min(max(longest_word, min(widest, _READABLE)), _LONG_WORD)


def _widened(sheet: Sheet, widths: list[int], spare: int) -> list[int]:
    """What is left of the terminal's width goes to the columns that lack some, in proportion."""
    lacking = [max(map(cell_len, _cells(sheet, number))) - width for number, width in enumerate(widths)]
    share = min(1.0, spare / max(sum(lacking), 1))
    return [width + int(lack * share) for width, lack in zip(widths, lacking, strict=True)]


def _table(sheet: Sheet, widths: list[int]) -> Table:
    """`short` columns end in an ellipsis, the others fold."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for number, name in enumerate(sheet.columns):
        is_short = number in sheet.short
        table.add_column(name, no_wrap=is_short, overflow="ellipsis" if is_short else "fold", width=widths[number])
    for number, row in enumerate(sheet.rows):
        table.add_row(*(Text(clean(cell)) for cell in row), style=_style(sheet, number))
    return table


def _style(sheet: Sheet, number: int) -> str:
    return sheet.styles[number] if sheet.styles else ""


def _stacked(sheet: Sheet) -> Iterator[Line]:
    """Each row under its first cell: what every other cell is, and its value where it has one."""
    for number, (head, *cells) in enumerate(sheet.rows):
        style = _style(sheet, number)
        yield ((clean(head), f"bold {style}".strip()),)
        pieces = [("  ", "")]
        for name, cell in zip(sheet.columns[1:], cells, strict=True):
            dot = " \u00b7 " if len(pieces) > 1 else ""
            if cell not in {"", "-"}:
                pieces += [(f"{dot}{name}: ", "dim"), ("; ".join(clean(cell).split("\n")), style)]
        if len(pieces) > 1:
            yield tuple(pieces)


def _pairs(sheet: Sheet) -> Iterator[Line]:
    """Names and their values, in two columns; a value may have several lines."""
    width = max(cell_len(name) for name, _ in sheet.rows)
    for name, value in sheet.rows:
        for number, line in enumerate(clean(value).split("\n")):
            yield (f"{name if number == 0 else '':<{width}}  ", "dim"), (line, "")
