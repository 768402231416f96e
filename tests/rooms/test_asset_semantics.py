"""Writers: the mapper finds our pictures by the plan's words, and nobody's row in the file is ever lost."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hoasi.catalogue import load
from hoasi.errors import FileBroken
from hoasi.exports import asset_semantics
from hoasi.exports._words import moves_camera, phrases, tags
from hoasi.exports.asset_semantics import Asset, describe
from hoasi.messages import speak
from hoasi.planning import Site, plan_request
from hoasi.records import Request, Scene
from hoasi.results import Artifact

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "asset_semantics.schema.json").read_text())
BALCONY = Scene(
    id="SC_01",
    narrative_role="hook",
    spoken_text="Sáng nay tôi pha một ly cà phê.",
    visual_intent="Người phụ nữ uống cà phê ở ban công, nắng sớm trên lá cây",
    mood=("binh-yen",),
    shot_types=("slow push-in", "close-up"),
    requirements=("ai_generated", "người phụ nữ uống cà phê"),
)
STREET = Scene(
    id="SC_02",
    narrative_role="problem",
    spoken_text="Kẹt xe làm tôi mệt mỏi.",
    visual_intent="Đường phố đông xe máy giờ cao điểm",
    mood=("căng thẳng",),
    shot_types=("wide shot",),
    requirements=("ai-image", "kẹt xe"),
)
PRODUCT = Scene(
    id="SC_03",
    narrative_role="cta",
    spoken_text="Đặt hàng ngay hôm nay!",
    visual_intent="Hộp trà xanh trên bàn gỗ, nền trắng",
    mood=("tươi mới",),
    shot_types=("top-down", "static"),
)
SITE = Site(job_id="a", output_dir="jobs/a/input/raw_assets/images/ai_generated")
SCENES = (BALCONY, STREET, PRODUCT)
ARTIFACT = Artifact(
    path="jobs/a/input/raw_assets/images/ai_generated/sc_01_1_a3f2b1c8.png",
    sha256="ab" * 32,
    size_bytes=9,
    media_type="image/png",
    width=1080,
    height=1920,
    warnings=("Ảnh ngang.",),
)
FOREIGN = """\
# made by asset-semantic-extractor
[[assets]]
id = "AST_004"
file_path = "jobs/a/input/raw_assets/videos/beach.mp4"  # by hand
type = "video"
tags = ["bien"]

# scenes of the beach
[[asset_scenes]]
id = "AST_004_SC_01"
description = '''
biển [[assets]]
'''
"""

Write = Callable[..., None]


@pytest.fixture(autouse=True)
def in_vietnamese() -> Iterator[None]:
    speak("vi")
    yield
    speak("vi")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "source" / "asset_semantics.toml"


@pytest.fixture
def write(file: Path, tmp_path: Path) -> Write:
    def write(*assets: Asset) -> None:
        asset_semantics.write(file, assets, lock_path=tmp_path / "locks" / "a.lock", temp_name=".assets.new")

    return write


def made(
    scene: Scene = BALCONY, prompt: str = "A woman on a balcony", ratio: str | None = "9:16", by: str = "fal"
) -> Asset:
    request = Request(prompt=prompt, provider=by, scene=scene, aspect_ratio=ratio, seed=7)
    return describe(plan_request(request, load(by), [], SITE, prompt)[0], ARTIFACT)


def picture(number: int, **changes: Any) -> Asset:
    return made().model_copy(update={"file_path": f"out_{number}.png", **changes})


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_bytes().decode())


# ---------------------------------------------------------------- what is said of a picture


def test_the_plan_is_told_in_its_own_words() -> None:
    """Summary, mood and shots are the plan's words, with diacritics; tags are plain ASCII; the camera is apart."""
    asset = made()
    assert asset.summary == asset.scene.description == BALCONY.visual_intent
    assert asset.mood == asset.scene.mood == ("binh-yen",)
    assert (asset.scene.shot_type, asset.scene.camera_motion) == ("close-up", "slow push-in")
    assert asset.scene.subjects == ("người phụ nữ uống cà phê",)
    assert {"ban-cong", "hook", "binh-yen", "la-cay"} <= set(asset.tags)
    assert (asset.width, asset.height, asset.type, asset.fps, asset.has_audio) == (1080, 1920, "image", 0.0, False)


