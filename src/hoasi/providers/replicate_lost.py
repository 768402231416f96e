"""Translator for Replicate: a prediction whose receipt was lost, looked for in the account's list (newest first).

The list tells no id of ours, so what is found is taken only where nothing else could be meant: receipts of others are
passed over, and where another order of this workspace is without a receipt too and would look the same, nobody guesses.
The list is searched from the moment of the sending by the list's own clock (its `Date`), so that ours may be wrong.
Uncertain: how soon a new prediction is listed (the engine asks for twenty seconds before it believes that there is
none), and whether an equal prediction comes from another workspace of the same account.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any, NamedTuple

from hoasi.catalogue import load
from hoasi.errors import PaymentUnknown
from hoasi.providers import replicate_replies
from hoasi.providers.replicate_inputs import scalars
from hoasi.providers.replicate_schema import named

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order
    from hoasi.providers.replicate_schema import Schema
    from hoasi.records import Planned
    from hoasi.street import Reply
    from hoasi.wire import Wire

LEEWAY_S = 120.0
"""The list is searched so much further back: its clock is told to the second, and by the end of a question."""
PAGES = 20
_SEED = "seed"


class Lost(NamedTuple):
    """What is looked for: the model, its inputs without files, and when it was sent."""

    model: str
    inputs: dict[str, Any]
    age_s: float
    taken: frozenset[str]
    """Predictions whose receipts others hold."""
    is_seed_own: bool
    """The seed follows from everything else of the order, its files too."""
    has_double: bool = False
    """Another order without a receipt would look the same."""

    def since(self, reply: Reply) -> str:
        """The earliest moment it can have been made, as the list writes times.

        Raises:
            PaymentUnknown: the list does not say what its clock shows.
        """
        now = parsedate_tz(reply.headers.get("date", ""))
        if now is None:
            raise PaymentUnknown("reply_lost", provider="replicate")
        began = datetime.fromtimestamp(mktime_tz(now) - self.age_s - LEEWAY_S, UTC)
        return began.strftime("%Y-%m-%dT%H:%M:%S")

    def could_be(self, row: dict[str, Any]) -> bool:
        """Nobody's, of that model, and with the same inputs or with inputs that are gone."""
        if not _is_same(row.get("model"), self.model) or row.get("id") in self.taken:
            return False
        told = row.get("input")
        return not isinstance(told, dict) or row.get("data_removed") is True or self.fits(told)

    def fits(self, told: dict[str, Any]) -> bool:
        """All inputs are there; files and what a model adds by itself may be there too."""
        return all(told.get(name) == value for name, value in self.inputs.items())

    def is_it(self, row: dict[str, Any]) -> bool:
        """Surely: nothing else has this seed; if the caller chose it, nothing else has this whole input."""
        told = row.get("input")
        if self.has_double or _SEED not in self.inputs or row.get("data_removed") is True or not isinstance(told, dict):
            return False
        return self.fits(told) and (self.is_seed_own or told == self.inputs)


def lost(order: Order, schema: Schema) -> Lost:
    """What an order looks like in the list.

    Raises:
        PaymentUnknown: nobody knows when it was sent.
    """
    if order.age_s is None:
        raise PaymentUnknown("reply_lost", provider="replicate")
    taken = frozenset(str(other.handle.get("id")) for other in order.others if other.handle is not None)
    inputs, is_seed_own = _inputs(order.planned, schema), order.planned.request.seed is None
    wanted = Lost(schema.model, inputs, order.age_s, taken, is_seed_own)
    without = [other.planned for other in order.others if other.handle is None]
    return wanted._replace(has_double=any(_is_double(other, wanted, order.planned, schema) for other in without))


def _is_double(other: Planned, wanted: Lost, own: Planned, schema: Schema) -> bool:
    """It could not be told from ours; of another version of the model nobody knows."""
    if not _is_same(named(other.model)[0], schema.model):
        return False
    return other.model != own.model or wanted.fits(_inputs(other, schema))


def _is_same(listed: object, model: str) -> bool:
    """The list may write a name otherwise than it was asked for, and one without a name could be any model's."""
    return listed is None or str(listed).casefold() == model.casefold()


def _inputs(planned: Planned, schema: Schema) -> dict[str, Any]:
    return scalars(planned, schema, load("replicate").card(planned.model))


async def look(wire: Wire, wanted: Lost) -> str | None:
    """The id of what was lost; None: it surely never arrived.

    Raises:
        PaymentUnknown: something could be it, and nothing tells.
    """
    found = await _like(wire, wire.url("", "v1/predictions"), wanted)
    if not found:
        return None
    if len(found) > 1 or not wanted.is_it(found[0]):
        raise PaymentUnknown("reply_lost", provider="replicate")
    return str(found[0].get("id"))


async def _like(
    wire: Wire, url: str, wanted: Lost, since: str | None = None, pages: int = PAGES
) -> list[dict[str, Any]]:
    """All in the list that it could be."""
    reply = await wire.call("GET", url)
    rows = reply.fields.get("results")
    if not reply.is_ok or not isinstance(rows, list):
        raise replicate_replies.unanswered(reply)
    since = wanted.since(reply) if since is None else since
    listed = [row for row in rows if isinstance(row, dict)]
    recent = [row for row in listed if str(row.get("created_at"))[:19] >= since]
    found = [row for row in recent if wanted.could_be(row)]
    following = reply.fields.get("next")
    if len(recent) < len(listed) or not following:
        return found
    if not pages or not wire.is_own(str(following)):
        raise PaymentUnknown("reply_lost", provider="replicate")
    return found + await _like(wire, str(following), wanted, since, pages - 1)
