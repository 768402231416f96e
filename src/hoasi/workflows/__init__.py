"""Floor 3, workflows: what people want, as typed calls, becomes requests. No network, no money, nothing written.

One file a workflow. Each is a frozen record with `requests()`, for tools, command line and Python alike:
`Ask(requests=SwapFace(source="a.jpg", face="b.jpg").requests(), job_id="job-1")`. A promise (`Given.of`) counts the
requests of one workflow from 0, so they stand first in their call. The words that are sent are data: `prompts/*.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hoasi.catalogue import takers
from hoasi.errors import WrongInput
from hoasi.workflows._editing import Editing
from hoasi.workflows._workflow import Workflow
from hoasi.workflows.ai_stylist import AiStylist
from hoasi.workflows.create_avatar import AvatarAngles, CreateAvatar
from hoasi.workflows.edit_image import EditImage
from hoasi.workflows.extend_video import ExtendVideo
from hoasi.workflows.generate_video import GenerateVideo
from hoasi.workflows.lip_sync import LipSync
from hoasi.workflows.outfit_shot import OutfitShot
from hoasi.workflows.outfit_swap import OutfitSwap
from hoasi.workflows.relight import Relight
from hoasi.workflows.skin_enhance import SkinEnhance
from hoasi.workflows.swap_face import SwapFace

__all__ = [
    "PRESETS",
    "AiStylist",
    "AvatarAngles",
    "CreateAvatar",
    "EditImage",
    "Editing",
    "ExtendVideo",
    "GenerateVideo",
    "LipSync",
    "OutfitShot",
    "OutfitSwap",
    "Relight",
    "SkinEnhance",
    "SwapFace",
    "Workflow",
    "editing",
]

PRESETS: dict[str, type[Editing]] = {
    "skin_enhance": SkinEnhance,
    "relight": Relight,
    "outfit_swap": OutfitSwap,
    "ai_stylist": AiStylist,
    "outfit_shot": OutfitShot,
}
"""Ready-made edits: a new one is its file, its words, and a line here."""


def editing(preset: str | None, given: Mapping[str, Any]) -> Editing:
    """The edit that is meant: a free one by its prompt, or a preset.

    Args:
        preset: one of `PRESETS`.
        given: only what was said: the fields of that workflow, or `choices` for the one that it `chooses`.

    Raises:
        WrongInput: neither prompt nor preset, or something that this edit does not take.
    """
    if preset is None and not given.get("prompt"):
        raise WrongInput("prompt_or_preset", presets=", ".join(PRESETS))
    if preset is not None and preset not in PRESETS:
        raise WrongInput("preset_unknown", preset=preset, presets=", ".join(PRESETS))
    kind = EditImage if preset is None else PRESETS[preset]
    if surplus := sorted(given.keys() - kind.model_fields.keys() - ({"choices"} if kind.chooses else set())):
        if surplus[0] == "mask":
            kinds = [name for name, kind in PRESETS.items() if "mask" in kind.model_fields]
            raise WrongInput(
                "preset_mask", preset=preset, presets=", ".join(kinds), models=takers("mask", "edit_image")
            )
        takes = ", ".join(name for name in kind.model_fields if name not in Workflow.model_fields)
        raise WrongInput("preset_parameter", preset=preset or "prompt", parameter=surplus[0], allowed=takes)
    return kind.model_validate(_chosen(kind, given))


def _chosen(kind: type[Editing], given: Mapping[str, Any]) -> dict[str, Any]:
    """The choices under the name that they have in this workflow."""
    rest = {name: value for name, value in given.items() if name != "choices"}
    choices = tuple(given.get("choices", ()))
    if not choices:
        return rest
    return {**rest, **kind.meant(choices)}
