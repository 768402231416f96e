"""The readers' room: files become requests, and what cannot be read says where and why."""

from __future__ import annotations

import json
import os
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hoasi.errors import FileBroken, HoasiError, NotFound, PathRefused, WrongInput
from hoasi.messages import explain
from hoasi.records import Scene
from hoasi.sources import Sourced, _toml, creative_plan, image_prompts, prompt

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "jobs" / "2026-04-25_001_morning-routine-ad"
FLAGGED = 'asset_requirements = ["ai_generated"]\nvisual_intent = "Ly tr\u00e0"\n'


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs" / "j1" / "source"
    folder.mkdir(parents=True)
    return folder


def plan(job: Path, text: str, **options: Any) -> Sourced:
    file = job / "creative_plan.toml"
    file.write_text(text, encoding="utf-8")
    return creative_plan.read(file, workspace=job.parents[2], **options)


def prompts(job: Path, text: str, **options: Any) -> Sourced:
    file = job / "image_prompts.toml"
    file.write_text(text, encoding="utf-8")
    return image_prompts.read(file, workspace=job.parents[2], **options)


def scene(name: str, more: str = FLAGGED) -> str:
    return f'[[scene_intents]]\nid = "{name}"\n{more}\n'


def ids(sourced: Sourced) -> list[str]:
    return [request.scene.id for request in sourced.requests]


def refused(error: HoasiError) -> dict[str, Any]:
    """Facts of an error that can also be told to a person."""
    view = explain(error.problem())
    assert view.message
    assert view.fix
    return error.facts


# ---------------------------------------------------------------- the example job


def test_the_example_plan_is_read_whole() -> None:
    """Of eight scenes the six flagged ones become requests, with style guidance and nothing to warn about."""
    sourced = creative_plan.read(EXAMPLE / "source" / "creative_plan.toml", workspace=ROOT)
    assert ids(sourced) == ["SC_01", "SC_02", "SC_03", "SC_04", "SC_06", "SC_07"]
    assert (sourced.job_id, sourced.aspect_ratio, sourced.language) == (EXAMPLE.name, "9:16", "vi")
    assert sourced.title == "Bu\u1ed5i s\u00e1ng \u1edf ban c\u00f4ng"
    assert sourced.warnings == ()
    first = sourced.requests[0]
    assert first.origin == "creative_plan.toml [[scene_intents]] #1 (SC_01)"
    assert first.scene.mood == ("binh-yen",)
    assert first.scene.shot_types == ("wide shot", "slow push-in")
    assert first.scene.narrative_role == "hook"
    guidance = prompt.vds_guidance((EXAMPLE / "source" / "vds.md").read_text(encoding="utf-8"))
    assert guidance.startswith("\u1ea2nh \u0111\u1eddi th\u01b0\u1eddng")
    assert all(request.prompt.endswith(guidance) and request.aspect_ratio == "9:16" for request in sourced.requests)


def test_the_example_plan_is_a_whole_plan() -> None:
    """Its scenes follow each other without a gap over the planned length, and the script is what they say."""
    written = tomllib.loads((EXAMPLE / "source" / "creative_plan.toml").read_text(encoding="utf-8"))
    scenes = written["scene_intents"]
    edges = [0.0, *(row["end_hint"] for row in scenes)]
    assert [row["start_hint"] for row in scenes] == edges[:-1]
    assert edges[-1] == written["metadata"]["target_duration_seconds"]
    assert written["voiceover"]["script"].split("\n")[:-1] == [row["spoken_text"] for row in scenes]
    assert {row["scene_id"] for row in written["text_overlays"]} <= {row["id"] for row in scenes}


def test_the_example_prompts_are_read_whole() -> None:
    """Three entries, no reference picture, the file's default model."""
    sourced = image_prompts.read(EXAMPLE / "source" / "image_prompts.toml", workspace=ROOT)
    assert [(r.scene.id, r.num_images, r.references) for r in sourced.requests] == [
        ("SC_01", 1, ()),
        ("SC_04", 2, ()),
        ("SC_06", 1, ()),
    ]
    assert {request.model for request in sourced.requests} == {"fal-ai/nano-banana"}


@pytest.mark.parametrize("name", ["creative_plan", "image_prompts"])
def test_the_example_job_fits_its_schemas(name: str) -> None:
    """The published contract accepts the example and refuses a file without its list."""
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    checker.validate(tomllib.loads((EXAMPLE / "source" / f"{name}.toml").read_text(encoding="utf-8")))
    assert not checker.is_valid({})