def test_an_ai_picture_says_so() -> None:
    """Privacy notes say it is no photograph, quality notes how it was made and what was wrong with it."""
    asset = made()
    assert "AI" in asset.privacy_notes[0]
    assert "fal-ai/nano-banana" in asset.quality_notes[0]
    assert "seed 7" in asset.quality_notes[0]
    assert ARTIFACT.warnings[0] in asset.quality_notes
    assert asset.scene.avoid_uses == ()
    assert asset.scene.composition == "khung dọc 9:16"


def test_a_storyboard_is_not_final() -> None:
    """A sketch says that it is one, and that it is not for the finished video."""
    asset = made(by="local")
    assert any("storyboard" in note for note in asset.quality_notes)
    assert asset.scene.avoid_uses
    assert asset.visual_style != made().visual_style
    assert "AI" not in asset.privacy_notes[0]


def test_without_a_plan_the_prompt_speaks() -> None:
    """A picture outside any plan is described by its prompt, shortened in the summary between words."""
    asset = made(Scene(), prompt="A red boat on a lake, " * 40, ratio=None)
    assert asset.scene.description.startswith("A red boat on a lake")
    assert len(asset.summary) < 340
    assert asset.summary.endswith("\u2026")
    assert set(asset.tags) == {"red-boat", "lake"}
    assert asset.scene.composition.endswith("1080x1920")


def test_sentences_follow_the_language() -> None:
    """Notes are Vietnamese unless the context is English; the plan's words stay as they are."""
    vietnamese = made()
    speak("en")
    assert made().privacy_notes != vietnamese.privacy_notes
    assert made().summary == vietnamese.summary


def words(*texts: str) -> set[str]:
    return set(re.findall(r"\w+", " ".join(texts).lower()))


def score(scene: Scene, asset: Asset) -> float:
    """As the mapper scores: 0.7 for shared words, 0.2 for a shared mood, 0.1 for a shared shot type."""
    row = asset.scene
    wanted = words(
        scene.narrative_role,
        scene.spoken_text,
        scene.visual_intent,
        *scene.mood,
        *scene.shot_types,
        *scene.requirements,
    )
    found = words(
        row.description, *row.subjects, *row.actions, row.environment, row.shot_type, row.camera_motion, row.composition
    )
    found |= words(
        *row.colors,
        *row.mood,
        *row.semantic_tags,
        *row.recommended_uses,
        asset.summary,
        asset.visual_style,
        *asset.tags,
    )
    shared = 0.7 * len(wanted & found) / len(wanted)
    return shared + 0.2 * bool(set(scene.mood) & set(row.mood)) + 0.1 * (row.shot_type in scene.shot_types)


def test_the_mapper_finds_each_scenes_picture() -> None:
    """Each scene scores its own picture near the top of the scale, and every other far below."""
    table = {(scene.id, other.id): score(scene, made(other)) for scene, other in product(SCENES, SCENES)}
    own = [table[scene.id, scene.id] for scene in SCENES]
    others = [value for (scene, other), value in table.items() if scene != other]
    assert min(own) > 0.95
    assert max(others) < 0.4


def test_phrases_and_camera_words() -> None:
    """Small words and punctuation part phrases; letters decide, so that a leaf is not a small word."""
    assert phrases("Cô gái ở ban công, nắng trên lá cây") == (
        "cô gái", "ban công", "nắng", "lá cây",
    )  # fmt: skip
    assert tags(["Đường phố", "duong pho", "\u4e2d"]) == ("duong-pho",)
    assert [moves_camera(shot) for shot in ("slow push-in", "lia máy", "close-up", "cận cảnh")] == [
        True,
        True,
        False,
        False,
    ]


