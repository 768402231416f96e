"""Translator for ComfyUI: which nodes and files the server has, as its `/object_info` says (0.3.64: 1-2 MB; free).

Asked before the first graph of a process and kept; asked anew where a graph does not fit, for something may have been
installed since. A server that does not say it in time is no obstacle: it judges every graph itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hoasi.comfy.loras import must_be_one
from hoasi.comfy.nodes import NodeTable, from_object_info, known
from hoasi.comfy.validate import must_be_good, sure
from hoasi.comfy.workflow import Workflow

if TYPE_CHECKING:
    from hoasi.wire import Wire

LOOK_S = 5.0
Make = Callable[[NodeTable | None], Workflow]


async def look(wire: Wire) -> NodeTable | None:
    """What the server has; None where it does not say so in `LOOK_S` seconds."""
    reply = await wire.hint(wire.url("", "object_info"), within_s=LOOK_S)
    table = from_object_info({} if reply is None else reply.fields)
    return table if table.nodes else None


class Tables:
    """What is known of the servers that this process has asked, by their addresses."""

    def __init__(self) -> None:
        self._tables: dict[str, NodeTable] = {}
        self._doubted: set[str] = set()

    def table(self, wire: Wire) -> NodeTable:
        """What the server has, else what our own templates use."""
        return self._tables.get(wire.address) or known()

    async def fitted(self, wire: Wire, make: Make) -> Workflow:
        """The workflow that `make` gives for this server; `make` gets None where nothing is known of it.

        Raises:
            NotSupported, WrongInput: the server would not take it, as far as it says; nothing was sent.
        """
        kept = self._tables.get(wire.address)
        if kept is not None and wire.address not in self._doubted:
            made = make(kept)
            if not sure(made.graph, kept):
                return made
        table = await look(wire)
        if table is None:
            return make(None)
        self._tables[wire.address] = table
        self._doubted.discard(wire.address)
        made = make(table)
        must_be_one(made.loras, table.loras())
        must_be_good(made.graph, table)
        return made

    def doubt(self, wire: Wire) -> None:
        """The server did not take what it was said to take: it is asked anew before the next graph."""
        self._doubted.add(wire.address)
