"""Room: sandbox. What a worker does with a job's input, in worker-comfyui's words (5.8.5, read and run 2026-11-21).

A graph in `workflow` runs on the worker's own ComfyUI, whose nodes are those of `comfyui`; `images` are put into its
input folder first; LoRAs named in `model_urls` are taken as fetched. An input with a `prompt` and no `workflow` is
that of a public endpoint (`width`, `height`, `seed`), which answers `image_url` and `cost`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hoasi.sandbox.comfyui_checks import Verdict, judge, version_of
from hoasi.sandbox.comfyui_nodes import nodes
from hoasi.sandbox.comfyui_pictures import recipes, seed, wanted
from hoasi.sandbox.easel import SIDES, Recipe, size_of

if TYPE_CHECKING:
    from hoasi.sandbox.comfyui_pictures import Size
    from hoasi.sandbox.sandbox import Settings

_FIELDS = ("name", "image")


class Unworkable(Exception):
    """The worker fails; `args` = its error text."""


@dataclass(frozen=True)
class Task:
    """An input that a worker can work on."""

    graph: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)  # the input of a public endpoint
    only_temporary: bool = False

    @property
    def is_public(self) -> bool:
        """Say whether it is for a public endpoint."""
        return not self.graph

    @property
    def seed(self) -> int:
        """Return the seed that it asks for."""
        return seed(self.graph, self.outputs[0]) if self.graph else max(0, int(self.asked.get("seed", 0)))

    def recipes(self, fate: str | None) -> list[tuple[str, Recipe]]:
        """Return name and recipe of each picture that is given back; temporary ones are not."""
        if self.is_public:
            return [("output.png", _public(self.asked, self.seed))]
        found: list[tuple[str, Recipe]] = []
        for output in (name for name in self.outputs if self.graph[name]["class_type"] != "PreviewImage"):
            prefix = str(self.graph[output]["inputs"]["filename_prefix"]).rpartition("/")[2]
            drawn = recipes(self.graph, output, self.measure, fate)
            found += [(f"{prefix}_{number:05}_.png", recipe) for number, recipe in enumerate(drawn, 1)]
        return found

    def measure(self, name: str) -> Size | None:
        """Return the size of an input picture."""
        return size_of(self.files[name]) if name in self.files else None


def task(given: Any, settings: Settings) -> Task:
    """Read an input. Raises Unworkable."""
    asked = _object(given)
    if "workflow" not in asked:
        if "prompt" in asked:
            return Task(asked=asked)
        raise Unworkable("Missing 'workflow' parameter")
    files = _files(asked.get("images"))
    verdict = _verdict(asked, files, settings)
    made = Task(asked["workflow"], verdict.outputs, files)
    if any(wanted(made.graph, output, made.measure).is_too_much for output in made.outputs):
        raise Unworkable("Workflow execution error: CUDA out of memory")
    return made


def _object(given: Any) -> dict[str, Any]:
    if not given:
        raise Unworkable("Please provide input")
    try:
        asked = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise Unworkable("Invalid JSON format in input") from None
    if not isinstance(asked, dict):
        raise Unworkable("Invalid JSON format in input")
    return asked


def _files(images: Any) -> dict[str, bytes]:
    if images is None:
        return {}
    if not isinstance(images, list) or not all(isinstance(row, dict) and row.keys() >= {*_FIELDS} for row in images):
        raise Unworkable("'images' must be a list of objects with 'name' and 'image' keys")
    try:
        return {str(row["name"]): base64.b64decode(_bare(row["image"]), validate=True) for row in images}
    except ValueError:
        raise Unworkable("Failed to upload one or more input images") from None


def _bare(text: Any) -> str:
    """Leave out the head of a data URI."""
    head, comma, rest = str(text).partition(",")
    return rest if comma else head


def _verdict(asked: Mapping[str, Any], files: Mapping[str, bytes], settings: Settings) -> Verdict:
    fetched = tuple(str(row["id"]) for row in asked.get("model_urls") or () if isinstance(row, dict) and "id" in row)
    installed = nodes(lacks=settings.comfyui_lacks, loras=(*settings.comfyui_loras, *fetched))
    if not isinstance(asked["workflow"], dict):
        raise Unworkable("HTTP communication error with ComfyUI: 500 Server Error")
    version = version_of(settings.comfyui_version)
    verdict = judge(asked["workflow"], installed, files.__contains__, version=version)
    if verdict.error is None:
        return verdict
    if verdict.node_errors:
        rows = [(name, key, told) for name, errors in verdict.node_errors.items() for key, told in errors.items()]
        listed = "\n".join(f"\u2022 Node {name} ({key}): {told}" for name, key, told in rows)
        raise Unworkable(f"Workflow validation failed:\n{listed}")
    raw = json.dumps({"error": verdict.error, "node_errors": {}})
    raise Unworkable(f"{verdict.error['message']}. Raw response: {raw}")


def _public(asked: Mapping[str, Any], number: int) -> Recipe:
    width, height = (min(max(int(asked.get(side, 1024)), SIDES[0]), SIDES[-1]) for side in ("width", "height"))
    return Recipe("storyboard", width, height, "png", seed=number, prompt=str(asked["prompt"]))
