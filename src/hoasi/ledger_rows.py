"""Engine room (floor 3): a row of the ledger and the record everybody else works with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from hoasi.records import Generation, Planned

JSON = frozenset({"planned", "handle", "artifacts", "problem", "step", "facts"})
"""Columns that hold JSON."""


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
