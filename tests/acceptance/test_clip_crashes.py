"""kill -9 while a face is swapped and the picture is made to move: each is bought once, and the chain goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import ended, finish, kill, line, resumed, start, until
from calls import person
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
SWAP, CLIP = "fal-ai/nano-banana-pro/edit", "fal-ai/kling-video/v2.6/pro/image-to-video"
CHAIN = {
    "job_id": "job-1",
    "consent": "Tôi đồng ý.",
    "requests": [
        {
            "operation": "swap_face",
            "prompt": "swap",
            "provider": "fal",
            "inputs": [{"role": "source", "written": "a.png"}, {"role": "face", "written": "b.png"}],
        },
        {
            "operation": "image_to_video",
            "prompt": "she breathes",
            "provider": "fal",
            "inputs": [{"role": "first_frame", "of": 0}],
        },
    ],
}
STEPS = [
    ("hoasi.engine:open_all:after", ["succeeded", "succeeded"]),
    ("hoasi.line:Line.hold:after:1", ["succeeded", "succeeded"]),
    ("hoasi.bringing:finish:before:1", ["succeeded", "succeeded"]),
    ("hoasi.bringing:finish:after:1", ["succeeded", "succeeded"]),
    ("hoasi.borrowing:_kept:after:1", ["succeeded", "succeeded"]),
    ("hoasi.ledger:Ledger.take_place:after:2", ["succeeded", "unknown"]),
    ("hoasi.wire:Wire.pay:after:2", ["succeeded", "succeeded"]),
    ("hoasi.line:Line.hold:after:2", ["succeeded", "succeeded"]),
    ("hoasi.artifacts:_pour:after:2", ["succeeded", "succeeded"]),
    ("hoasi.artifacts:_settle:before:2", ["succeeded", "succeeded"]),
    ("hoasi.bringing:finish:after:2", ["succeeded", "succeeded"]),
    ("hoasi.exports.joblog:write:after:2", ["succeeded", "succeeded"]),
]


@pytest.fixture
def sandbox() -> Sandbox:
    """Pictures of a real size: a clip needs a first frame that its model takes."""
    return Sandbox(latency_s=0.1, pictures="storyboard")


@pytest.fixture
def url(sandbox: Sandbox, workspace: Path) -> Iterator[str]:
    """The sandbox, in a thread: it survives everybody."""
    person(workspace / "a.png")
    person(workspace / "b.png", "blue")
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.mark.parametrize(("place", "states"), STEPS, ids=[step[0] for step in STEPS])
def test_a_chain_may_die_at_any_step(
    place: str, states: list[str], workspace: Path, url: str, sandbox: Sandbox
) -> None:
    """Killed exactly there, resumed, and asked for again: two purchases at most, and each result is there."""
    process = start(workspace, url, CHAIN, die=place)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.communicate()
    resumed(workspace, url)
    again = start(workspace, url, CHAIN)
    line(again, "begun")
    assert [state.replace("skipped_existing", "succeeded") for state in ended(again)] == states
    counted = sandbox.stats()["models"]
    assert (counted.get(SWAP, 0), counted.get(CLIP, 0) <= 1) == (1, True)
    made = list((workspace / "jobs/job-1/input/raw_assets/videos/ai_generated").glob("*"))
    assert len(made) == states[1:].count("succeeded")


def test_a_clip_of_ten_minutes_outlives_its_process(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Killed while the provider works for ten minutes; the next process has its receipt and fetches it, unpaid."""
    sandbox.change(latency_s=600)
    ask = {"job_id": "job-1", "requests": [{"operation": "text_to_video", "prompt": "rain", "provider": "fal"}]}
    process = start(workspace, url, ask)
    line(process, "begun")
    until(lambda: sandbox.stats()["streams"] >= 1)
    kill(process)
    follower = start(workspace, url, None)
    line(follower, "ready")
    until(lambda: sandbox.stats()["streams"] >= 2)
    assert finish(url) == 1
    assert ended(follower) == ["succeeded"]
    assert sandbox.stats()["submissions"] == 1
