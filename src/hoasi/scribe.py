"""Engine room (floor 3): tells the job's log and asset semantics what ended; at most two writes a second.

The files are projections of the ledger. What was not told when a process died is told by the next one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import anyio.to_thread

from hoasi.artifacts import temp_name
from hoasi.errors import HoasiError
from hoasi.exports import asset_semantics, joblog, rows
from hoasi.files import held
from hoasi.ledger import Ledger
from hoasi.messages import explain, say
from hoasi.records import Generation, State, iso
from hoasi.settings import Settings

log = logging.getLogger("hoasi.scribe")

PAUSE_S = 0.5


class Scribe:
    """Writes the projections of one process. `note` after each end, `flush` before each reply."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._settings = settings
        self._owner = owner
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._ledger: Ledger | None = None
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

    async def flush(self) -> None:
        """Everything that ended so far stands in the files when this returns."""
        async with self._writing:
            self._news.clear()
            await anyio.to_thread.run_sync(self._tell)

    async def close(self) -> None:
        """Last words, then silence."""
        if self._task is not None:
            await self.flush()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    # ------------------------------------------------------------------ in a thread, with a ledger of its own

    def _tell(self) -> None:
        if self._ledger is None:
            self._ledger = Ledger(self._settings.home / "ledger.db")
        for path in sorted({generation.planned.log_path for generation in self._ledger.unlogged()}):
            self._tell_one(self._ledger, path)

    def _tell_one(self, ledger: Ledger, path: str) -> None:
        """One log and its semantics, under that log's lock: two processes never tell the same end twice."""
        try:
            with held(self._lock(f"{path} telling")):
                news = [generation for generation in ledger.unlogged() if generation.planned.log_path == path]
                self._semantics(news)
                memory = self._log(ledger, path, news)
                ledger.mark_logged([g.id for g in news], path, memory.model_dump_json())
            if memory.moved_aside:
                self.troubles.append(say("warning.log_moved_aside", path=path, aside=memory.moved_aside))
        except HoasiError as trouble:
            log.warning("%s: %s", path, trouble)
            view = explain(trouble.problem())
            self.troubles.append(f"{view.message} {view.fix}")

    def _lock(self, path: str) -> Path:
        name = hashlib.sha256(path.encode()).hexdigest()[:16]
        return self._settings.home / "locks" / f"{name}.lock"

    def _log(self, ledger: Ledger, path: str, news: Sequence[Generation]) -> joblog.Memory:
        known = ledger.log_memory(path)
        return joblog.write(
            self._settings.workspace / path,
            [row for generation in news for row in rows.log_rows(generation)],
            job_id=news[0].planned.job_id if news else "",
            default_model=news[0].planned.model if news else "",
            generated_at=iso(max((g.finished_at or g.created_at for g in news), default=0.0)),
            memory=None if known is None else joblog.Memory.model_validate_json(known),
            lock_path=self._lock(path),
            temp_name=temp_name(self._owner, "log"),
        )

    def _semantics(self, news: Sequence[Generation]) -> None:
        made = [g for g in news if g.state is State.SUCCEEDED and g.planned.semantics_path]
        for path, group in groupby(made, key=lambda generation: generation.planned.semantics_path):
            assets = [asset for generation in group for asset in rows.assets(generation)]
            where = self._settings.workspace / path
            asset_semantics.write(where, assets, lock_path=self._lock(path), temp_name=temp_name(self._owner, "assets"))
