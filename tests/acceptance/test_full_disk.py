"""A disk without room (a real one, small): what is paid waits elsewhere, or in memory, until there is some."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from calls import check_invariants, fault, files, pictures, until
from hoasi import Ask, Studio, spool
from hoasi.sandbox import Sandbox
from hoasi.studio import Studio as Opened

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small disk"),
]
LEFT_BYTES = 256 * 1024
"""Room for the ledger, none for a picture."""
ASK = Ask.model_validate({"prompt": "a kite", "job_id": "job-1", "provider": "stability"})


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace on a disk of eight megabytes."""
    root = tmp_path / "workspace"
    root.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(root)], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    (root / "jobs" / "job-1" / "source").mkdir(parents=True)
    try:
        yield root
        check_invariants(root)
    finally:
        subprocess.run(["umount", str(root)], check=True)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of the system, another disk."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def sandbox() -> Sandbox:
    """Pictures of a real size, and time to fill the disk before one comes."""
    sandbox = Sandbox(latency_s=0.05, pictures="storyboard")
    sandbox.faults.add(fault("submit", "slow", value=0.5))
    return sandbox


def fill(root: Path) -> Path:
    """Take all room but a little."""
    filler = root / "filler"
    disk = os.statvfs(root)
    filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - LEFT_BYTES))
    return filler


async def begun(studio: Opened, sandbox: Sandbox, root: Path) -> tuple[str, Path]:
    """A generation whose picture comes while the disk is full."""
    batch = await studio.begin(ASK)
    await until(lambda: sandbox.stats()["posts_received"] == 1)
    return batch.ids[0], fill(root)


async def test_a_paid_picture_waits_in_another_place(
    workspace: Path, fal: str, sandbox: Sandbox, elsewhere: Path
) -> None:
    """Failed, paid, and told so; the next process has it from the temporary folder, unpaid, when there is room."""
    environ = {"HOASI_STABILITY_URL": fal, "STABILITY_API_KEY": "sk-1234567"}
    async with Studio(workspace, environ=environ) as studio:
        name, filler = await begun(studio, sandbox, workspace)
        await studio.wait(await studio.begin(ASK))
        (made,) = studio.generations([name])
        assert made.problem is not None
        assert (made.state, made.paid, made.problem.key) == ("failed", "yes", "disk_full")
        assert [path.suffix for path in files(elsewhere)] == [spool.WHOLE]
    filler.unlink()
    async with Studio(workspace, environ=environ) as studio:
        reply = await studio.resume()
        assert [entry.state for entry in reply.generations] == ["succeeded"]
    assert (len(pictures(workspace)), sandbox.stats()["submissions"]) == (1, 1)
    assert files(elsewhere) == []


async def test_a_paid_picture_without_any_place_waits_in_memory(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, quick: object
) -> None:
    """It says that it is paid and how much room it needs, and is saved by itself as soon as there is some."""
    monkeypatch.setattr(tempfile, "tempdir", str(workspace))
    monkeypatch.setattr("hoasi.bringing.backoff_s", lambda *_: 0.02)
    environ = {"HOASI_STABILITY_URL": fal, "STABILITY_API_KEY": "sk-1234567"}
    async with Studio(workspace, environ=environ) as studio:
        name, filler = await begun(studio, sandbox, workspace)
        await until(lambda: studio.generations([name])[0].problem is not None)
        (held,) = studio.generations([name])
        assert held.problem is not None
        assert (held.state, held.problem.key, held.problem.paid) == ("fetching", "not_saved", "yes")
        assert held.problem.facts["size_mb"] >= 1
        filler.unlink()
        await asyncio.wait_for(until(lambda: studio.generations([name])[0].state == "succeeded"), 20)
        assert studio.generations([name])[0].problem is None
    assert (len(pictures(workspace)), sandbox.stats()["submissions"]) == (1, 1)
