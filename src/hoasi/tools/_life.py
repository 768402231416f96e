"""Doors (floor 5): the Studios of one server. They are opened after the first answer, so that a client never waits.

Work lives here and not in a call: a call that is cancelled or given up only stops waiting.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from hoasi.errors import HoasiError, PathRefused
from hoasi.messages import speak
from hoasi.settings import MONTH_LIMIT, Settings
from hoasi.settings import read as read_settings

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from hoasi.studio import Studio
    from hoasi.tools._lives import Lives
    from hoasi.tools._reading import Readings

log = logging.getLogger("hoasi.server")


class Life:
    """One workspace of a server, as long as the server lasts. `month_usd`: its budget, if it has one of its own."""

    def __init__(self, workspace: Path | None, env_file: Path | None, month_usd: float | None = None) -> None:
        self._places = workspace, env_file
        self._month_usd = month_usd
        self._studio: Studio | None = None
        self._opening = anyio.Lock()
        self.readings: Readings = {}
        """What calls that were answered meanwhile are still reading."""

    @cached_property
    def settings(self) -> Settings:
        """What this process was told about it.

        Raises:
            PathRefused: the workspace or the env file does not exist; asked again at the next call.
        """
        found = read_settings(*self._places)
        if self._month_usd is None:
            return found
        return replace(found, environ={**found.environ, MONTH_LIMIT: f"{self._month_usd:f}"})

    def speak(self) -> None:
        """Sentences of this context are in the user's language from now on."""
        with suppress(PathRefused):  # said by the call that needs the workspace
            speak(self.settings.language)

    async def studio(self) -> Studio:
        """The open Studio.

        Raises:
            PathRefused: the workspace or the env file does not exist; asked again at the next call.
        """
        async with self._opening:
            if self._studio is None:
                self._studio = await self._open()
        return self._studio

    async def _open(self) -> Studio:
        await anyio.to_thread.run_sync(import_module, "hoasi.engine")
        module = await anyio.to_thread.run_sync(import_module, "hoasi.studio")
        workspace, env_file = self._places
        studio: Studio = module.Studio(workspace, env_file=env_file, environ=self.settings.environ)
        return studio

    async def wake(self) -> None:
        """Take up paid work that nobody is at; nothing where nothing was ever made."""
        try:
            if (self.settings.home / "ledger.db").is_file():
                taken = (await self.studio()).start()
                log.info("took up %d generations", len(taken))
        except HoasiError as error:
            log.warning("not ready yet: %s", error)
        except Exception:
            log.exception("the engine did not start; the next call tries again")

    async def close(self) -> None:
        """Stop waiting for everything; states and receipts are on disk."""
        for reading in self.readings.values():
            reading.plan.cancel()
        if self._studio is not None:
            await self._studio.close()


def life_of(ctx: Context[Any, Any]) -> Life:
    """The server's life as a call sees it.

    Raises:
        NotFound, FileBroken: as `Lives.here`.
    """
    lives: Lives = ctx.request_context.lifespan_context
    return lives.here()


async def studio_of(ctx: Context[Any, Any]) -> Studio:
    """The Studio behind a call.

    Raises:
        PathRefused: the workspace does not exist. NotFound, FileBroken: as `life_of`.
    """
    return await life_of(ctx).studio()
