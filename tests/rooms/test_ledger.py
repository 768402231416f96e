"""The durable truth: fenced by owner, whole after trouble, quick when long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hoasi.catalogue import load
from hoasi.errors import LostOwnership, NotFound, WrongInput
from hoasi.ledger import Ledger
from hoasi.ledger_rows import sent_beside
from hoasi.opening import open_all
from hoasi.planning import Site, plan_request
from hoasi.records import OPEN_STATES, Generation, Problem, Request, State
from hoasi.telling import told, untold

SITE = Site(job_id="job-1", output_dir="jobs/job-1/pictures", log_path="jobs/job-1/log.toml")
EVERY = tuple(OPEN_STATES)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "ledger.db")
    yield found
    found.close()


def queued(ledger: Ledger, prompt: str = "a kite", owner: str = "me") -> Generation:
    """A new generation of that owner."""
    (item,) = plan_request(Request(prompt=prompt), load("fal"), [], SITE, prompt)
    (opening,) = open_all(ledger, [item], owner, admit=lambda *_: None, overwrite=False, resubmit=False)
    return opening.generation


def ended(ledger: Ledger, state: State, prompt: str = "a kite") -> Generation:
    """One that came to its end."""
    return ledger.save(queued(ledger, prompt).id, "me", state=state, owner=None, finished_at=1.0)


def test_only_the_owner_saves(ledger: Ledger) -> None:
    """Who lost a generation cannot write over what the new owner knows."""
    name = queued(ledger).id
    ledger.release("me")
    ledger.adopt("you", EVERY)
    with pytest.raises(LostOwnership):
        ledger.save(name, "me", state=State.FAILED)
    with pytest.raises(LostOwnership):
        ledger.take_place(name, "me", "fal", 1, 2)
    assert ledger.states([name]) == {name: (State.QUEUED, "you")}


def test_nobody_is_robbed(ledger: Ledger) -> None:
    """Only what nobody owns is adopted, besides one's own; only in the states asked for."""
    mine, yours = queued(ledger, "a"), queued(ledger, "b", "you")
    assert [g.id for g in ledger.adopt("me", EVERY)] == [mine.id]
    assert ledger.adopt("me", (State.RUNNING,)) == []
    assert ledger.adopt("me", EVERY, []) == []
    ledger.release("you")
    assert ledger.orphans(EVERY) == [yours.id]
    assert ledger.owners() == {"me"}
    assert {g.id for g in ledger.adopt("me", EVERY)} == {mine.id, yours.id}


def test_who_takes_it_up_again_forgets_why_it_was_left(ledger: Ledger) -> None:
    """While somebody is at it, no old trouble is told."""
    left = Problem(kind="StillRunning", key="still_running", paid="unknown").model_dump(mode="json")
    ledger.save(queued(ledger).id, "me", owner=None, problem=left)
    assert [g.problem for g in ledger.adopt("you", EVERY)] == [None]


def test_places_are_counted_over_all_processes(ledger: Ledger) -> None:
    """Two places are two, whoever holds them; what ended gives its place back; other providers do not count."""
    names = [queued(ledger, text, text).id for text in "abc"]
    assert ledger.take_place(names[0], "a", "fal", 1, 2) is not None
    assert ledger.take_place(names[1], "b", "fal", 1, 2) is not None
    assert ledger.take_place(names[2], "c", "fal", 1, 2) is None
    assert ledger.take_place(names[2], "c", "other", 1, 2) is not None
    ledger.save(names[0], "a", state=State.FETCHING)
    ledger.save(names[2], "c", state=State.QUEUED)
    taken = ledger.take_place(names[2], "c", "fal", 1, 2)
    assert taken is not None
    assert (taken.state, taken.tries, taken.submitted_at is None) == (State.SUBMITTING, 2, False)


def test_a_forgotten_submission_gives_its_place_back(ledger: Ledger) -> None:
    """What nobody follows any more holds its place for a while, not for ever; what is followed holds it."""
    first, second = queued(ledger, "a"), queued(ledger, "b")
    ledger.take_place(first.id, "me", "fal", 1, 1)
    ledger.save(first.id, "me", submitted_at=1.0)
    assert ledger.take_place(second.id, "me", "fal", 1, 1) is None
    ledger.save(first.id, "me", owner=None)
    assert ledger.take_place(second.id, "me", "fal", 1, 1) is not None


