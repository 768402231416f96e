"""Doors (floor 5): a call waits for work that goes on without it, and tells meanwhile how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from hoasi.answers import Reply
from hoasi.messages import say
from hoasi.tools._client import name_of, patience_s
from hoasi.tools._consent import settle
from hoasi.tools._life import studio_of
from hoasi.tools._options import Making
from hoasi.tools._results import answer, with_links

if TYPE_CHECKING:
    from hoasi.answers import Progress
    from hoasi.records import Generation
    from hoasi.studio import Studio

T = TypeVar("T")

LOOK_S = 0.5
HEARTBEAT_S = 5.0
STEP = 0.001
"""Progress must grow with every report; so many heartbeats never amount to one picture."""


async def make(ctx: Context[Any, Any], call: Making, permission: object) -> CallToolResult:
    """What every tool does that makes pictures: preview, or begin and wait as long as the client has patience."""
    studio = await studio_of(ctx)
    ask = call.ask(name_of(ctx))
    if call.dry_run:
        return answer(await studio.preview(ask))
    patience = patience_s(ctx, studio.settings, call.wait_seconds)
    await settle(studio, ask, permission)
    batch = await shielded(studio.begin(ask))
    return _linked(await telling(ctx, studio, batch.ids, studio.wait(batch, patience)))


async def follow(ctx: Context[Any, Any], ids: Sequence[str], wait_seconds: float | None) -> CallToolResult:
    """Wait for generations that were begun earlier; takes up what nobody works on."""
    studio = await studio_of(ctx)
    patience = patience_s(ctx, studio.settings, wait_seconds)
    return _linked(await telling(ctx, studio, ids, studio.follow(ids, patience)))


def _linked(reply: Reply) -> CallToolResult:
    return with_links(answer(reply), reply.generations)


async def shielded(decision: Coroutine[Any, Any, T]) -> T:
    """Let a decision about money come to its end, even if the caller gives up meanwhile; it must not take long."""
    with anyio.CancelScope(shield=True):
        return await decision
    raise AssertionError  # a shielded scope is never cancelled


async def telling(
    ctx: Context[Any, Any], studio: Studio, ids: Sequence[str], waiting: Coroutine[Any, Any, Reply]
) -> Reply:
    """Wait, and report progress at once, at every change, and at least every five seconds."""
    task = asyncio.create_task(waiting)
    try:
        teller = _Teller(ctx, _what(studio.generations(ids)))
        while not task.done():
            await teller.tell(studio.progress(ids))
            await asyncio.wait([task], timeout=LOOK_S)
        return task.result()
    finally:
        task.cancel()  # only the waiting ends; the work belongs to the server


def _what(generations: Sequence[Generation]) -> str:
    """So many pictures, so many clips."""
    kinds = [("planned_pictures", "image"), ("planned_clips", "video")]
    counts = [(name, sum(len(g.planned.stems) for g in generations if g.planned.media == kind)) for name, kind in kinds]
    return ", ".join(say(f"summary.{name}", count=count) for name, count in counts if count)


class _Teller:
    """One call's progress: its number always grows, its words are for people; `what` is what it makes."""

    def __init__(self, ctx: Context[Any, Any], what: str) -> None:
        self._ctx = ctx
        self._what = what
        self._since = time.monotonic()
        self._told_at = -HEARTBEAT_S
        self._last: Progress | None = None
        self._number = 0.0

    async def tell(self, progress: Progress) -> None:
        """Report, unless it would say the same again too early."""
        now = time.monotonic()
        if progress == self._last and now - self._told_at < HEARTBEAT_S:
            return
        self._last, self._told_at = progress, now
        self._number = max(self._number + STEP, progress.done + progress.failed)
        await self._ctx.report_progress(self._number, progress.total, self._words(progress, now - self._since))

    def _words(self, progress: Progress, seconds: float) -> str:
        facts = {**progress.model_dump(), "what": self._what, "seconds": round(seconds)}
        return say(f"progress.{_phase(progress)}", **facts)


def _phase(progress: Progress) -> str:
    """Where most people would say it stands: in a line, at work, or on its way home."""
    if progress.queued == progress.total:
        return "queued"
    return "fetching" if 0 < progress.fetching == progress.working and not progress.queued else "working"
