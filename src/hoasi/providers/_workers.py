"""Translators (floor 2): where somebody's own workers make the pictures, and how these workers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from hoasi.wire import Wire


class Workers(NamedTuple):
    """Workers of one endpoint that are awake, at work, waking, and of no use now; jobs that wait for one."""

    ready: int
    running: int
    waking: int
    ailing: int
    waiting: int

    @property
    def can_work(self) -> bool:
        """False where something is waited for, or is ill, and nobody is there; with nothing to do all may sleep."""
        return bool(self.ready or self.running or self.waking) or not (self.ailing or self.waiting)


@runtime_checkable
class HasWorkers(Protocol):
    """Makes pictures at endpoints of the account's own."""

    def endpoints(self, told: Mapping[str, str]) -> Mapping[str, str]:
        """Their ids, and the settings that name each. Raises WrongInput: a setting is no id."""
        ...

    async def health(self, wire: Wire, endpoint: str) -> Workers:
        """How its workers are; free. Raises KeyRejected, ProviderRefused: there is no such endpoint. TryAgain."""
        ...
