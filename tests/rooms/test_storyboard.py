"""The local provider's artist: an honest storyboard frame, exact in size, always the same, readable in Vietnamese."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import subprocess
import sys
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageFont, ImageStat
from pydantic import ValidationError

from hoasi.media import storyboard_words as words
from hoasi.media.storyboard import Frame, render, render_png
from hoasi.media.storyboard_sheet import Box, layout
from hoasi.media.storyboard_type import (
    EXTRABOLD,
    FONTS,
    REGULAR,
    SEMIBOLD,
    clean,
    fit,
    font,
    has_glyph,
    line_height,
    rise,
    shorten,
    wrap,
)

MARK = "BẢN PHÁC"
INTENT = "Một người phụ nữ uống cà phê buổi sáng ở ban công, nắng dịu."
RATIOS = [
    *((1080, 1920), (1920, 1080), (1080, 1080), (1080, 1350), (768, 1024), (1024, 768), (1260, 540)),
    *((256, 256), (64, 64), (64, 700), (700, 64), (145, 257)),
]
MOTIFS = tomllib.loads((FONTS.parent / "storyboard_motifs.toml").read_text(encoding="utf-8"))
SHOTS = tomllib.loads((FONTS.parent / "storyboard_shots.toml").read_text(encoding="utf-8"))
VIEWS = ["wide shot", "close-up", "extreme close-up", "top-down", "drone", "low angle", "high angle"]
VIEWS += ["over-the-shoulder", "toàn cảnh", "cận cảnh", "góc thấp", "qua vai", "flycam"]
FACES = (REGULAR, SEMIBOLD, EXTRABOLD)


def frame(**more: Any) -> Frame:
    fields: dict[str, Any] = {
        "width": 256,
        "height": 320,
        "seed": 7,
        "mark": MARK,
        "scene_id": "SC_01",
        "intent": INTENT,
    }
    return Frame.model_validate(fields | {"mood": ("binh-yen",), "shot_types": ("close-up", "slow push-in")} | more)


def changed(one: Frame, other: Frame) -> int:
    """How many pixels differ clearly between two frames."""
    gap = ImageChops.difference(render(one), render(other)).convert("L")
    return sum(gap.histogram()[25:])


def corners(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right, box.bottom


def vietnamese_letters() -> set[str]:
    """The 134 letters that are not ASCII: twelve vowels with five tones, and those with a sign of their own."""
    tones = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
    small = {unicodedata.normalize("NFC", v + t) for v, t in itertools.product("aăâeêioôơuưy", tones)} | {"đ"}
    return {letter for letter in small | {s.upper() for s in small} if not letter.isascii()}


@pytest.mark.parametrize("size", RATIOS, ids=str)
def test_the_picture_has_exactly_the_size_asked_for_and_is_not_blank(size: tuple[int, int]) -> None:
    """Any format gives an RGB picture of exactly its pixels, with plenty of contrast."""
    picture = render(frame(width=size[0], height=size[1]))
    assert (picture.size, picture.mode) == (size, "RGB")
    assert ImageStat.Stat(picture.convert("L")).stddev[0] > 25


def test_the_same_frame_is_the_same_file_in_another_process() -> None:
    """The bytes depend on the frame alone: not on the process, its hash seed, or what was drawn before."""
    wanted = frame(mood=("chưa ai biết",), intent="")
    render(frame(seed=99))
    mine = hashlib.sha256(render_png(wanted, {"seed": "7"})).hexdigest()
    code = (
        "import hashlib, sys; from hoasi.media.storyboard import Frame, render_png;"
        "f = Frame.model_validate_json(sys.argv[1]);"
        "print(hashlib.sha256(render_png(f, {'seed': '7'})).hexdigest())"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "4242"}
    args = [sys.executable, "-c", code, wanted.model_dump_json()]
    theirs = subprocess.run(args, capture_output=True, text=True, check=True, env=environ)
    assert theirs.stdout.strip() == mine


@pytest.mark.parametrize("seed", [0, 1, -1, -7, 2**70])
def test_another_seed_draws_another_picture(seed: int) -> None:
    """Every whole number is a seed of its own, also zero and the negative ones."""
    assert changed(frame(), frame(seed=seed)) > 500
    assert changed(frame(seed=seed), frame(seed=-seed - 1)) > 500


def test_another_mood_draws_another_picture() -> None:
    """Mood decides the colours, in Vietnamese with or without accents and in English."""
    assert changed(frame(mood=("binh-yen",)), frame(mood=("kich-tinh",))) > 20_000
    assert words.palette(["Bình Yên"]) == words.palette(["binh-yen"]) == words.palette(["so peaceful"])
    assert words.palette(["BUỒN_BÃ"]) == words.palette(["melancholic"])


def test_an_unknown_mood_gets_colours_of_its_own_choice() -> None:
    """A mood nobody has named before still has a palette, and not every one the same."""
    assert len({tuple(words.palette([f"zq{i}"])) for i in range(40)}) > 5
    assert words.palette([]) == words.palette(["", " - "]) == words.palette(["neutral"])


def test_a_short_mood_word_is_not_found_inside_another_word() -> None:
    """Danger ("nguy hiem") is not gentle ("em"), and gloom ("am u") is not warm ("am")."""
    assert words.palette(["nguy-hiem"]) == words.palette(["danger"]) != words.palette(["êm"])
    assert len({tuple(words.palette([f"zq{i}em"])) for i in range(9)}) > 1
    assert words.palette(["am-u"]) == words.palette(["dark"]) != words.palette(["ấm"])


@pytest.mark.parametrize("face", FACES)
def test_every_vietnamese_letter_has_a_glyph(face: str) -> None:
    """All 134 Vietnamese letters have a drawing of their own in each bundled font."""
    ruler, letters = font(face, 40), vietnamese_letters()
    missing = bytes(ruler.getmask("\uffff"))
    drawn = {letter: bytes(ruler.getmask(letter)) for letter in letters}
    assert len(letters) == 134
    assert [letter for letter, mask in drawn.items() if mask == missing or not any(mask)] == []
    assert len(set(drawn.values())) >= 133  # small and capital O with a dot may agree in outline, no other pair may


def test_the_fonts_come_with_their_licence() -> None:
    """The three fonts that are used lie in the package, next to the Open Font License."""
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert {path.name for path in FONTS.glob("*.ttf")} == set(FACES)
    assert all(ImageFont.truetype(FONTS / face, 12).getname()[0] == "Be Vietnam Pro" for face in FACES)


@pytest.mark.parametrize("size", RATIOS, ids=str)
@pytest.mark.parametrize("mood", ["kich-tinh", "vui", "u-am"])
def test_the_mark_is_on_every_frame(size: tuple[int, int], mood: str) -> None:
    """The stamp is there in every format and mood, red on cream, over a visible share of the picture."""
    with_mark = frame(width=size[0], height=size[1], mood=(mood,), scene_id="", intent="")
    picture, bare = render(with_mark), render(with_mark.model_copy(update={"mark": ""}))
    box = ImageChops.difference(picture, bare).getbbox()
    assert box is not None
    stamp = picture.crop(box).convert("RGB")
    pixels = stamp.width * stamp.height
    colours = stamp.resize((64, 64)).get_flattened_data()
    red = sum(r > 120 and g < 90 and b < 90 for r, g, b in colours)
    cream = sum(min(r, g, b) > 190 for r, g, b in colours)
    assert pixels > size[0] * size[1] * 0.002
    assert red > 200
    assert cream > 200


def test_the_words_of_the_scene_are_written() -> None:
    """Scene id, role, intent, moods, shots, references, variant and footer each change what is to be read."""
    plain = frame(width=540, height=960)
    told = {"narrative_role": "hook", "references": 2, "index": 2, "count": 3, "footer": "local", "scene_id": "SC_09"}
    for name, value in told.items():
        more = {"count": 3} if name == "index" else {}
        assert changed(plain.model_copy(update=more), plain.model_copy(update={**more, name: value})) > 20, name


def test_decomposed_text_looks_like_composed_text() -> None:
    """A plan that holds its accents as separate signs (NFD) gives the same file."""
    loose = unicodedata.normalize("NFD", INTENT)
    assert loose != INTENT
    assert render_png(frame(intent=loose)) == render_png(frame())


def test_letters_the_font_lacks_are_dropped_or_replaced() -> None:
    """Emoji and control signs vanish, ligatures and wide letters become plain, foreign letters a question mark."""
    assert clean("A\U0001f600\u200d\ufe0fB \t\n C\x00\x1b\u00ad\u202e") == "AB C"
    assert clean("\ufb01 \uff21\uff22 \U0001d401") == "fi AB B"
    assert clean("\u671d \u05d0") == "? ?"
    assert all(has_glyph(letter) for letter in clean("".join(map(chr, range(0x21, 0x3000)))) if letter != " ")


@pytest.mark.parametrize("text", [INTENT * 40, "x" * 2000, "Ử" * 700, "a b " * 500, ""])
@pytest.mark.parametrize("width", [9, 60, 333])
def test_no_line_is_wider_or_block_higher_than_its_box(text: str, width: int) -> None:
    """Wrapped text stays in its box; what does not fit ends with an ellipsis."""
    block = fit(text, REGULAR, (width, 200), range(30, 9, -1))
    ruler = font(REGULAR, block.size)
    assert all(ruler.getlength(line) <= width or len(line) == 1 for line in block.lines)
    assert len(block.lines) * line_height(REGULAR, block.size) <= 200
    whole = "".join(block.lines).replace(" ", "") == text.replace(" ", "")
    assert whole or block.lines[-1].endswith("\u2026") or block.lines[-1] == ""


def test_short_texts_are_kept_whole() -> None:
    """Nothing is cut that fits, and wrapping loses no word."""
    assert shorten(MARK, EXTRABOLD, 20, 400) == MARK
    assert " ".join(wrap(INTENT, REGULAR, 20, 180)) == INTENT
    assert "".join(wrap("x" * 90, REGULAR, 20, 180)) == "x" * 90


@pytest.mark.parametrize("size", [*RATIOS, (8192, 64), (64, 8192), (8192, 8192)], ids=str)
def test_picture_and_words_share_the_sheet_without_touching(size: tuple[int, int]) -> None:
    """The two boxes lie on the sheet and do not overlap, in any format."""
    picture, column = map(corners, layout(*size))
    for left, top, right, bottom in (picture, column):
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
    assert picture[2] <= column[0] or picture[3] <= column[1]


@pytest.mark.parametrize("size", [(1080, 1920), (1920, 1080), (256, 256), (64, 64)], ids=str)
def test_words_stay_in_their_column_however_long_they_are(size: tuple[int, int]) -> None:
    """With 2000 letters of intent and a 60-letter scene id no ink leaves the column of words."""
    long = {"scene_id": "SC_" + "W" * 57, "intent": "Ẩm thực đường phố " * 112, "narrative_role": "vấn đề " * 30}
    long |= {"footer": "chân trang " * 30, "references": 123456, "index": 998, "count": 1000}
    lists = {"mood": ("binh-yen",) + ("dài " * 40,) * 3, "shot_types": ("medium shot " * 30,) * 3}
    wordy = frame(width=size[0], height=size[1], **long, **lists)
    quiet = wordy.model_copy(update=dict.fromkeys(long, "") | {"intent": wordy.intent, "references": 0, "count": 1})
    left, top, right, bottom = corners(layout(*size)[1])
    ink = ImageChops.difference(render(wordy), render(quiet)).getbbox()
    assert ink is not None
    assert (ink[0] >= left - 2, ink[1] >= top, ink[2] <= right + 2, ink[3] <= bottom) == (True, True, True, True)


def test_lines_never_touch_each_other() -> None:
    """A line's height holds every letter: dots below as well as two accents on a capital."""
    letters = vietnamese_letters() | set("gjpqyQ|()")
    for face, size in itertools.product(FACES, range(7, 70)):
        boxes = [font(face, size).getbbox(letter, anchor="ls") for letter in letters]
        assert -min(box[1] for box in boxes) <= rise(face, size)
        assert max(box[3] for box in boxes) <= line_height(face, size) - rise(face, size)


