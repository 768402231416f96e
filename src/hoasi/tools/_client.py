"""Doors (floor 5): who is calling, and how long it waits for an answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from mcp.server.mcpserver import Context

from hoasi.settings import Settings


class Patience(NamedTuple):
    """How long a call may stay silent at a client, in seconds, with a margin; and when progress resets its clock."""

    name: str
    """Part of `clientInfo.name`."""
    silent_s: float
    progress_s: float


PATIENCE = (
    Patience("claude-code", 110, 110),
    Patience("codex", 240, 240),
    Patience("copilot-cli", 150, 240),
    Patience("opencode", 50, 240),
    Patience("gemini", 240, 240),
    Patience("jetbrains", 25, 25),
    Patience("intellij", 25, 25),
)
"""Measured with the real clients in November 2026; who moves to the background or gives up later, waits longer."""
ANYBODY = Patience("", 45, 45)


def name_of(ctx: Context[Any, Any]) -> str:
    """The client's own name, "" when it tells none."""
    params = ctx.session.client_params
    return "" if params is None else params.client_info.name


def patience_s(ctx: Context[Any, Any], settings: Settings, wanted: float | None) -> float:
    """Seconds to wait before a handle is given instead of the result: the call's, the setting's, the client's.

    Raises:
        WrongInput: `HOASI_WAIT_SECONDS` is not a number.
    """
    if wanted is not None:
        return wanted
    given = settings.number("HOASI_WAIT_SECONDS")
    return _by_name(ctx) if given is None else given


def reading_s(ctx: Context[Any, Any], settings: Settings, wanted: float | None) -> float:
    """Seconds in which a call has to know what it was given: who wants no result yet still waits for a handle.

    Raises:
        WrongInput: as `patience_s`.
    """
    return max(settings.number("HOASI_WAIT_SECONDS") or _by_name(ctx), wanted or 0.0)


def _by_name(ctx: Context[Any, Any]) -> float:
    name = name_of(ctx).lower()
    row = next((row for row in PATIENCE if row.name in name), ANYBODY)
    meta = ctx.request_context.meta or {}
    return row.progress_s if "progress_token" in meta else row.silent_s


def can_be_asked(ctx: Context[Any, Any]) -> bool:
    """Whether the client shows questions to its user (form elicitation)."""
    capabilities = ctx.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
