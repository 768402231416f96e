"""Engine room (floor 3): what the ledger knows of files in buckets: what is there, and what is under way in parts."""

from __future__ import annotations

import sqlite3
import time

Where = tuple[str, str]
"""Endpoint ("" for AWS) and `s3://` address."""


def is_pushed(db: sqlite3.Connection, where: Where, sha256: str) -> bool:
    """Whether these bytes were sent there whole, as far as we know."""
    row = db.execute("SELECT sha256, pushed_at FROM pushed WHERE endpoint=? AND url=?", where).fetchone()
    return row is not None and row[0] == sha256 and row[1] is not None


def under_way(db: sqlite3.Connection, where: Where, sha256: str) -> str | None:
    """The id of an upload in parts that was begun and not finished."""
    row = db.execute("SELECT sha256, upload_id FROM pushed WHERE endpoint=? AND url=?", where).fetchone()
    return str(row[1]) if row is not None and row[0] == sha256 and row[1] else None


def begin(db: sqlite3.Connection, where: Where, path: str, sha256: str, upload_id: str) -> None:
    """An upload in parts has begun."""
    db.execute("INSERT OR REPLACE INTO pushed VALUES (?, ?, ?, ?, ?, NULL, NULL)", (*where, path, sha256, upload_id))


def finish(db: sqlite3.Connection, where: Where, path: str, sha256: str, etag: str) -> None:
    """It is there."""
    row = (*where, path, sha256, etag, time.time())
    db.execute("INSERT OR REPLACE INTO pushed VALUES (?, ?, ?, ?, NULL, ?, ?)", row)


def forget(db: sqlite3.Connection, where: Where) -> None:
    """Nothing is there, and nothing under way."""
    db.execute("DELETE FROM pushed WHERE endpoint=? AND url=?", where)
