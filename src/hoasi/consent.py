"""Permissions (floor 1): whose face may leave the machine. One record a picture and time, in the user's own words.

Kept in `jobs/<id>/source/consent.toml`, without a job in `<workspace>/consent.toml`, bound to the picture's SHA-256: a
changed picture has no consent. What cannot be read grants nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from hoasi import catalogue
from hoasi.errors import ConsentMissing, FileBroken
from hoasi.files import held, replace_file
from hoasi.given import Input, Root
from hoasi.messages import say
from hoasi.record import Record, Scope
from hoasi.records import Planned
from hoasi.settings import Settings

Standing = Literal["granted", "missing", "revoked", "refused_minor", "expired"]
PERSONS = frozenset({"cli", "elicitation"})
"""The ways by which only a person can have answered; `argument` and `python` may be an agent's own claim."""


def moment_of(text: str) -> datetime:
    """A moment from ISO 8601; without an offset it is local time, a day without a time means its end."""
    moment = datetime.fromisoformat(text)
    return (moment + timedelta(days=1) if len(text) == len("2026-04-25") else moment).astimezone()


def _checked(text: str) -> str:
    moment_of(text)
    return text


def _written(value: Any) -> Any:
    """TOML's own dates are as good as texts."""
    return value.isoformat() if isinstance(value, date) else value


Moment = Annotated[str, BeforeValidator(_written), AfterValidator(_checked)]


class Consent(Record):
    """What somebody said about one picture. `words` are the user's own; `no_faces` claims that it shows no face."""

    sha256: str
    scope: Scope = "reference"
    words: str = ""
    no_faces: bool = False
    by: Literal["cli", "elicitation", "argument", "python"]
    client: str = ""
    recorded_at: Moment
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    minor: bool = False
    picture: str
    """The path as it was written then; only for people."""


_RECORDS = TypeAdapter(tuple[Consent, ...])


def records(path: Path) -> tuple[Consent, ...]:
    """All records of a file, oldest first; none where there is no file.

    Raises:
        FileBroken: `consent_broken`; facts name the place.
    """
    return _parsed(path, _text(path))


def standing(
    path: Path, sha256: str, *, scope: str = "reference", strict: bool, now: str, shows_face: bool = False
) -> Standing:
    """What the file says about a picture: the latest record that counts decides.

    A picture with a minor is refused for good, whatever for; one without a face needs no scope. After a revocation only
    a person's word (cli, elicitation) counts.

    Args:
        path: a consent file; it need not exist.
        sha256: of the picture's bytes, lower-case hex.
        scope: what the picture would be used for.
        strict: only a person's word counts, from the start.
        now: the moment of asking (ISO 8601).
        shows_face: a face was found in it; that there is none is then believed of a person only.

    Raises:
        FileBroken: the file cannot be read.
    """
    shown = [record for record in records(path) if record.sha256 == sha256]
    if any(record.minor for record in shown):
        return "refused_minor"
    about = [record for record in shown if record.scope == scope or record.no_faces]
    revoked = max((number for number, record in enumerate(about, 1) if record.revoked_at), default=0)
    needs_person = strict or bool(revoked)
    counting = [
        record
        for record in about[revoked:]
        if record.by in PERSONS or not (needs_person or (shows_face and record.no_faces))
    ]
    if not counting:
        return "revoked" if revoked else "missing"
    latest = counting[-1]
    if not (latest.words.strip() or latest.no_faces):
        return "missing"
    is_over = latest.expires_at is not None and moment_of(latest.expires_at) <= moment_of(now)
    return "expired" if is_over else "granted"


def file_of(settings: Settings, job_id: str) -> Path:
    """Where permissions of a job are kept; without a job at the top of the workspace."""
    folder = settings.workspace / "jobs" / job_id / "source" if job_id else settings.workspace
    return folder / "consent.toml"


def files_of(settings: Settings, job_id: str, *, with_workspace: bool) -> list[Path]:
    """The file of a job, and that of the workspace: what is said of a minor, or for an avatar, holds in every job."""
    jobs = (job_id, "") if with_workspace else (job_id,)
    return [file_of(settings, job) for job in dict.fromkeys(jobs)]


def own(item: Input, scope: Scope) -> Root:
    """The input itself, as a picture that a record can name."""
    return Root(sha256=item.sha256, written=item.written, path=item.path, scope=scope)


def roots(item: Input, scope: Scope) -> tuple[Root, ...]:
    """The permissions that an input rests on: its own, those of what we made it from, none where no face is.

    What we made may be shown as a reference as it is; a swap or an avatar of it needs their permission for that too.
    A clip that is only named, because it lies at its provider already, leaves nothing.
    """
    if item.roots:
        again = () if scope == "reference" else [root.model_copy(update={"scope": scope}) for root in item.roots]
        return tuple(dict.fromkeys((*item.roots, *again)))
    is_faceless = item.faces == 0 or item.medium == "audio" or item.generation_id or item.promise or not item.path
    return () if is_faceless else (own(item, scope),)


def behind(planned: Planned) -> tuple[Root, ...]:
    """The permissions that a result rests on: its inputs'; none where it shows nothing of them, as a storyboard."""
    if planned.model in catalogue.blind():
        return ()
    return tuple(dict.fromkeys(root for item in planned.inputs for root in roots(item, planned.scope)))


def shown(items: Iterable[Input], scope: Scope) -> dict[Root, bool]:
    """The permissions that inputs rest on, each once, and whether a face was found in what rests on it."""
    found: dict[Root, bool] = {}
    for item in items:
        for root in roots(item, scope):
            found[root] = found.get(root, False) or bool(item.faces)
    return found


