"""Doors (floor 5): LoRAs as an agent says them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hoasi.given import Lora
from hoasi.record import Record


class LoraSaid(Record):
    """A name, or the address that a worker fetches it from, which names it as well. A text alone is a name."""

    name: str = ""
    strength: float | None = None
    url: str | None = None
    film: bool = False
    """The look of a film; else it is a person's."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @property
    def lora(self) -> Lora:
        """In the words of the house."""
        kind: Literal["character", "film"] = "film" if self.film else "character"
        return Lora(name=self.name, kind=kind, weight=self.strength, url=self.url)


Loras = Annotated[tuple[LoraSaid, ...], Field(description="comfyui, runpod; name or url")]


def said(loras: Iterable[LoraSaid]) -> tuple[Lora, ...]:
    """LoRAs in the words of the house."""
    return tuple(lora.lora for lora in loras)
