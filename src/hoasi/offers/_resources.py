"""Doors (floor 5): resources: a job's logs, one generation, its pictures, the styles. Free; only of this workspace."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.to_thread
from mcp.server.mcpserver import MCPServer

from hoasi.errors import NotFound
from hoasi.offers._refusals import Living, explained
from hoasi.offers._texts import places
from hoasi.record import Media
from hoasi.tools._life import Life
from hoasi.tools._lives import Lives
from hoasi.tools._picture import of_generation, small

PICTURE_PX = 1568
"""As much as models look at."""
FEW_DIGITS = 4
"""No generation has so many pictures that counting them takes more."""


def register(server: MCPServer[Lives], life: Living) -> None:
    """Every resource of `resources.toml`, read by the function of its name."""
    for name, read in _readers(life).items():
        place = places()[name]
        server.resource(
            place.uri, name=name, title=place.title, description=place.description, mime_type=place.mime_type
        )(read)


def _readers(life: Living) -> dict[str, Callable[..., Any]]:
    @explained
    async def job_log(job_id: str) -> str:
        return await anyio.to_thread.run_sync(_log, life(), job_id, "image")

    @explained
    async def job_video_log(job_id: str) -> str:
        return await anyio.to_thread.run_sync(_log, life(), job_id, "video")

    @explained
    async def generation(id: str) -> str:  # noqa: A002 - 2026-11-28, the name in the template
        from hoasi import replies

        studio = await life().studio()
        made, told = studio.generations([id])[0], studio.show([id]).generations[0]
        return _json(told.model_dump(mode="json", exclude_defaults=True) | replies.details(made))

    @explained
    async def picture(id: str, n: str) -> bytes:  # noqa: A002 - 2026-11-28, as above
        studio = await life().studio()
        number = int(n) if n.isdecimal() and len(n) < FEW_DIGITS else 0
        path = of_generation(studio.generations([id])[0], number)
        return (await small(studio.settings.workspace, path, PICTURE_PX, is_opaque=True))[1]

    @explained
    async def styles() -> str:
        return await anyio.to_thread.run_sync(_styles, life())

    readers = (job_log, job_video_log, generation, picture, styles)
    return {reader.__name__: reader for reader in readers}


def _log(life: Life, job_id: str, media: Media) -> str:
    """The text of a job's log."""
    from hoasi import jobs

    path = jobs.logs(life.settings.workspace, job_id).get(media)
    if path is None:
        raise NotFound("resource_no_log", job_id=job_id)
    return path.read_text(encoding="utf-8")


def _styles(life: Life) -> str:
    """Styles of the workspace's registry, and the house's."""
    from hoasi.comfy import styles
    from hoasi.sources.prompt import style_names

    known = styles.load(styles.file_of(life.settings.workspace))
    rows = [style.model_dump(mode="json", exclude_unset=True) for style in known]
    return _json({"styles": rows, "house": style_names()})


_json = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