@pytest.mark.parametrize("shot", VIEWS)
def test_each_shot_type_has_its_own_composition(shot: str) -> None:
    """The camera stands elsewhere than for a medium shot at eye level, and the picture shows it."""
    assert words.camera([shot]) != words.camera(["medium shot"])
    same = {"intent": "", "scene_id": ""}
    assert changed(frame(shot_types=(shot,), **same), frame(shot_types=("medium shot",), **same)) > 3000


def test_the_longest_shot_word_wins() -> None:
    """An extreme close-up is no plain close-up, a pan to the left no pan, and a drone sees people small."""
    assert words.camera(["Extreme Close-Up"]).height > words.camera(["close_up"]).height
    assert words.camera(["pan left"]).moves == ("pan_left",)
    assert words.camera(["drone"]).height < words.camera(["wide"]).height
    assert words.camera([]) == words.camera(["gì đó lạ"])


@pytest.mark.parametrize("move", sorted(SHOTS["move"]))
def test_each_camera_move_is_drawn(move: str) -> None:
    """Push-in, pan, tilt, tracking, handheld ... put their marks on the picture."""
    word = SHOTS["move"][move][0 if move != "pan_right" else 1]
    assert move in words.camera([word]).moves
    still, moving = frame(shot_types=("medium",)), frame(shot_types=("medium", word))
    assert changed(still.model_copy(update={"shot_types": ("medium", "zz")}), moving) > 150


