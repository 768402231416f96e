"""Doors (floor 5): the only place where a result holds a picture itself."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from mcp.types import CallToolResult, ImageContent, TextContent

from hoasi import paths
from hoasi.errors import FileBroken, NotFound, ResultBroken
from hoasi.records import Generation

if TYPE_CHECKING:
    from hoasi.sheets import Sheet


def of_generation(generation: Generation, index: int) -> str:
    """Workspace path of a generation's picture, counted from 1.

    Raises:
        NotFound: it has no such picture.
    """
    made = generation.artifacts
    if not 1 <= index <= len(made):
        raise NotFound("picture_missing", id=generation.id, index=index, count=len(made), state=generation.state.value)
    return made[index - 1].path


async def shown(workspace: Path, written: str, max_px: int) -> CallToolResult:
    """A picture in the workspace, no side longer than `max_px`, after a line that says which.

    Raises:
        PathRefused, NotFound, FileBroken: as `small`.
    """
    path, data, media_type = await small(workspace, written, max_px)
    line = json.dumps({"path": str(path), "size_bytes": path.stat().st_size}, ensure_ascii=False)
    return _seen(line, data, media_type)


async def small(workspace: Path, written: str, max_px: int, *, is_opaque: bool = False) -> tuple[Path, bytes, str]:
    """Where a picture in the workspace lies, a small copy of it, and that copy's media type (`is_opaque`: JPEG).

    Raises:
        PathRefused: it lies outside. NotFound: no such file. FileBroken: not a picture we can show.
    """
    path = paths.inside(workspace, written, what="path")
    if not path.is_file():
        raise NotFound("view_no_file", path=written)
    data, media_type = await anyio.to_thread.run_sync(_small, path, max_px, is_opaque)
    return path, data, media_type


async def contact_sheet(sheet: Sheet, page: int, max_px: int | None) -> CallToolResult:
    """A page of a job's contact sheet, after a line that says what is missing on it; captions are scenes.

    Raises:
        NotFound: there is no such page.
    """
    drawn = await anyio.to_thread.run_sync(sheet.page, page, max_px)
    told = {"message": sheet.told, "page": page, "pages": sheet.pages, "missing": drawn.missing}
    return _seen(json.dumps(told, ensure_ascii=False), drawn.picture, "image/jpeg")


def _seen(line: str, data: bytes, media_type: str) -> CallToolResult:
    picture = ImageContent(type="image", data=base64.b64encode(data).decode("ascii"), mime_type=media_type)
    return CallToolResult(content=[TextContent(type="text", text=line), picture])


CLIPS = frozenset({".mp4", ".mov", ".m4v", ".webm", ".mkv"})


def _small(path: Path, max_px: int, is_opaque: bool) -> tuple[bytes, str]:  # noqa: FBT001 - 2026-11-28, for a thread
    from hoasi.media import image

    if path.suffix.lower() in CLIPS:
        return _strip(path, max_px), "image/jpeg"
    try:
        return image.small(path, max_px, is_opaque=is_opaque)
    except ResultBroken as error:  # nothing was bought here: it is the caller's file
        raise FileBroken(error.key, file=path.name, **error.facts) from error


def _strip(path: Path, max_px: int) -> bytes:
    """Some frames of a clip, with their times."""
    from hoasi.media import video

    try:
        return video.contact(path, max_px=max_px)
    except ResultBroken as error:  # as above
        raise FileBroken(error.key, **{**error.facts, "name": path.name}) from error
