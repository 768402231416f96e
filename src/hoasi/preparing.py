"""Landing (floor 4): a call becomes a plan. Reads files and reference pictures; no money, nothing written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from hoasi import catalogue, paths, sources
from hoasi.ask import Ask
from hoasi.errors import PathRefused, WrongInput
from hoasi.messages import say
from hoasi.planning import MAX_IMAGES_A_REQUEST, Site, plan_request
from hoasi.records import Input, Plan, Planned, Request
from hoasi.settings import Settings
from hoasi.sources import Sourced, creative_plan, image_prompts
from hoasi.sources.prompt import clean, styled

DEFAULT_PROVIDER = "fal"
MANY_IMAGES = 20
MOST_IMAGES = 30_000
"""Pictures of one call; SQLite binds at most 32,766 values in a statement."""

_LOG = re.compile(rb"^(total_images\s*=|\[\[generations\]\])", re.MULTILINE)

ReadInputs = Callable[[Sequence[str]], Awaitable[list[Input]]]


async def prepare(ask: Ask, settings: Settings, read_inputs: ReadInputs) -> Plan:
    """Everything decided before money.

    Args:
        ask: the call.
        settings: of this process.
        read_inputs: gives the records of reference pictures, in their order.

    Raises:
        WrongInput: with the file, field and fix. Nothing was done.
    """
    sourced = _sourced(ask, settings.workspace)
    requests, notes = _with_options(ask, sourced)
    site, where_notes = _site(ask, sourced, settings)
    inputs = {written: await read_inputs(written) for written in {request.references for request in requests}}
    items: list[Planned] = []
    for request in requests:
        cards = catalogue.load(request.provider or DEFAULT_PROVIDER)
        prompt = styled(request.prompt, request.style)
        items += plan_request(request, cards, inputs[request.references], site, prompt)
    plan = Plan(job_id=site.job_id, output_dir=site.output_dir, items=tuple(items))
    repeated = [note for item in items for note in item.warnings]
    warnings = dict.fromkeys([*sourced.warnings, *notes, *where_notes, *repeated, *_general(plan, settings)])
    return plan.model_copy(update={"warnings": tuple(warnings)})


def _general(plan: Plan, settings: Settings) -> list[str]:
    """What a person should know of the whole run."""
    told = [say("warning.many_images", count=plan.images)] if plan.images > MANY_IMAGES else []
    is_real = settings.sandbox_url is None or all(item.provider == "local" for item in plan.items)
    return told if is_real else [*told, say("warning.sandbox", url=settings.sandbox_url)]


def _sourced(ask: Ask, workspace: Path) -> Sourced:
    """The requests of the one source that is named."""
    given = [
        name for name in ("prompt", "prompts_toml", "creative_plan", "requests") if getattr(ask, name) not in {None, ()}
    ]
    if len(given) != 1:
        raise WrongInput("source_count", count=len(given))
    if ask.creative_plan is not None:
        path = paths.inside(workspace, ask.creative_plan, what="--from-creative-plan")
        vds = paths.inside(workspace, ask.vds_path, what="--vds-path") if ask.vds_path else None
        return creative_plan.read(
            path,
            workspace=workspace,
            scene_ids=ask.scene_ids,
            all_scenes=ask.all_scenes,
            vds_path=vds,
            references=ask.references,
        )
    if ask.prompts_toml is not None:
        path = paths.inside(workspace, ask.prompts_toml, what="--prompts-toml")
        return image_prompts.read(path, workspace=workspace, scene_ids=ask.scene_ids)
    return Sourced(requests=ask.requests or (_one(ask),), job_id=None)


def _one(ask: Ask) -> Request:
    """The request of a single prompt; a scene id only names it."""
    scene = Request.model_fields["scene"].default.model_copy(update={"id": (ask.scene_ids or ("",))[0]})
    return Request(prompt=clean(ask.prompt or ""), scene=scene, origin="--prompt")


def _with_options(ask: Ask, sourced: Sourced) -> tuple[list[Request], list[str]]:
    """The requests with the call's options; pictures of one scene are numbered through."""
    notes: list[str] = []
    used: Counter[str] = Counter()
    requests = []
    for request in sourced.requests:
        provider, model = _maker(ask, request, notes)
        options = {
            "provider": provider,
            "model": model,
            "references": ask.references or request.references,
            "aspect_ratio": ask.aspect_ratio or request.aspect_ratio or sourced.aspect_ratio,
            "first_idx": used[request.scene.id] + 1,
            **{name: value for name in _PLAIN if (value := getattr(ask, name)) is not None},
        }
        requests.append(request.model_copy(update=options))
        used[request.scene.id] += _counted(requests[-1])
        if used.total() > MOST_IMAGES:
            raise WrongInput("too_many_images", limit=MOST_IMAGES)
    return requests, list(dict.fromkeys(notes))


_PLAIN = ("seed", "num_images", "resolution", "negative_prompt", "output_format", "style")


def _counted(request: Request) -> int:
    """How many pictures; a number out of all bounds is refused before it is used for anything."""
    if not 1 <= request.num_images <= MAX_IMAGES_A_REQUEST:
        raise WrongInput("num_images_out_of_range", value=request.num_images, limit=MAX_IMAGES_A_REQUEST)
    return request.num_images


def _maker(ask: Ask, request: Request, notes: list[str]) -> tuple[str, str | None]:
    """Provider and model: what the call says wins; a model names its provider; fal is the default, never local."""
    model = ask.model or request.model
    owner = next((card.provider for card in catalogue.every_card() if card.id == model), None)
    provider = ask.provider or request.provider or owner or DEFAULT_PROVIDER
    if ask.model is None and model is not None and owner not in {None, provider}:
        notes.append(say("note.model_replaced", model=model, provider=provider))
        return provider, None
    return provider, model


def _report(path: Path) -> Path:
    """A file that is ours to write: new, empty, or a log; never a plan, a record of consent, or a key file.

    Raises:
        PathRefused: it is something else.
    """
    is_log = not path.exists() or (path.is_file() and _LOG.search(path.read_bytes()[:65536]) is not None)
    if path.suffix != ".toml" or path.name.startswith(".") or not (is_log or path.stat().st_size == 0):
        raise PathRefused("report_not_log", path=path)
    return path


def _site(ask: Ask, sourced: Sourced, settings: Settings) -> tuple[Site, list[str]]:
    """Folders and logs, and what to say about them."""
    root = settings.workspace
    folder = paths.inside(root, ask.output_dir, what="--output-dir") if ask.output_dir else None
    report = _report(paths.inside(root, ask.report_toml, what="--report-toml")) if ask.report_toml else None
    found = [sources.job_of(path / "x", root) for path in (folder, report) if path is not None]
    job_id = ask.job_id or sourced.job_id or next((job for job in found if job), None) or ""
    if job_id:
        job = paths.job_dir(root, job_id)
        folder = folder or job / "input/raw_assets/images/ai_generated"
        report = report or job / "source/ai_image_generation.toml"
    folder = folder or root / "outputs"
    if any(part.startswith(".") for part in folder.relative_to(root).parts):
        raise PathRefused("folder_hidden", path=folder)
    site = Site(
        job_id=job_id,
        output_dir=paths.relative(root, folder),
        log_path=paths.relative(root, report or folder / "ai_image_generation.toml"),
        semantics_path=f"jobs/{job_id}/source/asset_semantics.toml" if job_id else "",
        realm=settings.realm,
    )
    unwatched = job_id and not paths.is_watched(root, folder, job_id)
    return site, [say("warning.unwatched", folder=site.output_dir, job=job_id)] if unwatched else []
