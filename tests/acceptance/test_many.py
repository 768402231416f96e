"""Many processes on one workspace: each picture once, the provider's places respected, however they die."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.processes import check_all_told, ended, kill, line, resumed, start, until
from calls import pictures
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
PICTURES, WORKERS, PLACES = 30, 3, 4
BATCH: dict[str, Any] = {
    "job_id": "job-1",
    "requests": [{"prompt": f"kite {k}", "scene": {"id": f"SC_{k:02d}"}} for k in range(PICTURES)],
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.7, pictures="tiny")


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    with serving_in_thread(sandbox) as address:
        yield address


def test_chaos(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Three workers share thirty pictures and are killed at random: none is bought twice, all come to an end."""
    dice = random.Random(20261121)
    order = {"environ": {"HOASI_FAL_CONCURRENCY": str(PLACES)}}
    workers = [start(workspace, url, BATCH, **order) for _ in range(WORKERS)]
    is_over = time.monotonic() + 10
    while time.monotonic() < is_over:
        time.sleep(dice.uniform(0.4, 1.1))
        victim = dice.randrange(WORKERS)
        kill(workers[victim])
        workers[victim] = start(workspace, url, BATCH, **order)
    for worker in workers:
        assert set(ended(worker)) <= {"succeeded", "unknown", "skipped_existing"}
    states = Counter(entry.state for entry in resumed(workspace, url).generations)
    stats = sandbox.stats()
    assert states["succeeded"] + states["unknown"] == PICTURES
    assert (stats["duplicates"], stats["submissions"] <= PICTURES) == (0, True)
    assert stats["max_in_flight"] <= PLACES + states["unknown"]  # whose reply was lost holds no place, but may run on
    assert len(pictures(workspace)) == states["succeeded"]
    check_all_told(workspace)


def test_living_processes_share_the_places(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Three processes with two places each use two together."""
    sandbox.change(latency_s=0.2)
    asks = [{**BATCH, "requests": BATCH["requests"][k::WORKERS][:4]} for k in range(WORKERS)]
    workers = [start(workspace, url, ask) for ask in asks]
    assert [ended(worker) for worker in workers] == [["succeeded"] * 4] * WORKERS
    assert (sandbox.stats()["submissions"], sandbox.stats()["max_in_flight"]) == (12, 2)
    check_all_told(workspace)


def test_a_new_workspace_may_be_opened_by_all_at_once(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Eight processes find no ledger and make it at the same moment: nobody fails, all ask for the same, one buys."""
    go = workspace.parent / "go"
    ask = {"prompt": "a kite", "job_id": "job-1"}
    workers = [start(workspace, url, ask, go=str(go)) for _ in range(8)]
    for worker in workers:
        line(worker, "waiting")
    go.touch()
    assert {state for worker in workers for state in ended(worker)} <= {"succeeded", "skipped_existing"}
    assert sandbox.stats()["submissions"] == 1
    check_all_told(workspace)


def test_a_killed_crowd_leaves_a_whole_ledger(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """All are killed at once in the middle of work; the ledger is whole and the rest is done by the next."""
    workers = [start(workspace, url, BATCH) for _ in range(WORKERS)]
    until(lambda: sandbox.stats()["downloads"] >= 2)
    for worker in workers:
        worker.kill()
    for worker in workers:
        kill(worker)
    db = sqlite3.connect(workspace / ".hoasi" / "ledger.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    sandbox.change(latency_s=0.05)
    states = Counter(entry.state for entry in resumed(workspace, url).generations)
    assert states["succeeded"] + states["unknown"] == PICTURES
    assert sandbox.stats()["duplicates"] == 0
    check_all_told(workspace)
