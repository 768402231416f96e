"""Engine room: we look often enough to be quick, seldom enough to be polite, and we give up in the end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hoasi import pace
from hoasi.pace import BACKOFF_CAP_S, LONGEST_S, SHORTEST_S, Schedule, backoff_s, patiently, until_ready
from hoasi.providers._outcomes import Pending, Ready, TryAgain
from hoasi.street import AddressRefused, NotSent, ReplyLost, Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
NOWHERE = Wire(Street(frozenset()), {}, {})


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(pace.time, "time", found.time)
    monkeypatch.setattr(pace.anyio, "sleep", found.sleep)
    return found


class Slow:
    """A provider whose work takes so long by the clock; `troubles` come before each answer."""

    def __init__(self, clock: Clock, takes_s: float, *troubles: Exception) -> None:
        self.clock, self.ends_at, self.troubles, self.polls = clock, clock.now + takes_s, list(troubles), 0

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        self.polls += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return Ready() if self.clock.now >= self.ends_at else Pending("working")

    async def collect(self, *_: Any) -> Any: ...

    def attach(self, *_: Any) -> Any: ...


async def followed(provider: Slow, durations: list[float], typical_s: float = 10.0) -> list[Pending]:
    told: list[Pending] = []
    start = provider.clock.now
    await until_ready(provider, Waiter(told), Schedule(durations, typical_s), start)
    return told


class Waiter:
    """Who waits, without being told anything meanwhile."""

    wire = NOWHERE
    receipt: dict[str, Any] = {}

    def __init__(self, told: list[Pending]) -> None:
        self.tell = told.append

    async def pause(self, seconds: float) -> None:
        await pace.anyio.sleep(seconds)


# ---------------------------------------------------------------- the schedule


@pytest.mark.parametrize(
    ("durations", "takes_s", "polls", "late_s"),
    [
        ([], 0.5, 1, 3.0),
        ([], 10.0, 10, 1.0),
        ([], 60.0, 70, 1.5),
        ([], 300.0, 200, LONGEST_S),
        ([8, 9, 10, 11, 12], 10.0, 6, 0.6),
        ([8, 9, 10, 11, 12], 12.0, 15, 0.5),
        ([8, 9, 10, 11, 12], 300.0, 140, LONGEST_S),
        ([1.8, 2, 2.2], 2.0, 5, 0.4),
        ([29, 30, 31], 30.0, 6, 1.0),
        ([10, 10, 10], 10.0, 4, 0.5),
    ],
)
async def test_looks_are_few_and_in_time(
    durations: list[float], takes_s: float, polls: int, late_s: float, clock: Clock
) -> None:
    """By a clock of our own: the number of looks and the delay after the end stay within a budget."""
    provider = Slow(clock, takes_s)
    told = await followed(provider, durations)
    assert provider.polls <= polls
    assert clock.now - provider.ends_at <= late_s
    assert len(told) == provider.polls - 1


@pytest.mark.parametrize("durations", [[], [0.0, 0.0, 0.0], [1, 2, 3], [1e-9, 1e6, 5], [300.0] * 50])
def test_a_pause_is_never_too_short_nor_too_long(durations: list[float]) -> None:
    """After the first look every pause is between a tenth of a second and five seconds, at any time."""
    for typical_s in (0.0, 0.01, 10.0, 1e5):
        schedule = Schedule(durations, typical_s)
        for tenths in itertools.chain(range(300), range(300, 40_000, 997)):
            pause = schedule.wait_s(tenths / 10)
            assert pause >= SHORTEST_S
            is_before_any = pause + tenths / 10 < min([*durations, typical_s])
            assert pause <= LONGEST_S or schedule.wait_s(tenths / 10 + pause) <= LONGEST_S or is_before_any


def test_experience_beats_the_card() -> None:
    """Three known durations replace the guess; two do not."""
    assert Schedule([100, 100], 1.0).wait_s(0) == Schedule([], 1.0).wait_s(0)
    assert Schedule([100, 100, 100], 1.0).wait_s(0) > 50


@pytest.mark.parametrize("back_s", [5.0, 7 * 3600.0, 2 * 86_400.0])
def test_a_clock_that_was_set_back_delays_no_look(back_s: float) -> None:
    """Nobody waits for the old time to come again: an elapsed time below zero is the beginning."""
    assert Schedule([], 10.0).wait_s(-back_s) == Schedule([], 10.0).wait_s(0) > 0


async def test_what_was_sent_by_a_clock_that_was_ahead_is_followed_in_time(clock: Clock) -> None:
    """Taken up after the clock was set right, two days back: the looks are those of a request that was just sent."""
    provider = Slow(clock, 10.0)
    await until_ready(provider, Waiter([]), Schedule([], 10.0), clock.now + 2 * 86_400)
    assert clock.now - provider.ends_at < 1.0
    assert provider.polls <= 10


# ---------------------------------------------------------------- how long after a refusal


@pytest.mark.parametrize(("tries", "about_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (8, 128)])
def test_pauses_double_with_jitter(tries: int, about_s: float) -> None:
    """A fifth more or less, so that many processes do not come back at once."""
    found = {backoff_s(tries) for _ in range(50)}
    assert all(0.8 * about_s <= pause <= 1.2 * about_s for pause in found)
    assert len(found) > 1


def test_what_the_provider_says_counts() -> None:
    """`Retry-After` is never undercut, and nothing is longer than five minutes."""
    assert backoff_s(1, 30) == 30
    assert backoff_s(6, 5.0) >= 25
    assert backoff_s(1, 86_400) == backoff_s(40) == BACKOFF_CAP_S
    assert backoff_s(1, 0.0) >= 0.8


# ---------------------------------------------------------------- free questions


@pytest.mark.parametrize("trouble", [NotSent("x"), ReplyLost("x"), TryAgain(503), TryAgain(429, 3.0)])
async def test_a_free_question_is_asked_again(trouble: Exception, clock: Clock) -> None:
    """A trouble or two are overcome, with a pause before each new try."""
    answers: list[Exception | str] = [trouble, trouble, "yes"]

    async def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await patiently(ask) == "yes"
    assert len(clock.slept) == 2
    assert clock.slept == [3.0, 3.0] or clock.slept[0] < clock.slept[1]


@pytest.mark.parametrize("trouble", [NotSent("x"), ReplyLost("x"), TryAgain(503, 9999.0)])
async def test_patience_ends(trouble: Exception, clock: Clock) -> None:
    """Six tries, no pause over twenty seconds, and the last trouble is the caller's."""
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        raise trouble

    with pytest.raises(type(trouble)):
        await patiently(ask)
    assert (asked, len(clock.slept)) == (6, 5)
    assert max(clock.slept) <= 20


