"""Workbench (floor 1), pure: what a request costs, by its card. An estimate, and it names its source and date."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hoasi.catalogue import Card, CardPrice
from hoasi.given import Input
from hoasi.messages import money, say
from hoasi.records import Price
from hoasi.shapes import class_of


def price_of(card: Card, parameters: Mapping[str, Any], inputs: Sequence[Input], count: int) -> Price:
    """Dollars for `count` results; None where the card, or the length of a clip, is not known."""
    price = card.price
    one = None if price is None else _of_one(price, card, parameters, inputs)
    if price is None or one is None:
        return Price(usd=None, basis=say("price.unknown", model=card.id))
    basis = say("price.basis", count=count, each=money(one), source=price.source, read=price.read)
    return Price(usd=round(one * count, 6), basis=basis)


def usual(card: Card) -> float | None:
    """Dollars a unit where nothing but the card's own defaults is said; None where the card does not know."""
    chosen = {name: option.default for name, option in card.options.items() if option.default is not None}
    return None if card.price is None else _rate(card.price, chosen)


def seconds_of(card: Card, parameters: Mapping[str, Any], inputs: Sequence[Input]) -> float | None:
    """Length of the clip that is made (of an extension: of what is added); None where nothing says."""
    if card.adds_s is not None:
        return card.adds_s
    if (asked := parameters.get("duration_s")) is not None:
        return float(asked)
    return next((item.duration_s for item in inputs if item.role == "video" and item.duration_s), None)


def _of_one(price: CardPrice, card: Card, parameters: Mapping[str, Any], inputs: Sequence[Input]) -> float | None:
    named = {"resolution": class_of(parameters.get("resolution"), card.sizes)}
    each = _rate(price, {**parameters, **named, **{item.role: True for item in inputs}})
    if price.unit == "megapixel":
        megapixels = math.ceil(_area(card, parameters) / 1_000_000)
        first = each if price.first_unit_usd is None else price.first_unit_usd
        return price.fixed_usd + first + each * (megapixels - 1)
    if price.unit != "second":
        given = sum(item.medium == "image" for item in inputs)
        return round(price.fixed_usd + each + price.reference_usd * max(given - price.free_references, 0), 6)
    seconds = seconds_of(card, parameters, inputs)
    return None if seconds is None else round(price.fixed_usd + each * _counted(seconds, price.step_s), 6)


def _counted(seconds: float, step_s: float | None) -> float:
    return seconds if step_s is None else math.ceil(round(seconds / step_s, 6)) * step_s


def _rate(price: CardPrice, facts: Mapping[str, Any]) -> float:
    """Dollars a unit with these parameters and inputs."""
    for rate in price.rates:
        if all(facts.get(name, False) == value for name, value in rate.when.items()):
            return rate.usd
    return price.by.get(str(facts.get(price.by_parameter or "")), price.usd)


def _area(card: Card, parameters: Mapping[str, Any]) -> int:
    """Pixels of one picture; a named size counts as the model's preferred area."""
    width, _, height = str(parameters.get("size", "")).partition("x")
    return int(width) * int(height) if width.isdigit() and height.isdigit() else card.sizes.pixels
