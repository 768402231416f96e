"""Engine room (floor 3): files travel to a bucket. What is there already is not sent again, not even a part of a file.

Whole files are known by their hash at the server, parts of large ones by the upload that the ledger remembers: a killed
push goes on where it was. Only bytes that are as we left them appear there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeVar

from anyio import to_thread

from hoasi import pushed
from hoasi.artifacts import is_intact
from hoasi.bucket import PART_BYTES, Bucket, Place
from hoasi.errors import HoasiError
from hoasi.ledger import Ledger
from hoasi.record import Record
from hoasi.results import Artifact

AT_ONCE = 4
"""So many files, and so many requests, are on their way at a time: at most 32 MiB of them in memory."""
T = TypeVar("T")
Fate = Literal["sent", "there", "changed", "kept", "planned"]
"""`there`: not sent again. `changed`: not as we left it, hence not sent. `kept`: somebody in it does not permit it."""


class File(Record):
    """One file of a push. `sent_bytes` is what travelled now; `why` the sentence for one that is `kept`."""

    path: str
    url: str
    size_bytes: int
    sha256: str
    fate: Fate
    sent_bytes: int = 0
    why: str = ""


class Progress(Record):
    """How far a push is; what need not be sent counts as done."""

    files: int
    files_done: int
    size_bytes: int
    done_bytes: int


Watch = Callable[[Progress], object]


@dataclass(frozen=True)
class Item:
    """A file to send, and why it must stay here ("" if it need not)."""

    artifact: Artifact
    log_path: str = ""
    why: str = ""

    def file(self, place: Place, fate: Fate, sent_bytes: int = 0) -> File:
        """What became of it."""
        artifact = self.artifact
        return File(
            path=artifact.path,
            url=place.url(artifact.path),
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            fate=fate,
            sent_bytes=sent_bytes,
            why=self.why,
        )


class _Changed(Exception):
    """The file is not what it was; nothing of it may appear there."""


class Sender:
    """One push at work. `files` are those that have ended, in the order of their ends."""

    def __init__(
        self, there: Bucket, place: Place, endpoint: str, workspace: Path, ledger: Ledger, watch: Watch
    ) -> None:
        self._there = there
        self._place = place
        self._endpoint = endpoint
        self._workspace = workspace
        self._ledger = ledger
        self._watch = watch
        self._files = asyncio.Semaphore(AT_ONCE)
        self._requests = asyncio.Semaphore(AT_ONCE)
        self._total = self._size_bytes = self._ended_bytes = 0
        self._flying: dict[str, int] = {}
        self.files: list[File] = []

    async def send(self, items: Sequence[Item]) -> None:
        """Send these.

        Raises:
            HoasiError: the first failure; it concerns all, so the others stop too. What has arrived is kept.
        """
        self._total += len(items)
        self._size_bytes += sum(item.artifact.size_bytes for item in items)
        await _all(self._one(item) for item in items)

    async def _one(self, item: Item) -> None:
        async with self._files:
            sent: dict[int, int] = {}
            try:
                fate = "kept" if item.why else await self._brought(item.artifact, sent)
            except _Changed:
                fate = "changed"
        self.files.append(item.file(self._place, fate, sum(sent.values())))
        self._flying.pop(item.artifact.path, None)
        self._ended_bytes += item.artifact.size_bytes
        self._show()

    def _show(self) -> None:
        done_bytes = self._ended_bytes + sum(self._flying.values())
        self._watch(
            Progress(files=self._total, files_done=len(self.files), size_bytes=self._size_bytes, done_bytes=done_bytes)
        )

    async def _brought(self, artifact: Artifact, sent: dict[int, int]) -> Fate:
        """Make the bucket hold this file. `sent` gets the bytes of each part that travels."""
        if not await to_thread.run_sync(is_intact, self._workspace, artifact):
            return "changed"
        where = (self._endpoint, self._place.url(artifact.path))
        is_there = await self._there.holds(artifact)
        if is_there is None:
            with self._ledger.transaction() as db:
                is_there = pushed.is_pushed(db, where, artifact.sha256)
        if is_there:
            return "there"
        by_parts = artifact.size_bytes > PART_BYTES
        etag = await (self._in_parts(artifact, where, sent) if by_parts else self._whole(artifact, sent))
        with self._ledger.transaction() as db:
            pushed.finish(db, where, artifact.path, artifact.sha256, etag)
        return "sent"

    async def _whole(self, artifact: Artifact, sent: dict[int, int]) -> str:
        async with self._requests:
            body = await to_thread.run_sync(self._read, artifact, 1)
            if hashlib.sha256(body).hexdigest() != artifact.sha256:
                raise _Changed
            etag = await self._there.put(artifact, body)
        sent[1] = len(body)
        return etag

    def _read(self, artifact: Artifact, number: int) -> bytes:
        """One part of a file (in a worker thread).

        Raises:
            _Changed: it is gone.
        """
        try:
            with (self._workspace / artifact.path).open("rb") as file:
                file.seek((number - 1) * PART_BYTES)
                return file.read(PART_BYTES)
        except OSError as error:
            raise _Changed from error

    # ------------------------------------------------------------------ in parts

    async def _in_parts(self, artifact: Artifact, where: pushed.Where, sent: dict[int, int]) -> str:
        upload_id, known = await self._begun(artifact, where)
        numbers = range(1, ceil(artifact.size_bytes / PART_BYTES) + 1)
        try:
            etags = await _all(self._part(artifact, upload_id, n, known.get(n), sent) for n in numbers)
            if not await to_thread.run_sync(is_intact, self._workspace, artifact):
                raise _Changed
        except _Changed:
            await self._thrown_away(artifact, where, upload_id)
            raise
        return await self._there.finish(artifact.path, upload_id, dict(zip(numbers, etags, strict=True)))

    async def _begun(self, artifact: Artifact, where: pushed.Where) -> tuple[str, dict[int, str]]:
        """The upload to go on with, and the parts that are there; a new one where there is none."""
        with self._ledger.transaction() as db:
            upload_id = pushed.under_way(db, where, artifact.sha256)
        known = await self._there.parts(artifact.path, upload_id) if upload_id else None
        if upload_id and known is not None:
            return upload_id, known
        upload_id = await self._there.begin(artifact)
        with self._ledger.transaction() as db:
            pushed.begin(db, where, artifact.path, artifact.sha256, upload_id)
        return upload_id, {}

    async def _part(
        self, artifact: Artifact, upload_id: str, number: int, known: str | None, sent: dict[int, int]
    ) -> str:
        async with self._requests:
            body = await to_thread.run_sync(self._read, artifact, number)
            etag = f'"{known}"'
            if known != hashlib.md5(body, usedforsecurity=False).hexdigest():
                etag = await self._there.send_part(artifact.path, upload_id, number, body)
                sent[number] = len(body)
        self._flying[artifact.path] = self._flying.get(artifact.path, 0) + len(body)
        self._show()
        return etag

    async def _thrown_away(self, artifact: Artifact, where: pushed.Where, upload_id: str) -> None:
        with self._ledger.transaction() as db:
            pushed.forget(db, where)
        try:
            await self._there.abandon(artifact.path, upload_id)
        except HoasiError:  # keys without that right: a rule of the bucket removes old parts
            return


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; the first that fails stops the others."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
