"""Engine room (floor 3): a row of the ledger and the record everybody else works with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hoasi.records import OPEN_STATES, Generation, Planned

JSON = frozenset({"planned", "handle", "artifacts", "problem", "step", "facts"})
"""Columns that hold JSON."""
BESIDE_S = 600.0
"""What had ended so long before a request was sent cannot be mistaken for it."""

_DOLLARS = "COALESCE(SUM(COALESCE(cost_usd, estimate_usd)), 0)"
_ON_ITS_WAY = f"state IN ({', '.join('?' * len(OPEN_STATES))})"
SPENT_ON_JOB = (
    f"SELECT {_DOLLARS}, COALESCE(SUM(images), 0) FROM generation"
    f" WHERE job_id = ? AND copy_of IS NULL AND (paid != 'no' OR {_ON_ITS_WAY})"
)
SPENT_SINCE = (
    f"SELECT {_DOLLARS} FROM generation WHERE copy_of IS NULL"
    f" AND ((COALESCE(submitted_at, created_at) >= ? AND paid != 'no') OR {_ON_ITS_WAY})"
)


class Spent(NamedTuple):
    """Estimated dollars and pictures so far, where the bill is not known; with what is on its way."""

    job_usd: float = 0.0
    job_images: int = 0
    month_usd: float = 0.0
    """Of the whole workspace, since the month began (UTC)."""


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


def sent_beside(db: sqlite3.Connection, generation: Generation) -> tuple[Generation, ...]:
    """Others at the same provider when this one was sent, or since, that have a receipt or may have lost one."""
    rows = db.execute(
        "SELECT * FROM generation WHERE provider=? AND id!=? AND submitted_at IS NOT NULL"
        " AND (finished_at IS NULL OR finished_at > ?)",
        (generation.planned.provider, generation.id, (generation.submitted_at or 0.0) - BESIDE_S),
    )
    found = [generation_of(row) for row in rows]
    return tuple(one for one in found if one.handle is not None or one.paid != "no" or one.state in OPEN_STATES)
