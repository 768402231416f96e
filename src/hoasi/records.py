"""Ground floor: the nouns of the house as frozen records (words: docs/glossary.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from hoasi.given import Given, Input, Lora, Way
from hoasi.record import Media, Operation, OptionValue, Paid, Record, Retry, Scope, Seed
from hoasi.results import Artifact


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
    at_once: int | None = None
    """At most so many pictures in one paid call, where the model would make more."""
    seed: Seed = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    negative_prompt: str | None = None
    output_format: str | None = None
    references: tuple[str, ...] = ()
    inputs: tuple[Given, ...] = ()
    options: dict[str, OptionValue] = {}
    wishes: tuple[dict[str, OptionValue], ...] = ()
    """Sets of options: the first that the model takes is added, beside what `options` say; none of them is no loss."""
    prefers: dict[str, str] = {}
    """What is taken where the model has such a choice, and no reason to refuse where it has none: `resolution`,
    `negative_prompt`, `aspect_ratio` (the nearest that it has), and `target_size`, to which results are cut and scaled
    here if the model cannot be told."""
    shape_from: str = ""
    """Workspace-relative file in which the preferred aspect ratio stands; "" where nobody looked for one."""
    loras: tuple[Lora, ...] = ()
    style: str | None = None
    look: dict[str, OptionValue] = {}
    """What a style of the workspace's registry sets beside its words: its LoRA, strengths, values for the graph."""
    first_idx: int = 1
    words_after: tuple[str, ...] = ()
    """What a global style of its source puts behind the prompt, before the words of `style`."""
    fixed_name: str = ""
    """A file name without extension on which another program insists (`scene-001`); see `Planned.fixed_name`."""
    avatar: str | None = None
    """An avatar by its id (`lan`), or one picture of it (`lan#profile_right`, `lan#2`: the second portrait)."""
    scope: Scope = "reference"
    """What the people in its pictures must have permitted, unless its operation says so."""
    notes: tuple[str, ...] = ()
    """What a person should know of it before paying, as sentences."""
    otherwise: tuple[Way, ...] = ()
    """In this order: how else, where it cannot be made so, or where nothing of it could be sent."""
    origin: str = ""
    """Where it was written, for error texts: `creative_plan.toml, scene SC_01`."""

    @property
    def ways(self) -> tuple[Request, ...]:
        """The request, and the others that may stand in for it."""
        said = [{name: getattr(way, name) for name in way.model_fields_set} for way in self.otherwise]
        own = self.model_copy(update={"otherwise": ()})
        return (own, *(own.model_copy(update={"notes": (), "model": None, **update}) for update in said))

    @property
    def without_shape(self) -> Request:
        """The request as if no shape were preferred."""
        prefers = {name: value for name, value in self.prefers.items() if name != "aspect_ratio"}
        return self.model_copy(update={"prefers": prefers})

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
    fixed_name: str = ""
    """Where another program looks for its picture: workspace-relative, without extension, always a PNG. A copy lies
    there as long as nothing else is asked for that name; its own file is kept apart, named by its content."""
    records_path: str = ""
    """The file of asset records that tells of it; "" for none."""
    stems: tuple[str, ...]
    price: Price
    prompt: str
    """The prompt that is sent (style added); the caller's own is `request.prompt`."""
    expected_s: float = 10.0
    cap_s: float = 300.0
    """How long it is followed before it is left, resumable."""
    stops_at_cap: bool = False
    """Then it is taken back at its provider instead."""
    poll_s: float = 0.0
    """It is not asked about oftener."""
    refusals: int = 3
    """How often it is sent again after a proven refusal."""
    slots: int = 1
    """Places it takes at the provider."""
    lane: str = ""
    """Whose places these are; "" in old rows: the provider's."""
    alternatives: tuple[Planned, ...] = ()
    """Chosen by `auto`: who else could make it, if nothing was sent; and under what names it may have been made."""
    is_name_only: bool = False
    """Stands among alternatives only as a name under which it may have been made: its provider has no key now."""
    stands_by: bool = False
    """Stands among alternatives only for the day when the model itself is gone."""
    moved: str = ""
    """Said where somebody else took it over."""
    warnings: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        """What the people in its pictures must have permitted."""
        return "swap" if self.operation == "swap_face" else self.request.scope

    def stem(self, k: int) -> str:
        """File name of the k-th picture; those beyond what was asked for have the last one's, and their number."""
        return self.stems[k] if k < len(self.stems) else f"{self.stems[-1]}_{k + 1}"

    @property
    def names(self) -> tuple[str, ...]:
        """The fixed names of its pictures, one each: numbered where there are several; none where none is asked for."""
        if not self.fixed_name or len(self.stems) == 1:
            return (self.fixed_name,) if self.fixed_name else ()
        return tuple(f"{self.fixed_name}_{self.request.first_idx + k}" for k in range(len(self.stems)))

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


class Batch(Record):
    """Generations asked for together: `skipped` were there already, `free` are only fetched again."""

    ids: tuple[str, ...]
    skipped: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    """Made earlier; their files are harmed, and only buying could bring them back."""
    told: frozenset[str] = frozenset()
    """Ended badly in an earlier call, which may have cost something; only told again."""
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
    """When it was first sent; kept where it waits again because its reply was lost."""
    finished_at: float | None = None
    duration_s: float | None = None
    """Seconds from the accepted submission to the provider's result."""
    step: dict[str, Any] | None = None
    """What an earlier paid step of it gave, where it takes two."""
    facts: dict[str, Any] = {}
    """What the provider told of the result: billing, its own seed."""

    @property
    def receipt(self) -> str | None:
        """The provider's own name of the request, to find it on its pages."""
        handle = self.handle or {}
        return next((str(handle[name]) for name in ("request_id", "task_id", "id") if handle.get(name)), None)


def iso(at: float) -> str:
    """Local time with offset, seconds precision, as the logs write it."""
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(timespec="seconds")
