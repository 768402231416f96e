"""Room: sandbox. What Kling knows of the one account a sandbox has: tasks, sessions of faces, units used."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hoasi.sandbox.kling_fields import Endpoint
from hoasi.sandbox.line import Submission

Status = Literal["submitted", "processing", "succeeded", "failed"]
Pack = Literal["video", "image"]
PACKS: tuple[Pack, ...] = ("video", "image")


@dataclass(frozen=True)
class Made:
    """One picture or clip a task makes: known from the start, downloadable once the task has succeeded."""

    id: str
    url: str
    watermark_url: str
    duration_s: float | None = None


@dataclass(frozen=True)
class Source:
    """The clip that a task goes on from."""

    id: str
    url: str
    duration_s: float

    def facts(self) -> dict[str, str]:
        """Return Kling's record of a parent video."""
        return {"id": self.id, "url": self.url, "duration": f"{self.duration_s:.1f}"}


@dataclass(frozen=True)
class Planned:
    """What an accepted body will make and cost."""

    made: tuple[Made, ...]
    size: tuple[int, int]
    units: float
    pack: Pack
    usd_a_second: float = 0
    source: Source | None = None


@dataclass(eq=False)
class Task:
    """One accepted task. `created_ms` is a time of day, in milliseconds."""

    submission: Submission
    endpoint: Endpoint
    body: Mapping[str, Any]
    planned: Planned
    created_ms: int
    external_id: str
    callback_url: str | None

    @property
    def id(self) -> str:
        """Return the id that Kling gave."""
        return self.submission.id

    @property
    def updated_ms(self) -> int:
        """Return when the task last changed, in milliseconds."""
        at_s = self.submission.finished_at or self.submission.started_at or self.submission.accepted_at
        return self.created_ms + round(1000 * (at_s - self.submission.accepted_at))


@dataclass(frozen=True)
class Session:
    """The faces found in a clip; `began_at` is a reading of the sandbox's clock, in seconds."""

    source: Source
    faces: tuple[Mapping[str, Any], ...]
    began_at: float


@dataclass
class Account:
    """All of it, in memory."""

    tasks: dict[str, Task] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    used: dict[Pack, float] = field(default_factory=lambda: dict.fromkeys(PACKS, 0.0))
    costs_asked_at: float | None = None

    def by_external_id(self, external_id: str) -> Task | None:
        """Find the newest task with an id of the caller's."""
        return next((task for task in self.newest() if task.external_id == external_id != ""), None)

    def newest(self) -> Iterator[Task]:
        """Yield all tasks, the newest first."""
        return reversed(self.tasks.values())

    def maker_of(self, clip: str) -> Task | None:
        """Find the task that makes a clip, by the clip's id or URL."""
        return next((task for task in self.newest() if any(clip in (m.id, m.url) for m in task.planned.made)), None)

    def clear(self) -> None:
        """Forget everything."""
        vars(self).update(vars(Account()))


def new_id() -> str:
    """Return an id as Kling gives them: 18 digits; two sandboxes never give the same one."""
    return str(secrets.randbelow(9 * 10**17) + 10**17)