def test_what_left_before_keeps_the_time_of_its_first_sending(ledger: Ledger) -> None:
    """Sent again because its reply was lost; what had ended and is drawn again is sent anew."""
    lost, drawn = queued(ledger, "a"), queued(ledger, "b")
    ledger.save(lost.id, "me", submitted_at=5.0)
    ledger.save(drawn.id, "me", submitted_at=5.0, finished_at=6.0)
    again, anew = (ledger.take_place(one.id, "me", "fal", 1, 9) for one in (lost, drawn))
    assert again is not None
    assert anew is not None
    assert (again.submitted_at, (anew.submitted_at or 0.0) > 6.0) == (5.0, True)


def test_what_could_be_mistaken_for_a_lost_order(ledger: Ledger) -> None:
    """Others with a receipt, or perhaps one, that had not ended long before it was sent; nothing unpaid."""
    rows: dict[str, dict[str, Any]] = {
        "itself": {"state": State.SUBMITTING},
        "being sent": {"state": State.SUBMITTING},
        "sent again": {"state": State.QUEUED},
        "running": {"state": State.RUNNING, "handle": {"id": "1"}, "submitted_at": 1.0},
        "made just before": {"state": State.SUCCEEDED, "handle": {"id": "2"}, "finished_at": 4900.0, "paid": "yes"},
        "unknown": {"state": State.UNKNOWN, "finished_at": 5100.0, "paid": "unknown"},
        "given up": {"state": State.CANCELLED, "finished_at": 4900.0, "paid": "unknown"},
        "made long before": {"state": State.SUCCEEDED, "handle": {"id": "3"}, "finished_at": 4000.0, "paid": "yes"},
        "refused": {"state": State.FAILED, "finished_at": 5100.0},
        "never sent": {"state": State.QUEUED, "submitted_at": None},
        "elsewhere": {"state": State.RUNNING, "handle": {"id": "4"}, "provider": "kling"},
    }
    made = {name: queued(ledger, name).id for name in rows}
    saved = {name: ledger.save(made[name], "me", **{"submitted_at": 5000.0, **row}) for name, row in rows.items()}
    with ledger.transaction() as db:
        found = {one.id for one in sent_beside(db, saved["itself"])}
    assert [name for name in rows if made[name] in found] == [
        "being sent", "sent again", "running", "made just before", "unknown", "given up",
    ]  # fmt: skip


def test_a_late_receipt_is_kept(ledger: Ledger) -> None:
    """It came to a process that had lost its generation: kept, unless there is one already."""
    name = ended(ledger, State.UNKNOWN).id
    ledger.rescue_receipt(name, {"request_id": "1"})
    ledger.rescue_receipt(name, {"request_id": "2"})
    kept = ledger.get([name])[0]
    assert (kept.state, kept.handle, kept.owner) == (State.RUNNING, {"request_id": "1"}, None)


def test_an_ended_generation_is_reopened_by_one(ledger: Ledger) -> None:
    """Two that want to bring a picture back: one does."""
    name = ended(ledger, State.SUCCEEDED).id
    assert ledger.reopen(name, "me", State.FETCHING, problem=None).owner == "me"
    with pytest.raises(LostOwnership):
        ledger.reopen(name, "you", State.FETCHING, problem=None)


@pytest.mark.parametrize(("state", "news"), [(State.SUCCEEDED, 0), (State.FAILED, 1)])
def test_a_success_is_told_once_a_failure_each_time(ledger: Ledger, state: State, news: int) -> None:
    """Fetched again, a success stands in the log already; a failure that became something else is news."""
    done = ended(ledger, state)
    with ledger.transaction() as db:
        assert [row.generation.id for row in untold(db)] == [done.id]
        told(db, [done], semantics=True)
    ledger.reopen(done.id, "me", State.FETCHING, problem=None)
    ledger.save(done.id, "me", state=State.SUCCEEDED, owner=None)
    with ledger.transaction() as db:
        assert len(untold(db)) == news


def test_an_untold_success_stays_untold(ledger: Ledger) -> None:
    """Reopened before anybody wrote it into the log, it still has to be told; so do semantics that are owed."""
    done = ended(ledger, State.SUCCEEDED)
    ledger.reopen(done.id, "me", State.FETCHING, problem=None)
    done = ledger.save(done.id, "me", state=State.SUCCEEDED, owner=None)
    with ledger.transaction() as db:
        assert [row.is_logged for row in untold(db)] == [False]
        told(db, [done], semantics=False)
        assert [row.is_logged for row in untold(db)] == [True]
    ledger.reopen(done.id, "me", State.FETCHING, problem=None)
    ledger.save(done.id, "me", state=State.SUCCEEDED, owner=None)
    with ledger.transaction() as db:
        assert [row.is_logged for row in untold(db)] == [True]


