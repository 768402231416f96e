"""Styles registry (floor 2): `resources/styles.json` of the workspace, shared with other programs.

A style is a LoRA with its strengths, words around the prompt and values for the graph. Unknown fields, here and at the
top of the file, are other programs' and are kept.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, ValidationError, model_validator

from hoasi.errors import FileBroken, NotFound, WrongInput
from hoasi.files import held, replace_file
from hoasi.record import Record

PLACE = "resources/styles.json"
PICTURES = "resources/style_images"
VERSION = "1.0"
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_ENDS = re.compile(r"[.!?:;]$")


def _text(value: Any) -> Any:
    """Some programs count their styles with numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _words(value: Any) -> Any:
    """Trigger words are written as a text or as a list."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


class Style(Record):
    """One style. A strength of 0 means "without"; a value that is not given is the template's."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: Annotated[str, BeforeValidator(_text)]
    title: Annotated[str, BeforeValidator(_text)] = ""
    lora_name: str = ""
    lora_file: str = ""
    lora_url: str = ""
    lora_weight: float = 1.0
    character_lora_weight: float = 0.85
    cine_lora_weight: float = 0.0
    trigger_words: Annotated[str, BeforeValidator(_words)] = ""
    monochrome: bool = False
    model: str = "flux1-dev-fp8"
    frontpad: str = ""
    backpad: str = ""
    steps: int | None = None
    cfg: float | None = None
    denoise: float | None = None
    guidance: float | None = None
    sampler_name: str | None = None
    scheduler_name: str | None = None
    image_path: str = ""
    metadata: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_given(cls, row: Any) -> Any:
        """`null` in the file means the same as no field."""
        return {name: value for name, value in row.items() if value is not None} if isinstance(row, dict) else row

    @property
    def lora(self) -> str:
        """The LoRA's file, or its name; "" for a style without."""
        return (self.lora_file or self.lora_name).strip()


def file_of(workspace: Path) -> Path:
    """Where a workspace keeps its styles."""
    return workspace / PLACE


def load(path: Path) -> tuple[Style, ...]:
    """All styles in the file's order; none where there is no file.

    Raises:
        FileBroken: `styles_broken`; facts name the place.
    """
    return _opened(path)[0]


def find(styles: Sequence[Style], id_or_title: str) -> Style:
    """The style of this id, else the one of this title (case and spaces do not count).

    Raises:
        NotFound: `style_unknown`; the error names the nearest.
        WrongInput: `style_ambiguous`: several are called so.
    """
    return styles[_place(styles, id_or_title)]


def add(path: Path, style: Style, *, lock_path: Path, temp_name: str) -> Style:
    """Write one more style; on disk when this returns. A model that was not named is not written: it would be chosen.

    Raises:
        WrongInput: `style_exists`, `style_id_empty`.
        FileBroken, DiskTrouble: the file cannot be read or written; it is as it was.
    """
    with held(lock_path):
        styles, document = _opened(path)
        _free(style.id, styles)
        left = {"model"} - style.model_fields_set
        document["styles"].append(style.model_dump(mode="json", exclude_none=True, exclude=left))
        _save(path, document, temp_name)
    return style


def update(path: Path, id_or_title: str, changes: Mapping[str, Any], *, lock_path: Path, temp_name: str) -> Style:
    """Change fields of one style (None takes a field out); everything else in the file stays as it is.

    Raises:
        NotFound, WrongInput: as `find` and `add`; `style_value_bad` where a change does not fit its field.
        FileBroken, DiskTrouble: as `add`.
    """
    with held(lock_path):
        styles, document = _opened(path)
        place = _place(styles, id_or_title)
        out = {name for name, value in changes.items() if value is None}
        row = {**document["styles"][place], **changes}
        document["styles"][place] = {name: value for name, value in row.items() if name not in out}
        changed = _changed(document["styles"][place])
        _free(changed.id, [style for number, style in enumerate(styles) if number != place])
        _save(path, document, temp_name)
    return changed


