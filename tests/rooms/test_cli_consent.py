"""The command that a refusal names does what the refusal says, for pictures and for clips."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from hoasi import consent
from hoasi.cli.app import app
from hoasi.sandbox import reel


def hoasi(root: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--workspace", str(root), "--json"])


def error_of(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(result.stdout)["error"]
    return told


@pytest.fixture
def clip(workspace: Path) -> str:
    """A short clip."""
    content, _ = anyio.run(partial(reel.clip, width=320, height=240, duration_s=1.0, fps=8))
    (workspace / "v.mp4").write_bytes(content)
    return "v.mp4"


def test_a_clip_is_permitted_and_taken_back(workspace: Path, clip: str) -> None:
    """By its file, as a picture is."""
    assert hoasi(workspace, "consent", "add", clip, "--words", "Được.").exit_code == 0
    (row,) = consent.records(workspace / "consent.toml")
    assert (row.picture, row.revoked_at) == (clip, None)
    assert hoasi(workspace, "consent", "revoke", clip).exit_code == 0
    assert consent.records(workspace / "consent.toml")[0].revoked_at


def test_a_clip_larger_than_any_picture_is_permitted(
    workspace: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of pictures is not that of clips."""
    from hoasi import references

    monkeypatch.setitem(references.LIMITS_MB, "image", 0)
    assert hoasi(workspace, "consent", "add", clip, "--words", "Được.").exit_code == 0


def test_what_is_neither_is_refused(workspace: Path) -> None:
    """A text is no picture; a file that is not there is missing."""
    (workspace / "a.txt").write_text("x", encoding="utf-8")
    for name, key in (("a.txt", "reference_not_picture"), ("b.mp4", "reference_missing")):
        result = hoasi(workspace, "consent", "add", name, "--words", "ok")
        assert (result.exit_code, error_of(result)["key"]) == (2, key)
    assert not (workspace / "consent.toml").exists()


def test_a_minor_is_noted_for_every_job(workspace: Path) -> None:
    """In the job that is named and in the workspace; a permission stays with its job."""
    Image.effect_noise((64, 64), 80).save(workspace / "lan.png")
    assert hoasi(workspace, "consent", "add", "lan.png", "--job", "job-1", "--words", "ok").exit_code == 0
    assert consent.records(workspace / "consent.toml") == ()
    assert hoasi(workspace, "consent", "add", "lan.png", "--job", "job-1", "--minor").exit_code == 0
    assert [row.minor for row in consent.records(workspace / "jobs/job-1/source/consent.toml")] == [False, True]
    assert [row.minor for row in consent.records(workspace / "consent.toml")] == [True]
