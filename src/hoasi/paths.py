"""Workbench (floor 1): which paths are ours. Everything we read or write for a caller lies inside the workspace."""

from __future__ import annotations

import difflib
import re
import tempfile
import unicodedata
from pathlib import Path

from hoasi.errors import NotFound, PathRefused

_JOB_ID = re.compile(r"[a-z0-9_-]{1,255}")
_SOME = 5
_D_STROKE = str.maketrans("\u0111\u0110", "dD")
"""The one Vietnamese letter that Unicode does not take apart."""


def inside(workspace: Path, written: str | Path, *, what: str) -> Path:
    """The real path of `written` (absolute, or relative to the workspace), links followed; it need not exist.

    Args:
        workspace: the root; may itself be a link.
        written: as the caller wrote it; `~` is not expanded.
        what: the field it stands in, for the error text.

    Raises:
        PathRefused: `path_outside`, `path_empty`, `path_tilde`, or `path_unusable` (NUL, not text, too long, a loop of
            links).
    """
    text = str(written)
    if not text.strip() or (text == "." and isinstance(written, Path) and not written.parts):
        raise PathRefused("path_empty", what=what)
    root = workspace.resolve()
    try:
        real = (root / text).resolve()
        real.exists()  # says what resolving passes over: a name that is too long, a folder we may not enter
    except (ValueError, OSError, RuntimeError) as error:
        raise PathRefused("path_unusable", path=repr(text)[:200], what=what) from error
    if text.startswith("~"):
        raise PathRefused("path_tilde", path=text, what=what)
    if not real.is_relative_to(root):
        raise PathRefused("path_outside", path=text, what=what)
    return real


def relative(workspace: Path, path: Path) -> str:
    """A path inside the workspace as logs write it: relative to its root, with `/`.

    Raises:
        PathRefused: it lies outside.
    """
    return inside(workspace, path, what="path").relative_to(workspace.resolve()).as_posix()


def is_job_id(name: str) -> bool:
    """Whether a job may be called so."""
    return _JOB_ID.fullmatch(name) is not None


def job_dir(workspace: Path, job_id: str) -> Path:
    """The real path of the folder of a job, `jobs/<job_id>`.

    Raises:
        PathRefused: `job_id_bad` (it must be `[a-z0-9_-]+`), or the folder is a link out of the workspace.
        NotFound: `job_missing`; the error names the nearest ids, else the last ones.
    """
    if not is_job_id(job_id):
        raise PathRefused("job_id_bad", job_id=repr(job_id)[1:-1][:80], suggestion=_suggestion(job_id))
    folder = workspace / "jobs" / job_id
    if not folder.is_dir():
        raise NotFound("job_missing", job_id=job_id, near=", ".join(_nearest(workspace / "jobs", job_id)) or "-")
    return inside(workspace, folder, what="job_id")


def _suggestion(job_id: str) -> str:
    """The nearest id that would do: no accents, lower case, dashes."""
    plain = unicodedata.normalize("NFKD", job_id.translate(_D_STROKE)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:100] or "job-1"


def _nearest(jobs: Path, job_id: str) -> list[str]:
    known = sorted(folder.name for folder in jobs.iterdir() if folder.is_dir()) if jobs.is_dir() else []
    return difflib.get_close_matches(job_id, known, n=3, cutoff=0.4) or known[-_SOME:]


def writable(folder: Path) -> None:
    """Make the folder with its parents and prove, before money moves, that a file can be made and removed in it.

    Raises:
        PathRefused: `folder_read_only`; the disk's own words are its detail.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".hoasi-probe-"):
            pass
    except OSError as error:
        raise PathRefused("folder_read_only", path=folder, detail=error.strerror or "") from error


def is_watched(workspace: Path, path: Path, job_id: str) -> bool:
    """Whether the watcher of the job will see a file at `path`: it looks below `jobs/<job_id>/input/raw_assets`."""
    watched = workspace / "jobs" / job_id / "input" / "raw_assets"
    return (workspace / path).resolve().is_relative_to(watched.resolve())
