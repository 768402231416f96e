"""Workbench (floor 1): results become files of ours, complete or not at all.

Streamed to a hidden name in the same folder, decoded once, provenance written in, hashed, synced, renamed. A watcher
that pays for every new picture never sees half of one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio.to_thread

from hoasi.errors import ResultBroken, ResultExpired
from hoasi.files import any_trouble, replace_file
from hoasi.media import cut, image
from hoasi.media.provenance import Provenance, embed
from hoasi.messages import say
from hoasi.record import Media, Record
from hoasi.results import Artifact, Output

if TYPE_CHECKING:
    from hoasi.media import video
    from hoasi.street import Street

LIMIT_BYTES = 256 * 1024 * 1024
_TEMP = re.compile(r"\.hoasi-(?P<owner>[0-9a-z]+)-[^/]*\.tmp")


class Target(Record):
    """Where one picture shall land, and what it should be. `owner` is the process that writes it."""

    workspace: Path
    folder: str
    stem: str
    owner: str
    media: Media = "image"
    asked_ratio: str | None
    asked_size: tuple[int, int] | None = None
    """Exact width and height, where the model cannot be told them: cut and scaled here."""
    is_png: bool = False
    """Another format is written anew as PNG."""
    provenance: Provenance

    @property
    def temp(self) -> Path:
        """The hidden name beside its final one."""
        return self.workspace / self.folder / temp_name(self.owner, self.stem)


def temp_name(owner: str, what: str) -> str:
    """A hidden name without media suffix; it tells whose it is, so that only a dead process's are swept."""
    return f".hoasi-{owner}-{what}.tmp"


async def fetch(street: Street, output: Output, target: Target) -> Artifact:
    """Bring one result home and make it a file.

    Raises:
        ResultBroken: what came is not a whole picture. ResultExpired: the address no longer has it.
        DiskTrouble: full or read-only. WireTrouble: it did not come at all (may be tried again).
    """
    with any_trouble(target.temp.parent):
        target.temp.parent.mkdir(parents=True, exist_ok=True)
        try:
            await _pour(street, output, target.temp)
            return await anyio.to_thread.run_sync(_settle, target, output)
        finally:
            target.temp.unlink(missing_ok=True)


async def _pour(street: Street, output: Output, temp: Path) -> None:
    with temp.open("wb") as file:
        if output.data is not None:
            file.write(output.data)
            return
        reply = await street.download(output.url or "", file.write, limit=LIMIT_BYTES)
    if reply.status in {403, 404, 410}:
        raise ResultExpired("download_gone", status=reply.status)
    if not reply.is_ok:
        raise ResultBroken("download_refused", status=reply.status)


def _settle(target: Target, output: Output) -> Artifact:
    """Verify, sign, sync, rename (in a worker thread)."""
    look = _inspect(target)
    content = target.temp.read_bytes()
    width, height = size = _other_size(look, target) or (look.width, look.height)
    media_type = "image/png" if target.is_png and isinstance(look, image.Look) else look.media_type
    if (width, height, media_type) != (look.width, look.height, look.media_type):
        content = cut.to_size(content, media_type, size)
    data = embed(content, media_type, target.provenance)
    final = target.temp.with_name(f"{target.stem}.{_extension(media_type)}")
    replace_file(final, data, temp_name(target.owner, f"{target.stem}-signed"))
    return Artifact(
        path=f"{target.folder}/{final.name}",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        media_type=media_type,
        width=width,
        height=height,
        url=_plain(output.url),
        remote_id=output.id,
        warnings=tuple(_doubts(look, target)),
        **({} if isinstance(look, image.Look) else _film(look)),
    )


def _other_size(look: image.Look | video.Look, target: Target) -> tuple[int, int] | None:
    """What a picture is still to be made into; None when it is as asked, or nothing is asked."""
    is_other = isinstance(look, image.Look) and target.asked_size not in {None, (look.width, look.height)}
    return target.asked_size if is_other else None


def _film(look: video.Look) -> dict[str, Any]:
    return {"duration_s": round(look.duration_s, 3), "fps": round(look.fps, 3), "has_audio": look.has_audio}


def _extension(media_type: str) -> str:
    from hoasi.media import video

    return image.extension(media_type) if media_type.startswith("image/") else video.extension(media_type)


def _inspect(target: Target) -> image.Look | video.Look:
    """What it is; an error names the result, not its hidden file."""
    from hoasi.media import video

    try:
        return image.inspect(target.temp) if target.media == "image" else video.inspect(target.temp)
    except ResultBroken as error:
        error.facts["name"] = target.stem
        raise


def _plain(url: str | None) -> str | None:
    """An address without its query, which may be a signature."""
    return None if url is None else urlsplit(url)._replace(query="", fragment="").geturl()


def _doubts(look: image.Look | video.Look, target: Target) -> Iterable[str]:
    """What a person should look at: an empty picture, or one that lies on its side."""
    if look.is_blank:
        yield say("warning.blank", stem=target.stem)
    if other := _other_size(look, target):
        made, asked = f"{look.width}x{look.height}", f"{other[0]}x{other[1]}"
        yield say("sized.cut", stem=target.stem, made=made, asked=asked)
    if not image.orientation_matches(look.width, look.height, target.asked_ratio):
        size = f"{look.width}x{look.height}"
        yield say("warning.orientation", stem=target.stem, size=size, ratio=target.asked_ratio)


def is_intact(workspace: Path, artifact: Artifact) -> bool:
    """The file is there, byte for byte as we left it."""
    path = workspace / artifact.path
    if not path.is_file() or path.stat().st_size != artifact.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256


def copy(artifact: Artifact, target: Target) -> Artifact:
    """The same picture at another place, free.

    Raises:
        DiskTrouble: full or read-only.
    """
    source = target.workspace / artifact.path
    is_other = target.is_png and artifact.media_type not in {"image/png", "video/mp4"}
    final = target.temp.with_name(target.stem + (".png" if is_other else source.suffix))
    facts: dict[str, Any] = {"path": f"{target.folder}/{final.name}"}
    with any_trouble(source):
        content = source.read_bytes()
        if is_other:
            png = cut.to_size(content, "image/png", (artifact.width, artifact.height))
            content = embed(png, "image/png", target.provenance)
            facts |= {"media_type": "image/png", "size_bytes": len(content)}
            facts["sha256"] = hashlib.sha256(content).hexdigest()
        replace_file(final, content, target.temp.name)
    return artifact.model_copy(update=facts)


def sweep(folders: Iterable[Path], is_alive: Callable[[str], bool]) -> None:
    """Remove what dead processes left half-done in these folders.

    Whose a file is, is asked after it was seen: a process may have come since the last one.
    """
    for folder in folders:
        for path in folder.glob(".hoasi-*.tmp"):
            match = _TEMP.fullmatch(path.name)
            if match and not is_alive(match["owner"]):
                path.unlink(missing_ok=True)
