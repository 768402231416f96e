"""What the skills tell agents: by the Agent Skills rules, true in every name and price, and working as shown."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inputs
import pytest
import skills
import typer
from anyio import to_thread
from jsonschema import Draft202012Validator
from mcp.client import Client
from skills_ref import validate
from typer.testing import CliRunner

from calls import person
from hoasi.catalogue import PROVIDERS, every_card
from hoasi.cli.app import app
from hoasi.comfy.styles import Style
from hoasi.messages import catalogue
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.server import build
from hoasi.tools import snapshot, tools

SHOWN = {tool.name: snapshot(tool) for tool in tools()}
NEXT = {"asset-semantic-extractor"}
"""Skills of other teams that ours hand over to."""
FLAGS = {"ai_generated", "ai_image", "ai-generated", "ai-image", "ai_video", "ai-video"}
"""What a creative plan says of a scene."""
CHOICES = re.compile(r"[a-z_]+: ([a-z0-9_, +-]+)")
UNIT = {"một ảnh": "image", "một giây": "second", "một megapixel": "megapixel", "": "free"}
PAGES = pytest.mark.parametrize("page", skills.PAGES, ids=skills.name_of)
FOLDERS = pytest.mark.parametrize("folder", skills.FOLDERS, ids=lambda folder: folder.name)


# ---------------------------------------------------------------------- the rules of Agent Skills


def test_there_is_one_skill_a_job_to_be_done() -> None:
    """Six skills; the path that the pipeline documents holds a script and no second skill."""
    names = {"fal-image-generator", "face-swap", "video-clips", "avatars", "image-styles", "image-edit"}
    assert {folder.name for folder in skills.FOLDERS} == names
    assert not (skills.ROOT / "skills" / "fal_image_generator" / "SKILL.md").exists()


@FOLDERS
def test_a_skill_is_valid(folder: Path) -> None:
    """Name, description and the rest are as the validator of agentskills.io wants them; the page is short."""
    assert validate(folder) == []
    assert len(skills.text_of(folder / "SKILL.md").splitlines()) < 500


def test_the_skill_of_the_whole_tree_is_valid(tmp_path: Path) -> None:
    """Whoever clones the tree as the skill `hoasi` gets a valid one that leads to all others."""
    (tmp_path / "hoasi").mkdir()
    shutil.copy(skills.ROOT / "SKILL.md", tmp_path / "hoasi")
    assert validate(tmp_path / "hoasi") == []
    text = skills.text_of(skills.ROOT / "SKILL.md")
    assert all(f"(skills/{folder.name}/SKILL.md)" in text for folder in skills.FOLDERS)


@FOLDERS
def test_a_skill_says_all_that_an_agent_must_know(folder: Path) -> None:
    """When, price with its day, consent, unknown payments, files, the next step; in Vietnamese with diacritics."""
    text = skills.text_of(folder / "SKILL.md")
    for word in ("## Khi nào dùng", "ước tính", "2026-", "đồng ý", "unknown", "resolve", "jobs/", *NEXT):
        assert word in text or (word == "resolve" and "--attach" in text), word
    assert "Dùng khi" in text.split("---")[1]


@PAGES
def test_links_lead_to_files(page: Path) -> None:
    """No link of a page is dead."""
    links = re.findall(r"\]\(([^)]+)\)", skills.text_of(page))
    assert [link for link in links if not (page.parent / link).is_file()] == []


# ---------------------------------------------------------------------- every name exists


def named(schema: Any) -> Iterator[str]:
    """Parameters and values of a JSON schema, however deep."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from (value for value in schema.get("enum", ()) if isinstance(value, str))
        schema = schema.values()
    if isinstance(schema, list | type({}.values())):
        for part in schema:
            yield from named(part)


