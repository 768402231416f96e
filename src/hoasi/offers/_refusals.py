"""Doors (floor 5): what cannot be offered is refused as the protocol wants it, in the user's words."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, Prompt

from hoasi.errors import HoasiError, NotFound, PathRefused, WrongInput
from hoasi.messages import explain
from hoasi.offers._texts import places, prompts
from hoasi.record import Media
from hoasi.tools._life import Life

P = ParamSpec("P")
T = TypeVar("T")
Living = Callable[[], Life]
"""The server's life; there is one while it runs."""

LOGS: dict[Media, str] = {"image": "job_log", "video": "job_video_log"}
LISTED_JOBS = 20
"""Jobs whose logs are listed, the latest first; all others can be read by their id."""


def refused(error: HoasiError, **facts: str) -> MCPError:
    """One of our errors as the protocol's: what is wrong, how to mend it; as data its key, and what it was about."""
    view = explain(error.problem())
    code = INVALID_PARAMS if isinstance(error, WrongInput) else INTERNAL_ERROR
    return MCPError(code=code, message=f"{view.message} {view.fix}", data={**facts, "key": view.key})


def explained(fn: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The same function; our errors leave it as the protocol's."""

    @wraps(fn)
    async def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await fn(*args, **kwargs)
        except HoasiError as error:
            raise refused(error) from error

    return told


class Explained:
    """Around every message: chooses the language, says in it what nobody offers, and lists the latest jobs' logs."""

    def __init__(self, life: Living, prompts: Callable[[], Awaitable[Sequence[Prompt]]]) -> None:
        self._life, self._prompts = life, prompts

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle one message.

        Raises:
            MCPError: no such prompt or resource.
        """
        if not ctx.method.startswith(("prompts/", "resources/", "completion/")):
            return await call_next(ctx)
        self._life().speak()
        given = ctx.params or {}
        if ctx.method == "prompts/get" and given.get("name") not in {one.name for one in await self._prompts()}:
            raise refused(_no_prompt(str(given.get("name", ""))))
        try:
            result = await call_next(ctx)
        except MCPError as error:
            raise _in_words(error, ctx.method, str(given.get("uri", ""))) from error
        if ctx.method == "resources/list" and isinstance(result, dict):
            return {**result, "resources": [*result["resources"], *self._logs()]}
        return result

    def _logs(self) -> list[dict[str, str]]:
        """The latest jobs' logs; what cannot be listed is explained to who asks for it."""
        from hoasi import jobs

        rows: list[dict[str, str]] = []
        with suppress(PathRefused):
            workspace = self._life().settings.workspace
            for job_id in jobs.names(workspace)[:LISTED_JOBS]:
                with suppress(WrongInput):
                    rows += [_log(job_id, media) for media in jobs.logs(workspace, job_id)]
        return rows


def _log(job_id: str, media: Media) -> dict[str, str]:
    name = LOGS[media]
    place = places()[name]
    told = {"uri": place.uri.format(job_id=job_id), "name": f"{name} {job_id}", "title": f"{place.title} {job_id}"}
    return {**told, "mimeType": place.mime_type}


def _no_prompt(name: str) -> NotFound:
    near = difflib.get_close_matches(name, prompts(), n=3, cutoff=0.4) or list(prompts())
    return NotFound("prompt_unknown", name=name[:80], near=", ".join(near))


def _in_words(error: MCPError, method: str, uri: str) -> MCPError:
    """The SDK's "Unknown resource" in ours; what we said ourselves stays as it is."""
    data = error.error.data
    is_ours = isinstance(data, dict) and "key" in data
    if method != "resources/read" or error.error.code != INVALID_PARAMS or (is_ours and "uri" in data):
        return error
    if is_ours:
        return MCPError(code=error.error.code, message=error.error.message, data={"uri": uri, **data})
    known = ", ".join(place.uri for place in places().values())
    return refused(NotFound("resource_unknown", uri=uri[:200], known=known), uri=uri)
