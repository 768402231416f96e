"""Engine room (floor 3): tells the job's log and asset semantics what ended; at most two writes a second.

The files are projections of the ledger. What was not told when a process died is told by the next one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import anyio.to_thread

from hoasi import avatars, fixed_names
from hoasi.artifacts import temp_name
from hoasi.errors import DiskTrouble, HoasiError
from hoasi.exports import asset_semantics, joblog, records, rows
from hoasi.files import held
from hoasi.ledger import Ledger
from hoasi.messages import explain, say
from hoasi.records import Generation, State, iso
from hoasi.settings import Settings
from hoasi.telling import memory, remember, told, untold

log = logging.getLogger("hoasi.scribe")

PAUSE_S = 1.0
"""The files follow the work this closely, and are written twice within this time at most."""


class Scribe:
    """Writes the projections of one process. `note` after each end, `flush` before each reply."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._settings = settings
        self._owner = owner
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._ledger: Ledger | None = None
        self._written: dict[str, deque[float]] = defaultdict(lambda: deque([-PAUSE_S, -PAUSE_S], maxlen=2))
        self.troubles: list[str] = []
        """Sentences about files that could not be written, for the next reply."""

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())

    def note(self) -> None:
        """Something ended."""
        self._news.set()

    async def _listen(self) -> None:
        while True:
            await self._news.wait()
            await self.flush()
            await asyncio.sleep(PAUSE_S)

    async def flush(self, also: Sequence[Generation] = ()) -> None:
        """Everything that ended so far stands in the files when this returns; a caller that gives up stops nothing.

        Of `also`, what has a fixed name is laid there, although its end was told long ago.
        """
        await asyncio.shield(asyncio.ensure_future(self._flush(also)))

    async def _flush(self, also: Sequence[Generation] = ()) -> None:
        async with self._writing:
            self._news.clear()
            await anyio.to_thread.run_sync(self._tell, also)

    async def close(self) -> None:
        """Last words, then silence."""
        if self._task is not None:
            await self.flush()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        async with self._writing:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None

    # ------------------------------------------------------------------ in a thread, with a ledger of its own

    def _tell(self, also: Sequence[Generation] = ()) -> None:
        with self._complaining("ledger.db"):
            ledger = self._ledger = self._ledger or Ledger(self._settings.home / "ledger.db")
            with ledger.transaction() as db:
                news = [row.generation for row in untold(db)]
            self._lay(ledger, [*news, *also])
            paths = {generation.planned.log_path for generation in news}
            for path in sorted(paths):
                self._tell_one(ledger, path)

    @contextmanager
    def _complaining(self, path: str) -> Iterator[None]:
        """What cannot be written is told to the user; everything else goes on."""
        try:
            yield
        except (HoasiError, OSError, sqlite3.Error) as error:
            log.warning("%s: %s", path, error)
            trouble = error if isinstance(error, HoasiError) else DiskTrouble("disk_other", path=path)
            view = explain(trouble.problem())
            self.troubles.append(f"{view.message} {view.fix}")

    def _tell_one(self, ledger: Ledger, path: str) -> None:
        """One log and its semantics, under that log's lock: two processes never tell the same end twice."""
        with self._complaining(path), held(self._lock(f"{path} telling")):
            with ledger.transaction() as db:
                news = [row for row in untold(db) if row.generation.planned.log_path == path]
                before = memory(db, path)
            is_known = self._semantics([row.generation for row in news])
            fresh = [row.generation for row in news if not row.is_logged]
            after = self._log(path, fresh, before) if fresh else before
            with ledger.transaction() as db:
                told(db, [row.generation for row in news], semantics=is_known)
                if after is not None:
                    remember(db, path, after)

    def _lay(self, ledger: Ledger, generations: Sequence[Generation]) -> None:
        """Pictures under their fixed names, and the records of what lies there; an avatar's file tells its angles."""
        root, named = self._settings.workspace, [g for g in generations if g.planned.fixed_name]
        for path, name in {g.planned.records_path: g.planned.fixed_name for g in reversed(named)}.items():
            with self._complaining(name), held(self._lock("fixed names")):
                fixed_names.lay(ledger, [g for g in named if g.planned.records_path == path], root, self._owner)
                if path:
                    made = fixed_names.lying(ledger, path.rpartition("/")[0])
                    records.write(root / path, made, temp_name(self._owner, "records"))
        for avatar_id in dict.fromkeys(avatars.owner_of(g.planned.fixed_name) for g in named):
            with self._complaining(f"{avatars.FOLDER}/{avatar_id}/{avatars.FILE}"):
                if avatar_id and avatars.is_chosen(root, avatar_id):
                    avatars.settle(self._settings, avatar_id)

    def _lock(self, path: str) -> Path:
        name = hashlib.sha256(path.encode()).hexdigest()[:16]
        return self._settings.home / "locks" / f"{name}.lock"

    def _pause(self, path: str) -> None:
        """No third write within the time of two."""
        last = self._written[path]
        time.sleep(max(0.0, last[0] + PAUSE_S - time.monotonic()))
        last.append(time.monotonic())

    def _log(self, path: str, news: Sequence[Generation], before: str | None) -> str:
        self._pause(path)
        left = joblog.write(
            self._settings.workspace / path,
            [row for generation in news for row in rows.log_rows(generation)],
            job_id=news[0].planned.job_id,
            default_model=news[0].planned.model,
            generated_at=iso(max(g.finished_at or g.created_at for g in news)),
            memory=None if before is None else joblog.Memory.model_validate_json(before),
            lock_path=self._lock(path),
            temp_name=temp_name(self._owner, "log"),
            media=news[0].planned.media,
        )
        if left.moved_aside:
            self.troubles.append(say("warning.log_moved_aside", path=path, aside=left.moved_aside))
        return left.model_dump_json()

    def _semantics(self, news: Sequence[Generation]) -> bool:
        """Tell the asset semantics; False when a file of theirs cannot be written, which must not stop the log."""
        made = [g for g in news if g.state is State.SUCCEEDED and g.planned.semantics_path]
        missed = len(self.troubles)
        for path, group in groupby(made, key=lambda generation: generation.planned.semantics_path):
            assets = [asset for generation in group for asset in rows.assets(generation)]
            where, temp = self._settings.workspace / path, temp_name(self._owner, "assets")
            with self._complaining(path):
                asset_semantics.write(where, assets, lock_path=self._lock(path), temp_name=temp)
        return len(self.troubles) == missed
