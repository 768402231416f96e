"""kill -9 while a picture is laid under its fixed name: it is whole or not there, and the next process lays it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import ended, resumed, start
from calls import check_invariants, content
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
ASK = {"prompts_toml": "projects/p1/script.json"}
STEPS = [
    "hoasi.fixed_names:lay:before",
    "hoasi.fixed_names:_is_there:before",
    "hoasi.fixed_names:_is_there:after",
    "hoasi.fixed_names:lay:after",
    "hoasi.exports.records:write:before",
    "hoasi.exports.records:write:after",
    "hoasi.files:_fill:after:2",
    "hoasi.files:sync_folder:before:2",
    "hoasi.scribe:Scribe._tell_one:before",
]


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox survives everybody."""
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.mark.parametrize("step", STEPS)
def test_the_next_process_lays_it(step: str, workspace: Path, url: str, sandbox: Sandbox) -> None:
    """After `resume`: the picture, its record, no trace of the dead, and one purchase."""
    folder = workspace / "projects" / "p1"
    folder.mkdir(parents=True)
    script = {"segments": [{"image_description": "a cat"}]}
    (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
    dying = start(workspace, url, ASK, die=step)
    dying.communicate(timeout=60)
    assert dying.returncode == -9
    resumed(workspace, url)
    (take,) = (workspace / ".hoasi" / "takes" / "projects" / "p1").iterdir()
    assert content(folder / "image_01.png") == content(take)
    assert [row["index"] for row in json.loads((folder / "assets.json").read_text("utf-8"))] == [1]
    assert sorted(path.name for path in folder.iterdir()) == [
        "ai_image_generation.toml",
        "assets.json",
        "image_01.png",
        "script.json",
    ]
    assert sandbox.stats()["submissions"] == 1
    assert ended(start(workspace, url, ASK)) == ["skipped_existing"]
    check_invariants(workspace)