# ---------------------------------------------------------------- which scenes


@pytest.mark.parametrize(
    "entry", ["ai_generated", "AI_Image", "\u1ea3nh ai-generated \u0111\u1eb9p", "AI-IMAGE", "ai_generated_image"]
)
def test_a_flag_anywhere_in_an_entry_makes_the_scene_ours(job: Path, entry: str) -> None:
    """All four spellings count, in any case, inside a longer text."""
    flagged = scene("A", f'asset_requirements = ["x", "{entry}"]\nvisual_intent = "v"')
    assert ids(plan(job, flagged + scene("B", 'visual_intent = "v"'))) == ["A"]


def test_scene_ids_choose_and_keep_the_order_of_the_plan(job: Path) -> None:
    """A named scene is taken even without a flag; the others are left."""
    text = scene("A") + scene("B", 'visual_intent = "v"') + scene("C")
    assert ids(plan(job, text)) == ["A", "C"]
    assert ids(plan(job, text, scene_ids=["C", "B"])) == ["B", "C"]
    assert ids(plan(job, text, all_scenes=True)) == ["A", "B", "C"]
    assert ids(plan(job, text, all_scenes=True, scene_ids=["B"])) == ["B"]


def test_an_unknown_scene_names_the_nearest(job: Path) -> None:
    """Both readers say which scene is missing and which ones they have."""
    with pytest.raises(NotFound) as first:
        plan(job, scene("SC_01") + scene("OTHER"), scene_ids=["SC_01", "SC_10"])
    assert refused(first.value)["scene"] == "SC_10"
    assert first.value.facts["near"].startswith("SC_01")
    with pytest.raises(NotFound) as second:
        prompts(job, '[[prompts]]\nscene_id = "SC_01"\nprompt = "p"\n', scene_ids=["zzz"])
    assert second.value.facts["near"] == "SC_01"


def test_clip_scenes_are_counted_not_drawn(job: Path) -> None:
    """Scenes that ask only for clips are left out with one warning; asked for as pictures they are drawn."""
    clip = 'asset_requirements = ["ai_video"]\nvisual_intent = "v"'
    both = 'asset_requirements = ["AI-Video", "ai_image"]\nvisual_intent = "v"'
    text = scene("A") + scene("B", clip) + scene("C", clip) + scene("D", both)
    sourced = plan(job, text)
    assert ids(sourced) == ["A", "D"]
    assert len(sourced.warnings) == 1
    assert sourced.warnings[0].startswith("2 ")
    assert "B, C" in sourced.warnings[0]
    assert plan(job, text, all_scenes=True).warnings == ()
    assert plan(job, text, scene_ids=["B"]).warnings == ()


def test_a_plan_without_flags_says_how_to_draw_it_all(job: Path) -> None:
    """The error names the switch and the flag, and counts the scenes that want clips."""
    with pytest.raises(FileBroken) as caught:
        plan(job, scene("A", 'visual_intent = "v"') + scene("B", 'asset_requirements = ["ai_video"]'))
    assert caught.value.key == "plan_no_flagged_scene"
    assert refused(caught.value) == {"file": job / "creative_plan.toml", "scenes": 2, "clips": 1}
    fix = explain(caught.value.problem()).fix
    assert "--all-scenes" in fix
    assert "ai_generated" in fix


def test_ten_thousand_scenes_are_read(job: Path) -> None:
    """A plan of 10,000 scenes is read whole, in order; a fault in the last one is found at its line."""
    text = "".join(scene(f"SC_{number:05}") for number in range(10_000))
    assert ids(plan(job, text))[::9_999] == ["SC_00000", "SC_09999"]
    with pytest.raises(FileBroken) as caught:
        plan(job, text + scene("LAST", "mood = 5"))
    assert (caught.value.facts["index"], caught.value.facts["line"]) == (10_001, 50_003)


