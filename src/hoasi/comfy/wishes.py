"""What settings wish of a provider's graphs (floor 2, pure): how LoRAs are hung in and called, and a TeaCache for all.

`HOASI_<PROVIDER>_LORA_SHAPE`: `chain`, `stack`, or `auto` (as nothing): a stack where the server is known to have it.
It changes how a graph is wired, not the picture. `HOASI_<PROVIDER>_TEACACHE`: a threshold; it does change the picture,
so it counts as if each request said so, and a server without that node refuses. `HOASI_<PROVIDER>_LORAS`: files of
LoRAs in folders, as workers call them that cannot be asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hoasi.comfy.graph import Shape
from hoasi.comfy.nodes import NodeTable
from hoasi.comfy.template import Template
from hoasi.comfy.workflow import shape_of
from hoasi.errors import WrongInput
from hoasi.records import Planned

_SHAPES: dict[str, Shape] = {"chain": "chain", "stack": "stack"}
_MOST = 10.0
_BAD_FILE = re.compile(r"^[/\\]|[\x00-\x1f\x7f:]|\.\.")


def variables(provider: str) -> tuple[str, str, str]:
    """Names of the settings."""
    own = f"HOASI_{provider.upper()}"
    return f"{own}_LORA_SHAPE", f"{own}_TEACACHE", f"{own}_LORAS"


def loras(provider: str, told: Mapping[str, str]) -> tuple[str, ...]:
    """Files of LoRAs as the setting writes them, divided by commas.

    Raises:
        WrongInput: `setting_bad`: one of them leads out of the server's folder.
    """
    name = variables(provider)[2]
    files = tuple(file.strip() for file in told.get(name, "").split(",") if file.strip())
    if any(_BAD_FILE.search(file) for file in files):
        raise WrongInput("setting_bad", name=name, example="film/FILM-V3-FLUX.safetensors, an.safetensors")
    return files


def shape(planned: Planned, told: Mapping[str, str], nodes: NodeTable | None) -> Shape:
    """How LoRAs are hung in: as the request says, else the setting, else what is found at the server.

    Raises:
        WrongInput: `setting_bad`.
    """
    name = variables(planned.provider)[0]
    asked = str(planned.parameters.get("lora_shape") or told.get(name, "auto")).lower()
    if asked not in {*_SHAPES, "auto"}:
        raise WrongInput("setting_bad", name=name, example="auto, chain, stack")
    return _SHAPES.get(asked) or ("chain" if nodes is None else shape_of(nodes))


def teacache(planned: Planned, template: Template, told: Mapping[str, str]) -> dict[str, Any]:
    """The threshold as a parameter, where a setting adds it: the request says none, and the template can take one.

    Raises:
        WrongInput: `setting_bad`: it is no number from 0 to 10.
    """
    name = variables(planned.provider)[1]
    text = told.get(name, "")
    if not text or "teacache" in planned.parameters or template.loras is None:
        return {}
    value = _number(text)
    if not 0 <= value <= _MOST:
        raise WrongInput("setting_bad", name=name, example="0.2")
    return {"teacache": value}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
