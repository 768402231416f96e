"""Hall (floor 6): what the commands of workflows share: options, inputs, the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.models import OptionInfo

from hoasi.cli.answer import Answer
from hoasi.cli.words import check_numbers, located, loras, options, references
from hoasi.errors import WrongInput

if TYPE_CHECKING:
    from hoasi.ask import Ask
    from hoasi.cli.frame import Call
    from hoasi.workflows import Workflow

    W = TypeVar("W", bound=Workflow)

INPUT, RESULT = "help.heads.make.input", "help.heads.make.result"
PLACE, SAFETY = "help.heads.place", "help.heads.safety"


def option(*names: str, key: str, metavar: str | None = None, panel: str = RESULT) -> OptionInfo:
    """An option whose text is `help.<key>`."""
    found: OptionInfo = typer.Option(*names, help=f"help.{key}", metavar=metavar, rich_help_panel=panel)
    return found


Provider = Annotated[str | None, option("--provider", key="make.provider", metavar="NAME")]
Model = Annotated[str | None, option("--model", key="make.model", metavar="ID")]
Seed = Annotated[int | None, option("--seed", key="seed", metavar="N")]
Scene = Annotated[str | None, option("--scene-id", key="make.scene_id", metavar="ID", panel=PLACE)]
Job = Annotated[str | None, option("--job", key="job", metavar="ID", panel=PLACE)]
OutputDir = Annotated[str | None, option("--output-dir", key="make.output_dir", metavar="DIR", panel=PLACE)]
DryRun = Annotated[bool, option("--dry-run", key="dry_run", panel=SAFETY)]
MaxCost = Annotated[float | None, option("--max-cost-usd", key="max_cost_usd", metavar="USD", panel=SAFETY)]
Overwrite = Annotated[bool, option("--overwrite", key="overwrite", panel=SAFETY)]
Resubmit = Annotated[bool, option("--resubmit", key="resubmit", panel=SAFETY)]
Consent = Annotated[str | None, option("--consent", key="consent_words", metavar="TEXT", panel=SAFETY)]
NoFaces = Annotated[bool, option("--no-faces", key="no_faces", panel=SAFETY)]
Minor = Annotated[bool, option("--minor", key="make.minor", panel=SAFETY)]

_SHARED = ("job_id", "overwrite", "resubmit", "max_cost_usd", "consent", "no_faces", "minor")


def make(call: Call, kind: type[W], given: Mapping[str, Any], *, files: Iterable[str]) -> Answer:
    """Run a workflow with what was said on the line; `files` name its inputs.

    Raises:
        WrongInput: what cannot be done; nothing is paid.
    """
    root = call.settings().workspace
    said = {name: value for name, value in given.items() if value is not None and name in kind.model_fields}
    said |= {name: input_of(said[name], root) for name in files if name in said}
    return run(call, workflow(kind, said), given)


def run(call: Call, work: Workflow, given: Mapping[str, Any]) -> Answer:
    """Preview a workflow, or ask for permissions, make it and wait."""
    from hoasi.cli.generate import paint, preview

    ask = asked(call, work, given)
    return preview(call, ask) if given["dry_run"] else paint(call, ask)


def asked(call: Call, work: Workflow, given: Mapping[str, Any]) -> Ask:
    """The call as the landing takes it.

    Raises:
        WrongInput: options that contradict each other.
    """
    from hoasi.ask import Ask

    check_numbers({"max_images": None, "num_images": None, **given})
    if given["consent"] is not None and (not given["consent"].strip() or given["no_faces"]):
        raise WrongInput("usage_consent")
    folder = located(given["output_dir"], call.settings().workspace)
    shared: dict[str, Any] = {name: given[name] for name in _SHARED}
    shared["loras"] = loras(given.get("loras"), given.get("film_lora"))
    shared["options"] = options(given.get("options"))
    return Ask(requests=work.requests(), by="cli", client="hoasi", output_dir=folder, **shared)


def workflow(kind: type[W], said: Mapping[str, Any]) -> W:
    """A workflow of what was said.

    Raises:
        WrongInput: names the option and what it takes.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(dict(said))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        expected = str(first.get("ctx", {}).get("expected", first["msg"])).replace("'", "").replace(" or ", ", ")
        raise WrongInput("usage_value_bad", option=_option_of(str(first["loc"][0])), kind=expected) from error


def _option_of(name: str) -> str:
    return {"extend_direction": "--direction"}.get(name, f"--{name.replace('_', '-')}")


def inputs_of(values: Sequence[str] | None, workspace: Path) -> tuple[str, ...]:
    """Inputs, comma separated and repeatable."""
    return tuple(input_of(name, workspace) for name in references(values, Path.cwd()))


def input_of(written: str, workspace: Path) -> str:
    """A file as the shell means it; what is no file (an address, an id) stays as it is written."""
    meant = str(located(written, workspace))
    return meant if (workspace / meant).exists() else written
