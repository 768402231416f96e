"""Landing (floor 4): new pictures and clips of a job have the shape of its plan, where the call says none.

Reads the plan; nothing else. What it says is a preference: a model that has no such shape makes the nearest, and one
that can be told none is not refused. Decision: docs/decisions/0016-the-shape-of-a-job.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hoasi import paths
from hoasi.choosing import Wanted, Worded
from hoasi.errors import FileBroken, PathRefused
from hoasi.given import Input
from hoasi.messages import explain, say
from hoasi.records import Request
from hoasi.shapes import pixels
from hoasi.sources import creative_plan

NEW = frozenset({"generate_image", "text_to_video", "reference_to_video"})
"""Operations whose results have no shape of their own: everything else follows the picture or clip it starts from."""
_SIZED = frozenset({"width", "height", "size", "target_size"})


def shaped(requests: Sequence[Request], job_id: str, workspace: Path) -> tuple[list[Request], list[str]]:
    """The requests with the job's shape as a preference, and why its plan could not be read, as a sentence.

    Raises:
        PathRefused, NotFound: no such job.
    """
    if not job_id or not any(map(_is_open, requests)):
        return list(requests), []
    try:
        plan = paths.inside(workspace, paths.job_dir(workspace, job_id) / "source" / creative_plan.NAME, what="job_id")
        ratio = creative_plan.ratio_of(plan)
    except (FileBroken, PathRefused) as error:  # the picture can be made without it; whoever draws from it is refused
        return list(requests), [say("note.job_shape.unread", why=explain(error.problem()).message)]
    if ratio is None:
        return list(requests), []
    found = {"shape_from": paths.relative(workspace, plan)}
    return [_wishing(request, ratio, found) if _is_open(request) else request for request in requests], []


def _is_open(request: Request) -> bool:
    """A new thing whose shape nobody said, in words or in pixels."""
    is_new = request.operation in NEW and request.scope == "reference"
    is_sized = bool(_SIZED & {*request.options, *request.prefers}) or pixels(request.resolution) is not None
    return is_new and request.aspect_ratio is None and not is_sized


def _wishing(request: Request, ratio: str, found: dict[str, str]) -> Request:
    return request.model_copy(update={"prefers": {**request.prefers, "aspect_ratio": ratio}, **found})


def unshaped(ways: Sequence[Worded], inputs: Sequence[Input]) -> Iterator[Wanted]:
    """The same without the job's shape, as it was asked for before jobs had one: so it may have been bought."""
    if any("aspect_ratio" in request.prefers for _, request in ways):
        yield [(words, request.without_shape) for words, request in ways], inputs
