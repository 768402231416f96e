"""Graph builder (floor 2, pure): a template, values for its slots, LoRAs -> a graph that a ComfyUI server takes.

Two shapes of LoRAs: `chain` (LoraLoader after LoraLoader: runs on any server) and `stack` (two nodes of
ComfyUI-Easy-Use with ten places). Without LoRAs both are the template's own wiring.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from hoasi.comfy.loras import Lora, strengths
from hoasi.comfy.template import Graph, Hooks, Template
from hoasi.errors import WrongInput

Shape = Literal["chain", "stack"]
Link = list[Any]

PLACES = 10
"""LoRAs that `easy loraStack` holds."""


def build(
    template: Template,
    slots: Mapping[str, Any],
    loras: Sequence[Lora] = (),
    shape: Shape = "chain",
    *,
    teacache: float | None = None,
) -> Graph:
    """Fill the slots and hang in the LoRAs; the template is left as it is.

    Args:
        template: see `template.load`.
        slots: values by slot name; None means "not given": the template's own value stays.
        loras: in their order (`loras.stack`).
        shape: how LoRAs are hung in.
        teacache: threshold of a TeaCache node behind the LoRAs; None for no such node.

    Raises:
        WrongInput: `template_slot_missing`, `template_value_missing`, `template_value_bad`, `too_many_loras`.
    """
    graph = _filled(template, slots)
    if loras or teacache is not None:
        if template.loras is None:
            raise template.lacks("loras" if loras else "teacache")
        if shape == "stack" and len(loras) > PLACES:
            raise WrongInput("too_many_loras", count=len(loras), limit=PLACES)
        _hang(graph, template.loras, loras, shape, teacache)
    return _needed(graph, template.results) if template.results else graph


def _needed(graph: Graph, results: Sequence[str]) -> Graph:
    """Only the nodes that hold the results, and all that they hang on."""
    needed: set[str] = set()
    left = [*results]
    while left:
        node = left.pop()
        if node in graph and node not in needed:
            needed.add(node)
            left += [value[0] for value in graph[node]["inputs"].values() if _is_link(value)]
    return {name: node for name, node in graph.items() if name in needed}


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _filled(template: Template, slots: Mapping[str, Any]) -> Graph:
    graph = copy.deepcopy(template.graph)
    given = {name: template.checked(name, value) for name, value in slots.items() if value is not None}
    for name, slot in template.slots.items():
        if slot.is_required and name not in given:
            raise WrongInput("template_value_missing", slot=name, template=template.name)
    for name, value in given.items():
        for node, key in template.slots[name].inputs():
            graph[node]["inputs"][key] = value
    return graph


def _hang(graph: Graph, hooks: Hooks, loras: Sequence[Lora], shape: Shape, teacache: float | None) -> None:
    """Put nodes behind the hooks; whatever hung there hangs on the last of them."""
    users = list(graph.values())
    model, clip = list(hooks.model), list(hooks.clip) if hooks.clip else None
    ends = (model, clip)
    if loras:
        ends = (_chain if shape == "chain" else _stack)(graph, loras, model, clip)
    if teacache is not None:
        ends = _teacache(graph, teacache, ends[0]), ends[1]
    for node in users:
        for name, value in node["inputs"].items():
            if value == model:
                node["inputs"][name] = list(ends[0])
            elif value == clip and ends[1] is not None:
                node["inputs"][name] = list(ends[1])


def _chain(graph: Graph, loras: Sequence[Lora], model: Link, clip: Link | None) -> tuple[Link, Link | None]:
    for number, lora in enumerate(loras, 1):
        own: dict[str, Any] = {"lora_name": lora.name, "strength_model": lora.strength_model}
        if clip is None:
            model = [_add(graph, f"lora{number}", "LoraLoaderModelOnly", {"model": model, **own}), 0]
            continue
        own["strength_clip"] = lora.strength_clip
        node = _add(graph, f"lora{number}", "LoraLoader", {"model": model, "clip": clip, **own})
        model, clip = [node, 0], [node, 1]
    return model, clip


def _stack(graph: Graph, loras: Sequence[Lora], model: Link, clip: Link | None) -> tuple[Link, Link | None]:
    is_simple = all(lora.strength_model == lora.strength_clip for lora in loras)
    head = {"toggle": True, "mode": "simple" if is_simple else "advanced", "num_loras": len(loras)}
    stack = _add(graph, "stack", "easy loraStack", head | dict(_places(loras)))
    inputs = {"lora_stack": [stack, 0], "model": model} | ({"optional_clip": clip} if clip else {})
    apply = _add(graph, "stackapply", "easy loraStackApply", inputs)
    return [apply, 0], [apply, 1] if clip else None


def _places(loras: Sequence[Lora]) -> Iterator[tuple[str, Any]]:
    """The ten places of the stack; those that hold nothing say "None"."""
    empty = Lora(name="None", strength_model=1.0, strength_clip=1.0)
    for number, lora in enumerate([*loras, *[empty] * (PLACES - len(loras))], 1):
        yield f"lora_{number}_name", lora.name
        yield f"lora_{number}_strength", lora.strength_model
        yield f"lora_{number}_model_strength", lora.strength_model
        yield f"lora_{number}_clip_strength", lora.strength_clip


def _teacache(graph: Graph, threshold: float, model: Link) -> Link:
    facts = strengths().teacache
    inputs = {"model": model, "rel_l1_thresh": float(threshold), **facts.inputs}
    return [_add(graph, "tea", facts.class_type, inputs), 0]


def _add(graph: Graph, wanted_id: str, class_type: str, inputs: dict[str, Any]) -> str:
    """A new node under a free id."""
    node_id = wanted_id
    while node_id in graph:
        node_id += "_"
    graph[node_id] = {"class_type": class_type, "inputs": inputs, "_meta": {"title": wanted_id}}
    return node_id
