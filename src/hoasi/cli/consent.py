"""Hall (floor 6): permissions for reference pictures: asked on a terminal, and `consent add|list|revoke`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from hoasi.answers import Reply
from hoasi.ask import Ask
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import Call, call_of, run
from hoasi.cli.words import located
from hoasi.errors import FileBroken, NotFound, WrongInput
from hoasi.messages import say
from hoasi.record import Medium, Scope
from hoasi.records import iso
from hoasi.settings import Settings

if TYPE_CHECKING:
    from hoasi.consent import Consent
    from hoasi.gates import Unconsented

SHA_LENGTH = 64
_YES, _NO = "cli.yes_words", "cli.no_words"
_NO_PICTURE = {"reference_not_picture", "reference_too_large"}
"""What is said of a clip that is read as a picture."""

Picture = Annotated[str, typer.Argument(help="help.consent_file", metavar="FILE")]
Job = Annotated[str | None, typer.Option("--job", help="help.consent_job", metavar="ID")]


# ---------------------------------------------------------------------- asking a person


def ask_person(call: Call, ask: Ask) -> None:
    """Ask about every reference picture that lacks a permission and write the answers down; nobody there: do nothing.

    What stays without a permission is refused later, with the command that records one.
    """
    has_inputs = bool(ask.references or ask.prompts_toml or any(request.given for request in ask.requests))
    if not (call.screen.is_interactive and has_inputs) or ask.consent or ask.no_faces or ask.minor:
        return
    pictures = {item.root.written: item for item in run(_missing(call, ask))}
    for item in pictures.values():
        words, no_faces = _asked(call, item)
        if words or no_faces:
            run(_record(call, ask, item.root.written, words=words, no_faces=no_faces))
            call.screen.note(say("cli.consent.no_faces_noted" if no_faces else "cli.consent.noted", words=words))


async def _missing(call: Call, ask: Ask) -> list[Unconsented]:
    async with call.studio() as studio:
        return await studio.missing_consent(ask)


async def _record(call: Call, ask: Ask, only: str, *, words: str, no_faces: bool) -> None:
    async with call.studio() as studio:
        await studio.record_consent(ask, words=words, no_faces=no_faces, only=only)


def _asked(call: Call, item: Unconsented) -> tuple[str, bool]:
    """The words of consent, or that no face is shown; ("", False) when neither is said."""
    from hoasi.consent import faces_found

    try:
        question = say("cli.consent.shows_face", picture=item.root.written, faces=faces_found(item.faces))
        shows_face = _yes_or_no(call, question)
        return (call.screen.ask(say("cli.consent.ask_words")), False) if shows_face else ("", True)
    except EOFError:  # the person left without an answer: no permission
        return "", False


def _yes_or_no(call: Call, question: str) -> bool:
    yes, no = say(_YES).split(), say(_NO).split()
    while (answer := call.screen.ask(question).lower()) not in {*yes, *no}:
        call.screen.note(say("cli.yes_or_no"))
    return answer in yes


# ---------------------------------------------------------------------- commands


def add(
    context: typer.Context,
    *,
    file: Picture,
    words: Annotated[str, typer.Option("--words", help="help.consent_add_words", metavar="TEXT")] = "",
    job: Job = None,
    no_faces: Annotated[bool, typer.Option("--no-faces", help="help.consent_no_faces")] = False,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="help.consent_scope", metavar="reference|swap|avatar")
    ] = None,
    minor: Annotated[bool, typer.Option("--minor", help="help.consent_minor")] = False,
    expires: Annotated[str | None, typer.Option("--expires", help="help.consent_expires", metavar="DATE")] = None,
) -> Answer:
    """Record what was said about one picture, bound to its bytes."""
    from hoasi import consent

    call = call_of(context)
    settings = call.settings()
    path = consent_file(settings, job)
    files = consent.files_of(settings, job or "", with_workspace=minor)
    sha256 = _hash(file, settings)
    facts = {"words": words.strip(), "no_faces": no_faces, "minor": minor, "expires_at": expires, "picture": file}
    said = [_said(sha256, one, facts) for one in _scopes(scope)]
    for record, place in product(said, files):
        consent.add(place, record, lock_path=_lock(settings), temp_name=_temp())
    reply = Reply(message=say("cli.consent.added", picture=file, file=path))
    return Answer(reply, facts={"consents": [record.model_dump() for record in said]})


def _scopes(given: Sequence[str] | None) -> list[str]:
    """What the permission is for: references, unless it is said.

    Raises:
        WrongInput: a scope nobody knows.
    """
    scopes = [scope for word in given or ["reference"] for scope in word.split(",")]
    for scope in scopes:
        if scope not in get_args(Scope):
            raise WrongInput("usage_value_bad", option="--scope", kind=", ".join(get_args(Scope)))
    return list(dict.fromkeys(scopes))


def _said(sha256: str, scope: str, facts: Mapping[str, Any]) -> Consent:
    from pydantic import ValidationError

    from hoasi.consent import Consent

    fixed = {"by": "cli", "client": "hoasi", "recorded_at": iso(time.time())}
    try:
        return Consent.model_validate({"sha256": sha256, "scope": scope, **fixed, **facts})
    except ValidationError as error:
        raise WrongInput("usage_value_bad", option="--expires", kind="2027-01-31, 2027-01-31T18:00+07:00") from error


def show(context: typer.Context, job: Job = None) -> Answer:
    """Every record of a job, or of the workspace."""
    from hoasi import consent

    settings = call_of(context).settings()
    found = consent.records(consent_file(settings, job))
    names = ("picture", "said", "scope", "by", "at", "state", "sha")
    columns = tuple(say(f"cli.consent.columns.{name}") for name in names)
    sheet = Sheet(columns, tuple(_row(record) for record in found), whole=frozenset({4, 6}))
    facts = {"consents": [record.model_dump() for record in found]}
    return Answer(Reply(message=say("cli.consent.count", count=len(found))), sheets=(sheet,), facts=facts)


def _row(record: Consent) -> tuple[str, ...]:
    """`-` where a record holds whatever the picture is used for."""
    state = "minor" if record.minor else "revoked" if record.revoked_at else "over" if _is_over(record) else "stands"
    said = say("cli.consent.no_faces") if record.no_faces else record.words
    at = record.recorded_at[:16].replace("T", " ")
    name = Path(record.picture).name
    scope = "-" if record.no_faces or record.minor else record.scope
    return name, said, scope, record.by, at, say(f"cli.consent.states.{state}"), record.sha256[:12]


def _is_over(record: Consent) -> bool:
    from hoasi.consent import moment_of  # what a day without a time means is said there

    return record.expires_at is not None and moment_of(record.expires_at).timestamp() <= time.time()


def revoke(
    context: typer.Context,
    *,
    picture: Annotated[str, typer.Argument(help="help.consent_picture", metavar="FILE|SHA")],
    job: Job = None,
) -> Answer:
    """Take back what was recorded about a picture; from then on it is not sent."""
    from hoasi import consent

    settings = call_of(context).settings()
    path = consent_file(settings, job)
    sha = _known_hash(picture, path, settings)
    if not consent.revoke(path, sha, at=iso(time.time()), lock_path=_lock(settings), temp_name=_temp()):
        raise NotFound("consent_none", picture=picture, file=path)
    return Answer(Reply(message=say("cli.consent.revoked", picture=picture)), facts={"sha256": sha})


def consent_file(settings: Settings, job: str | None) -> Path:
    """The consent file of a job that exists, or of the workspace."""
    from hoasi import consent, paths

    if job:
        paths.job_dir(settings.workspace, job)
    return consent.file_of(settings, job or "")


def _lock(settings: Settings) -> Path:
    return settings.home / "locks" / "consent.lock"


def _temp() -> str:
    return f".hoasi-{secrets.token_hex(6)}-consent.tmp"


def _hash(file: str, settings: Settings) -> str:
    """SHA-256 of a picture or clip that is checked as an input is.

    Raises:
        FileBroken: missing, or neither a picture nor a clip.
    """
    try:
        return _read(file, settings, "image")
    except FileBroken as error:
        if error.key not in _NO_PICTURE:
            raise
        try:
            return _read(file, settings, "video")
        except FileBroken:
            raise error from None


def _read(file: str, settings: Settings, medium: Medium) -> str:
    from hoasi import references

    async def no_download(url: str, path: Path, limit: int) -> None:  # noqa: ARG001 - 2026-11-21, the reader's signature
        raise WrongInput("consent_needs_file", url=url.partition("?")[0])

    written = str(located(file, settings.workspace))
    root, cache = settings.workspace, settings.home / "references"
    read = references.resolve(written, workspace=root, cache=cache, download=no_download, medium=medium)
    return run(read).sha256


def _known_hash(picture: str, path: Path, settings: Settings) -> str:
    """The full hash of a file, or of a record whose hash begins as given (at least 8 digits)."""
    from hoasi import consent

    digits = picture.lower()
    if 8 <= len(digits) <= SHA_LENGTH and set(digits) <= set("0123456789abcdef"):
        found = {record.sha256 for record in consent.records(path) if record.sha256.startswith(digits)}
        if len(found) == 1:
            return found.pop()
    return _hash(picture, settings)
