"""Engine room (floor 3): what all generations of one process share: ledger, street, and the doors of the providers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import anyio

from hoasi.ledger import Ledger
from hoasi.providers._provider import CallsBack, Provider, Settles, Signs
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
            told = self.settings.told(maker.variables) if isinstance(maker, Settles) else {}
            auth = {**self._auth(maker)(), **(maker.headers(told) if isinstance(maker, Settles) else {})}
            origins = origins_of(maker, self.settings)
            self.wires[maker.name] = Wire(self.street, origins, auth, self._renewal(maker), told)
        return self.wires[maker.name]

    def _auth(self, maker: Provider) -> Callable[[], Mapping[str, str]]:
        key = self.settings.secret(maker.secrets)
        return partial(maker.auth, key) if key else dict

    def _renewal(self, maker: Provider) -> Renewal | None:
        return Renewal(self._auth(maker), maker.auth_life_s, maker.is_stale) if isinstance(maker, Signs) else None


def is_called_back(maker: Provider, settings: Settings) -> bool:
    """Whether reports of this provider can be told from forged ones."""
    if not isinstance(maker, CallsBack):
        return False
    return maker.callback_keys is not None or any(settings.get(name) for name in maker.callback_secrets)


def origins_of(maker: Provider, settings: Settings) -> dict[str, str]:
    """Where a provider's hosts are for this process.

    Raises:
        NotSupported: an override is no usable address, or the region is not known.
    """
    region = settings.region(maker.name, maker.regions)
    usual = maker.regions[region] if region else maker.origins
    is_keyless = not maker.secrets
    return {role: settings.origin(maker.name, role, url, is_keyless=is_keyless) for role, url in usual.items()}
