"""Styles registry: shared with other programs, found by id or title, changed as a whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from hoasi.comfy import styles
from hoasi.comfy.styles import Style, assemble, file_name, file_of, find, folder, load
from hoasi.errors import FileBroken, NotFound, WrongInput

ROW = {
    "id": 7,
    "title": "Phim Noir",
    "lora_name": "noir",
    "lora_file": None,
    "trigger_words": ["n0ir", "film grain"],
    "monochrome": 1,
    "steps": 28,
    "x_rating": {"stars": [1, 2]},
    "metadata": {"status": "ready", "by": "other"},
}
FILE = {"version": "1.2", "x_owner": "other program", "styles": [ROW, {"id": "anime"}], "loras": [{"name": "kept"}]}
ADDER = """
import sys
from pathlib import Path
from hoasi.comfy.styles import Style, add
path, name = Path(sys.argv[1]), sys.argv[2]
for number in range(8):
    add(path, Style(id=f"{name}{number}"), lock_path=path.with_name("styles.lock"), temp_name=f".{name}.tmp")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = file_of(tmp_path)
    found.parent.mkdir(parents=True)
    found.write_text(json.dumps(FILE), encoding="utf-8")
    return found


def how(path: Path) -> dict[str, Any]:
    return {"lock_path": path.with_name("styles.lock"), "temp_name": ".styles.tmp"}


def told(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_defaults_are_the_specified_ones(path: Path) -> None:
    """What a style does not say has its value; a number as id, null and a list of words are read, too."""
    noir, anime = load(path)
    assert (noir.id, noir.title, noir.lora, noir.steps, noir.monochrome) == ("7", "Phim Noir", "noir", 28, True)
    assert noir.trigger_words == "n0ir, film grain"
    assert (anime.lora_weight, anime.character_lora_weight, anime.cine_lora_weight) == (1.0, 0.85, 0.0)
    assert (anime.model, anime.lora, anime.steps) == ("flux1-dev-fp8", "", None)


def test_no_file_is_no_styles(tmp_path: Path) -> None:
    """A new workspace has none, and the first one makes the file."""
    path = file_of(tmp_path)
    assert load(path) == ()
    styles.add(path, Style(id="a", title="A"), **how(path))
    assert set(told(path)) == {"version", "styles", "loras"}
    assert [style.id for style in load(path)] == ["a"]
    assert path == tmp_path / "resources" / "styles.json"


def test_what_we_do_not_know_is_kept(path: Path) -> None:
    """Through adding, changing and removing, unknown fields and other styles stay as they were."""
    styles.add(path, Style.model_validate({"id": "new", "title": "M\u1edbi", "x_mine": 1}), **how(path))
    styles.update(path, "phim noir", {"steps": 30, "x_more": "y"}, **how(path))
    styles.remove(path, "anime", **how(path))
    found = told(path)
    assert found["styles"][0] == {**ROW, "steps": 30, "x_more": "y"}
    assert (found["styles"][1]["id"], found["styles"][1]["title"], found["styles"][1]["x_mine"]) == (
        "new",
        "M\u1edbi",
        1,
    )
    assert {name: value for name, value in found.items() if name != "styles"} == {
        name: value for name, value in FILE.items() if name != "styles"
    }
    assert "M\u1edbi" in path.read_text(encoding="utf-8")
    assert sorted(file.name for file in path.parent.iterdir() if not file.name.endswith(".lock")) == ["styles.json"]


def test_a_field_is_taken_out_by_none(path: Path) -> None:
    """The template's value counts again; other nulls of the file stay."""
    changed = styles.update(path, "7", {"steps": None}, **how(path))
    assert changed.steps is None
    assert told(path)["styles"][0] == {name: value for name, value in ROW.items() if name != "steps"}


def test_a_style_is_found_by_id_or_title(path: Path) -> None:
    """Case and spaces of a title do not count; an id comes before a title."""
    found = (*load(path), Style(id="x", title="anime"))
    assert find(found, "7") == find(found, "  phim   NOIR ") == found[0]
    assert find(found, "anime").id == "anime"


def test_an_unknown_style_names_the_nearest(path: Path) -> None:
    """Near ids and titles first; where none is near, what there is."""
    with pytest.raises(NotFound) as refused:
        find(load(path), "phin noir")
    assert (refused.value.key, refused.value.facts["near"]) == ("style_unknown", "7 (Phim Noir)")
    with pytest.raises(NotFound) as refused:
        find(load(path), "zzzzzz")
    assert refused.value.facts["near"] == "7 (Phim Noir), anime"
    with pytest.raises(NotFound) as refused:
        find((), "x")
    assert refused.value.facts["near"] == "-"


def test_several_of_one_title_are_not_guessed() -> None:
    """The ids to choose from are named."""
    with pytest.raises(WrongInput) as refused:
        find([Style(id="a", title="Same"), Style(id="b", title="same")], "same")
    assert (refused.value.key, refused.value.facts["ids"]) == ("style_ambiguous", "a, b")


def test_an_id_is_given_once(path: Path) -> None:
    """Adding or renaming to an id that is there is refused, and an empty one; the file stays."""
    before = path.read_bytes()
    for call in (
        lambda: styles.add(path, Style(id="anime"), **how(path)),
        lambda: styles.update(path, "7", {"id": "anime"}, **how(path)),
    ):
        with pytest.raises(WrongInput) as refused:
            call()
        assert refused.value.key == "style_exists"
    with pytest.raises(WrongInput) as refused:
        styles.add(path, Style(id=" "), **how(path))
    assert refused.value.key == "style_id_empty"
    assert path.read_bytes() == before
    assert styles.update(path, "7", {"id": "noir"}, **how(path)).id == "noir"


def test_a_change_that_does_not_fit_is_refused(path: Path) -> None:
    """The field is named and the file stays."""
    before = path.read_bytes()
    with pytest.raises(WrongInput) as refused:
        styles.update(path, "7", {"steps": "many"}, **how(path))
    assert (refused.value.key, refused.value.facts["field"]) == ("style_value_bad", "steps")
    with pytest.raises(NotFound):
        styles.remove(path, "nobody", **how(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "JSON"),
        ("\xff", "JSON"),
        ("[]", "styles"),
        ('{"styles": {}}', "styles"),
        ('{"styles": [{"id": "a"}, {"title": "b"}]}', "styles.1.id"),
        ('{"styles": [{"id": "a", "steps": "x"}]}', "styles.0.steps"),
        ('{"styles": [5]}', "styles.0"),
    ],
)
def test_a_broken_file_names_the_place_and_stays(tmp_path: Path, text: str, where: str) -> None:
    """Nothing is added to what cannot be read."""
    path = tmp_path / "styles.json"
    path.write_bytes(text.encode("latin-1"))
    for call in (lambda: load(path), lambda: styles.add(path, Style(id="new"), **how(path))):
        with pytest.raises(FileBroken) as refused:
            call()
        assert (refused.value.key, refused.value.facts["where"]) == ("styles_broken", where)
    assert path.read_bytes() == text.encode("latin-1")