def options(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Every command with the names of its options, the shared ones among them."""
    own = {name for param in group.params for name in param.opts}
    yield path, own | {"--workspace", "--env-file", "--json", "--lang"}
    for name, command in getattr(group, "commands", {}).items():
        yield from options(command, (*path, name))


OPTIONS = dict(options(typer.main.get_command(app)))
PRESETS = SHOWN["edit_image"]["inputSchema"]["properties"]["choices"]["description"]
WORDS = {
    *SHOWN,
    *(name for tool in SHOWN.values() for name in named([tool["inputSchema"], tool.get("outputSchema")])),
    *(word.strip() for found in CHOICES.findall(PRESETS) for word in re.split("[,+]", found)),
    *SHOWN["generate_image"]["inputSchema"]["properties"]["style"]["examples"],
    *(card.id for card in every_card()),
    *PROVIDERS,
    *Style.model_fields,
    *(key.split(".")[1] for key in catalogue("vi") if key.startswith("error.")),
    *tomllib.loads((skills.ROOT / "src/hoasi/prompts/create_avatar.toml").read_text("utf-8"))["angles"],
    *(folder.name for folder in skills.FOLDERS),
    *(value for card in every_card() for option in card.options.values() for value in option.choices),
    *NEXT,
    *FLAGS,
    "skipped_existing",
    "unknown",
    "auto",
    "asset_requirements",
}
ENVIRONMENT = set(re.findall(r"[A-Z][A-Z0-9_]{3,}", (skills.ROOT / "env.example").read_text("utf-8")))
PLACES = r"(jobs|avatars|resources|input|tools)/"
FILES = r"[\w.<>]+\.(toml|png|md|env|safetensors|json)|\.env|\.safetensors"
LITERAL = r"<<<image_\d>>>|<clip_id>|\d+|[_=-]"


def is_command(words: list[str]) -> bool:
    """Whether these words after `hoasi` name a command and options that it has."""
    is_group = any(path[:1] == tuple(words[:1]) and len(path) == 2 for path in OPTIONS)
    path = tuple(words[: 2 if is_group else 1])
    return path in OPTIONS and {word for word in words if word.startswith("--")} <= OPTIONS[path]


def is_known(span: str, page: Path) -> bool:
    """Whether a code span names something that exists."""
    first, *more = span.split()
    if first == "hoasi":
        return is_command(more)
    if first.startswith("--"):
        return first in set().union(*OPTIONS.values())
    if re.fullmatch(r"[A-Z][A-Z0-9_]+(=.+)?", span):
        return span.partition("=")[0] in ENVIRONMENT
    is_file = (page.parent / span).exists() or (skills.ROOT / span).exists()
    is_place = re.match(PLACES, span) or re.fullmatch(f"{FILES}|{LITERAL}", span)
    return is_file or bool(is_place) or span.removeprefix("lan#") in WORDS


@PAGES
def test_every_code_span_names_something_that_exists(page: Path) -> None:
    """Tools, parameters, values, commands, options, models, variables: no page names one that is not there."""
    assert [span for span in skills.spans(skills.text_of(page)) if not is_known(span, page)] == []


@PAGES
def test_every_shown_call_fits_its_tool(page: Path) -> None:
    """A tool call can be sent as it stands there."""
    for call in skills.calls(skills.text_of(page)):
        assert call.keys() == {"name", "arguments"}
        Draft202012Validator(SHOWN[call["name"]]["inputSchema"]).validate(call["arguments"])


@PAGES
def test_every_price_is_the_cards(page: Path) -> None:
    """A price stands with its unit and the day it was read, all as in the catalogue."""
    text = skills.text_of(page)
    rows = skills.prices(text)
    assert len(rows) == len(re.findall(r"^\|.*\| \d{4}-\d\d-\d\d \|$", text, re.MULTILINE))
    cards = {card.id: card for card in every_card()}
    for model, usd, unit, read in rows:
        price = cards[model].price
        assert price is not None
        assert usd in {price.usd, *price.by.values(), *(rate.usd for rate in price.rates)}, model
        assert (UNIT[unit], read) == (price.unit, price.read.isoformat()), model


# ---------------------------------------------------------------------- every command and call works

PERSONS = {"nguoi_mau.jpg", "khuon_mat.jpg", "lan_1.jpg", "lan_2.jpg"}


@pytest.fixture
async def shelf(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with everything that the pages name as an input."""
    folder = workspace / "jobs" / "job-1" / "input" / "reference"
    folder.mkdir(parents=True)
    for name in PERSONS:
        person(folder / name, colour={"lan_1.jpg": "blue", "khuon_mat.jpg": "green"}.get(name, "red"))
    for name in ("canh.jpg", "ao.jpg", "a.jpg", "b.jpg"):
        inputs.garment(folder, name.replace("jpg", "png"), shade=len(name) * 9)
        (folder / name.replace("jpg", "png")).rename(folder / name)
    inputs.mask(folder, "mat_na.png")
    await inputs.clip(folder, "nguoi_noi.mp4", duration_s=5.0)
    inputs.sound(folder, "giong_doc.wav", duration_s=3.0)
    source = workspace / "jobs" / "job-1" / "source"
    (source / "vds.md").write_text("# 4. Style DNA\nsoft morning light\n", encoding="utf-8")
    (source / "image_prompts.toml").write_text('[[prompts]]\nscene_id = "SC_09"\nprompt = "a cup"\n', encoding="utf-8")
    (workspace / ".env").touch()
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every provider is the sandbox, and looked at as often as it is quick: a real clip is left alone for a minute."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda _schedule, _elapsed_s: 0.05)
    with serving_in_thread(Sandbox(latency_s=0.02)) as url:
        monkeypatch.setenv("HOASI_SANDBOX", url)
        yield


def filled(text: str, made: str) -> str:
    """A shown text with our job and the latest result in it."""
    return re.sub(r"<(clip|picture)_id>", made, text.replace("<job_id>", "job-1"))


def made_by(answer: dict[str, Any], before: str) -> str:
    """The id of what was just made, else what was made before."""
    done = [entry["id"] for entry in answer["generations"] if entry["state"] in {"succeeded", "skipped_existing"}]
    return done[-1] if done else before


def typed(words: list[str]) -> dict[str, Any]:
    """What a command answers when somebody types it."""
    program, *rest = words
    if program == "python":
        script, *rest = rest
        assert (skills.ROOT / script).is_file(), script
    result = CliRunner().invoke(app, [*rest, "--json"])
    assert result.exit_code == 0, (words, result.stdout)
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


async def sent(root: Path, calls: list[dict[str, Any]], made: str) -> list[str]:
    """Send the calls one after the other; what was refused."""
    refused = []
    async with Client(build(root)) as client:
        for call in calls:
            result = await client.call_tool(call["name"], json.loads(filled(json.dumps(call["arguments"]), made)))
            told = result.structured_content or {}
            made = made_by({"generations": [], **told}, made)
            refused += [f"{call}: {result.content}"] if result.is_error else []
    return refused


@pytest.mark.anyio
@FOLDERS
async def test_what_a_skill_shows_works(folder: Path, shelf: Path, street: None) -> None:
    """Against the sandbox: its commands, typed one after the other; then its tool calls, of which none is refused.

    Afterwards every file and folder that the page promises is there.
    """
    text, made = skills.text_of(folder / "SKILL.md"), ""
    for words in skills.commands(text):
        answer = await to_thread.run_sync(typed, [filled(word, made) for word in words])
        made = made_by(answer, made)
    assert made
    assert await sent(shelf, skills.calls(text), made) == []
    places = [filled(span, made) for span in skills.spans(text) if re.match("(jobs|avatars|resources)/.", span)]
    assert [place for place in places if "<" not in place and not (shelf / place).exists()] == []
