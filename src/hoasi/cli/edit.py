"""Hall (floor 6): the command `edit`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hoasi.cli import making
from hoasi.cli.answer import Answer
from hoasi.cli.frame import call_of
from hoasi.cli.making import INPUT, option
from hoasi.cli.words import listed, options

Text = str | None
Texts = list[str] | None


def edit(
    context: typer.Context,
    *,
    images: Annotated[list[str], typer.Argument(help="help.make.images", metavar="IMAGE")],
    prompt: Annotated[Text, option("--prompt", key="make.edit_prompt", panel=INPUT)] = None,
    mask: Annotated[Text, option("--mask", key="make.mask", metavar="FILE", panel=INPUT)] = None,
    preset: Annotated[Text, option("--preset", key="make.preset", metavar="NAME", panel=INPUT)] = None,
    choices: Annotated[Texts, option("--choice", key="make.choice", metavar="A,B", panel=INPUT)] = None,
    style_tags: Annotated[Texts, option("--style-tags", key="make.style_tags", metavar="A,B", panel=INPUT)] = None,
    season: Annotated[Text, option("--season", key="make.season", panel=INPUT)] = None,
    gender: Annotated[Text, option("--gender", key="make.gender", panel=INPUT)] = None,
    platform: Annotated[Text, option("--platform", key="make.platform", metavar="NAME", panel=INPUT)] = None,
    direction: Annotated[Text, option("--direction", key="avatar.direction", panel=INPUT)] = None,
    intensity: Annotated[float | None, option("--intensity", key="avatar.intensity", metavar="N", panel=INPUT)] = None,
    keep_background: Annotated[bool, option("--keep-background", key="avatar.keep_background", panel=INPUT)] = False,
    avatar: Annotated[Text, option("--avatar", key="avatar.use", metavar="ID", panel=INPUT)] = None,
    num_images: Annotated[int | None, option("--num-images", key="make.num_images", metavar="N")] = None,
    resolution: Annotated[Text, option("--resolution", key="make.resolution")] = None,
    aspect_ratio: Annotated[Text, option("--aspect-ratio", key="make.aspect_ratio", metavar="W:H")] = None,
    loras: Annotated[Texts, option("--lora", key="styles.lora", metavar="NAME[:W][@URL]")] = None,
    film_lora: Annotated[Text, option("--film-lora", key="styles.film", metavar="NAME[:W][@URL]")] = None,
    options: Annotated[Texts, option("--option", key="styles.option", metavar="NAME=VALUE")] = None,
    provider: making.Provider = None,
    model: making.Model = None,
    seed: making.Seed = None,
    scene_id: making.Scene = None,
    job_id: making.Job = None,
    output_dir: making.OutputDir = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
    consent: making.Consent = None,
    no_faces: making.NoFaces = False,
    minor: making.Minor = False,
) -> Answer:
    """Change or combine pictures by words or by a preset. Costs a picture a result."""
    given = dict(locals())
    call = call_of(context)
    root = call.settings().workspace
    given["mask"] = mask if mask is None else making.input_of(mask, root)
    return making.run(call, _edit(given, tuple(making.input_of(name, root) for name in images)), given)


def _edit(given: dict[str, Any], images: tuple[str, ...]) -> Any:
    """The edit that is meant, of what was said."""
    from hoasi.workflows import editing

    names = ("prompt", "season", "gender", "platform", "direction", "intensity", "keep_background", "avatar", "mask")
    more = ("num_images", "resolution", "aspect_ratio", "provider", "model", "seed", "scene_id")
    said = {name: given[name] for name in (*names, *more) if given[name] is not None and given[name] is not False}
    said |= {"options": options(given["options"])} if given["options"] else {}
    lists = {name: listed(given[name]) for name in ("choices", "style_tags") if given[name]}
    return editing(given["preset"], {**said, **lists, "images": images})
