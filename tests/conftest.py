"""What every test may use: a workspace, the sandbox on a real socket, and what must be true after each test."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from calls import PLAN, OpenStudio, check_invariants, fal_environ
from hoasi import Studio, flow, pace, street
from hoasi.sandbox import Sandbox, serving
from hoasi.wire import Wire

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a suite started in the background; processes of tests inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


FOREIGN = ("HOASI_", "FAL_", "KLING", "RUNPOD_", "OPENAI_", "REPLICATE_", "AWS_", "CALLBACK_")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the keys or settings of whoever runs it."""
    for name in [n for n in os.environ if n.startswith(FOREIGN) or n.endswith(("_API_KEY", "_API_TOKEN"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace with one job; afterwards nothing half-done and no secret may lie in it."""
    root = tmp_path / "workspace"
    (root / "jobs" / "job-1" / "source").mkdir(parents=True)
    (root / "jobs" / "job-1" / "source" / "creative_plan.toml").write_text(PLAN, encoding="utf-8")
    yield root
    check_invariants(root)


@pytest.fixture
def sandbox() -> Sandbox:
    """fal's mirror image: quick, with tiny pictures."""
    return Sandbox(latency_s=0.05, pictures="tiny")


@pytest.fixture
async def fal(sandbox: Sandbox) -> AsyncIterator[str]:
    """Address of the running sandbox."""
    async with serving(sandbox) as url:
        yield url


@pytest.fixture
def open_studio(workspace: Path, fal: str) -> OpenStudio:
    """A studio on the workspace that talks to the sandbox; open as many as there are processes to imitate."""

    @asynccontextmanager
    async def opened(**environ: str) -> AsyncIterator[Studio]:
        async with Studio(workspace, environ=fal_environ(fal, **environ)) as studio:
            yield studio

    return opened


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float | None]]:
    """Pauses between tries and between log writes are short; gives (try, what the provider said) of each try."""
    asked: list[tuple[int, float | None]] = []

    def short(tries: int, told_s: float | None = None) -> float:
        asked.append((tries, told_s))
        return 0.02

    for module in (flow, pace):
        monkeypatch.setattr(module, "backoff_s", short)
    monkeypatch.setattr("hoasi.scribe.PAUSE_S", 0.02)
    return asked


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence after a free question is noticed after a quarter of a second. A paid one has its time, as ever: a
    machine that is held up for so long must not make a purchase unknown."""
    pay = Wire.pay

    async def patient(wire: Wire, url: str, **given: Any) -> Any:
        return await pay(wire, url, **{"read_s": 60.0, **given})

    monkeypatch.setattr(Wire, "pay", patient)
    monkeypatch.setattr(street, "READ_S", 0.25)
