"""Translators (floor 2): what a provider is. It only translates; waiting, retries, files and logs live elsewhere.

A provider is a module-level object with facts and a few methods. Each method sends through the `Wire` it is given and
turns replies into the outcomes below. It never catches, loops, waits, logs, or reads files or the environment. What it
can do is read from the methods it has, by the protocols below, in `_settings` and in `_workers`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from hoasi.given import Input
from hoasi.providers._outcomes import Done, Handle, Order, Pack, Pending, Ready, Step
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.street import Reply
    from hoasi.wire import Wire

Way = Literal["upload", "inline", "address"]
"""How a provider gets an input: uploaded before, inside the request, or by an address that it can fetch itself."""


class Provider(Protocol):
    """A translator: facts, and what every provider can do. What only some can do are other protocols."""

    name: str
    origins: Mapping[str, str]
    """Role -> default address of the provider's own hosts; the first role is ""."""
    regions: Mapping[str, Mapping[str, str]]
    """Region -> its own addresses by role, where accounts differ by region."""
    secrets: tuple[str, ...]
    """Environment names of the key, in order; empty: no key needed. `A+B` is a pair, its values joined by a newline."""
    key_page: str
    concurrency: int
    """Places a new account has."""
    fields: Mapping[str, str]
    """Our parameter -> the provider's field. What is not here cannot be sent."""
    ways: Mapping[Medium, Way]
    """How it gets inputs; a kind that is missing cannot be sent."""

    def auth(self, key: str) -> dict[str, str]:
        """Headers that carry the key."""
        ...

    async def submit(self, wire: Wire, order: Order) -> Handle | Done | Step:
        """Send one paid request. After a crash it is called to hear a kept reply: then the inputs have no bytes.

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
        """The receipt, none of `order.others`; None: it surely never arrived. PaymentUnknown: nobody can tell."""
        ...


@runtime_checkable
class Signs(Protocol):
    """Its `auth` gives headers that age."""

    auth_life_s: float
    """How long they may be used."""

    def is_stale(self, reply: Reply) -> bool:
        """Whether a reply says that only the age of the headers was wrong: nothing was accepted."""
        ...


@runtime_checkable
class CallsBack(Protocol):
    """Can be told where to report the end of a generation; how it signs is told by one of the next two."""

    def report(
        self, headers: Mapping[str, str], body: bytes, keys: Sequence[Any], now: float
    ) -> tuple[str, str | None]:
        """Verify one report: its own id, and the id of the request it speaks of. Raises Forged: it is not theirs."""
        ...


@runtime_checkable
class Shares(Protocol):
    """Signs its reports with a secret that it shares with us."""

    callback_secrets: tuple[str, ...]
    """Environment names of the secret; several during a rotation."""


@runtime_checkable
class Publishes(Protocol):
    """Signs its reports with keys whose public half anybody can ask for."""

    callback_keys: tuple[str, str]
    """Role and path of their address."""

    def keys_of(self, reply: Reply) -> Sequence[Any]:
        """The public keys in what that address answers. Raises Forged: there are none."""
        ...


@runtime_checkable
class Accounts(Protocol):
    """Can be asked what is left."""

    async def account(self, wire: Wire) -> list[Pack]:
        """The units that the account has; free."""
        ...


@runtime_checkable
class Uploads(Protocol):
    """Takes input files."""

    upload_life_s: float
    """How long an uploaded file surely lives."""

    async def upload(self, wire: Wire, item: Input, content: bytes) -> str:
        """Give the provider the bytes of an input; returns their address. Free."""
        ...
