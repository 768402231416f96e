"""kill -9 between and around the two paid steps of Kling's lip sync: each step is bought once at most."""

from __future__ import annotations

import asyncio
import signal
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import LIMIT_S, ended, line, start
from hoasi import Studio, pace
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
CLIP = {"operation": "text_to_video", "prompt": "she speaks", "provider": "kling"}
LIPS = {
    "operation": "lip_sync",
    "prompt": "",
    "provider": "kling",
    "inputs": [{"role": "video", "of": 0}, {"role": "audio", "written": "voice.wav"}],
}
CHAIN = {"job_id": "job-1", "requests": [CLIP, LIPS]}
STEPS = [
    ("hoasi.ledger:Ledger.take_place:after:2", "unknown", 0),
    ("hoasi.wire:Wire.pay:after:2", "succeeded", 1),
    ("hoasi.line:Line.requeue:before:1", "succeeded", 1),
    ("hoasi.line:Line.requeue:after:1", "succeeded", 1),
    ("hoasi.ledger:Ledger.take_place:after:3", "succeeded", 1),
    ("hoasi.wire:Wire.pay:after:3", "succeeded", 1),
    ("hoasi.line:Line.hold:before:2", "succeeded", 1),
    ("hoasi.line:Line.hold:after:2", "succeeded", 1),
    ("hoasi.bringing:finish:after:2", "succeeded", 1),
]
"""Where it dies, how the lip sync ends after all, and how often faces were looked for."""


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.1, pictures="storyboard")


@pytest.fixture
def url(sandbox: Sandbox, workspace: Path) -> Iterator[str]:
    """The sandbox, in a thread: it survives everybody."""
    with wave.open(str(workspace / "voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 8000 * 4)
    with serving_in_thread(sandbox) as address:
        yield address


def environ(url: str) -> dict[str, str]:
    return {"KLING_API_KEY": "kling-5f3c9a-key", "HOASI_KLING_URL": f"{url}/kling"}


@pytest.mark.parametrize(("place", "state", "looks"), STEPS, ids=[step[0] for step in STEPS])
def test_a_lip_sync_may_die_at_any_step(
    place: str,
    state: str,
    looks: int,
    workspace: Path,
    url: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed exactly there, resumed, and asked for again: one clip, one look for faces, one lip sync."""
    monkeypatch.setattr(pace.Schedule, "wait_s", lambda *_: 0.1)
    process = start(workspace, url, CHAIN, die=place, environ=environ(url), looks_s=0.1)
    assert process.wait(timeout=LIMIT_S) == -signal.SIGKILL
    process.communicate()
    asyncio.run(resumed(workspace, url))
    again = start(workspace, url, CHAIN, environ=environ(url), looks_s=0.1)
    line(again, "begun")
    assert [one.replace("skipped_existing", "succeeded") for one in ended(again)] == ["succeeded", state]
    sent = [path for method, path in sandbox.stats()["requests"] if method == "POST"]
    assert [len([path for path in sent if path.endswith(end)]) for end in ("text2video", "identify-face")] == [1, looks]
    assert len([path for path in sent if path.endswith("advanced-lip-sync")]) == (state == "succeeded")


async def resumed(workspace: Path, url: str) -> None:
    """The next process brings everything to its end."""
    async with Studio(workspace, environ=environ(url)) as studio:
        await studio.resume(timeout_s=LIMIT_S)
