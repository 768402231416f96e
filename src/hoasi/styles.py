"""Door (floor 5): pictures in styles, for scripts: plain calls that wait until the picture is there.

    from hoasi.styles import ImageGenerator

    made = ImageGenerator().generate_image("a fisherman at dawn", style_id="ink")

Each call plans, pays at most once, waits, and gives a plain record. An equal call gives the same picture, unpaid. Who
makes it is a setting of the generator: `runpod` (the usual) or `comfyui`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from hoasi import errors, files, paths
from hoasi.ask import Ask
from hoasi.bringing import told_in
from hoasi.comfy import styles as registry
from hoasi.comfy.builder import LoraSaid, WorkflowBuilder, wanted, wanted_all
from hoasi.comfy.loras import Wanted
from hoasi.comfy.styles import Style
from hoasi.given import Given, Lora
from hoasi.records import Generation, Request, State, iso
from hoasi.scripting import error_of, run, texts
from hoasi.sources.looks import registered
from hoasi.studio import Studio

__all__ = ["ImageGenerator", "WorkflowBuilder"]

FOLDER, ORIGIN = "outputs", "hoasi.styles"
"""Where the ledger's own files lie; a style's pictures are copied into its folder."""

_SAFETY = ("overwrite", "resubmit", "max_cost_usd", "consent", "no_faces")
T = TypeVar("T")


class _Usual(int):
    """A number that nobody said: a style's own comes before it."""


STEPS, WIDTH, HEIGHT = _Usual(20), _Usual(1360), _Usual(768)
GUIDES = {"mask": "inpaint", "pose_image": "pose", "control_image": "control", "image": "image-to-image"}
"""A picture that is given -> the model that starts from it, or is guided by it."""


