"""Workbench (floor 1): a paid reply is on disk before anybody reads it, and can be read again after a crash.

A reply may be the very result (a picture's bytes) and come once. So what is read of it is written down as it comes, and
counts as whole only when it reached the disk. A reply that broke off is kept as far as it came, and breaks off there
again when it is heard again. Only successes are kept: a refusal costs nothing, and may echo what we sent.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx

from hoasi.files import sync_folder
from hoasi.street import PART_BYTES, ReplyLost

log = logging.getLogger("hoasi.spool")
FOLDER = "replies"
WHOLE, PART = ".reply", ".part"
_LEFT_OUT = frozenset({"set-cookie", "content-encoding", "content-length", "transfer-encoding"})
"""Headers that are a secret, or not true of the bytes as they are kept."""


def sweep(home: Path, is_needed: Callable[[str], bool]) -> None:
    """Remove replies of generations that need none; a process may die between an end and its cleaning up."""
    for path in (path for place in folders(home)[:1] if _is_ours(place) for path in place.iterdir()):
        if not is_needed(path.stem.rpartition("-")[0]):
            path.unlink(missing_ok=True)


def folders(home: Path) -> tuple[Path, Path]:
    """Where replies are kept: beside the ledger, and in the system's temporary folder when there is no room."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    return home / FOLDER, Path(tempfile.gettempdir()) / f"hoasi-{FOLDER}-{owner}"


@dataclass(frozen=True)
class Kept:
    """A reply on the disk: its first line is JSON (status, headers, the address that gave it), its body follows."""

    path: Path
    head: dict[str, Any]

    @property
    def is_whole(self) -> bool:
        """Its last byte came, and reached the disk."""
        return self.path.suffix == WHOLE


@dataclass(frozen=True)
class Spool:
    """Where the reply to one POST is kept, under a name that no other POST has."""

    name: str
    places: tuple[Path, ...]

    def kept(self) -> Kept | None:
        """What is there of the reply; None where nothing is."""
        found = ((path, _head(path)) for path in self._paths())
        return next((Kept(path, head) for path, head in found if head is not None), None)

    def drop(self) -> None:
        """It is not needed any more."""
        for path in self._paths():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s cannot be removed: %s", path, error)

    def _paths(self) -> list[Path]:
        there = [place for place in self.places if _is_ours(place)]
        return [place / f"{self.name}{suffix}" for suffix in (WHOLE, PART) for place in there]

    def recorded(self, response: httpx.Response, address: str) -> httpx.Response:
        """The same reply; what is read of it was written down before."""
        headers = {name: text for name, text in response.headers.items() if name not in _LEFT_OUT}
        facts = {"status": response.status_code, "headers": headers, "at": address}
        pen = _Pen(self, json.dumps(facts).encode() + b"\n")
        return httpx.Response(response.status_code, headers=headers, stream=_Recorded(response, pen))

    def again(self) -> httpx.Response:
        """The reply as it came, from the disk.

        Raises:
            ReplyLost: there is none.
        """
        kept = self.kept()
        if kept is None:
            raise ReplyLost("no reply was kept")
        return httpx.Response(kept.head["status"], headers=kept.head["headers"], stream=_Again(kept))


def _is_ours(place: Path) -> bool:
    """A folder that nobody else put there: the temporary one is open to everybody."""
    try:
        found = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())


def _head(path: Path) -> dict[str, Any] | None:
    """The first line; None where there is none, or not the whole of it."""
    try:
        with path.open("rb") as file:
            head: dict[str, Any] = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return head


class _Pen:
    """Writes one reply down. A place that does not take it is left for the next, with what it had."""

    def __init__(self, spool: Spool, head: bytes) -> None:
        self._name = spool.name + PART
        self._places = list(spool.places)
        self._file: FileIO | None = None
        self._size = 0
        self._move(b"")
        self.write(head)

    def write(self, data: bytes) -> None:
        """A further piece."""
        self._surely(lambda file: _put(file, data))
        self._size += len(data)

    def settle(self) -> None:
        """That was all: it reaches the disk, and counts from now on (in a worker thread)."""
        self._surely(_settle)

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            self._file.close()

    def _surely(self, act: Callable[[FileIO], None]) -> None:
        """At one of the places; where none is left the reply is only read."""
        while self._file is not None:
            try:
                act(self._file)
            except OSError as error:
                self._leave(error)
            else:
                return

    def _leave(self, why: OSError) -> None:
        """What was written so far goes along; what cannot be read back is kept nowhere."""
        path = _path(self._file)
        log.warning("a reply cannot be kept at %s: %s", path, why)
        self.close()
        self._file = None
        try:
            had = path.read_bytes()[: self._size]
            path.unlink()
        except OSError as error:
            log.warning("what was kept at %s is lost: %s", path, error)
        else:
            self._move(had)

    def _move(self, had: bytes) -> None:
        """To the next place that takes it, if there is one."""
        while self._places and self._file is None:
            place = self._places.pop(0)
            try:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = _begun(place / self._name, had) if _is_ours(place) else None
            except OSError as error:
                log.warning("a reply cannot be kept at %s: %s", place, error)


def _begun(path: Path, had: bytes) -> FileIO:
    file = FileIO(path, "w")
    try:
        _put(file, had)
    except OSError:
        file.close()
        path.unlink(missing_ok=True)
        raise
    return file


def _put(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _settle(file: FileIO) -> None:
    os.fsync(file.fileno())
    file.close()
    path = _path(file)
    path.replace(path.with_suffix(WHOLE))
    sync_folder(path.parent)


def _path(file: FileIO | None) -> Path:
    return Path(str(file.name)) if file is not None else Path()


class _Recorded(httpx.AsyncByteStream):
    """The body of a reply; its end comes only when all of it is on the disk."""

    def __init__(self, response: httpx.Response, pen: _Pen) -> None:
        self._response = response
        self._pen = pen

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                self._pen.write(piece)
                yield piece
            await anyio.to_thread.run_sync(self._pen.settle)
        finally:
            self._pen.close()


class _Again(httpx.AsyncByteStream):
    """The body of a kept reply; where it broke off, it does so again."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._kept.path.open("rb") as file:
            file.readline()
            while piece := file.read(PART_BYTES):
                yield piece
        if not self._kept.is_whole:
            raise ReplyLost("the reply broke off")
