"""Translators (floor 2): what a provider is. It only translates; waiting, retries, files and logs live elsewhere.

A provider is a module-level object with facts and a few methods. Each method sends through the `Wire` it is given and
turns replies into the outcomes below. It never catches, loops, waits, logs, or reads files or the environment. What it
can do is read from the methods it has.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hoasi.errors import HoasiError, KeyRejected, NotAccepted, PaymentUnknown, ProviderRefused
from hoasi.records import Input, Output, Planned

if TYPE_CHECKING:
    from hoasi.wire import Reply, Wire


@dataclass(frozen=True)
class Order:
    """What `submit` gets: the planned generation, and the addresses of its uploaded inputs in their order."""

    planned: Planned
    input_urls: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class Handle:
    """The provider's receipt, as JSON: enough to ask, fetch and cancel after a restart."""

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


class Provider(Protocol):
    """A translator: facts, and what every provider can do. What only some can do are the protocols below."""

    name: str
    origins: Mapping[str, str]
    """Role -> default address of the provider's own hosts; the first role is ""."""
    secrets: tuple[str, ...]
    """Environment names of the key, in order; empty: no key needed."""
    key_page: str
    concurrency: int
    """Places a new account has."""
    fields: Mapping[str, str]
    """Our parameter -> the provider's field. What is not here cannot be sent."""
    cap_s: float
    """How long we follow one generation before we leave it resumable."""

    def auth(self, key: str) -> dict[str, str]:
        """Headers that carry the key."""
        ...

    async def submit(self, wire: Wire, order: Order) -> Handle | Done:
        """Send the one paid request.

        Raises:
            NotAccepted: proven refused, may be repeated. PaymentUnknown: anything unclear. GenerationFailed: refused.
        """
        ...


@runtime_checkable
class Follows(Protocol):
    """Gives a receipt and makes the picture meanwhile."""

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """Ask once how far it is."""
        ...

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:
        """Where the results are; free, as often as wanted while the provider keeps them.

        Raises:
            GenerationFailed: it ended without a result. ResultExpired: it is no longer kept.
        """
        ...

    def attach(self, planned: Planned, receipt: str) -> Handle:
        """A handle from what a person found at the provider (a request id)."""
        ...


@runtime_checkable
class Watches(Protocol):
    """Tells progress by itself."""

    def watch(self, wire: Wire, receipt: dict[str, Any]) -> AsyncGenerator[Pending | Ready, None]:
        """Progress until it ends or breaks off; polling is the safety net."""
        ...


@runtime_checkable
class Cancels(Protocol):
    """Can take a generation back."""

    async def cancel(self, wire: Wire, receipt: dict[str, Any]) -> bool:
        """Take it back; False when it had already ended."""
        ...


@runtime_checkable
class Finds(Protocol):
    """Can be asked for a lost receipt."""

    async def find(self, wire: Wire, order: Order) -> Handle | None:
        """The receipt; None: the provider surely never got the request. PaymentUnknown: it cannot tell."""
        ...


@runtime_checkable
class Uploads(Protocol):
    """Takes input files."""

    upload_life_s: float
    """How long an uploaded file surely lives."""

    async def upload(self, wire: Wire, item: Input, content: bytes) -> str:
        """Give the provider the bytes of an input; returns their address. Free."""
        ...


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
