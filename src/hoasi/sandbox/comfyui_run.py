"""Room: sandbox. One run of a graph on a ComfyUI server: node after node, told as it happens, well or badly ended.

The time that a run takes is spent in the sampler, step by step. Then its fate is drawn: `completed_error` (the node
fails; value = `type: message`), `interrupted` (somebody else stops it), `vanished` (the server restarts; with value
`saved` only after the pictures were saved). What a node made before, from the same inputs, comes from the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from hoasi.sandbox.comfyui_files import OutsideError
from hoasi.sandbox.comfyui_nodes import is_link
from hoasi.sandbox.comfyui_pictures import SAMPLERS, in_order, inputs_of, recipes, steps, wanted

if TYPE_CHECKING:
    from hoasi.sandbox.comfyui_pictures import Size
    from hoasi.sandbox.comfyui_queue import Prompt, Server

MOST_TOLD = 20  # steps that are told of one by one
_OUT_OF_MEMORY = ("torch.OutOfMemoryError", "Allocation on device: out of memory")
_OUTSIDE = ("Exception", "The file would be saved outside of the output folder")


class NodeFailed(Exception):
    """A node raised something; `args` = its type and its message."""


class Interrupted(Exception):
    """Somebody stopped the run."""


class Run:
    """See above; `go` ends by itself and never raises but when it is cancelled."""

    def __init__(self, server: Server, prompt: Prompt) -> None:
        self._server = server
        self._prompt = prompt
        self._order = in_order(prompt.graph, prompt.outputs)
        self._keys = self._cache_keys()
        self._executed: list[str] = []
        self._fate: str | None = None

    async def go(self) -> None:
        """Run to the end."""
        self._note("execution_start")
        cached = [name for name in self._order if self._keys[name] in self._server.cache]
        self._server.cache = {k: v for k, v in self._server.cache.items() if k in self._keys.values()}
        self._note("execution_cached", nodes=cached)
        try:
            await self._execute([name for name in self._order if name not in cached])
        except Interrupted:
            self._end("error", "execution_interrupted", executed=self._executed, **self._place())
        except NodeFailed as failed:
            told = dict(zip(("exception_type", "exception_message"), failed.args, strict=True))
            more: dict[str, Any] = {"traceback": [], "current_inputs": {}, "current_outputs": []}
            self._end("error", "execution_error", executed=self._executed, **self._place(), **told, **more)
        else:
            self._end("success", "execution_success")

    async def _execute(self, todo: list[str]) -> None:
        graph = self._prompt.graph
        samplers = [name for name in todo if graph[name]["class_type"] in SAMPLERS]
        for name in self._order:
            if name in todo:
                self._enter(name)
                if name == (samplers or todo)[0]:
                    await self._sample(name)
                self._server.cache[self._keys[name]] = self._make(name)
                self._executed.append(name)
            if name in self._prompt.outputs:
                self._prompt.results[name] = made = self._server.cache[self._keys[name]]
                self._tell("executed", node=name, display_node=name, output=made)
        if self._fate == "vanished":
            self._server.restart()

    def _enter(self, name: str) -> None:
        self._prompt.node = name
        self._tell("executing", node=name, display_node=name)
        self._tell_state(name, 0, 1)

    async def _sample(self, name: str) -> None:
        """Take the time that work takes, then meet the fate."""
        asked = max(1, steps(self._prompt.graph, self._prompt.outputs))
        told = min(asked, MOST_TOLD)
        for number in range(1, told + 1):
            await self._wait(self._server.sandbox.settings.latency_s / told)
            value = asked * number // told
            self._tell("progress", value=value, max=asked, node=name)
            self._tell_state(name, value, asked)
        if any(wanted(self._prompt.graph, output, self._measure).is_too_much for output in self._prompt.outputs):
            raise NodeFailed(*_OUT_OF_MEMORY)
        self._meet_fate()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._prompt.stop.wait(), seconds)
        except TimeoutError:
            return
        raise Interrupted

    def _meet_fate(self) -> None:
        fate = self._server.sandbox.faults.fate("comfyui")
        self._fate = None if fate is None else fate.kind
        if fate is None:
            return
        if fate.kind == "completed_error":
            kind, _, message = str(fate.value or "RuntimeError: The node failed").partition(": ")
            raise NodeFailed(kind, message)
        if fate.kind == "vanished" and fate.value != "saved":
            self._server.restart()
        if fate.kind in {"interrupted", "vanished"} and fate.value != "saved":
            raise Interrupted

    def _make(self, name: str) -> dict[str, Any]:
        """Return what an output node tells of what it made; other nodes make nothing that is told."""
        if name not in self._prompt.outputs:
            return {}
        graph, easel = self._prompt.graph, self._server.sandbox.easel
        drawn = [easel.plan(recipe) for recipe in recipes(graph, name, self._measure, self._fate)]
        is_preview = graph[name]["class_type"] == "PreviewImage"
        prefix = f"ComfyUI_temp_{name}" if is_preview else inputs_of(graph, name)["filename_prefix"]
        try:
            return {"images": self._server.files.save("temp" if is_preview else "output", prefix, drawn)}
        except OutsideError:
            raise NodeFailed(*_OUTSIDE) from None

    def _measure(self, name: str) -> Size | None:
        file = self._server.files.named(name)
        return file.size if file else None

    def _cache_keys(self) -> dict[str, str]:
        """Return for each node a key that changes with its inputs, with its files, and with all that it hangs on."""
        keys: dict[str, str] = {}
        for name in self._order:
            entry = self._prompt.graph[name]
            inputs = inputs_of(self._prompt.graph, name)
            told = {n: [keys.get(v[0]), v[1]] if is_link(v) else v for n, v in sorted(inputs.items())}
            file = self._server.files.named(str(inputs.get("image")))
            text = json.dumps([entry["class_type"], told, file and [str(file.recipe), file.content.hex()]])
            keys[name] = hashlib.sha256(text.encode()).hexdigest()
        return keys

    def _place(self) -> dict[str, Any]:
        node = self._prompt.node
        return {"node_id": node, "node_type": self._prompt.graph[node]["class_type"] if node else None}

    def _end(self, how: str, event: str, **facts: Any) -> None:
        self._prompt.ended = how
        self._note(event, **facts)

    def _note(self, event: str, **facts: Any) -> None:
        """Tell it and keep it for the history."""
        facts = {**facts, "prompt_id": self._prompt.id, "timestamp": int(time.time() * 1000)}
        self._prompt.messages.append([event, facts])
        if not self._prompt.is_lost:
            self._server.hub.tell(event, facts, self._prompt.client_id)

    def _tell(self, event: str, **facts: Any) -> None:
        self._server.hub.tell(event, {**facts, "prompt_id": self._prompt.id}, self._prompt.client_id)

    def _tell_state(self, name: str, value: int, most: int) -> None:
        state = {"value": value, "max": most, "state": "running", "node_id": name, "display_node_id": name}
        self._tell("progress_state", nodes={name: {**state, "prompt_id": self._prompt.id}})
