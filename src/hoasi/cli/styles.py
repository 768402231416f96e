"""Hall (floor 6): `styles list|show|add|update|remove`: the workspace's registry of styles, on the command line."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoasi.answers import Reply
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import call_of
from hoasi.errors import WrongInput
from hoasi.messages import say

if TYPE_CHECKING:
    from hoasi.comfy.styles import Style
    from hoasi.settings import Settings

Name = Annotated[str, typer.Argument(help="help.styles.name", metavar="ID|TITLE")]
Fields = Annotated[list[str] | None, typer.Option("--set", help="help.styles.set", metavar="NAME=VALUE")]

_SHOWN = ("id", "title", "lora_file", "lora_weight", "trigger_words")


def list_(context: typer.Context) -> Answer:
    """Every style of the workspace."""
    from hoasi.comfy import styles

    found = styles.load(styles.file_of(call_of(context).settings().workspace))
    columns = tuple(say(f"cli.style.columns.{name}") for name in _SHOWN)
    sheet = Sheet(columns, tuple(_row(style) for style in found), whole=frozenset({0, 3}))
    return Answer(
        Reply(message=say("cli.style.count", count=len(found))),
        sheets=(sheet,) if found else (),
        facts={"styles": [_told(style) for style in found]},
    )


def show(context: typer.Context, *, style: Name) -> Answer:
    """One style with all its fields, also those that only other programs know."""
    from hoasi.comfy import styles

    found = styles.find(styles.load(styles.file_of(call_of(context).settings().workspace)), style)
    return _answer("cli.style.one", found)


def add(
    context: typer.Context,
    *,
    style: Annotated[str, typer.Argument(help="help.styles.id", metavar="ID")],
    title: Annotated[str, typer.Option("--title", help="help.styles.title", metavar="TEXT")] = "",
    fields: Fields = None,
) -> Answer:
    """Write one more style.

    Raises:
        WrongInput: there is one of that id, or a value does not fit.
    """
    from hoasi.comfy import styles

    settings = call_of(context).settings()
    given = {"title": title, **{name: value for name, value in _values(fields).items() if value is not None}}
    made = styles.Style.model_validate({**given, "id": style})
    return _answer("cli.style.added", styles.add(styles.file_of(settings.workspace), made, **_safely(settings)))


def update(context: typer.Context, *, style: Name, fields: Fields = None) -> Answer:
    """Change fields of one style; `name=` takes one out.

    Raises:
        NotFound: no such style. WrongInput: nothing is said, or a value does not fit.
    """
    from hoasi.comfy import styles

    settings = call_of(context).settings()
    if not fields:
        raise WrongInput("style_fields", field="--set")
    changed = styles.update(styles.file_of(settings.workspace), style, _values(fields), **_safely(settings))
    return _answer("cli.style.changed", changed)


def remove(context: typer.Context, *, style: Name) -> Answer:
    """Take one style out of the registry; its pictures stay."""
    from hoasi.comfy import styles

    settings = call_of(context).settings()
    return _answer("cli.style.removed", styles.remove(styles.file_of(settings.workspace), style, **_safely(settings)))


def _safely(settings: Settings) -> dict[str, Any]:
    """How the file is changed: one process at a time, whole or not at all."""
    return {
        "lock_path": settings.home / "locks" / "styles.lock",
        "temp_name": f".hoasi-{secrets.token_hex(6)}-styles.tmp",
    }


def _answer(key: str, style: Style) -> Answer:
    from hoasi.comfy import styles

    told = _told(style)
    rows = tuple((name, value if isinstance(value, str) else json.dumps(value)) for name, value in told.items())
    columns = (say("cli.style.columns.field"), say("cli.style.columns.value"))
    message = say(key, style=style.id, title=style.title or "-", folder=styles.folder(style))
    return Answer(Reply(message=message), sheets=(Sheet(columns, rows),), facts={"style": told})


def _row(style: Style) -> tuple[str, ...]:
    return style.id, style.title, style.lora or "-", f"{style.lora_weight:g}", style.trigger_words


def _told(style: Style) -> dict[str, Any]:
    """Its fields as the file has them."""
    return style.model_dump(mode="json", exclude_none=True, exclude_unset=True)


# ---------------------------------------------------------------------- what is set


def _values(fields: Sequence[str] | None) -> dict[str, Any]:
    """`name=value` as the registry writes it: numbers as numbers; None where nothing follows the sign.

    Raises:
        WrongInput: it is not written so, or the value does not fit its field.
    """
    rows = [(field, *field.partition("=")) for field in fields or ()]
    for field, name, sign, _ in rows:
        if not sign or not name.strip():
            raise WrongInput("style_fields", field=field[:80])
    return {name.strip(): _value(name.strip(), text) for _, name, _, text in rows}


def _value(name: str, text: str) -> Any:
    """In the form of its field; of a field that is not ours as JSON, else as text."""
    from pydantic import ValidationError

    from hoasi.comfy.styles import Style

    if not text.strip():
        return None
    said = _json(text) if name not in Style.model_fields or text.lstrip()[:1] in "{[" else text
    try:
        probe = Style.model_validate({"id": "-", name: said})
    except ValidationError as error:
        raise WrongInput("style_value_bad", field=name, detail=error.errors(include_url=False)[0]["msg"]) from error
    return getattr(probe, name)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
