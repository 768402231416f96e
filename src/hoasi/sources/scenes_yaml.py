"""Floor 3, readers: `planning/scenes.yaml`, another team's scenes, as one request a scene.

Contract: schemas/scenes.schema.json. Pictures are `frames/scene-001.png`, numbered by the scenes' ids: other programs
look for these names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hoasi import paths
from hoasi.errors import FileBroken
from hoasi.records import Request, Scene
from hoasi.sources import Sourced, _yaml, job_of, numbered, prompt, refuse_unknown

SIZE = "1920x1080"
_ID = re.compile(r"[0-9]{1,6}")


def read(path: Path, *, workspace: Path, scene_ids: Sequence[str] = ()) -> Sourced:
    """Requests in the file's order. Prompts are sent as written; a style is the caller's affair.

    Args:
        path: the file; its pictures go to `frames` beside the folder `planning` that holds it, else beside itself.
        workspace: root of `jobs/`.
        scene_ids: only these scenes: `3`, `003` and `scene-003` are the same.

    Raises:
        FileBroken: the file cannot be used; facts name file, scene and line.
        NotFound: no such file or scene.
    """
    requests = _requests(path)
    asked = [numbered(name, "scene-") for name in scene_ids]
    refuse_unknown(asked, list(requests), path)
    project = path.parent.parent if path.parent.name == "planning" else path.parent
    return Sourced(
        requests=tuple(request for name, request in requests.items() if not asked or name in asked),
        job_id=job_of(path, workspace),
        folder=paths.relative(workspace, project / "frames"),
    )


def _requests(path: Path) -> dict[str, Request]:
    """Every scene by its id, without leading zeros; there is at least one, and none comes twice."""
    scenes = _yaml.read(path).get("scenes")
    if scenes is None or not isinstance(scenes.value, list) or not scenes.value:
        raise FileBroken("visual_no_scenes", file=path)
    found: dict[str, Request] = {}
    lines: dict[str, int] = {}
    for number, node in enumerate(scenes.value, 1):
        request = _request(path, node, f"scenes #{number}")
        name = request.scene.id
        if name in found:
            raise FileBroken("plan_scene_twice", file=path, scene=name, first_line=lines[name], line=node.line)
        found[name], lines[name] = request, node.line
    return found


def _request(path: Path, node: _yaml.Node, place: str) -> Request:
    if not isinstance(node.value, dict):
        raise FileBroken("visual_not_table", file=path, line=node.line, place=place)
    identity, visual = node.get("id"), node.get("visual")
    text = str(identity.value).strip() if identity and isinstance(identity.value, str) else ""
    if not _ID.fullmatch(text):
        line = identity.line if identity else node.line
        raise FileBroken("visual_id", file=path, line=line, place=place, value=text[:40] or "-")
    words, kind = (visual.get("prompt"), visual.get("type")) if visual else (None, None)
    said = prompt.clean(words.value) if words and isinstance(words.value, str) else ""
    if not said:
        line = (words or visual or node).line
        raise FileBroken("visual_prompt", file=path, line=line, place=f"{place} (id {text})")
    shown = prompt.clean(kind.value) if kind and isinstance(kind.value, str) else ""
    return Request(
        prompt=said,
        scene=Scene(id=str(int(text)), visual_intent=said, requirements=(shown,) if shown else ()),
        prefers={"target_size": SIZE},
        fixed_name=f"scene-{int(text):03}",
        origin=f"{path.name} {place} (id {text})",
    )
