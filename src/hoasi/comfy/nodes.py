"""Node table (floor 2): which nodes a ComfyUI server has, what they take and give, and which pack brings them.

Our own table (nodes.toml) knows the nodes of our templates; a server's `/object_info` knows all of its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from hoasi.errors import NotSupported
from hoasi.record import Record

Graph = Mapping[str, Mapping[str, Any]]


class Field(Record):
    """One input of a node: type and values it takes; `choices` is None where only the server could list them."""

    type: str
    choices: tuple[Any, ...] | None = None
    min: int | float | None = None
    max: int | float | None = None


class Node(Record):
    """One class of nodes: inputs by name, types of its outputs, and the pack that brings it ("" for ComfyUI itself)."""

    required: dict[str, Field] = {}
    optional: dict[str, Field] = {}
    outputs: tuple[str, ...] = ()
    is_output: bool = False
    pack: str = ""

    def fields(self) -> dict[str, Field]:
        """All inputs, the required ones first."""
        return {**self.required, **self.optional}


class NodeTable(Record):
    """Nodes by class. `is_complete`: there are no others (a server said so), so an unknown class is an error."""

    nodes: dict[str, Node]
    is_complete: bool = False

    def has(self, class_type: str) -> bool:
        """Whether the table knows this class of nodes."""
        return class_type in self.nodes

    def is_output(self, class_type: object) -> bool:
        """Whether the table knows this class as one whose results a server keeps."""
        return isinstance(class_type, str) and self.has(class_type) and self.nodes[class_type].is_output

    def loras(self) -> tuple[str, ...]:
        """The LoRA files that a server lists; none where it lists none."""
        node = self.nodes.get("LoraLoader", Node())
        return tuple(map(str, node.fields().get("lora_name", Field(type="COMBO")).choices or ()))

    def stock(self) -> NodeTable:
        """Only what ComfyUI itself brings: what a worker without packs has."""
        return self.model_copy(update={"nodes": {name: node for name, node in self.nodes.items() if not node.pack}})


class Pack(Record):
    """A pack of nodes: where it comes from, and how the names of its classes begin."""

    url: str
    prefixes: tuple[str, ...]


@cache
def known() -> NodeTable:
    """The nodes that our templates use; not complete: a server has many more."""
    raw = _raw()
    return NodeTable(nodes={name: _node(row, raw["shared"]) for name, row in raw["nodes"].items()})


@cache
def links() -> frozenset[str]:
    """Types whose values come by a link only."""
    return frozenset(_raw()["links"])


def from_object_info(reply: Mapping[str, Any]) -> NodeTable:
    """The table of a server, from its reply to `GET /object_info`. What cannot be read of an input is not checked."""
    nodes = {name: _told(row) for name, row in reply.items() if isinstance(row, dict)}
    return NodeTable(nodes=nodes, is_complete=True)


def pack_of(class_type: str) -> str:
    """The pack that brings a class of nodes, with its address; "" for ComfyUI's own and for what we do not know."""
    node = known().nodes.get(class_type)
    for name, pack in _packs().items():
        if (node is not None and node.pack == name) or (node is None and class_type.startswith(pack.prefixes)):
            return f"{name} ({pack.url})"
    return ""


def packs_in(table: NodeTable) -> tuple[str, ...]:
    """The packs that our templates can use and that are there whole."""
    ours = {name: node.pack for name, node in known().nodes.items() if node.pack}
    lacking = {pack for name, pack in ours.items() if not table.has(name)}
    return tuple(sorted(set(ours.values()) - lacking))


def missing_packs(graph: Graph, table: NodeTable) -> dict[str, str]:
    """Classes of the graph that the table lacks -> the pack that would bring them ("" where we do not know it).

    Of a table that is not complete only classes of known packs are missing: it says nothing of others.
    """
    classes = dict.fromkeys(str(node.get("class_type", "")) for node in graph.values() if isinstance(node, Mapping))
    lacking = {name: pack_of(name) for name in classes if name and not table.has(name)}
    return {name: pack for name, pack in lacking.items() if pack or table.is_complete}


def must_have(graph: Graph, table: NodeTable) -> None:
    """The table has every class of nodes in the graph.

    Raises:
        NotSupported: `comfy_nodes_missing`; names the nodes, and the packs to install.
    """
    if lacking := missing_packs(graph, table):
        packs = dict.fromkeys(pack for pack in lacking.values() if pack)
        raise NotSupported("comfy_nodes_missing", nodes=", ".join(lacking), packs=", ".join(packs) or "?")


@cache
def _raw() -> dict[str, Any]:
    return tomllib.loads(files("hoasi.comfy").joinpath("nodes.toml").read_text(encoding="utf-8"))


@cache
def _packs() -> dict[str, Pack]:
    return {name: Pack.model_validate(row) for name, row in _raw()["packs"].items()}


def _node(row: Mapping[str, Any], shared: Mapping[str, Any]) -> Node:
    """A node of nodes.toml."""
    optional = {**row.get("optional", {}), **dict(_repeated(row.get("repeated", {})))}
    return Node(
        required={name: _field(form, shared) for name, form in row.get("required", {}).items()},
        optional={name: _field(form, shared) for name, form in optional.items()},
        outputs=row["outputs"],
        is_output=row.get("is_output", False),
        pack=row.get("pack", ""),
    )


def _repeated(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for number in range(1, row.get("times", 0) + 1):
        yield from ((name.replace("*", str(number)), form) for name, form in row["optional"].items())


def _field(form: Any, shared: Mapping[str, Any]) -> Field:
    """An input of nodes.toml: the name of a type, choices, or a range."""
    if isinstance(form, str) and form in shared:
        return _field(shared[form], {})
    if isinstance(form, str):
        return Field(type=form)
    return Field(type="COMBO", choices=tuple(form)) if isinstance(form, list) else Field(**form)


def _told(row: Mapping[str, Any]) -> Node:
    """A node of /object_info."""
    inputs, outputs = _object(row.get("input")), row.get("output")
    module = str(row.get("python_module") or "")
    return Node(
        required={name: _told_field(form) for name, form in _object(inputs.get("required")).items()},
        optional={name: _told_field(form) for name, form in _object(inputs.get("optional")).items()},
        outputs=tuple(out if isinstance(out, str) else "COMBO" for out in outputs) if isinstance(outputs, list) else (),
        is_output=bool(row.get("output_node")),
        pack=module.removeprefix("custom_nodes.") if module.startswith("custom_nodes.") else "",
    )


def _told_field(form: Any) -> Field:
    """An input of /object_info: `[type or choices, {options}]`; newer ones: `["COMBO", {"options": choices}]`."""
    kind, given = (*form, {}, {})[:2] if isinstance(form, list) and form else ("*", {})
    options = _object(given)
    if any(name.endswith("_upload") for name in options):  # the server looks for the file, not into an old list
        return Field(type="COMBO")
    if isinstance(kind, list):
        return Field(type="COMBO", choices=tuple(kind))
    choices = options.get("options") if kind == "COMBO" else None
    low, high = (_number(options.get(side)) if kind in {"INT", "FLOAT"} else None for side in ("min", "max"))
    return Field(type=str(kind), choices=tuple(choices) if isinstance(choices, list) else None, min=low, max=high)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) else None
