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
from hoasi.record import Media, Medium, OptionValue, Record


class Rate(Record):
    """A price that holds when all of `when` is so: options and parameters by value, roles of inputs as true."""

    when: dict[str, OptionValue]
    usd: float


class CardPrice(Record):
    """Price of one unit in US dollars; the first of `rates` that fits, else `by`, overrides it."""

    unit: Literal["image", "megapixel", "second", "free"]
    usd: float
    by_parameter: str | None = None
    by: dict[str, float] = {}
    rates: tuple[Rate, ...] = ()
    first_unit_usd: float | None = None
    """Where the first megapixel costs more or less than the following ones."""
    step_s: float | None = None
    """Seconds are counted in started steps of so many."""
    fixed_usd: float = 0.0
    """What each call costs besides."""
    reference_usd: float = 0.0
    """What each picture that is given to it costs besides, after the first `free_references`."""
    free_references: int = 0
    tokens: dict[str, float] = {}
    """What a token of each kind costs, where replies count them: then the estimate is replaced by the exact cost."""
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
    longest: int | None = None
    """Pixels of the longest side, where exact pixels may be asked for as a resolution, within all these bounds."""
    flattest: float = 8.0
    """The longer side by the shorter one, of such pixels."""
    classes: dict[str, int] = {}
    """The pixels that a word for a resolution stands for at most, the fewest first."""


class Option(Record):
    """A parameter of a model beyond those that all share: its values, or its range.

    `default` is sent when nothing is given.
    """

    choices: tuple[OptionValue, ...] = ()
    least: float | None = None
    most: float | None = None
    is_whole: bool = False
    """Only whole numbers."""
    default: OptionValue | None = None


class Limits(Record):
    """What an input of one kind must be like; sides in pixels. Pictures that are too large are made to fit."""

    min_side: int | None = None
    max_side: int | None = None
    max_ratio: float | None = None
    max_bytes: int | None = None
    media_types: tuple[str, ...] = ()
    min_s: float | None = None
    max_s: float | None = None
    models: tuple[str, ...] = ()
    """Only results of these models of the same provider, told by their id there."""
    max_age_days: float | None = None


class Card(Record):
    """One hosted model: what it does, takes, costs.

    `accepts` names our parameters, roles of inputs among them; what is not listed cannot be sent. `references` is how
    many pictures without a frame's role it takes (0: none), `needs_references` whether it cannot do without; `needs`
    are roles that must be there. An id that ends with `*` stands for all that begin so. `edit` names the sibling that
    takes references. `forbids` are values that do not go together; true: given at all, false: not given. `aliases` are
    other names of it, `corrects` wrong ones that are known in the wild.
    """

    id: str
    provider: str
    title: str = ""
    aliases: tuple[str, ...] = ()
    corrects: tuple[str, ...] = ()
    endpoint: str = ""
    """Where the provider takes it, when its id does not say so."""
    model_name: str = ""
    """Its name on the wire, when that is not its id."""
    secrets: tuple[str, ...] = ()
    """The environment names of the keys that it takes, where they are not all of the provider's."""
    operations: tuple[str, ...]
    media: Media = "image"
    accepts: tuple[str, ...]
    needs: tuple[str, ...] = ()
    options: dict[str, Option] = {}
    fields: dict[str, str] = {}
    """Our word -> the provider's field, where it is not that provider's usual one: `a.b` is b within an object a, ""
    is not sent, because the model's id says it already."""
    forms: dict[str, str] = {}
    """How a value is written, where not as it is: a text with `{}` in it."""
    forbids: tuple[dict[str, OptionValue], ...] = ()
    limits: dict[Medium, Limits] = {}
    marker: str = "image {n}"
    """How its prompts name the n-th picture."""
    adds_s: float | None = None
    """An extension of so many seconds."""
    lane: str = ""
    """Whose places it takes, where a provider counts apart; else the provider's."""
    slots: Literal["one", "images"] = "one"
    """Places a call takes: one, or one a picture."""
    cap_s: float | None = None
    poll_s: float = 0.0
    """It must not be looked at more often than this."""
    references: int = 0
    needs_references: bool = False
    mask: Literal["white", "transparent"] = "white"
    """What of a mask is painted anew, as the model reads it."""
    edit: str | None = None
    max_images: int = 1
    max_pixels_together: int | None = None
    """Pixels of all pictures of one call together, where only so many come back."""
    max_prompt: int | None = None
    shows_inputs: bool = True
    """False: nothing of the pictures that it is given is in its results."""
    is_unseen: bool = False
    """It stands for models that nobody has looked at: only what was asked for is sent."""
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
    """All cards of one provider, and its default models of each operation: the first that can do it is taken."""

    provider: str
    is_trained: bool = True
    """Its models were trained; else rules of ours draw sketches, which are not for the finished video."""
    must_be_named: bool = False
    """A sketch, or machines of one's own: `auto` never chooses it for somebody."""
    knows_clips_by_number: bool = False
    """A clip that only it has is called by a number alone; one provider's at most."""
    defaults: dict[str, tuple[str, ...]]
    cards: tuple[Card, ...]

    def card(self, model: str, operation: str = "") -> Card:
        """The card of a model id, or of another name of a model that does the operation.

        Raises:
            NotFound: no such model; the error names the nearest ids.
        """
        for card in self.cards:
            if card.id == model:
                return card
        for card in self.cards:
            if operation in card.operations and model in {*card.aliases, *card.corrects}:
                return card
        for card in self.cards:
            if card.id.endswith("*") and model.startswith(card.id[:-1]):
                return card.model_copy(update={"id": model})
        near = difflib.get_close_matches(model, [card.id for card in self.cards], n=3, cutoff=0.3)
        raise NotFound("model_unknown", model=model, provider=self.provider, near=", ".join(near) or "-")


PROVIDERS = ("ark", "comfyui", "fal", "kling", "local", "openai", "replicate", "runpod", "stability")


@cache
def load(provider: str) -> Catalogue:
    """Cards of one provider from its TOML file.

    Raises:
        NotFound: no provider of that name.
    """
    if provider not in PROVIDERS:
        near = difflib.get_close_matches(provider, PROVIDERS, n=1)
        raise NotFound("provider_unknown", provider=provider, near=", ".join(near or PROVIDERS))
    raw = tomllib.loads(files("hoasi.catalogue").joinpath(f"{provider}.toml").read_text(encoding="utf-8"))
    common = raw.pop("common", {})
    cards = [{"provider": provider, **common, **card} for card in raw["cards"]]
    defaults = {name: (ids,) if isinstance(ids, str) else ids for name, ids in raw["defaults"].items()}
    return Catalogue.model_validate({**raw, "provider": provider, "defaults": defaults, "cards": cards})


@cache
def blind() -> frozenset[str]:
    """The models in whose results nothing is of the pictures that they are given."""
    return frozenset(card.id for card in every_card() if not card.shows_inputs)


def takers(role: str, operation: str) -> str:
    """The models that take an input of that role for this operation, for a sentence."""
    found = [
        c for c in every_card() if role in c.accepts and operation in c.operations and not (c.retired or c.is_unseen)
    ]
    return ", ".join(f"{card.provider}: {card.id}" for card in found) or "-"


def every_card() -> tuple[Card, ...]:
    """Cards of all providers, in the order of the providers."""
    return tuple(card for provider in PROVIDERS for card in load(provider).cards)
