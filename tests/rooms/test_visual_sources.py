"""Two other teams' files, `scenes.yaml` and `script.json`: read as they write them, refused by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hoasi.errors import FileBroken, HoasiError, NotFound, WrongInput
from hoasi.messages import explain
from hoasi.sources import Sourced, _yaml, global_style, scenes_yaml, script_json

ROOT = Path(__file__).parents[2]
SCENES = """\
scenes:
  - id: 1
    title: ignored
    visual: {prompt: "a cup", type: diagram}
  - id: "02"
    visual:
      prompt: >
        m\u1ed9t chi\u1ebfc
        thuy\u1ec1n
"""


def scenes(root: Path, text: str | bytes, **options: Any) -> Sourced:
    file = root / "planning" / "scenes.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return scenes_yaml.read(file, workspace=root, **options)


def script(root: Path, value: object, **options: Any) -> Sourced:
    file = root / "projects" / "p1" / "script.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return script_json.read(file, workspace=root, **options)


def told(error: HoasiError) -> HoasiError:
    """It can be said to a person."""
    view = explain(error.problem())
    assert view.message
    assert view.fix
    return error


# ---------------------------------------------------------------------- scenes.yaml


def test_scenes_become_requests(tmp_path: Path) -> None:
    """In their order, with the names that the other team looks for; prompts as written."""
    sourced = scenes(tmp_path, SCENES)
    assert [r.fixed_name for r in sourced.requests] == ["scene-001", "scene-002"]
    assert [r.prompt for r in sourced.requests] == ["a cup", "m\u1ed9t chi\u1ebfc thuy\u1ec1n"]
    assert [r.scene.id for r in sourced.requests] == ["1", "2"]
    assert (sourced.folder, sourced.has_records) == ("frames", False)
    assert {r.prefers["target_size"] for r in sourced.requests} == {"1920x1080"}


def test_frames_lie_beside_a_file_without_planning(tmp_path: Path) -> None:
    """`x/scenes.yaml` -> `x/frames`."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "scenes.yaml").write_text(SCENES, encoding="utf-8")
    assert scenes_yaml.read(tmp_path / "x" / "scenes.yaml", workspace=tmp_path).folder == "x/frames"


@pytest.mark.parametrize("written", ["2", "002", "scene-002", " 02 "])
def test_one_scene_alone(tmp_path: Path, written: str) -> None:
    """However its number is written."""
    assert [r.fixed_name for r in scenes(tmp_path, SCENES, scene_ids=(written,)).requests] == ["scene-002"]


@pytest.mark.parametrize("written", ["3", "scene-1x", "9" * 5000, "-1"])
def test_an_unknown_scene_is_named(tmp_path: Path, written: str) -> None:
    """With the nearest that there are."""
    with pytest.raises(NotFound) as refused:
        scenes(tmp_path, SCENES, scene_ids=(written,))
    assert told(refused.value).key == "scene_unknown"


BROKEN_SCENES = [
    ("", "source_empty", None),
    ("scenes: []", "visual_no_scenes", None),
    ("- a\n- b", "visual_no_scenes", None),
    ("scenes: {id: 1}", "visual_no_scenes", None),
    ("scenes:\n  - just words", "visual_not_table", 2),
    ("scenes:\n  - id: one\n    visual: {prompt: x}", "visual_id", 2),
    ("scenes:\n  - visual: {prompt: x}", "visual_id", 2),
    ("scenes:\n  - id: [1]\n    visual: {prompt: x}", "visual_id", 2),
    ("scenes:\n  - id: 1.5\n    visual: {prompt: x}", "visual_id", 2),
    ("scenes:\n  - id: -1\n    visual: {prompt: x}", "visual_id", 2),
    ("scenes:\n  - id: 1\n    visual:\n      prompt: ' '", "visual_prompt", 4),
    ("scenes:\n  - id: 1\n    visual:\n      prompt: [a]", "visual_prompt", 4),
    ("scenes:\n  - id: 1\n    visual: {type: x}", "visual_prompt", 3),
    ("scenes:\n  - id: 1\n    visual: words", "visual_prompt", 3),
    ("scenes:\n  - id: 1", "visual_prompt", 2),
    ("scenes:\n  - id: 1\n    visual: {prompt: ~}", "visual_prompt", 3),
    ("scenes:\n- {id: 1, visual: {prompt: x}}\n- {id: 01, visual: {prompt: y}}", "plan_scene_twice", 3),
    ("scenes:\n  - id: 1\n    id: 2", "visual_key_twice", 3),
    ("scenes: [", "visual_syntax", 1),
    ("scenes:\n  - id: 1\n   visual: x", "visual_syntax", 3),
    ("scenes: 'a", "visual_syntax", 1),
    ("scenes: *nobody", "visual_syntax", 1),
    ("scenes: &a [*a]", "visual_syntax", 1),
    ("a: 1\n---\nb: 2", "visual_syntax", 2),
    ("a: 1\nb: \x07", "visual_syntax", 2),
    ("[" * 40 + "]" * 40, "source_too_deep", None),
    (b"scenes: \xff", "source_not_utf8", 1),
]


@pytest.mark.parametrize(("text", "key", "line"), BROKEN_SCENES, ids=lambda value: ascii(value)[:40])
def test_broken_scenes_are_refused_with_their_line(tmp_path: Path, text: str, key: str, line: int | None) -> None:
    """By key and line."""
    with pytest.raises(FileBroken) as refused:
        scenes(tmp_path, text)
    assert (told(refused.value).key, refused.value.facts.get("line")) == (key, line)