# ---------------------------------------------------------------- the file


def test_the_file_has_the_contracts_form(file: Path, write: Write) -> None:
    """Assets first, then their scenes, with the contract's keys in its order; the schema describes them all."""
    write(picture(1), picture(2))
    write(picture(3))
    document = read(file)
    jsonschema.validate(document, SCHEMA)
    for name, kind in (("assets", "asset"), ("asset_scenes", "asset_scene")):
        assert all(list(row) == list(SCHEMA["$defs"][kind]["properties"]) for row in document[name])
        assert SCHEMA["$defs"][kind]["required"] == list(SCHEMA["$defs"][kind]["properties"])
    assert [row["id"] for row in document["assets"]] == ["AST_001", "AST_002", "AST_003"]
    assert [row["id"] for row in document["asset_scenes"]] == ["AST_001_SC_01", "AST_002_SC_01", "AST_003_SC_01"]
    assert re.findall(r"\[\[(\w+)\]\]", file.read_text("utf-8")) == ["assets"] * 3 + ["asset_scenes"] * 3
    assert file.read_text("utf-8").startswith("[[assets]]\n")


def test_other_rows_and_comments_stay(file: Path, write: Write) -> None:
    """A file that others wrote keeps every byte of theirs; ids count on after the highest."""
    file.parent.mkdir()
    file.write_text(FOREIGN, "utf-8")
    write(picture(1))
    text, document = file.read_text("utf-8"), read(file)
    assets, scenes = FOREIGN.split("\n# scenes")
    assert text.startswith(assets)
    assert "\n# scenes" + scenes in text
    assert [row["id"] for row in document["assets"]] == ["AST_004", "AST_005"]
    assert [row["id"] for row in document["asset_scenes"]] == ["AST_004_SC_01", "AST_005_SC_01"]
    assert document["asset_scenes"][0]["description"] == "biển [[assets]]\n"


def test_a_file_with_mixed_tables_stays_byte_for_byte(file: Path, write: Write) -> None:
    """Where each asset stands with its scenes, ours follow at the end."""
    text = FOREIGN + FOREIGN.replace("AST_004", "AST_005").replace("beach", "sea")
    file.parent.mkdir()
    file.write_text(text, "utf-8")
    write(picture(1))
    assert file.read_text("utf-8").startswith(text)
    assert [row["id"] for row in read(file)["assets"]] == ["AST_004", "AST_005", "AST_006"]


@pytest.mark.parametrize(
    "text",
    [
        '[[asset_scenes]]\nid = "AST_009_SC_02"\n[[assets]]\nid = "AST_002"\n[[asset_scenes]]\nid = "x"\n',
        'by = "me" # c\nassets = [{id = "AST_009", file_path = "a.png"}]\nasset_scenes = []\n[other]\nk = 1\n',
        'assets = []\n',
        '[metadata]\nby = "me"\n[[assets]]\nid = "AST_009"\nn = [{a = nan}]\r\n[assets.deep]\nk = 1',
        "# nothing yet\n",
    ],
    ids=["mixed", "inline", "empty array", "not a number", "comment"],
)  # fmt: skip
def test_no_row_is_lost_in_any_structure(file: Path, write: Write, text: str) -> None:
    """However the file is built, all that it held is still there, and ours follows."""
    file.parent.mkdir()
    file.write_bytes(text.encode())
    before = tomllib.loads(text)
    write(picture(1))
    write(picture(2))
    after = read(file)
    for name in ("assets", "asset_scenes"):
        assert repr(after.pop(name)[:-2]) == repr(before.pop(name, []))
    assert after == before
    number = 9 if "009" in text else 0
    assert f'"AST_{number + 2:03d}"' in file.read_text()
    assert all(comment in file.read_text() for comment in re.findall("# [a-z ]+", text))


