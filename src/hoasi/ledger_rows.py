"""Engine room (floor 3): a row of the ledger and the record everybody else works with."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from hoasi.errors import LostOwnership
from hoasi.planning import slug
from hoasi.records import OPEN_STATES, Generation, Planned

JSON = frozenset({"planned", "handle", "artifacts", "problem", "step", "facts"})
"""Columns that hold JSON."""
BESIDE_S = 600.0
"""What had ended so long before a request was sent cannot be mistaken for it."""

_DOLLARS = "COALESCE(SUM(COALESCE(cost_usd, estimate_usd)), 0)"
_ON_ITS_WAY = f"state IN ({', '.join('?' * len(OPEN_STATES))})"
_IN_REALM = "copy_of IS NULL AND COALESCE(json_extract(planned, '$.realm'), '') = ?"
"""Make-believe dollars are not counted with real ones."""
_SPENT_ON_JOB = (
    f"SELECT {_DOLLARS}, COALESCE(SUM(images), 0) FROM generation"
    f" WHERE job_id = ? AND (paid != 'no' OR {_ON_ITS_WAY}) AND {_IN_REALM}"
)
_SPENT_SINCE = (
    f"SELECT {_DOLLARS} FROM generation"
    f" WHERE ((COALESCE(submitted_at, created_at) >= ? AND paid != 'no') OR {_ON_ITS_WAY}) AND {_IN_REALM}"
)


class Spent(NamedTuple):
    """Estimated dollars and pictures so far, where the bill is not known; with what is on its way."""

    job_usd: float = 0.0
    job_images: int = 0
    month_usd: float = 0.0
    """Of the whole workspace, since the month began (UTC)."""


def spent(db: sqlite3.Connection, job_id: str, since: float, realm: str) -> Spent:
    """What was or may have been paid, and what is on its way: of a job, and of everything since a moment."""
    job_usd, job_images = db.execute(_SPENT_ON_JOB, [job_id, *OPEN_STATES, realm]).fetchone()
    (month_usd,) = db.execute(_SPENT_SINCE, [since, *OPEN_STATES, realm]).fetchone()
    return Spent(float(job_usd), int(job_images), float(month_usd))


def month_began(at: float) -> float:
    """The first moment of that calendar month in UTC."""
    return datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()


def packed(fields: Mapping[str, Any]) -> list[Any]:
    """Values as the columns hold them."""
    return [json.dumps(v) if k in JSON and v is not None else v for k, v in fields.items()]


def marks(values: Collection[Any]) -> str:
    """Question marks for so many values of a statement."""
    return ", ".join("?" * len(values))


def generation_of(row: sqlite3.Row) -> Generation:
    """A row as the record everybody else works with."""
    fields = {name: row[name] for name in Generation.model_fields}
    fields |= {name: json.loads(row[name]) for name in JSON if row[name] is not None}
    return Generation.model_validate(fields)


def places(planned: Planned) -> dict[str, Any]:
    """The columns that follow from who makes it and where it lands."""
    return {
        "planned": planned.model_dump(mode="json"),
        "fingerprint": planned.fingerprint,
        "place": planned.place,
        "provider": planned.provider,
        "model": planned.model,
        "lane": planned.lane or planned.provider,
        "slots": planned.slots,
        "estimate_usd": planned.price.usd,
        "images": len(planned.stems),
    }


def free_name(db: sqlite3.Connection, planned: Planned, attempt: int, copy_of: str | None) -> str:
    """An id that says its scene and cannot be mistaken: `sc_01-3fa9c1d2e4`.

    One that moved to another provider kept the id under which it was asked for.
    """
    for number in count():
        text = json.dumps([planned.fingerprint, attempt, planned.place, copy_of, *([number] if number else [])])
        name = f"{slug(planned.request.scene.id) or 'img'}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
        if db.execute("SELECT 1 FROM generation WHERE id=?", (name,)).fetchone() is None:
            break
    return name


def saved(db: sqlite3.Connection, name: str, owner: str, fields: Mapping[str, Any]) -> Generation:
    """Changed, within the transaction.

    Raises:
        LostOwnership: another process took it over.
    """
    row = db.execute(
        f"UPDATE generation SET {', '.join(f'{k}=?' for k in fields)} WHERE id=? AND owner=? RETURNING *",
        [*packed(fields), name, owner],
    ).fetchone()
    if row is None:
        raise LostOwnership("lost_ownership", id=name)
    return generation_of(row)


def is_bought_since(db: sqlite3.Connection, name: str, fingerprint: str) -> bool:
    """Whether this was asked for after `name` was, and may be paid."""
    row = db.execute(
        "SELECT 1 FROM generation WHERE fingerprint=? AND copy_of IS NULL"
        f" AND number > (SELECT number FROM generation WHERE id=?) AND (paid != 'no' OR {_ON_ITS_WAY})",
        (fingerprint, name, *OPEN_STATES),
    ).fetchone()
    return row is not None


def sent_beside(db: sqlite3.Connection, generation: Generation) -> tuple[Generation, ...]:
    """Others at the same provider when this one was sent, or since, that have a receipt or may have lost one."""
    rows = db.execute(
        "SELECT * FROM generation WHERE provider=? AND id!=? AND submitted_at IS NOT NULL"
        " AND (finished_at IS NULL OR finished_at > ?)",
        (generation.planned.provider, generation.id, (generation.submitted_at or 0.0) - BESIDE_S),
    )
    found = [generation_of(row) for row in rows]
    return tuple(one for one in found if one.handle is not None or one.paid != "no" or one.state in OPEN_STATES)