def test_a_scene_shows_what_its_intent_names() -> None:
    """People, things, light and place are found in Vietnamese, without accents too, and in English."""
    for text in (
        INTENT,
        "Mot nguoi phu nu uong ca phe buoi sang o ban cong",
        "A woman drinks coffee on the balcony, morning",
    ):
        seen = words.motifs(text, near=True, chance="1")
        assert seen.cast == ("long",)
        assert seen.things == ("cup",)
        assert "sun" in seen.lights
        assert "rail" in seen.layers


def test_accents_tell_words_apart_where_the_text_has_them() -> None:
    """ "mua" (to buy) is no rain in a text with accents, a page (trang) no moon, a clock (dong ho) no lake."""
    assert "rain" not in words.motifs("Cô ấy mua hàng", near=True, chance="1").lights
    assert "rain" in words.motifs("Trời mưa", near=True, chance="1").lights
    assert "rain" in words.motifs("troi mua", near=True, chance="1").lights
    assert "night" not in words.motifs("Trang bìa màu trắng", near=True, chance="1").lights
    assert "water" not in words.motifs("Chiếc đồng hồ", near=True, chance="1").layers


def test_nobody_stands_where_the_plan_wants_nobody() -> None:
    """ "No people" empties the scene; a scene without any hint has one person."""
    assert words.motifs("Căn phòng không có người", near=True, chance="1").cast == ()
    assert words.motifs("Her street, no people", near=True, chance="1").cast == ()
    assert len(words.motifs("", near=True, chance="1").cast) == 1


