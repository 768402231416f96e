"""Engine room (floor 3): who is alive. A process holds a locked file; when it dies, the system lets the lock go.

No clock is involved: a laptop that slept for a night finds its own work still its own.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from filelock import FileLock, Timeout


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
        path = self._path(owner)
        if not path.exists():
            return False
        try:  # a moment's patience: somebody else may be asking just now
            with FileLock(path).acquire(timeout=0.01, poll_interval=0.002):
                return False
        except Timeout:
            return True

    def bury(self, owner: str) -> None:
        """Remove a dead process's mark, after its work was released."""
        self._path(owner).unlink(missing_ok=True)

    def living(self) -> set[str]:
        """Marks of all processes that run now."""
        return {owner for owner in self.marks() if self.is_alive(owner)}

    def marks(self) -> set[str]:
        """Marks of all processes that ran here and were not buried yet."""
        return {path.stem for path in self._folder.glob("*.lock")}

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"
