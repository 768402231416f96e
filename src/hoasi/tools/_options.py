"""Doors (floor 5): the parameters that all tools share which make something."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from pydantic import Field

from hoasi.ask import Ask
from hoasi.catalogue import PROVIDERS
from hoasi.sources.prompt import style_names
from hoasi.tools._door import Parameters

Seconds = Annotated[float | None, Field(ge=0, le=3600, description="default fits the client")]
Only = Annotated[tuple[str, ...], Field(description="scene ids")]


class Making(Parameters):
    """Options of every tool that makes pictures; all may be left out."""

    known: ClassVar[frozenset[str]] = frozenset(
        {
            *("job_id", "provider", "model", "num_images", "aspect_ratio", "reference_images", "style", "overwrite"),
            *("dry_run", "max_cost_usd", "wait_seconds", "minor"),
        }
    )
    """Explained by generate_image; elsewhere their names are enough."""

    job_id: Annotated[str | None, Field(description="files land in jobs/<job_id>/")] = None
    provider: Annotated[
        str | None, Field(description="default fal; local: free sketch", json_schema_extra={"enum": [*PROVIDERS]})
    ] = None
    model: Annotated[str | None, Field(description="see list_models")] = None
    seed: int | None = None
    num_images: Annotated[int | None, Field(ge=1, description="per prompt, default 1")] = None
    aspect_ratio: Annotated[str | None, Field(description="like 9:16")] = None
    reference_images: Annotated[tuple[str, ...], Field(description="paths or https URLs")] = ()
    style: Annotated[str | None, Field(json_schema_extra={"enum": [*style_names()]})] = None
    overwrite: Annotated[bool, Field(description="buy again what exists")] = False
    resubmit: Annotated[bool, Field(description="retry `unknown`, may bill twice")] = False
    dry_run: Annotated[bool, Field(description="plan and price, free")] = False
    max_cost_usd: Annotated[float | None, Field(ge=0, description="refuse if dearer")] = None
    consent: Annotated[str | None, Field(description="user's words allowing upload")] = None
    no_faces: Annotated[bool, Field(description="references show no face")] = False
    minor: Annotated[bool, Field(description="a minor is shown: refused")] = False
    wait_seconds: Seconds = None

    @abstractmethod
    def ask(self, client: str) -> Ask:
        """The call as the Studio takes it."""

    def _ask(self, client: str, **own: Any) -> Ask:
        """The shared options, and what the tool itself knows."""
        shared = self.model_dump(include=_SHARED)
        options = {"references": self.reference_images, "by": "argument", "client": client or "mcp"}
        return Ask.model_validate({**shared, **options, **own})


_SHARED = {
    *("job_id", "provider", "model", "seed", "num_images", "aspect_ratio", "style", "overwrite", "resubmit"),
    *("max_cost_usd", "consent", "no_faces", "minor"),
}
