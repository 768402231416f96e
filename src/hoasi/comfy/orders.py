"""What was planned becomes a workflow (floor 2, pure but for templates): the same plan gives the same graph every time.

It is made once before money, so that whatever cannot be sent is refused there, and once more when it is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoasi.catalogue import load
from hoasi.comfy import template as templates
from hoasi.comfy import wishes
from hoasi.comfy.loras import Wanted, must_be_one
from hoasi.comfy.nodes import NodeTable
from hoasi.comfy.sizes import SIDE, mask_must_fit, rounded
from hoasi.comfy.styles import Style
from hoasi.comfy.template import Template
from hoasi.comfy.workflow import Workflow, compose
from hoasi.errors import WrongInput
from hoasi.given import Input, Lora
from hoasi.messages import say
from hoasi.planning import settled
from hoasi.records import Planned

SLOTS = {
    "num_images": "batch_size",
    "width": "width",
    "height": "height",
    "steps": "steps",
    "guidance": "guidance",
    "sampler_name": "sampler",
    "scheduler_name": "scheduler",
    "denoise": "denoise",
    "model_file": "model",
    "control_net": "control_net",
    "control_type": "control_type",
    "control_strength": "control_strength",
    "control_end": "control_end",
}
"""Our parameter -> the slot of a template that it fills."""

FIELDS = {
    **SLOTS,
    "prompt": "prompt",
    "seed": "seed",
    "size": "width, height",
    "references": "image, control_image",
    "mask": "mask",
    "loras": "LoraLoader",
    "look": "LoraLoader, steps, guidance, sampler, scheduler, model",
    "lora_shape": "LoraLoader, easy loraStack",
    "teacache": "TeaCache",
    "template": "workflow",
}
"""What a provider that runs graphs can be told."""

FOLDER = "HOASI_WORKFLOWS"
"""The setting that names a folder with templates of one's own: they come before the house's."""

MARK = "template_sha256"
"""The parameter that says what such a template holds: with another content it is another request."""


def variables(provider: str) -> tuple[str, ...]:
    """Names of the settings on which the graphs of a provider depend."""
    return FOLDER, *wishes.variables(provider)


MOST_PIXELS = 2048 * 1024
"""A picture that starts from another is not larger than this, unless its size is asked for."""

Files = Mapping[str, str]
"""Role of an input -> its name on the server."""


def made(
    planned: Planned,
    files: Files,
    told: Mapping[str, str],
    prefix: str = "hoasi",
    nodes: NodeTable | None = None,
) -> Workflow:
    """The workflow of a plan.

    Args:
        planned: with seed, parameters in our words, and inputs.
        files: what its inputs are called where the graph runs.
        told: settings of this process (`variables`).
        prefix: how its pictures are called there, where the template lets them be called.
        nodes: what is installed there, where that is known.

    Raises:
        WrongInput, NotSupported, NotFound, FileBroken: any of this room's.
    """
    parameters = planned.parameters
    template = _template(planned, told)
    if template.mark != parameters.get(MARK, ""):
        raise WrongInput("template_changed", template=template.name)
    people, film = _cast(parameters.get("loras", ()))
    return compose(
        planned.prompt,
        template=template,
        style=_style(planned),
        characters=people,
        film=film,
        values=_values(planned, template, files, prefix),
        shape=wishes.shape(planned, told, nodes),
        teacache=parameters.get("teacache"),
        files=(nodes and nodes.loras()) or wishes.loras(planned.provider, told),
    )


def pixels(planned: Planned, told: Mapping[str, str]) -> int:
    """Pixels of all pictures together that the plan's workflow makes; 0 where its template does not tell their size.

    Raises:
        WrongInput, NotSupported, NotFound, FileBroken: as `made`.
    """
    template = _template(planned, told)
    values = made(planned, {item.role: "picture.png" for item in planned.inputs}, told).values
    usual = {name: template.default(name) for name in ("width", "height", "batch_size") if name in template.slots}
    sides = [values.get(name, usual.get(name, 0)) for name in ("width", "height")]
    facts = (*sides, values.get("batch_size", usual.get("batch_size", 1)))
    return math.prod(facts) if all(isinstance(fact, int) for fact in facts) else 0


def rehearsed(planned: Planned, told: Mapping[str, str], *, fetches_loras: bool) -> Planned:
    """The plan with what settings add to it, and notes of its workflow: that is made with names its inputs could have.

    Args:
        planned: as in `made`.
        told: as in `made`.
        fetches_loras: whether a LoRA's address is of use where the graph runs.

    Raises:
        WrongInput, NotSupported, NotFound, FileBroken: it cannot be sent; nothing was.
    """
    _mask_fits(planned.inputs)
    template = _template(planned, told)
    mark = {MARK: template.mark} if template.mark else {}
    planned = _unseeded(settled(planned, {**mark, **wishes.teacache(planned, template, told)}), template)
    workflow = made(planned, {item.role: "picture.png" for item in planned.inputs}, told)
    must_be_one(workflow.loras, wishes.loras(planned.provider, told))
    lost = () if fetches_loras else tuple(say("comfy.told.url_unused", name=row["id"]) for row in workflow.model_urls)
    notes = (*workflow.notes, *_shrunk(planned, template, workflow), *lost)
    return planned.model_copy(update={"warnings": (*planned.warnings, *notes)})


def _template(planned: Planned, told: Mapping[str, str]) -> Template:
    name = planned.parameters.get("template") or load(planned.provider).card(planned.model).endpoint
    folders = [Path(told[FOLDER]).expanduser()] if told.get(FOLDER) else []
    return templates.load(str(name), folders)


def _unseeded(planned: Planned, template: Template) -> Planned:
    """A template without a place for a seed keeps its own: ours is not said to be sent. One asked for is refused."""
    if "seed" in template.slots or planned.request.seed is not None:
        return planned
    parameters = {name: value for name, value in planned.parameters.items() if name != "seed"}
    return planned.model_copy(update={"parameters": parameters, "seed_is_sent": False})


def _style(planned: Planned) -> Style | None:
    """What a registered style sets; its words stand in the prompt already."""
    look = planned.parameters.get("look")
    return None if look is None else Style.model_validate({"id": planned.request.style or "-", **look})


def _cast(rows: Any) -> tuple[list[Wanted], Wanted | None]:
    """The LoRAs of people in their order, and that of the film.

    Raises:
        WrongInput: there can be one film only.
    """
    loras = [Lora.model_validate(row) for row in rows]
    wanted = {
        kind: [Wanted(name=lora.name, weight=lora.weight, url=lora.url) for lora in loras if lora.kind == kind]
        for kind in ("character", "film")
    }
    if len(wanted["film"]) > 1:
        raise WrongInput("lora_films", names=", ".join(lora.name for lora in wanted["film"]))
    return wanted["character"], next(iter(wanted["film"]), None)


def _values(planned: Planned, template: Template, files: Files, prefix: str) -> dict[str, Any]:
    """What fills the slots; what nobody asked for only where there is a slot for it."""
    parameters = planned.parameters
    ours = {"seed": planned.seed, "filename_prefix": prefix, "batch_size": 1, **_like(planned, template)}
    asked = {slot: parameters[name] for name, slot in SLOTS.items() if name in parameters}
    asked |= {"seed": planned.seed} if planned.request.seed is not None else {}
    if asked.get("batch_size") == 1:  # what every graph makes
        del asked["batch_size"]
    values = {slot: value for slot, value in ours.items() if slot in template.slots} | _size(planned) | asked
    if "reference" in files:
        values["control_image" if "control_image" in template.slots else "image"] = files["reference"]
    return values | ({"mask": files["mask"]} if "mask" in files else {})


def _size(planned: Planned) -> dict[str, int]:
    """What was asked for."""
    width, _, height = str(planned.parameters.get("size", "")).partition("x")
    return {"width": int(width), "height": int(height)} if width.isdigit() and height.isdigit() else {}


def _like(planned: Planned, template: Template) -> dict[str, int]:
    """The size of the picture it starts from, made smaller where that is very large; else the template has its own."""
    start = _start(planned)
    if start is None or template.operation not in {"image_to_image", "inpaint"}:
        return {}
    scale = min(1.0, math.sqrt(MOST_PIXELS / (start.width * start.height)))
    width, height = (max(round(side * scale), SIDE[0]) for side in (start.width, start.height))
    width, height = rounded(width, height) if scale < 1.0 else (width, height)
    return {"width": width, "height": height}


def _start(planned: Planned) -> Input | None:
    """The picture that it starts from, once its size is known."""
    return next((item for item in planned.inputs if item.role == "reference" and item.width), None)


def _shrunk(planned: Planned, template: Template, workflow: Workflow) -> tuple[str, ...]:
    """A note where the picture comes out smaller than the one that it starts from, and nobody asked for that."""
    start, like = _start(planned), _like(planned, template)
    if start is None or not like or start.width * start.height <= MOST_PIXELS:
        return ()
    if {name: workflow.values.get(name) for name in like} != like:
        return ()
    facts = {"was": f"{start.width}x{start.height}", "used": f"{like['width']}x{like['height']}"}
    return (say("comfy.told.shrunk", picture=start.written, **facts),)


def _mask_fits(inputs: tuple[Input, ...]) -> None:
    pictures = [item for item in inputs if item.role == "reference" and item.width]
    masks = [item for item in inputs if item.role == "mask" and item.width]
    if pictures and masks:
        mask_must_fit(pictures[0], masks[0])
