"""Looking at a clip: whole or not, how large and long, which way up, anything to see."""

from __future__ import annotations

import io
import re
import resource
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageDraw

from hoasi.errors import FileBroken, NotSupported, ResultBroken
from hoasi.media import clip_open, image, video
from hoasi.messages import LANGUAGES, explain, speak

KINDS = {
    "mp4": ("video/mp4", "libx264", {"movflags": "+faststart"}),
    "mp4_late": ("video/mp4", "libx264", {}),
    "mp4_pieces": ("video/mp4", "libx264", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    "mov": ("video/quicktime", "libx264", {}),
    "webm": ("video/webm", "libvpx-vp9", {}),
    "webm_clusters": ("video/webm", "libvpx-vp9", {"cluster_time_limit": "300"}),
    "mkv": ("video/x-matroska", "libx264", {}),
}
FORMS = {"mkv": "matroska"}


def picture(number: int, size: tuple[int, int]) -> Image.Image:
    """White, red upper left corner, and a bar that walks to the right."""
    shown = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(shown)
    pen.rectangle((0, 0, size[0] // 4, size[1] // 4), fill="red")
    pen.rectangle((number * size[0] // 30, size[1] // 2, number * size[0] // 30 + 4, size[1]), fill="black")
    return shown


def clip(
    kind: str = "mp4",
    *,
    count: int = 24,
    fps: int = 12,
    size: tuple[int, int] = (64, 48),
    turn: int = 0,
    sound_s: float = 0,
    sound_from_s: float = 0,
    draw: Any = picture,
    shape: Fraction | None = None,
) -> bytes:
    """A clip made here, with a tone where `sound_s` is not 0."""
    _, codec, options = KINDS[kind]
    form = kind.partition("_")[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        _write(str(path), form, codec, options, count, fps, size, turn, (sound_s, sound_from_s), draw, shape)
        return path.read_bytes()


def _write(
    file: Any, form: str, codec: str, options: dict[str, str], count: int, fps: int, size: tuple[int, int], turn: int,
    sounds: tuple[float, float], draw: Any, shape: Fraction | None,
) -> None:  # fmt: skip
    with av.open(file, "w", format=FORMS.get(form, form), options=options) as container:
        stream = container.add_stream(codec, rate=fps, options={"g": "6"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if turn:
            stream.set_display_rotation(turn)
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        sound = container.add_stream("libopus" if form == "webm" else "aac", rate=48_000) if sounds[0] else None
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_image(draw(number, size))))
        container.mux(stream.encode(None))
        if sound:
            tone(container, sound, *sounds)


def tone(container: Any, stream: Any, duration_s: float, from_s: float = 0, rate: int = 48_000) -> None:
    wave = struct.pack("<1024h", *(9000 if at % 96 < 48 else -9000 for at in range(1024)))
    for number in range(int(duration_s * rate / 1024)):
        frame = av.AudioFrame(format="s16", layout="mono", samples=1024)
        frame.planes[0].update(wave)
        frame.sample_rate, frame.pts, frame.time_base = rate, round(from_s * rate) + number * 1024, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clip.bin"


def saved(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_is_comes_from_the_content(file: Path, kind: str) -> None:
    """Type, size, length, rate and number of frames are those that were made, whatever the name; a probe agrees."""
    saved(file, clip(kind))
    look = video.inspect(file)
    assert (look.media_type, look.width, look.height) == (KINDS[kind][0], 64, 48)
    assert (look.frames, look.fps, look.has_audio, look.is_blank) == (24, 12.0, False, False)
    assert look.duration_s == pytest.approx(2.0, abs=0.01)
    assert look.codec == ("vp9" if "webm" in kind else "h264")
    assert video.extension(look.media_type) == kind.partition("_")[0]
    quick = video.probe(file)
    assert quick.model_dump(exclude={"frames", "duration_s"}) == look.model_dump(exclude={"frames", "duration_s"})


@pytest.mark.parametrize("kind", ["mp4", "webm", "mov"])
def test_sound_is_noticed(file: Path, kind: str) -> None:
    """A clip with sound says so; sound that is longer than the picture neither breaks nor lengthens it."""
    look = video.inspect(saved(file, clip(kind, sound_s=2.4)))
    assert look.has_audio
    assert look.duration_s == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_sizes_and_frames_are_those_a_viewer_shows(file: Path, turn: int) -> None:
    """A telephone's clip that lies on its side in the file is portrait, and its frames stand upright."""
    saved(file, clip(turn=turn))
    expected = (48, 64) if turn in {90, -90} else (64, 48)
    assert (video.inspect(file).width, video.inspect(file).height) == expected
    assert (video.probe(file).width, video.probe(file).height) == expected
    shown = Image.open(io.BytesIO(video.frame_png(file, "first")))
    assert shown.size == expected
    for number, corner in enumerate(corners(shown)):
        is_red = corner[0] > 180 and corner[1] < 90
        assert is_red == (number == {0: 0, 90: 3, 180: 2, -90: 1}[turn])


def corners(shown: Image.Image) -> list[Any]:
    """Clockwise from the upper left."""
    right, bottom = shown.width - 4, shown.height - 4
    return [shown.getpixel(place) for place in ((3, 3), (right, 3), (right, bottom), (3, bottom))]


def test_pixels_that_are_not_square(file: Path) -> None:
    """A clip whose pixels are twice as wide as high is as wide as a viewer shows it."""
    saved(file, clip(shape=Fraction(2, 1)))
    assert (video.inspect(file).width, video.inspect(file).height) == (128, 48)
    assert video.frames(file, 1)[0].size == (128, 48)


@pytest.mark.parametrize("kind", ["mp4", "mp4_late", "webm", "mkv"])
def test_a_cut_anywhere_is_noticed(file: Path, kind: str) -> None:
    """A clip that lost any number of its last bytes is refused, or all of its promised length can be seen."""
    whole = clip(kind, count=8, fps=8, sound_s=0.9)
    places = sorted({len(whole) - 1, *range(0, len(whole), max(1, len(whole) // 909))})
    assert len(places) >= 455
    refused = 0
    for place in places:
        saved(file, whole[:place])
        try:
            look = video.inspect(file)
        except ResultBroken:
            refused += 1
        else:
            assert (look.frames, round(look.duration_s, 2)) == (8, 1.0), place
    assert refused >= len(places) - 60


def test_a_cut_in_pieces_is_noticed(file: Path) -> None:
    """Of a clip in pieces, which promises no length, a cut within a piece is noticed; a cut between two cannot be."""
    whole = clip("mp4_pieces")
    borders = {found.start() - 4 for found in re.finditer(b"moof|mfra", whole)}
    for place in sorted(set(range(900, len(whole), 7)) - borders):
        with pytest.raises(ResultBroken, match=r"clip_truncated|not_a_clip"):
            video.inspect(saved(file, whole[:place]))


def test_a_live_recording_is_held_to_its_promise(file: Path) -> None:
    """A webm that leaves its size open and ends well, but before the length it promised, is cut short."""
    whole = clip("webm_clusters")
    at = whole.index(b"\x18\x53\x80\x67") + 4
    live = whole[:at] + b"\x01" + b"\xff" * 7 + whole[at + 8 :]
    assert video.inspect(saved(file, live)).frames == 24
    with pytest.raises(ResultBroken, match="clip_truncated") as caught:
        video.inspect(saved(file, live[: live.rindex(b"\x1f\x43\xb6\x75")]))
    assert caught.value.facts["promised_s"] == pytest.approx(2, abs=0.01)
    assert 1 < caught.value.facts["came_s"] < 1.8


def test_how_much_came_is_told(file: Path) -> None:
    """The error of a clip that breaks off names the seconds that came and those promised, in both languages."""
    whole = clip(count=48, sound_s=4)
    with pytest.raises(ResultBroken) as caught:
        video.inspect(saved(file, whole[: len(whole) * 6 // 10]))
    facts = caught.value.facts
    assert caught.value.key == "clip_truncated"
    assert facts["promised_s"] == pytest.approx(4.0, abs=0.1)
    assert 0.5 < facts["came_s"] < 3.5
    for language in reversed(LANGUAGES):
        speak(language)
        assert str(facts["came_s"]) in explain(caught.value.problem()).message


def test_a_cut_is_noticed_at_a_glance(file: Path) -> None:
    """A probe refuses a clip of which the end is missing, without claiming to know how much of it can be seen."""
    whole = clip(count=48)
    with pytest.raises(FileBroken) as caught:
        video.probe(saved(file, whole[: len(whole) * 6 // 10]))
    assert (caught.value.key, caught.value.facts["came_s"]) == ("clip_truncated", "?")


def test_a_missing_table_is_a_cut(file: Path) -> None:
    """An mp4 whose table was to come last and did not is cut short, and does not pretend to know how much."""
    late = clip("mp4_late")
    with pytest.raises(ResultBroken) as caught:
        video.inspect(saved(file, late[: late.rindex(b"moov") - 4]))
    assert (caught.value.key, caught.value.facts) == (
        "clip_truncated",
        {"name": "clip.bin", "came_s": 0, "promised_s": "?"},
    )


def png() -> bytes:
    sheet = io.BytesIO()
    picture(3, (64, 48)).save(sheet, "PNG")
    return sheet.getvalue()


def avif() -> bytes:
    sheet = io.BytesIO()
    picture(3, (64, 48)).save(sheet, "AVIF")
    return sheet.getvalue()


def only_sound() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        tone(container, container.add_stream("aac", rate=48_000), 1)
    return file.getvalue()


ALIENS = {
    "nothing": b"",
    "text": b"This is not the clip that you are looking for.\n" * 40,
    "page": b"<html>503 Service Unavailable</html>",
    "picture": png(),
    "picture_in_boxes": avif(),
    "bare_boxes": b"\0\0\0\x14ftypisom\0\0\2\0isom\0\0\0\x08moov",
    "bare_ebml": b"\x1a\x45\xdf\xa3\x80",
    "sound": only_sound(),
    "many_boxes": b"\0\0\0\x14ftypisom\0\0\2\0isom" + b"\0\0\0\x08free" * 300_000,
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n",
    "list_of_files": b"ffconcat version 1.0\nfile '/etc/hostname'\n",
}


@pytest.mark.parametrize("name", ALIENS)
def test_what_is_no_clip_is_refused(file: Path, name: str) -> None:
    """Whatever is no clip is a broken result, or the caller's broken file in a probe, and the error names it."""
    saved(file, ALIENS[name])
    key = "clip_truncated" if name == "bare_ebml" else "not_a_clip"
    with pytest.raises(ResultBroken, match=key) as result:
        video.inspect(file)
    with pytest.raises(FileBroken, match=key) as given:
        video.probe(file)
    assert result.value.facts["name"] == given.value.facts["name"] == "clip.bin"
    assert (result.value.paid, given.value.paid) == ("yes", "no")


def test_damage_raises_nothing_else(file: Path) -> None:
    """Flipped bytes anywhere give a look or a broken result, never another error."""
    for kind in ("mp4", "webm"):
        whole = bytearray(clip(kind, count=6, sound_s=0.4))
        for place in range(0, len(whole), max(1, len(whole) // 150)):
            broken = bytearray(whole)
            broken[place] ^= 0xFF
            with suppress(ResultBroken):
                video.inspect(saved(file, bytes(broken)))


BOMB = """
import resource, sys
from pathlib import Path
from hoasi.errors import ResultBroken
from hoasi.media import video
video.inspect(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    video.inspect(Path(sys.argv[2]))
except ResultBroken as error:
    print(error.key, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """A small file whose one frame claims to be 16000 x 15000 costs no memory: its size is judged first."""
    whole = saved(tmp_path / "whole.webm", clip("webm", count=1))
    data = whole.read_bytes()
    key_frame = b"\x49\x83\x42"  # VP9's sync code; 16-bit width - 1 and height - 1 begin four bits behind it
    at = data.index(key_frame) + 3
    old = int.from_bytes(data[at : at + 5], "big")
    vast = (old & ~(0xFFFFFFFF << 4)) | (15_999 << 20 | 14_999 << 4)
    for name, bomb in {
        "frame": data[:at] + vast.to_bytes(5, "big") + data[at + 5 :],
        "head": data.replace(b"\xb0\x81\x40\xba\x81\x30", b"\xb0\x82\x3e\x80\xba\x82\x3a\x98"),
    }.items():
        path = saved(tmp_path / name, bomb)
        assert bomb != data
        run = subprocess.run(
            [sys.executable, "-c", BOMB, whole, path], capture_output=True, text=True, check=True, timeout=60
        )
        key, more_mb = run.stdout.split()
        assert key in {"not_a_clip", "clip_too_large", "clip_truncated"}
        assert int(more_mb) < 100


def test_limits_hold(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes, larger frames or more of them than allowed are refused, and exactly as many pass."""
    saved(file, clip())
    size = file.stat().st_size
    assert video.inspect(file, max_bytes=size).frames == 24
    with pytest.raises(ResultBroken, match="clip_too_large"):
        video.inspect(file, max_bytes=size - 1)
    monkeypatch.setattr(clip_open, "LIMIT_FRAMES", 24)
    monkeypatch.setattr(clip_open, "LIMIT_FRAME_PIXELS", 64 * 48)
    assert video.inspect(file).frames == 24
    monkeypatch.setattr(clip_open, "LIMIT_FRAMES", 23)
    with pytest.raises(ResultBroken, match="clip_too_large"):
        video.inspect(file)
    monkeypatch.setattr(clip_open, "LIMIT_FRAMES", 24)
    monkeypatch.setattr(clip_open, "LIMIT_FRAME_PIXELS", 64 * 48 - 1)
    with pytest.raises(ResultBroken, match="clip_too_large"):
        video.inspect(file)


def test_memory_does_not_grow_with_length(file: Path) -> None:
    """Frames are held one at a time: 600 of them (half a gigabyte decoded) take no more than a few."""
    saved(file, clip(count=600, fps=60, size=(640, 480)))
    video.inspect(saved(file.with_name("short"), clip(count=12, fps=60, size=(640, 480))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert video.inspect(file).frames == 600
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < 60


@pytest.mark.parametrize("colour", ["black", "white", "#206080"])
def test_a_blank_clip_is_noticed(file: Path, colour: str) -> None:
    """Frames of one flat colour are blank, and a small mark in a single frame is enough not to be."""
    assert video.inspect(saved(file, clip(draw=lambda _, size: Image.new("RGB", size, colour)))).is_blank

    def marked(number: int, size: tuple[int, int]) -> Image.Image:
        shown = Image.new("RGB", size, colour)
        if number == 17:
            ImageDraw.Draw(shown).rectangle((20, 20, 32, 32), fill="orange")
        return shown

    assert not video.inspect(saved(file, clip(draw=marked))).is_blank


def bar(shown: Image.Image) -> float:
    """Which frame it is: where the black bar stands."""
    line = shown.convert("L").crop((0, shown.height * 3 // 4, shown.width, shown.height * 3 // 4 + 1))
    dark = [x for x in range(line.width) if line.getpixel((x, 0)) < 90]  # type: ignore[operator]
    return (sum(dark) / len(dark) - 2) * 30 / shown.width


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_asked_for_comes(file: Path, kind: str) -> None:
    """First, last, or the one on the screen at a time, also between key frames and beyond the end."""
    saved(file, clip(kind, size=(240, 120)))
    for at, number in {"first": 0, "last": 23, 0.0: 0, 1.0: 12, 1.04: 12, 0.3: 3, 99.0: 23, -1.0: 0}.items():
        shown = Image.open(io.BytesIO(video.frame_png(file, at)))  # type: ignore[arg-type]
        assert shown.size == (240, 120)
        assert bar(shown) == pytest.approx(number, abs=0.4), at
    assert Image.open(io.BytesIO(video.frame_png(file, "last", max_px=60))).size == (60, 30)


def test_frames_are_spread_evenly(file: Path) -> None:
    """From the first to the last; a single one is of the middle."""
    saved(file, clip("webm", size=(240, 120), count=25, fps=25))
    found = [bar(shown) for shown in video.frames(file, 5)]
    assert found == pytest.approx([0, 6, 12, 18, 24], abs=0.4)
    assert bar(video.frames(file, 1)[0]) == pytest.approx(12, abs=0.4)
    assert all(shown.mode == "RGB" for shown in video.frames(file, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_watched_one_by_one(file: Path, kind: str) -> None:
    """So many a second, from the first to the last, each once; never fewer than the least, nor more than the most."""
    saved(file, clip(kind, size=(240, 120), count=25, fps=12))

    def seen(**given: Any) -> list[float]:
        found = [*video.watch(file, **{"per_s": 3, "least": 2, "most": 99, "max_px": 240, **given})]
        assert {(shown.mode, shown.size) for shown in found} == {("RGB", (240, 120))}
        return [bar(shown) for shown in found]

    assert seen() == pytest.approx([0, 4, 8, 12, 16, 20, 24], abs=1.1)  # some files round to milliseconds
    assert seen(most=3) == pytest.approx([0, 12, 24], abs=1.1)
    assert seen(least=13) == pytest.approx([*range(0, 25, 2)], abs=1.1)
    assert seen(least=200) == pytest.approx([*range(25)], abs=0.4)
    assert next(video.watch(file, per_s=1, least=2, most=2, max_px=60)).size == (60, 30)


def test_a_clip_of_one_frame_is_watched(file: Path) -> None:
    """It has no length."""
    assert len([*video.watch(saved(file, clip(count=1)), per_s=2, least=8, most=240, max_px=64)]) == 1


def test_what_cannot_be_watched_to_its_end_is_told(file: Path) -> None:
    """Half a clip never passes for a clip with nobody in it."""
    data = clip("mp4_late", count=200)
    saved(file, data[:200] + bytes(len(data) - 9000) + data[-8800:])
    with pytest.raises(FileBroken):
        [*video.watch(file, per_s=2, least=8, most=240, max_px=64)]


@pytest.mark.parametrize(("size", "count"), [((240, 120), 6), ((90, 160), 6), ((64, 64), 1), ((64, 48), 7)])
def test_a_contact_sheet_fits(file: Path, size: tuple[int, int], count: int) -> None:
    """The sheet is a whole JPEG with something on it, and no side is longer than allowed."""
    saved(file, clip(size=size))
    sheet = saved(file.with_name("sheet"), video.contact(file, count, 400))
    look = image.inspect(sheet)
    assert (look.format, look.is_blank) == ("JPEG", False)
    assert 300 < max(look.width, look.height) <= 400


def test_colours_are_right(file: Path) -> None:
    """A clip without a colour label is read as players read it: below HD by BT.601, from there on by BT.709."""
    for size, name in (((128, 96), "ITU601"), ((1280, 720), "ITU709")):

        def green(_: int, size: tuple[int, int]) -> Image.Image:
            return Image.new("RGB", size, (30, 160, 60))

        path = file.with_name(name)
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=5)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            frame = av.VideoFrame.from_image(green(0, size)).reformat(format="yuv420p", dst_colorspace=name)
            frame.colorspace = clip_open.UNSPECIFIED
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        shown = video.frames(path, 1)[0].getpixel((50, 50))
        assert shown == pytest.approx((30, 160, 60), abs=4)


def test_a_cover_picture_is_no_clip(file: Path) -> None:
    """A song with its cover in an mp4 box has no moving picture."""
    with av.open(str(file), "w", format="mp4") as container:
        tune = container.add_stream("aac", rate=48_000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_image(picture(0, (64, 48)))))
        container.mux(cover.encode(None))
        tone(container, tune, 0.5)
    with pytest.raises(ResultBroken, match="not_a_clip"):
        video.inspect(file)


def test_without_pyav_the_fix_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the media parts are not installed, the error says how to get them, in both languages."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NotSupported) as caught:
        video.inspect(saved(file, b""))
    assert caught.value.key == "media_extra_missing"
    for language in reversed(LANGUAGES):
        speak(language)
        assert "hoasi[media]" in explain(caught.value.problem()).fix


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an OSError, not a broken clip."""
    for look in (video.inspect, video.probe):
        with pytest.raises(FileNotFoundError):
            look(tmp_path / "none.mp4")
