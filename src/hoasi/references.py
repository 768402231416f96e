"""Workbench (floor 1): reference pictures, read once: a path in the workspace or an address becomes an `Input`."""

from __future__ import annotations

import hashlib
import re
import secrets
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from anyio import to_thread

from hoasi import paths
from hoasi.errors import FileBroken, ResultBroken
from hoasi.media import image
from hoasi.records import Input

Download = Callable[[str, Path, int], Awaitable[None]]
"""Fetches an address into a new file, at most so many bytes; refuses addresses that are not public."""

LIMIT_MB = 30
LIMIT_BYTES = LIMIT_MB * 1024 * 1024
LIMIT_MPX = 100
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_WEB = {"http", "https"}


async def resolve(written: str, *, workspace: Path, cache: Path, download: Download, owner: str = "0") -> Input:
    """Read one reference picture; sizes in pixels as a viewer shows it, the SHA-256 over its bytes as they are.

    Args:
        written: a path in the workspace, or an http(s) address.
        workspace: its root.
        cache: folder in the workspace where pictures from addresses are kept, named by their hash.
        download: see `Download`; its errors pass through.
        owner: the process that downloads; its half-done files are swept when it is dead.

    Raises:
        PathRefused: the path leaves the workspace.
        FileBroken: `reference_scheme`, `reference_missing`, `reference_not_picture`, `reference_too_large`.
    """
    scheme = _SCHEME.match(written)
    if scheme is None:
        return await to_thread.run_sync(_local, written, workspace)
    if scheme[1].lower() not in _WEB:
        raise FileBroken("reference_scheme", path=_shown(written), scheme=scheme[1])
    return await _remote(written, workspace, cache, download, owner)


async def resolve_all(
    written: Sequence[str], *, workspace: Path, cache: Path, download: Download, owner: str = "0"
) -> list[Input]:
    """Read reference pictures: one `Input` a name, in order; what is named twice is read once.

    Raises:
        PathRefused, FileBroken: as `resolve`, for the first that cannot be used.
    """
    places = [_place(name, workspace) for name in written]
    found: dict[str, Input] = {}
    for place, name in zip(places, written, strict=True):
        if place not in found:
            found[place] = await resolve(name, workspace=workspace, cache=cache, download=download, owner=owner)
    return [found[place].model_copy(update={"written": name}) for place, name in zip(places, written, strict=True)]


def _place(written: str, workspace: Path) -> str:
    return written if _SCHEME.match(written) else str(paths.inside(workspace, written, what="reference_images"))


def _shown(written: str) -> str:
    """Enough to know which one is meant; an address may carry a token in its query, and data its whole content."""
    try:
        parts = urlsplit(written)
        host = parts.hostname or ""
    except ValueError:
        return written[:40]
    return f"{parts.scheme}://{host}{parts.path}"[:200] if host else written[:40]


def _local(written: str, workspace: Path) -> Input:
    path = paths.inside(workspace, written, what="reference_images")
    return _read(path, written, written, workspace)


async def _remote(written: str, workspace: Path, cache: Path, download: Download, owner: str) -> Input:
    """Downloaded under a hidden name, and given its own when it is known to be a picture."""
    temp = cache / f".hoasi-{owner}-{secrets.token_hex(8)}.tmp"
    await to_thread.run_sync(paths.writable, cache)
    try:
        await download(written, temp, LIMIT_BYTES)
        return await to_thread.run_sync(_keep, temp, written, workspace)
    finally:
        temp.unlink(missing_ok=True)


def _keep(temp: Path, written: str, workspace: Path) -> Input:
    found = _read(temp, written, _shown(written), workspace)
    final = temp.with_name(f"{found.sha256}.{image.extension(found.media_type)}")
    temp.replace(final)
    return found.model_copy(update={"path": paths.relative(workspace, final)})


def _read(path: Path, written: str, shown: str, workspace: Path) -> Input:
    """Measure and hash a file on disk."""
    try:
        facts = path.stat()
    except OSError as error:
        raise FileBroken("reference_missing", path=shown) from error
    if not stat.S_ISREG(facts.st_mode):  # a named pipe would be waited for without end
        raise FileBroken("reference_not_picture", path=shown)
    if facts.st_size > LIMIT_BYTES:
        raise _too_large(shown)
    look = _look(path, shown)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Input(
        written=written,
        path=paths.relative(workspace, path),
        sha256=sha256,
        media_type=look.media_type,
        size_bytes=facts.st_size,
        width=look.width,
        height=look.height,
    )


def _look(path: Path, shown: str) -> image.Look:
    try:
        return image.inspect(path, max_pixels=LIMIT_MPX * 1_000_000)
    except ResultBroken as error:
        if error.key == "picture_too_large":
            raise _too_large(shown) from error
        raise FileBroken("reference_not_picture", path=shown) from error


def _too_large(shown: str) -> FileBroken:
    return FileBroken("reference_too_large", path=shown, limit_mb=LIMIT_MB, limit_mpx=LIMIT_MPX)