def lacking(items: Iterable[Input], job_id: str, scope: Scope, settings: Settings) -> list[tuple[Root, Standing]]:
    """Pictures without a permission that stands now, and why; each once. Those known to show a minor come first.

    Avatars belong to the workspace: where a job's own file says nothing of one, what is said there holds.
    """
    seen = [item for item in items if item.medium != "audio" or item.roots]
    if not seen:
        return []
    now, minors = datetime.now(UTC).isoformat(), _minors(job_id, settings)
    needed = shown(seen, scope)
    pictures = dict.fromkeys([*(own(item, scope) for item in seen), *needed])
    refused = [root for root in pictures if root.sha256 in minors]
    left = [(root, face) for root, face in needed.items() if root.sha256 not in minors]
    found = [(root, _of_root(root, job_id, settings, now, shows_face=face)) for root, face in left]
    return [*((root, "refused_minor") for root in refused), *((root, why) for root, why in found if why != "granted")]


def _minors(job_id: str, settings: Settings) -> set[str]:
    """Pictures of which a job, or the workspace, says that they show a minor."""
    files = files_of(settings, job_id, with_workspace=True)
    return {record.sha256 for file in files for record in records(file) if record.minor}


def _of_root(root: Root, job_id: str, settings: Settings, now: str, *, shows_face: bool) -> Standing:
    facts: Any = {"scope": root.scope, "strict": settings.consent_is_strict, "now": now, "shows_face": shows_face}
    files = files_of(settings, job_id, with_workspace=root.scope == "avatar")
    said = [standing(file, root.sha256, **facts) for file in files]
    return next((why for why in said if why != "missing"), "missing")


def must_stand(items: Iterable[Input], job_id: str, scope: Scope, settings: Settings) -> None:
    """Every picture of a person has a permission that stands now.

    Raises:
        ConsentMissing: names the picture, how many faces were found in it, and the exact command that records one.
    """
    listed = list(items)
    for root, why in lacking(listed, job_id, scope, settings):
        count = next((item.faces for item in listed if item.sha256 == root.sha256), None)
        path, job = root.path, _options(root, job_id)
        without = "" if shown(listed, scope).get(root) else say("faces.none_command", path=path, job=job)
        told = faces_found(count)
        raise ConsentMissing(f"consent_{why}", picture=root.written, path=path, job=job, faces=told, without=without)


def _options(root: Root, job_id: str) -> str:
    """What the command that records a permission is told beside the picture."""
    job = f" --job {job_id}" if job_id else ""
    return job if root.scope == "reference" else f"{job} --scope {root.scope}"


def faces_found(count: int | None) -> str:
    """How many faces were found in a picture, in words."""
    return say("faces.not_looked") if count is None else say("faces.found", count=count)


def add(path: Path, consent: Consent, *, lock_path: Path, temp_name: str) -> None:
    """Write one more record; on disk when this returns. What people wrote into the file stays as it is.

    Raises:
        ConsentMissing: `consent_words_empty`: it says nothing.
        FileBroken: the file cannot be read; it is left as it is.
        DiskTrouble: it cannot be written.
    """
    if not (consent.words.strip() or consent.no_faces or consent.minor):
        raise ConsentMissing("consent_words_empty", picture=consent.picture)
    with held(lock_path):
        known, document = _opened(path)
        rows = document.setdefault("consents", tomlkit.aot())
        rows.append(tomlkit.item(consent.model_dump(exclude_none=True)))
        _save(path, document, (*known, consent), temp_name)


def revoke(path: Path, sha256: str, *, at: str, lock_path: Path, temp_name: str) -> bool:
    """Take back every standing record of a picture, at the moment `at` (ISO 8601); False when there is none.

    Raises:
        FileBroken, DiskTrouble: as `add`.
    """
    with held(lock_path):
        known, document = _opened(path)
        due = [n for n, record in enumerate(known) if record.sha256 == sha256 and record.revoked_at is None]
        for number in due:
            document["consents"][number]["revoked_at"] = at
        if due:
            ended = {n: known[n].model_copy(update={"revoked_at": at}) for n in due}
            _save(path, document, tuple(ended.get(n, record) for n, record in enumerate(known)), temp_name)
    return bool(due)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise FileBroken("consent_broken", file=path, where="-", detail=str(error)) from error


def _parsed(path: Path, text: str) -> tuple[Consent, ...]:
    try:
        return _RECORDS.validate_python(tomllib.loads(text).get("consents", []))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(["consents", *map(str, first["loc"])])
        raise FileBroken("consent_broken", file=path, where=where, detail=first["msg"]) from error
    except (ValueError, RecursionError) as error:
        raise FileBroken("consent_broken", file=path, where="TOML", detail=str(error)) from error


def _opened(path: Path) -> tuple[tuple[Consent, ...], tomlkit.TOMLDocument]:
    """The records, and the document with its comments. A list in one line would lose its shape: refused."""
    text = _text(path)
    known = _parsed(path, text)
    document = tomlkit.parse(text if text.endswith("\n") else text + "\n")  # else the next record joins the last line
    if not isinstance(document.get("consents", tomlkit.aot()), tomlkit.items.AoT):
        raise FileBroken("consent_broken", file=path, where="consents", detail="[[consents]]")
    return known, document


def _save(path: Path, document: tomlkit.TOMLDocument, meant: tuple[Consent, ...], temp_name: str) -> None:
    """Replace the file, but never by one that says something else than is meant."""
    text = tomlkit.dumps(document)
    if _parsed(path, text) != meant:
        raise FileBroken("consent_broken", file=path, where="consents", detail="layout")
    replace_file(path, text.encode(), temp_name)
