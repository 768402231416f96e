"""Extensions: tasks (SEP-2663). A call that takes long is answered with a handle; the result is fetched later.

What the protocol asks for is here; what a task *is* belongs to its keeper. Only clients that declare the extension with
the very request get a task, so a client that does not know them sees none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import HEADER_MISMATCH, INVALID_PARAMS, CallToolRequestParams, RequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

ID = "io.modelcontextprotocol/tasks"
ERAS = frozenset(MODERN_PROTOCOL_VERSIONS)

Request = ServerRequestContext[Any, Any]
Wire = Mapping[str, Any]
"""A task as the protocol writes it: taskId, status, createdAt, lastUpdatedAt, ttlMs, and what its status adds."""


class Keeper(Protocol):
    """Keeps the tasks of some tools."""

    def takes(self, tool: str) -> bool:
        """Calls of this tool may become tasks of mine."""
        ...

    def needs(self, tool: str) -> bool:
        """Calls of this tool can be answered with a task only."""
        ...

    async def call(self, params: CallToolRequestParams, ctx: Request, call_next: CallNext) -> HandlerResult:
        """Answer a call: its result, or `created` for a task that is on disk."""
        ...

    async def get(self, ctx: Request, task_id: str) -> Wire | None:
        """A task as it is now; None: not mine."""
        ...

    async def update(self, ctx: Request, task_id: str, responses: Wire) -> bool:
        """Take answers to what the task asked for; False: not mine."""
        ...

    async def cancel(self, ctx: Request, task_id: str) -> bool:
        """Note that nobody wants it any more; False: not mine."""
        ...


def created(task: Wire) -> dict[str, Any]:
    """The answer to a call that became a task; what its status adds is for `tasks/get`."""
    kept = {name: value for name, value in task.items() if name not in {"result", "error", "inputRequests"}}
    return {"resultType": "task", **kept}


class TaskParams(RequestParams):
    """Which task."""

    task_id: str


class UpdateParams(TaskParams):
    """Answers to what a task asked for."""

    input_responses: dict[str, Any] = {}


class Tasks(Extension):
    """The extension; the first keeper that takes a tool keeps its tasks."""

    identifier = ID

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self._keepers = keepers

    def methods(self) -> Sequence[MethodBinding]:
        """What a client may ask of a task; of the modern era only, as the extension is."""
        return (
            MethodBinding("tasks/get", TaskParams, self._get, ERAS),
            MethodBinding("tasks/update", UpdateParams, self._update, ERAS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, ERAS),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Request, call_next: CallNext
    ) -> HandlerResult:
        """A call of a client that knows tasks may become one.

        Raises:
            MCPError: -32021, the tool can only be called by such a client.
        """
        keeper = next((keeper for keeper in self._keepers if keeper.takes(params.name)), None)
        if keeper is None or ctx.protocol_version not in ERAS:
            return await call_next(ctx)
        if keeper.needs(params.name):
            require_client_extension(ctx, ID)
        return await (keeper.call(params, ctx, call_next) if _is_declared(ctx) else call_next(ctx))

    async def _get(self, ctx: Request, params: TaskParams) -> HandlerResult:
        return dict(await self._first(ctx, params, lambda keeper: keeper.get(ctx, params.task_id)))

    async def _update(self, ctx: Request, params: UpdateParams) -> HandlerResult:
        await self._first(ctx, params, lambda keeper: keeper.update(ctx, params.task_id, params.input_responses))
        return {}

    async def _cancel(self, ctx: Request, params: TaskParams) -> HandlerResult:
        await self._first(ctx, params, lambda keeper: keeper.cancel(ctx, params.task_id))
        return {}

    async def _first(self, ctx: Request, params: TaskParams, ask: Callable[[Keeper], Awaitable[Any]]) -> Any:
        """What the keeper of that task says.

        Raises:
            MCPError: -32021, the client did not declare tasks; -32020, another task is named in the header; -32602,
                nobody keeps it.
        """
        require_client_extension(ctx, ID)
        headers = getattr(ctx.request, "headers", None)
        if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
            raise MCPError(HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match params.taskId")
        for keeper in self._keepers:
            if found := await ask(keeper):
                return found
        raise MCPError(INVALID_PARAMS, "Task not found")


def _is_declared(ctx: Request) -> bool:
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and ID in (capabilities.extensions or {})


async def listening(ctx: Request, call_next: CallNext) -> HandlerResult:
    """Middleware: who listens for tasks must have declared them. No task is announced, they are asked for.

    Raises:
        MCPError: -32021, the client did not declare tasks.
    """
    wanted = (ctx.params or {}).get("notifications") if ctx.method == "subscriptions/listen" else None
    if isinstance(wanted, Mapping) and wanted.get("taskIds"):
        require_client_extension(ctx, ID)
    return await call_next(ctx)
