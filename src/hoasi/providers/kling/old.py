"""Translator for Kling: tasks of the old standard (`/v1/...`), which takes both kinds of keys (read 2026-11-21).

Words of its own: `task_id`, `task_status`, `succeed`. A task that was lost is looked up by our own id, in the place of
Kling's; that place is documented for most endpoints only, so the list of tasks is looked through as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from hoasi.errors import PaymentUnknown, ProviderRefused
from hoasi.providers._outcomes import Done, Handle, Pending, Ready, TryAgain
from hoasi.providers.kling import bills, refusals
from hoasi.providers.kling.words import every
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order
    from hoasi.wire import Wire

PAGE = 500
"""Tasks on one page of a list: the most there may be."""
LEEWAY_S = 120.0
"""How much further back a page has to reach than our sending: nothing may have been created this very moment."""
_PHASES = {"submitted": "queued", "processing": "working"}


class Old:
    """How v1 is asked and what it answers."""

    name = "v1"
    ends: ClassVar[set[str]] = {"succeed", "failed"}

    async def create(
        self, wire: Wire, order: Order, card: Card, body: dict[str, Any], spent_usd: float = 0.0
    ) -> Handle:
        """The paid POST; `spent_usd` was paid for the step before it."""
        model = {"model_name": card.model_name} if card.model_name else {}
        reply = await wire.pay(wire.url("", path(card)), json={**model, **body, **every(order)})
        if not reply.is_ok or refusals.code(reply) != 0:
            raise refusals.refused(reply, spent_usd)
        return Handle(self.receipt(card, _id(_fields(reply.fields.get("data")), reply.status), spent_usd))

    def receipt(self, card: Card, task_id: str, spent_usd: float = 0.0) -> dict[str, Any]:
        """Enough to ask for a task again."""
        spent = {"spent_usd": spent_usd} if spent_usd else {}
        return {"api": self.name, "path": path(card), "task_id": task_id, **spent}

    async def task(self, wire: Wire, receipt: dict[str, Any]) -> dict[str, Any]:
        """One task as Kling tells it now."""
        reply = await wire.call("GET", wire.url("", f"{receipt['path']}/{quote(str(receipt['task_id']), safe='')}"))
        told = refusals.data(reply)
        if not isinstance(told, dict) or not isinstance(told.get("task_status"), str):
            raise TryAgain(reply.status)
        return told

    def seen(self, task: dict[str, Any]) -> Pending | Ready:
        """How far it is."""
        status = task["task_status"]
        if status in self.ends:
            return Ready(error=str(task.get("task_status_msg") or "") if status == "failed" else "")
        return Pending(_PHASES.get(status, "working"))

    def done(self, task: dict[str, Any], receipt: dict[str, Any]) -> Done:
        """The results of a task that ended."""
        bill = bills.old(task, str(receipt["path"]), float(receipt.get("spent_usd", 0.0)))
        if task["task_status"] == "failed":
            raise refusals.failure(str(task.get("task_status_msg") or ""), bill)
        result = _fields(task.get("task_result"))
        kinds = [result.get(kind) for kind in ("videos", "images", "series_images")]
        rows = [row for rows in kinds if isinstance(rows, list) for row in rows if isinstance(row, dict)]
        outputs = tuple(Output(url=row["url"], id=str(row.get("id") or "")) for row in rows if row.get("url"))
        if not outputs:
            raise ProviderRefused("no_media", provider="kling", paid=bill.paid, **bill.facts())
        return Done(outputs, bill.facts())

    async def find(self, wire: Wire, order: Order, card: Card) -> Handle | None:
        """The task with our own id; None: it never came in.

        Raises:
            PaymentUnknown: it may stand on a later page of the list.
        """
        reply = await wire.call("GET", wire.url("", f"{path(card)}/{quote(order.id, safe='')}"))
        if refusals.is_no_id(reply):
            rows = await self.latest(wire, card)
            found = self.mine(rows, order, card)
            if found is None and _may_go_on(rows, order):
                raise PaymentUnknown("reply_lost", provider="kling")
            return found
        return Handle(self.receipt(card, _id(_fields(refusals.data(reply)), reply.status)))

    def mine(self, rows: list[dict[str, Any]], order: Order, card: Card, spent_usd: float = 0.0) -> Handle | None:
        """The task of these that carries our own id."""
        found = [row for row in rows if named(row) == order.id]
        return Handle(self.receipt(card, _id(found[0], 200), spent_usd)) if found else None

    async def latest(self, wire: Wire, card: Card) -> list[dict[str, Any]]:
        """One page of an endpoint's tasks, as many as fit."""
        reply = await wire.call("GET", wire.url("", f"{path(card)}?pageNum=1&pageSize={PAGE}"))
        rows = None if refusals.is_no_id(reply) else refusals.data(reply)
        if not isinstance(rows, list):
            raise TryAgain(reply.status)
        return [row for row in rows if isinstance(row, dict)]


def _may_go_on(rows: list[dict[str, Any]], order: Order) -> bool:
    """A full page that does not reach back to our sending: the task may stand on the next one."""
    times_ms = [row["created_at"] for row in rows if isinstance(row.get("created_at"), int)]
    reach_s = (max(times_ms) - min(times_ms)) / 1000 if times_ms else 0.0
    return len(rows) >= PAGE and (order.age_s is None or reach_s < order.age_s + LEEWAY_S)


def path(card: Card) -> str:
    """Where tasks of a card are created, asked for and listed."""
    return f"v1/{card.endpoint}"


def named(task: dict[str, Any]) -> str:
    """The caller's own id of a task; "" where it has none."""
    return str(_fields(task.get("task_info")).get("external_task_id") or "")


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _id(task: dict[str, Any], status: int) -> str:
    """Kling's id of a task.

    Raises:
        PaymentUnknown: there is none.
    """
    value = task.get("task_id")
    if not isinstance(value, str) or not value:
        raise PaymentUnknown("reply_unclear", provider="kling", status=status)
    return value