def remove(path: Path, id_or_title: str, *, lock_path: Path, temp_name: str) -> Style:
    """Take one style out of the file; its pictures stay.

    Raises:
        NotFound, WrongInput: as `find`.
        FileBroken, DiskTrouble: as `add`.
    """
    with held(lock_path):
        styles, document = _opened(path)
        place = _place(styles, id_or_title)
        del document["styles"][place]
        _save(path, document, temp_name)
    return styles[place]


def assemble(prompt: str, style: Style | None) -> str:
    """The prompt that is sent: frontpad, prompt, trigger words, backpad. Empty parts leave nothing."""
    if style is None:
        return prompt
    parts = [part.strip().strip(",").strip() for part in (style.frontpad, prompt, style.trigger_words, style.backpad)]
    whole = ""
    for part in filter(None, parts):
        joint = "" if not whole else " " if _ENDS.search(whole) else ", "
        whole += joint + part
    return whole


def folder(style: Style) -> str:
    """Where pictures of a style go, from the workspace on: `resources/style_images/<id>_<title>`.

    The title is in lower case with `_` for spaces; signs that no folder may have become `_`, too.
    """
    name = _UNSAFE.sub("_", f"{style.id}_{style.title.lower().replace(' ', '_')}")
    short = name.encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
    return f"{PICTURES}/{re.sub(r'^[.]+|[. ]+$', '_', short)}"


def file_name(now: datetime, token: str) -> str:
    """`generated_<UTC YYYYMMDD_HHMMSS>_<8 hex>.png`; `token` are the eight hex digits."""
    return f"generated_{now.astimezone(UTC):%Y%m%d_%H%M%S}_{token}.png"


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _place(styles: Sequence[Style], wanted: str) -> int:
    by_id = [number for number, style in enumerate(styles) if style.id == wanted.strip()]
    by_title = [number for number, style in enumerate(styles) if style.title and _plain(style.title) == _plain(wanted)]
    found = by_id or by_title
    if len(found) > 1:
        raise WrongInput("style_ambiguous", style=wanted, ids=", ".join(styles[number].id for number in found))
    if not found:
        raise NotFound("style_unknown", style=wanted[:80], near=_near(styles, wanted))
    return found[0]


def _near(styles: Sequence[Style], wanted: str) -> str:
    """The nearest ids and titles; all of them where none is near."""
    called = {_plain(name): style for style in styles for name in (style.id, style.title) if name}
    close = difflib.get_close_matches(_plain(wanted), called, n=3, cutoff=0.4)
    rows = dict.fromkeys(called[name].id for name in close or list(called)[:6])
    titles = {style.id: style.title for style in styles}
    return ", ".join(f"{row} ({titles[row]})" if titles[row] else row for row in rows) or "-"


def _free(style_id: str, others: Sequence[Style]) -> None:
    if not style_id.strip():
        raise WrongInput("style_id_empty")
    if any(style.id == style_id for style in others):
        raise WrongInput("style_exists", style=style_id)


def _changed(row: Mapping[str, Any]) -> Style:
    try:
        return Style.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WrongInput("style_value_bad", field=".".join(map(str, first["loc"])), detail=first["msg"]) from error


def _opened(path: Path) -> tuple[tuple[Style, ...], dict[str, Any]]:
    """The styles, and the document with what we do not know."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        document = {"version": VERSION, "styles": [], "loras": []}
    except (OSError, ValueError, RecursionError) as error:
        raise FileBroken("styles_broken", file=path, where="JSON", detail=str(error)) from error
    rows = document.setdefault("styles", []) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise FileBroken("styles_broken", file=path, where="styles")
    return tuple(_read(path, number, row) for number, row in enumerate(rows)), document


def _read(path: Path, number: int, row: Any) -> Style:
    try:
        return Style.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("styles", number, *first["loc"])))
        raise FileBroken("styles_broken", file=path, where=where, detail=first["msg"]) from error


def _save(path: Path, document: Mapping[str, Any], temp_name: str) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    try:
        written = text.encode()
    except UnicodeEncodeError:  # half of a character, from an escape in the file
        written = (json.dumps(document, indent=2) + "\n").encode()
    replace_file(path, written, temp_name)
