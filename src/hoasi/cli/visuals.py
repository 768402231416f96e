"""Hall (floor 6): `visuals generate|regenerate`: pictures for another team's `scenes.yaml` or `script.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoasi.cli import making
from hoasi.cli.answer import Answer
from hoasi.cli.frame import Call, call_of, run
from hoasi.cli.making import option
from hoasi.cli.words import check_numbers, located
from hoasi.errors import WrongInput

if TYPE_CHECKING:
    from hoasi.ask import Ask
    from hoasi.studio import Studio

PROJECT = "help.heads.project"
Text = str | None
Project = Annotated[Text, option("--project", key="visuals.project", metavar="DIR", panel=PROJECT)]
Source = Annotated[Text, option("--source", key="visuals.source", metavar="FILE", panel=PROJECT)]
Provider = Annotated[Text, option("--provider", key="provider", metavar="NAME")]
OutputDir = Annotated[Text, option("--output-dir", key="visuals.output_dir", metavar="DIR", panel=making.PLACE)]
Style = Annotated[Text, option("--style", key="style", metavar="NAME")]
Resolution = Annotated[Text, option("--resolution", key="visuals.resolution", metavar="WxH")]
AtOnce = Annotated[int, option("--at-once", key="visuals.at_once", metavar="N", panel=making.SAFETY)]
MaxImages = Annotated[int | None, option("--max-images", key="max_images", metavar="N", panel=making.SAFETY)]


def generate(
    context: typer.Context,
    *,
    project: Project = None,
    source: Source = None,
    provider: Provider = None,
    model: making.Model = None,
    style: Style = None,
    resolution: Resolution = None,
    seed: making.Seed = None,
    output_dir: OutputDir = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    max_images: MaxImages = None,
    at_once: AtOnce = 4,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
) -> Answer:
    """Make the pictures of a project that are not there yet. Costs money at a provider that does."""
    return _made(call_of(context), dict(locals()))


def regenerate(
    context: typer.Context,
    *,
    scene: Annotated[str, option("--scene", key="visuals.scene", metavar="N", panel=PROJECT)],
    project: Project = None,
    source: Source = None,
    provider: Provider = None,
    model: making.Model = None,
    style: Style = None,
    resolution: Resolution = None,
    seed: making.Seed = None,
    output_dir: OutputDir = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    resubmit: making.Resubmit = False,
) -> Answer:
    """Make the picture of one scene anew, under its old name. It is bought again."""
    more = {"overwrite": True, "max_images": None, "at_once": 1, "scene_ids": (scene,)}
    return _made(call_of(context), {**dict(locals()), **more})


@dataclass(frozen=True)
class _Measured(Call):
    """A command line that keeps to so many places at a provider."""

    provider: str = ""
    most: int = 4

    def studio(self) -> Studio:
        """As every command line's, with its places."""
        from hoasi.scripting import at_once
        from hoasi.studio import Studio

        spoken = {"HOASI_LANG": self.lang} if self.lang else {}
        environ = {**self.settings().environ, **spoken}
        place = {"workspace": self.workspace, "env_file": self.env_file, "environ": environ}
        return Studio(**at_once(place, self.most))


def _made(call: Call, given: dict[str, Any]) -> Answer:
    """Preview, or make, wait, and tell the records of a script's project.

    Raises:
        WrongInput: what cannot be done; nothing is paid.
    """
    from hoasi.cli.generate import paint, preview
    from hoasi.scenes import ask_for

    check_numbers({"num_images": None, **given})
    if given["at_once"] < 1:
        raise WrongInput("usage_value_bad", option="--at-once", kind="1, 2, 3 ...")
    names = ("provider", "model", "style", "seed", "max_cost_usd", "max_images", "overwrite", "resubmit", "scene_ids")
    said = {name: given[name] for name in names if given.get(name) is not None}
    root = call.settings().workspace
    folder = located(given["output_dir"], root)
    ask = ask_for(_source(given, root), folder, given["resolution"], **said, by="cli", client="hoasi")
    facts = {field.name: getattr(call, field.name) for field in fields(call)}
    here = _Measured(**facts, most=given["at_once"])
    if ask.scene_ids:
        ask = run(_as_before(here, ask))
    return preview(here, ask) if given["dry_run"] else _with_records(paint(here, ask))


async def _as_before(call: Call, ask: Ask) -> Ask:
    from hoasi.scenes import as_before

    async with call.studio() as studio:
        return await as_before(studio, ask)


def _source(given: dict[str, Any], root: Path) -> str:
    """The file that is named, else that of the project (default: the current folder)."""
    from hoasi.scenes import source_of

    if given["source"] is not None:
        return str(located(given["source"], root))
    project = given["project"]
    return str(source_of(Path.cwd() if project is None else root / str(located(project, root))))


def _with_records(answer: Answer) -> Answer:
    """The answer with what the files of asset records beside its pictures say."""
    folders = {Path(path).parent for entry in answer.reply.generations for path in entry.outputs}
    found = [folder / "assets.json" for folder in sorted(folders)]
    rows = [row for path in found if path.is_file() for row in json.loads(path.read_text(encoding="utf-8"))]
    return replace(answer, facts={**answer.facts, "assets": rows}) if rows else answer
