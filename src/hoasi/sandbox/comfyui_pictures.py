"""Room: sandbox. From a ComfyUI graph to the pictures that its output nodes would get: size, count, seed and prompt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hoasi.sandbox.comfyui_nodes import Graph, is_link
from hoasi.sandbox.easel import SIDES, Recipe

Size = tuple[int, int]
Measure = Callable[[str], Size | None]
"""Width and height in pixels of an input file by its name."""

MOST_PIXELS = 1 << 27  # of all pictures of one run: more would not fit on a card, so the run fails as it would there
SAMPLERS = {"KSampler", "SamplerCustomAdvanced"}
_FALLBACK: Size = (1024, 1024)
_LATENT_STEP = 8
_IMAGES = ("images", "samples", "latent_image", "pixels", "image")  # the way from an output node back to the size
_PROMPT = ("guider", "positive", "conditioning")
_TEXTS = ("text", "t5xxl", "clip_l")
_SEEDS = ("noise_seed", "seed")


@dataclass(frozen=True)
class Wanted:
    """What one output node asks for, in pixels."""

    width: int
    height: int
    count: int

    @property
    def is_too_much(self) -> bool:
        """Say whether no card could hold it."""
        return max(self.width, self.height) > SIDES[-1] or self.width * self.height * self.count > MOST_PIXELS


def inputs_of(graph: Graph, node_id: str) -> dict[str, Any]:
    """Return the inputs of a node."""
    inputs: dict[str, Any] = graph[node_id].get("inputs", {})
    return inputs


def sources(graph: Graph, node_id: str) -> list[str]:
    """List the nodes that a node's inputs come from."""
    return [value[0] for value in inputs_of(graph, node_id).values() if is_link(value) and value[0] in graph]


def in_order(graph: Graph, outputs: Iterable[str]) -> list[str]:
    """List what the outputs hang on and the outputs, each node after its sources: the order of execution."""
    done: dict[str, None] = {}
    for output in outputs:
        stack = [output]
        while stack:
            missing = [name for name in sources(graph, stack[-1]) if name not in done]
            if missing:
                stack.append(missing[0])
            else:
                done[stack.pop()] = None
    return list(done)


def wanted(graph: Graph, output: str, measure: Measure) -> Wanted:
    """Find out what an output node asks for: the latent's size, or that of the picture it was encoded from."""
    count = step = 1
    for node_id in _back(graph, output, _IMAGES):
        inputs = inputs_of(graph, node_id)
        step = _LATENT_STEP if "samples" in inputs else step
        count *= int(inputs.get("amount", 1)) * int(inputs.get("batch_size", 1))
        if inputs.get("width") and inputs.get("height"):
            return Wanted(int(inputs["width"]) // step * step, int(inputs["height"]) // step * step, count)
        if isinstance(name := inputs.get("image"), str):
            width, height = measure(name) or _FALLBACK
            return Wanted(width // step * step, height // step * step, count)
    return Wanted(*_FALLBACK, count)


def recipes(graph: Graph, output: str, measure: Measure, fate: str | None = None) -> list[Recipe]:
    """Return what an output node's pictures are drawn from."""
    asked = wanted(graph, output, measure)
    width, height = (min(max(side, SIDES[0]), SIDES[-1]) for side in (asked.width, asked.height))
    if fate == "landscape":
        width, height = (max(width, height), min(width, height)) if width != height else (width, width * 9 // 16)
    return [
        Recipe(
            style="blank" if fate == "blank" else "storyboard",
            width=width,
            height=height,
            format="png",
            seed=seed(graph, output),
            prompt=prompt(graph, output),
            index=index,
            count=asked.count,
            references=sum(entry["class_type"] == "LoadImage" for entry in graph.values()),
        )
        for index in range(asked.count)
    ]


def seed(graph: Graph, output: str) -> int:
    """Return the seed behind an output node; zero where nothing is random."""
    for node_id in in_order(graph, [output]):
        for name in _SEEDS:
            if isinstance(value := inputs_of(graph, node_id).get(name), int):
                return value
    return 0


def prompt(graph: Graph, output: str) -> str:
    """Return the positive prompt behind an output node; empty where nothing is prompted."""
    sampled = (name for name in in_order(graph, [output]) if graph[name]["class_type"] in SAMPLERS)
    for node_id in itertools.chain.from_iterable(_back(graph, name, _PROMPT) for name in sampled):
        for name in _TEXTS:
            if isinstance(text := inputs_of(graph, node_id).get(name), str):
                return text
    return ""


def steps(graph: Graph, outputs: Iterable[str]) -> int:
    """Return how many steps the sampling takes; zero where nothing is sampled."""
    return max((int(inputs_of(graph, name).get("steps", 0)) for name in in_order(graph, outputs)), default=0)


def _back(graph: Graph, start: str, names: Iterable[str]) -> Iterator[str]:
    """Walk from a node to its source by the first of these inputs that is linked."""
    at: str | None = start
    while at is not None:
        yield at
        inputs = inputs_of(graph, at)
        at = next((inputs[name][0] for name in names if is_link(inputs.get(name))), None)