def test_only_what_is_at_work_can_be_cancelled(ledger: Ledger) -> None:
    """The wish for something that has ended is not remembered until it is opened again."""
    done, open_ = ended(ledger, State.SUCCEEDED, "a"), queued(ledger, "b")
    ledger.ask_cancel([done.id, open_.id])
    assert ledger.stops("me") == [open_.id]
    assert [g.cancel_requested for g in ledger.get([done.id, open_.id])] == [False, True]


def test_trouble_in_the_middle_leaves_it_whole_and_usable(ledger: Ledger) -> None:
    """A full disk refuses a write; nothing of it stays, and the next write works."""
    name = queued(ledger).id
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        ledger.save(name, "me", handle={"x": "y" * 1_000_000})
    ledger._db.execute("PRAGMA max_page_count=1000000")
    assert ledger.get([name])[0].handle is None
    assert ledger.save(name, "me", handle={"x": 1}).handle == {"x": 1}


def test_a_commit_that_fails_does_not_block_the_next(ledger: Ledger) -> None:
    """Should even the commit be refused, the transaction is undone."""
    name = queued(ledger).id
    with pytest.raises(sqlite3.IntegrityError), ledger.transaction() as db:
        list(map(db.execute, ["PRAGMA defer_foreign_keys=ON", f"UPDATE generation SET copy_of='-' WHERE id='{name}'"]))
    assert ledger.get([name])[0].copy_of is None
    assert ledger.save(name, "me", tries=1).tries == 1


def test_a_newer_ledger_is_refused_untouched(tmp_path: Path) -> None:
    """Written by a later version: said so, not changed."""
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(WrongInput) as refused:
        Ledger(path)
    assert refused.value.key == "ledger_newer"
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (99,)


def test_many_may_make_a_new_ledger_at_once(tmp_path: Path) -> None:
    """Sixteen open a ledger that is not there yet: all succeed, it has its tables once."""
    with ThreadPoolExecutor(16) as threads:
        for turn in range(60):
            for made in threads.map(Ledger, [tmp_path / f"{turn}.db"] * 16):
                assert made.find() == ([], 0)
                made.close()


def test_pages_are_newest_first_and_complete(ledger: Ledger) -> None:
    """Page after page, each once."""
    names = [queued(ledger, f"kite {k}").id for k in range(7)]
    seen, cursor = [], 0
    while True:
        page, cursor = ledger.find(before=cursor, limit=3)
        seen += [generation.id for generation in page]
        if not cursor:
            break
    assert seen == names[::-1]


def test_an_unknown_id_is_said(ledger: Ledger) -> None:
    """Not silently left out."""
    with pytest.raises(NotFound):
        ledger.get([queued(ledger).id, "sc_01-0000000000"])


def test_what_is_asked_often_never_reads_the_whole_ledger(ledger: Ledger) -> None:
    """The questions of each second and each submission go through an index, however long the history is."""
    name = queued(ledger).id
    asked: list[str] = []
    ledger._db.set_trace_callback(asked.append)
    ledger.stops("me")
    ledger.owners()
    ledger.orphans(EVERY)
    ledger.adopt("me", EVERY)
    ledger.states([name])
    ledger.release("you")
    ledger.take_place(name, "me", "fal", 1, 2)
    ledger.durations("fal", "m")
    with ledger.transaction() as db:
        untold(db)
    ledger._db.set_trace_callback(None)
    for text in asked:
        if text.startswith(("SELECT", "UPDATE")):
            steps = [row[3] for row in ledger._db.execute(f"EXPLAIN QUERY PLAN {text}")]
            assert not [step for step in steps if step == "SCAN generation"], (text, steps)


def test_intent_and_receipt_wait_for_the_disk(ledger: Ledger) -> None:
    """Before money and after it the write is on disk; what can be had again free need not wait."""
    name = queued(ledger).id
    asked: list[str] = []
    ledger._db.set_trace_callback(asked.append)
    ledger.take_place(name, "me", "fal", 1, 2)
    ledger.save(name, "me", state=State.RUNNING, handle={})
    ledger.save(name, "me", durable=False, state=State.FETCHING)
    ledger._db.set_trace_callback(None)
    assert [text.split("=")[1] for text in asked if "synchronous" in text] == ["FULL", "FULL", "NORMAL"]
    assert [text for text in asked if text == "COMMIT"] == ["COMMIT"] * 3
