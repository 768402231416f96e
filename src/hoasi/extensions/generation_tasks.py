"""Extensions: the tasks of our tools. A task is a row of the ledger that names the generations a call began.

Everything that decides about money (refusals, the question for consent, the intents) happens in the call itself, as for
every client; only the waiting becomes a task. So a task is on disk before it is named, survives the process, and can
be given back by any server of the workspace.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult
from mcp.types import CallToolRequestParams, CallToolResult
from pydantic import ValidationError

from hoasi.errors import HoasiError, WrongInput
from hoasi.extensions.tasks import Request, Wire, created
from hoasi.records import State
from hoasi.tools import MAKES, REGISTRY
from hoasi.tools._results import linked, refusal
from hoasi.tools._waiting import begun_only, in_words, what_of

if TYPE_CHECKING:
    from hoasi.answers import Reply
    from hoasi.studio import Studio
    from hoasi.tasks import Task
    from hoasi.tools._life import Life
    from hoasi.tools._lives import Lives
    from hoasi.tools._options import Making

POLL_MS_A_SECOND, SOONEST_MS, LATEST_MS = 100, 1_000, 15_000
"""How long a client is asked to wait between two looks: a tenth of what is expected, between these."""


class GenerationTasks:
    """Keeps the tasks of every tool that makes something."""

    def takes(self, tool: str) -> bool:
        """Every tool that makes something."""
        return REGISTRY.get(tool) is MAKES

    def needs(self, tool: str) -> bool:  # noqa: ARG002 - 2026-11-28, the keeper's protocol
        """None: every client can wait, or ask again with `get_generations`."""
        return False

    async def call(self, params: CallToolRequestParams, ctx: Request, call_next: CallNext) -> HandlerResult:
        """A refusal, a question, a preview, and what is there already are answered at once; the rest is a task."""
        with begun_only() as begun:
            result = await call_next(ctx)
        if not (begun and isinstance(result, CallToolResult) and _is_open(result)):
            return result
        from hoasi import tasks

        studio = await _life(ctx).studio()
        with studio.engine.ledger.transaction() as db:
            task = tasks.keep(db, params.name, params.arguments or {}, begun[0])
        return created(_working(task, studio))

    async def get(self, ctx: Request, task_id: str) -> Wire | None:
        """As it is now; what lost its process goes on. Asked for the first time after the end, its answer is put down.

        The end is when the tool would have stopped waiting: also where we follow something no longer, and the answer
        says how to go on.
        """
        task = await self._find(ctx, task_id)
        if task is None or task.status != "working":
            return None if task is None else _ended(task)
        studio = await _life(ctx).studio()
        if studio.engine.is_at_work(task.batch.ids):
            return _working(task, studio)
        return _ended(_put_down(task, studio, _answer(task, studio, await studio.wait(task.batch, 0))))

    async def update(self, ctx: Request, task_id: str, responses: Wire) -> bool:  # noqa: ARG002 - 2026-11-28, as above
        """A task of ours asks for nothing: what is asked, is asked before money moves, in the call."""
        return await self._find(ctx, task_id) is not None

    async def cancel(self, ctx: Request, task_id: str) -> bool:
        """Take back what has not ended; what is finished all the same is kept."""
        task = await self._find(ctx, task_id)
        if task is not None and task.status == "working":
            from hoasi import tasks

            studio = await _life(ctx).studio()
            with studio.engine.ledger.transaction() as db:
                tasks.unwanted(db, task_id)
            studio.engine.stop(task.batch.ids)
        return task is not None

    async def _find(self, ctx: Request, task_id: str) -> Task | None:
        """The row; a workspace in which nothing was ever made is left untouched."""
        try:
            life = _life(ctx)
            life.speak()
            if not (life.settings.home / "ledger.db").is_file():
                return None
        except WrongInput:  # no workspace, no task
            return None
        from hoasi import tasks

        studio = await life.studio()
        with studio.engine.ledger.transaction(durable=False) as db:
            return tasks.find(db, task_id)


def _life(ctx: Request) -> Life:
    """The workspace of whoever calls: tasks of others are not there.

    Raises:
        NotFound, FileBroken: as `Lives.here`.
    """
    lives: Lives = ctx.lifespan_context
    return lives.here()


# ---------------------------------------------------------------------- answers


@cache
def _record(tool: str) -> type[Making]:
    record: type[Making] = import_module(f"hoasi.tools.{tool}").Call
    return record


def _answer(task: Task, studio: Studio, reply: Reply) -> CallToolResult:
    """What the tool would answer now."""
    try:
        return linked(_record(task.tool).model_validate(task.arguments).told(studio, reply))
    except (ImportError, ValidationError):  # another version of ours took this call: then without the tool's own words
        return linked(reply)
    except HoasiError as error:
        return refusal(error)


def _put_down(task: Task, studio: Studio, result: CallToolResult) -> Task:
    """Everything has ended: the answer is written down, and stays what it is."""
    from hoasi import tasks

    entries = (result.structured_content or {}).get("generations", ())
    is_cancelled = task.is_unwanted and any(entry["state"] == State.CANCELLED for entry in entries)
    told = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    with studio.engine.ledger.transaction() as db:
        return tasks.end(db, task.id, "cancelled" if is_cancelled else "completed", told)


def _wire(task: Task, **more: Any) -> dict[str, Any]:
    return {
        "taskId": task.id,
        "status": task.status,
        "createdAt": _iso(task.created_at),
        "lastUpdatedAt": _iso(task.updated_at),
        "ttlMs": None,
        **more,
    }


def _working(task: Task, studio: Studio) -> dict[str, Any]:
    """With its progress in words, and when to look again."""
    ids = task.batch.ids
    told = in_words(studio.progress(ids), what_of(studio.generations(ids)), time.time() - task.created_at)
    poll_ms = min(max((task.batch.expected_s or 0.0) * POLL_MS_A_SECOND, SOONEST_MS), LATEST_MS)
    return _wire(task, statusMessage=told, pollIntervalMs=int(poll_ms))


def _ended(task: Task) -> dict[str, Any]:
    """With its answer; a cancelled one has none, but what it cost and what is there all the same is said."""
    result = task.result or {}
    message = result.get("structuredContent", {}).get("message", "")
    if task.status == "cancelled":
        return _wire(task, statusMessage=message)
    return _wire(task, statusMessage=message, result=result)


def _is_open(result: CallToolResult) -> bool:
    return (result.structured_content or {}).get("poll_after_seconds") is not None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
