"""`hoasi styles`: the registry on the command line; what other programs wrote into it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hoasi.cli.app import app
from hoasi.cli.words import loras

WRITTEN = {
    "version": "2.3",
    "owner": "another program",
    "styles": [{"id": 7, "title": "Ink", "lora_name": "ink", "lora_weight": 0.9, "secret_sauce": [1, 2]}],
    "loras": [{"id": "x"}],
}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A registry that another program wrote."""
    file = tmp_path / "resources" / "styles.json"
    file.parent.mkdir()
    file.write_text(json.dumps(WRITTEN), encoding="utf-8")
    return file


def styles(root: Path, *words: str) -> dict[str, Any]:
    """The one JSON object that `hoasi styles ...` answers."""
    line = ["styles", *words, "--json", "--workspace", str(root)]
    result = CliRunner().invoke(app, line, env={"HOASI_LANG": "en"})
    answer: dict[str, Any] = json.loads(result.stdout)
    return {**answer, "code": result.exit_code}


def kept(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_they_are_listed(registry: Path, tmp_path: Path) -> None:
    """Id, title, LoRA; a workspace without a registry has none."""
    answer = styles(tmp_path, "list")
    assert (answer["code"], [row["id"] for row in answer["styles"]]) == (0, ["7"])
    registry.unlink()
    assert styles(tmp_path, "list")["styles"] == []


def test_one_is_shown_by_id_or_title(registry: Path, tmp_path: Path) -> None:
    """With fields that only others know."""
    for name in ("7", "ink", "INK"):
        assert styles(tmp_path, "show", name)["style"]["secret_sauce"] == [1, 2]
    assert registry.is_file()


def test_one_is_added(registry: Path, tmp_path: Path) -> None:
    """Numbers are numbers in the file; everything that was there stays as it was."""
    said = ["lora_file=b.safetensors", "lora_weight=0.8", "steps=12", "monochrome=true", "trigger_words=a, b=c"]
    answer = styles(tmp_path, "add", "b", "--title", "B\u00f3ng", *(word for row in said for word in ("--set", row)))
    assert (answer["code"], answer["style"]["steps"]) == (0, 12)
    after = kept(registry)
    assert after["styles"][0] == WRITTEN["styles"][0]
    assert {name: after[name] for name in ("version", "owner", "loras")} == {
        name: WRITTEN[name] for name in ("version", "owner", "loras")
    }
    row = after["styles"][1]
    assert (row["id"], row["title"], row["lora_weight"], row["steps"]) == ("b", "B\u00f3ng", 0.8, 12)
    assert (row["monochrome"], row["trigger_words"]) == (True, "a, b=c")


def test_a_model_is_written_only_where_one_was_named(registry: Path, tmp_path: Path) -> None:
    """A model in the file goes before a template's own; strengths that nobody said are what they are everywhere."""
    styles(tmp_path, "add", "b")
    styles(tmp_path, "add", "c", "--set", "model=flux1-dev-fp8")
    _, plain, named = kept(registry)["styles"]
    assert ("model" in plain, named["model"]) == (False, "flux1-dev-fp8")
    assert (plain["lora_weight"], plain["character_lora_weight"]) == (1.0, 0.85)


def test_a_first_one_makes_the_file(tmp_path: Path) -> None:
    """Version, styles and loras are there from the start; no half-written file is left."""
    assert styles(tmp_path, "add", "a")["code"] == 0
    file = tmp_path / "resources" / "styles.json"
    assert set(kept(file)) == {"version", "styles", "loras"}
    assert [path.name for path in file.parent.iterdir()] == ["styles.json"]


def test_one_is_changed(registry: Path, tmp_path: Path) -> None:
    """By title too; `name=` takes a field out; a field of somebody else's may be set."""
    line = [
        "--set",
        "lora_weight=0.5",
        "--set",
        "secret_sauce=",
        "--set",
        'metadata={"status": "ready"}',
        "--set",
        "x=[3]",
    ]
    assert styles(tmp_path, "update", "ink", *line)["code"] == 0
    row = kept(registry)["styles"][0]
    assert (row["lora_weight"], row["metadata"], row["x"]) == (0.5, {"status": "ready"}, [3])
    assert "secret_sauce" not in row
    assert row["lora_name"] == "ink"


def test_one_is_taken_out(registry: Path, tmp_path: Path) -> None:
    """The rest stays."""
    assert styles(tmp_path, "remove", "Ink")["code"] == 0
    assert kept(registry) == {**WRITTEN, "styles": []}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (["show", "nobody"], "style_unknown"),
        (["remove", "nobody"], "style_unknown"),
        (["update", "nobody", "--set", "steps=3"], "style_unknown"),
        (["update", "7"], "style_fields"),
        (["update", "7", "--set", "steps"], "style_fields"),
        (["update", "7", "--set", "=3"], "style_fields"),
        (["update", "7", "--set", "steps=many"], "style_value_bad"),
        (["update", "7", "--set", "id="], "style_value_bad"),
        (["add", "7"], "style_exists"),
        (["add", " "], "style_id_empty"),
        (["add", "b", "--set", "lora_weight=strong"], "style_value_bad"),
        (["paint"], "usage_command_unknown"),
        ([], "usage_command_missing"),
    ],
    ids=lambda v: ascii(v)[:40],
)
def test_what_cannot_be_is_refused(line: list[str], key: str, registry: Path, tmp_path: Path) -> None:
    """By name, and the file is as it was."""
    before = registry.read_bytes()
    answer = styles(tmp_path, *line)
    assert (answer["code"], answer["error"]["key"], registry.read_bytes()) == (2, key, before)


