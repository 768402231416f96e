"""The commands of workflows: what they take and refuse, and that they ask for the same as tools and Python do."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from hoasi.cli.app import WORKFLOWS, app
from hoasi.cli.making import input_of, inputs_of
from hoasi.messages import LANGUAGES, speak

PICTURES = Path(__file__).parent / "pictures"
KEY = {"FAL_KEY": "id-5f3c9a:secret-7d1e2b"}


@pytest.fixture(autouse=True)
def in_vietnamese() -> None:
    speak("vi")


@pytest.fixture
def shelf(workspace: Path) -> Path:
    """A workspace with a portrait and two pictures of nobody."""
    shutil.copy(PICTURES / "astronaut.jpg", workspace / "lan.jpg")
    shutil.copy(PICTURES / "coffee.jpg", workspace / "cup.jpg")
    Image.effect_noise((400, 400), 80).save(workspace / "coat.png")
    return workspace


def hoasi(root: Path, words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [*shlex.split(words), "--workspace", str(root), "--json"], env=env)


def answer(result: Result) -> dict[str, Any]:
    assert result.stdout.count("\n") == 1, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


PLANS: list[tuple[str, list[str], float]] = [
    ("swap-face lan.jpg lan.jpg --animate --scene-id SC_01", ["nano-banana-pro/edit", "image-to-video"], 0.5),
    ("swap-face lan.jpg lan.jpg --resolution 4K --face-index 0 --provider fal", ["nano-banana-pro/edit"], 0.3),
    ("video --prompt kite --duration 10", ["text-to-video"], 0.7),
    ("video --prompt kite --first-frame cup.jpg --last-frame coat.png --no-sound", ["image-to-video"], 0.35),
    ("video --prompt x --reference-images cup.jpg,coat.png", ["reference-to-video"], 0.42),
    (
        "edit cup.jpg coat.png --prompt 'put <<<image_1>>> on <<<image_2>>>' --num-images 2",
        ["kling-image/o1"] * 2,
        0.056,
    ),
    ("edit cup.jpg --preset skin_enhance --choice 70", ["kling-image/o1"], 0.028),
    ("edit cup.jpg --preset outfit_shot --choice cover,flat_lay --platform reels", ["kling-image/o1"] * 2, 0.056),
    (
        "edit cup.jpg --preset ai_stylist --choice work --style-tags chic,calm --season summer",
        ["kling-image/o1"],
        0.028,
    ),
]


@pytest.mark.parametrize(("words", "models", "usd"), PLANS, ids=[words for words, _, _ in PLANS])
def test_a_dry_run_names_models_and_price(shelf: Path, words: str, models: list[str], usd: float) -> None:
    """Chosen without a provider's name, priced, nothing written, nothing paid."""
    before = sorted(shelf.rglob("*"))
    result = hoasi(shelf, f"{words} --dry-run", KEY)
    told = answer(result)
    assert result.exit_code == 0, told
    assert all(part in entry["model"] for part, entry in zip(models, told["generations"], strict=True))
    assert (told["estimate_usd"], told["cost_usd"]) == (pytest.approx(usd), 0.0)
    assert sorted(shelf.rglob("*")) == before


def test_a_sketch_is_made_for_free(shelf: Path) -> None:
    """Swap and clip with the local provider, into the folder that is named; a rerun skips both."""
    words = "swap-face lan.jpg lan.jpg --provider local --animate --scene-id SC_01 --job job-1 --output-dir outputs/x"
    first, again = hoasi(shelf, words), hoasi(shelf, words)
    assert first.exit_code == 0, first.output
    made = answer(first)["generations"]
    assert [entry["state"] for entry in made] == ["succeeded", "succeeded"]
    assert [Path(path).suffix for entry in made for path in entry["outputs"]] == [".png", ".mp4"]
    assert {Path(path).parent for entry in made for path in entry["outputs"]} == {shelf / "outputs" / "x"}
    assert {entry["state"] for entry in answer(again)["generations"]} == {"skipped_existing"}


def test_a_clip_of_ours_is_extended_by_its_id(shelf: Path) -> None:
    """An id is an input wherever a file is."""
    clip = answer(hoasi(shelf, "video --prompt kite --provider local --duration 2 --scene-id SC_01"))["generations"][0]
    longer = answer(hoasi(shelf, f"extend {clip['id']} --provider local --duration 2"))["generations"][0]
    assert (longer["state"], longer["parents"]) == ("succeeded", [clip["id"]])


