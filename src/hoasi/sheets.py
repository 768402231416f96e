"""Landing (floor 4): a job at one look: every scene with its latest picture, or why there is none.

Nothing is kept by looking. Who wants a file (`hoasi sheet`) gets `jobs/<id>/source/contact_sheet.jpg`: beside the logs,
where people look, and never below `raw_assets/`, where the watcher would pay to look at it.
"""

from __future__ import annotations

import io
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hoasi import jobs, paths
from hoasi.errors import HoasiError, NotFound
from hoasi.files import any_trouble, replace_file
from hoasi.ledger import Ledger
from hoasi.messages import explain, say
from hoasi.records import Generation, State
from hoasi.results import Artifact

if TYPE_CHECKING:
    from PIL.Image import Image

    from hoasi.media.contact_sheet import Shot, Tone

NAME = "contact_sheet"
PAGE = 60
"""Frames on one page: more would be too small to be judged."""
MOST_READ = 5000
"""Generations of a job that are looked at, newest first."""
MAX_PX, LEAST_PX, FILE_PX = 1568, 512, 2400
"""Longest side: as much as models look at; what captions need; a file for people."""


class Cell(NamedTuple):
    """One frame: a file, or none; `latest` is the newest generation of the scene, if there is any."""

    caption: str
    artifact: Artifact | None
    note: str
    latest: Generation | None


class Page(NamedTuple):
    """One page as a JPEG, and the captions of its empty frames."""

    picture: bytes
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """A job's frames, in the order of its plan, then of their making."""

    workspace: Path
    job_id: str
    cells: tuple[Cell, ...]

    @property
    def pages(self) -> int:
        """How many pages they fill."""
        return math.ceil(len(self.cells) / PAGE)

    @property
    def told(self) -> str:
        """How many frames there are, made and missing."""
        count, missing = len(self.cells), len(self.missing)
        return say("sheet.told", count=count, made=count - missing, missing=missing)

    @property
    def missing(self) -> tuple[str, ...]:
        """Captions of the frames without a file."""
        return tuple(cell.caption for cell in self.cells if not self._is_there(cell))

    def _is_there(self, cell: Cell) -> bool:
        return cell.artifact is not None and (self.workspace / cell.artifact.path).is_file()

    def keep(self) -> list[Path]:
        """Draw every page into a file in the job's source folder; `contact_sheet.jpg`, `contact_sheet_2.jpg`, ...

        Raises:
            DiskTrouble: one of them cannot be written.
        """
        source = paths.job_dir(self.workspace, self.job_id) / "source"
        names = [NAME, *(f"{NAME}_{number}" for number in range(2, self.pages + 1))]
        files = [source / f"{name}.jpg" for name in names]
        for number, file in enumerate(files, 1):
            final = paths.inside(self.workspace, file, what="job_id")
            with any_trouble(final):
                replace_file(final, self.page(number, FILE_PX).picture, f".hoasi-0-{secrets.token_hex(4)}-sheet.tmp")
        return files

    def page(self, number: int = 1, max_px: int | None = None) -> Page:
        """Draw a page, counted from 1; takes a second, so in a worker thread. Free, and nothing is written.

        Raises:
            NotFound: there is no such page.
        """
        from hoasi.media import contact_sheet

        if not 1 <= number <= self.pages:
            raise NotFound("sheet_no_page", page=number, count=self.pages, job_id=self.job_id)
        cells = self.cells[(number - 1) * PAGE : number * PAGE]
        side = max(max_px or MAX_PX, LEAST_PX)
        ratios = [made.width / made.height for made in (cell.artifact for cell in cells) if made and made.height]
        grid = contact_sheet.grid_of(len(cells), ratios, side)
        shots = [_shot(cell, self.workspace, grid.largest) for cell in cells]
        head = f"{self.told} {say('sheet.page', page=number, count=self.pages)}" if self.pages > 1 else self.told
        missing = tuple(shot.caption for shot in shots if shot.picture is None)
        return Page(contact_sheet.draw(self.job_id, head, shots, grid, side), missing)


