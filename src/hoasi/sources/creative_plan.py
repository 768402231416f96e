"""Floor 3, readers: `creative_plan.toml`, the planner's scenes, as one request a scene."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hoasi.errors import FileBroken, NotFound, PathRefused
from hoasi.messages import say
from hoasi.records import Request, Scene
from hoasi.sources import Sourced, _toml, few, job_of, prompt, refuse_unknown

NAME = "creative_plan.toml"
"""What a job calls its plan, in its folder `source/`."""

_PICTURE = re.compile(r"ai[_-](?:generated|image)", re.IGNORECASE)
_CLIP = re.compile(r"ai[_-]video", re.IGNORECASE)


class _Row(NamedTuple):
    """A scene and where it stands."""

    table: _toml.Table
    scene: Scene

    def asks_for(self, flag: re.Pattern[str]) -> bool:
        return any(flag.search(entry) for entry in self.scene.requirements)


def read(
    path: Path,
    *,
    workspace: Path,
    scene_ids: Sequence[str] = (),
    all_scenes: bool = False,
    vds_path: Path | None = None,
    references: Sequence[str] = (),
) -> Sourced:
    """Requests for the scenes that want an AI picture, in the plan's order.

    Args:
        path: the plan; relative to the current folder.
        workspace: root of `jobs/`; `metadata.source_vds` is read only within it.
        scene_ids: only these scenes, flagged or not.
        all_scenes: every scene, flagged or not.
        vds_path: visual design spec to use instead of `metadata.source_vds` or the `vds.md` beside the plan.
        references: reference pictures of every request, as written.

    Raises:
        FileBroken: the plan cannot be used, or no scene in it wants a picture; facts name file, table, field and line.
        NotFound: no such plan, `vds_path` or scene.
        PathRefused: `metadata.source_vds` leaves the workspace.
    """
    document = _toml.read(path)
    metadata = document.table("metadata")
    ratio = _ratio(metadata)
    rows = _rows(document)
    chosen = _chosen(rows, path, scene_ids, take_all=all_scenes)
    guidance, style_warnings = _guidance(metadata, workspace, vds_path)
    return Sourced(
        requests=tuple(_request(row, ratio, guidance, references) for row in chosen),
        job_id=job_of(path, workspace),
        aspect_ratio=ratio,
        language=metadata.text("language") or "vi",
        title=metadata.text("title"),
        warnings=(*_warnings(chosen, () if scene_ids else rows), *style_warnings),
    )


def ratio_of(path: Path) -> str | None:
    """The aspect ratio that a plan names, whatever else stands in it; None where it names none, or there is no plan.

    Raises:
        FileBroken: the plan cannot be read, or the ratio is none.
    """
    try:
        return _ratio(_toml.read(path).table("metadata"))
    except NotFound:  # a job without a plan has no shape
        return None


def _ratio(metadata: _toml.Table) -> str | None:
    return metadata.matching("aspect_ratio", prompt.RATIO, "source_not_ratio")


def scene_ids(path: Path, *, all_scenes: bool) -> list[str]:
    """Ids of the scenes that want an AI picture or an AI clip (`all_scenes`: of every scene), in the plan's order.

    Raises:
        FileBroken, NotFound: the plan cannot be used, or is not there.
    """
    rows = _rows(_toml.read(path))
    return [row.scene.id for row in rows if all_scenes or row.asks_for(_PICTURE) or row.asks_for(_CLIP)]


def _rows(document: _toml.Document) -> list[_Row]:
    """Every scene of the plan, checked; there is at least one and no id comes twice."""
    rows = [_Row(table, _scene(table)) for table in document.tables("scene_intents")]
    if not rows:
        raise FileBroken("plan_no_scenes", file=document.path)
    first: dict[str, _Row] = {}
    for row in rows:
        earlier = first.setdefault(row.scene.id, row)
        if earlier is not row:
            where, first_line = row.table.whereabouts("id"), earlier.table.whereabouts("id")["line"]
            raise FileBroken("plan_scene_twice", **where, scene=row.scene.id, first_line=first_line)
    return rows


def _scene(table: _toml.Table) -> Scene:
    return Scene(
        id=table.text("id") or f"SC_{table.index:02}",
        narrative_role=table.text("narrative_role"),
        spoken_text=table.text("spoken_text"),
        visual_intent=table.text("visual_intent"),
        mood=table.text_or_texts("mood"),
        shot_types=table.texts("preferred_shot_types"),
        requirements=table.texts("asset_requirements"),
    )


def _chosen(rows: list[_Row], path: Path, scene_ids: Sequence[str], *, take_all: bool) -> list[_Row]:
    """The scenes to draw; each has something to draw from."""
    asked = [prompt.clean(scene) for scene in scene_ids]
    refuse_unknown(asked, [row.scene.id for row in rows], path)
    wanted = frozenset(asked)
    chosen = [row for row in rows if (row.scene.id in wanted if wanted else take_all or row.asks_for(_PICTURE))]
    if not chosen:
        raise FileBroken("plan_no_flagged_scene", file=path, scenes=len(rows), clips=len(_clips(rows)))
    for row in chosen:
        if not (row.scene.visual_intent or row.scene.spoken_text):
            raise FileBroken("plan_scene_empty", **row.table.whereabouts("visual_intent"), scene=row.scene.id)
    return chosen


def _clips(rows: Iterable[_Row]) -> list[_Row]:
    """Scenes that want a clip, whatever else they want."""
    return [row for row in rows if row.asks_for(_CLIP)]


def _request(row: _Row, ratio: str | None, guidance: str, references: Sequence[str]) -> Request:
    return Request(
        prompt=prompt.scene_prompt(row.scene, aspect_ratio=ratio, guidance=guidance),
        scene=row.scene,
        aspect_ratio=ratio,
        references=tuple(references),
        origin=f"{row.table.document.path.name} {row.table.place} ({row.scene.id})",
    )


def _warnings(chosen: list[_Row], considered: Iterable[_Row]) -> list[str]:
    """One sentence for each kind of surprise, whatever the number of scenes."""
    taken = {row.scene.id for row in chosen}
    named = {
        "sources.scene_unnamed": [row for row in chosen if not row.table.text("id")],
        "sources.spoken_prompt": [row for row in chosen if not row.scene.visual_intent],
        "sources.clip_scenes": [row for row in _clips(considered) if row.scene.id not in taken],
    }
    ids = {key: [row.scene.id for row in rows] for key, rows in named.items() if rows}
    return [say(key, count=len(scenes), scenes=few(scenes)) for key, scenes in ids.items()]


def _guidance(metadata: _toml.Table, workspace: Path, vds_path: Path | None) -> tuple[str, list[str]]:
    """Style guidance of the visual design spec, and warnings about it."""
    if vds_path is not None:
        return _style(vds_path)
    named = metadata.string("source_vds")
    target = _within(metadata, workspace, named) if named else metadata.document.path.with_name("vds.md")
    try:
        return _style(target)
    except NotFound:  # a spec only refines the prompts: without it the job still goes on
        return "", [say("sources.vds_missing", file=named)] if named else []


def _style(path: Path) -> tuple[str, list[str]]:
    guidance = prompt.vds_guidance(_toml.read_text(path))
    return guidance, [] if guidance else [say("sources.vds_no_style", file=path)]


def _within(metadata: _toml.Table, workspace: Path, named: str) -> Path:
    """A path of the plan's author, who may be anybody: links are followed before it is trusted."""
    target, root = workspace / named, os.path.realpath(workspace)
    if "\0" in named or not Path(os.path.realpath(target)).is_relative_to(root):
        raise PathRefused("plan_vds_outside", **metadata.whereabouts("source_vds"))
    return target
