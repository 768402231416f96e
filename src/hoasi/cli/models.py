"""Hall (floor 6): `models`: what can be asked for, at which price, within which limits."""

from __future__ import annotations

from typing import Annotated

import typer

from hoasi import catalogue
from hoasi.answers import Reply
from hoasi.catalogue import Card
from hoasi.cli.answer import Answer, Sheet
from hoasi.cli.frame import call_of
from hoasi.messages import money, say
from hoasi.pricing import usual
from hoasi.providers import provider
from hoasi.settings import Settings


def models(
    context: typer.Context,
    only: Annotated[str | None, typer.Option("--provider", help="help.models_provider", metavar="NAME")] = None,
) -> Answer:
    """Every model card; the price is an estimate of the day it was read.

    Raises:
        NotFound: no provider of that name.
    """
    settings = call_of(context).settings()
    cards = catalogue.load(only).cards if only else catalogue.every_card()
    keys = {name: _key(name, settings) for name in {card.provider for card in cards}}
    columns = tuple(say(f"cli.models.{name}") for name in ("model", "does", "price", "limits", "key"))
    rows = tuple(_row(card, keys[card.provider]) for card in cards)
    sheet = Sheet(columns, rows, whole=frozenset({0, 2, 4}), styles=tuple("dim" if c.retired else "" for c in cards))
    facts = {
        "models": [{**card.model_dump(mode="json"), "key_present": keys[card.provider] != "missing"} for card in cards]
    }
    return Answer(Reply(message=say("cli.models.count", count=len(cards))), sheets=(sheet,), facts=facts)


def _key(name: str, settings: Settings) -> str:
    """Whether a provider's key is set: `set`, `missing`, or `none` where none is needed."""
    names = provider(name).secrets
    return "none" if not names else "set" if settings.secret(names) else "missing"


def _row(card: Card, key: str) -> tuple[str, ...]:
    return card.id, ", ".join(card.operations), _price(card), _limits(card), say(f"cli.models.keys.{key}")


def _price(card: Card) -> str:
    """`$0.039 / image (2026-11-21)`, as with the card's defaults."""
    price = card.price
    if price is None:
        return money(None)
    if price.unit == "free":
        return money(0.0)
    return f"{money(usual(card))}/{say(f'cli.models.units.{price.unit}')} ({price.read})"


def _limits(card: Card) -> str:
    """What it takes at most, and whether it is still there."""
    if card.retired is not None:
        return say("cli.models.retired", since=card.retired, successor=card.successor or "-")
    parts = [say("cli.models.images", count=card.max_images)] if card.media == "image" else ["video"]
    if card.references:
        parts.append(say("cli.models.references", count=card.references))
    if card.resolutions:
        parts.append(", ".join(card.resolutions))
    if card.sizes.kind == "aspect_ratio":
        parts.append(say("cli.models.ratios", count=len(card.sizes.ratios)))
    return "; ".join(parts)
