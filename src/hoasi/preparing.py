"""Landing (floor 4): a call becomes a plan. Reads files and reference pictures; no money, nothing written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from hoasi import catalogue, choosing, gates, paths, shaping, sources, wearing
from hoasi.ask import Ask
from hoasi.choosing import AUTO, DEFAULT_PROVIDER
from hoasi.consent import behind
from hoasi.errors import PathRefused, WrongInput
from hoasi.given import Given, Input
from hoasi.messages import say
from hoasi.planning import Site
from hoasi.reading import Look
from hoasi.record import Media, Operation
from hoasi.records import Plan, Planned, Request
from hoasi.requirements import MAX_IMAGES_A_REQUEST
from hoasi.settings import Settings
from hoasi.shapes import LEAST_SIDE, MOST_SIDE, pixels
from hoasi.sources import Sourced, creative_plan, image_prompts, looks, scenes_yaml, script_json
from hoasi.sources.prompt import clean

MANY_IMAGES = 20
MOST_IMAGES = 30_000
"""Pictures of one call; SQLite binds at most 32,766 values in a statement."""

_LOG = re.compile(rb"^(total_(?:images|videos)\s*=|\[\[generations\]\])", re.MULTILINE)

CLIPS = frozenset(
    {"text_to_video", "image_to_video", "reference_to_video", "motion_control", "extend_video", "lip_sync"}
)
"""Operations that make clips."""
FOLDERS: dict[Media, str] = {"image": "images", "video": "videos"}
RECORDS = "assets.json"
LOGS: dict[Media, str] = {"image": "ai_image_generation.toml", "video": "ai_video_generation.toml"}


class ReadInputs(Protocol):
    """Gives the records of inputs, in their order, with their faces looked for as far as it matters."""

    async def __call__(self, given: Sequence[Given], *, look: Look) -> list[Input]:
        """Read them."""
        ...


async def prepare(ask: Ask, settings: Settings, read_inputs: ReadInputs) -> Plan:
    """Everything decided before money.

    Raises:
        WrongInput: with the file, field and fix. Nothing was done.
    """
    sourced = _sourced(ask, settings.workspace)
    requests, notes = _with_options(ask, sourced)
    requests, shown = wearing.worn_by(requests, settings.workspace)
    home = looks.home((request.style for request in requests), settings.workspace)
    sites = {media: _site(ask, sourced, settings, media, home) for media in dict.fromkeys(map(media_of, requests))}
    job_id = next((site.job_id for site, _ in sites.values()), "")
    requests, unread = shaping.shaped(requests, job_id, settings.workspace)
    made: list[tuple[Planned, ...]] = []
    for request in requests:
        written = [given for given in request.given if given.of is None]
        read = await read_inputs(written, look=_look(request)) if written else []
        found = _with_promises(request, read, made)
        ways = [looks.dressed(way, settings.workspace) for way in request.ways]
        site = sites[media_of(request)][0]
        planned = choosing.plan_first(ways, found, site, settings)
        others = [(ways, inputs) for inputs in _otherwise_promised(request, read, made)]
        made.append(choosing.also_named(planned, [*others, *shaping.unshaped(ways, found)], site, settings))
    items = tuple(item for planned in made for item in planned)
    first = sites[media_of(requests[0])][0] if requests else _site(ask, sourced, settings, "image")[0]
    plan = Plan(job_id=first.job_id, output_dir=first.output_dir, items=items)
    where = [note for _, told in sites.values() for note in told]
    repeated = [note for item in items for note in item.warnings]
    warnings = dict.fromkeys([*sourced.warnings, *notes, *shown, *unread, *where, *repeated, *_general(plan, settings)])
    return plan.model_copy(update={"warnings": tuple(warnings)})


def _look(request: Request) -> Look:
    """How closely faces are looked for: what stays on this machine asks for no permission."""
    if request.operation == "swap_face":
        return "where"
    return "not" if gates.stays_here(request.provider) else "how many"


def media_of(request: Request) -> Media:
    """What a request makes."""
    return "video" if request.operation in CLIPS else "image"


def _with_promises(request: Request, read: Sequence[Input], made: Sequence[tuple[Planned, ...]]) -> list[Input]:
    """The inputs in their order; the result of an earlier request of the call is promised."""
    left = list(read)
    return [_promised(given, made[given.of][0]) if given.of is not None else left.pop(0) for given in request.given]


def _otherwise_promised(
    request: Request, read: Sequence[Input], made: Sequence[tuple[Planned, ...]]
) -> Iterator[list[Input]]:
    """The same inputs, had another of those who could make the earlier result made it."""
    for of in dict.fromkeys(given.of for given in request.given if given.of is not None):
        for other in made[of][0].alternatives:
            yield _with_promises(request, read, [*made[:of], (other,), *made[of + 1 :]])


def _promised(given: Given, source: Planned) -> Input:
    return Input(
        written=source.stems[0],
        path="",
        sha256=source.fingerprint,
        media_type="",
        size_bytes=0,
        width=0,
        height=0,
        role=given.role,
        medium=given.medium,
        promise=source.fingerprint,
        roots=behind(source),
    )


def _general(plan: Plan, settings: Settings) -> list[str]:
    """What a person should know of the whole run."""
    told = [say("warning.many_images", count=plan.images)] if plan.images > MANY_IMAGES else []
    is_real = settings.sandbox_url is None or all(gates.stays_here(item.provider) for item in plan.items)
    return told if is_real else [*told, say("warning.sandbox", url=settings.sandbox_url)]


def _sourced(ask: Ask, workspace: Path) -> Sourced:
    """The requests of the one source that is named."""
    given = [
        name for name in ("prompt", "prompts_toml", "creative_plan", "requests") if getattr(ask, name) not in (None, ())
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
        read = _READERS.get(path.suffix.lower(), image_prompts.read)
        return read(path, workspace=workspace, scene_ids=ask.scene_ids)
    return Sourced(requests=ask.requests or (_one(ask),), job_id=None)


_READERS = {".yaml": scenes_yaml.read, ".yml": scenes_yaml.read, ".json": script_json.read}
"""Files of prompts beside image_prompts.toml."""


def _one(ask: Ask) -> Request:
    """The request of a single prompt; a scene id only names it."""
    scene = Request.model_fields["scene"].default.model_copy(update={"id": (ask.scene_ids or ("",))[0]})
    operation: Operation = "generate_image" if ask.mask is None else "edit_image"
    return Request(prompt=clean(ask.prompt or ""), scene=scene, operation=operation, origin="--prompt")


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
            "inputs": _masked(ask, request),
            "loras": ask.loras or request.loras,
            "options": {**request.options, **ask.options},
            "aspect_ratio": ask.aspect_ratio or request.aspect_ratio or sourced.aspect_ratio,
            "first_idx": used[request.scene.id] + 1,
            **{name: value for name in _PLAIN if (value := getattr(ask, name)) is not None},
            **_for_fixed_name(ask, request),
        }
        requests.append(request.model_copy(update=options))
        used[request.scene.id] += _counted(requests[-1])
        if used.total() > MOST_IMAGES:
            raise WrongInput("too_many_images", limit=MOST_IMAGES)
    return requests, list(dict.fromkeys(notes))


def _masked(ask: Ask, request: Request) -> tuple[Given, ...]:
    """The inputs with a role; the call's mask unless the request has its own."""
    has_own = ask.mask is None or any(given.role == "mask" for given in request.inputs)
    return request.inputs if has_own else (*request.inputs, Given(role="mask", written=str(ask.mask)))


