"""Doors (floor 5): a call waits for work that goes on without it, and tells meanwhile how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult

from hoasi.answers import Reply
from hoasi.messages import say
from hoasi.records import Batch
from hoasi.tools._client import name_of, patience_s
from hoasi.tools._consent import settle, was_asked
from hoasi.tools._life import studio_of
from hoasi.tools._options import Making
from hoasi.tools._reading import answered, elapsed_s, read
from hoasi.tools._results import answer, linked

if TYPE_CHECKING:
    from hoasi.answers import Progress
    from hoasi.records import Generation
    from hoasi.studio import Studio

T = TypeVar("T")

LOOK_S = 0.5
HEARTBEAT_S = 5.0
STEP = 0.001
"""Progress must grow with every report; so many heartbeats never amount to one picture."""


_begun: ContextVar[list[Batch] | None] = ContextVar("hoasi_begun", default=None)


@contextmanager
def begun_only() -> Iterator[list[Batch]]:
    """A call made within does not wait for what it begins: it leaves its batch here, and answers how far it is."""
    begun: list[Batch] = []
    token = _begun.set(begun)
    try:
        yield begun
    finally:
        _begun.reset(token)


async def make(ctx: Context[Any, Any], call: Making, permission: object) -> CallToolResult:
    """What every tool does that makes pictures: preview, or begin and wait as long as the client has patience."""
    studio = await studio_of(ctx)
    ask = call.ask(name_of(ctx))
    if was_asked(permission):
        answered()
    plan = await read(ctx, studio, call, ask)
    if call.dry_run:
        return answer(call.told(studio, await studio.preview(ask, plan)))
    begun = _begun.get()
    patience = patience_s(ctx, studio.settings, call.wait_seconds) - elapsed_s() if begun is None else 0.0
    await settle(studio, ask, plan, permission)
    batch = await shielded(studio.begin(ask, plan))
    if begun is not None:
        begun.append(batch)
    waiting = studio.wait(batch, max(0.0, patience))
    return linked(call.told(studio, await telling(ctx, studio, batch.ids, waiting)))


async def follow(ctx: Context[Any, Any], ids: Sequence[str], wait_seconds: float | None) -> CallToolResult:
    """Wait for generations that were begun earlier; takes up what nobody works on."""
    studio = await studio_of(ctx)
    patience = patience_s(ctx, studio.settings, wait_seconds)
    return linked(await telling(ctx, studio, ids, studio.follow(ids, patience)))


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
        teller = _Teller(ctx, what_of(studio.generations(ids)))
        while not task.done():
            await teller.tell(studio.progress(ids))
            await asyncio.wait([task], timeout=LOOK_S)
        return task.result()
    finally:
        task.cancel()  # only the waiting ends; the work belongs to the server


def what_of(generations: Sequence[Generation]) -> str:
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
        await self._ctx.report_progress(self._number, progress.total, in_words(progress, self._what, now - self._since))


def in_words(progress: Progress, what: str, seconds: float) -> str:
    """How far `what` is after so many seconds, for people."""
    return say(f"progress.{_phase(progress)}", **progress.model_dump(), what=what, seconds=round(seconds))


def _phase(progress: Progress) -> str:
    """Where most people would say it stands: in a line, at work, or on its way home."""
    if progress.queued == progress.total:
        return "queued"
    return "fetching" if 0 < progress.fetching == progress.working and not progress.queued else "working"