def test_no_line_is_looked_for_while_nothing_is_wrong(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is one pass: the search for lines belongs to errors."""
    monkeypatch.delattr(_toml, "_line")
    (job / "vds.md").write_text("## Style DNA\nfilm", encoding="utf-8")
    named = '[metadata]\nsource_vds = "jobs/j1/source/vds.md"\n'
    assert len(plan(job, named + scene("A") + scene("B")).requests) == 2
    assert len(prompts(job, '[[prompts]]\nprompt = "p"\n').requests) == 1


# ---------------------------------------------------------------- what a scene carries


@pytest.mark.parametrize(
    ("written", "mood"),
    [
        ('mood = "binh-yen"', ("binh-yen",)),
        ('mood = [" binh-yen ", "am-ap", ""]', ("binh-yen", "am-ap")),
        ('mood = ""', ()),
        ("mood = []", ()),
        ("", ()),
    ],
)
def test_mood_may_be_one_text_or_a_list(job: Path, written: str, mood: tuple[str, ...]) -> None:
    """Every way of writing a mood becomes a tuple."""
    assert plan(job, scene("A", FLAGGED + written)).requests[0].scene.mood == mood


def test_equal_words_become_equal_bytes(job: Path) -> None:
    """A decomposed (NFD) plan gives exactly the requests of the composed one; its ids can be asked for either way."""
    text = scene("C\u1ea3nh_1", 'visual_intent = " Bu\u1ed5i s\u00e1ng "\nasset_requirements = ["ai_image"]')
    composed = plan(job, text)
    decomposed = plan(job, unicodedata.normalize("NFD", text), scene_ids=[unicodedata.normalize("NFD", "C\u1ea3nh_1")])
    assert composed == decomposed
    assert composed.requests[0].prompt == "Bu\u1ed5i s\u00e1ng."


def test_missing_and_unknown_fields_are_fine(job: Path) -> None:
    """A plan with nothing but a sentence to say is drawn from it, with warnings; strangers' fields are ignored."""
    text = 'x = 1\n[[scene_intents]]\nspoken_text = "Ch\u00e0o"\nasset_requirements = ["ai_image"]\nfoo = {a = 1}\n'
    sourced = plan(job, text)
    request = sourced.requests[0]
    assert (request.scene.id, request.prompt, request.scene.visual_intent) == ("SC_01", "Ch\u00e0o.", "")
    assert (sourced.aspect_ratio, sourced.language, sourced.title) == (None, "vi", "")
    assert len(sourced.warnings) == 2
    assert all("SC_01" in sentence for sentence in sourced.warnings)


def test_references_of_the_call_reach_every_request(job: Path) -> None:
    """Reference pictures are passed on as written."""
    sourced = plan(job, scene("A") + scene("B"), references=["in/Nga\u0323.jpg"])
    assert {request.references for request in sourced.requests} == {("in/Nga\u0323.jpg",)}


def test_the_job_is_read_off_the_path(tmp_path: Path) -> None:
    """Only a file below jobs/<id>/ has a job, also when the folders are links."""
    text = scene("A")
    outside, inside = tmp_path / "a.toml", tmp_path / "ws" / "jobs" / "j-1" / "a.toml"
    loose, disk = tmp_path / "ws" / "jobs" / "a.toml", tmp_path / "disk"
    inside.parent.mkdir(parents=True)
    disk.mkdir()
    (tmp_path / "ws" / "jobs" / "linked").symlink_to(disk)
    (tmp_path / "alias").symlink_to(tmp_path / "ws")
    linked = tmp_path / "ws" / "jobs" / "linked" / "a.toml"
    for file in (outside, inside, loose, linked):
        file.write_text(text, encoding="utf-8")
    found = [creative_plan.read(file, workspace=tmp_path / "ws").job_id for file in (outside, inside, loose, linked)]
    assert found == [None, "j-1", None, "linked"]
    assert creative_plan.read(inside, workspace=tmp_path / "alias").job_id == "j-1"


# ---------------------------------------------------------------- image_prompts.toml


def test_pictures_of_one_scene_are_numbered_on(job: Path) -> None:
    """A scene may come several times; the pictures count on over the whole file, also when one scene is chosen."""
    text = "".join(
        f'[[prompts]]\nscene_id = "{name}"\nprompt = "p"\nnum_images = {count}\n'
        for name, count in [("A", 2), ("B", 1), ("A", 3), ("A", 1)]
    )
    assert [(r.scene.id, r.first_idx) for r in prompts(job, text).requests] == [("A", 1), ("B", 1), ("A", 3), ("A", 6)]
    assert [r.first_idx for r in prompts(job, text, scene_ids=["A"]).requests] == [1, 3, 6]


def test_an_entry_replaces_the_defaults_of_the_file(job: Path) -> None:
    """Model and references of an entry win; an empty list means no reference picture."""
    text = (
        '[metadata]\ndefault_model = "m0"\nreference_images = ["r0.jpg"]\naspect_ratio = "4:5"\n'
        '[[prompts]]\nid = "P1"\nprompt = " Caf\u0065\u0301 "\n'
        '[[prompts]]\nscene_id = "S2"\nprompt = "b"\nmodel = "m1"\nreference_images = ["r1.jpg", "r2.jpg"]\n'
        '[[prompts]]\nprompt = "c"\nreference_images = []\n'
    )
    first, second, third = prompts(job, text).requests
    assert (first.prompt, first.model, first.references) == ("Caf\u00e9", "m0", ("r0.jpg",))
    assert (second.model, second.references, second.aspect_ratio) == ("m1", ("r1.jpg", "r2.jpg"), "4:5")
    assert third.references == ()
    assert [r.scene.id for r in (first, second, third)] == ["P1", "S2", "PROMPT_003"]
    assert second.scene.visual_intent == "b"
    assert second.origin == "image_prompts.toml [[prompts]] #2 (S2)"


# ---------------------------------------------------------------- errors: where and what


@pytest.mark.parametrize(
    ("text", "key", "where"),
    [
        (scene("A") + scene("B", "mood = 5"), "source_not_texts", ("scene_intents", 2, "mood", 8)),
        (scene("A", 'preferred_shot_types = "x"'), "source_not_texts", ("scene_intents", 1, "preferred_shot_types", 3)),
        (scene("A", "asset_requirements = [1]"), "source_not_texts", ("scene_intents", 1, "asset_requirements", 3)),
        ("\n[[scene_intents]]\n# id = 1\n\n'id' = 7\n", "source_not_text", ("scene_intents", 1, "id", 5)),
        ("x = 1\r\n[[scene_intents]]\r\nid = 1\r\n", "source_not_text", ("scene_intents", 1, "id", 3)),
        ("[[scene_intents]]\nmood.x = 1\n", "source_not_texts", ("scene_intents", 1, "mood", 2)),
        ("[[scene_intents]]\n[scene_intents.mood]\nx=1\n", "source_not_texts", ("scene_intents", 1, "mood", 2)),
        ("x = 1\nscene_intents = [{id = 1}]\n", "source_not_text", ("scene_intents", 1, "id", 2)),
        ("x = 1\n[scene_intents]\nid = 'A'\n", "source_not_tables", ("scene_intents", None, "", 2)),
        ("scene_intents = ['A']\n", "source_not_tables", ("scene_intents", None, "", 1)),
        ("x = 1\n[[metadata]]\n", "source_not_table", ("metadata", None, "", 2)),
        ("metadata.title = 1\n" + scene("A"), "source_not_text", ("metadata", None, "title", 1)),
        ('[metadata]\naspect_ratio = "9x16"\n', "source_not_ratio", ("metadata", None, "aspect_ratio", 2)),
        ('[metadata]\n\naspect_ratio = "0:16"\n', "source_not_ratio", ("metadata", None, "aspect_ratio", 3)),
        ("[metadata]\naspect_ratio = 1.5\n", "source_not_text", ("metadata", None, "aspect_ratio", 2)),
        (
            '[[scene_intents]]\nid = "A"\nspoken_text = """\n[[scene_intents]]\nmood = 1\n"""\nmood = 2\n',
            "source_not_texts",
            ("scene_intents", 1, "mood", 7),
        ),
        (
            scene("A") + scene("B", 'asset_requirements = ["ai_image"]'),
            "plan_scene_empty",
            ("scene_intents", 2, "visual_intent", 6),
        ),
    ],
)
def test_a_fault_in_a_plan_is_named_with_its_place(
    job: Path, text: str, key: str, where: tuple[str, int | None, str, int]
) -> None:
    """File, table, index, field and line of what is wrong."""
    with pytest.raises(FileBroken) as caught:
        plan(job, text)
    facts = refused(caught.value)
    assert caught.value.key == key
    assert facts["file"] == job / "creative_plan.toml"
    assert (facts["table"], facts.get("index"), facts["field"], facts["line"]) == where
    assert str(where[3]) in explain(caught.value.problem()).message


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ('num_images = "two"', "source_not_count"),
        ("num_images = 0", "source_not_count"),
        ("num_images = -1", "source_not_count"),
        ("num_images = 1.0", "source_not_count"),
        ("num_images = true", "source_not_count"),
        ("model = 1", "source_not_text"),
        ("scene_id = 1", "source_not_text"),
        ('reference_images = "a.jpg"', "source_not_texts"),
        ('reference_images = ["a.jpg", " "]', "source_blank"),
    ],
)
def test_a_fault_in_prompts_is_named_with_its_place(job: Path, field: str, key: str) -> None:
    """The second entry's third line, whichever field is wrong."""
    entry = '[[prompts]]\nprompt = "p"\n'
    with pytest.raises(FileBroken) as caught:
        prompts(job, f"{entry}{entry}{field}\n")
    facts = refused(caught.value)
    assert caught.value.key == key
    assert (facts["table"], facts["index"], facts["field"], facts["line"]) == ("prompts", 2, field.partition(" ")[0], 5)


