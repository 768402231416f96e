"""Translator for Kling: tasks of the new standard, whose paths name the model (read 2026-11-21).

It takes API keys only. Words of its own: `id`, `status`, `succeeded`. All tasks are asked for at one address, by
Kling's id or by our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from hoasi.errors import PaymentUnknown, ProviderRefused, ResultExpired
from hoasi.providers._outcomes import Done, Handle, Pending, Ready, TryAgain
from hoasi.providers.kling import bills, refusals
from hoasi.providers.kling.words import every
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order
    from hoasi.wire import Wire

_PHASES = {"submitted": "queued", "processing": "working"}


class New:
    """How the new standard is asked and what it answers."""

    name = "new"
    ends: ClassVar[set[str]] = {"succeeded", "failed"}

    async def create(self, wire: Wire, order: Order, card: Card, body: dict[str, Any]) -> Handle:
        """The paid POST."""
        reply = await wire.pay(wire.url("", path(card)), json={**body, "options": every(order)})
        if not reply.is_ok or refusals.code(reply) != 0:
            raise refusals.refused(reply)
        return Handle(self.receipt(card, _id(reply.fields.get("data"), reply.status)))

    def receipt(self, card: Card, task_id: str) -> dict[str, Any]:
        """Enough to ask for a task again."""
        return {"api": self.name, "path": path(card), "id": task_id}

    async def task(self, wire: Wire, receipt: dict[str, Any]) -> dict[str, Any]:
        """One task as Kling tells it now.

        Raises:
            ResultExpired: Kling knows it no more.
        """
        rows = await _asked(wire, "task_ids", str(receipt["id"]))
        if not rows:
            raise ResultExpired("result_expired", provider="kling", status=200)
        if not isinstance(rows[0].get("status"), str):
            raise TryAgain(200)
        return rows[0]

    def seen(self, task: dict[str, Any]) -> Pending | Ready:
        """How far it is."""
        status = task["status"]
        if status in self.ends:
            return Ready(error=str(task.get("message") or "") if status == "failed" else "")
        return Pending(_PHASES.get(status, "working"))

    def done(self, task: dict[str, Any], receipt: dict[str, Any]) -> Done:  # noqa: ARG002  (as v1 is asked)
        """The results of a task that ended."""
        bill = bills.new(task)
        if task["status"] == "failed":
            raise refusals.failure(str(task.get("message") or ""), bill)
        listed = task.get("outputs")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        made = [row for row in rows if row.get("type") in {"video", "image"} and row.get("url")]
        if not made:
            raise ProviderRefused("no_media", provider="kling", paid=bill.paid, **bill.facts())
        return Done(tuple(Output(url=row["url"], id=str(row.get("id") or "")) for row in made), bill.facts())

    async def find(self, wire: Wire, order: Order, card: Card) -> Handle | None:
        """The task with our own id; None: it never came in."""
        rows = await _asked(wire, "external_task_ids", order.id)
        return Handle(self.receipt(card, _id(rows[0], 200))) if rows else None


def path(card: Card) -> str:
    """Where tasks of a card are created."""
    return card.endpoint.format(model=card.model_name)


async def _asked(wire: Wire, name: str, value: str) -> list[dict[str, Any]]:
    reply = await wire.call("GET", wire.url("", f"tasks?{name}={quote(value, safe='')}"))
    rows = [] if refusals.is_missing(reply) else refusals.data(reply)
    if not isinstance(rows, list):
        raise TryAgain(reply.status)
    return [row for row in rows if isinstance(row, dict)]


def _id(task: Any, status: int) -> str:
    """Kling's id of a task.

    Raises:
        PaymentUnknown: there is none.
    """
    value = task.get("id") if isinstance(task, dict) else None
    if not isinstance(value, str) or not value:
        raise PaymentUnknown("reply_unclear", provider="kling", status=status)
    return value
