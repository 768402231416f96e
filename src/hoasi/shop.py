"""Engine room (floor 3): what all generations of one process share: ledger, street, and the doors of the providers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import anyio

from hoasi.ledger import Ledger
from hoasi.providers._provider import CallsBack, Provider, Publishes, Shares, Signs
from hoasi.providers._settings import AddsHeaders, Heeds
from hoasi.records import Generation
from hoasi.settings import Settings
from hoasi.street import Street
from hoasi.wire import Renewal, Wire


class Gate:
    """The door to one provider (or one kind of its places) in this process: so many at once, nobody while closed."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._places = anyio.Semaphore(most)
        self._turn = anyio.Lock()
        self._not_before = 0.0

    def fitting(self, places: int) -> int:
        """Places that somebody who needs so many takes: never more than there are."""
        return min(places, self.most)

    async def enter(self, places: int) -> None:
        """Wait for so many places, in turn: who needs many is not overtaken for ever by those who need one."""
        async with self._turn:
            taken = 0
            try:
                while taken < places:
                    await self._places.acquire()
                    taken += 1
            except BaseException:
                self.leave(taken)
                raise

    def leave(self, places: int) -> None:
        """Give places to the next."""
        for _ in range(places):
            self._places.release()

    def close_for(self, seconds: float) -> None:
        """The provider asked for a pause: nobody goes through before it is over."""
        self._not_before = max(self._not_before, anyio.current_time() + seconds)

    async def opened(self) -> None:
        """Wait until the pause is over."""
        await anyio.sleep_until(self._not_before)


@dataclass
class Shop:
    """What all generations of one process share."""

    settings: Settings
    ledger: Ledger
    street: Street
    owner: str
    wait_for: Callable[[str], Awaitable[Generation]]
    """Follow another generation to its end (copies wait for their source)."""
    is_closing: bool = False
    """This process is about to leave: nothing more is sent."""
    gates: dict[str, Gate] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)
    uploading: dict[tuple[str, ...], anyio.Lock] = field(default_factory=dict)

    def gate(self, maker: Provider, lane: str) -> Gate:
        """The provider's door for one kind of its places."""
        if lane not in self.gates:
            self.gates[lane] = Gate(self.settings.concurrency(maker.name, maker.concurrency))
        return self.gates[lane]

    def wire(self, maker: Provider) -> Wire:
        """The street as this provider sees it."""
        if maker.name not in self.wires:
            self.wires[maker.name] = wire_to(maker, self.settings, self.street, self._renewal(maker))
        return self.wires[maker.name]

    def _renewal(self, maker: Provider) -> Renewal | None:
        if not isinstance(maker, Signs):
            return None
        return Renewal(_auth(maker, self.settings), maker.auth_life_s, maker.is_stale)


def wire_to(maker: Provider, settings: Settings, street: Street, renewal: Renewal | None = None) -> Wire:
    """The street as a provider sees it, with its key where that is set.

    Raises:
        NotSupported: as `origins_of`. WrongInput: a setting holds no headers.
    """
    told = told_of(maker, settings)
    headers = maker.headers(told) if isinstance(maker, AddsHeaders) else {}
    return Wire(street, origins_of(maker, settings), {**_auth(maker, settings)(), **headers}, renewal, told)


def _auth(maker: Provider, settings: Settings) -> Callable[[], Mapping[str, str]]:
    key = settings.secret(maker.secrets)
    return partial(maker.auth, key) if key else dict


def told_of(maker: Provider, settings: Settings) -> dict[str, str]:
    """Of the settings that a provider heeds those that are set, by their names."""
    return settings.told(maker.variables) if isinstance(maker, Heeds) else {}


def is_called_back(maker: Provider, settings: Settings) -> bool:
    """Whether reports of this provider can be told from forged ones."""
    return isinstance(maker, CallsBack) and (isinstance(maker, Publishes) or bool(secrets_of(maker, settings)))


def secrets_of(maker: Provider, settings: Settings) -> tuple[str, ...]:
    """Every secret that is set and that reports of this provider may be signed with; two during a rotation."""
    names = maker.callback_secrets if isinstance(maker, Shares) else ()
    return tuple(value for name in names if (value := settings.get(name)))


def origins_of(maker: Provider, settings: Settings) -> dict[str, str]:
    """Where a provider's hosts are for this process.

    Raises:
        NotSupported: an override is no usable address, or the region is not known.
    """
    region = settings.region(maker.name, maker.regions)
    usual = maker.regions[region] if region else maker.origins
    is_keyless = not maker.secrets
    return {role: settings.origin(maker.name, role, url, is_keyless=is_keyless) for role, url in usual.items()}