@pytest.mark.parametrize(("entry", "line"), [('id = "P"\nprompt = "  "', 3), ('id = "P"', 1)])
def test_an_empty_prompt_is_refused(job: Path, entry: str, line: int) -> None:
    """A blank prompt is named by its own line, a missing one by its entry's."""
    with pytest.raises(FileBroken) as caught:
        prompts(job, f"[[prompts]]\n{entry}\n")
    facts = refused(caught.value)
    assert (caught.value.key, facts["field"], facts["line"]) == ("source_blank", "prompt", line)


def test_files_without_entries_are_refused(job: Path) -> None:
    """Neither a plan without scenes nor a prompt file without prompts is a success with nothing made."""
    with pytest.raises(FileBroken, match="plan_no_scenes") as first:
        plan(job, "[metadata]\n")
    with pytest.raises(FileBroken, match="prompts_none") as second:
        prompts(job, "prompts = []\n")
    assert refused(first.value)
    assert refused(second.value)


def test_a_scene_written_twice_names_both_lines(job: Path) -> None:
    """Whichever scenes are asked for, a doubled id is an error with the two lines."""
    with pytest.raises(FileBroken) as caught:
        plan(job, scene("A") + scene("B") + scene("A"), scene_ids=["B"])
    facts = refused(caught.value)
    assert (caught.value.key, facts["scene"]) == ("plan_scene_twice", "A")
    assert (facts["first_line"], facts["line"]) == (2, 12)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('[metadata]\ntitle = "a\n', 2, 11),
        ("a = 1\na = 2\n", 2, 6),
        ("x = 1\ny = [1,\n", 3, 1),
        ('a = 1\nb = """x', 2, 9),
    ],
)
def test_broken_toml_is_named_with_line_and_column(job: Path, text: str, line: int, column: int) -> None:
    """Syntax errors, doubled keys and sudden ends carry the parser's position."""
    with pytest.raises(FileBroken) as caught:
        plan(job, text)
    facts = refused(caught.value)
    assert (caught.value.key, facts["line"], facts["column"]) == ("source_syntax", line, column)
    assert caught.value.detail


