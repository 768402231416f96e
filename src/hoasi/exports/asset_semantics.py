"""Floor 3, writers: `asset_semantics.toml`, what the pipeline's mapper needs to know of our pictures without looking.

Contract: the pipeline's section of that name (schemas/asset_semantics.schema.json). People and other programs write in
this file too: their rows and comments stay as they are, and rows of ours that somebody mended stay mended.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hoasi.errors import FileBroken
from hoasi.exports._toml import block
from hoasi.exports.assets import SIZES, Asset, AssetScene, describe
from hoasi.files import held, replace_file

__all__ = ["Asset", "AssetScene", "describe", "write"]

_SCENES = re.compile(r"^(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*\[\[[ \t]*asset_scenes[ \t]*\]\]", re.MULTILINE)
_ROWS = re.compile(r"^[ \t]*\[\[[ \t]*assets[ \t]*\]\]", re.MULTILINE)
_NUMBER = re.compile(r"AST_(\d{1,12})(?:_SC_\d+)?")

Tables = list[dict[str, Any]]


@dataclass(frozen=True)
class _Book:
    """The file's text, what it says of which files, and where the next rows go (`cut`: before the scenes)."""

    text: str
    sizes: Mapping[str, Mapping[str, Any]]
    next_number: int
    cut: int
    whole: Mapping[str, Any] | None = None
    """The parsed file, where it is not our own work: then an addition is checked before it is trusted."""


_LEFT: dict[Path, _Book] = {}
"""The file that this process wrote last, so that a batch does not parse it again and again."""


def write(path: Path, assets: Sequence[Asset], *, lock_path: Path, temp_name: str) -> None:
    """Add assets to the file, each with one scene; of a file that is described already only the sizes are set.

    Args:
        path: the file. Its folder is made.
        assets: what was made. Nothing is written when all of it stands there already.
        lock_path: held while the file is read and written; the same for every process.
        temp_name: of the file beside, hidden and without a media suffix.

    Raises:
        FileBroken: the file is no TOML, or not of the contract's shape; it is left as it is.
        DiskTrouble: no room, no right, or the lock is held too long; the file is as it was.
    """
    asked = {asset.file_path: asset for asset in assets}
    with held(lock_path):
        old = book = _read(path)
        changed = {
            name: asset.sizes for name, asset in asked.items() if asset.sizes != book.sizes.get(name, asset.sizes)
        }
        fresh = [asset for name, asset in asked.items() if name not in book.sizes]
        if changed:
            book = _parsed(_resized(book.text, changed), path)
        if fresh:
            book = _added(book, fresh)
        if book is not old:
            replace_file(path, book.text.encode(), temp_name)
            _remember(path, book)


def _remember(path: Path, book: _Book) -> None:
    _LEFT.clear()
    _LEFT[path] = replace(book, whole=None)


def _read(path: Path) -> _Book:
    data = path.read_bytes() if path.exists() else b""
    left = _LEFT.get(path)
    if left is not None and left.text.encode() == data:
        return left
    try:
        return _parsed(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileBroken("semantics_broken", file=path, line=line) from error


def _parsed(text: str, path: Path) -> _Book:
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise FileBroken("semantics_broken", file=path, line=line) from error
    rows, scenes = (_tables(whole, name, path) for name in ("assets", "asset_scenes"))
    numbers = (int(match[1]) for row in rows + scenes if (match := _NUMBER.fullmatch(str(row.get("id", "")))))
    return _Book(
        text=text,
        sizes={str(row["file_path"]): {name: row.get(name) for name in SIZES} for row in rows if "file_path" in row},
        next_number=max(numbers, default=0) + 1,
        cut=_cut(text),
        whole=whole,
    )


def _tables(whole: Mapping[str, Any], name: str, path: Path) -> Tables:
    tables = whole.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise FileBroken("semantics_shape", file=path, table=name)
    return tables


def _cut(text: str) -> int:
    """Before the scenes, where all assets stand above them; else the end."""
    scenes = _SCENES.search(text)
    return len(text) if scenes is None or _ROWS.search(text, scenes.end()) else scenes.start()


def _added(book: _Book, fresh: Sequence[Asset]) -> _Book:
    rows, scenes = [], []
    for number, asset in enumerate(fresh, book.next_number):
        name = f"AST_{number:03d}"
        rows.append({"id": name, **asset.model_dump(mode="json", exclude={"scene"})})
        scenes.append({"id": f"{name}_SC_01", **asset.scene.model_dump(mode="json")})
    above = "".join(block("assets", row.items()) for row in rows)
    below = "".join(block("asset_scenes", scene.items()) for scene in scenes)
    if not book.text:
        above = above.lstrip()
    text = book.text[: book.cut] + above + book.text[book.cut :] + below
    sizes = {**book.sizes, **{asset.file_path: asset.sizes for asset in fresh}}
    if book.whole is not None and not _says(text, wanted := _joined(book.whole, rows, scenes)):
        text, above = _rebuilt(book.text, wanted), ""
    cut = book.cut + len(above) if above else _cut(text)
    return _Book(text=text, sizes=sizes, next_number=book.next_number + len(fresh), cut=cut)


def _joined(whole: Mapping[str, Any], rows: Tables, scenes: Tables) -> dict[str, Any]:
    both = {"assets": rows, "asset_scenes": scenes}
    return {**whole, **{name: [*whole.get(name, []), *tables] for name, tables in both.items()}}


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _rebuilt(text: str, wanted: Mapping[str, Any]) -> str:
    """A file whose tables stand inline, with the wanted ones as blocks; comments elsewhere stay."""
    import tomlkit

    document = tomlkit.parse(text)
    for name in ("assets", "asset_scenes"):
        document.pop(name, None)
        document.append(name, tomlkit.item(wanted[name]))
    return tomlkit.dumps(document)


def _resized(text: str, changed: Mapping[str, Mapping[str, Any]]) -> str:
    """The same file with other sizes in some rows; everything a person wrote stays."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    for row in document["assets"]:
        row.update(changed.get(row.get("file_path"), {}))
    return tomlkit.dumps(document)