def test_a_broken_registry_is_not_written_over(registry: Path, tmp_path: Path) -> None:
    """It is named, and left for its owner to mend."""
    registry.write_text("{", encoding="utf-8")
    assert styles(tmp_path, "add", "b")["error"]["key"] == "styles_broken"
    assert registry.read_text(encoding="utf-8") == "{"


@pytest.mark.parametrize("language", ["vi", "en"])
def test_people_get_a_table(language: str, registry: Path, tmp_path: Path) -> None:
    """And help in their language."""
    result = CliRunner().invoke(app, ["styles", "list", "--workspace", str(tmp_path), "--lang", language])
    assert "Ink" in result.stdout
    page = CliRunner().invoke(app, ["styles", "add", "--help", "--lang", language])
    assert ("NAME=VALUE" in page.stdout, page.exit_code, registry.is_file()) == (True, 0, True)


# ---------------------------------------------------------------------- LoRAs and options on the line


def generated(root: Path, *line: str) -> dict[str, Any]:
    """The one JSON object of a dry run at ComfyUI."""
    words = ["generate", "--prompt", "a kite", "--provider", "comfyui", "--dry-run", *line]
    result = CliRunner().invoke(app, [*words, "--json", "--workspace", str(root)], env={"HOASI_LANG": "en"})
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.mark.parametrize(
    ("text", "name", "weight", "url"),
    [
        ("an", "an", None, None),
        ("an:0.8", "an", 0.8, None),
        ("an.safetensors:-1", "an.safetensors", -1.0, None),
        ("a:b", "a:b", None, None),
        ("an@https://x.example:8443/an?sig=1:2", "an", None, "https://x.example:8443/an?sig=1:2"),
        ("an:0.5@https://x.example/an", "an", 0.5, "https://x.example/an"),
    ],
)
def test_a_lora_is_read(text: str, name: str, weight: float | None, url: str | None) -> None:
    """Name, strength, address."""
    person, film = loras([text], text)
    assert (person.name, person.weight, person.url, person.kind) == (name, weight, url, "character")
    assert (film.name, film.kind) == (name, "film")


def test_loras_and_options_reach_the_plan(registry: Path, tmp_path: Path) -> None:
    """What cannot be is refused by the same rules as everywhere; a style of the registry is taken by its title."""
    assert generated(tmp_path, "--lora", "an:0.8", "--option", "steps=12", "--style", "ink")["error"] is None
    many = [word for number in range(10) for word in ("--lora", f"p{number}")]
    assert generated(tmp_path, *many, "--film-lora", "FILM-V3-FLUX")["error"]["key"] == "too_many_loras"
    assert generated(tmp_path, "--lora", "x/an")["error"]["key"] == "lora_name_bad"
    assert generated(tmp_path, "--option", "steps=many")["error"]["key"] == "value_not_supported"
    assert generated(tmp_path, "--option", "steps")["error"]["key"] == "option_not_said"
    assert generated(tmp_path, "--style", "nobody")["error"]["key"] == "style_unknown"
    assert registry.is_file()
