"""Engine room (floor 3): the durable truth, in SQLite under the workspace.

Safe for several processes: WAL, `synchronous=FULL` (a lost receipt is lost money), `BEGIN IMMEDIATE`, and every save
of a generation is fenced by its owner. Transactions are short and hold no await.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hoasi.errors import LostOwnership, NotFound
from hoasi.ledger_rows import Spent, generation_of, is_bought_since, marks, places, saved, spent
from hoasi.ledger_versions import migrate
from hoasi.records import OPEN_STATES, Generation, Planned, Problem, State

_OPEN = tuple(sorted(OPEN_STATES))
_HELD = (State.SUBMITTING, State.RUNNING)
SLOT_LIFE_S = 600.0
"""A submission that nobody follows any more holds one of the provider's places no longer than this."""
BUSY_S = 30.0
"""How long we wait for others who write."""


class Ledger:
    """One workspace's generations. Cheap to open; every method is one short transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="ascii")
        self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._keep_a_log()
        self._db.execute("PRAGMA foreign_keys=ON")
        self._migrate()

    def _keep_a_log(self) -> None:
        """WAL. Where several make a new ledger at once SQLite says "locked" without waiting: look again."""
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.005)

    def _migrate(self) -> None:
        with self.transaction() as db:
            migrate(db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else writes meanwhile. `durable` waits for the disk."""
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")
            raise

    # ------------------------------------------------------------------ asking

    def get(self, ids: Sequence[str]) -> list[Generation]:
        """Generations by id, in the order asked.

        Raises:
            NotFound: an id that the ledger does not hold.
        """
        rows = self._db.execute(
            f"SELECT * FROM generation WHERE id IN ({marks(ids)})",
            list(ids),
        )
        found = {row["id"]: generation_of(row) for row in rows}
        for missing in (name for name in ids if name not in found):
            raise NotFound("generation_unknown", id=missing)
        return [found[name] for name in ids]

    def find(
        self,
        *,
        job_id: str | None = None,
        scene_id: str | None = None,
        states: Collection[str] = (),
        before: int = 0,
        limit: int = 20,
    ) -> tuple[list[Generation], int]:
        """Newest first, at most `limit`; the number to pass as `before` for the next page (0: no more)."""
        tests = {"job_id = ?": job_id, "scene_id = ?": scene_id, "number < ?": before or None}
        where = [test for test, value in tests.items() if value is not None]
        values: list[Any] = [value for value in tests.values() if value is not None]
        if states:
            where.append(f"state IN ({marks(states)})")
            values += states
        rows = self._db.execute(
            f"SELECT * FROM generation WHERE {' AND '.join(where) or '1'} ORDER BY number DESC LIMIT ?",
            [*values, limit + 1],
        ).fetchall()
        return [generation_of(row) for row in rows[:limit]], rows[limit - 1]["number"] if len(rows) > limit else 0

    def spent(self, job_id: str, since: float, realm: str) -> Spent:
        """What was or may have been paid in a realm, and is on its way: of a job, and of everything since a moment."""
        return spent(self._db, job_id, since, realm)

    def durations(self, provider: str, model: str) -> list[float]:
        """Seconds of the latest 50 results of a model, to know when to look."""
        rows = self._db.execute(
            "SELECT duration_s FROM generation WHERE provider=? AND model=? AND duration_s IS NOT NULL"
            " ORDER BY number DESC LIMIT 50",
            (provider, model),
        )
        return [row[0] for row in rows]

    # ------------------------------------------------------------------ working

    def save(self, name: str, me: str, /, *, durable: bool = True, **fields: Any) -> Generation:
        """Change a generation we own; on disk when this returns.

        `durable=False` spares the wait for the disk: a process may die, but a power cut may bring the state before it
        back. Only for what the receipt can bring again for free.

        Raises:
            LostOwnership: another process took it over.
        """
        with self.transaction(durable=durable) as db:
            return saved(db, name, me, fields)

    def take_place(self, name: str, owner: str, lane: str, places: int, most: int) -> Generation | None:
        """Intent, durable: `queued` becomes `submitting` if so many places are free in its lane; None if not.

        Counts what every process has there. What had left before, its reply lost, keeps the time of its first sending.
        """
        now = time.time()
        with self.transaction() as db:
            held = db.execute(
                "SELECT COALESCE(SUM(slots), 0) FROM generation"
                " WHERE lane=? AND state IN (?, ?) AND (owner IS NOT NULL OR submitted_at > ?)",
                (lane, *_HELD, now - SLOT_LIFE_S),
            ).fetchone()[0]
            if held and held + places > most:
                return None
            row = db.execute(
                "UPDATE generation SET state=?, tries=tries+1,"
                " submitted_at=CASE WHEN finished_at IS NULL THEN COALESCE(submitted_at, ?) ELSE ? END"
                " WHERE id=? AND owner=? AND state=? RETURNING *",
                (State.SUBMITTING, now, now, name, owner, State.QUEUED),
            ).fetchone()
        if row is None:
            raise LostOwnership("lost_ownership", id=name)
        return generation_of(row)

    def rescue_receipt(self, name: str, receipt: dict[str, Any]) -> None:
        """A receipt that came to a process which had lost its generation is kept, unless there is one already."""
        with self.transaction() as db:
            db.execute(
                "UPDATE generation SET handle=?, state=?, problem=NULL, logged=0 WHERE id=? AND handle IS NULL",
                (json.dumps(receipt), State.RUNNING, name),
            )

    def states(self, ids: Sequence[str]) -> dict[str, tuple[State, str | None]]:
        """State and owner of each id that exists: cheap enough to ask often."""
        rows = self._db.execute(f"SELECT id, state, owner FROM generation WHERE id IN ({marks(ids)})", list(ids))
        return {row["id"]: (State(row["state"]), row["owner"]) for row in rows}

    def stops(self, owner: str) -> list[str]:
        """What we own and somebody wants cancelled."""
        rows = self._db.execute(
            f"SELECT id FROM generation WHERE owner=? AND cancel_requested=1 AND state IN ({marks(_OPEN)})",
            [owner, *_OPEN],
        )
        return [row["id"] for row in rows]

    def adopt(self, owner: str, states: Collection[str], ids: Collection[str] | None = None) -> list[Generation]:
        """Become the owner of generations that nobody else works on."""
        chosen = "" if ids is None else f" AND id IN ({marks(ids)})"
        with self.transaction() as db:
            rows = db.execute(
                "UPDATE generation SET owner=?, problem=NULL WHERE (owner IS NULL OR owner=?)"
                f" AND state IN ({marks(states)}){chosen} RETURNING *",
                [owner, owner, *states, *(ids or ())],
            ).fetchall()
        return [generation_of(row) for row in rows]

    def note(self, ids: Sequence[str], problem: Problem | None) -> None:
        """What is wrong with the files of successes; None: they are whole (again)."""
        told = None if problem is None else problem.model_dump_json()
        with self.transaction(durable=False) as db:
            db.execute(f"UPDATE generation SET problem=? WHERE id IN ({marks(ids)})", [told, *ids])

    def bought(self, fingerprint: str) -> Generation | None:
        """The latest purchase of a request."""
        row = self._db.execute(
            "SELECT * FROM generation WHERE fingerprint=? AND copy_of IS NULL ORDER BY attempt DESC LIMIT 1",
            (fingerprint,),
        ).fetchone()
        return None if row is None else generation_of(row)

    def maker_of(self, sha256: str) -> Generation | None:
        """The generation that made a file with these bytes, copies last."""
        row = self._db.execute(
            "SELECT * FROM generation WHERE instr(artifacts, ?) ORDER BY copy_of IS NOT NULL, number DESC LIMIT 1",
            (sha256,),
        ).fetchone()
        return None if row is None else generation_of(row)

    def move(self, name: str, owner: str, planned: Planned) -> Generation:
        """Nothing was sent: another provider makes it instead.

        Raises:
            LostOwnership: another process took it over. sqlite3.IntegrityError: that was bought before.
        """
        fields = {**places(planned), "step": None, "tries": 0, "state": State.QUEUED, "submitted_at": None}
        with self.transaction() as db:
            if is_bought_since(db, name, planned.fingerprint):
                raise sqlite3.IntegrityError(planned.fingerprint)
            return saved(db, name, owner, fields)

    def is_superseded(self, generation: Generation) -> bool:
        """A later attempt was begun at the same place: the older picture must not take it back."""
        place, attempt = generation.planned.place, generation.attempt
        row = self._db.execute("SELECT 1 FROM generation WHERE place=? AND attempt > ?", (place, attempt)).fetchone()
        return row is not None

    def orphans(self, states: Collection[str]) -> list[str]:
        """What nobody works on, in these states."""
        rows = self._db.execute(
            f"SELECT id FROM generation WHERE owner IS NULL AND state IN ({marks(states)})", list(states)
        )
        return [row["id"] for row in rows]

    def folders(self) -> list[str]:
        """Every folder, relative to the workspace, into which something was ever to be written."""
        return [row["path"] for row in self._db.execute("SELECT path FROM folder")]

    def owners(self) -> set[str]:
        """Every process that is named as the owner of something."""
        rows = self._db.execute("SELECT DISTINCT owner FROM generation WHERE owner IS NOT NULL")
        return {row[0] for row in rows}

    def release(self, owner: str) -> None:
        """A process is gone, or goes: what it owned waits for the next one, its state kept."""
        with self.transaction() as db:
            db.execute("UPDATE generation SET owner=NULL WHERE owner=?", (owner,))

    def ask_cancel(self, ids: Sequence[str]) -> None:
        """Note the wish; whoever owns the generation carries it out."""
        with self.transaction() as db:
            db.execute(
                f"UPDATE generation SET cancel_requested=1 WHERE id IN ({marks(ids)}) AND state IN ({marks(_OPEN)})",
                [*ids, *_OPEN],
            )

    def abandon(self, name: str) -> None:
        """An `unknown` is given up: it ends as cancelled, still perhaps billed, and is told to the log."""
        problem = Problem(kind="Cancelled", key="abandoned", paid="unknown").model_dump_json()
        with self.transaction() as db:
            db.execute(
                "UPDATE generation SET state=?, problem=?, logged=0 WHERE id=? AND state=?",
                (State.CANCELLED, problem, name, State.UNKNOWN),
            )

    def reopen(self, name: str, owner: str, state: State, **fields: Any) -> Generation:
        """Put an ended generation back to work (its file is missing, or an `unknown` was settled).

        A success that stands in the log already is not told twice.

        Raises:
            LostOwnership: somebody works on it already.
        """
        with self.transaction() as db:
            taken = db.execute(
                "UPDATE generation SET owner=?, logged=CASE state WHEN 'succeeded' THEN logged ELSE 0 END"
                f" WHERE id=? AND owner IS NULL AND state NOT IN ({marks(_OPEN)})",
                [owner, name, *_OPEN],
            ).rowcount
        if not taken:
            raise LostOwnership("lost_ownership", id=name)
        return self.save(name, owner, state=state, **fields)
