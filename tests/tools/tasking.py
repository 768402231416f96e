"""A client that knows tasks: it takes the handle, asks until the task has ended, and gives what the task brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import anyio
from mcp.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.types import CallToolResult, Request, RequestParams, Result

from hoasi.extensions.tasks import ID

ENDED = {"completed", "cancelled", "failed"}


class Task(Result):
    """The handle, and what `tasks/get` tells."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    ttl_ms: int | None
    created_at: str
    last_updated_at: str
    poll_interval_ms: int | None = None
    status_message: str = ""


class Seen(Task):
    """A task as `tasks/get` tells it."""

    result_type: Literal["complete"] = "complete"  # type: ignore[assignment]
    result: dict[str, Any] | None = None


class Which(RequestParams):
    """Which task."""

    task_id: str
    input_responses: dict[str, Any] | None = None


class OfTask(Request[Which, str]):
    """A question about a task."""

    name_param = "taskId"


async def ask(session: ClientSession, method: str, task_id: str, **more: Any) -> Any:
    """`tasks/get`, `tasks/update` or `tasks/cancel`."""
    kind = Seen if method == "tasks/get" else Result
    return await session.send_request(OfTask(method=method, params=Which(task_id=task_id, **more)), kind)


async def ended(session: ClientSession, task_id: str) -> Seen:
    """Ask until it has ended; the time limit of the test ends a vain wait."""
    while True:
        seen: Seen = await ask(session, "tasks/get", task_id)
        if seen.status in ENDED:
            return seen
        await anyio.sleep(0.02)


class Patient(ClientExtension):
    """Declares tasks, and waits for them."""

    identifier = ID

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return (ResultClaim(result_type="task", model=Task, resolve=self._wait),)

    async def _wait(self, task: Task, ctx: ClaimContext) -> CallToolResult:
        self.tasks.append(task)
        return CallToolResult.model_validate((await ended(ctx.session, task.task_id)).result)


async def begun(client: Client, tool: str, arguments: dict[str, Any]) -> Task:
    """The handle of a call, taken as it is."""
    task = await client.session.call_tool(tool, arguments, allow_claimed=True, allow_input_required=True)
    assert isinstance(task, Task), task
    return task
