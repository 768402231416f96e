"""Engine room (floor 3): who is alive. A process holds a locked file; when it dies, the system lets the lock go.

No clock is involved: a laptop that slept for a night finds its own work still its own.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, lock_descriptor

ASKING_S = 0.01
"""For so long somebody else may be asking after the same mark, who holds its lock meanwhile."""


class Presence:
    """This process's mark in the workspace, held from `enter` until `leave` or death."""

    def __init__(self, folder: Path) -> None:
        self.owner = secrets.token_hex(6)
        self._folder = folder
        self._lock: FileLock | None = None

    def enter(self) -> None:
        """Appear. The file is locked under a hidden name first, so that nobody ever sees it unlocked."""
        self._folder.mkdir(parents=True, exist_ok=True)
        hidden = self._folder / f".{self.owner}.new"
        self._lock = FileLock(hidden)
        self._lock.acquire()
        hidden.rename(self._path(self.owner))

    def leave(self) -> None:
        """Disappear; what we owned must have been released before."""
        if self._lock is not None:
            self._path(self.owner).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def is_alive(self, owner: str) -> bool:
        """Whether the process of that mark still runs."""
        if owner == self.owner:
            return self._lock is not None
        try:  # not a `FileLock`, which would make a mark anew that went away just now
            mark = os.open(self._path(owner), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _is_free(mark)
        finally:
            os.close(mark)

    def bury(self, owner: str) -> None:
        """Remove a dead process's mark, after its work was released."""
        self._path(owner).unlink(missing_ok=True)

    def bury_unborn(self) -> None:
        """Remove what was left by who died while it appeared."""
        for hidden in self._folder.glob(".*.new"):
            with suppress(FileNotFoundError):  # its process appeared just now, or somebody else buried it
                mark = os.open(hidden, os.O_RDWR)
                try:  # whoever is about to lock it sees that it is gone, and makes it anew
                    if lock_descriptor(mark, blocking=False):
                        hidden.unlink()
                finally:
                    os.close(mark)

    def marks(self) -> set[str]:
        """Marks of all processes that ran here and were not buried yet."""
        return {path.stem for path in self._folder.glob("*.lock")}

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"


def _is_free(mark: int) -> bool:
    """Whether nobody holds the lock of this open file."""
    deadline = time.monotonic() + ASKING_S
    while not (is_ours := lock_descriptor(mark, blocking=False)) and time.monotonic() < deadline:
        time.sleep(0.002)
    return is_ours
