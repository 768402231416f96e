"""Doors (floor 5): a model card in the words of a result."""

from __future__ import annotations

from hoasi import catalogue
from hoasi.catalogue import Card, Option
from hoasi.pricing import usual
from hoasi.providers import provider
from hoasi.record import Record
from hoasi.settings import Settings


class Model(Record):
    """One hosted model. Prices in US dollars a unit, as with its defaults; a limit that is absent is not known."""

    id: str
    provider: str
    title: str = ""
    is_default_for: tuple[str, ...] = ()
    operations: tuple[str, ...]
    accepts: tuple[str, ...]
    price_usd: float | None
    price_unit: str = ""
    max_images: int = 1
    max_references: int = 0
    needs_references: bool = False
    max_prompt_chars: int | None = None
    aspect_ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    options: dict[str, str] = {}
    """Further parameters: their values or range, the default in front."""
    typical_seconds: float
    key_is_set: bool
    retired: str = ""
    successor: str = ""


class Models(Record):
    """The answer of list_models."""

    message: str
    models: tuple[Model, ...]
    styles: dict[str, str] = {}
    """Styles of this workspace: id -> title. The house's are named by generate_image."""


def model_of(card: Card, settings: Settings) -> Model:
    """A card and whether it can be used here."""
    maker, price = provider(card.provider), card.price
    defaults = catalogue.load(card.provider).defaults
    return Model(
        id=card.id,
        provider=card.provider,
        title=card.title,
        is_default_for=tuple(operation for operation, models in defaults.items() if card.id in models[:1]),
        operations=card.operations,
        accepts=card.accepts,
        price_usd=usual(card),
        price_unit="" if price is None else price.unit,
        max_images=card.max_images,
        max_references=card.references,
        needs_references=card.needs_references,
        max_prompt_chars=card.max_prompt,
        aspect_ratios=card.sizes.ratios or tuple(card.sizes.names),
        resolutions=card.resolutions,
        needs=card.needs,
        options={name: _told(option) for name, option in card.options.items()},
        typical_seconds=card.typical_s,
        key_is_set=not maker.secrets or settings.secret(maker.secrets) is not None,
        retired="" if card.retired is None else str(card.retired),
        successor=card.successor or "",
    )


def _told(option: Option) -> str:
    """`5 | 10`, or `0..1`; the default comes first in brackets."""
    bounds = "..".join("" if bound is None else f"{bound:g}" for bound in (option.least, option.most))
    values = " | ".join(map(str, option.choices)) or bounds
    return values if option.default is None else f"[{option.default}] {values}"
