"""Floor 3, readers: the user's files become requests. They only read: no network, no money, nothing written.

One file a format, each with `read(path, *, workspace, scene_ids=(), ...) -> Sourced`; `prompt` builds a scene's words.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from hoasi.errors import NotFound
from hoasi.record import Record
from hoasi.records import Request

NAMED_AT_MOST = 10


class Sourced(Record):
    """What a source file asks for, in its own order, and what a person should know before paying for it."""

    requests: tuple[Request, ...]
    job_id: str | None
    """The job whose folder holds the file; None when it lies outside `<workspace>/jobs/`."""
    aspect_ratio: str | None = None
    language: str = "vi"
    title: str = ""
    warnings: tuple[str, ...] = ()
    """Sentences for people, in the language of this context."""
    folder: str = ""
    """Workspace-relative folder that this source's pictures belong to, whatever the job; "" where the job says it."""
    has_records: bool = False
    """A file of asset records lies beside its pictures."""


def job_of(path: Path, workspace: Path) -> str | None:
    """`x` for a file below `<workspace>/jobs/x/`, else None. Links are followed; a job folder may itself be one."""
    for whole in (os.path.realpath, os.path.abspath):
        file, root = Path(whole(path)), Path(whole(workspace))
        parts = file.relative_to(root).parts if file.is_relative_to(root) else ()
        if len(parts) > 2 and parts[0] == "jobs":
            return parts[1]
    return None


def refuse_unknown(asked: Sequence[str], known: Collection[str], path: Path) -> None:
    """Every scene that was asked for must be in the file.

    Raises:
        NotFound: some are not; the error names them and the nearest ids.
    """
    present = frozenset(known)
    missing = [scene for scene in asked if scene not in present]
    if missing:
        near = [match for scene in missing[:3] for match in difflib.get_close_matches(scene, present, n=3, cutoff=0.3)]
        nearest = few(list(dict.fromkeys(near)) or list(known))
        raise NotFound("scene_unknown", file=path, scene=few(missing), near=nearest)


def numbered(written: str, prefix: str) -> str:
    """A number as a caller writes it (`3`, `003`, `scene-003`) without prefix and zeros; other words as they are."""
    text = written.strip()
    digits = text.removeprefix(prefix)
    return str(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) < NAMED_AT_MOST else text


def few(names: Sequence[str]) -> str:
    """Names for a sentence: the first ten, then how many more."""
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" (+{more})" if more > 0 else "")
