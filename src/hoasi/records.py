"""Ground floor: the nouns of the house as frozen records (words: docs/glossary.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from hoasi.given import Given, Input
from hoasi.record import Media, Operation, OptionValue, Paid, Record, Retry, Scope


class State(StrEnum):
    """Life of a generation; `unknown` may have been billed and is never resubmitted silently."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    FETCHING = "fetching"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_open(self) -> bool:
        """Somebody still has to work on it."""
        return self in OPEN_STATES


OPEN_STATES = frozenset({State.QUEUED, State.SUBMITTING, State.RUNNING, State.FETCHING})


class Scene(Record):
    """What a plan says of one scene; feeds prompts, storyboards and asset semantics."""

    id: str = ""
    narrative_role: str = ""
    spoken_text: str = ""
    visual_intent: str = ""
    mood: tuple[str, ...] = ()
    shot_types: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


class Request(Record):
    """One thing wanted of a model, as a source or a caller says it; nothing is resolved yet.

    `references` are paths or https URLs as written; `inputs` are those with another role. `options` are a model's
    further parameters (its card lists them). `None` always means "not given"; zero is a value. `first_idx` is the
    number of its first picture within its scene in this call (file names count on from it).
    """

    prompt: str
    scene: Scene = Scene()
    operation: Operation = "generate_image"
    provider: str | None = None
    model: str | None = None
    num_images: int = 1
    seed: int | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    negative_prompt: str | None = None
    output_format: str | None = None
    references: tuple[str, ...] = ()
    inputs: tuple[Given, ...] = ()
    options: dict[str, OptionValue] = {}
    style: str | None = None
    first_idx: int = 1
    origin: str = ""
    """Where it was written, for error texts: `creative_plan.toml, scene SC_01`."""

    @property
    def given(self) -> tuple[Given, ...]:
        """All inputs in the order in which a prompt may number them: those with a role, then the references."""
        return (*self.inputs, *(Given(role="reference", written=name) for name in self.references))


class Price(Record):
    """An estimate in US dollars, and what it rests on; `usd` is None where no price is known."""

    usd: float | None
    basis: str = ""


class Planned(Record):
    """One request with everything decided before money: model, parameters, seed, names, price.

    `stems` are the file names without extension, one a picture, known before paying.
    `parameters` are in our words; the provider translates them.
    """

    request: Request
    job_id: str
    provider: str
    model: str
    operation: str
    media: Media = "image"
    parameters: dict[str, Any]
    seed: int
    seed_is_sent: bool
    inputs: tuple[Input, ...] = ()
    fingerprint: str
    output_dir: str
    realm: str = ""
    """Who makes it: "" for the real provider, "sandbox" for ours."""
    log_path: str = ""
    semantics_path: str = ""
    """Workspace-relative files that tell of it; "" for none."""
    stems: tuple[str, ...]
    price: Price
    prompt: str
    """The prompt that is sent (style added); the caller's own is `request.prompt`."""
    expected_s: float = 10.0
    cap_s: float = 300.0
    """How long it is followed before it is left, resumable."""
    refusals: int = 3
    """How often it is sent again after a proven refusal."""
    slots: int = 1
    """Places it takes at the provider."""
    lane: str = ""
    """Whose places these are; "" in old rows: the provider's."""
    alternatives: tuple[Planned, ...] = ()
    """Chosen by `auto`: who else could make it, if nothing was sent; and under what names it may have been made."""
    warnings: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        """What the people in its pictures must have permitted."""
        return "swap" if self.operation == "swap_face" else "reference"

    @property
    def parents(self) -> tuple[str, ...]:
        """Generations of ours that it is made from."""
        return tuple(dict.fromkeys(item.generation_id for item in self.inputs if item.generation_id))

    @property
    def place(self) -> str:
        """Where its pictures land: two requests at one place are the same picture."""
        return f"{self.output_dir}/{self.stems[0]}"


class Plan(Record):
    """Requests with prices and warnings, before paying."""

    job_id: str
    output_dir: str
    items: tuple[Planned, ...]
    warnings: tuple[str, ...] = ()

    @property
    def price_usd(self) -> float | None:
        """Sum of the estimates, or None when one of them is not known."""
        prices = [item.price.usd for item in self.items]
        return None if None in prices else round(sum(p for p in prices if p is not None), 6)

    @property
    def images(self) -> int:
        """How many pictures the plan asks for."""
        return sum(len(item.stems) for item in self.items)


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


class Batch(Record):
    """Generations asked for together: `skipped` were there already, `free` are only fetched again."""

    ids: tuple[str, ...]
    skipped: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    job_id: str = ""
    expected_s: float | None = None


class Problem(Record):
    """An error as data: the ledger keeps it, replies and logs put it into words (`messages`)."""

    kind: str
    key: str
    facts: dict[str, Any] = {}
    paid: Paid = "no"
    retry: Retry = "no"
    detail: str = ""


class Generation(Record):
    """The ledger's entry for one request: state, receipt, files, cost, time."""

    id: str
    planned: Planned
    attempt: int
    state: State
    owner: str | None = None
    handle: dict[str, Any] | None = None
    artifacts: tuple[Artifact, ...] = ()
    problem: Problem | None = None
    paid: Paid = "no"
    cost_usd: float | None = None
    copy_of: str | None = None
    cancel_requested: bool = False
    tries: int = 0
    created_at: float
    submitted_at: float | None = None
    finished_at: float | None = None
    duration_s: float | None = None
    """Seconds from the accepted submission to the provider's result."""
    step: dict[str, Any] | None = None
    """What an earlier paid step of it gave, where it takes two."""
    facts: dict[str, Any] = {}
    """What the provider told of the result: billing, its own seed."""


def iso(at: float) -> str:
    """Local time with offset, seconds precision, as the logs write it."""
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(timespec="seconds")
