"""The one place that decides to buy: nobody else decides at the same time."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from hoasi.catalogue import load
from hoasi.ledger import Ledger
from hoasi.opening import Desk, Opening, open_all
from hoasi.planning import Site, plan_request
from hoasi.records import Planned, Request, Scene, State

SITE = Site(job_id="job-1", output_dir="jobs/job-1/pictures", log_path="jobs/job-1/log.toml")


def planned(prompt: str = "a kite", scene: str = "SC_01") -> Planned:
    """A paid picture."""
    request = Request(prompt=prompt, seed=7, scene=Scene(id=scene))
    (item,) = plan_request(request, load("fal"), [], SITE, prompt)
    return item


def decide(path: Path, item: Planned, owner: str) -> Opening:
    """What a process of its own decides."""
    ledger = Ledger(path)
    try:
        (opening,) = open_all(ledger, [item], owner, admit=lambda *_: None, overwrite=False, resubmit=False)
    finally:
        ledger.close()
    return opening


def test_two_that_decide_at_once_decide_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both want to look before either has written: the second waits, and then attaches."""
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    both, look = threading.Barrier(2), Desk.bought

    def slowly(desk: Desk, fingerprint: str) -> object:
        seen = look(desk, fingerprint)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return seen

    monkeypatch.setattr(Desk, "bought", slowly)
    with ThreadPoolExecutor(2) as threads:
        kinds = [made.kind for made in threads.map(lambda owner: decide(path, planned(), owner), ("a", "b"))]
    assert sorted(kinds) == ["attached", "new"]


def test_a_plan_that_is_not_admitted_leaves_no_trace(tmp_path: Path) -> None:
    """Refused for its second item, the first is not written down either."""
    ledger = Ledger(tmp_path / "ledger.db")

    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        open_all(ledger, [planned("a"), planned("b")], "me", admit=refuse, overwrite=False, resubmit=False)
    assert (ledger.find(), ledger.folders()) == (([], 0), [])
    assert decide(tmp_path / "ledger.db", planned("a"), "me").kind == "new"
    ledger.close()


def test_only_the_wishes_for_new_pictures_are_admitted(tmp_path: Path) -> None:
    """Of a plan with a known, an equal and a new picture only the new one is shown to the budget."""
    ledger = Ledger(tmp_path / "ledger.db")
    asked: list[list[str]] = []
    for items in ([planned("a")], [planned("a"), planned("a", "SC_02"), planned("b"), planned("b", "SC_03")]):
        open_all(
            ledger,
            items,
            "me",
            admit=lambda bought, *_: asked.append([item.prompt for item in bought]),
            overwrite=False,
            resubmit=False,
        )
    ledger.close()
    assert asked == [["a"], ["b"]]


def test_what_was_bought_elsewhere_since_is_not_taken_over(tmp_path: Path) -> None:
    """Another call bought it by name while this one waited for its own maker: their numbers need not be the same."""
    ledger = Ledger(tmp_path / "ledger.db")
    first, second, third = planned("a"), planned("b"), planned("c")
    lost = decide(tmp_path / "ledger.db", third, "me").generation
    ledger.save(lost.id, "me", state=State.FAILED, owner=None)
    waiting = decide(
        tmp_path / "ledger.db", first.model_copy(update={"alternatives": (second, third)}), "me"
    ).generation
    other = decide(tmp_path / "ledger.db", second, "another").generation
    assert (waiting.attempt, other.attempt) == (2, 1)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.move(waiting.id, "me", second)
    ledger.save(other.id, "another", state=State.FAILED, owner=None)
    assert ledger.move(waiting.id, "me", second).planned.fingerprint == second.fingerprint
    ledger.close()
