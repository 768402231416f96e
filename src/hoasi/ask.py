"""Landing (floor 4): what a caller may ask for, in one record; doors, command line and Python API all fill it."""

from __future__ import annotations

from typing import Literal

from hoasi.given import Lora
from hoasi.record import OptionValue, Record, Seed
from hoasi.records import Request


class Ask(Record):
    """One call. Exactly one source is given: `prompt`, `prompts_toml`, `creative_plan` or `requests`.

    Paths are relative to the workspace or absolute inside it. `None` means "not given". Options apply to every request
    of the source that does not say otherwise itself; `references` replace those of the source.
    """

    prompt: str | None = None
    prompts_toml: str | None = None
    """`image_prompts.toml`; also another team's `scenes.yaml` or `script.json`, told by its ending."""
    creative_plan: str | None = None
    requests: tuple[Request, ...] = ()

    job_id: str | None = None
    scene_ids: tuple[str, ...] = ()
    all_scenes: bool = False
    vds_path: str | None = None

    provider: str | None = None
    model: str | None = None
    seed: Seed = None
    num_images: int | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    negative_prompt: str | None = None
    output_format: str | None = None
    references: tuple[str, ...] = ()
    mask: str | None = None
    """White, or transparent, is painted anew in the first of the references: then the `prompt` is an edit."""
    style: str | None = None
    avatar: str | None = None
    """Whose face it shows: the id of an avatar, `avatars/<id>`."""
    loras: tuple[Lora, ...] = ()
    options: dict[str, OptionValue] = {}
    """Further parameters of a model; `list_models` names them."""

    output_dir: str | None = None
    """Folder of the pictures; default: the job's `input/raw_assets/images/ai_generated`, else `outputs`."""
    report_toml: str | None = None
    """The log; default: the job's `source/ai_image_generation.toml`, else beside the pictures."""

    overwrite: bool = False
    resubmit: bool = False
    max_cost_usd: float | None = None
    max_images: int | None = None

    consent: str | None = None
    """The user's own words that permit the reference pictures to be sent."""
    no_faces: bool = False
    """The caller's claim that no reference picture shows a face."""
    minor: bool = False
    """The caller says that a picture shows a minor: refused, for good."""
    by: Literal["cli", "elicitation", "argument", "python"] = "python"
    client: str = "python"
