"""The way into this room (floor 2, pure): prompt, style, LoRAs and values -> one graph, checked, and what to tell.

Nothing is changed silently: a rounded size, a seed of ours and a LoRA hung in twice are notes; what the template cannot
take is an error before anything is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hoasi.comfy import loras as policy
from hoasi.comfy import sizes, styles
from hoasi.comfy.graph import Shape, build
from hoasi.comfy.loras import Lora, Wanted
from hoasi.comfy.nodes import NodeTable, known
from hoasi.comfy.styles import Style
from hoasi.comfy.template import Template
from hoasi.comfy.validate import must_be_good
from hoasi.messages import say
from hoasi.record import Record

_FROM_STYLE = {
    "steps": "steps",
    "cfg": "cfg",
    "denoise": "denoise",
    "guidance": "guidance",
    "sampler_name": "sampler",
    "scheduler_name": "scheduler",
    "model": "model",
}
"""Field of a style -> slot of a template."""

MODEL_FILES = (".safetensors", ".sft", ".gguf", ".ckpt")


class Workflow(Record):
    """A graph that is ready to be sent. `model_urls` is for workers that fetch LoRAs, `notes` for caller and log."""

    graph: dict[str, dict[str, Any]]
    template: str
    prompt: str
    values: dict[str, Any]
    """What stands in the slots that were filled: seed, width, height ..."""
    loras: tuple[Lora, ...] = ()
    model_urls: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def compose(
    prompt: str,
    *,
    template: Template,
    style: Style | None = None,
    characters: Sequence[Wanted] = (),
    film: Wanted | None = None,
    values: Mapping[str, Any] | None = None,
    shape: Shape = "chain",
    teacache: float | None = None,
    nodes: NodeTable | None = None,
    files: Collection[str] = (),
) -> Workflow:
    """Put a workflow together and check it.

    Args:
        prompt: the caller's; the style's words are put around it.
        template: which graph (`template.load`).
        style: its LoRA, words and values; the caller's values win.
        characters: LoRAs of people; one without a weight takes the style's.
        film: a film LoRA; where none is given, a style with `cine_lora_weight` brings the house's.
        values: by slot: width, height, steps, seed (-1 or None: ours), image, mask ...; None means "not given".
        shape: how LoRAs are hung in (`shape_of`).
        teacache: threshold; None for no such node.
        nodes: what the server has; our own table where it cannot be asked.
        files: LoRAs as the server lists them, as far as that is known (`loras.placed`).

    Raises:
        WrongInput: any of this room's: LoRAs, sizes, seed, slots, `graph_bad`.
        NotSupported: `comfy_nodes_missing`.
    """
    text = styles.assemble(prompt, style)
    filled, unused = _from_style(style, template)
    filled |= {name: value for name, value in (values or {}).items() if value is not None}
    filled, changed = _fitting(filled, template)
    hung = stack(style, characters, film)
    if "seed" in template.slots:
        facts = {name: value for name, value in filled.items() if name != "seed"}
        changed += _seeded(filled, [template.name, text, facts, [lora.model_dump() for lora in hung]])
    hung = policy.placed(hung, files)
    words = text if text.strip() or "prompt" in template.slots else None
    graph = build(template, {**filled, "prompt": words}, hung, shape, teacache=teacache)
    must_be_good(graph, nodes or known())
    return Workflow(
        graph=graph,
        template=template.name,
        prompt=text,
        values=filled,
        loras=hung,
        model_urls=policy.model_urls(hung),
        notes=(*unused, *changed, *policy.notes(hung)),
    )


def stack(style: Style | None, characters: Sequence[Wanted] = (), film: Wanted | None = None) -> tuple[Lora, ...]:
    """The LoRAs that a style and the caller give together; see `loras.stack` for order, strengths and errors."""
    if style is None:
        return policy.stack(None, characters, film)
    own = Wanted(name=style.lora, weight=style.lora_weight, url=style.lora_url or None) if style.lora else None
    cast = [_weighed(wanted, style.character_lora_weight) for wanted in characters]
    if film is None and style.cine_lora_weight != 0:
        film = Wanted(name=policy.strengths().film.name)
    return policy.stack(own, cast, _weighed(film, style.cine_lora_weight or 1.0) if film else None)


def shape_of(nodes: NodeTable) -> Shape:
    """How LoRAs are best hung in on a server: as a stack where it has ComfyUI-Easy-Use."""
    return "stack" if nodes.has("easy loraStack") and nodes.has("easy loraStackApply") else "chain"


def _weighed(wanted: Wanted, weight: float) -> Wanted:
    return wanted if wanted.weight is not None else wanted.model_copy(update={"weight": weight})


def _from_style(style: Style | None, template: Template) -> tuple[dict[str, Any], list[str]]:
    """Values that a style sets for slots, and notes of those that the template does not take.

    A style's denoise is meant for pictures from nothing: one of 1 would lose the picture that another starts from.
    """
    if style is None:
        return {}, []
    given = {slot: getattr(style, name) for name, slot in _FROM_STYLE.items() if name in style.model_fields_set}
    if template.operation not in {"text_to_image", "control"}:
        given.pop("denoise", None)
    if "model" in given and not given["model"].lower().endswith(MODEL_FILES):
        given["model"] += MODEL_FILES[0]
    lost = [slot for slot in given if slot not in template.slots]
    notes = [say("comfy.style_unused", style=style.id, slot=slot, template=template.name) for slot in lost]
    return {slot: value for slot, value in given.items() if slot in template.slots}, notes


def _fitting(values: Mapping[str, Any], template: Template) -> tuple[dict[str, Any], list[str]]:
    """The values with sizes that the nodes accept, and a note where one was rounded."""
    if not {"width", "height"} & set(values):
        return dict(values), []
    asked = [template.checked(n, values.get(n, template.default(n))) for n in ("width", "height")]
    width, height = sizes.rounded(asked[0], asked[1], template.slots["width"].step)
    was, now = f"{asked[0]}x{asked[1]}", f"{width}x{height}"
    notes = [] if was == now else [say("comfy.size_rounded", asked=was, used=now)]
    return {**values, "width": width, "height": height}, notes


def _seeded(values: dict[str, Any], facts: Sequence[Any]) -> list[str]:
    """Put the seed into the values; a note where it is ours."""
    asked = values.get("seed")
    values["seed"] = sizes.resolved(asked, *facts)
    return [] if asked == values["seed"] else [say("comfy.seed_resolved", seed=values["seed"])]
