"""Graph templates (floor 2): ComfyUI's own API format in JSON, and beside it a TOML file that names its slots.

The JSON is what ComfyUI exports ("Save (API Format)"), and runs there as it is; its values are the defaults. The TOML
says which inputs of which nodes a slot fills, from which outputs LoRAs are hung, and which nodes hold the result. Own
templates: a folder with both (docs/workflows.md).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from hoasi.errors import FileBroken, NotFound, WrongInput
from hoasi.record import Record

Graph = dict[str, dict[str, Any]]
"""A graph in ComfyUI's API format: node id -> {class_type, inputs, _meta}; a link is [node id, output number]."""

Kind = Literal["text", "integer", "number", "file"]

DEFAULT = "normal_image_v4_workflow"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_TYPES: dict[Kind, tuple[type, ...]] = {"text": (str,), "integer": (int,), "number": (int, float), "file": (str,)}


class Slot(Record):
    """A named place: which input of which nodes it fills. Width and height are rounded to `step` pixels."""

    kind: Kind
    at: dict[str, str | tuple[str, ...]]
    is_required: bool = False
    step: int = Field(default=16, ge=1)

    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Every (node id, input name) that it fills."""
        pairs = ((node, (name,) if isinstance(name, str) else name) for node, name in self.at.items())
        return tuple((node, name) for node, names in pairs for name in names)


class Hooks(Record):
    """The outputs that LoRAs and TeaCache are hung from; without `clip` only the model is changed."""

    model: tuple[str, int]
    clip: tuple[str, int] | None = None


class Template(Record):
    """A graph with named slots. `operation` is what it does: text_to_image, image_to_image, inpaint, control."""

    name: str
    operation: str = "text_to_image"
    title: str = ""
    graph: dict[str, dict[str, Any]]
    slots: dict[str, Slot] = {}
    loras: Hooks | None = None
    result: str | tuple[str, ...] = ()
    """The nodes whose pictures are wanted, where not all that the graph keeps are: only what they need is run."""

    @property
    def results(self) -> tuple[str, ...]:
        """The nodes of `result`."""
        return (self.result,) if isinstance(self.result, str) else self.result

    @property
    def mark(self) -> str:
        """SHA-256 of what it makes of a request; "" for one of the house's, also where it lies in another folder."""
        if self.name in names() and load(self.name) == self:
            return ""
        text = json.dumps(self.model_dump(mode="json", exclude={"title"}, exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def slot(self, name: str) -> Slot:
        """The slot of this name.

        Raises:
            WrongInput: `template_slot_missing`.
        """
        if name not in self.slots:
            raise self.lacks(name)
        return self.slots[name]

    def lacks(self, name: str) -> WrongInput:
        """The error that says so, naming what there is."""
        return WrongInput("template_slot_missing", slot=name, template=self.name, has=", ".join(self.slots) or "-")

    def default(self, name: str) -> Any:
        """What the template itself holds in a slot.

        Raises:
            WrongInput: `template_slot_missing`.
        """
        node, key = self.slot(name).inputs()[0]
        return self.graph[node]["inputs"][key]

    def checked(self, name: str, value: Any) -> Any:
        """The value, when it is of the slot's kind.

        Raises:
            WrongInput: `template_slot_missing`, `template_value_bad`.
        """
        kind = self.slot(name).kind
        is_number = isinstance(value, int | float) and not -1e300 < value < 1e300  # also NaN and infinity
        if isinstance(value, bool) or not isinstance(value, _TYPES[kind]) or is_number:
            raise WrongInput("template_value_bad", slot=name, template=self.name, value=repr(value)[:80], kind=kind)
        return value


def names(directories: Sequence[Path] = ()) -> tuple[str, ...]:
    """The templates there are: of the given folders and of the house, sorted."""
    places = [*directories, _house()]
    found = {file.name.removesuffix(".json") for place in places if place.is_dir() for file in place.iterdir()}
    return tuple(sorted(name for name in found if _file(name, places) is not None))


def load(name: str = DEFAULT, directories: Sequence[Path] = ()) -> Template:
    """The template of this name (with or without `.json`): from the first folder that has it, else the house's own.

    Raises:
        NotFound: `template_unknown`; the error names the nearest.
        FileBroken: `template_not_api`, `template_broken`: it cannot be used; facts name file and place.
    """
    plain = name.removesuffix(".json")
    found = _file(plain, [*directories, _house()]) if _NAME.fullmatch(plain) else None
    if found is None:
        known = names(directories)
        near = difflib.get_close_matches(plain, known, n=3, cutoff=0.3) or known
        raise NotFound("template_unknown", template=repr(name)[1:-1][:80], near=", ".join(near))
    graph, place = found
    return read(plain, _text(graph), _text(place) if place is not None else "")


def read(name: str, graph_text: str, slots_text: str = "") -> Template:
    """A template from the texts of its two files.

    Raises:
        FileBroken: as `load`.
    """
    graph = _graph(name, graph_text)
    try:
        template = Template.model_validate({**tomllib.loads(slots_text), "name": name, "graph": graph})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise FileBroken("template_broken", file=f"{name}.toml", where=where, detail=first["msg"]) from error
    except ValueError as error:
        raise FileBroken("template_broken", file=f"{name}.toml", where="TOML", detail=str(error)) from error
    return _fits(template)


def _house() -> Traversable:
    return files("hoasi.comfy").joinpath("templates")


def _file(name: str, places: Sequence[Path | Traversable]) -> tuple[Any, Any] | None:
    """The graph's file, and its slots' file where there is one."""
    for place in places:
        graph, slots = place.joinpath(f"{name}.json"), place.joinpath(f"{name}.toml")
        if graph.is_file():
            return graph, slots if slots.is_file() else None
    return None


def _text(file: Any) -> str:
    try:
        return str(file.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileBroken("template_broken", file=file.name, where="UTF-8", detail=str(error)) from error


def _graph(name: str, text: str) -> Mapping[str, Any]:
    file = f"{name}.json"
    try:
        graph = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FileBroken("template_broken", file=file, where="JSON", detail=str(error)) from error
    if not isinstance(graph, dict) or isinstance(graph.get("nodes"), list):
        raise FileBroken("template_not_api", file=file)
    for node_id, node in graph.items():
        if not isinstance(node, dict) or not isinstance(node.get("inputs"), dict) or "class_type" not in node:
            raise FileBroken("template_broken", file=file, where=node_id, detail="class_type, inputs")
    return graph


def _no_number(word: str) -> None:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(word)


def _fits(template: Template) -> Template:
    """Every place that the slots name is there."""
    places = [(f"slots.{name}", at) for name, slot in template.slots.items() for at in slot.inputs() or [("", "")]]
    lost = [f"{where}: {node}.{key}" for where, (node, key) in places if key not in _inputs(template, node)]
    lost += [f"result: {node}" for node in template.results if node not in template.graph]
    hooks = (template.loras.model, template.loras.clip) if template.loras else ()
    lost += [f"loras: {hook[0]}" for hook in hooks if hook and hook[0] not in template.graph]
    if lost:
        raise FileBroken("template_broken", file=f"{template.name}.toml", where=lost[0])
    return template


def _inputs(template: Template, node: str) -> Mapping[str, Any]:
    inputs: Mapping[str, Any] = template.graph.get(node, {}).get("inputs", {})
    return inputs