_PLAIN = ("seed", "num_images", "resolution", "negative_prompt", "output_format", "style", "avatar")


def _for_fixed_name(ask: Ask, request: Request) -> dict[str, object]:
    """Under a fixed name lies one picture, of the size in pixels that the call names, or of its shape.

    Raises:
        WrongInput: more pictures are asked for, or a size that is neither pixels nor any model's word.
    """
    if not request.fixed_name:
        return {}
    if ask.num_images not in {None, 1}:
        raise WrongInput("fixed_name_one", value=ask.num_images, name=request.fixed_name)
    size = pixels(ask.resolution)
    if size is not None:
        return {"prefers": {**request.prefers, "target_size": f"{size[0]}x{size[1]}"}, "resolution": None}
    if ask.resolution is not None and ask.resolution.strip().lower() not in _size_words():
        raise WrongInput("fixed_name_size", value=ask.resolution[:40], least=LEAST_SIDE, most=MOST_SIDE)
    left = {"target_size"} if ask.aspect_ratio else set()
    return {"prefers": {name: value for name, value in request.prefers.items() if name not in left}}


def _size_words() -> frozenset[str]:
    """How models name sizes (2K)."""
    return frozenset(name.lower() for card in catalogue.every_card() for name in card.resolutions)


def _counted(request: Request) -> int:
    """How many pictures; a number out of all bounds is refused before it is used for anything."""
    if not 1 <= request.num_images <= MAX_IMAGES_A_REQUEST:
        raise WrongInput("num_images_out_of_range", value=request.num_images, limit=MAX_IMAGES_A_REQUEST)
    return request.num_images


