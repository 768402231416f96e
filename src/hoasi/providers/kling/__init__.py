"""Translator for Kling's own platform (kling.ai/document-api; wire read 2026-11-21 from copies of the official pages).

Two generations of one wire: `old` (`/v1/...`) and `new` (the model in the path). Each endpoint has its file, `routes`
names them all. A new task carries our own id, by which it is found again when a reply was lost. There is no cancel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hoasi import webhooks
from hoasi.catalogue import load
from hoasi.errors import PaymentUnknown
from hoasi.providers._outcomes import Done, Handle, Order, Pack, Pending, Ready, Step, TryAgain
from hoasi.providers._provider import Way
from hoasi.providers.kling import keys, refusals
from hoasi.providers.kling.account import packs
from hoasi.providers.kling.routes import GENERATIONS, ROUTES
from hoasi.providers.kling.words import FIELDS, card_of, stand_in
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.street import Reply
    from hoasi.wire import Wire


class Kling:
    """See `_provider.Provider`; optional: follows, finds, settles, signs, calls back (shares a secret), accounts.

    Uncertain: `key_page` (named by third parties). `concurrency`: an account's places depend on its packs and are told
    nowhere; 3 is less than any pack seen, and one too many costs nothing but a pause.
    """

    name = "kling"
    origins: ClassVar[dict[str, str]] = {"": "https://api-singapore.klingai.com"}
    regions: ClassVar[dict[str, dict[str, str]]] = {
        "singapore": {"": "https://api-singapore.klingai.com"},
        "beijing": {"": "https://api-beijing.klingai.com"},
    }
    secrets = (*keys.API_KEYS, *keys.PAIRS)
    key_page = "https://app.klingai.com/global/dev/api-key"
    concurrency = 3
    fields = FIELDS
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline", "audio": "inline", "video": "address"}
    auth_life_s = 1500.0
    callback_secrets = ("KLING_WEBHOOK_SECRET",)

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Bearer` with an API key, or with a token that the pair of keys signs."""
        return {"authorization": keys.bearer(key)}

    def is_stale(self, reply: Reply) -> bool:
        """401 with 1003 or 1004: the token is too young or too old."""
        return refusals.is_stale(reply)

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:  # noqa: ARG002  (heeds none)
        """What would be sent is put together once, so that an endpoint's own limits are known before money.

        Raises:
            NotSupported: the inputs do not fit the endpoint or one another.
        """
        card = load(self.name).card(planned.model)
        ROUTES[card.endpoint].check(Order(planned, tuple(map(stand_in, planned.inputs))))
        return planned

    async def submit(self, wire: Wire, order: Order) -> Handle | Step:
        """One paid POST; a lip sync takes two, each its own step."""
        card = card_of(order)
        return await ROUTES[card.endpoint].send(wire, order, card)

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """One question for one task."""
        api = GENERATIONS[receipt["api"]]
        return api.seen(await api.task(wire, receipt))

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:  # noqa: ARG002  (asked anew)
        """The results as Kling lists them now; a failed task tells here why, and what it cost all the same."""
        api = GENERATIONS[receipt["api"]]
        task = await api.task(wire, receipt)
        if isinstance(api.seen(task), Pending):
            raise TryAgain(200, 0.5)
        return api.done(task, receipt)

    async def find(self, wire: Wire, order: Order) -> Handle | None:
        """The task that carries our id.

        Raises:
            PaymentUnknown: it carried none, or the endpoint cannot be asked.
        """
        if not order.id:
            raise PaymentUnknown("reply_lost", provider=self.name)
        card = card_of(order)
        return await ROUTES[card.endpoint].find(wire, order, card)

    def attach(self, planned: Planned, receipt: str) -> Handle:
        """A task id as Kling's console shows it."""
        card = load(self.name).card(planned.model)
        return Handle(ROUTES[card.endpoint].api.receipt(card, receipt.strip()))

    def report(
        self, headers: Mapping[str, str], body: bytes, keys: Sequence[Any], now: float
    ) -> tuple[str, str | None]:
        """A report that Kling signed, and the task it speaks of."""
        return webhooks.kling(headers, body, secrets=keys, now=now), webhooks.task_of_kling(body)

    async def account(self, wire: Wire) -> list[Pack]:
        """What is left of the packs; free."""
        return await packs(wire)
