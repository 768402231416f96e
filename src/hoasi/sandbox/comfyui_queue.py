"""Room: sandbox. The queue of a ComfyUI server: one graph runs at a time, by priority; what ended is in the history.

Everything but the files is lost when the server restarts: queue, history, cache and sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hoasi.sandbox.comfyui_files import Files
from hoasi.sandbox.comfyui_nodes import Graph, Nodes, nodes
from hoasi.sandbox.comfyui_run import Run
from hoasi.sandbox.comfyui_socket import Hub

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

MODEL = "comfyui"  # under which submissions are counted and fates are written
MOST_REMEMBERED = 10_000


@dataclass(eq=False)
class Prompt:
    """One queued graph. `node` = what is executed now; `messages`, `results` and `ended` grow into the history."""

    number: float
    id: str
    graph: Graph
    extra: Mapping[str, Any]
    outputs: tuple[str, ...]
    node: str | None = None
    is_lost: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[list[Any]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    ended: str | None = None

    @property
    def client_id(self) -> str | None:
        """Whom the messages about it go to; None = to everybody."""
        return self.extra.get("client_id")

    def row(self) -> list[Any]:
        """Return it as `/queue` and the history list it."""
        return [self.number, self.id, self.graph, dict(self.extra), list(self.outputs)]

    def entry(self) -> dict[str, Any]:
        """Return it as the history tells of it once it has ended."""
        facts = {"status_str": self.ended, "completed": self.ended == "success", "messages": self.messages}
        meta = {n: {"node_id": n, "display_node": n, "parent_node": None, "real_node_id": n} for n in self.results}
        return {"prompt": self.row(), "outputs": self.results, "status": facts, "meta": meta}


class Server:
    """One ComfyUI server."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.hub = Hub()
        self.files = Files()
        self.pending: list[Prompt] = []
        self.running: Prompt | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.cache: dict[str, Any] = {}  # what each node made in the latest run, by all that it hangs on
        self.number = 0  # of the next graph
        self._is_working = False

    def nodes(self) -> Nodes:
        """Return what is installed."""
        settings = self.sandbox.settings
        return nodes(lacks=settings.comfyui_lacks, loras=settings.comfyui_loras)

    def status(self) -> dict[str, Any]:
        """Return how many wait or run, as the socket tells of it."""
        return {"exec_info": {"queue_remaining": len(self.pending) + (self.running is not None)}}

    def accept(
        self, graph: Graph, outputs: tuple[str, ...], prompt_id: str, extra: Mapping[str, Any], number: float | None
    ) -> Prompt:
        """Queue a graph; the same id again is queued again. The lowest `number` runs first; None = as it came."""
        prompt = Prompt(self.number if number is None else number, prompt_id, graph, extra, outputs)
        self.number += 1
        self.sandbox.counters.accepted(MODEL, graph)
        self.pending.append(prompt)
        self.pending.sort(key=lambda waiting: waiting.number)
        self.tell_status()
        if not self._is_working:
            self._is_working = True
            self.sandbox.run_errand(self._work())
        return prompt

    def delete(self, prompt_ids: Iterable[str] | None) -> None:
        """Take waiting graphs back (None = all); what runs goes on."""
        gone = None if prompt_ids is None else set(prompt_ids)
        self.pending = [] if gone is None else [waiting for waiting in self.pending if waiting.id not in gone]
        self.tell_status()

    def interrupt(self, prompt_id: str | None) -> None:
        """Stop what runs, or only if it is this one."""
        if self.running is not None and prompt_id in (None, self.running.id):
            self.running.stop.set()

    def restart(self) -> None:
        """Go down and come back: queue, history and cache are empty, sockets end, files stay."""
        if self.running is not None:
            self.running.is_lost = True
            self.running.stop.set()
        self.pending, self.running, self.number = [], None, 0
        self.history.clear()
        self.cache.clear()
        self.hub.hang_up()

    def clear(self) -> None:
        """Forget everything, the files too."""
        self.restart()
        self.files.clear()

    def tell_status(self) -> None:
        """Tell everybody how many wait or run."""
        self.hub.tell("status", {"status": self.status()})

    async def _work(self) -> None:
        try:
            while self.pending:
                self.running = prompt = self.pending.pop(0)
                await Run(self, prompt).go()
                if not prompt.is_lost:
                    self._remember(prompt)
        finally:
            self._is_working, self.running = False, None

    def _remember(self, prompt: Prompt) -> None:
        self.running, prompt.node = None, None
        self.history[prompt.id] = prompt.entry()
        if len(self.history) > MOST_REMEMBERED:
            del self.history[next(iter(self.history))]
        self.tell_status()
        self.hub.tell("executing", {"node": None, "prompt_id": prompt.id}, prompt.client_id)
