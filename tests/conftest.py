"""What every test may use: a workspace of its own, the sandbox on a real socket, and what must be true after each test."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hoasi import Studio
from hoasi.sandbox import Fault, Sandbox, serving

SECRET = "id-5f3c9a:secret-7d1e2b"
PLAN = """
[metadata]
title = "Buổi sáng"
language = "vi"
aspect_ratio = "9:16"

[[scene_intents]]
id = "SC_01"
narrative_role = "hook"
visual_intent = "Một người phụ nữ mở cửa ban công đón nắng sớm."
mood = "binh-yen"
preferred_shot_types = ["close-up", "slow push-in"]
asset_requirements = ["ai_generated", "ban công"]

[[scene_intents]]
id = "SC_02"
visual_intent = "Tách cà phê bốc khói trên bàn gỗ."
mood = ["am-ap"]
preferred_shot_types = ["top-down"]
asset_requirements = ["AI-Image"]

[[scene_intents]]
id = "SC_03"
visual_intent = "Thành phố thức dậy."
asset_requirements = ["stock"]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the keys or settings of whoever runs it."""
    for name in [n for n in os.environ if n.startswith(("HOASI_", "FAL_")) or n.endswith("_API_KEY")]:
        monkeypatch.delenv(name)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace with one job; afterwards nothing half-done and no secret may lie in it."""
    root = tmp_path / "workspace"
    (root / "jobs" / "job-1" / "source").mkdir(parents=True)
    (root / "jobs" / "job-1" / "source" / "creative_plan.toml").write_text(PLAN, encoding="utf-8")
    yield root
    check_invariants(root)


def check_invariants(root: Path) -> None:
    """What is true after every test, however it went."""
    files = [path for path in root.rglob("*") if path.is_file()]
    assert not [path for path in files if path.name.endswith(".tmp")], "a temporary file was left"
    for path in files:
        assert SECRET.split(":")[1].encode() not in path.read_bytes(), f"a secret was written to {path}"
    for log in root.rglob("ai_image_generation.toml"):
        check_log(root, log)
    if (root / ".hoasi" / "ledger.db").is_file():
        check_ledger(root)


def check_log(root: Path, log: Path) -> None:
    """The log is valid TOML and the latest row of every file names it as it is on disk."""
    latest = {row["output_path"]: row for row in tomllib.loads(log.read_text(encoding="utf-8"))["generations"]}
    for name, row in latest.items():
        if row["status"] == "success" and row.get("sha256") and (root / name).is_file():
            assert hashlib.sha256((root / name).read_bytes()).hexdigest() == row["sha256"], name


def check_ledger(root: Path) -> None:
    """No receipt without an intent, nothing owned by a process that has gone."""
    db = sqlite3.connect(root / ".hoasi" / "ledger.db")
    try:
        rows = db.execute("SELECT id, state, handle, submitted_at, owner FROM generation").fetchall()
    finally:
        db.close()
    for name, state, handle, submitted_at, owner in rows:
        assert handle is None or submitted_at is not None, f"{name} has a receipt without intent"
        assert owner is None, f"{name} ({state}) still belongs to {owner}"


@pytest.fixture
def sandbox() -> Sandbox:
    """fal's mirror image: quick, with tiny pictures."""
    return Sandbox(latency_s=0.05, pictures="tiny")


def fal_environ(url: str, **more: str) -> dict[str, str]:
    """An environment in which fal is the sandbox at `url`."""
    addresses = {name: url for name in ("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL")}
    return {"FAL_KEY": SECRET, **addresses, **more}


@pytest.fixture
async def fal(sandbox: Sandbox) -> AsyncIterator[str]:
    """Address of the running sandbox."""
    async with serving(sandbox) as url:
        yield url


@pytest.fixture
def open_studio(workspace: Path, fal: str) -> Callable[..., object]:
    """A studio on the workspace that talks to the sandbox; open as many as there are processes to imitate."""

    @asynccontextmanager
    async def opened(**environ: str) -> AsyncIterator[Studio]:
        async with Studio(workspace, environ=fal_environ(fal, **environ)) as studio:
            yield studio

    return opened


def fault(at: str, kind: str, **more: object) -> Fault:
    """One thing that goes wrong, once unless told otherwise."""
    return Fault.model_validate({"at": at, "kind": kind, **more})
