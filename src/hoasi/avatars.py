"""Floor 3, readers: avatars, people who are shown again and again. Each has a folder, `avatars/<id>/`.

There lie portraits to choose from (`confirm_<n>.png`), the chosen one (`portrait.png`), the angles that were made of it
(`angle_<key>.png`), and `avatar.toml`, which tells who made them, of which photos, and where their permission stands.
An angle is there when its file is there. Contract: schemas/avatar.schema.json.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import secrets
import tomllib
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hoasi import paths
from hoasi.answers import Reply
from hoasi.errors import FileBroken, NotFound, PathRefused, WrongInput
from hoasi.files import held, replace_file
from hoasi.messages import say
from hoasi.record import Record
from hoasi.records import Generation, State
from hoasi.settings import Settings

FOLDER, FILE = "avatars", "avatar.toml"
_ID = re.compile(r"[a-z0-9_-]{1,60}")

Known = Callable[[Sequence[str]], Sequence[Generation]]
"""Gives generations by their ids; raises NotFound."""


class Picture(Record):
    """A picture of an avatar, or a photo it was made of. `path` is workspace-relative."""

    path: str
    sha256: str
    generation_id: str = ""


class Engine(Record):
    """Who made the portraits."""

    provider: str
    model: str


class Avatar(Record):
    """An avatar whose portrait was chosen. `consent` is the file in which the photos' permissions stand."""

    id: str
    created_at: str
    consent: str
    number: int
    """Which of the portraits it is."""
    engine: Engine
    portrait: Picture
    photos: tuple[Picture, ...]
    angles: dict[str, Picture] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The angles that it does not have yet."""
        return tuple(key for key in angles() if key not in self.angles)


@cache
def words() -> dict[str, Any]:
    """What is sent for avatars, and how they are used: `prompts/create_avatar.toml`."""
    return tomllib.loads(files("hoasi").joinpath("prompts/create_avatar.toml").read_text(encoding="utf-8"))


def angles() -> tuple[str, ...]:
    """The keys of all angles."""
    return tuple(words()["angles"])


# ---------------------------------------------------------------------- the store


def folder(workspace: Path, avatar_id: str) -> Path:
    """The folder of an avatar; it need not exist.

    Raises:
        PathRefused: the id is not `[a-z0-9_-]+`, or the folder lies outside.
    """
    if not _ID.fullmatch(avatar_id):
        plain = unicodedata.normalize("NFKD", avatar_id).encode("ascii", "ignore").decode().lower()
        near = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:60] or "lan"
        raise PathRefused("avatar_id_bad", id=repr(avatar_id)[1:-1][:80], near=near)
    return paths.inside(workspace, f"{FOLDER}/{avatar_id}", what="avatar")


def load(workspace: Path, avatar_id: str) -> Avatar:
    """An avatar whose portrait was chosen, with the angles whose files are there now.

    Raises:
        NotFound: `avatar_unknown`, `avatar_not_chosen`, `avatar_gone`. FileBroken: `avatar_broken`.
    """
    place = folder(workspace, avatar_id)
    if not (place / FILE).is_file():
        if found := portraits(workspace, avatar_id):
            raise NotFound("avatar_not_chosen", id=avatar_id, numbers=", ".join(map(str, found)))
        near = difflib.get_close_matches(avatar_id, ids(workspace), n=3, cutoff=0.3)
        raise NotFound("avatar_unknown", id=avatar_id, near=", ".join(near or ids(workspace)[:5]) or "-")
    told = _read(place / FILE)
    if not (workspace / told.portrait.path).is_file():
        raise NotFound("avatar_gone", id=avatar_id, path=told.portrait.path)
    there = {key: place / f"angle_{key}.png" for key in angles()}
    seen = {key: _seen(path, workspace) for key, path in there.items() if path.is_file()}
    return told.model_copy(update={"angles": seen})


def ids(workspace: Path) -> list[str]:
    """Every avatar, chosen or not, by name."""
    return sorted(path.name for path in (workspace / FOLDER).glob("*") if path.is_dir() and _ID.fullmatch(path.name))


def portraits(workspace: Path, avatar_id: str) -> list[int]:
    """The numbers of the portraits that there are to choose from."""
    found = [path.stem.rpartition("_")[2] for path in folder(workspace, avatar_id).glob("confirm_*.png")]
    return sorted(int(number) for number in found if number.isdecimal())


def confirm(settings: Settings, avatar_id: str, number: int, known: Known, *, at: str) -> Avatar:
    """Choose a portrait; on disk when this returns. Free. Angles of another portrait no longer count.

    Raises:
        NotFound: `avatar_no_portrait`. WrongInput: `avatar_foreign`: it is not as we made it. DiskTrouble, FileBroken.
    """
    from hoasi import consent

    root, place = settings.workspace, folder(settings.workspace, avatar_id)
    path = place / f"confirm_{number}.png"
    if not path.is_file():
        there = ", ".join(map(str, portraits(root, avatar_id))) or "-"
        raise NotFound("avatar_no_portrait", id=avatar_id, number=number, numbers=there)
    picture = _seen(path, root)
    maker = _maker(picture, known)
    with held(settings.home / "locks" / "avatars.lock"):
        before = _read(place / FILE) if (place / FILE).is_file() else None
        if before is None or before.portrait.sha256 != picture.sha256:
            _choose(place, path)
        photos = tuple(Picture(path=i.path or i.written, sha256=i.sha256) for i in maker.planned.inputs)
        told = Avatar(
            id=avatar_id,
            created_at=before.created_at if before else at,
            consent=paths.relative(root, consent.file_of(settings, maker.planned.job_id)),
            number=number,
            engine=Engine(provider=maker.planned.provider, model=maker.planned.model),
            portrait=picture.model_copy(update={"path": paths.relative(root, place / "portrait.png")}),
            photos=photos,
        )
        _write(place / FILE, told)
    return load(root, avatar_id)


def owner_of(name: str) -> str:
    """The avatar to whose folder a workspace-relative path leads; "" for none."""
    top, _, rest = name.partition("/")
    avatar_id, _, file = rest.partition("/")
    return avatar_id if top == FOLDER and file and _ID.fullmatch(avatar_id) else ""


def is_chosen(workspace: Path, avatar_id: str) -> bool:
    """Whether a portrait of it was chosen."""
    return (folder(workspace, avatar_id) / FILE).is_file()


def settle(settings: Settings, avatar_id: str) -> Avatar:
    """Note in `avatar.toml` which angles are there now.

    Raises:
        NotFound, FileBroken, DiskTrouble: as `load` and `confirm`.
    """
    with held(settings.home / "locks" / "avatars.lock"):
        avatar = load(settings.workspace, avatar_id)
        path = folder(settings.workspace, avatar_id) / FILE
        if _read(path) != avatar:
            _write(path, avatar)
    return avatar


def _choose(place: Path, portrait: Path) -> None:
    """The copies of angles of another portrait go; they themselves are kept where every fixed name's pictures are."""
    for key in angles():
        (place / f"angle_{key}.png").unlink(missing_ok=True)
    replace_file(place / "portrait.png", portrait.read_bytes(), _temp())


