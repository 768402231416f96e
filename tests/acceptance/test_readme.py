"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hoasi.catalogue import load

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """All code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """Every `hoasi ...` line that a reader may type, servers left out."""
    lines = [line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [
        line for line in lines if line.startswith("hoasi ") and not line.startswith(("hoasi sandbox", "hoasi serve"))
    ]


def test_the_python_example_runs(tmp_path: Path) -> None:
    """The Python block makes a picture and prints where it is."""
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert Path(re.findall(r"'([^']+\.png)'", done.stdout)[0]).is_file()


def test_the_snippets_are_what_they_claim() -> None:
    """Each client configuration is valid JSON or TOML and starts this server."""
    parsed = [json.loads(text) for text in blocks("json")] + [tomllib.loads(text) for text in blocks("toml")]
    assert len(parsed) == 4
    assert all('"serve"' in json.dumps(one) for one in parsed)


@pytest.mark.parametrize("line", commands())
def test_a_shown_command_is_understood(line: str, tmp_path: Path) -> None:
    """No command of the README is refused for its form; without its files it fails for the file only."""
    words = [*shlex.split(line)[1:], "--json", "--workspace", str(tmp_path)]
    offline = ["--offline"] if words[0] == "doctor" else []
    command = [sys.executable, "-m", "hoasi.cli", *words, *offline]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    error = json.loads(done.stdout).get("error") or {}
    assert not error.get("key", "").startswith("usage"), error
    assert error.get("kind") != "Bug", error


def test_the_prices_are_those_of_the_cards() -> None:
    """What the README says of costs is what the catalogue says."""
    cards = load("fal")
    banana, schnell = cards.card(cards.defaults["generate_image"][0]).price, cards.card("fal-ai/flux/schnell").price
    assert banana is not None
    assert schnell is not None
    assert f"nano-banana (the default): ${banana.usd:g} a picture" in README
    assert f"flux/schnell: ${schnell.usd:g} a megapixel" in README
