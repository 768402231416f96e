"""Ground floor: what came of a request: where a result is, and the file that it became."""

from __future__ import annotations

from pydantic import Field

from hoasi.record import Record


class Output(Record):
    """One result as a provider names it: an untrusted URL, or bytes it already gave."""

    url: str | None = None
    data: bytes | None = Field(default=None, repr=False)
    media_type: str | None = None
    id: str = ""
    """The provider's id of this very clip or picture."""


class Artifact(Record):
    """A file of ours on disk. `path` is workspace-relative with `/`."""

    path: str
    sha256: str
    size_bytes: int
    media_type: str
    width: int
    height: int
    url: str | None = None
    warnings: tuple[str, ...] = ()
    remote_id: str = ""
    duration_s: float = 0.0
    fps: float = 0.0
    has_audio: bool = False
