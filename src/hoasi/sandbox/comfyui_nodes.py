"""Room: sandbox. Which nodes a ComfyUI server has, what each takes and gives, and which model files lie on it.

`comfyui_nodes.json` holds the nodes that FLUX graphs use, with the input configs that `/object_info` tells (ComfyUI
0.3.64, Easy-Use 1.3.7, TeaCache 1.9.0 read 2026-11-21, controlnet_aux 2026-11-28; tooltips left out). There `@name`
stands for a list of `lists` and `#` in a name for the slots 1 to 10. Every other node class is unknown here, as it
would be on a stock server.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

Graph = Mapping[str, Any]
Config = tuple[Any, Mapping[str, Any]]
"""An input as `/object_info` tells of it: its type or its list of choices, and its options."""

SLOTS = range(1, 11)
FOLDERS = ("checkpoints", "controlnet", "diffusion_models", "loras", "text_encoders", "vae")


@dataclass(frozen=True)
class Node:
    """One node class."""

    name: str
    required: Mapping[str, Config]
    optional: Mapping[str, Config]
    outputs: tuple[str, ...]
    is_output: bool
    module: str

    def inputs(self) -> Iterable[tuple[str, Config]]:
        """Every input, the required ones first: the order in which the server checks them."""
        return [*self.required.items(), *self.optional.items()]

    def info(self) -> dict[str, Any]:
        """Return the entry of `/object_info`."""
        parts = {"required": self.required, "optional": self.optional}
        given = {part: {n: list(c) for n, c in inputs.items()} for part, inputs in parts.items() if inputs}
        return {
            "input": given,
            "input_order": {part: list(inputs) for part, inputs in given.items()},
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.outputs),
            "name": self.name,
            "display_name": self.name,
            "description": "",
            "python_module": self.module,
            "category": "sandbox",
            "output_node": self.is_output,
        }


@dataclass(frozen=True)
class Nodes:
    """What one server has: its node classes and its model files by folder."""

    classes: Mapping[str, Node]
    lists: Mapping[str, tuple[str, ...]]

    def get(self, class_type: object) -> Node | None:
        """Find a node class."""
        return self.classes.get(class_type) if isinstance(class_type, str) else None

    def models(self, folder: str) -> tuple[str, ...] | None:
        """List a folder of model files; None if there is no such folder."""
        return self.lists[folder] if folder in FOLDERS else None


def is_link(value: object) -> bool:
    """Say whether an input value refers to another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)


@lru_cache(maxsize=16)
def nodes(*, lacks: tuple[str, ...] = (), loras: tuple[str, ...] = ()) -> Nodes:
    """Return the nodes of a server that lacks some classes and has some more LoRA files."""
    table = _table()
    lists = {name: tuple(values) for name, values in table["lists"].items()} | {"input": ()}
    lists["loras"] = tuple(sorted({*lists["loras"], *loras}))
    lists["loras_or_none"] = ("None", *lists["loras"])
    classes = {name: _node(name, facts, lists) for name, facts in table["nodes"].items() if name not in lacks}
    return Nodes(classes, lists)


@cache
def _table() -> dict[str, Any]:
    text = (files(__package__) / "comfyui_nodes.json").read_text(encoding="ascii")
    table: dict[str, Any] = json.loads(text)
    return table


def _node(name: str, facts: Mapping[str, Any], lists: Mapping[str, tuple[str, ...]]) -> Node:
    required, optional = (_configs(facts.get(part, {}), lists) for part in ("required", "optional"))
    outputs, is_output = tuple(facts["output"]), bool(facts.get("output_node"))
    return Node(name, required, optional, outputs, is_output, facts.get("module", "nodes"))


def _configs(inputs: Mapping[str, list[Any]], lists: Mapping[str, tuple[str, ...]]) -> dict[str, Config]:
    spread = [(name, config) for name, config in inputs.items() if "#" not in name]
    spread += [
        (name.replace("#", str(slot)), config) for slot in SLOTS for name, config in inputs.items() if "#" in name
    ]
    return {name: _config(config, lists) for name, config in spread}


def _config(config: list[Any], lists: Mapping[str, tuple[str, ...]]) -> Config:
    kind, options = config
    return (list(lists[kind[1:]]), options) if str(kind).startswith("@") else (kind, options)
