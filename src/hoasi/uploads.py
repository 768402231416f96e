"""Engine room (floor 3): which inputs a provider already has, so that the same bytes are sent once a job."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

Key = tuple[str, str, str, str]
"""Provider, realm, job, sha256."""


def uploaded(db: sqlite3.Connection, key: Key, since: float) -> str | None:
    """Address of bytes that were uploaded after `since`."""
    row = db.execute(
        "SELECT url FROM upload WHERE provider=? AND realm=? AND job_id=? AND sha256=? AND uploaded_at > ?",
        (*key, since),
    ).fetchone()
    return None if row is None else str(row[0])


def remember(db: sqlite3.Connection, key: Key, url: str) -> None:
    """Keep the address of uploaded bytes."""
    db.execute("INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?, ?, ?)", (*key, url, time.time()))


def forget(db: sqlite3.Connection, keys: Sequence[Key]) -> None:
    """These are uploaded again when they are needed."""
    db.executemany("DELETE FROM upload WHERE provider=? AND realm=? AND job_id=? AND sha256=?", keys)
