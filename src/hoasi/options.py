"""Workbench (floor 1), pure: a model's further parameters: what was asked for, else the card's defaults."""

from __future__ import annotations

from hoasi.catalogue import Card, Option
from hoasi.errors import NotSupported
from hoasi.record import OptionValue
from hoasi.records import Request

OUR_OPTIONS = {"swap_face": frozenset({"face_index"})}
"""Options that we carry out ourselves: no model has to know them."""


def options(request: Request, card: Card) -> dict[str, OptionValue]:
    """The model's further parameters: what was asked for, else its defaults.

    Raises:
        NotSupported: the model has no such parameter, or not this value.
    """
    ours = OUR_OPTIONS.get(request.operation, frozenset())
    if unknown := sorted(request.options.keys() - card.options.keys() - ours):
        raise NotSupported(
            "option_not_supported", model=card.id, parameter=unknown[0], allowed=", ".join(card.options) or "-"
        )
    asked = {name: request.options.get(name, option.default) for name, option in card.options.items()}
    return {name: _value(card, name, value) for name, value in asked.items() if value is not None}


def _value(card: Card, name: str, value: OptionValue) -> OptionValue:
    """The value as the card writes it (a 5 may come as 5.0 or "5")."""
    option = card.options[name]
    if option.choices:
        same = [choice for choice in option.choices if shown(choice) == shown(value)]
        if not same:
            raise _not_allowed(card, name, value, ", ".join(map(shown, option.choices)))
        return same[0]
    return _in_range(card, name, value, option) if (option.least, option.most) != (None, None) else value


def _in_range(card: Card, name: str, value: OptionValue, option: Option) -> OptionValue:
    least = float("-inf") if option.least is None else option.least
    most = float("inf") if option.most is None else option.most
    allowed = f"{least:g}..{most:g}"
    try:
        number = float(value)
    except ValueError as error:
        raise _not_allowed(card, name, value, allowed) from error
    if isinstance(value, bool) or not least <= number <= most or (option.is_whole and number != int(number)):
        raise _not_allowed(card, name, value, allowed)
    return int(number) if option.is_whole else number


def _not_allowed(card: Card, name: str, value: OptionValue, allowed: str) -> NotSupported:
    return NotSupported("value_not_supported", model=card.id, parameter=name, value=str(value)[:80], allowed=allowed)


def shown(value: OptionValue) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else value.strip().lower()