@pytest.mark.parametrize("kind", ["who", "light", "place", "thing"])
@pytest.mark.parametrize("shot", ["wide", "medium", "detail", "top-down", "drone", "over the shoulder"])
def test_every_motif_can_be_drawn_from_every_camera(kind: str, shot: str) -> None:
    """Each entry of the motif table is drawn: no unknown layer, tone or part."""
    for entry in MOTIFS[kind].values():
        picture = render(frame(width=128, height=128, intent=entry["words"][0], shot_types=(shot,)))
        assert ImageStat.Stat(picture.convert("L")).stddev[0] > 15, entry["words"][0]


def test_the_file_carries_its_notes() -> None:
    """Each entry of `text` is an iTXt chunk, with accents, before the pixels."""
    notes = {"Title": "Bản phác SC_01", "Software": "hoasi", "prompt": "dòng 1\ndòng 2"}
    data = render_png(frame(), notes)
    assert Image.open(io.BytesIO(data)).info == notes
    assert data.index(b"iTXt") < data.index(b"IDAT")
    assert data.count(b"iTXt") == 3


@pytest.mark.parametrize("key", ["", "k" * 80, "khoá ấm"])
def test_a_note_no_png_can_carry_is_refused(key: str) -> None:
    """A key that PNG does not allow is an error, not a broken file."""
    with pytest.raises(ValueError, match=r"79|latin-1"):
        render_png(frame(), {key: "x"})


@pytest.mark.parametrize("size", [(1080, 1920), (1920, 1080)], ids=str)
def test_a_frame_is_a_reasonable_file(size: tuple[int, int]) -> None:
    """A full-HD frame weighs 0.2 to 2 MB and opens as the same picture."""
    data = render_png(wanted := frame(width=size[0], height=size[1]))
    assert 200_000 < len(data) < 2_000_000
    assert ImageChops.difference(Image.open(io.BytesIO(data)), render(wanted)).getbbox() is None


@pytest.mark.parametrize(
    "odd",
    [
        {"mood": (), "shot_types": (), "intent": "", "scene_id": "", "mark": ""},
        {
            "mood": ("", "\U0001f600"),
            "shot_types": ("", "???"),
            "intent": "\U0001f600\u0000\u202e",
            "scene_id": "\u200b",
        },
        {"mood": ("x" * 5000,) * 50, "shot_types": ("push in " * 999,) * 50, "intent": "từ " * 9000},
        {"index": -5, "count": 0, "references": -1, "seed": -(2**80)},
        {"index": 10**9, "count": 10**9, "references": 10**9, "footer": "\n" * 500, "mark": "Ử" * 500},
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (320, 180)], ids=str)
def test_odd_input_still_gives_a_picture(odd: dict[str, Any], size: tuple[int, int]) -> None:
    """Empty, endless or strange text and numbers never stop the artist."""
    assert render(frame(**odd, width=size[0], height=size[1])).size == size


@pytest.mark.parametrize("wrong", [{"width": 63}, {"height": 8193}, {"seed": "x"}, {"colour": "red"}, {"mark": None}])
def test_a_wrong_frame_is_refused(wrong: dict[str, Any]) -> None:
    """A frame is checked when it is made, knows no other fields, and does not change afterwards."""
    with pytest.raises(ValidationError):
        frame(**wrong)
    with pytest.raises(ValidationError, match="frozen"):
        frame().seed = 8  # type: ignore[misc]


def test_the_tables_are_read_beside_the_code() -> None:
    """The tables lie in the package, and each palette has five colours and words of its own."""
    assert Path(words.__file__).parent == FONTS.parent
    palettes = words.table("palettes.toml")["palettes"]
    said = [word for entry in palettes for word in entry["words"]]
    assert all(len(entry["colours"]) == 5 for entry in palettes)
    assert len(said) == len({words.fold(word) for word in said})