WRONG = [
    ("swap-face lan.jpg", "usage_parameter_missing"),
    ("swap-face lan.jpg cup.jpg --provider local", "swap_no_face"),
    ("swap-face lan.jpg lan.jpg --provider fal --consent ok --no-faces", "usage_consent"),
    ("swap-face lan.jpg lan.jpg --provider fal", "consent_missing"),
    ("swap-face lan.jpg lan.jpg --provider fal --consent ok --minor", "consent_refused_minor"),
    ("swap-face lan.jpg lan.jpg --provider fal --max-cost-usd 0.01 --consent ok", "budget_call_usd"),
    ("swap-face lan.jpg lan.jpg --max-cost-usd nan", "usage_value_bad"),
    ("video", "prompt_empty"),
    ("video --prompt x --mode fast", "usage_value_bad"),
    ("video --prompt x --duration five", "usage_value_bad"),
    ("video --prompt x --last-frame cup.jpg", "video_needs"),
    ("video --motion-video a.mp4 --first-frame cup.jpg", "video_together"),
    ("video --prompt x --provider local --cfg-scale 0.5", "option_not_supported"),
    ("extend nothing.mp4 --provider local", "reference_missing"),
    ("extend nothing.mp4 --direction up", "usage_value_bad"),
    ("extend", "usage_parameter_missing"),
    ("lip-sync nothing.mp4", "usage_parameter_missing"),
    ("lip-sync cup.jpg cup.jpg --provider fal", "not_a_clip"),
    ("edit", "usage_parameter_missing"),
    ("edit cup.jpg", "prompt_or_preset"),
    ("edit cup.jpg --preset relit", "preset_unknown"),
    ("edit cup.jpg --preset outfit_swap", "edit_images"),
    ("edit cup.jpg --preset skin_enhance --choice 101", "edit_value"),
    ("edit cup.jpg --prompt x --gender male", "preset_parameter"),
    ("edit cup.jpg --prompt x --num-images 10", "edit_results"),
]


@pytest.mark.parametrize(("words", "key"), WRONG, ids=[words for words, _ in WRONG])
def test_a_wrong_call_is_one_object_and_unpaid(shelf: Path, words: str, key: str) -> None:
    """Exit 2, the key, and a fix, in both languages."""
    for lang in LANGUAGES:
        result = hoasi(shelf, f"{words} --lang {lang}", KEY)
        told = answer(result)
        assert (result.exit_code, told["error"]["key"], told["error"]["paid"]) == (2, key, "no"), told
        assert told["error"]["fix"]


def test_an_option_that_is_wrong_is_named_as_it_is_written(shelf: Path) -> None:
    """The user's own word for it, and what it takes."""
    for words, option, takes in (
        ("extend x.mp4 --direction up", "--direction", "start"),
        ("video --prompt x --mode fast", "--mode", "pro"),
    ):
        error = answer(hoasi(shelf, f"{words} --lang en"))["error"]
        assert option in error["message"]
        assert takes in error["fix"]


def test_a_file_is_meant_from_where_the_user_stands(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are found in the current folder; ids, clip numbers and addresses stay as they are written."""
    inner = shelf / "jobs" / "job-1" / "input"
    inner.mkdir()
    (inner / "a,b.png").touch()
    (inner / "c.png").touch()
    monkeypatch.chdir(inner)
    assert input_of("c.png", shelf) == "jobs/job-1/input/c.png"
    for written in ("sc_01-3fa9c1d2e4", "sc_01-3fa9c1d2e4#2", "712345678901", "https://cdn.example/a.png", "no.png"):
        assert input_of(written, shelf) == written
    expected = ("jobs/job-1/input/a,b.png", "jobs/job-1/input/c.png", "sc_01-3fa9c1d2e4")
    assert inputs_of(["a,b.png,c.png", "sc_01-3fa9c1d2e4"], shelf) == expected


def test_every_workflow_takes_the_same_safety_options(shelf: Path) -> None:
    """What guards money and people is the same everywhere."""
    safety = ["--dry-run", "--max-cost-usd", "--overwrite", "--resubmit", "--consent", "--no-faces", "--minor"]
    others = ["--job", "--scene-id", "--output-dir", "--provider", "--model", "--seed", "--json"]
    for name in WORKFLOWS:
        page = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"}).stdout
        assert [option for option in [*safety, *others] if f"  {option}" not in page] == []