def _temp() -> str:
    return f".hoasi-{secrets.token_hex(6)}-avatar.tmp"


def _seen(path: Path, workspace: Path) -> Picture:
    from hoasi.media import provenance

    content = path.read_bytes()
    name = provenance.read(content).get("generation", "")
    return Picture(path=paths.relative(workspace, path), sha256=hashlib.sha256(content).hexdigest(), generation_id=name)


def _maker(picture: Picture, known: Known) -> Generation:
    try:
        found = known([picture.generation_id])[0]
    except NotFound as error:
        raise WrongInput("avatar_foreign", path=picture.path) from error
    if picture.sha256 not in {made.sha256 for made in found.artifacts}:
        raise WrongInput("avatar_foreign", path=picture.path)
    return found


def _read(path: Path) -> Avatar:
    """What the file says; what else people wrote into it is theirs."""
    try:
        raw = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        return Avatar.model_validate({name: raw[name] for name in Avatar.model_fields if name in raw})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise FileBroken("avatar_broken", file=path, where=where, detail=first["msg"]) from error
    except (OSError, ValueError, RecursionError) as error:
        raise FileBroken("avatar_broken", file=path, where="TOML", detail=str(error)) from error


def _write(path: Path, avatar: Avatar) -> None:
    text = path.read_bytes().decode("utf-8-sig") if path.is_file() else ""
    import tomlkit

    document = tomlkit.parse(text)
    for name, value in avatar.model_dump(mode="json", exclude_defaults=True).items():
        document[name] = tomlkit.item(value)
    if not avatar.angles:
        document.pop("angles", None)
    replace_file(path, tomlkit.dumps(document).encode(), _temp())


# ---------------------------------------------------------------------- in replies


def told(reply: Reply, what_next: str) -> Reply:
    """A reply to a step of ours: it names who made the pictures, and the angles that are still missing."""
    made = [entry for entry in reply.generations if entry.outputs or entry.state in {State.QUEUED, State.RUNNING}]
    by = ", ".join(dict.fromkeys(f"{entry.provider} ({entry.model})" for entry in made))
    lost = [entry.scene_id for entry in reply.generations if entry.scene_id in angles() and not entry.outputs]
    notes = () if reply.poll_after_seconds or not lost else (say("avatar.missing", angles=", ".join(lost)),)
    is_done = bool(made) and not reply.poll_after_seconds
    return reply.model_copy(
        update={
            "message": f"{reply.message} {say('avatar.by', engine=by)}" if by else reply.message,
            "warnings": (*reply.warnings, *notes),
            "next": what_next if is_done and what_next else reply.next,
        }
    )
