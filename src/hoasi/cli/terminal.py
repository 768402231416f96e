"""Hall (floor 6): the screen: colours, tables and a live bar on a terminal; plain lines in a pipe.

Errors go to standard error. With `--json` standard output holds one object and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TextIO

from hoasi.cli.answer import INTERRUPTED
from hoasi.cli.lines import Line, closing_lines, entry_lines, error_lines, warning_line
from hoasi.messages import say

if TYPE_CHECKING:
    from rich.console import Console

    from hoasi.answers import Entry, Progress
    from hoasi.cli.answer import Answer, Sheet

MOST_ENTRIES = 60
"""A terminal shows so many generations; a pipe and `--json` get all."""


class Bar(Protocol):
    """Live numbers of a run."""

    def update(self, progress: Progress, cost_usd: float) -> None:
        """Show how far it is."""
        ...


class Screen:
    """Where one command writes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._told: set[str] = set()
        self._noted: set[str] = set()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(encoding="utf-8", errors="replace")

    @property
    def is_interactive(self) -> bool:
        """Whether a person sits there who can be asked."""
        return not self.as_json and sys.stdin.isatty() and sys.stdout.isatty()

    @cached_property
    def _consoles(self) -> dict[int, Console]:
        return {}

    def _console(self, stream: TextIO) -> Console | None:
        """Rich's console of a stream that is a terminal; loaded when first needed."""
        if not stream.isatty():
            return None
        if stream.fileno() not in self._consoles:
            from rich.console import Console

            self._consoles[stream.fileno()] = Console(file=stream, highlight=False, emoji=False, markup=False)
        return self._consoles[stream.fileno()]

    def _write(self, lines: Iterable[Line], stream: TextIO) -> None:
        console = self._console(stream)
        for line in lines:
            if console is None:
                stream.write("".join(text for text, _ in line).rstrip() + "\n")
            else:
                from hoasi.cli.terminal_rich import wrapped

                for part in wrapped(line, console):
                    console.print(part, soft_wrap=True)
        stream.flush()

    # ------------------------------------------------------------------ while it runs

    def note(self, text: str) -> None:
        """A sentence for people, now."""
        if not self.as_json:
            self._write([((text, "dim"),)], sys.stdout)

    def warn(self, warnings: Iterable[str]) -> None:
        """Warnings, now; the closing does not repeat them."""
        fresh = [warning for warning in warnings if warning not in self._noted]
        if not self.as_json and fresh:
            self._noted.update(fresh)
            self._write(map(warning_line, fresh), sys.stdout)

    def entry(self, entry: Entry) -> None:
        """A generation that has just ended."""
        if not self.as_json:
            self._told.add(entry.id)
            self._write(entry_lines(entry, is_short=sys.stdout.isatty()), sys.stdout)

    @contextmanager
    def live(self) -> Iterator[Bar | None]:
        """A bar at the bottom of a terminal (with `--json`: of the error stream's), None where there is no terminal."""
        console = self._console(sys.stderr if self.as_json else sys.stdout)
        if console is None:
            yield None
            return
        from hoasi.cli.terminal_rich import shown

        with shown(console) as bar:
            yield bar

    # ------------------------------------------------------------------ asking

    def ask(self, question: str) -> str:
        """A person's answer to a question."""
        console = self._console(sys.stdout)
        text = f"{question} "
        return (console.input(text) if console else input(text)).strip()

    # ------------------------------------------------------------------ the answer

    def tell(self, answer: Answer) -> None:
        """Write the answer."""
        if self.as_json:
            sys.stdout.write(answer.json() + "\n")
            sys.stdout.flush()
        elif answer.code == INTERRUPTED:
            self._write(closing_lines(answer, self._noted), sys.stderr)
        elif answer.reply.error is not None:
            self._write(error_lines(answer.reply.error), sys.stderr)
        else:
            self._tell_person(answer)

    def _tell_person(self, answer: Answer) -> None:
        for sheet in answer.sheets:
            self._draw(sheet)
        if answer.tells_entries:
            self._entries([entry for entry in answer.reply.generations if entry.id not in self._told or not entry.id])
        is_table_in_pipe = bool(answer.sheets) and not sys.stdout.isatty()
        self._write(closing_lines(answer, self._noted), sys.stderr if is_table_in_pipe else sys.stdout)

    def _entries(self, entries: list[Entry]) -> None:
        is_terminal = sys.stdout.isatty()
        shown = entries[:MOST_ENTRIES] if is_terminal else entries
        self._write((line for entry in shown for line in entry_lines(entry, is_short=is_terminal)), sys.stdout)
        if len(shown) < len(entries):
            self.note(say("cli.more_entries", count=len(entries) - len(shown)))

    def _draw(self, sheet: Sheet) -> None:
        console = self._console(sys.stdout)
        if console is None:
            self._write(((("\t".join(row).replace("\n", "; "), ""),) for row in sheet.rows), sys.stdout)
        elif sheet.rows:
            from hoasi.cli.terminal_rich import draw

            draw(sheet, console)
