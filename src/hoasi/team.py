"""Doors (floor 5): who may call over HTTP. Every request to `/mcp` carries `Authorization: Bearer <token>`.

A token stands for a workspace and a budget (`hoasi.tokens`). Checking headers, answering 401 and tying a session to the
token that opened it is the SDK's own work.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

from hoasi.errors import HoasiError, WrongInput
from hoasi.settings import LOOPBACK
from hoasi.tokens import Tokens

log = logging.getLogger("hoasi.server")

NOBODY = AnyHttpUrl("https://localhost")
"""The SDK wants the name of an OAuth server; ours has none, so it is told to nobody."""


@dataclass(frozen=True)
class Team:
    """The people of one HTTP server: their tokens, and the names (`host` or `host:port`) by which they call it."""

    tokens: Tokens
    hosts: Sequence[str] = ()
    origins: Sequence[str] = field(default=())

    def gate(self) -> dict[str, Any]:
        """What the SDK's server is to be told so that it asks for tokens."""
        auth = AuthSettings(issuer_url=NOBODY, resource_server_url=None)
        return {"auth": auth, "token_verifier": _Verifier(self.tokens)}

    @staticmethod
    def caller() -> str | None:
        """The name of the token that the running call came with."""
        found = get_access_token()
        return None if found is None else found.client_id

    def security(self, host: str) -> TransportSecuritySettings:
        """Names and web pages that may be meant by a request; a browser elsewhere is refused whatever it knows.

        Raises:
            WrongInput: `serve_hosts_missing`: the host is open to others and no name is given.
        """
        if host not in LOOPBACK and not self.hosts:
            raise WrongInput("serve_hosts_missing", host=host)
        names = [*map(_bracketed, LOOPBACK), *self.hosts]
        ports = [name if _has_port(name) else f"{name}:*" for name in names]
        pages = [f"http://{_bracketed(name)}:*" for name in LOOPBACK]
        return TransportSecuritySettings(
            allowed_hosts=[*dict.fromkeys([*self.hosts, *ports])], allowed_origins=[*pages, *self.origins]
        )


class _Verifier:
    """Says whom a token stands for. A file that cannot be read lets nobody in."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def verify_token(self, token: str) -> AccessToken | None:
        """The SDK's question; the token itself goes no further than this."""
        try:
            tenant = self._tokens.of(token)
        except HoasiError as error:
            log.error("nobody can be let in: %s", error)
            return None
        return None if tenant is None else AccessToken(token="-", client_id=tenant.name, scopes=[])  # noqa: S106


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit()
