"""Doors (floor 5): the Studio of one server. It is opened after the first answer, so that a client never waits for it.

Work lives here and not in a call: a call that is cancelled or given up only stops waiting.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from hoasi.errors import HoasiError, PathRefused
from hoasi.messages import speak
from hoasi.settings import Settings
from hoasi.settings import read as read_settings

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from hoasi.studio import Studio

log = logging.getLogger("hoasi.server")

HEAD_START_S = 2.0
"""A client that says nothing is not waited for longer than this."""
SETTLE_S = 0.05
"""The first answer leaves before the heavy parts are loaded."""


class Life:
    """What lasts as long as the server."""

    def __init__(self, workspace: Path | None, env_file: Path | None) -> None:
        self._places = workspace, env_file
        self._studio: Studio | None = None
        self._opening = anyio.Lock()
        self.answered = anyio.Event()
        """Set when the first message of a client was answered."""

    @cached_property
    def settings(self) -> Settings:
        """What this process was told.

        Raises:
            PathRefused: the workspace or the env file does not exist; asked again at the next call.
        """
        return read_settings(*self._places)

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
        studio: Studio = module.Studio(workspace, env_file=env_file)
        return studio

    async def wake(self) -> None:
        """Take up paid work that nobody is at, by itself, soon after the start; nothing where nothing was ever made."""
        with anyio.move_on_after(HEAD_START_S):
            await self.answered.wait()
        await anyio.sleep(SETTLE_S)
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
        if self._studio is not None:
            await self._studio.close()


def life_of(ctx: Context[Any, Any]) -> Life:
    """The server's life as a call sees it."""
    life: Life = ctx.request_context.lifespan_context
    return life


async def studio_of(ctx: Context[Any, Any]) -> Studio:
    """The Studio behind a call.

    Raises:
        PathRefused: the workspace does not exist.
    """
    return await life_of(ctx).studio()
