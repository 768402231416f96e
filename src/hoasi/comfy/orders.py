"""What was planned becomes a workflow (floor 2, pure but for templates): the same plan gives the same graph every time.

It is made once before money, so that whatever cannot be sent is refused there, and once more when it is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from hoasi.catalogue import load
from hoasi.comfy import template as templates
from hoasi.comfy.loras import Wanted
from hoasi.comfy.sizes import SIDE, mask_must_fit
from hoasi.comfy.styles import Style
from hoasi.comfy.template import Template
from hoasi.comfy.workflow import Workflow, compose
from hoasi.errors import WrongInput
from hoasi.given import Input, Lora
from hoasi.messages import say
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

MOST_PIXELS = 2048 * 1024
"""A picture that starts from another is not larger than this, unless its size is asked for."""

Files = Mapping[str, str]
"""Role of an input -> its name on the server."""


def made(planned: Planned, files: Files, told: Mapping[str, str], prefix: str = "hoasi") -> Workflow:
    """The workflow of a plan.

    Args:
        planned: with seed, parameters in our words, and inputs.
        files: what its inputs are called where the graph runs.
        told: settings of this process (`FOLDER`).
        prefix: how its pictures are called there.

    Raises:
        WrongInput, NotSupported, NotFound, FileBroken: any of this room's.
    """
    parameters = planned.parameters
    template = _template(planned, told)
    people, film = _cast(parameters.get("loras", ()))
    return compose(
        planned.prompt,
        template=template,
        style=_style(planned),
        characters=people,
        film=film,
        values={**_values(planned, template, files), "filename_prefix": prefix},
        shape=cast("Literal['chain', 'stack']", parameters.get("lora_shape", "chain")),
        teacache=parameters.get("teacache"),
    )


def rehearsed(planned: Planned, told: Mapping[str, str], *, fetches_loras: bool) -> tuple[str, ...]:
    """What a caller should know of the workflow; it is made with names that its inputs could have.

    Args:
        planned: as in `made`.
        told: as in `made`.
        fetches_loras: whether a LoRA's address is of use where the graph runs.

    Raises:
        WrongInput, NotSupported, NotFound, FileBroken: it cannot be sent; nothing was.
    """
    _mask_fits(planned.inputs)
    workflow = made(planned, {item.role: "picture.png" for item in planned.inputs}, told)
    lost = () if fetches_loras else tuple(say("comfy.told.url_unused", name=row["id"]) for row in workflow.model_urls)
    return (*workflow.notes, *lost)


def _template(planned: Planned, told: Mapping[str, str]) -> Template:
    name = planned.parameters.get("template") or load(planned.provider).card(planned.model).endpoint
    folders = [Path(told[FOLDER]).expanduser()] if told.get(FOLDER) else []
    return templates.load(str(name), folders)


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


def _values(planned: Planned, template: Template, files: Files) -> dict[str, Any]:
    parameters = planned.parameters
    values: dict[str, Any] = {"seed": planned.seed, **_size(planned, template)}
    values |= {slot: parameters[name] for name, slot in SLOTS.items() if name in parameters}
    if "reference" in files:
        values["control_image" if "control_image" in template.slots else "image"] = files["reference"]
    return values | ({"mask": files["mask"]} if "mask" in files else {})


def _size(planned: Planned, template: Template) -> dict[str, int]:
    """What was asked for; else that of the picture it starts from; else the template's own."""
    width, _, height = str(planned.parameters.get("size", "")).partition("x")
    if width.isdigit() and height.isdigit():
        return {"width": int(width), "height": int(height)}
    start = next((item for item in planned.inputs if item.role == "reference"), None)
    is_start = start is not None and template.operation in {"image_to_image", "inpaint"}
    return _like(start) if start is not None and is_start and start.width else {}


def _like(picture: Input) -> dict[str, int]:
    """The picture's size, made smaller where it is very large."""
    scale = min(1.0, math.sqrt(MOST_PIXELS / (picture.width * picture.height)))
    return {name: max(round(getattr(picture, name) * scale), SIDE[0]) for name in ("width", "height")}


def _mask_fits(inputs: tuple[Input, ...]) -> None:
    pictures = [item for item in inputs if item.role == "reference" and item.width]
    masks = [item for item in inputs if item.role == "mask" and item.width]
    if pictures and masks:
        mask_must_fit(pictures[0], masks[0])
