"""Door (floor 5): pictures for other teams' pipelines, for scripts: plain calls that wait until the pictures are there.

    from hoasi.scenes import ImageGenerator

    maker = ImageGenerator(provider="openai", style="photorealistic")
    maker.generate_all("planning/scenes.yaml", "frames", resolution="1920x1080")
    maker.regenerate_scene(3)

An equal call gives the same pictures, unpaid; a changed prompt buys that picture only, under its old name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoasi.answers import ErrorView, Reply
from hoasi.ask import Ask
from hoasi.errors import NotFound, WrongInput
from hoasi.exports.records import AssetRecord, record
from hoasi.record import Record
from hoasi.records import Generation
from hoasi.scripting import at_once, error_of, run, told, warned
from hoasi.sources.scenes_yaml import SIZE
from hoasi.studio import Studio

__all__ = ["ImageGenerator", "Picture", "as_before", "ask_for", "source_of"]

AT_ONCE = 4
MOST_LISTED = 200
SOURCES = ("planning/scenes.yaml", "planning/scenes.yml", "scenes.yaml", "scenes.yml", "script.json")
"""Where a project's prompts are looked for, in this order."""


class Picture(Record):
    """One picture of a call. `path` is None where it was not made; then `error` says why, and whether it was paid."""

    scene_id: int
    path: Path | None
    state: str
    prompt: str
    sent_prompt: str
    cost_usd: float | None
    generation_id: str
    error: ErrorView | None = None
    asset: AssetRecord | None = None
    """Its record, in a script's project."""


