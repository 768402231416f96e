"""Hall (floor 6): the command `swap-face`."""

from __future__ import annotations

from typing import Annotated

import typer

from hoasi.cli import making
from hoasi.cli.answer import Answer
from hoasi.cli.frame import call_of
from hoasi.cli.making import option


def swap_face(
    context: typer.Context,
    *,
    source: Annotated[str, typer.Argument(help="help.make.source", metavar="SOURCE")],
    face: Annotated[str, typer.Argument(help="help.make.face", metavar="FACE")],
    prompt: Annotated[str | None, option("--prompt", key="make.wish")] = None,
    face_index: Annotated[int | None, option("--face-index", key="make.face_index", metavar="N")] = None,
    resolution: Annotated[str | None, option("--resolution", key="make.resolution")] = None,
    aspect_ratio: Annotated[str | None, option("--aspect-ratio", key="make.aspect_ratio", metavar="W:H")] = None,
    animate: Annotated[bool, option("--animate", key="make.animate")] = False,
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
    """Put a face into a picture. Costs a picture, and a clip with `--animate`."""
    given = dict(locals())
    from hoasi.workflows import SwapFace

    return making.make(call_of(context), SwapFace, given, files=("source", "face"))
