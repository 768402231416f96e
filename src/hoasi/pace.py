"""Engine room (floor 3): when to look, and how patiently to ask free questions. The one retry loop of this house."""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from statistics import NormalDist, fmean, pstdev
from typing import Any, Protocol, TypeVar

import anyio

from hoasi.errors import ResultExpired
from hoasi.providers._outcomes import Pending, Ready, TryAgain
from hoasi.providers._provider import Follows, Watches
from hoasi.street import NotSent, ReplyLost, WireTrouble
from hoasi.wire import Wire

PATIENCE_PRICE = 0.05
"""What a poll costs in waited seconds: smaller looks oftener (numbers: docs/decisions/0004-waiting.md)."""
SHORTEST_S, LONGEST_S = 0.1, 5.0
BACKOFF_CAP_S = 300.0
_FEW = 3
_LAST_WORDS_S = 0.05
"""How long an ended stream may take to close by itself, which keeps its connection for the next one."""

T = TypeVar("T")
Tell = Callable[[Pending], None]


class Schedule:
    """When to look at a model whose results take log-normally long: rarely before it can be done, often when it should.

    Learns from past durations; a card's typical duration stands in until there are some. `least_s` is a floor of the
    gaps; `most_s`, which wins, is where a result would be lost by looking later.
    """

    def __init__(
        self, durations: Sequence[float], typical_s: float, least_s: float = 0.0, most_s: float = math.inf
    ) -> None:
        self._least_s, self._most_s = least_s, most_s
        logs = [math.log(max(seconds, 0.05)) for seconds in durations]
        self._mean = fmean(logs) if len(logs) >= _FEW else math.log(max(typical_s, 0.05))
        self._spread = max(pstdev(logs), 0.05) if len(logs) >= _FEW else 0.6
        self._normal = NormalDist(self._mean, self._spread)

    @property
    def least_s(self) -> float:
        """It is never asked about sooner after the last time."""
        return self._least_s

    @property
    def trust_s(self) -> float:
        """How long a stream is believed before we ask ourselves: some fall silent and stay open."""
        return max(15.0, 2.0 * math.exp(self._mean))

    def wait_s(self, elapsed_s: float) -> float:
        """Seconds until the next look, `elapsed_s` after the submission; a clock that was set back delays none."""
        return min(self._gap_s(max(elapsed_s, 0.0)), self._most_s)

    def _gap_s(self, elapsed_s: float) -> float:
        first = math.exp(self._mean - 2.05 * self._spread)  # the 2nd percentile
        if elapsed_s < first:
            return max(first - elapsed_s, SHORTEST_S, self._least_s)
        best = math.sqrt(2 * PATIENCE_PRICE / self._hazard(elapsed_s))
        return max(min(max(best, SHORTEST_S), LONGEST_S), self._least_s)

    def _hazard(self, at_s: float) -> float:
        """Chance a second of ending now. What is late may take as long again: far out, the curve knows nothing."""
        at_s = max(at_s, 1e-3)
        log = math.log(at_s)
        left = max(1.0 - self._normal.cdf(log), 1e-6)
        return max(self._normal.pdf(log) / (at_s * left), 1.0 / at_s if log > self._mean else 1e-6)


def backoff_s(tries: int, told_s: float | None = None) -> float:
    """Pause before try number `tries` + 1: what the provider said, else doubling with jitter; at most 300 s."""
    return min(max(told_s or 0.0, 2.0 ** (tries - 1) * random.uniform(0.8, 1.2)), BACKOFF_CAP_S)  # noqa: S311  (jitter)


async def patiently(
    ask: Callable[[], Awaitable[T]], *, tries: int = 6, also: tuple[type[Exception], ...] = (), least_s: float = 0.0
) -> T:
    """Ask a free question until it is answered; gives up with the last trouble (or one of `also`) after `tries`.

    Between two tries lie at least `least_s`: one that got no answer may have been counted all the same.

    Raises:
        NotSent, ReplyLost, TryAgain: still no answer.
    """
    trouble: tuple[type[Exception], ...] = (NotSent, ReplyLost, *also)
    for number in range(1, tries):
        try:
            return await ask()
        except TryAgain as busy:
            await anyio.sleep(max(min(busy.retry_after_s or backoff_s(number - 2), 20.0), least_s))
        except trouble:
            await anyio.sleep(max(backoff_s(number - 2), least_s))
    return await ask()


class Follower(Protocol):
    """Who waits: its receipt and street, and whom to tell."""

    wire: Wire

    @property
    def receipt(self) -> dict[str, Any]:
        """The provider's receipt."""
        ...

    def tell(self, seen: Pending) -> None:
        """Note how far it is."""

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until there is a reason to ask at once."""


async def until_ready(provider: Follows, who: Follower, schedule: Schedule, sent_at: float) -> Ready:
    """Wait until the provider says it has ended: by its own stream where it has one, else by asking.

    A report of the provider only ends a pause: it is a reason to ask at once, and is never believed.

    Raises:
        GenerationFailed: it answers that it knows no such request, or not for this key.
    """
    sent_at = min(sent_at, time.time())  # it may have been sent by a clock that was ahead
    if isinstance(provider, Watches):
        with anyio.move_on_after(schedule.trust_s):
            ready = await _watched(provider.watch(who.wire, who.receipt), who.tell)
            if ready is not None:
                return ready
    while True:
        await who.pause(schedule.wait_s(time.time() - sent_at))
        seen = await looked(provider, who, schedule.least_s)
        if isinstance(seen, Ready):
            return seen
        who.tell(seen)


async def looked(provider: Follows, who: Follower, least_s: float = 0.0) -> Pending | Ready:
    """Where it stands. That nothing is known of it is believed when it was said again and again: a gateway may err.

    Raises:
        GenerationFailed: as `until_ready`. NotSent, ReplyLost, TryAgain: still no answer.
    """
    return await patiently(lambda: provider.poll(who.wire, who.receipt), also=(ResultExpired,), least_s=least_s)


async def _watched(stream: AsyncGenerator[Pending | Ready, None], tell: Tell) -> Ready | None:
    """The end as the stream tells it; None when the stream is refused or breaks off."""
    ready = None
    try:
        async with aclosing(stream):
            async for seen in stream:
                if isinstance(seen, Ready):
                    ready = seen
                    break
                tell(seen)
            with anyio.move_on_after(_LAST_WORDS_S):
                await anext(stream, None)
    except (WireTrouble, TryAgain):
        return ready
    return ready