def _maker(ask: Ask, request: Request, notes: list[str]) -> tuple[str, str | None]:
    """Provider and model: what the call says wins; a model names its provider; then fal for new pictures, else auto."""
    model = ask.model or request.model
    owner = _owner(model, request.operation)
    usual = DEFAULT_PROVIDER if request.operation == "generate_image" else AUTO
    provider = ask.provider or request.provider or owner or usual
    if ask.model is None and model is not None and owner not in {None, provider}:
        notes.append(say("note.model_replaced", model=model, provider=provider))
        return provider, None
    return provider, model


def _owner(model: str | None, operation: str) -> str | None:
    """Whose model that is: by its id, else by another name of a model that does this."""
    cards = catalogue.every_card()
    by_id = (card.provider for card in cards if card.id == model)
    by_name = (c.provider for c in cards if operation in c.operations and model in {*c.aliases, *c.corrects})
    return next(by_id, None) or next(by_name, None)


def _report(path: Path) -> Path:
    """A file that is ours to write: new, empty, or a log; never a plan, a record of consent, or a key file.

    Raises:
        PathRefused: it is something else.
    """
    is_log = not path.exists() or (path.is_file() and _LOG.search(path.read_bytes()[:65536]) is not None)
    if path.suffix != ".toml" or path.name.startswith(".") or not (is_log or path.stat().st_size == 0):
        raise PathRefused("report_not_log", path=path)
    return path


def _site(
    ask: Ask, sourced: Sourced, settings: Settings, media: Media, home: Path | None = None
) -> tuple[Site, list[str]]:
    """Folders and logs, and what to say about them; `home`: where pictures of their style lie, if they have one."""
    root = settings.workspace
    written = ask.output_dir or sourced.folder
    folder = paths.inside(root, written, what="--output-dir") if written else None
    report = _report(paths.inside(root, ask.report_toml, what="--report-toml")) if ask.report_toml else None
    found = [sources.job_of(path / "x", root) for path in (folder, report) if path is not None]
    is_avatar = any(request.scope == "avatar" for request in sourced.requests)
    if ask.requests and not is_avatar:  # what is made from a job's files belongs to that job; an avatar to all of them
        found += [sources.job_of(root / given.written, root) for r in sourced.requests for given in r.given]
    job_id = ask.job_id or sourced.job_id or next((job for job in found if job), None) or ""
    if job_id:
        job = paths.job_dir(root, job_id)
        folder = folder or job / f"input/raw_assets/{FOLDERS[media]}/ai_generated"
        report = report or job / f"source/{LOGS[media]}"
    folder = folder or home or root / "outputs"
    if any(part.startswith(".") for part in folder.relative_to(root).parts):
        raise PathRefused("folder_hidden", path=folder)
    site = Site(
        job_id=job_id,
        output_dir=paths.relative(root, folder),
        log_path=paths.relative(root, report or folder / LOGS[media]),
        semantics_path=f"jobs/{job_id}/source/asset_semantics.toml" if job_id else "",
        records_path=paths.relative(root, folder / RECORDS) if sourced.has_records else "",
        realm=settings.realm,
    )
    unwatched = job_id and not paths.is_watched(root, folder, job_id)
    return site, [say("warning.unwatched", folder=site.output_dir, job=job_id)] if unwatched else []
