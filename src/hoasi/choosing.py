"""Landing (floor 4): who makes it. A named provider, or `auto`: keys that are set, what can be done, then the price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from hoasi import catalogue
from hoasi.errors import HoasiError, KeyMissing, NotFound, NotSupported
from hoasi.given import Input
from hoasi.messages import explain, money, say
from hoasi.planning import Site, models_of, plan_request
from hoasi.providers import provider
from hoasi.providers._settings import Settles
from hoasi.records import Planned, Request
from hoasi.settings import Settings
from hoasi.shop import told_of

AUTO = "auto"
DEFAULT_PROVIDER = "fal"

Planning = tuple[Planned, ...]
Worded = tuple[str, Request]
"""A request with the prompt that is sent for it."""
Wanted = tuple[Sequence[Worded], Sequence[Input]]
"""The ways in which something may be made, and from what."""


def plan_first(ways: Sequence[Worded], inputs: Sequence[Input], site: Site, settings: Settings) -> Planning:
    """What may be made in several ways: the first that can be gone; the others stand by, should nothing be sent.

    Raises:
        WrongInput: none can; the message says why not. KeyMissing: no key is set for any.
    """
    if len(ways) == 1:
        return plan(ways[0][1], inputs, site, ways[0][0], settings)
    found: list[Planning] = []
    refusals: list[HoasiError] = []
    for prompt, request in ways:
        try:
            found.append(_with_keys(plan(request, inputs, site, prompt, settings), settings))
        except (NotSupported, NotFound, KeyMissing) as error:
            refusals.append(error)
    if not found:
        raise _no_way(ways[0][1], refusals)
    first, *others = found
    note = say("ways.chosen", provider=first[0].provider, model=first[0].model, why=_ways(others, refusals)).rstrip()
    return tuple(_with_others(item, number, others, note) for number, item in enumerate(first))


def also_named(planned: Planning, others: Iterable[Wanted], site: Site, settings: Settings) -> Planning:
    """Also known by the names it would have if it were asked for otherwise: as those it may have been bought before."""
    for ways, inputs in others:
        with suppress(HoasiError):
            named = plan_first(ways, inputs, site, settings)
            if len(named) == len(planned):
                planned = tuple(_named_as(item, other) for item, other in zip(planned, named, strict=True))
    return planned


def _named_as(item: Planned, other: Planned) -> Planned:
    """One purchase, and names under which it may have been made."""
    only = {"is_name_only": True, "alternatives": ()}
    names = [name.model_copy(update=only) for name in (other, *other.alternatives)]
    same = [name for name in names if len(name.stems) == len(item.stems)]
    return item.model_copy(update={"alternatives": (*item.alternatives, *same)})


def plan(request: Request, inputs: Sequence[Input], site: Site, prompt: str, settings: Settings) -> Planning:
    """A request with everything decided before money.

    Raises:
        WrongInput: it makes no sense, or nobody can do it; the message says who was asked and why not.
    """
    if request.provider == AUTO:
        found = _cheapest(request, lambda name, asked: at(name, asked, inputs, site, prompt, settings), settings)
    else:
        found = at(request.provider or DEFAULT_PROVIDER, request, inputs, site, prompt, settings)
    return tuple(item.model_copy(update={"warnings": (*request.notes, *item.warnings)}) for item in found)


def at(name: str, request: Request, inputs: Sequence[Input], site: Site, prompt: str, settings: Settings) -> Planning:
    """Planned for one provider: with the first of its models for this operation that can do it, in the preferred shape
    if it can.

    Raises:
        WrongInput: none of them can; what the first one lacks.
    """
    cards = catalogue.load(name)
    refusals: list[HoasiError] = []
    for model in models_of(request, cards):
        asked = request.model_copy(update={"model": model})
        try:
            return _in_shape(asked, lambda one: _ready(one, cards, inputs, site, prompt, settings))
        except (NotSupported, NotFound) as error:
            refusals.append(error)
    raise refusals[0]


def _in_shape(request: Request, ready: Callable[[Request], Planning]) -> Planning:
    """In the shape that it would rather have, else in none: that is no reason to refuse it."""
    if "aspect_ratio" in request.prefers:
        with suppress(HoasiError):
            return ready(request)
    return ready(request.without_shape)


def _ready(
    request: Request, cards: catalogue.Catalogue, inputs: Sequence[Input], site: Site, prompt: str, settings: Settings
) -> Planning:
    planned = _wished(request, cards, inputs, site, prompt)
    return tuple(_settled(_sendable(item), settings) for item in planned)


def _wished(request: Request, cards: catalogue.Catalogue, inputs: Sequence[Input], site: Site, prompt: str) -> Planning:
    """Planned with the first set of wished options that the model takes, else without any."""
    for wish in request.wishes:
        with suppress(NotSupported):
            options = {**wish, **request.options}
            return plan_request(request.model_copy(update={"options": options}), cards, inputs, site, prompt)
    return plan_request(request, cards, inputs, site, prompt)


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


def _settled(planned: Planned, settings: Settings) -> Planned:
    """What only its provider knows of it.

    Raises:
        WrongInput: it cannot be sent.
    """
    maker = provider(planned.provider)
    return maker.settle(planned, told_of(maker, settings)) if isinstance(maker, Settles) else planned


def _is_remote(item: Input) -> bool:
    return item.written.startswith(("http://", "https://"))


# ---------------------------------------------------------------------- auto


PlannedAt = Callable[[str, Request], Planning]


def _cheapest(request: Request, planned_at: PlannedAt, settings: Settings) -> Planning:
    """The cheapest of those that can do it and have their key; the others stand by, should nothing be sent.

    All divide the pictures alike, keys or not: else what one bought yesterday would not be known when another makes it.
    """
    found, refusals = _candidates(request, planned_at, settings)
    named = _names_only(request, planned_at, settings)
    sizes = {len(planned[0].stems) for planned in (*found, *named)}
    if len(sizes) > 1:
        return _cheapest(request.model_copy(update={"at_once": min(sizes)}), planned_at, settings)
    first, *others = sorted(found, key=_dollars)
    why = _why(first, others, refusals)
    note = say("note.auto_chosen", provider=first[0].provider, model=first[0].model, why=why)
    return tuple(_with_others(item, number, [*others, *named], note) for number, item in enumerate(first))


def _candidates(request: Request, planned_at: PlannedAt, settings: Settings) -> tuple[list[Planning], list[HoasiError]]:
    """What those with a key would make, and why the rest of them cannot.

    Raises:
        WrongInput: all are the rest. KeyMissing: no key is set.
    """
    found: list[Planning] = []
    refusals: list[HoasiError] = []
    for name in _usable(request, settings):
        try:
            found.append(planned_at(name, request))
        except (NotSupported, NotFound) as error:
            refusals.append(error)
    if not found:
        raise _nobody(request, refusals)
    return found, refusals


def _names_only(request: Request, planned_at: PlannedAt, settings: Settings) -> list[Planning]:
    """What providers without a key would make: they cannot now, but may have made it when they had one."""
    named: list[Planning] = []
    for name in _able(request):
        if settings.secret(provider(name).secrets) is None:
            with suppress(HoasiError):
                planned = planned_at(name, request)
                named.append(tuple(item.model_copy(update={"is_name_only": True}) for item in planned))
    return named


def _with_others(item: Planned, number: int, others: Sequence[Planning], note: str) -> Planned:
    """One purchase, and what the others would make of the very same part of the request."""
    same = [other[number] for other in others if len(other) > number]
    flat = [*item.alternatives, *(one for other in same for one in (other, *other.alternatives))]
    alternatives = tuple(
        one.model_copy(update={"alternatives": ()}) for one in flat if len(one.stems) == len(item.stems)
    )
    return item.model_copy(update={"alternatives": alternatives, "warnings": (*item.warnings, note)})


def _usable(request: Request, settings: Settings) -> list[str]:
    """Providers that do this and have their key.

    Raises:
        KeyMissing: no key is set for any of them.
    """
    able = _able(request)
    usable = [name for name in able if settings.secret(provider(name).secrets) is not None]
    if not usable:
        names = " / ".join(provider(name).secrets[0] for name in able if provider(name).secrets) or "-"
        raise KeyMissing("auto_no_key", operation=request.operation, names=names)
    return usable


def _able(request: Request) -> list[str]:
    """Providers that do this, unasked."""
    return [cards.provider for cards in map(catalogue.load, catalogue.PROVIDERS) if _offers(cards, request)]


def _offers(cards: catalogue.Catalogue, request: Request) -> bool:
    if cards.must_be_named:
        return False
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
    return "; ".join([*told, *_cannot(refusals)])


def _cannot(refusals: Sequence[HoasiError]) -> list[str]:
    """Why some cannot do it, each once, as parts of one sentence."""
    reasons = dict.fromkeys(explain(error.problem()).message.removesuffix(".") for error in refusals)
    return [say("auto.cannot", reason=reason) for reason in reasons]


def _nobody(request: Request, refusals: Sequence[HoasiError]) -> HoasiError:
    if len(refusals) == 1:
        return refusals[0]
    reasons = " ".join(dict.fromkeys(explain(error.problem()).message for error in refusals))
    return NotSupported("auto_nobody", operation=request.operation, reasons=reasons)


# ---------------------------------------------------------------------- several ways


def _with_keys(planned: Planning, settings: Settings) -> Planning:
    """The same; it could be sent.

    Raises:
        KeyMissing: it could not.
    """
    maker = provider(planned[0].provider)
    names = catalogue.load(maker.name).card(planned[0].model).secrets or maker.secrets
    if names and settings.secret(names) is None:
        raise KeyMissing("key_missing", provider=maker.name, names=names[0], page=maker.key_page)
    return planned


def _ways(others: Sequence[Planning], refusals: Sequence[HoasiError]) -> str:
    stand_by = [say("ways.stands_by", provider=other[0].provider, model=other[0].model) for other in others]
    told = [*_cannot(refusals), *stand_by]
    return f"{'; '.join(told)}." if told else ""


def _no_way(request: Request, refusals: Sequence[HoasiError]) -> HoasiError:
    """What the ways lack; where it is keys alone, the names of all."""
    others = [error for error in refusals if not isinstance(error, KeyMissing)]
    names = " / ".join(dict.fromkeys(str(error.facts["names"]) for error in refusals if error not in others))
    return _nobody(request, others) if others else KeyMissing("auto_no_key", operation=request.operation, names=names)