def bad_bytes(file: Path) -> None:
    file.write_bytes(b"a = 1\nb = '\xff'\n")


def blank(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf \n")


def too_big(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(16 * 1024 * 1024 + 1)


def link_to_itself(file: Path) -> None:
    file.symlink_to(file)


def nested(file: Path) -> None:
    file.write_text("a = " + "[" * 50_000, encoding="utf-8")


def long_number(file: Path) -> None:
    file.write_text("a = " + "1" * 5_000, encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda file: None, "source_missing"),
        (Path.mkdir, "source_not_file"),
        (os.mkfifo, "source_not_file"),
        (link_to_itself, "source_unreadable"),
        (too_big, "source_too_big"),
        (bad_bytes, "source_not_utf8"),
        (blank, "source_empty"),
        (nested, "source_too_deep"),
        (long_number, "source_too_deep"),
    ],
)
@pytest.mark.parametrize("reader", [creative_plan.read, image_prompts.read])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, reader: Any, make: Any, key: str) -> None:
    """Missing, a folder, a pipe, unreadable, too big, not UTF-8, blank, absurd: each has its own error."""
    make(tmp_path / "f.toml")
    with pytest.raises(WrongInput) as caught:
        reader(tmp_path / "f.toml", workspace=tmp_path)
    assert caught.value.key == key
    assert refused(caught.value)["file"] == tmp_path / "f.toml"
    assert isinstance(caught.value, NotFound) == (key == "source_missing")


