"""Room: sandbox. The three folders of a ComfyUI server: `input`, `output` and `temp`, held in memory."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hoasi.sandbox.easel import Easel, Format, Recipe, size_of

if TYPE_CHECKING:
    from hoasi.sandbox.comfyui_pictures import Size

FOLDERS = ("input", "output", "temp")
_MEDIA_TYPES = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "gif": "gif"}
_ANNOTATED = re.compile(r"(.+?)(?: \[(input|output|temp)\])?")


class OutsideError(ValueError):
    """A path that leads out of its folder."""


@dataclass(frozen=True)
class File:
    """One file: bytes that a client uploaded, or a picture that is drawn when somebody asks."""

    content: bytes = b""
    recipe: Recipe | None = None

    @property
    def size(self) -> Size | None:
        """Width and height in pixels; None if it is no picture."""
        return size_of(self.content) if self.recipe is None else (self.recipe.width, self.recipe.height)

    async def load(self, easel: Easel, form: Format | None = None) -> bytes:
        """Return the bytes; a drawn picture also in another format."""
        if self.recipe is None:
            return self.content
        return await easel.draw(Recipe(**{**vars(self.recipe), "format": form or self.recipe.format}))


class Files:
    """Files by folder and path below it."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], File] = {}

    def get(self, folder: str, path: str) -> File | None:
        """Find a file."""
        return self._files.get((folder, posixpath.normpath(path)))

    def named(self, name: str) -> File | None:
        """Find a file as a node names it: `face.png`, `sub/face.png`, `face.png [output]`."""
        match = _ANNOTATED.fullmatch(name)
        return self.get(match[2] or "input", match[1]) if match else None

    def names(self) -> list[str]:
        """List the files at the top of the input folder, as LoadImage offers them."""
        return sorted(path for folder, path in self._files if folder == "input" and "/" not in path)

    def upload(self, folder: str, subfolder: str, name: str, content: bytes, *, overwrite: bool) -> str:
        """Store a client's file and return the name it got; other bytes under a taken name get a number.

        Raises OutsideError for a subfolder or name that leads out of the folder.
        """
        stem, extension = posixpath.splitext(name)
        number, path = 0, inside(subfolder, name)
        while not overwrite and self._files.get((folder, path), File(content)).content != content:
            number += 1
            path = inside(subfolder, f"{stem} ({number}){extension}")
        self._files[folder, path] = File(content)
        return posixpath.basename(path)

    def save(self, folder: str, prefix: str, recipes: list[Recipe]) -> list[dict[str, Any]]:
        """Store what an output node made, under the next free numbers, and return how the history tells of it.

        Raises OutsideError for a prefix that leads out of the folder.
        """
        subfolder, stem = posixpath.split(prefix.replace("\\", "/"))
        first, told = self._next_number(folder, subfolder, stem), []
        for number, recipe in enumerate(recipes, first):
            name = f"{stem}_{number:05}_.{recipe.format}"
            self._files[folder, inside(subfolder, name)] = File(recipe=recipe)
            told.append({"filename": name, "subfolder": subfolder, "type": folder})
        return told

    def clear(self) -> None:
        """Throw everything away."""
        self._files.clear()

    def _next_number(self, folder: str, subfolder: str, stem: str) -> int:
        taken = re.compile(re.escape(inside(subfolder, f"{stem}_")) + r"(\d{5,})_\.\w+")
        found = [match for place, path in self._files if place == folder and (match := taken.fullmatch(path))]
        return max((int(match[1]) for match in found), default=0) + 1


def inside(subfolder: str, name: str) -> str:
    """Return the path of a file below its folder. Raises OutsideError if it leads out."""
    path = posixpath.normpath(posixpath.join(subfolder, name))
    if path.startswith(("/", "..")):
        raise OutsideError(path)
    return path


def media_type(name: str) -> str:
    """Return the content type that a file's extension tells."""
    kind = _MEDIA_TYPES.get(name.rpartition(".")[2].lower())
    return f"image/{kind}" if kind else "application/octet-stream"


def place_of(query: Mapping[str, str]) -> tuple[str, str]:
    """Return folder and path of a file as `/view` is asked for it. Raises OutsideError, ValueError for a bad folder."""
    folder, name = query.get("type", "output"), query.get("filename", "")
    if folder not in FOLDERS or name.startswith("/") or ".." in name:
        raise ValueError(folder)
    return folder, inside(query.get("subfolder", ""), posixpath.basename(name))
