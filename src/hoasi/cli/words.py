"""Hall (floor 6): what the words of a command line mean: lists, paths, numbers."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hoasi.errors import WrongInput
from hoasi.given import Lora
from hoasi.messages import say

_WEB = ("http://", "https://")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def listed(values: Sequence[str] | None) -> tuple[str, ...]:
    """`--x a,b --x c` are three; blanks between commas are none."""
    parts = [part.strip() for value in values or () for part in value.split(",")]
    return tuple(part for part in parts if part)


def located(written: str | None, workspace: Path) -> str | None:
    """A relative path as the shell means it: from the current folder where that is inside the workspace.

    What begins with something that only the workspace's root has (`jobs/...`) is meant from there.
    """
    here = Path.cwd()
    if not written or Path(written).is_absolute() or here == workspace or not here.is_relative_to(workspace):
        return written
    first = Path(written).parts[:1]
    if not _exists(here.joinpath(*first)) and _exists(workspace.joinpath(*first)):
        return written
    meant = here / written
    return str(meant if ".." in meant.parts else meant.relative_to(workspace))


def references(values: Sequence[str] | None, workspace: Path) -> tuple[str, ...]:
    """Pictures, comma separated and repeatable. A comma may also belong to a file's name or to an address."""
    names = [name for value in values or () for name in _pictures(value, workspace)]
    return tuple(name if name.startswith(_WEB) else str(located(name, workspace)) for name in names)


def _pictures(value: str, workspace: Path) -> list[str]:
    """One value taken apart: the longest stretches that are files; what follows an address may be its own end."""
    parts, found = value.split(","), list[str]()
    while parts:
        ends = range(len(parts), 1, -1)
        taken = next((end for end in ends if _is_file(",".join(parts[:end]), workspace)), 1)
        name, parts = ",".join(parts[:taken]).strip(), parts[taken:]
        if found and found[-1].startswith(_WEB) and not (name.startswith(_WEB) or _is_file(name, workspace)):
            found[-1] += f",{name}" if name else ""
        elif name:
            found.append(name)
    return found


def _is_file(written: str, workspace: Path) -> bool:
    return not written.startswith(_WEB) and bool(written) and _exists(workspace / str(located(written, workspace)))


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - 2026-11-21, Path.exists raises for a name that is too long


def loras(people: Sequence[str] | None, film: str | None) -> tuple[Lora, ...]:
    """`name`, `name:0.8`, `name@https://...`, `name:0.8@https://...`, each once an option."""
    said = [(text, "character") for text in people or ()] + ([(film, "film")] if film else [])
    return tuple(Lora.model_validate({**_lora(text), "kind": kind}) for text, kind in said)


def _lora(text: str) -> dict[str, Any]:
    head, at, url = text.partition("@http")
    name, _, weight = head.rpartition(":")
    is_weighed = bool(name) and _NUMBER.fullmatch(weight.strip()) is not None
    facts = {"name": name, "weight": float(weight)} if is_weighed else {"name": head}
    return {**facts, "url": f"{at[1:]}{url}" if at else None}


def options(fields: Sequence[str] | None) -> dict[str, str]:
    """`name=value`, each once an option.

    Raises:
        WrongInput: it is not written so.
    """
    rows = [(field, *field.partition("=")) for field in fields or ()]
    for field, name, sign, _ in rows:
        if not (sign and name.strip()):
            raise WrongInput("option_not_said", field=field[:80])
    return {name.strip(): value.strip() for _, name, _, value in rows}


_KIND_OF = {"max_cost_usd": "cli.kinds.USD", "num_images": "cli.kinds.COUNT"}


def check_numbers(given: Mapping[str, Any]) -> None:
    """Numbers that a limit cannot be: `nan` would let everything through.

    Raises:
        WrongInput: names the option.
    """
    for name in ("max_cost_usd", "max_images", "num_images"):
        value = given[name]
        if value is not None and (math.isnan(value) or value < 0):
            raise WrongInput(
                "usage_value_bad",
                option=f"--{name.replace('_', '-')}",
                kind=say(_KIND_OF.get(name, "cli.kinds.N")),
            )
