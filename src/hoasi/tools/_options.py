"""Doors (floor 5): the parameters that all tools share which make something."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from hoasi.answers import Reply
from hoasi.ask import Ask
from hoasi.record import OptionValue
from hoasi.sources.prompt import style_names
from hoasi.tools._door import Parameters
from hoasi.tools._loras import Loras, said
from hoasi.workflows import Workflow

if TYPE_CHECKING:
    from hoasi.studio import Studio

T = TypeVar("T")
W = TypeVar("W", bound=Workflow)

Seconds = Annotated[float | None, Field(ge=0, le=3600, description="default fits the client")]
Only = Annotated[tuple[str, ...], Field(description="scene ids")]
Unsaid = Annotated[T, SkipJsonSchema()]
"""Taken, but not told once more: generate_image names it, and every byte of a schema is read in every session. The
schema stays open, so that clients that check calls by it let it through."""


Options = Annotated[dict[str, OptionValue], Field(description="the model's own, like steps")]


class _Maker(Parameters):
    """Where it goes, and who makes it."""

    job_id: Annotated[str | None, Field(description="files land in jobs/<job_id>/")] = None
    provider: Annotated[
        str | None,
        Field(description="default fal (edits, clips: auto, the cheapest); local: free sketch; see list_models"),
    ] = None
    model: str | None = None
    seed: int | None = None


class _Pictures(_Maker):
    """What only prompts for pictures take."""

    num_images: Annotated[int | None, Field(ge=1, description="per prompt, default 1")] = None
    aspect_ratio: Annotated[str | None, Field(description="like 9:16")] = None
    reference_images: Annotated[tuple[str, ...], Field(description="paths or https URLs")] = ()
    style: Annotated[str | None, Field(description="or yours", json_schema_extra={"examples": [*style_names()]})] = None
    loras: Loras = ()
    options: Options = {}


class _Safety(Parameters):
    """What it may cost, and who has agreed."""

    overwrite: Annotated[bool, Field(description="buy again what exists")] = False
    resubmit: Annotated[bool, Field(description="retry `unknown`, may bill twice")] = False
    dry_run: Annotated[bool, Field(description="plan and price, free")] = False
    max_cost_usd: Annotated[float | None, Field(ge=0, description="refuse if dearer")] = None
    consent: Annotated[str | None, Field(description="user's words allowing upload")] = None
    no_faces: Annotated[bool, Field(description="references show no face")] = False
    minor: Annotated[bool, Field(description="a minor is shown: refused")] = False
    wait_seconds: Seconds = None


class Making(_Safety, _Maker):
    """Options of every tool that makes something; all may be left out."""

    known: ClassVar[frozenset[str]] = frozenset(
        {
            *("job_id", "provider", "model", "num_images", "aspect_ratio", "reference_images", "style", "loras"),
            *("options", "overwrite", "resubmit", "dry_run", "max_cost_usd", "consent", "no_faces", "minor"),
            "wait_seconds",
        }
    )
    """Explained by generate_image; elsewhere their names are enough."""

    @abstractmethod
    def ask(self, client: str) -> Ask:
        """The call as the Studio takes it."""

    def told(self, studio: Studio, reply: Reply) -> Reply:  # noqa: ARG002 - 2026-11-28, tools with words of their own
        """The reply in the tool's own words, if it has any; said again at every look, so it does nothing twice."""
        return reply

    def _ask(self, client: str, **own: Any) -> Ask:
        """The shared options, and what the tool itself knows."""
        shared = self.model_dump(include=_SHARED)
        return Ask.model_validate({**shared, "by": "argument", "client": client or "mcp", **own})


_SHARED = {"job_id", "overwrite", "resubmit", "max_cost_usd", "consent", "no_faces", "minor"}


class Painting(Making, _Pictures):
    """Options of the tools that make pictures from prompts. The bases' order is that in which an agent reads them."""

    def _ask(self, client: str, **own: Any) -> Ask:
        options = self.model_dump(include=_PAINTED) | {"references": self.reference_images, "loras": said(self.loras)}
        return super()._ask(client, **{**options, **own})


_PAINTED = {"provider", "model", "seed", "num_images", "aspect_ratio", "style", "options"}


class Working(Making):
    """Options of the tools that are a workflow each; they speak of one scene at most."""

    known: ClassVar[frozenset[str]] = Making.known | {"scene_id"}

    scene_id: str = ""
    seed: Unsaid[int | None] = None
    resubmit: Unsaid[bool] = False
    minor: Unsaid[bool] = False
    wait_seconds: Unsaid[Seconds] = None

    @abstractmethod
    def work(self) -> Workflow:
        """The workflow with what was given."""

    def ask(self, client: str) -> Ask:
        """The workflow's requests.

        Raises:
            WrongInput: parameters that contradict each other.
        """
        return self._ask(client, requests=self.work().requests())

    def _given(self, *names: str) -> dict[str, Any]:
        """What was said of these parameters, and of maker, seed and scene."""
        return self.model_dump(include={*names, *Workflow.model_fields}, exclude_unset=True)

    def _as(self, kind: type[W]) -> W:
        """The workflow whose fields are named like the tool's parameters."""
        return kind.model_validate(self._given(*kind.model_fields))
