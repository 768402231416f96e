"""Promises 1 and 2 against SIGKILL: a real process dies at every step, another goes on. Nothing twice, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acceptance.victim import MOMENTS
from calls import fal_environ, pictures, told
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
HERE = Path(__file__).parent
LOST = {"intent written, nothing sent", "reply received, receipt not written"}
"""Only in these windows can nobody know whether it was billed."""


def environ(url: str) -> dict[str, str]:
    """The environment of the real processes."""
    path = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **fal_environ(url), "PYTHONPATH": path}


def hoasi(workspace: Path, url: str, *words: str) -> tuple[int, dict[str, Any]]:
    """One real call of the command line; its exit code and its one JSON object."""
    command = [sys.executable, "-m", "hoasi.cli", *words, "--workspace", str(workspace), "--json"]
    done = subprocess.run(command, env=environ(url), capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_every_step(workspace: Path, moment: str) -> None:
    """Killed at this moment, the picture is bought at most once and arrives, or is honestly `unknown`."""
    sandbox = Sandbox(latency_s=0.1, pictures="tiny")
    with serving_in_thread(sandbox) as url:
        command = [sys.executable, str(HERE / "victim.py"), str(workspace), moment]
        died = subprocess.run(command, env=environ(url), capture_output=True, timeout=100, check=False)
        assert died.returncode == -signal.SIGKILL, died.stderr.decode()
        code, reply = hoasi(workspace, url, "resume")
        rerun, again = hoasi(workspace, url, "generate", "--prompt", "a quiet balcony at dawn", "--job", "job-1",
                             "--aspect-ratio", "9:16")  # fmt: skip
    assert sandbox.stats()["posts_received"] == (0 if moment == "intent written, nothing sent" else 1)
    rows = told(workspace)
    if moment in LOST:
        assert (code, rerun) == (3, 3)
        assert [(row["status"], row["paid"]) for row in rows] == [("unknown", "unknown")]
        assert again["generations"][0]["state"] == "unknown"
        return
    assert (code, rerun) == (0, 0), reply
    assert [row["status"] for row in rows] == ["success"]
    assert [str(path) for path in pictures(workspace)] == again["generations"][0]["outputs"]
    assert again["generations"][0]["state"] == "skipped_existing"
    semantics = workspace / "jobs" / "job-1" / "source" / "asset_semantics.toml"
    assert semantics.read_text(encoding="utf-8").count("[[assets]]") == 1


def test_killed_in_a_batch(workspace: Path) -> None:
    """A process that dies in the middle of a batch leaves one that `resume` brings to its end, each bought once."""
    sandbox = Sandbox(latency_s=0.4, pictures="tiny", slots=2)
    prompts = workspace / "jobs" / "job-1" / "source" / "image_prompts.toml"
    entries = [f'[[prompts]]\nscene_id = "SC_{k:02}"\nprompt = "picture {k}"\n' for k in range(8)]
    prompts.write_text("\n".join(entries), encoding="utf-8")
    with serving_in_thread(sandbox) as url:
        command = [sys.executable, "-m", "hoasi.cli", "generate", "--prompts-toml", str(prompts), "--json",
                   "--workspace", str(workspace)]  # fmt: skip
        victim = subprocess.Popen(command, env=environ(url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while sandbox.stats()["downloads"] < 2:
            assert victim.poll() is None
        victim.kill()
        victim.wait(10)
        code, _ = hoasi(workspace, url, "resume")
        again, reply = hoasi(workspace, url, "generate", "--prompts-toml", str(prompts))
    stats = sandbox.stats()
    assert (stats["duplicates"], stats["submissions"] <= 8) == (0, True)
    assert code == again  # 0, or 3 where the kill hit the moment between a request and its receipt
    states = [entry["state"] for entry in reply["generations"]]
    assert states.count("skipped_existing") + states.count("unknown") == 8
    assert len(pictures(workspace)) == states.count("skipped_existing")
