"""Engine room (floor 3): the ledger's schema, version by version. Rows of older versions go on."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from hoasi.errors import WrongInput


def migrate(db: sqlite3.Connection) -> None:
    """Bring a ledger to the version this code knows, within the caller's transaction.

    Raises:
        WrongInput: `ledger_newer`; it is not touched.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_STEPS):
        raise WrongInput("ledger_newer", version=version, known=len(_STEPS))
    for number in range(version, len(_STEPS)):
        for statement in _statements(_STEPS[number]):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={number + 1}")


def _statements(name: str) -> list[str]:
    text = files("hoasi").joinpath(name).read_text(encoding="utf-8")
    return text.strip().rstrip(";").split(";\n")


_STEPS = ("ledger.sql", "ledger_2.sql", "ledger_3.sql", "ledger_4.sql", "ledger_5.sql", "ledger_6.sql")
