"""Doors (floor 5): may reference pictures leave the machine? The client asks its user; the answer is recorded.

Works in both eras of the protocol: the SDK asks during the call, or lets the client call again with the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, Resolve
from pydantic import BaseModel, ConfigDict, Field

from hoasi.ask import Ask
from hoasi.errors import ConsentMissing
from hoasi.messages import say
from hoasi.sources import few
from hoasi.tools._client import can_be_asked, name_of
from hoasi.tools._life import studio_of
from hoasi.tools._options import Making
from hoasi.tools._reading import read

if TYPE_CHECKING:
    from hoasi.records import Plan
    from hoasi.studio import Studio

Shows = Literal["no_face", "consent_given", "no_consent", "minor"]
_CHOICES: tuple[Shows, ...] = ("no_face", "consent_given", "no_consent", "minor")


def _in_words(schema: dict[str, Any]) -> None:
    schema["title"] = say("consent_form.shows")
    schema["enumNames"] = [say(f"consent_form.{choice}") for choice in _CHOICES]


def _as_said(schema: dict[str, Any]) -> None:
    schema["title"] = say("consent_form.words")


def _bare(schema: dict[str, Any]) -> None:
    """A user needs neither our docstring nor a class name."""
    schema.pop("description", None)
    schema.pop("title", None)


class Form(BaseModel):
    """What the user answers; rendered in the user's language when it is shown."""

    model_config = ConfigDict(json_schema_extra=_bare)

    shows: Annotated[Shows, Field(json_schema_extra=_in_words)]
    words: Annotated[str, Field(json_schema_extra=_as_said)] = ""


async def _question(ctx: Context, call: Making) -> Form | Elicit[Form] | None:
    """Ask only where a picture would leave, nothing is recorded or said, and somebody can be asked."""
    if call.dry_run or call.minor or not can_be_asked(ctx):
        return None
    studio = await studio_of(ctx)
    if (call.consent or call.no_faces) and not studio.settings.consent_is_strict:
        return None
    ask = call.ask(name_of(ctx))
    missing = await studio.missing_consent(ask, await read(ctx, studio, call, ask))
    if not missing:
        return None
    from hoasi.consent import faces_found

    pictures = few([f"{item.root.written} ({faces_found(item.faces)})" for item in missing])
    return Elicit(say("consent_form.question", pictures=pictures), Form)


Permission = Annotated[ElicitationResult[Form], Resolve(_question)]
"""A hidden parameter: the user's answer, or nothing where nothing had to be asked."""


def was_asked(permission: object) -> bool:
    """Whether the client's user was shown a question."""
    return not isinstance(permission, AcceptedElicitation) or permission.data is not None


async def settle(studio: Studio, ask: Ask, plan: Plan, permission: object) -> None:
    """Record what the user answered.

    Raises:
        ConsentMissing: the user said no, or closed the question.
    """
    said = permission.data if isinstance(permission, AcceptedElicitation) else Form(shows="no_consent")
    if said is None:
        return
    if said.shows == "no_consent":
        raise ConsentMissing("consent_declined", pictures=_pictures(ask))
    asked = ask.model_copy(update={"by": "elicitation"})
    if said.shows == "minor":
        await studio.record_consent(asked, plan, minor=True)
        raise ConsentMissing("consent_refused_minor", picture=_pictures(ask))
    words = "" if said.shows == "no_face" else (said.words.strip() or say("consent_form.consent_given"))
    await studio.record_consent(asked, plan, words=words, no_faces=said.shows == "no_face")


def _pictures(ask: Ask) -> str:
    """What was asked about, as the caller wrote it."""
    written = [*ask.references, *(given.written for request in ask.requests for given in request.given)]
    return ", ".join(dict.fromkeys(filter(None, written))) or "-"
