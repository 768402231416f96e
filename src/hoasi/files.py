"""Workbench (floor 1): files appear complete or not at all, and one process at a time changes a file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hoasi.errors import DiskTrouble

LOCK_S = 60.0
_KEYS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EACCES: "folder_read_only",
    errno.EPERM: "folder_read_only",
    errno.EROFS: "folder_read_only",
}


_LEDGER_KEYS = {8: "folder_read_only", 10: "disk_other", 13: "disk_full", 14: "disk_other"}
"""SQLite's READONLY, IOERR, FULL and CANTOPEN, as numbers: a command's help does not load SQLite."""
LEDGER = ".hoasi/ledger.db"


def ledger_trouble(error: BaseException | None, **facts: Any) -> DiskTrouble | None:
    """What the disk said through the ledger, in our words; None if the error is no trouble of a disk."""
    code = getattr(error, "sqlite_errorcode", None)
    key = None if code is None else _LEDGER_KEYS.get(code & 0xFF)  # the rest of the code tells only details
    return None if key is None else DiskTrouble(key, path=LEDGER, **facts)


def replace_file(path: Path, data: bytes, temp_name: str) -> None:
    """Make `path` hold `data`, durably: every reader, at every moment, sees the old file whole or the new one whole.

    The bytes go to `path.parent / temp_name` first (a leftover of that name is replaced; choose a hidden name without
    a media suffix), reach the disk, and take their place by renaming. Folders are made; the old file's mode is kept.

    Raises:
        DiskTrouble: `disk_full` or `folder_read_only`; `path` is as it was and no temp file is left.
        OSError: anything else that the disk says; the same holds.
    """
    temp = path.parent / temp_name
    with disk_trouble(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temp.unlink(missing_ok=True)
        try:
            _fill(temp, data, path)
            temp.replace(path)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def held(lock_path: Path, timeout_s: float = LOCK_S) -> Iterator[None]:
    """Hold `lock_path` for the body: no other process or thread is inside with the same path. A dead holder frees it.

    Raises:
        DiskTrouble: `file_busy` when it is not free within `timeout_s`; `disk_full` or `folder_read_only`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_path)
    with disk_trouble(lock_path):
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=timeout_s, poll_interval=0.01)
        except Timeout as late:
            raise DiskTrouble("file_busy", path=lock_path, seconds=timeout_s) from late
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_trouble(path: Path) -> Iterator[None]:
    """Turn the disk's own words about `path` into ours.

    Raises:
        DiskTrouble: no room, or no right to write.
    """
    try:
        yield
    except OSError as trouble:
        key = _KEYS.get(trouble.errno or 0)
        if key is None:
            raise
        raise DiskTrouble(key, path=path) from trouble


@contextmanager
def any_trouble(path: Path) -> Iterator[None]:
    """As `disk_trouble`, and whatever else the disk says becomes `disk_other`.

    Raises:
        DiskTrouble: anything.
    """
    try:
        with disk_trouble(path):
            yield
    except OSError as trouble:
        raise DiskTrouble("disk_other", path=path, detail=trouble.strerror or "") from trouble


def _fill(temp: Path, data: bytes, like: Path) -> None:
    with temp.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileNotFoundError):  # a new file has no mode to keep
        temp.chmod(stat.S_IMODE(like.stat().st_mode))


def sync_folder(folder: Path) -> None:
    """The rename itself must survive a power cut; Windows has no such call."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