class ImageGenerator:
    """Makes pictures through the engine of a workspace (default: found from the current folder).

    Args:
        workspace: holds `.env`, the styles' registry and the ledger.
        provider: who makes them: `runpod` or `comfyui`.
        env_file: instead of the workspace's `.env`.
        environ: instead of the process's environment.
    """

    def __init__(
        self,
        workspace: Path | str | None = None,
        *,
        provider: str = "runpod",
        env_file: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._place: dict[str, Any] = {"workspace": workspace, "env_file": env_file, "environ": environ}
        self._provider = provider

    def generate_image(
        self,
        prompt: str,
        style_id: str | None = None,
        width: int = WIDTH,
        height: int = HEIGHT,
        steps: int = STEPS,
        seed: int = -1,
        character_loras: Sequence[LoraSaid] | None = None,
        save_to_style: bool = True,  # noqa: FBT001, FBT002  (the signature that scripts know)
        filename: str | None = None,
        *,
        image: str | None = None,
        mask: str | None = None,
        control_image: str | None = None,
        pose_image: str | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """One picture. Costs money at a provider that does, once.

        Args:
            prompt: a style's words are put around it.
            style_id: id or title of a registered style, or a style of the house.
            width: in pixels, rounded to 16; where nothing is said, 1360, or that of `image`, or of the `template`.
            height: likewise, 768.
            steps: where nothing is said, the style's own, else 20, or those of the `template`.
            seed: -1: one that follows from everything else.
            character_loras: names, (name, weight), or objects with name, weight, url.
            save_to_style: put it into the style's folder as `generated_<UTC>_<8 hex>.png`.
            filename: its name instead, within that folder, or a path within the workspace.
            image: starts from this picture; `denoise` says how much of it is new, 0 to 1 (0.6, with `mask` 0.9, unless
                the style says).
            mask: a picture of the size of `image`, which is painted anew only where the mask is white or transparent.
            control_image: guided by a ready control picture (a drawn pose, depth, edges); needs `control_net`.
            pose_image: guided by the pose of the person in this photo; needs `control_net`.
            settings: `film_lora`, `provider`, `overwrite`, `consent` (the words of people whose picture is sent) or
                `no_faces`, `max_cost_usd` (refuse if dearer), `resubmit` (buy again what nobody knows whether it was
                paid; it may be paid twice), and further parameters of the model: `mode`, `template`, `denoise`,
                `control_strength` ... Pictures are paths in the workspace, https addresses, or ids of results of hoasi.

        Returns:
            request_id, status, images (base64; more than one where a template of your own makes more), seed, style_id,
            saved_path (of the first; the others lie in `outputs`), metadata.

        Raises:
            WrongInput: nothing was paid. GenerationFailed, PaymentUnknown: its `paid` tells.
        """
        given = {**settings, "width": width, "height": height, "steps": steps, "seed": seed}
        given |= {"character_loras": character_loras, "save_to_style": save_to_style, "filename": filename}
        given |= {"image": image, "mask": mask, "control_image": control_image, "pose_image": pose_image}
        made = run(_made(self._place, [prompt], style_id, {"provider": self._provider, **given}))[0]
        if isinstance(made, errors.HoasiError):
            raise made
        return made

    def generate_image_with_style(self, prompt: str, style_id: str, **settings: Any) -> dict[str, Any]:
        """As `generate_image`, in a style."""
        return self.generate_image(prompt, style_id, **settings)

    def generate_batch(
        self, prompts: Sequence[str], style_id: str | None = None, **settings: Any
    ) -> list[dict[str, Any] | None]:
        """A picture of each prompt, made together; None where one failed. Settings as `generate_image`.

        A text alone is the only prompt.

        Raises:
            WrongInput: one of them cannot be made as it stands; nothing was paid for any.
        """
        given = {"provider": self._provider, **settings}
        made = run(_made(self._place, prompts, style_id, given)) if prompts else []
        return [None if isinstance(one, errors.HoasiError) else one for one in made]


async def _made(
    place: Mapping[str, Any], prompts: Sequence[str], style_id: str | None, given: dict[str, Any]
) -> list[dict[str, Any] | errors.HoasiError]:
    """A record of each prompt, or why there is none."""
    given = dict(given)
    filename, is_saved = given.pop("filename", None), given.pop("save_to_style", True)
    safety = {name: given.pop(name) for name in _SAFETY if name in given}
    async with Studio(**place) as studio:
        style = registered(style_id, studio.settings.workspace)
        if filename is not None:
            _inside(filename, studio.settings.workspace)
        requests = _requests(prompts, style_id, style, given)
        batch = await studio.begin(Ask(requests=requests, output_dir=FOLDER, **safety))
        await studio.wait(batch)
        ended = studio.generations(batch.ids)
        target = (style if is_saved else None, filename)
        return [_record(one, studio.settings.workspace, style_id, style, target) for one in ended]


def _requests(
    prompts: Sequence[str], style_id: str | None, style: Style | None, given: dict[str, Any]
) -> tuple[Request, ...]:
    """What is asked for; of what nobody said, a style's own comes first."""
    provider, seed = given.pop("provider"), given.pop("seed", -1)
    people, film = wanted_all(given.pop("character_loras", None)), given.pop("film_lora", None)
    loras = [_lora(one, "character") for one in people] + ([] if film is None else [_lora(wanted(film), "film")])
    facts = {"style": style_id, "provider": provider, "seed": None if seed == -1 else seed, "loras": loras}
    facts |= _guided(provider, given)
    options = {"width": WIDTH, "height": HEIGHT, "steps": STEPS, **given}
    others = {"steps"} if style is not None and style.steps is not None else set()
    others |= {"width", "height"} if "operation" in facts else set()
    others |= {"width", "height", "steps"} if given.get("template") else set()
    said = {
        name: int(value) if isinstance(value, _Usual) else value
        for name, value in options.items()
        if value is not None and not (name in others and isinstance(value, _Usual))
    }
    return tuple(
        Request.model_validate({"prompt": prompt, "options": said, "origin": ORIGIN, **facts})
        for prompt in texts(prompts, ORIGIN)
    )


def _guided(provider: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a request says of the pictures that it starts from or is guided by; they are taken out of what is given.

    Raises:
        WrongInput: a mask without picture, or pictures for several purposes.
    """
    pictures = {name: taken for name in GUIDES if (taken := given.pop(name, None)) is not None}
    if not pictures:
        return {}
    mask, purpose = pictures.pop("mask", None), next(iter(pictures), "mask")
    if len(pictures) != 1 or (mask is not None and purpose != "image"):
        raise errors.WrongInput("styles_guides", names=", ".join([*pictures, *(["mask"] if mask else [])]))
    model = f"{provider}/flux-dev/{GUIDES['mask' if mask else purpose]}"
    facts: dict[str, Any] = {"model": model, "references": (pictures[purpose],)}
    inputs = [Given(role="mask", written=mask)] if mask else []
    return facts | ({"operation": "edit_image", "inputs": inputs} if purpose == "image" else {})


def _lora(lora: Wanted, kind: str) -> Lora:
    return Lora.model_validate({"name": lora.name, "kind": kind, "weight": lora.weight, "url": lora.url})


# ---------------------------------------------------------------------- what comes back


def _record(
    made: Generation, root: Path, style_id: str | None, style: Style | None, target: tuple[Style | None, str | None]
) -> dict[str, Any] | errors.HoasiError:
    if made.state is not State.SUCCEEDED or made.problem is not None:
        return error_of(made)
    artifact = made.artifacts[0]
    contents = [(root / one.path).read_bytes() for one in made.artifacts]
    at = made.finished_at or made.created_at
    metadata = {
        "prompt": made.planned.request.prompt,
        "width": artifact.width,
        "height": artifact.height,
        "steps": _steps(made, style),
        "style_title": style.title if style else None,
        "timestamp": iso(at),
        "generation_id": made.id,
        "cost_usd": made.cost_usd,
    }
    return {
        "request_id": f"img_{hashlib.sha256(made.id.encode()).hexdigest()[:8]}",
        "status": "completed",
        "images": [base64.b64encode(content).decode() for content in contents],
        "seed": made.planned.seed,
        "style_id": style_id,
        "saved_path": str(_saved(root, made, contents[0], at, target)),
        "metadata": metadata,
    }


def _steps(made: Generation, style: Style | None) -> int | None:
    """How many were asked for; None where a template of the caller's had its own."""
    usual = None if "template" in made.planned.parameters else int(STEPS)
    steps: int | None = made.planned.parameters.get("steps", style.steps if style and style.steps else usual)
    return steps


def _saved(root: Path, made: Generation, content: bytes, at: float, target: tuple[Style | None, str | None]) -> Path:
    """Where a caller finds it: a copy in the style's folder or under the name that was given; else the engine's file.

    The ledger keeps its own file, so that an equal call is known to be made. Another's file is never replaced.
    """
    style, filename = target
    path, token = made.artifacts[0].path, hashlib.sha256(content).hexdigest()[:8]
    if style is None and filename is None:
        return root / path
    folder = root / (registry.folder(style) if style is not None else FOLDER)
    name = filename or registry.file_name(datetime.fromtimestamp(at, UTC), token)
    final = folder / name if Path(name).name == name else _inside(name, root)
    final = final if final.suffix else final.with_name(f"{final.name}{Path(path).suffix}")
    content = _as_png(content, made) if final.suffix.lower() == ".png" else content
    if final.is_file() and final.read_bytes() != content:
        final = final.with_name(f"{final.stem}_{token}{final.suffix}")
    files.replace_file(final, content, f".hoasi-0-{token}-copy.tmp")
    return final


def _as_png(content: bytes, made: Generation) -> bytes:
    """What a worker saved in another form, as the PNG that its name promises."""
    from hoasi.media import cut, provenance

    picture = made.artifacts[0]
    if picture.media_type == "image/png":
        return content
    png = cut.to_size(content, "image/png", (picture.width, picture.height))
    return provenance.embed(png, "image/png", told_in(made))


def _inside(filename: str, root: Path) -> Path:
    """A path within the workspace, none of whose parts is hidden.

    Raises:
        PathRefused: it leaves the workspace, or is hidden.
    """
    final = paths.inside(root, filename, what="filename")
    if any(part.startswith(".") for part in final.relative_to(root).parts):
        raise errors.PathRefused("folder_hidden", path=final)
    return final
