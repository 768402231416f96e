"""Doors (floor 5): whom a server works for: one workspace, or, when it asks for tokens, those that they stand for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from hoasi.errors import HoasiError, NotFound, PathRefused
from hoasi.settings import read as read_settings
from hoasi.tools._life import Life

if TYPE_CHECKING:
    from hoasi.studio import Studio
    from hoasi.tokens import Tenant, Tokens

log = logging.getLogger("hoasi.server")

HEAD_START_S = 2.0
"""A client that says nothing is not waited for longer than this."""
SETTLE_S = 0.05
"""The first answer leaves before the heavy parts are loaded."""


class Lives:
    """What lasts as long as the server: one life, or those of its tokens.

    Args:
        workspace, env_file: as `Life`; with tokens the file's keys are everybody's.
        tokens: who may call; None: whoever reaches us.
        caller: the name of the token that the running call came with; None: it came with none.
    """

    def __init__(
        self,
        workspace: Path | None,
        env_file: Path | None,
        tokens: Tokens | None = None,
        caller: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._places = workspace, env_file
        self._tokens, self._caller = tokens, caller
        self._lives: dict[Path | None, Life] = {}
        self.answered = anyio.Event()
        """Set when the first message of a client was answered."""

    def here(self) -> Life:
        """The life that the running call belongs to.

        Raises:
            NotFound: its token was taken back while it waited. FileBroken: the tokens cannot be read.
        """
        if self._tokens is None:
            return self._life(self._places[0])
        name = self._caller()
        tenant = None if name is None else self._tokens.named(name)
        if tenant is None:
            raise NotFound("token_unknown", name=name or "-", known="-")
        return self._at(tenant)

    def every(self) -> list[Life]:
        """Every life that this server answers for."""
        if self._tokens is None:
            return [self.here()]
        return [*dict.fromkeys(map(self._at, self._tokens.tenants()))]

    async def studios(self) -> list[Studio]:
        """The open Studios of every life in which something was ever made; one that is gone stops no other."""
        opened: list[Studio] = []
        for life in self.every():
            try:
                if (life.settings.home / "ledger.db").is_file():
                    opened.append(await life.studio())
            except HoasiError as error:
                log.warning("a workspace is left out: %s", error)
        return opened

    def secrets(self) -> set[str]:
        """Every key that this server works with: no line of its log shows one."""
        found: set[str] = set()
        for workspace in [self._places[0], *self._lives]:
            with suppress(PathRefused):  # then no key was read either
                found.update(read_settings(workspace, self._places[1]).secrets())
        return found

    def _at(self, tenant: Tenant) -> Life:
        return self._life(tenant.workspace, tenant.month_usd)

    def _life(self, workspace: Path | None, month_usd: float | None = None) -> Life:
        if workspace not in self._lives:
            self._lives[workspace] = Life(workspace, self._places[1], month_usd)
        return self._lives[workspace]

    async def wake(self) -> None:
        """Take up paid work by itself, soon after the start."""
        with anyio.move_on_after(HEAD_START_S):
            await self.answered.wait()
        await anyio.sleep(SETTLE_S)
        try:
            for life in self.every():
                await life.wake()
        except HoasiError as error:  # of the tokens: mended, they let in again
            log.error("nobody's work is taken up: %s", error)

    async def close(self) -> None:
        """Stop waiting for everything; states and receipts are on disk."""
        for life in self._lives.values():
            await life.close()
