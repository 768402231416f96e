"""Graphs that a real ComfyUI 0.3.64 accepted, the same with other numbers of LoRAs, and equality up to node ids."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from hoasi.comfy.loras import Lora
from hoasi.comfy.nodes import NodeTable, from_object_info, known

Graph = dict[str, dict[str, Any]]

HERE = Path(__file__).parent
ACCEPTED: dict[str, Graph] = json.loads((HERE / "comfy_accepted.json").read_text())
VERDICTS: dict[str, list[Any]] = json.loads((HERE / "comfy_verdicts.json").read_text())
FILES = ["film/FILM-V3-FLUX.safetensors", *(f"lora_{n:02}.safetensors" for n in range(1, 11))]


def server() -> NodeTable:
    """The nodes of the server that accepted them, with the files that lay on it."""
    told = from_object_info(
        {
            "UNETLoader": {
                "input": {
                    "required": {"unet_name": [["flux1-dev-fp8.safetensors"], {}], "weight_dtype": [["fp8_e4m3fn"]]}
                },
                "output": ["MODEL"],
            },
            "LoraLoader": {
                "input": {
                    "required": {
                        "model": ["MODEL", {}],
                        "clip": ["CLIP", {}],
                        "lora_name": [FILES, {"tooltip": "The name of the LoRA."}],
                        "strength_model": ["FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0}],
                        "strength_clip": ["FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0}],
                    }
                },
                "output": ["MODEL", "CLIP"],
            },
        }
    )
    return NodeTable(nodes={**known().nodes, **told.nodes}, is_complete=True)


def plain_loras(count: int) -> list[Lora]:
    """So many LoRAs of the server, each with a strength of its own."""
    return [
        Lora(name=f"lora_{n:02}.safetensors", strength_model=0.5 + n / 100, strength_clip=0.5 + n / 100)
        for n in range(1, count + 1)
    ]


def accepted(shape: str, loras: list[Lora]) -> Graph:
    """The accepted graph of this shape with these LoRAs in place of its three."""
    graph = copy.deepcopy(ACCEPTED[shape])
    return _chain(graph, loras) if shape == "chain" else _stack(graph, loras)


def _chain(graph: Graph, loras: list[Lora]) -> Graph:
    pattern = graph["lora1"]
    for number in (1, 2, 3):
        del graph[f"lora{number}"]
    model, clip = ["unet", 0], ["clip", 0]
    for number, lora in enumerate(loras, 1):
        node = copy.deepcopy(pattern)
        node["inputs"] |= {"model": model, "clip": clip, "lora_name": lora.name}
        node["inputs"] |= {"strength_model": lora.strength_model, "strength_clip": lora.strength_clip}
        graph[f"lora{number}"] = node
        model, clip = [f"lora{number}", 0], [f"lora{number}", 1]
    graph["shift"]["inputs"]["model"], graph["pos"]["inputs"]["clip"] = model, clip
    return graph


def _stack(graph: Graph, loras: list[Lora]) -> Graph:
    if not loras:
        del graph["stack"], graph["stackapply"]
        graph["tea"]["inputs"]["model"], graph["pos"]["inputs"]["clip"] = ["unet", 0], ["clip", 0]
        return graph
    inputs = graph["stack"]["inputs"]
    inputs["num_loras"] = len(loras)
    for number in range(1, 11):
        lora = loras[number - 1] if number <= len(loras) else None
        inputs[f"lora_{number}_name"] = lora.name if lora else "None"
        for part in ("strength", "model_strength", "clip_strength"):
            inputs[f"lora_{number}_{part}"] = lora.strength_model if lora else 1.0
    return graph


def mapping(one: Graph, other: Graph) -> dict[str, str] | None:
    """Node ids of `one` -> ids of `other` that make them the same graph; None when there is no such mapping.

    A node's sign is its class, its values and the signs of what it hangs on; nodes are paired by it, and then every
    input of every pair is compared through the pairs.
    """
    left, right = _signs(one), _signs(other)
    if sorted(left.values()) != sorted(right.values()) or len(set(left.values())) != len(left):
        return None
    by_sign = {sign: node_id for node_id, sign in right.items()}
    pairs = {node_id: by_sign[sign] for node_id, sign in left.items()}
    renamed = {pairs[node_id]: _bare(node, pairs) for node_id, node in one.items()}
    return pairs if renamed == {node_id: _bare(node, {}) for node_id, node in other.items()} else None


def _bare(node: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    inputs = {
        name: [names.get(value[0], value[0]), value[1]] if isinstance(value, list) else value
        for name, value in node["inputs"].items()
    }
    return {"class_type": node["class_type"], "inputs": inputs}


def _signs(graph: Graph) -> dict[str, str]:
    signs: dict[str, str] = {}

    def sign(node_id: str) -> str:
        if node_id not in signs:
            rows = {
                name: [sign(value[0]), value[1]] if isinstance(value, list) else value
                for name, value in graph[node_id]["inputs"].items()
            }
            text = json.dumps([graph[node_id]["class_type"], rows], sort_keys=True)
            signs[node_id] = hashlib.sha256(text.encode()).hexdigest()
        return signs[node_id]

    for node_id in graph:
        sign(node_id)
    return signs
