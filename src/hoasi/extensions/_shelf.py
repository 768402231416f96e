"""Extensions: skills as they lie on disk: folders with a SKILL.md, their files, digests and what their heads say."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from mcp.server.mcpserver.resources import Resource

HEAD = "SKILL.md"
_FRONT = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)
_FOLDER = "inode/directory"
_TYPES = {".md": "text/markdown", ".py": "text/x-python", ".toml": "application/toml", ".yaml": "application/yaml"}
"""What the system's own table may not know, or knows differently from machine to machine."""


class SkillFile(Resource):
    """A file of a skill, read when it is asked for."""

    path: Path

    async def read(self) -> str | bytes:
        """Text as it lies there, byte for byte; else bytes."""
        data = self.path.read_bytes()
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data


class Skill:
    """One folder with a SKILL.md; it is called like its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = f"skill://{folder.name}"
        self.uri = f"{self.root}/{HEAD}"

    @cached_property
    def frontmatter(self) -> dict[str, Any]:
        """What stands at the head of SKILL.md.

        Raises:
            ValueError: it has no head; a bug of ours, found by a test.
        """
        head = _FRONT.match((self._folder / HEAD).read_bytes().decode("utf-8"))
        if head is None:
            raise ValueError(f"{self._folder / HEAD} has no frontmatter")
        found: dict[str, Any] = yaml.load(head[1], Loader=_Core)  # noqa: S506 - 2026-11-28, a safe loader
        return found

    @cached_property
    def entry(self) -> dict[str, Any]:
        """What skills/list and skills/get tell of it."""
        return {"uri": self.uri, "frontmatter": self.frontmatter, "resources": [self._told(f) for f in self._files]}

    def resources(self) -> Iterator[SkillFile]:
        """Its files, for resources/list and resources/read."""
        for path in self._files:
            yield SkillFile.model_validate({**self._listed(path), "path": path})

    def children(self, uri: str) -> list[dict[str, Any]] | None:
        """What lies directly in one of its folders; None: that is no folder of it."""
        folders = {self.root: self._folder} | {self._uri(path): path for path in self._folders}
        if uri not in folders:
            return None
        inside = sorted(path for path in (*self._folders, *self._files) if path.parent == folders[uri])
        return [self._wire(path) for path in inside]

    @cached_property
    def _files(self) -> list[Path]:
        """Without what Python or an editor left there."""
        return [path for path in sorted(self._folder.rglob("*")) if path.is_file() and not self._is_hidden(path)]

    @cached_property
    def _folders(self) -> set[Path]:
        """Folders that hold a file, at any depth."""
        return {up for path in self._files for up in path.parents if self._folder in up.parents}

    def _is_hidden(self, path: Path) -> bool:
        return any(part.startswith((".", "__")) for part in path.relative_to(self._folder).parts)

    def _uri(self, path: Path) -> str:
        return f"{self.root}/{path.relative_to(self._folder).as_posix()}"

    def _told(self, path: Path) -> dict[str, Any]:
        data = path.read_bytes()
        return {"uri": self._uri(path), "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}

    def _listed(self, path: Path) -> dict[str, Any]:
        uri = self._uri(path)
        if uri == self.uri:
            said = {"name": self.frontmatter["name"], "description": self.frontmatter["description"]}
        else:
            said = {"name": path.name}
        return {"uri": uri, "mime_type": _type_of(path), **said}

    def _wire(self, path: Path) -> dict[str, Any]:
        if path in self._folders:
            return {"uri": self._uri(path), "name": path.name, "mimeType": _FOLDER}
        listed = self._listed(path)
        return {"mimeType": listed.pop("mime_type"), "size": path.stat().st_size, **listed}


def skills_in(folder: Path) -> list[Skill]:
    """Every folder in it that is a skill."""
    return [Skill(path.parent) for path in sorted(folder.glob(f"*/{HEAD}"))]


def _type_of(path: Path) -> str:
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


class _Core(yaml.SafeLoader):
    """YAML 1.2 as clients read it: no dates, and `yes` is a word."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)
