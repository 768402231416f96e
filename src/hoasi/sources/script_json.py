"""Floor 3, readers: `script.json`, another team's script, as one request a segment that describes a picture.

Contract: schemas/script.schema.json. Pictures are `projects/<project_id>/image_01.png`, numbered among the described
segments: other programs look for these names. One that fails leaves a gap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hoasi.errors import FileBroken
from hoasi.planning import slug
from hoasi.records import Request, Scene
from hoasi.sources import Sourced, global_style, job_of, numbered, prompt, refuse_unknown
from hoasi.sources._toml import read_text
from hoasi.sources.scenes_yaml import SIZE

_OURS = ("segments", "image_description", "global_style", "project_id")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def read(path: Path, *, workspace: Path, scene_ids: Sequence[str] = ()) -> Sourced:
    """Requests in the file's order, each with the script's `global_style`, else the usual one.

    Args:
        path: the file; its project is its own `project_id`, else the folder that holds it.
        workspace: root of `projects/` and `jobs/`.
        scene_ids: only these pictures: `2`, `02` and `image_02` are the same.

    Raises:
        FileBroken: the file cannot be used; facts name file, segment and line.
        NotFound: no such file or picture.
    """
    script = _script(path)
    style = script.get("global_style")
    facts = (global_style.usual() if style is None else global_style.said(style)).facts
    described = _described(path, script.get("segments"))
    asked = [numbered(name, "image_") for name in scene_ids]
    known = [str(index) for index in range(1, len(described) + 1)]
    refuse_unknown(asked, known, path)
    pairs = zip(known, described, strict=True)
    return Sourced(
        requests=tuple(_request(path, name, text, facts) for name, text in pairs if not asked or name in asked),
        job_id=job_of(path, workspace),
        folder=f"projects/{_project(path, script)}",
        has_records=True,
    )


def _script(path: Path) -> dict[str, Any]:
    text = read_text(path)
    if not text.strip():
        raise FileBroken("source_empty", file=path)

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in _OURS if names.count(name) > 1), None)
        if twice is not None:
            raise FileBroken("visual_key_twice", file=path, line=_line(text, f'"{twice}"'), field=twice)
        return dict(pairs)

    try:
        script = json.loads(text, object_pairs_hook=table)
    except json.JSONDecodeError as error:
        facts: dict[str, Any] = {"file": path, "line": error.lineno, "column": error.colno, "detail": error.msg}
        raise FileBroken("visual_syntax", form="JSON", **facts) from error
    except (RecursionError, ValueError) as error:
        raise FileBroken("source_too_deep", file=path) from error
    if not isinstance(script, dict):
        raise FileBroken("visual_no_segments", file=path)
    return script


def _described(path: Path, segments: object) -> list[str]:
    """What the segments describe, in their order; there is at least one."""
    if not isinstance(segments, list):
        raise FileBroken("visual_no_segments", file=path)
    found: list[str] = []
    for number, segment in enumerate(segments, 1):
        said = segment.get("image_description") if isinstance(segment, dict) else segment
        if not isinstance(segment, dict) or not isinstance(said, str | None):
            raise FileBroken("visual_segment", file=path, place=f"segments #{number}", value=json.dumps(said)[:40])
        if text := prompt.clean(said or ""):
            found.append(text)
    if not found:
        raise FileBroken("visual_none_described", file=path)
    return found


def _request(path: Path, name: str, text: str, facts: dict[str, Any]) -> Request:
    return Request(
        **{**facts, "prefers": {**facts["prefers"], "target_size": SIZE}},
        prompt=text,
        scene=Scene(id=name, visual_intent=text),
        fixed_name=f"image_{int(name):02}",
        origin=f"{path.name} (image {name})",
    )


def _project(path: Path, script: dict[str, Any]) -> str:
    """The project's id: what the script says, else its folder's name, as a name for a folder."""
    said = script.get("project_id")
    if said is not None and not (isinstance(said, str) and _PROJECT.fullmatch(said)):
        raise FileBroken("visual_project", file=path, value=str(said)[:40])
    own = path.parent.name if _PROJECT.fullmatch(path.parent.name) else slug(path.parent.name)
    return said or own or slug(path.stem) or "script"


def _line(text: str, word: str) -> int:
    """The line where a word comes first."""
    return text.count("\n", 0, max(text.find(word), 0)) + 1
