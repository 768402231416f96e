"""What acceptance tests say again and again: workers, and what must be true when everybody has gone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from calls import check_invariants, content, fal_environ, pictures, told
from hoasi import Studio
from hoasi.answers import Reply

WORKER = Path(__file__).with_name("worker.py")
LIMIT_S = 60.0
STARTED: list[subprocess.Popen[str]] = []
"""Every worker of a test; none outlives it."""


def start(workspace: Path, url: str, ask: dict[str, Any] | None, **order: Any) -> subprocess.Popen[str]:
    """A worker process; without `ask` it resumes."""
    environ = fal_environ(url, **order.pop("environ", {}))
    given = {"workspace": str(workspace), "environ": environ, "ask": ask, **order}
    command = [sys.executable, str(WORKER), json.dumps(given)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    STARTED.append(process)
    return process


def line(process: subprocess.Popen[str], wanted: str) -> None:
    """Read on until the worker says this."""
    assert process.stdout is not None
    for text in process.stdout:
        if text.strip() == wanted:
            return
    raise AssertionError(f"the worker ended ({process.wait()}) without saying {wanted}")


def ended(process: subprocess.Popen[str]) -> list[str]:
    """The states that the worker told at its end."""
    assert process.stdout is not None
    out = process.stdout.read()  # `communicate` does not see what `line` has read ahead
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, (process.returncode, out)
    states: list[str] = json.loads(out.splitlines()[-1])
    return states


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9."""
    process.kill()
    process.communicate(timeout=LIMIT_S)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def finish(url: str, **which: str) -> int:
    """Everything that the provider works on (or all of one `model`) is done now, not by a clock; how many that were."""
    count: int = httpx.post(f"{url}/_sandbox/finish", params=which).json()["finished"]
    return count


def resumed(workspace: Path, url: str) -> Reply:
    """The next process on this workspace (this one), after it brought everything to its end and left."""

    async def resume() -> Reply:
        async with Studio(workspace, environ=fal_environ(url)) as studio:
            await studio.resume(timeout_s=LIMIT_S)
            return studio.list(limit=1000)[0]

    return asyncio.run(resume())


def states(workspace: Path) -> list[str]:
    """The states of all generations, as the ledger has them."""
    db = sqlite3.connect(workspace / ".hoasi" / "ledger.db")
    found = [row[0] for row in db.execute("SELECT state FROM generation ORDER BY number")]
    db.close()
    return found


def check_all_told(workspace: Path) -> None:
    """Every end stands once in the log, every picture once in the semantics, and nobody's mark is left."""
    check_invariants(workspace)
    db = sqlite3.connect(workspace / ".hoasi" / "ledger.db")
    ends = db.execute("SELECT id, state FROM generation").fetchall()
    db.close()
    words = {"succeeded": "success", "unknown": "unknown", "failed": "failed", "cancelled": "cancelled"}
    rows = told(workspace)
    assert Counter((row["generation_id"], row["status"]) for row in rows) == Counter((n, words[s]) for n, s in ends)
    made = [row["output_path"] for row in rows if row["status"] == "success"]
    assert sorted(str(path.relative_to(workspace)) for path in pictures(workspace)) == sorted(made)
    if made:
        semantics = content(workspace / "jobs/job-1/source/asset_semantics.toml").decode()
        assert [semantics.count(f'file_path = "{path}"') for path in made] == [1] * len(made)
    assert list((workspace / ".hoasi" / "workers").iterdir()) == []
