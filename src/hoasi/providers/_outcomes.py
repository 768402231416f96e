"""Translators (floor 2): what goes into a provider and what comes out, and the sorting of its refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hoasi.errors import HoasiError, KeyRejected, NotAccepted, PaymentUnknown, ProviderRefused
from hoasi.given import Input
from hoasi.record import Role
from hoasi.records import Generation, Planned
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.street import Reply


@dataclass(frozen=True)
class Sent:
    """An input as it leaves: its address, or its bytes, made fit for the model."""

    item: Input
    url: str = ""
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Order:
    """What `submit` gets: the planned generation, its inputs in their order, and our own id for it.

    `id` is new for each purchase and the same when a purchase is sent again: a provider that knows it can be asked for
    a lost receipt. `step` is what an earlier paid step of this generation gave. `callback_url`: where to report to.
    """

    planned: Planned
    sent: tuple[Sent, ...] = ()
    id: str = ""
    step: dict[str, Any] | None = None
    callback_url: str = ""
    age_s: float | None = None
    """For `find`: how long ago it was sent; None: nobody knows."""
    others: tuple[Generation, ...] = ()
    """For `find`: what else of this workspace is there, or may be, and could be mistaken for it."""
    arrived: Callable[[int, Output], Awaitable[None]] | None = field(default=None, repr=False)
    """To be told of each result (its number from 0) that comes before the reply is complete: it is kept at once."""

    def of(self, *roles: Role) -> list[Sent]:
        """The inputs with these roles."""
        return [sent for sent in self.sent if sent.item.role in roles]


@dataclass(frozen=True)
class Handle:
    """The provider's receipt, as JSON: enough to ask, fetch and cancel after a restart.

    `kept_s` in it: how long a result is surely kept, where that is short. `done`: what came with the very same reply.
    """

    receipt: dict[str, Any]
    done: Done | None = None


@dataclass(frozen=True)
class Step:
    """A paid step is done and another has to follow: `submit` is called again with it, as `Order.step`."""

    receipt: dict[str, Any]


@dataclass(frozen=True)
class Pending:
    """Still at work; `phase` is `queued` or `working`."""

    phase: str
    position: int | None = None


@dataclass(frozen=True)
class Ready:
    """Ended at the provider, well or badly: `collect` tells."""

    error: str = ""
    error_type: str = ""


@dataclass(frozen=True)
class Done:
    """Made: where each result is, and facts worth keeping (the seed the provider used, its billing units)."""

    outputs: tuple[Output, ...]
    facts: dict[str, Any] = field(default_factory=dict)


class TryAgain(Exception):
    """The provider could not answer a free question just now; the engine asks again."""

    def __init__(self, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(str(status))
        self.retry_after_s = retry_after_s


class Pack(NamedTuple):
    """Units that an account has bought; `status` is the provider's word. `invalid_time` is in UTC."""

    name: str
    remaining: float
    total: float
    status: str
    invalid_time: datetime | None


def refusal(reply: Reply, provider: str, *, not_accepted: bool = False, detail: str = "") -> HoasiError:
    """The error of a paid POST that was answered without a receipt.

    A 429 or a body that the wire page lists as not accepted may be repeated; another 4xx is a plain refusal, not paid;
    everything else may have been accepted.
    """
    if not_accepted or reply.status == 429:
        return NotAccepted(
            "rate_limited", retry_after_s=reply.retry_after_s, detail=detail, provider=provider, status=reply.status
        )
    if reply.status in {401, 403}:
        return KeyRejected("key_rejected", detail=detail, provider=provider, status=reply.status)
    if 400 <= reply.status < 500 and reply.status not in {408, 409, 425, 499}:
        return ProviderRefused("refused", detail=detail, provider=provider, status=reply.status)
    return PaymentUnknown("reply_unclear", detail=detail, provider=provider, status=reply.status)
