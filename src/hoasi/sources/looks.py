"""Floor 3, readers: a style by its name: one of the workspace's registry, by id or title, else one of the house's.

A registered style brings words for every provider, and a LoRA and values for those that run graphs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from hoasi.comfy import styles
from hoasi.comfy.styles import Style
from hoasi.errors import NotFound
from hoasi.record import OptionValue
from hoasi.records import Request
from hoasi.sources.prompt import followed, style_names, styled

SETS = (
    *("lora_url", "lora_weight", "character_lora_weight", "cine_lora_weight", "model"),
    *("steps", "cfg", "denoise", "guidance", "sampler_name", "scheduler_name"),
)
"""Fields of a style that set something beside its words; `lora_file` comes from it as a whole."""


def registered(name: str | None, workspace: Path) -> Style | None:
    """The style of that id or title in the workspace's registry; None where it is no style, or one of the house's.

    Raises:
        NotFound: nobody knows it; the error names the nearest. FileBroken: the registry cannot be read.
    """
    path = styles.file_of(workspace)
    if not (name or "").strip() or not path.is_file():
        return None
    at = path.stat()
    try:
        return styles.find(_loaded(path, (at.st_mtime_ns, at.st_size, at.st_ino)), str(name))
    except NotFound as unknown:
        if str(name).strip().lower() in style_names():
            return None
        near = ", ".join((str(unknown.facts["near"]), *style_names()))
        raise NotFound("style_unknown", style=str(name)[:80], near=near) from unknown


@lru_cache(maxsize=4)
def _loaded(path: Path, stamp: tuple[int, ...]) -> tuple[Style, ...]:  # noqa: ARG001  (another stamp, another file)
    """The registry; read again when the file is another."""
    return styles.load(path)


def dressed(request: Request, workspace: Path) -> tuple[str, Request]:
    """The prompt within the words of the request's style, and the request with what the style sets besides.

    Raises:
        NotFound, FileBroken: as `registered`.
    """
    style, said = registered(request.style, workspace), followed(request.prompt, request.words_after)
    if style is None:
        return styled(said, request.style), request
    return styles.assemble(said, style), request.model_copy(update={"look": look(style)})


def look(style: Style) -> dict[str, OptionValue]:
    """What a style sets beside its words, as the registry names it; only what it really says."""
    said = {name: getattr(style, name) for name in SETS if name in style.model_fields_set}
    return said | ({"lora_file": style.lora} if style.lora else {})


def home(names: Iterable[str | None], workspace: Path) -> Path | None:
    """The folder of the one registered style that all of these name; None where there is no such style."""
    found = {name: registered(name, workspace) for name in set(names)}
    style = next(iter(found.values()), None)
    return workspace / styles.folder(style) if style is not None and len(found) == 1 else None


def titles(workspace: Path) -> dict[str, str]:
    """Id -> title of every style of the registry; empty where there is none.

    Raises:
        FileBroken: it cannot be read.
    """
    return {style.id: style.title for style in styles.load(styles.file_of(workspace))}