def test_many_may_add_at_once(path: Path) -> None:
    """Three processes add at the same time: none of their styles is lost."""
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(path), name]) for name in "abc"]
    assert [adder.wait(60) for adder in adders] == [0, 0, 0]
    assert {style.id for style in load(path)} == {"7", "anime"} | {f"{name}{n}" for name in "abc" for n in range(8)}


def test_half_a_character_does_not_lose_the_file(path: Path) -> None:
    """An escape that no file can hold as text stays an escape."""
    path.write_text('{"styles": [{"id": "a", "x": "\\ud800"}]}', encoding="utf-8")
    styles.add(path, Style(id="b"), **how(path))
    assert [style.id for style in load(path)] == ["a", "b"]
    assert "\\ud800" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("front", "prompt", "trigger", "back", "whole"),
    [
        ("film still", "a cat", "n0ir", "grain", "film still, a cat, n0ir, grain"),
        ("", "a cat", "", "", "a cat"),
        ("  ", "a cat", "n0ir", "", "a cat, n0ir"),
        ("film still, ", " a cat,", "n0ir", ", grain", "film still, a cat, n0ir, grain"),
        ("Film still.", "A cat sits.", "n0ir", "", "Film still. A cat sits. n0ir"),
        ("front", "", "", "back", "front, back"),
    ],
)
def test_the_prompt_is_put_together(front: str, prompt: str, trigger: str, back: str, whole: str) -> None:
    """Frontpad, prompt, trigger words, backpad; empty parts leave nothing behind."""
    style = Style(id="s", frontpad=front, trigger_words=trigger, backpad=back)
    assert assemble(prompt, style) == whole
    assert assemble(prompt, None) == prompt


@pytest.mark.parametrize(
    ("style_id", "title", "name"),
    [
        ("7", "Phim Noir", "7_phim_noir"),
        ("a", "M\u1ef1c T\u00e0u  X\u01b0a", "a_m\u1ef1c_t\u00e0u__x\u01b0a"),
        ("../../x", "a/b\\c", "__.._x_a_b_c"),
        ("a", "b\x00\n:*?", "a_b_____"),
        ("a", "end. ", "a_end._"),
        ("a", "end.", "a_end_"),
        ("..", "", "__"),
    ],
)
def test_a_styles_pictures_have_their_folder(style_id: str, title: str, name: str) -> None:
    """`<id>_<title in lower case, spaces as _>`; no title leads out of the folder or fails on another system."""
    found = folder(Style(id=style_id, title=title))
    assert found.startswith("resources/style_images/")
    assert found.removeprefix("resources/style_images/") == name


def test_a_long_title_still_makes_a_folder(tmp_path: Path) -> None:
    """Cut at whole characters, within what disks take."""
    found = folder(Style(id="a", title="\u1ef1" * 300))
    (tmp_path / found).mkdir(parents=True)
    assert len(found.rpartition("/")[2].encode()) <= 200


def test_a_picture_is_named_by_its_moment_in_utc() -> None:
    """`generated_<UTC YYYYMMDD_HHMMSS>_<8 hex>.png`, wherever the clock stands."""
    moment = datetime(2026, 11, 22, 1, 2, 3, tzinfo=timezone(timedelta(hours=7)))
    assert file_name(moment, "0a1b2c3d") == "generated_20261121_180203_0a1b2c3d.png"