async def test_what_is_no_trouble_of_the_wire_is_told_at_once(clock: Clock) -> None:
    """A refused address is not asked twice, unless the caller counts it as trouble."""
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        raise AddressRefused("x")

    with pytest.raises(AddressRefused):
        await patiently(ask)
    assert (asked, clock.slept) == (1, [])
    with pytest.raises(AddressRefused):
        await patiently(ask, tries=3, also=(AddressRefused,))
    assert asked == 4


async def test_trouble_while_polling_does_not_end_the_wait(clock: Clock) -> None:
    """A look that fails is repeated, and the waiting goes on."""
    provider = Slow(clock, 5.0, NotSent("x"), TryAgain(502), ReplyLost("x"))
    await followed(provider, [5, 5, 5])
    assert provider.polls <= 10


class Telling(Slow):
    """A provider that streams its progress."""

    def __init__(self, clock: Clock, *events: Pending | Ready | Exception) -> None:
        super().__init__(clock, 1.0)
        self.events = events

    async def watch(self, wire: Wire, receipt: dict[str, Any]) -> Any:
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event


async def test_a_stream_that_tells_the_end_needs_no_look(clock: Clock) -> None:
    """Progress is passed on; no poll, no pause."""
    provider = Telling(clock, Pending("queued", 2), Pending("working"), Ready())
    assert await followed(provider, []) == [Pending("queued", 2), Pending("working")]
    assert (provider.polls, clock.slept) == (0, [])


@pytest.mark.parametrize("broken", [(), (ReplyLost("x"),), (Pending("working"), NotSent("x"))])
async def test_a_stream_that_breaks_is_replaced_by_looking(broken: tuple[Any, ...], clock: Clock) -> None:
    """Ended early, lost or refused: polling finds the end."""
    provider = Telling(clock, *broken)
    await followed(provider, [1, 1, 1])
    assert provider.polls >= 1


async def test_trouble_after_the_end_is_no_trouble(clock: Clock) -> None:
    """The stream told the end and then broke: the end counts."""
    provider = Telling(clock, Ready(), ReplyLost("x"))
    await followed(provider, [])
    assert provider.polls == 0


@pytest.mark.parametrize("late_s", [0.1, 0.5, 3.0, 20.0])
def test_what_is_late_may_take_as_long_again(late_s: float) -> None:
    """A model that always took the same: when it is late, the curve knows nothing, and the gaps follow the delay."""
    wait_s = Schedule([0.06, 0.06, 0.06], typical_s=8.0).wait_s(late_s)
    assert wait_s <= max(late_s, pace.SHORTEST_S)