def test_aliases_do_not_grow(tmp_path: Path) -> None:
    """Nine levels of nine aliases (billion laughs) are read at once; a scene may reuse another's words."""
    laughs = "a0: &a0 [x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 10))
    text = f"{laughs}look: &look {{prompt: a cup}}\nscenes:\n- {{id: 1, visual: *look}}\n- {{id: 2, visual: *look}}\n"
    assert [r.prompt for r in scenes(tmp_path, text).requests] == ["a cup", "a cup"]


def test_tags_are_not_obeyed(tmp_path: Path) -> None:
    """A file cannot make objects; `yes` and dates stay words."""
    text = "evil: !!python/object/apply:os.system ['false']\nscenes:\n- {id: 1, visual: {prompt: yes}}\n"
    assert scenes(tmp_path, text).requests[0].prompt == "yes"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """Before it is parsed."""
    with pytest.raises(FileBroken) as refused:
        scenes(tmp_path, SCENES + "#" * (_yaml.LIMIT_MIB * 1024 * 1024))
    assert told(refused.value).key == "source_too_big"


# ---------------------------------------------------------------------- script.json


def test_described_segments_become_requests(tmp_path: Path) -> None:
    """Numbered among the described ones; the usual global style behind each."""
    segments = [{"image_description": "a cat"}, {"text": "only words"}, {"image_description": " "}]
    sourced = script(tmp_path, {"segments": [*segments, {"image_description": "a dog"}]})
    assert [(r.fixed_name, r.prompt) for r in sourced.requests] == [("image_01", "a cat"), ("image_02", "a dog")]
    assert (sourced.folder, sourced.has_records) == ("projects/p1", True)
    first = sourced.requests[0]
    assert first.words_after == (
        "cinematic lighting",
        "professional photography",
        "4k quality",
        "photorealistic",
    )
    assert first.prefers["negative_prompt"] == "blurry, low quality, watermark, text"


def test_a_script_names_its_project_and_style(tmp_path: Path) -> None:
    """`project_id`, `global_style`: what it leaves out is not added."""
    written = {
        "project_id": "tet-2027",
        "global_style": {"modifiers": "ink, "},
        "segments": [{"image_description": "x"}],
    }
    sourced = script(tmp_path, written)
    assert sourced.folder == "projects/tet-2027"
    assert (sourced.requests[0].words_after, "negative_prompt" in sourced.requests[0].prefers) == (("ink",), False)


@pytest.mark.parametrize("written", ["2", "02", "image_02"])
def test_one_picture_alone(tmp_path: Path, written: str) -> None:
    """However its number is written; one that is not there is named."""
    value = {"segments": [{"image_description": "a"}, {"image_description": "b"}]}
    assert [r.prompt for r in script(tmp_path, value, scene_ids=(written,)).requests] == ["b"]
    with pytest.raises(NotFound):
        script(tmp_path, value, scene_ids=("3",))


DESCRIBED = '{"image_description": "x"}'
BROKEN_SCRIPTS = [
    (" ", "source_empty", None),
    ("[]", "visual_no_segments", None),
    ("{}", "visual_no_segments", None),
    ('{"segments": {}}', "visual_no_segments", None),
    ('{"segments": [1]}', "visual_segment", None),
    ('{"segments": [{"image_description": 3}]}', "visual_segment", None),
    ('{"segments": []}', "visual_none_described", None),
    ('{"segments": [{"image_description": "  "}]}', "visual_none_described", None),
    ('{"segments": [\n{"image_description": "x",}]}', "visual_syntax", 2),
    ('{"segments": [\n{"image_description": "x", "image_description": "y"}]}', "visual_key_twice", 2),
    (f'{{"segments": [{DESCRIBED}], "project_id": "../x"}}', "visual_project", None),
    (f'{{"segments": [{DESCRIBED}], "project_id": 7}}', "visual_project", None),
    ("[" * 100_000, "source_too_deep", None),
]


@pytest.mark.parametrize(("text", "key", "line"), BROKEN_SCRIPTS, ids=lambda value: ascii(value)[:40])
def test_broken_scripts_are_refused(tmp_path: Path, text: str, key: str, line: int | None) -> None:
    """By key, and by line where the text itself is broken."""
    with pytest.raises(FileBroken) as refused:
        script(tmp_path, text)
    assert (told(refused.value).key, refused.value.facts.get("line")) == (key, line)


@pytest.mark.parametrize("value", [3, [1], {"modifiers": [1]}, {"negative_prompt": ["x"]}], ids=str)
def test_a_style_that_is_no_words_is_refused(tmp_path: Path, value: object) -> None:
    """Of a script, and of a caller."""
    with pytest.raises(WrongInput) as refused:
        script(tmp_path, {"segments": [{"image_description": "x"}], "global_style": value})
    assert told(refused.value).key == "global_style_bad"
    with pytest.raises(WrongInput):
        global_style.said(value)


# ---------------------------------------------------------------------- schemas and readers agree


def schema(name: str) -> jsonschema.Draft202012Validator:
    found = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def test_what_is_read_fits_its_schema() -> None:
    """And what is refused for its content does not."""
    assert schema("scenes").is_valid(yaml.safe_load(SCENES))
    for text, key, _ in BROKEN_SCENES:
        if key in {"visual_no_scenes", "visual_not_table", "visual_id", "visual_prompt"}:
            assert not schema("scenes").is_valid(yaml.safe_load(text)), text
    assert schema("script").is_valid({"segments": [{"image_description": "x"}, {}], "global_style": {"modifiers": "a"}})
    for text, key, _ in BROKEN_SCRIPTS:
        if key in {"visual_no_segments", "visual_segment", "visual_none_described", "visual_project"}:
            assert not schema("script").is_valid(json.loads(text)), text
