"""Landing (floor 4): what lies in the workspace's jobs: names, scenes, logs. Reads only, no ledger."""

from __future__ import annotations

from pathlib import Path

from hoasi import paths
from hoasi.errors import HoasiError
from hoasi.preparing import LOGS
from hoasi.record import Media
from hoasi.sources import creative_plan


def names(workspace: Path) -> list[str]:
    """Ids of all jobs, the one that was worked at last first."""
    folders = [folder for folder in (workspace / "jobs").glob("*") if folder.is_dir() and paths.is_job_id(folder.name)]
    return [folder.name for folder in sorted(folders, key=lambda folder: (-_touched(folder), folder.name))]


def _touched(folder: Path) -> float:
    """When something was last written into a job's source folder, in seconds since 1970."""
    source = folder / "source"
    places = [folder, source, *(source / log for log in LOGS.values())]
    return max(place.stat().st_mtime for place in places if place.exists())


def logs(workspace: Path, job_id: str) -> dict[Media, Path]:
    """The logs that a job has, pictures before clips.

    Raises:
        PathRefused, NotFound: no such job.
    """
    source = paths.job_dir(workspace, job_id) / "source"
    found = {media: paths.inside(workspace, source / log, what="job_id") for media, log in LOGS.items()}
    return {media: path for media, path in found.items() if path.is_file()}


def scenes(workspace: Path, job_id: str, *, all_scenes: bool) -> list[str]:
    """Ids of the scenes that a job's creative plan wants made by AI (`all_scenes`: of all); none without a plan.

    Raises:
        PathRefused, NotFound: no such job.
    """
    folder = paths.job_dir(workspace, job_id)
    try:
        plan = paths.inside(workspace, folder / "source" / creative_plan.NAME, what="job_id")
        return creative_plan.scene_ids(plan, all_scenes=all_scenes)
    except HoasiError:  # a plan that cannot be drawn from is explained where somebody wants to draw from it
        return []
