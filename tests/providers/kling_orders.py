"""What the tests of Kling's translator share: orders as the engine makes them, and what becomes of them there."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import anyio

from contract import fullest, planned
from hoasi.catalogue import Card, load
from hoasi.errors import NotSupported
from hoasi.given import Input, Remote
from hoasi.providers._outcomes import Done, Handle, Order, Ready, Sent, Step
from hoasi.providers.kling import Kling
from hoasi.record import Role
from hoasi.records import Planned
from hoasi.wire import Wire
from providers.kling_calls import picture as picture64

KLING = Kling()
CARDS = {card.id: card for card in load("kling").cards}
PICTURE = base64.b64decode(picture64())
RAW = picture64()
SOUND = b"a sound"
RAW_SOUND = base64.b64encode(SOUND).decode()
CLIP = "https://files.example/100"
BARE = {"watermark_info": {"enabled": False}}
_numbers = count(1)


def sent(item: Input) -> Sent:
    """An input as the engine hands it over: pictures and sounds as bytes, clips by address, theirs without bytes."""
    if item.remote is not None:
        return Sent(item, url=item.remote.url)
    if item.medium == "video":
        return Sent(item, url=item.written)
    return Sent(item, data=SOUND if item.medium == "audio" else PICTURE)


def order_of(plan: Planned, **more: Any) -> Order:
    """A plan with an id of our own that nobody had before."""
    return Order(plan, tuple(map(sent, plan.inputs)), f"order-{next(_numbers)}", **more)


def order(model: str, *roles: Role, references: int = 0, **asked: Any) -> Order:
    """An order for a model; without roles those that it needs."""
    plan = planned(CARDS[model], references=references, roles=roles or None, **asked)
    return order_of(plan)


def of_clip(wanted: Order, clip_id: str, *, url: str = "") -> Order:
    """The same order about a clip that Kling made."""
    remote = Remote(provider="kling", id=clip_id, url=url)
    items = [
        item.model_copy(update={"remote": remote, "written": clip_id}) if item.role == "video" else item
        for item in wanted.planned.inputs
    ]
    plan = wanted.planned.model_copy(update={"inputs": tuple(items)})
    return replace(wanted, planned=plan, sent=tuple(map(sent, items)))


async def accepted(wire: Wire, wanted: Order) -> dict[str, Any]:
    """The receipt of an order that is taken."""
    handle = await KLING.submit(wire, wanted)
    assert isinstance(handle, Handle)
    return handle.receipt


async def ended(wire: Wire, receipt: dict[str, Any]) -> Ready:
    """Poll until it has ended."""
    while not isinstance(seen := await KLING.poll(wire, receipt), Ready):  # noqa: ASYNC110  (the sandbox ends it)
        await anyio.sleep(0.005)
    return seen


async def made(wire: Wire, wanted: Order) -> Done:
    """Take an order to its end, over both steps where it has two."""
    outcome = await KLING.submit(wire, wanted)
    if isinstance(outcome, Step):
        outcome = await KLING.submit(wire, replace(wanted, step=outcome.receipt))
    assert isinstance(outcome, Handle)
    return await KLING.collect(wire, outcome.receipt, await ended(wire, outcome.receipt))


def variants(card: Card, operation: str) -> list[Planned]:
    """The fullest plan of a card for an operation, and one for each further value of each option that may be."""
    most = {"image_to_video": 0, "text_to_video": 0, "extend_video": 4}.get(operation, card.references)
    room = 2 if operation == "swap_face" else 0
    base = fullest(card, operation, references=max(min(most, card.references) - room, 0))
    return [base, *(plan for name, value in values(card) for plan in varied(card, base, name, value))]


def values(card: Card) -> Sequence[tuple[str, Any]]:
    """Every choice of every option, and the ends of every range."""
    ends = {name: (*option.choices, option.least, option.most) for name, option in card.options.items()}
    for name in ("face_index", "sound_insert_s"):  # what there is only the clip knows
        ends.pop(name, None)
    return [(name, value) for name, found in ends.items() for value in found if value is not None]


def varied(card: Card, base: Planned, name: str, value: Any) -> list[Planned]:
    """The plan with this value; none where the card forbids it."""
    roles = [item.role for item in base.inputs if item.role != "reference"]
    references = len(base.inputs) - len(roles)
    more = {"aspect_ratio": "9:16"} if card.sizes.kind != "none" else {}
    try:
        return [
            planned(card, references=references, roles=roles, operation=base.operation, options={name: value}, **more)
        ]
    except NotSupported as refused:
        if refused.key != "forbidden_together":
            raise
        return []
