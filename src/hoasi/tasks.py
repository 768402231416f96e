"""Engine room (floor 3): calls that were answered with a task: what they began, and in the end their answer."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from typing import Any, Literal

from hoasi.record import Record
from hoasi.records import Batch

Status = Literal["working", "completed", "cancelled"]


class Task(Record):
    """A call whose answer is fetched later. `result` is its answer word for word, once everything has ended."""

    id: str
    tool: str
    arguments: dict[str, Any]
    batch: Batch
    status: Status
    is_unwanted: bool
    created_at: float
    updated_at: float
    result: dict[str, Any] | None


def keep(db: sqlite3.Connection, tool: str, arguments: dict[str, Any], batch: Batch) -> Task:
    """A new task, under an id that nobody can guess."""
    now = time.time()
    row = db.execute(
        "INSERT INTO task (id, tool, arguments, batch, status, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, 'working', ?, ?) RETURNING *",
        (f"task-{secrets.token_hex(16)}", tool, json.dumps(arguments), batch.model_dump_json(), now, now),
    ).fetchone()
    return _task_of(row)


def find(db: sqlite3.Connection, name: str) -> Task | None:
    """The task of that id."""
    row = db.execute("SELECT * FROM task WHERE id=?", (name,)).fetchone()
    return None if row is None else _task_of(row)


def unwanted(db: sqlite3.Connection, name: str) -> None:
    """Its client asked to cancel it; what has ended stays as it is."""
    db.execute("UPDATE task SET is_unwanted=1, updated_at=? WHERE id=? AND status='working'", (time.time(), name))


def end(db: sqlite3.Connection, name: str, status: Status, result: dict[str, Any]) -> Task:
    """Everything has ended: the answer stands from now on. Who comes second gets what the first wrote."""
    db.execute(
        "UPDATE task SET status=?, result=?, updated_at=? WHERE id=? AND status='working'",
        (status, json.dumps(result), time.time(), name),
    )
    return _task_of(db.execute("SELECT * FROM task WHERE id=?", (name,)).fetchone())


def _task_of(row: sqlite3.Row) -> Task:
    fields = {name: row[name] for name in Task.model_fields}
    fields |= {name: json.loads(row[name]) for name in ("arguments", "batch", "result") if row[name] is not None}
    return Task.model_validate(fields)