class ImageGenerator:
    """Makes the pictures of a `scenes.yaml` or `script.json` through the engine of a workspace.

    Args:
        provider: who makes them; a usual call names one (`openai`, `fal`, `stability`, `local` ...).
        style: `photorealistic`, `illustration`, `minimalist`, or one of the workspace's registry.
        model: the provider's usual one if not given.
        max_concurrent: at most so many at once.
        workspace: default: found from the current folder.
        env_file: instead of the workspace's `.env`.
        environ: instead of the process's environment.
    """

    def __init__(
        self,
        provider: str | None = None,
        style: str | None = None,
        *,
        model: str | None = None,
        max_concurrent: int = AT_ONCE,
        workspace: Path | str | None = None,
        env_file: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._said = {"provider": provider, "style": style, "model": model}
        self._place: dict[str, Any] = {"workspace": workspace, "env_file": env_file, "environ": environ}
        self._most = max_concurrent
        self._last: Path | str | None = None
        self.warnings: tuple[str, ...] = ()
        """What a person should know of the latest call."""

    def generate_all(
        self,
        scenes_path: Path | str,
        output_dir: Path | str | None = None,
        resolution: str = SIZE,
        *,
        overwrite: bool = False,
        resubmit: bool = False,
        max_cost_usd: float | None = None,
    ) -> list[Picture]:
        """Every picture of a file, in its order; one that fails takes no other away. Costs money, once.

        Args:
            scenes_path: a `scenes.yaml` or `script.json`.
            output_dir: default: the folder that belongs to the file (`frames`, `projects/<project_id>`).
            resolution: width x height in pixels; results are cut and scaled to it.
            overwrite: buy again what is there.
            resubmit: buy again what nobody knows whether it was paid (state `unknown`); it may be paid twice.
            max_cost_usd: refuse if dearer.

        Raises:
            WrongInput: the file or the call cannot be used; nothing was paid for any.
        """
        self._last = scenes_path
        said = {"overwrite": overwrite, "resubmit": resubmit, "max_cost_usd": max_cost_usd}
        pictures, _ = run(self._made(ask_for(scenes_path, output_dir, resolution, **self._said, **said)))
        return pictures

    def regenerate_scene(
        self,
        scene_id: int | str,
        output_dir: Path | str | None = None,
        *,
        scenes_path: Path | str | None = None,
        resolution: str | None = None,
        resubmit: bool = False,
    ) -> Picture:
        """One picture anew: bought again, with another seed, under its old name.

        Maker, style and size that were not said are those of the picture that was last asked for under that name.

        Args:
            scene_id: the scene's id; in a script, the number of the picture.
            output_dir: as `generate_all`.
            scenes_path: default: the file of the latest `generate_all`, else that of the project of `output_dir`.
            resolution: width x height in pixels.
            resubmit: as `generate_all`: also if nobody knows whether the last one was paid.

        Raises:
            NotFound: no such scene. WrongInput: nothing was paid. GenerationFailed: its `paid` tells.
            PaymentUnknown: nobody knows; only `resubmit` buys it again.
        """
        path = scenes_path or self._last or _beside(output_dir, told(self._place).workspace)
        said = {**self._said, "overwrite": True, "resubmit": resubmit, "scene_ids": (str(scene_id),)}
        ask = ask_for(path, output_dir, resolution, **said)
        (picture,), (made,) = run(self._made(ask))
        if picture.path is None:
            raise error_of(made)
        return picture

    async def _made(self, ask: Ask) -> tuple[list[Picture], list[Generation]]:
        place = at_once(self._place, self._most)
        async with Studio(**place) as studio:
            batch = await studio.begin(await as_before(studio, ask) if ask.scene_ids else ask)
            reply = await studio.wait(batch)
            self.warnings = warned(reply)
            made = studio.generations(batch.ids)
            return _pictures(reply, made), made


def ask_for(scenes_path: Path | str, output_dir: Path | str | None, resolution: str | None, **said: Any) -> Ask:
    """The call as the landing takes it."""
    folder = None if output_dir is None else str(output_dir)
    return Ask(prompts_toml=str(scenes_path), output_dir=folder, resolution=resolution, **said)


async def as_before(studio: Studio, ask: Ask) -> Ask:
    """The call for one scene with what it leaves out as it was when its name was last asked for: maker, style, size."""
    planned = (await studio.plan(ask)).items[0]
    listed, _ = studio.list(scene_id=planned.request.scene.id, limit=MOST_LISTED)
    ids = [entry.id for entry in listed.generations]
    made = studio.generations(ids) if ids else []
    last = next((one.planned for one in made if one.planned.fixed_name == planned.fixed_name), None)
    if last is None:
        return ask
    said = {"provider": last.provider, "model": last.model, "style": last.request.style}
    said["resolution"] = last.request.prefers.get("target_size") if ask.aspect_ratio is None else None
    left = {"model"} if ask.provider not in {None, last.provider} else set()
    missing = {key: value for key, value in said.items() if getattr(ask, key) is None and key not in left}
    return ask.model_copy(update=missing)


def source_of(project: Path) -> Path:
    """The file of prompts of a project's folder.

    Raises:
        NotFound: there is none.
    """
    found = next((project / name for name in SOURCES if (project / name).is_file()), None)
    if found is None:
        raise NotFound("visual_source_missing", folder=project, names=", ".join(SOURCES))
    return found


def _beside(output_dir: Path | str | None, workspace: Path) -> Path:
    """The file that belongs to a folder of pictures.

    Raises:
        WrongInput: no folder is named. NotFound: its project has none.
    """
    if output_dir is None:
        raise WrongInput("visual_file_unsaid")
    folder = workspace / output_dir
    return source_of(folder.parent if folder.name == "frames" else folder)


def _pictures(reply: Reply, generations: list[Generation]) -> list[Picture]:
    """What a reply says, with both prompts."""
    return [
        Picture(
            scene_id=int(made.planned.request.scene.id),
            path=Path(entry.outputs[0]) if entry.outputs else None,
            state=entry.state,
            prompt=made.planned.request.prompt,
            sent_prompt=made.planned.prompt,
            cost_usd=entry.cost_usd,
            generation_id=made.id,
            error=entry.error,
            asset=record(made) if made.planned.records_path and entry.outputs else None,
        )
        for entry, made in zip(reply.generations, generations, strict=True)
    ]
