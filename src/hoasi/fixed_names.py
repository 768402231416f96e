"""Engine room (floor 3): names that other programs insist on, such as `frames/scene-001.png`.

A picture's own file has a name of its content and is never replaced by another picture's. Under the fixed name lies a
copy of the picture that was asked for last: a changed prompt replaces the copy, the old prompt brings the old one back,
unpaid. A projection of the ledger, like the logs: what a dead process could not lay there, the next one does.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from hoasi import artifacts
from hoasi.files import any_trouble, replace_file
from hoasi.ledger import Ledger
from hoasi.ledger_rows import generation_of
from hoasi.records import Generation, Planned, State
from hoasi.results import Artifact

SUFFIX = ".png"


def want(db: sqlite3.Connection, item: Planned, generation_id: str) -> None:
    """The picture of this generation is what shall lie under the name from now on."""
    db.executemany(
        "INSERT INTO fixed_name (name, wanted) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET wanted=excluded.wanted",
        [(name, generation_id) for name in item.names],
    )


def lay(ledger: Ledger, generations: Sequence[Generation], workspace: Path, owner: str) -> None:
    """Copy what was made to its fixed names, where it is still what is wanted there; for one process at a time.

    Raises:
        DiskTrouble: a copy cannot be written; the others are tried at the next call.
    """
    made = [g for g in generations if g.planned.fixed_name and g.state is State.SUCCEEDED and g.artifacts]
    for generation in made:
        for own, meant in zip(generation.artifacts, there(generation), strict=False):
            name = meant.path.removesuffix(SUFFIX)
            if _is_wanted(ledger, name, generation.id) and _is_there(workspace, own, meant, owner):
                with ledger.transaction(durable=False) as db:
                    db.execute("UPDATE fixed_name SET lies=? WHERE name=?", (generation.id, name))


def _is_wanted(ledger: Ledger, name: str, generation_id: str) -> bool:
    with ledger.transaction(durable=False) as db:
        row = db.execute("SELECT wanted FROM fixed_name WHERE name=?", (name,)).fetchone()
    return row is not None and row["wanted"] == generation_id


def _is_there(workspace: Path, made: Artifact, meant: Artifact, owner: str) -> bool:
    """Whether a picture lies under its name, after it was copied there if need be; not when its own file is harmed."""
    final = workspace / meant.path
    if artifacts.is_intact(workspace, meant):
        return True
    if not artifacts.is_intact(workspace, made):
        return False
    temp = artifacts.temp_name(owner, f"{secrets.token_hex(4)}-{final.stem}")
    with any_trouble(final):
        replace_file(final, (workspace / made.path).read_bytes(), temp)
    return True


def there(generation: Generation) -> list[Artifact]:
    """Its pictures as they should lie under their fixed names."""
    pairs = zip(generation.artifacts, generation.planned.names, strict=False)  # there may be fewer than were asked for
    return [made.model_copy(update={"path": f"{name}{SUFFIX}"}) for made, name in pairs]


def shown(generation: Generation, workspace: Path) -> tuple[str, ...]:
    """Where a reader finds its files, workspace-relative: under their fixed names, where it is they that lie there."""
    own, meant = [artifact.path for artifact in generation.artifacts], there(generation)
    named = {k: made.path for k, made in enumerate(meant) if artifacts.is_intact(workspace, made)}
    return tuple(named.get(k, path) for k, path in enumerate(own))


def lying(ledger: Ledger, folder: str) -> list[Generation]:
    """The generations whose pictures lie under fixed names of a folder, in the order of the names."""
    with ledger.transaction(durable=False) as db:
        rows = db.execute(
            "SELECT generation.* FROM fixed_name JOIN generation ON generation.id = fixed_name.lies"
            " WHERE substr(fixed_name.name, 1, ?) = ? ORDER BY fixed_name.name",
            (len(folder) + 1, f"{folder}/"),
        ).fetchall()
    return [generation_of(row) for row in rows]
