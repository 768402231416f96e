"""Engine room (floor 3): which ends the files of a job do not tell of yet, and how the log was left."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from hoasi.ledger_rows import generation_of, marks
from hoasi.record import Record
from hoasi.records import OPEN_STATES, Generation

_OPEN = tuple(sorted(OPEN_STATES))


class Untold(Record):
    """An ended generation that the log, or only the asset semantics (`is_logged`), does not tell of."""

    generation: Generation
    is_logged: bool


def untold(db: sqlite3.Connection) -> list[Untold]:
    """What is to be told, oldest first."""
    rows = db.execute(
        f"SELECT * FROM generation WHERE logged != 1 AND state NOT IN ({marks(_OPEN)}) ORDER BY number",  # noqa: S608  (constants)
        _OPEN,
    )
    return [Untold(generation=generation_of(row), is_logged=row["logged"] == 2) for row in rows]


def told(db: sqlite3.Connection, news: Sequence[Generation], *, semantics: bool) -> None:
    """These stand in the log now; `semantics` says whether the asset semantics know them too."""
    names = [generation.id for generation in news]
    db.execute(
        f"UPDATE generation SET logged=? WHERE id IN ({marks(names)})",  # noqa: S608  (constants; values are bound)
        [1 if semantics else 2, *names],
    )


def memory(db: sqlite3.Connection, path: str) -> str | None:
    """How the log file at `path` was left, or None."""
    row = db.execute("SELECT memory FROM log_memory WHERE path=?", (path,)).fetchone()
    return None if row is None else str(row[0])


def remember(db: sqlite3.Connection, path: str, how: str) -> None:
    """Keep how the log file at `path` was left."""
    db.execute("INSERT OR REPLACE INTO log_memory VALUES (?, ?)", (path, how))
