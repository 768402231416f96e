"""Workbench (floor 1): files of a caller: a path in the workspace or an address becomes an `Input`."""

from __future__ import annotations

import hashlib
import re
import secrets
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread

from hoasi import paths
from hoasi.errors import FileBroken, ResultBroken
from hoasi.given import Input
from hoasi.media import image
from hoasi.record import Medium

Download = Callable[[str, Path, int], Awaitable[None]]
"""Fetches an address into a new file, at most so many bytes; refuses addresses that are not public."""

LIMITS_MB: dict[Medium, int] = {"image": 30, "video": 500, "audio": 100}
LIMIT_MPX = 100
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_WEB = {"http", "https"}


async def resolve(
    written: str, *, workspace: Path, cache: Path, download: Download, owner: str = "0", medium: Medium = "image"
) -> Input:
    """Read one picture, clip or sound; sizes in pixels as a viewer shows it, the SHA-256 over its bytes as they are.

    Args:
        written: a path in the workspace, or an http(s) address.
        workspace: its root.
        cache: folder in the workspace where pictures from addresses are kept, named by their hash.
        download: see `Download`; its errors pass through.
        owner: the process that downloads; its half-done files are swept when it is dead.

    Raises:
        PathRefused: the path leaves the workspace.
        FileBroken: `reference_scheme`, `reference_missing`, `reference_not_picture`, `reference_too_large`,
            `not_a_clip`, `sound_broken`.
    """
    scheme = _SCHEME.match(written)
    if scheme is None:
        return await to_thread.run_sync(_local, written, workspace, medium)
    if scheme[1].lower() not in _WEB:
        raise FileBroken("reference_scheme", path=_shown(written), scheme=scheme[1])
    return await _remote(written, workspace, cache, download, owner, medium)


def _shown(written: str) -> str:
    """Enough to know which one is meant; an address may carry a token in its query, and data its whole content."""
    try:
        parts = urlsplit(written)
        host = parts.hostname or ""
    except ValueError:
        return written[:40]
    return f"{parts.scheme}://{host}{parts.path}"[:200] if host else written[:40]


def _local(written: str, workspace: Path, medium: Medium) -> Input:
    path = paths.inside(workspace, written, what="reference_images" if medium == "image" else medium)
    return _read(path, written, written, workspace, medium)


async def _remote(written: str, workspace: Path, cache: Path, download: Download, owner: str, medium: Medium) -> Input:
    """Downloaded under a hidden name, and given its own when it is known to be what it should be."""
    temp = cache / f".hoasi-{owner}-{secrets.token_hex(8)}.tmp"
    await to_thread.run_sync(paths.writable, cache)
    try:
        await download(written, temp, LIMITS_MB[medium] * 1024 * 1024)
        return await to_thread.run_sync(_keep, temp, written, workspace, medium)
    finally:
        temp.unlink(missing_ok=True)


def _keep(temp: Path, written: str, workspace: Path, medium: Medium) -> Input:
    found = _read(temp, written, _shown(written), workspace, medium)
    final = temp.with_name(f"{found.sha256}.{_extension(found)}")
    temp.replace(final)
    return found.model_copy(update={"path": paths.relative(workspace, final)})


def _extension(found: Input) -> str:
    if found.medium == "image":
        return image.extension(found.media_type)
    return found.media_type.rpartition("/")[2].removeprefix("x-")


def _read(path: Path, written: str, shown: str, workspace: Path, medium: Medium) -> Input:
    """Measure and hash a file on disk."""
    try:
        facts = path.stat()
    except OSError as error:
        raise FileBroken("reference_missing", path=shown) from error
    if not stat.S_ISREG(facts.st_mode):  # a named pipe would be waited for without end
        raise FileBroken("reference_not_picture", path=shown)
    if facts.st_size > LIMITS_MB[medium] * 1024 * 1024:
        raise _too_large(shown, medium)
    seen = _SEEN[medium](path, shown)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Input(
        written=written,
        path=paths.relative(workspace, path),
        sha256=sha256,
        size_bytes=facts.st_size,
        medium=medium,
        **seen,
    )


def _picture(path: Path, shown: str) -> dict[str, Any]:
    try:
        look = image.inspect(path, max_pixels=LIMIT_MPX * 1_000_000)
    except ResultBroken as error:
        if error.key == "picture_too_large":
            raise _too_large(shown, "image") from error
        raise FileBroken("reference_not_picture", path=shown) from error
    return {"media_type": look.media_type, "width": look.width, "height": look.height}


def _clip(path: Path, shown: str) -> dict[str, Any]:
    from hoasi.media import video

    with _named(shown):
        look = video.probe(path)
    size = {"width": look.width, "height": look.height}
    return {"media_type": look.media_type, "duration_s": round(look.duration_s, 3), **size}


def _sound(path: Path, shown: str) -> dict[str, Any]:
    from hoasi.media import sound

    with _named(shown):
        heard = sound.probe(path)
    return {"media_type": heard.media_type, "duration_s": round(heard.duration_s, 3), "width": 0, "height": 0}


@contextmanager
def _named(shown: str) -> Iterator[None]:
    """Errors name the file as the caller wrote it, never a hidden one of ours."""
    try:
        yield
    except FileBroken as error:
        error.facts["name"] = error.facts["path"] = shown
        raise


_SEEN: dict[Medium, Callable[[Path, str], dict[str, Any]]] = {"image": _picture, "video": _clip, "audio": _sound}


def _too_large(shown: str, medium: Medium) -> FileBroken:
    return FileBroken("reference_too_large", path=shown, limit_mb=LIMITS_MB[medium], limit_mpx=LIMIT_MPX)