def test_a_described_file_is_not_described_twice(file: Path, write: Write) -> None:
    """The same file again changes its sizes only: what a person mended stays mended, comments too."""
    write(picture(1), picture(2))
    mended = file.read_text("utf-8").replace('shot_type = "close-up"', 'shot_type = "cận cảnh" # mended')
    mended = mended.replace("width = 1080", "width = 1080 # px", 1).replace(
        f'summary = "{BALCONY.visual_intent}"', 'summary = "x"', 1
    )
    file.write_text(mended, "utf-8")
    write(picture(1, width=720, height=1280), picture(2))
    first, second = read(file)["assets"]
    assert (first["width"], first["height"], first["summary"]) == (720, 1280, "x")
    assert second["width"] == 1080
    assert file.read_text("utf-8") == mended.replace(
        "width = 1080 # px\nheight = 1920", "width = 720 # px\nheight = 1280"
    )


def test_nothing_new_writes_nothing(file: Path, write: Write) -> None:
    """When all of it stands there already, the file is not touched."""
    write(picture(1))
    before = file.stat()
    write(picture(1))
    write()
    assert file.stat().st_ino == before.st_ino


def test_the_same_file_twice_in_one_call_is_one_row(file: Path, write: Write) -> None:
    """Two pictures under one name are one row, the later one's."""
    write(picture(1), picture(1, width=5))
    assert [row["width"] for row in read(file)["assets"]] == [5]


def test_our_own_file_is_parsed_once(file: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a batch the file that this process left is not parsed again; a change by somebody else is noticed."""
    write(picture(1))

    def explode(*_: object) -> None:
        raise AssertionError("parsed")

    with monkeypatch.context() as patched:
        patched.setattr(tomllib, "loads", explode)
        for number in range(2, 8):
            write(picture(number))
    file.write_text(file.read_text("utf-8").replace("AST_007", "AST_017"), "utf-8")
    write(picture(8))
    assert [row["id"] for row in read(file)["assets"]][-2:] == ["AST_017", "AST_018"]


@pytest.mark.parametrize(
    ("content", "key", "fact"),
    [
        (b"[[assets]]\nid = \n", "semantics_broken", {"line": 2}),
        (b"[[assets]]\nid = 'a", "semantics_broken", {"line": 2}),
        (b"a = 1\nb = '\xff'\n", "semantics_broken", {"line": 2}),
        (b"a = " + b"[" * 9999, "semantics_broken", {"line": 1}),
        (b"assets = 1\n", "semantics_shape", {"table": "assets"}),
        (b"asset_scenes = ['a']\n", "semantics_shape", {"table": "asset_scenes"}),
    ],
)
def test_a_broken_file_is_left_as_it_is(
    file: Path, write: Write, content: bytes, key: str, fact: dict[str, Any]
) -> None:
    """A file that cannot be read is never overwritten; the error says where it is wrong."""
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(FileBroken) as caught:
        write(picture(1))
    assert (caught.value.key, caught.value.facts) == (key, {"file": file, **fact})
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == [file.name]


WRITER = """
import sys
from pathlib import Path
from hoasi.exports import asset_semantics
folder, name = Path(sys.argv[1]), sys.argv[2]
asset = asset_semantics.Asset.model_validate_json(sys.argv[3])
for number in range(25):
    mine = asset.model_copy(update={"file_path": f"{name}{number}"})
    asset_semantics.write(folder / "a.toml", [mine], lock_path=folder / "a.lock", temp_name=".a.new")
"""


@pytest.mark.process
def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Two processes that write twenty-five assets each leave fifty, with fifty ids."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    asset = made().model_dump_json()
    with subprocess.Popen([*command, "x", asset]) as one, subprocess.Popen([*command, "y", asset]) as two:
        pass
    assert (one.returncode, two.returncode) == (0, 0)
    rows = read(tmp_path / "a.toml")["assets"]
    assert [row["id"] for row in rows] == [f"AST_{number:03d}" for number in range(1, 51)]
    assert len({row["file_path"] for row in rows}) == 50
