"""Ground floor: model cards as data. One TOML file a provider; a card is one hosted model.

A card says what the model takes, its limits, its price with source and date. Nothing here is code per model.
"""

from __future__ import annotations

import difflib
import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from hoasi.errors import NotFound
from hoasi.records import Media, Record


class CardPrice(Record):
    """Price of one unit in US dollars; `by` overrides it for values of one of our parameters."""

    unit: Literal["image", "megapixel", "second", "free"]
    usd: float
    by_parameter: str | None = None
    by: dict[str, float] = {}
    first_unit_usd: float | None = None
    """Where the first megapixel costs more or less than the following ones."""
    source: str
    read: date
    note: str = ""


class Sizes(Record):
    """How a model is told the picture's shape.

    `aspect_ratio`: a listed ratio as text. `image_size`: a named size, or exact pixels where `names` has no entry;
    then sides are multiples of `step` and their product stays within `min_pixels..max_pixels` around `pixels`.
    """

    kind: Literal["aspect_ratio", "image_size", "none"] = "none"
    ratios: tuple[str, ...] = ()
    names: dict[str, str] = {}
    pixels: int = 1024 * 1024
    min_pixels: int = 256 * 256
    max_pixels: int = 2048 * 2048
    step: int = 16


class Card(Record):
    """One hosted model: what it does, takes, costs.

    `accepts` names our parameters; what is not listed cannot be sent. `references` is how many pictures it takes
    (0: none), `needs_references` whether it cannot do without. `edit` names the sibling that takes references.
    """

    id: str
    provider: str
    title: str = ""
    operations: tuple[str, ...]
    media: Media = "image"
    accepts: tuple[str, ...]
    references: int = 0
    needs_references: bool = False
    edit: str | None = None
    max_images: int = 1
    max_prompt: int | None = None
    resolutions: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    sizes: Sizes = Sizes()
    typical_s: float = 10.0
    price: CardPrice | None = None
    source: str
    read: date
    retired: date | None = None
    successor: str | None = None
    note: str = ""


class Catalogue(Record):
    """All cards of one provider, and its default model of each operation."""

    provider: str
    defaults: dict[str, str]
    cards: tuple[Card, ...]

    def card(self, model: str) -> Card:
        """The card of a model id.

        Raises:
            NotFound: no such model; the error names the nearest ids.
        """
        for card in self.cards:
            if card.id == model:
                return card
        near = difflib.get_close_matches(model, [card.id for card in self.cards], n=3, cutoff=0.3)
        raise NotFound("model_unknown", model=model, provider=self.provider, near=", ".join(near) or "-")


PROVIDERS = ("fal", "local")


@cache
def load(provider: str) -> Catalogue:
    """Cards of one provider from its TOML file.

    Raises:
        NotFound: no provider of that name.
    """
    if provider not in PROVIDERS:
        near = difflib.get_close_matches(provider, PROVIDERS, n=1, cutoff=0.3)
        raise NotFound("provider_unknown", provider=provider, near=", ".join(near or PROVIDERS))
    raw = tomllib.loads(files("hoasi.catalogue").joinpath(f"{provider}.toml").read_text(encoding="utf-8"))
    cards = [{"provider": provider, **raw.get("common", {}), **card} for card in raw["cards"]]
    return Catalogue.model_validate({"provider": provider, "defaults": raw["defaults"], "cards": cards})


def every_card() -> tuple[Card, ...]:
    """Cards of all providers, in the order of the providers."""
    return tuple(card for provider in PROVIDERS for card in load(provider).cards)
