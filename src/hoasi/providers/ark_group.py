"""Translator for Ark: the pictures of one call as they come, in events or all at once.

A place holds a picture or an error, and a group may be smaller than asked. What came is kept and numbered in the order
of its coming; the bill is what `usage.generated_images` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import GenerationFailed, PaymentUnknown
from hoasi.providers import ark_replies
from hoasi.providers._outcomes import Done, Order
from hoasi.record import Paid
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.street import Reply


class Group:
    """What is known of one call so far."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._outputs: list[Output] = []
        self._codes: list[str] = []
        self._usage: dict[str, Any] | None = None

    async def take(self, event: dict[str, Any]) -> None:
        """One event of a stream."""
        if str(event.get("type", "")).endswith(".completed"):
            self._usage = ark_replies.usage(event)
        elif isinstance(event.get("error"), dict):
            self._codes.append(str(event["error"].get("code") or "-"))
        elif isinstance(event.get("url"), str):
            await self._add(Output(url=event["url"]))

    async def _add(self, output: Output) -> None:
        self._outputs.append(output)
        if self._order.arrived is not None:
            await self._order.arrived(len(self._outputs) - 1, output)

    async def read(self, reply: Reply) -> None:
        """A whole reply: the same places, all at once."""
        listed = reply.fields.get("data")
        places = [place for place in listed if isinstance(place, dict)] if isinstance(listed, list) else []
        self._codes += [str(p["error"].get("code") or "-") for p in places if isinstance(p.get("error"), dict)]
        self._outputs += [Output(url=place["url"]) for place in places if isinstance(place.get("url"), str)]
        self._usage = ark_replies.usage(reply.fields)

    def done(self, reply: Reply) -> Done:
        """What was made.

        Raises:
            GenerationFailed: nothing, and the reason is told. PaymentUnknown: it broke off, or tells nothing.
        """
        asked, made = len(self._order.planned.stems), len(self._outputs)
        is_cut = self._usage is None and made + len(self._codes) < asked
        if is_cut or not (made or self._codes):
            raise PaymentUnknown("reply_unclear", provider="ark", status=reply.status)
        if not made:
            raise self._nothing(asked)
        return Done(tuple(self._outputs), self._facts(asked))

    def _nothing(self, asked: int) -> GenerationFailed:
        paid: Paid = "yes" if self._billed() else "no"
        return ark_replies.leaf(self._codes[0])(
            "group_blocked", provider="ark", asked=asked, codes=", ".join(dict.fromkeys(self._codes)), paid=paid
        )

    def _billed(self) -> int:
        told = (self._usage or {}).get("generated_images")
        return told if isinstance(told, int) else len(self._outputs)

    def _facts(self, asked: int) -> dict[str, Any]:
        """What is worth keeping: what was billed, and what is missing and why."""
        billed, price, missing = self._billed(), self._order.planned.price.usd, asked - len(self._outputs)
        cost = {} if price is None else {"cost_usd": round(price / asked * billed, 6)}
        lost = {"missing": missing, "missing_why": self._codes or ["-"]} if missing > 0 else {}
        return {"generated_images": billed, **cost, **lost}
