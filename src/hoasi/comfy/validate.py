"""Graph validator (floor 2, pure): the verdict that a ComfyUI server would give, before anything is sent.

Error types and details are the server's own (comfyui 0.3.64, recorded 2026-11-21). Stricter where a graph would only
fail later: a plain value where a link belongs is `bad_linked_input`, a circle is `dependency_cycle` (newer servers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hoasi.comfy.nodes import Field, Node, NodeTable, known, links, must_have
from hoasi.errors import WrongInput
from hoasi.record import Record

Graph = Mapping[str, Any]
LONG = 20
"""Lists with more choices are told by their length."""


class Trouble(Record):
    """One thing that is wrong: the server's error type and details, at which input of which node ("" for the graph)."""

    type: str
    node: str = ""
    class_type: str = ""
    input: str = ""
    details: str = ""

    def __str__(self) -> str:
        """For an error's facts: `lora1 (LoraLoader): value_not_in_list, lora_name: ...`."""
        place = f"{self.node} ({self.class_type}): " if self.node else ""
        return f"{place}{self.type}" + (f", {self.details}" if self.details else "")


class _Wrong(Exception):
    """A node cannot be looked into at all; its user reports it."""


def validate(graph: Graph, nodes: NodeTable) -> list[Trouble]:
    """Everything a server would find wrong; empty when it would take the graph.

    Of a table that is not complete, nodes it does not know are passed over, but what they hang on is looked at.
    """
    for node_id, node in graph.items():
        class_type = node.get("class_type") if isinstance(node, Mapping) else None
        if not isinstance(class_type, str) or (nodes.is_complete and not nodes.has(class_type)):
            return [Trouble(type="invalid_prompt", class_type=str(class_type or ""), details=f"Node ID '#{node_id}'")]
    outputs = [node_id for node_id, node in graph.items() if _is_output(node["class_type"], nodes)]
    if not outputs:
        return [Trouble(type="prompt_no_outputs")]
    walk = _Walk(graph, nodes)
    for node_id in outputs:
        walk.output(node_id)
    return walk.troubles


def sure(graph: Graph, nodes: NodeTable) -> list[Trouble]:
    """The troubles of which nobody has to ask the server: nodes that it lacks, and wrong values of nodes that we know.

    Nodes of other packs may take more than their lists tell (`VALIDATE_INPUTS`): there the server itself is the judge.
    """
    return [trouble for trouble in validate(graph, nodes) if not trouble.node or known().has(trouble.class_type)]


def must_be_good(graph: Graph, nodes: NodeTable) -> None:
    """A server with these nodes would take the graph, as far as that is sure.

    Raises:
        NotSupported: `comfy_nodes_missing`: the server lacks a pack.
        WrongInput: `graph_bad`; tells the first troubles.
    """
    must_have(graph, nodes)
    if troubles := sure(graph, nodes):
        told = "; ".join(str(trouble)[:160] for trouble in troubles[:3])
        raise WrongInput("graph_bad", count=len(troubles), troubles=told)


def _is_output(class_type: str, nodes: NodeTable) -> bool:
    """An unknown node of a table that is not complete may be one."""
    node = nodes.nodes.get(class_type)
    return True if node is None else node.is_output


class _Walk:
    """One walk from the outputs up; every node is looked at once."""

    def __init__(self, graph: Graph, nodes: NodeTable) -> None:
        self._graph = graph
        self._nodes = nodes
        self._seen: dict[str, bool] = {}
        self.troubles: list[Trouble] = []

    def output(self, node_id: str) -> None:
        """Look at an output node and all it hangs on."""
        try:
            self._look(node_id)
        except _Wrong as wrong:
            self._say("exception_during_validation", node_id, "", str(wrong))
        except RecursionError as deep:
            self._say("exception_during_validation", node_id, "", str(deep))

    def _look(self, node_id: str) -> None:
        if node_id in self._seen:
            if not self._seen[node_id]:
                self._say("dependency_cycle", node_id, "", "")
                self._seen[node_id] = True
            return
        self._seen[node_id] = False
        try:
            self._inputs(node_id, self._graph[node_id])
        finally:
            self._seen[node_id] = True

    def _inputs(self, node_id: str, node: Mapping[str, Any]) -> None:
        given = node.get("inputs")
        if not isinstance(given, Mapping):
            raise _Wrong("'inputs'")
        table = self._nodes.nodes.get(node["class_type"], Node())
        known = table.fields() or {name: Field(type="*") for name, value in given.items() if isinstance(value, list)}
        for name, field in known.items():
            if name in given:
                self._input(node_id, name, field, given[name])
            elif name in table.required:
                self._say("required_input_missing", node_id, name, name)

    def _input(self, node_id: str, name: str, field: Field, value: Any) -> None:
        if isinstance(value, list):
            self._link(node_id, name, field, value)
        elif field.type in links():
            self._say("bad_linked_input", node_id, name, name)
        elif (found := _wrong(name, field, value)) is not None:
            self._say(found[0], node_id, name, found[1])

    def _link(self, node_id: str, name: str, field: Field, link: list[Any]) -> None:
        if len(link) != 2:
            self._say("bad_linked_input", node_id, name, name)
            return
        given = self._given(link)
        if not _agree(given, field.type):
            told = f"{name}, received_type({given}) mismatch input_type({field.type})"
            self._say("return_type_mismatch", node_id, name, told)
            return
        try:
            self._look(link[0])
        except _Wrong as wrong:
            self._say("exception_during_inner_validation", link[0], name, str(wrong))

    def _given(self, link: list[Any]) -> str:
        """The type that comes by a link."""
        source, number = link
        if not isinstance(source, str) or source not in self._graph:
            raise _Wrong(repr(source))
        node = self._nodes.nodes.get(self._graph[source]["class_type"])
        if node is None:
            return "*"
        if not isinstance(number, int) or not -len(node.outputs) <= number < len(node.outputs):
            raise _Wrong("tuple index out of range")
        return node.outputs[number]

    def _say(self, kind: str, node_id: str, name: str, details: str) -> None:
        class_type = self._graph[node_id]["class_type"]
        self.troubles.append(Trouble(type=kind, node=node_id, class_type=class_type, input=name, details=details))


def _agree(given: str, wanted: str) -> bool:
    """Equal types, a wildcard, or unions (`INT,FLOAT`) that share one."""
    return "*" in {given, wanted} or bool(set(given.split(",")) & set(wanted.split(",")))


def _wrong(name: str, field: Field, value: Any) -> tuple[str, str] | None:
    """Error type and details of a plain value; None when it fits. Texts of numbers are numbers, as on the server."""
    try:
        value = {"INT": int, "FLOAT": float, "STRING": str}.get(field.type, lambda same: same)(value)
    except (TypeError, ValueError, OverflowError) as error:
        return "invalid_input_type", f"{name}, {value}, {error}"
    if field.min is not None and value < field.min:
        return "value_smaller_than_min", name
    if field.max is not None and value > field.max:
        return "value_bigger_than_max", name
    if field.choices is None or value in field.choices:
        return None
    listed = list(field.choices) if len(field.choices) <= LONG else f"(list of length {len(field.choices)})"
    return "value_not_in_list", f"{name}: {value!r} not in {listed}"
