"""Landing (floor 4): who makes it. A named provider, or `auto`: keys that are set, what can be done, then the price."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hoasi import catalogue
from hoasi.errors import HoasiError, KeyMissing, NotFound, NotSupported
from hoasi.given import Input
from hoasi.messages import explain, money, say
from hoasi.planning import Site, models_of, plan_request
from hoasi.providers import provider
from hoasi.records import Planned, Request
from hoasi.settings import Settings

AUTO = "auto"
DEFAULT_PROVIDER = "fal"

Planning = tuple[Planned, ...]


def plan(request: Request, inputs: Sequence[Input], site: Site, prompt: str, settings: Settings) -> Planning:
    """A request with everything decided before money.

    Raises:
        WrongInput: it makes no sense, or nobody can do it; the message says who was asked and why not.
    """
    if request.provider == AUTO:
        return _cheapest(request, lambda name: at(name, request, inputs, site, prompt), settings)
    return at(request.provider or DEFAULT_PROVIDER, request, inputs, site, prompt)


def at(name: str, request: Request, inputs: Sequence[Input], site: Site, prompt: str) -> Planning:
    """Planned for one provider: with the first of its models for this operation that can do it.

    Raises:
        WrongInput: none of them can; what the first one lacks.
    """
    cards = catalogue.load(name)
    refusals: list[HoasiError] = []
    for model in models_of(request, cards):
        try:
            planned = plan_request(request.model_copy(update={"model": model}), cards, inputs, site, prompt)
            return tuple(_sendable(item) for item in planned)
        except (NotSupported, NotFound) as error:
            refusals.append(error)
    raise refusals[0]


def _sendable(planned: Planned) -> Planned:
    """Every input has a way to the provider.

    Raises:
        NotSupported: it takes no file of that kind, or only an address that it can fetch itself.
    """
    maker = provider(planned.provider)
    for item in planned.inputs:
        way = maker.ways.get(item.medium)
        if way is None:
            raise NotSupported("input_not_taken", provider=maker.name, path=item.written)
        is_there = item.remote is not None and item.remote.provider == maker.name
        if way == "address" and not (is_there or item.promise or item.written.startswith("https://")):
            raise NotSupported("input_needs_address", provider=maker.name, path=item.written)
        if not (item.path or item.promise or is_there or _is_remote(item)):
            raise NotSupported("input_elsewhere", provider=maker.name, path=item.written)
    return planned


def _is_remote(item: Input) -> bool:
    return item.written.startswith(("http://", "https://"))


# ---------------------------------------------------------------------- auto


def _cheapest(request: Request, planned_at: Callable[[str], Planning], settings: Settings) -> Planning:
    """The cheapest of those that can do it and have their key; the others stand by, should nothing be sent."""
    found: list[tuple[Planned, ...]] = []
    refusals: list[HoasiError] = []
    for name in _usable(request, settings):
        try:
            found.append(planned_at(name))
        except HoasiError as error:
            if not isinstance(error, NotSupported | NotFound):
                raise
            refusals.append(error)
    if not found:
        raise _nobody(request, refusals)
    found.sort(key=_dollars)
    first, *others = found
    note = say("note.auto_chosen", provider=first[0].provider, model=first[0].model, why=_why(first, others, refusals))
    return tuple(_with_others(item, number, others, note) for number, item in enumerate(first))


def _with_others(item: Planned, number: int, others: Sequence[Planning], note: str) -> Planned:
    """One purchase, and what the others would make of the very same part of the request."""
    same = [other[number] for other in others if len(other) > number]
    alternatives = tuple(other for other in same if len(other.stems) == len(item.stems))
    return item.model_copy(update={"alternatives": alternatives, "warnings": (*item.warnings, note)})


def _usable(request: Request, settings: Settings) -> list[str]:
    """Providers that do this and have their key. A sketch is never chosen for somebody: local has to be named.

    Raises:
        KeyMissing: no key is set for any of them.
    """
    able = [name for name in catalogue.PROVIDERS if name != "local" and _offers(name, request)]
    usable = [name for name in able if settings.secret(provider(name).secrets) is not None]
    if not usable:
        names = " / ".join(provider(name).secrets[0] for name in able if provider(name).secrets) or "-"
        raise KeyMissing("auto_no_key", operation=request.operation, names=names)
    return usable


def _offers(name: str, request: Request) -> bool:
    cards = catalogue.load(name)
    if request.model is None:
        return request.operation in cards.defaults
    return any(request.model in {card.id, *card.aliases, *card.corrects} for card in cards.cards)


def _dollars(planned: Planning) -> float:
    prices = [item.price.usd for item in planned]
    return float("inf") if None in prices else sum(price for price in prices if price is not None)


def _price(planned: Planning) -> str:
    dollars = _dollars(planned)
    return money(None if dollars == float("inf") else dollars)


def _why(first: Planning, others: Sequence[Planning], refusals: Sequence[HoasiError]) -> str:
    told = [say("auto.price", provider=plan[0].provider, price=_price(plan)) for plan in (first, *others)]
    told += [say("auto.cannot", reason=explain(error.problem()).message) for error in refusals]
    return "; ".join(told)


def _nobody(request: Request, refusals: Sequence[HoasiError]) -> HoasiError:
    if len(refusals) == 1:
        return refusals[0]
    reasons = " ".join(dict.fromkeys(explain(error.problem()).message for error in refusals))
    return NotSupported("auto_nobody", operation=request.operation, reasons=reasons)
