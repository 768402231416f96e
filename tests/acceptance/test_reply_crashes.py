"""Replies that are the result itself: a process that is killed (SIGKILL) with one in its hands loses nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calls import SECRET, pictures
from hoasi import Studio
from hoasi.answers import Reply
from hoasi.sandbox import Sandbox, serving_in_thread

from .processes import LIMIT_S, check_all_told, start

pytestmark = pytest.mark.process
MASKED: dict[str, Any] = {
    "provider": "openai",
    "operation": "edit_image",
    "references": ["ref.png"],
    "inputs": [{"role": "mask", "written": "mask.png"}],
}
ASKS: dict[str, dict[str, Any]] = {
    "bytes": {"provider": "stability"},
    "json": {"provider": "stability", "model": "stable-diffusion-xl-1024-v1-0"},
    "stream": {"provider": "openai"},
    "form": MASKED,
}
"""How the result comes: the body itself, base64 in JSON, base64 in events, base64 in the answer to a form."""
STEPS = [
    ("hoasi.spool:_begun:after", "unknown"),
    ("hoasi.spool:_put:after:2", "unknown"),
    ("hoasi.spool:_settle:before", "unknown"),
    ("hoasi.spool:_settle:after", "succeeded"),
    ("hoasi.flow:_keep:before", "succeeded"),
    ("hoasi.line:Line.insist:after", "succeeded"),
    ("hoasi.artifacts:_pour:after", "succeeded"),
    ("hoasi.files:sync_folder:after:2", "succeeded"),
    ("hoasi.bringing:finish:before", "succeeded"),
    ("hoasi.line:Line.end:before", "succeeded"),
    ("hoasi.spool:Spool.drop:before:2", "succeeded"),
    ("hoasi.line:Line.end:after", "succeeded"),
]
"""Where it dies, and what the next process makes of it: only a reply that had not wholly reached the disk is lost."""
OF_A_STREAM = {"hoasi.spool:_settle:before": "succeeded"}
"""A picture of a stream is kept at its event."""


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.1, pictures="tiny")


@pytest.fixture
def url(sandbox: Sandbox, workspace: Path) -> Iterator[str]:
    """The sandbox, in a thread: it survives everybody."""
    Image.new("RGB", (512, 512)).save(workspace / "ref.png")
    Image.new("RGBA", (512, 512)).save(workspace / "mask.png")
    with serving_in_thread(sandbox) as address:
        yield address


def environ(url: str) -> dict[str, str]:
    keys = {"STABILITY_API_KEY": SECRET, "OPENAI_API_KEY": SECRET}
    return {**keys, "HOASI_STABILITY_URL": url, "HOASI_OPENAI_URL": url}


def ask(how: str) -> dict[str, Any]:
    request = {"prompt": "a kite over a dike", **ASKS[how]}
    return {"job_id": "job-1", "no_faces": True, "requests": [request]}


def resumed(workspace: Path, url: str, keys: dict[str, str] | None = None) -> Reply:
    """The next process on this workspace (this one), after it brought everything to its end and left."""

    async def resume() -> Reply:
        async with Studio(workspace, environ=keys or environ(url)) as studio:
            await studio.resume(timeout_s=LIMIT_S)
            return studio.list(limit=100)[0]

    return asyncio.run(resume())


def replies(workspace: Path) -> list[Path]:
    return list((workspace / ".hoasi" / "replies").glob("*"))


@pytest.mark.parametrize("how", ASKS)
@pytest.mark.parametrize(("place", "state"), STEPS, ids=[step[0] for step in STEPS])
def test_a_process_may_die_with_the_result_in_its_hands(
    how: str, place: str, state: str, workspace: Path, url: str, sandbox: Sandbox
) -> None:
    """Killed exactly there: the next process has the result of what was paid once, and no copy of the reply stays."""
    state = OF_A_STREAM.get(place, state) if how == "stream" else state
    process = start(workspace, url, ask(how), die=place, environ=environ(url))
    assert process.wait(timeout=LIMIT_S) == -signal.SIGKILL
    process.communicate()
    assert all(SECRET.encode() not in path.read_bytes() for path in replies(workspace))
    (workspace / "ref.png").unlink()  # what it was made of is not needed to hear what it brought
    (entry,) = resumed(workspace, url).generations
    assert (entry.state, entry.paid) == (state, "unknown" if state == "unknown" else "yes")
    assert sandbox.stats()["submissions"] == 1
    assert len(pictures(workspace)) == (state == "succeeded")
    assert replies(workspace) == []
    check_all_told(workspace)


def test_what_came_twice_is_one_picture(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Killed after the first of two pictures of a stream: heard again it is still one, and the other one unknown."""
    keys = {"ARK_API_KEY": SECRET, "HOASI_ARK_URL": url}
    request = {"prompt": "a kite over a dike", "provider": "ark", "num_images": 2}
    asked = {"job_id": "job-1", "requests": [request]}
    process = start(workspace, url, asked, die="hoasi.bringing:arrived:after:1", environ=keys)
    assert process.wait(timeout=LIMIT_S) == -signal.SIGKILL
    process.communicate()
    (kept,) = replies(workspace)
    head, _, body = kept.read_bytes().partition(b"\n")
    first = body.partition(b"\n\n")[0]
    kept.write_bytes(head + b"\n" + first + b"\n\n")
    (entry,) = resumed(workspace, url, keys).generations
    assert (entry.state, entry.paid, len(pictures(workspace))) == ("unknown", "unknown", 1)
    assert sandbox.stats()["submissions"] == 1


def test_a_reply_is_heard_only_where_it_came_from(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """A process that is told another address leaves it alone; one that is told the same has its result."""
    process = start(workspace, url, ask("bytes"), die="hoasi.wire:Wire.pay:after", environ=environ(url))
    assert process.wait(timeout=LIMIT_S) == -signal.SIGKILL
    process.communicate()
    other = {**environ(url), "HOASI_STABILITY_URL": url.replace("127.0.0.1", "localhost")}
    (entry,) = resumed(workspace, url, other).generations
    assert entry.error is not None
    assert (entry.state, entry.error.key) == ("submitting", "elsewhere")
    assert [entry.state for entry in resumed(workspace, url).generations] == ["succeeded"]
    assert sandbox.stats()["submissions"] == 1
