"""Translator for Replicate: a prediction whose receipt was lost, looked for in the account's list (newest first).

The list is searched back to the order and somewhat further, for clocks differ. Uncertain: how soon a new prediction is
listed; the engine asks for twenty seconds before it believes that there is none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hoasi.errors import PaymentUnknown
from hoasi.providers import replicate_replies

if TYPE_CHECKING:
    from hoasi.wire import Wire

CLOCKS_S = 600.0
PAGES = 20
_UNMISTAKABLE = "seed"
_TIME = re.compile(r"-([0-9a-f]{9,12})$")
"""Our id of an order ends with its time in milliseconds."""


class Lost(NamedTuple):
    """What is looked for: our id of the order, which holds its time, the model, its inputs without files."""

    order_id: str
    model: str
    inputs: dict[str, Any]

    @property
    def since(self) -> str:
        """The earliest moment it can have been made, as the list writes times."""
        made_ms = int(_TIME.findall(self.order_id)[0], 16)
        return datetime.fromtimestamp(made_ms / 1000 - CLOCKS_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def could_be(self, row: dict[str, Any]) -> bool:
        """Of that model, and with the same inputs or with inputs that are gone."""
        told = row.get("input")
        is_gone = not isinstance(told, dict) or row.get("data_removed") is True
        return row.get("model") == self.model and (is_gone or self._fits(told))

    def _fits(self, told: object) -> bool:
        return isinstance(told, dict) and all(told.get(name) == value for name, value in self.inputs.items())

    def is_it(self, row: dict[str, Any]) -> bool:
        """Surely: nothing else has this seed."""
        return _UNMISTAKABLE in self.inputs and row.get("data_removed") is not True and self._fits(row.get("input"))


async def look(wire: Wire, url: str, lost: Lost, pages: int = PAGES) -> str | None:
    """The id of what was lost; None: it surely never arrived.

    Raises:
        PaymentUnknown: something could be it, and nothing tells.
    """
    if not _TIME.search(lost.order_id):
        raise PaymentUnknown("reply_lost", provider="replicate")
    reply = await wire.call("GET", url)
    rows = reply.fields.get("results")
    if not reply.is_ok or not isinstance(rows, list):
        raise replicate_replies.unanswered(reply)
    listed = [row for row in rows if isinstance(row, dict)]
    recent = [row for row in listed if str(row.get("created_at"))[:19] >= lost.since]
    found = [row for row in recent if lost.could_be(row)]
    if found:
        if len(found) > 1 or not lost.is_it(found[0]):
            raise PaymentUnknown("reply_lost", provider="replicate")
        return str(found[0].get("id"))
    following = reply.fields.get("next")
    if len(recent) < len(listed) or not following:
        return None
    if not pages or not wire.is_own(str(following)):
        raise PaymentUnknown("reply_lost", provider="replicate")
    return await look(wire, str(following), lost, pages - 1)
