"""Ground floor: inputs, as they are written and as they were read."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import unquote

from pydantic import model_validator

from hoasi.record import Medium, Operation, OptionValue, Record, Role, Scope

CLEAR_FACE = 120
"""A face of so many pixels (its shorter side) stays recognisable when its cutting is enlarged."""


class Given(Record):
    """An input as written: a path, an https address, the id of a generation of ours, or a clip's id at its provider.

    `of` is a promise instead: the result of the request with that number (from 0) in the same call.
    """

    role: Role
    written: str = ""
    of: int | None = None

    @property
    def medium(self) -> Medium:
        """What kind of file it has to be."""
        return self.role if self.role == "video" or self.role == "audio" else "image"  # noqa: PLR1714  (narrows)


class Root(Record):
    """A picture of a person that one of our results was made from: its permission stands for the result."""

    sha256: str
    written: str
    path: str
    scope: Scope


class Remote(Record):
    """Where a result of ours still lies at its provider, so that it need not travel again."""

    provider: str
    model: str = ""
    id: str = ""
    """The provider's id of this very clip or picture."""
    url: str = ""
    age_days: float | None = None


class Input(Record):
    """An input that was read: its bytes are bound by `sha256`."""

    written: str
    """As the caller wrote it: a workspace path, a URL, an id."""
    path: str
    """Workspace-relative path of the bytes (a remote picture lies in the cache)."""
    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    role: Role = "reference"
    medium: Medium = "image"
    duration_s: float = 0.0
    faces: int | None = None
    """How many faces were found in it; None: nobody could look."""
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """Around each clear face, with a margin, largest first (left, top, right, bottom); only looked for in a swap."""
    face_sides: tuple[int, ...] = ()
    """The shorter side of each of these faces."""
    crop: tuple[int, int, int, int] | None = None
    """What of the picture is sent, where not all of it."""
    promise: str = ""
    """Fingerprint of the request whose result it will be; until then nothing else is known of it."""
    promised_by: str = ""
    """The generation that will bring it, whoever makes it in the end."""
    generation_id: str = ""
    """The generation of ours that made it."""
    remote: Remote | None = None
    roots: tuple[Root, ...] = ()
    """Made by us: the permissions it rests on. Else the picture's own permission counts."""


class Lora(Record):
    """A LoRA as somebody asks for it: a person's, or a film's look.

    A weight not given is the style's, else the house's; `url` is for workers that fetch LoRAs themselves, and names it
    where no name is given.
    """

    name: str
    kind: Literal["character", "film"] = "character"
    weight: float | None = None
    url: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: dict[str, Any]) -> dict[str, Any]:
        is_named = bool(given.get("name")) or not given.get("url")
        return given if is_named else {**given, "name": unquote(str(given["url"]).partition("?")[0].rpartition("/")[2])}


class Way(Record):
    """How else a request may be made: only what differs from it is set."""

    operation: Operation = "generate_image"
    provider: str | None = None
    model: str | None = None
    prompt: str = ""
    aspect_ratio: str | None = None
    resolution: str | None = None
    options: dict[str, OptionValue] = {}
    notes: tuple[str, ...] = ()