def of_job(workspace: Path, ledger: Ledger | None, job_id: str) -> Sheet:
    """What a job holds: scenes of its plan that want pictures or clips, and everything made for it.

    Raises:
        PathRefused, NotFound: no such job, or nothing in it to show.
    """
    wanted = jobs.scenes(workspace, job_id, all_scenes=False)
    found = [] if ledger is None else ledger.find(job_id=job_id, limit=MOST_READ)[0]
    cells = tuple(cell for group in _groups(found, wanted) for cell in _cells(group))
    if not cells:
        raise NotFound("sheet_nothing", job_id=job_id)
    return Sheet(workspace, job_id, cells)


class _Group(NamedTuple):
    """One scene's pictures or clips, newest first."""

    caption: str
    generations: list[Generation]


def _groups(found: Sequence[Generation], wanted: Sequence[str]) -> list[_Group]:
    """By scene and kind: the plan's scenes first, made or not; what has no scene stands for itself."""
    by_scene: dict[tuple[str, str], list[Generation]] = {}
    for generation in found:
        key = generation.planned.request.scene.id or generation.id, generation.planned.media
        by_scene.setdefault(key, []).append(generation)
    oldest_first = [*reversed(by_scene)]
    there = {scene for scene, _ in oldest_first}
    order = {scene: place for place, scene in enumerate(wanted)}
    groups = [(order.get(key[0], len(order)), _Group(key[0], by_scene[key])) for key in oldest_first]
    groups += [(order[scene], _Group(scene, [])) for scene in order if scene not in there]
    return [group for _, group in sorted(groups, key=lambda pair: pair[0])]


def _cells(group: _Group) -> Iterator[Cell]:
    """Every file of the latest success; else one empty frame."""
    latest = group.generations[0] if group.generations else None
    made = next((one for one in group.generations if one.state is State.SUCCEEDED and one.artifacts), None)
    if made is None:
        yield Cell(group.caption, None, "", latest)
        return
    again = "" if made is latest or latest is None else say(f"cli.state.{latest.state}")
    for number, artifact in enumerate(made.artifacts, 1):
        parts = [f"{number}/{len(made.artifacts)}"] if len(made.artifacts) > 1 else []
        parts += [say("sheet.seconds", seconds=f"{artifact.duration_s:g}")] if artifact.duration_s else []
        yield Cell(group.caption, artifact, " ".join([*parts, again]).strip(), made)


# ---------------------------------------------------------------------- what is in a frame


def _shot(cell: Cell, workspace: Path, px: int) -> Shot:
    from hoasi.media.contact_sheet import Shot

    if cell.artifact is None:
        head, reason, tone = _why(cell.latest)
        return Shot(cell.caption, head=head, reason=reason, tone=tone)
    is_clip = cell.artifact.duration_s > 0
    try:
        path = paths.inside(workspace, cell.artifact.path, what="path")
        return Shot(cell.caption, _picture(path, px, is_clip=is_clip), cell.note, is_clip=is_clip)
    except HoasiError as trouble:
        return Shot(cell.caption, head=say("sheet.broken"), reason=explain(trouble.problem()).message, tone="bad")
    except OSError:
        return Shot(cell.caption, head=say("sheet.gone"), reason=Path(cell.artifact.path).name, tone="bad")


def _why(latest: Generation | None) -> tuple[str, str, Tone]:
    """Why there is no picture: in a word, in a sentence, and how bad that is."""
    if latest is None:
        return say("sheet.not_made"), "", "plain"
    head = say(f"cli.state.{latest.state}").capitalize()
    if latest.state.is_open:
        return head, "", "busy"
    return head, explain(latest.problem).message if latest.problem else "", "bad"


def _picture(path: Path, px: int, *, is_clip: bool) -> Image:
    """A small copy, or the first frame of a clip."""
    from PIL import Image

    from hoasi.media import image, video

    data = video.frame_png(path, "first", px) if is_clip else image.small(path, px)[0]
    return Image.open(io.BytesIO(data))