def test_the_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """The first bad byte's line."""
    bad_bytes(tmp_path / "f.toml")
    with pytest.raises(FileBroken) as caught:
        image_prompts.read(tmp_path / "f.toml", workspace=tmp_path)
    assert caught.value.facts["line"] == 2


def test_a_byte_order_mark_is_accepted(job: Path) -> None:
    """Files saved by Windows editors are read: BOM and CRLF."""
    assert ids(plan(job, "\ufeff" + scene("A").replace("\n", "\r\n"))) == ["A"]


# ---------------------------------------------------------------- the words of a scene


def test_a_prompt_is_sentences_of_what_is_there() -> None:
    """Intent, shots, mood, orientation and guidance, each ended once; absent parts leave no trace."""
    whole = Scene(visual_intent="Ban c\u00f4ng,\n s\u00e1ng s\u1edbm.", mood=("a", "b"), shot_types=("wide", "pan"))
    assert prompt.scene_prompt(whole, aspect_ratio="9:16", guidance="Film.") == (
        "Ban c\u00f4ng, s\u00e1ng s\u1edbm. wide, pan. mood: a, b. vertical composition, portrait orientation. Film."
    )
    assert prompt.scene_prompt(Scene(visual_intent="\u0110\u1eb9p!"), aspect_ratio=None) == "\u0110\u1eb9p!"
    assert prompt.scene_prompt(Scene(spoken_text="Ch\u00e0o,"), aspect_ratio=None, guidance=" . ") == "Ch\u00e0o."


def test_ids_and_titles_stay_out_of_prompts(job: Path) -> None:
    """Nothing that names somebody or the job is added to what the plan wants shown."""
    text = '[metadata]\ntitle = "Phim c\u1ee7a Lan"\n' + scene("LAN_01", FLAGGED + 'narrative_role = "hook"')
    assert plan(job, text).requests[0].prompt == "Ly tr\u00e0."


@pytest.mark.parametrize(
    ("ratio", "word"),
    [("9:16", "portrait"), ("4:5", "portrait"), ("16:9", "landscape"), ("1:1", "square"), ("1080:1080", "square")],
)
def test_the_hint_fits_the_shape(ratio: str, word: str) -> None:
    """Every ratio has the words of its class."""
    assert word in prompt.scene_prompt(Scene(visual_intent="x"), aspect_ratio=ratio)


def test_a_ratio_that_is_none_is_refused() -> None:
    """A shape that cannot be read is not silently left out of the prompt."""
    with pytest.raises(WrongInput) as caught:
        prompt.scene_prompt(Scene(visual_intent="x"), aspect_ratio="tall")
    assert refused(caught.value) == {"ratio": "tall"}


def test_styles_stand_around_the_prompt() -> None:
    """Prefix, prompt, suffix; no style, no change; an unknown one names its neighbours."""
    assert prompt.style_names() == ("photorealistic", "illustration", "minimalist")
    assert prompt.styled("A cat", "photorealistic") == (
        "Ultra-realistic photograph, 8K, professional lighting, A cat, high quality, detailed"
    )
    assert prompt.styled("A cat.", "Minimalist").endswith("shapes, A cat, high quality, detailed")
    assert prompt.styled("A cat.", None) == "A cat."
    with pytest.raises(NotFound, match="style_unknown") as caught:
        prompt.styled("A cat", "ilustration")
    assert refused(caught.value)["near"].startswith("illustration")


# ---------------------------------------------------------------- VDS


@pytest.mark.parametrize(
    ("markdown", "guidance"),
    [
        ("# T\n## 3. A\na\n## 4. Style DNA\n  one \n\n two\n### 4.1\nthree\n## 5. B\nb", "one two ### 4.1 three"),
        ("## 4. Sound\nx\n## Our STYLE  dna\ny", "y"),
        ("## **4. Look**\nx\n# End\nz", "x"),
        ("```\n# Style DNA\n```\n## 4. Look\nx", "x"),
        ("## Style DNA\n~~~\n## not a heading\n~~~\nx", "~~~ ## not a heading ~~~ x"),
        ("Style DNA\n## 14. Look\nx\n#4. no\n", ""),
        ("## Style DNA\n", ""),
        ("", ""),
    ],
)
def test_style_guidance_is_one_section(markdown: str, guidance: str) -> None:
    """The section named Style DNA, else number 4, up to the next heading of its level, white space folded."""
    assert prompt.vds_guidance(markdown) == guidance


