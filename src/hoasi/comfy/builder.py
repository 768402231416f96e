"""Graphs for scripts (floor 2): `WorkflowBuilder` under the names that users of such workers know. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hoasi import settings
from hoasi.comfy import styles, template, workflow
from hoasi.comfy.graph import Shape
from hoasi.comfy.loras import Wanted, strengths
from hoasi.comfy.styles import Style
from hoasi.errors import WrongInput

LoraSaid = str | tuple[str, float] | Mapping[str, Any]
"""A LoRA as scripts write it: its name; name and weight; or an object with name, weight, url."""

_NAMES = ("name", "lora_name", "file", "lora_file")
_WEIGHTS = ("weight", "strength", "lora_weight")
_KNOWN = frozenset({*_NAMES, *_WEIGHTS, "url", "lora_url"})


def wanted(said: LoraSaid) -> Wanted:
    """A LoRA as it was written.

    Raises:
        WrongInput: `lora_name_bad`: it has no name, or a field that nobody knows. `lora_strength_bad`: no number.
    """
    if isinstance(said, str):
        return Wanted(name=said)
    if isinstance(said, Mapping):
        name = next((said[key] for key in _NAMES if said.get(key)), "")
        weight = next((said[key] for key in _WEIGHTS if said.get(key) is not None), None)
        is_known, url = not set(said) - _KNOWN, said.get("url") or said.get("lora_url")
    else:
        is_known, url = isinstance(said, Sequence) and len(said) == 2, None
        name, weight = said if is_known else ("", None)
    if not isinstance(name, str) or not name or not is_known:
        raise WrongInput("lora_name_bad", name=repr(said)[:80])
    try:
        return Wanted(name=name, weight=weight, url=url)
    except ValidationError as error:
        raise WrongInput("lora_strength_bad", name=name, value=weight, limit=strengths().most) from error


def wanted_all(said: Sequence[LoraSaid] | Mapping[str, Any] | None) -> list[Wanted]:
    """Several; one that stands alone is the only one.

    Raises:
        WrongInput: as `wanted`.
    """
    return [wanted(one) for one in ([said] if isinstance(said, str | Mapping) else said or ())]


class WorkflowBuilder:
    """Builds graphs in ComfyUI's API format. `workspace` is where the registry of styles lies (default: found)."""

    def __init__(self, workspace: Path | str | None = None) -> None:
        self._workspace = None if workspace is None else Path(workspace)

    def build_workflow(
        self,
        prompt: str,
        width: int = 1360,
        height: int = 768,
        steps: int | None = None,
        seed: int = -1,
        model: str | None = None,
        sampler: str | None = None,
        scheduler: str | None = None,
        guidance: float | None = None,
        batch_size: int = 1,
        *,
        style_id: str | None = None,
        style_lora: LoraSaid | None = None,
        character_loras: Sequence[LoraSaid] | None = None,
        film_lora: LoraSaid | None = None,
        lora_weight: float | None = None,
        character_lora_strength: float | None = None,
        cine_lora_strength: float | None = None,
        workflow_name: str = template.DEFAULT,
        folder: Path | str | None = None,
        shape: Shape = "chain",
        teacache: float | None = None,
        **slots: Any,
    ) -> dict[str, dict[str, Any]]:
        """The graph, checked; nothing is sent or paid.

        Args:
            prompt: a style's words are put around it.
            width: in pixels, rounded to 16.
            height: likewise.
            steps: None: the style's, else the template's 20.
            seed: -1: one that follows from everything else.
            model: file of the diffusion model; None: the style's, else flux1-dev-fp8.
            sampler: None: the style's, else euler.
            scheduler: None: the style's, else simple.
            guidance: None: the style's, else 3.5.
            batch_size: pictures of one run.
            style_id: id or title of a registered style.
            style_lora: a style's LoRA without a registered style.
            character_loras: LoRAs of people, in their order.
            film_lora: a film's LoRA; FILM-V3-FLUX where only its strength is given.
            lora_weight: of the style's LoRA; None: the style's, else 1.
            character_lora_strength: None: the style's, else 0.85.
            cine_lora_strength: None: the style's, else 0 (no film LoRA).
            workflow_name: the template.
            folder: with templates of one's own.
            shape: `chain` runs on any server; `stack` needs ComfyUI-Easy-Use.
            teacache: threshold of a TeaCache node; None for no such node.
            slots: further slots of the template: denoise, image, mask, control_net ...

        Raises:
            WrongInput, NotSupported, NotFound, FileBroken: what cannot be built, and why.
        """
        values: dict[str, Any] = {"width": width, "height": height, "steps": steps, "seed": seed, "model": _file(model)}
        values |= {"sampler": sampler, "scheduler": scheduler, "guidance": guidance, "batch_size": batch_size}
        style = self._style(style_id, style_lora, lora_weight, character_lora_strength, cine_lora_strength)
        return workflow.compose(
            prompt,
            template=template.load(workflow_name, [Path(folder)] if folder else []),
            style=style,
            characters=wanted_all(character_loras),
            film=None if film_lora is None else wanted(film_lora),
            values={**values, **slots},
            shape=shape,
            teacache=teacache,
        ).graph

    def build_lora_stack(
        self,
        style_lora: LoraSaid | None = None,
        character_loras: Sequence[LoraSaid] | None = None,
        film_lora: LoraSaid | None = None,
        *,
        style_id: str | None = None,
        lora_weight: float | None = None,
        character_lora_strength: float | None = None,
        cine_lora_strength: float | None = None,
    ) -> list[dict[str, Any]]:
        """The LoRAs in their order (style, characters, film) with their strengths; parameters as in `build_workflow`.

        Raises:
            WrongInput: more than ten, or one that cannot be.
        """
        style = self._style(style_id, style_lora, lora_weight, character_lora_strength, cine_lora_strength)
        people = wanted_all(character_loras)
        loras = workflow.stack(style, people, None if film_lora is None else wanted(film_lora))
        return [lora.model_dump(exclude_none=True) for lora in loras]

    def _style(
        self,
        style_id: str | None,
        lora: LoraSaid | None,
        lora_weight: float | None,
        character: float | None,
        cine: float | None,
    ) -> Style:
        """The registered style, or one for this call only, with what the call itself says."""
        style = Style(id="-") if style_id is None else self._registered(style_id)
        given: dict[str, Any] = {
            "lora_weight": lora_weight,
            "character_lora_weight": character,
            "cine_lora_weight": cine,
        }
        said = {name: value for name, value in given.items() if value is not None}
        if lora is not None:
            own = wanted(lora)
            weight = {"lora_weight": own.weight} if own.weight is not None and lora_weight is None else {}
            said |= {"lora_file": own.name, "lora_url": own.url or "", **weight}
        return style.model_copy(update=said)

    def _registered(self, style_id: str) -> Style:
        path = styles.file_of(settings.read(self._workspace).workspace)
        return styles.find(styles.load(path), style_id)


def _file(model: str | None) -> str | None:
    """The model's file: the suffix is added where there is none."""
    is_file = model is None or model.lower().endswith(workflow.MODEL_FILES)
    return model if is_file else f"{model}{workflow.MODEL_FILES[0]}"
