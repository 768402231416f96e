"""Hall (floor 6): permissions for reference pictures: asked on a terminal, and `consent add|list|revoke`."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hoasi.ask import Ask
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import Call, call_of, run
from hoasi.cli.words import located
from hoasi.errors import NotFound, WrongInput
from hoasi.messages import say
from hoasi.records import Input, Reply, iso
from hoasi.settings import Settings

if TYPE_CHECKING:
    from hoasi.consent import Consent

SHA_LENGTH = 64
_YES, _NO = "cli.yes_words", "cli.no_words"

Picture = Annotated[str, typer.Argument(help="help.consent_file", metavar="FILE")]
Job = Annotated[str | None, typer.Option("--job", help="help.consent_job", metavar="ID")]


# ---------------------------------------------------------------------- asking a person


def ask_person(call: Call, ask: Ask) -> None:
    """Ask about every reference picture that lacks a permission and write the answers down; nobody there: do nothing.

    What stays without a permission is refused later, with the command that records one.
    """
    has_references = bool(ask.references or ask.prompts_toml)
    if not (call.screen.is_interactive and has_references) or ask.consent or ask.no_faces:
        return
    for item in run(_missing(call, ask)):
        words, no_faces = _asked(call, item)
        if words or no_faces:
            only = ask.model_copy(update={"references": (item.written,)})
            run(_record(call, only, words=words, no_faces=no_faces))
            call.screen.note(say("cli.consent.no_faces_noted" if no_faces else "cli.consent.noted", words=words))


async def _missing(call: Call, ask: Ask) -> list[Input]:
    async with call.studio() as studio:
        return await studio.missing_consent(ask)


async def _record(call: Call, ask: Ask, *, words: str, no_faces: bool) -> None:
    async with call.studio() as studio:
        await studio.record_consent(ask, words=words, no_faces=no_faces)


def _asked(call: Call, item: Input) -> tuple[str, bool]:
    """The words of consent, or that no face is shown; ("", False) when neither is said."""
    try:
        shows_face = _yes_or_no(call, say("cli.consent.shows_face", picture=item.written))
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
    minor: Annotated[bool, typer.Option("--minor", help="help.consent_minor")] = False,
    expires: Annotated[str | None, typer.Option("--expires", help="help.consent_expires", metavar="DATE")] = None,
) -> Answer:
    """Record what was said about one picture, bound to its bytes."""
    from pydantic import ValidationError

    from hoasi import consent

    call = call_of(context)
    settings = call.settings()
    try:
        said = consent.Consent(
            sha256=_hash(file, settings),
            words=words.strip(),
            no_faces=no_faces,
            minor=minor,
            by="cli",
            client="hoasi",
            recorded_at=iso(time.time()),
            expires_at=expires,
            picture=file,
        )
    except ValidationError as error:
        raise WrongInput("usage_value_bad", option="--expires", kind="2027-01-31, 2027-01-31T18:00+07:00") from error
    path = consent_file(settings, job)
    consent.add(path, said, lock_path=_lock(settings), temp_name=_temp())
    return Answer(
        Reply(message=say("cli.consent.added", picture=file, file=path)), facts={"consents": [said.model_dump()]}
    )


def show(context: typer.Context, job: Job = None) -> Answer:
    """Every record of a job, or of the workspace."""
    from hoasi import consent

    settings = call_of(context).settings()
    found = consent.records(consent_file(settings, job))
    columns = tuple(say(f"cli.consent.columns.{name}") for name in ("picture", "said", "by", "at", "state", "sha"))
    sheet = Sheet(columns, tuple(_row(record) for record in found), whole=frozenset({3, 5}))
    facts = {"consents": [record.model_dump() for record in found]}
    return Answer(Reply(message=say("cli.consent.count", count=len(found))), sheets=(sheet,), facts=facts)


def _row(record: Consent) -> tuple[str, ...]:
    state = "revoked" if record.revoked_at else "minor" if record.minor else "stands"
    said = say("cli.consent.no_faces") if record.no_faces else record.words
    at = record.recorded_at[:16].replace("T", " ")
    name = Path(record.picture).name
    return name, said, record.by, at, say(f"cli.consent.states.{state}"), record.sha256[:12]


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
    """SHA-256 of a picture that is checked as a reference is.

    Raises:
        FileBroken: missing, or not a picture.
    """
    from hoasi import references

    async def no_download(url: str, path: Path, limit: int) -> None:  # noqa: ARG001 - 2026-11-21, the reader's signature
        raise WrongInput("consent_needs_file", url=url.partition("?")[0])

    written = str(located(file, settings.workspace))
    cache = settings.home / "references"
    found = run(references.resolve(written, workspace=settings.workspace, cache=cache, download=no_download))
    return found.sha256


def _known_hash(picture: str, path: Path, settings: Settings) -> str:
    """The full hash of a file, or of a record whose hash begins as given (at least 8 digits)."""
    from hoasi import consent

    digits = picture.lower()
    if 8 <= len(digits) <= SHA_LENGTH and set(digits) <= set("0123456789abcdef"):
        found = {record.sha256 for record in consent.records(path) if record.sha256.startswith(digits)}
        if len(found) == 1:
            return found.pop()
    return _hash(picture, settings)