def test_style_guidance_ends_within_600_characters() -> None:
    """Cut between words where there is a space, else at 600."""
    cut = prompt.vds_guidance("## Style DNA\n" + "n\u1eafng " * 200)
    assert len(cut) == 599
    assert cut.endswith(" n\u1eafng")
    assert len(prompt.vds_guidance("## Style DNA\n" + "x" * 700)) == 600


def test_the_spec_of_the_call_wins_then_the_named_then_the_neighbour(job: Path) -> None:
    """One spec is used: the argument, else metadata.source_vds, else vds.md beside the plan."""
    for name in ("own", "named", "vds"):
        (job / f"{name}.md").write_text(f"## Style DNA\n{name} look", encoding="utf-8")
    metadata = '[metadata]\nsource_vds = "jobs/j1/source/named.md"\n'
    assert plan(job, metadata + scene("A"), vds_path=job / "own.md").requests[0].prompt.endswith("own look.")
    assert plan(job, metadata + scene("A")).requests[0].prompt.endswith("named look.")
    assert plan(job, scene("A")).requests[0].prompt.endswith("vds look.")


def test_a_missing_spec_is_an_error_only_when_the_call_named_it(job: Path) -> None:
    """The plan's own missing spec costs a warning; the caller's is refused; none at all is silence."""
    sourced = plan(job, '[metadata]\nsource_vds = "jobs/j1/source/gone.md"\n' + scene("A"))
    assert ids(sourced) == ["A"]
    assert len(sourced.warnings) == 1
    assert "jobs/j1/source/gone.md" in sourced.warnings[0]
    assert plan(job, scene("A")).warnings == ()
    with pytest.raises(NotFound) as caught:
        plan(job, scene("A"), vds_path=job / "gone.md")
    assert refused(caught.value) == {"file": job / "gone.md"}


def test_a_spec_without_style_is_said(job: Path) -> None:
    """Style guidance that the user believes to be there does not vanish silently."""
    (job / "vds.md").write_text("# VDS\n", encoding="utf-8")
    assert [str(job / "vds.md") in sentence for sentence in plan(job, scene("A")).warnings] == [True]


@pytest.mark.parametrize("written", ["../secret.md", "link.md", "ABSOLUTE", "nul\\u0000.md"])
def test_a_plan_cannot_read_outside_the_workspace(tmp_path: Path, written: str) -> None:
    """A spec that leaves the workspace, by dots, by a link or by its root, is refused unread with its line."""
    root = tmp_path / "ws"
    job = root / "jobs" / "j1" / "source"
    job.mkdir(parents=True)
    secret = tmp_path / "secret.md"
    secret.write_text("## Style DNA\nsecret", encoding="utf-8")
    (root / "link.md").symlink_to(secret)
    written = written.replace("ABSOLUTE", secret.as_posix())
    with pytest.raises(PathRefused) as caught:
        plan(job, f'[metadata]\nsource_vds = "{written}"\n' + scene("A"))
    facts = refused(caught.value)
    assert (facts["field"], facts["line"]) == ("source_vds", 2)


# ---------------------------------------------------------------- schemas and readers agree


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("creative_plan", "scene_intents = []"),
        ("creative_plan", "[[scene_intents]]\nmood = 5"),
        ("creative_plan", "[[scene_intents]]\nid = 5"),
        ("creative_plan", '[[scene_intents]]\nasset_requirements = "ai_image"'),
        ("creative_plan", '[metadata]\naspect_ratio = "tall"\n[[scene_intents]]'),
        ("creative_plan", "[scene_intents]"),
        ("image_prompts", "[[prompts]]\nprompt = ' '"),
        ("image_prompts", "[[prompts]]\nid = 'P'"),
        ("image_prompts", "[[prompts]]\nprompt = 'p'\nnum_images = 0"),
        ("image_prompts", "[[prompts]]\nprompt = 'p'\nreference_images = ['']"),
    ],
)
def test_what_a_schema_refuses_its_reader_refuses(job: Path, name: str, text: str) -> None:
    """The published contract and the code draw the same line."""
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert not jsonschema.Draft202012Validator(schema).is_valid(tomllib.loads(text))
    with pytest.raises(FileBroken):
        {"creative_plan": plan, "image_prompts": prompts}[name](job, text)
