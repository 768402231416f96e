"""Clips without a model: slow moves over a picture, and on from a clip's last frame."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import av
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from hoasi.errors import FileBroken
from hoasi.media import clip_sheet, isobmff, kenburns, storyboard_sheet, video
from hoasi.media.clip_film import filmed
from rooms.test_video import clip, tone

SEEDS = range(24)
MARK = "B\u1ea2N PH\u00c1C"


def drawn(width: int, height: int, mode: str = "RGB") -> bytes:
    """Coloured from edge to edge, with a grid; nothing in it is black."""
    shown = Image.merge(
        "RGB", [Image.linear_gradient("L").rotate(turn).resize((width, height)) for turn in (0, 90, 180)]
    )
    shown = shown.point([90 + value * 150 // 255 for value in range(256)] * 3)
    pen = ImageDraw.Draw(shown)
    for at in range(0, max(width, height), 40):
        pen.line((at, 0, at, height), fill="white", width=3)
        pen.line((0, at, width, at), fill="white", width=3)
    sheet = io.BytesIO()
    shown.convert(mode).save(sheet, "PNG")
    return sheet.getvalue()


def shots(path: Path) -> list[Image.Image]:
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, of 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4"


def saved(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


def burned(file: Path, **given: Any) -> Path:
    asked = {"duration_s": 1.0, "width": 180, "height": 320, "seed": 1} | given
    return saved(file, kenburns.ken_burns(asked.pop("picture", drawn(270, 480)), **asked))


def test_it_is_what_was_asked_for(file: Path) -> None:
    """Size, length, rate and codec are those asked for; an odd side loses a pixel; it plays before all has come."""
    look = video.inspect(burned(file, width=181, height=320, duration_s=1.5, fps=30, mark=MARK))
    assert (look.media_type, look.width, look.height, look.codec) == ("video/mp4", 180, 320, "h264")
    assert (look.frames, look.fps, look.duration_s, look.has_audio) == (45, 30.0, 1.5, False)
    kinds = [box.kind for box in isobmff.boxes(io.BytesIO(file.read_bytes()))]
    assert kinds.index(b"moov") < kinds.index(b"mdat")
    with av.open(str(file)) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.colorspace, context.color_range) == ("yuv420p", 1, 1)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Deterministic for a seed, and seeds differ."""

    def made(seed: int) -> bytes:
        return kenburns.ken_burns(drawn(270, 480), duration_s=0.5, width=90, height=160, seed=seed, mark=MARK)

    assert made(5) == made(5)
    assert len({made(seed) for seed in range(8)}) >= 4


@pytest.mark.parametrize("size", [(270, 480), (640, 200), (200, 900), (64, 64), (4000, 40)])
def test_the_picture_fills_every_frame(file: Path, size: tuple[int, int]) -> None:
    """Whatever the picture's shape and the move, no border is seen: no frame has a dark line at its edge."""
    for seed in range(5):
        burned(file, picture=drawn(*size), seed=seed, duration_s=0.5)
        for shown in shots(file):
            edges = [(0, 0, 180, 2), (0, 318, 180, 320), (0, 0, 2, 320), (178, 0, 180, 320)]
            assert min(min(ImageStat.Stat(shown.crop(edge)).mean) for edge in edges) > 70


@pytest.mark.parametrize("size", [(1000, 500), (500, 1000), (500, 500)])
def test_moves_are_slow_and_smooth(size: tuple[int, int]) -> None:
    """The window stays within the picture, stands still at both ends, never jerks, and never hurries."""
    for seed in SEEDS:
        move = kenburns._choose(kenburns.Random(f"{seed}"), (540, 960), size, 5.0)
        windows = [move.at(number / 119) for number in range(120)]
        boxes = [window.box((1, 1)) for window in windows]
        assert all(
            (right - left, bottom - top) == pytest.approx((window.width, window.height))
            for window, (left, top, right, bottom) in zip(windows, boxes, strict=True)
        )
        assert all(-1e-9 <= left < right <= 1 + 1e-9 for left, _, right, _ in boxes)
        assert all(-1e-9 <= top < bottom <= 1 + 1e-9 for _, top, _, bottom in boxes)
        for side in range(4):
            share = windows[0].width if side % 2 == 0 else windows[0].height
            steps = [(after[side] - before[side]) / share for before, after in pairwise(boxes)]
            assert abs(steps[0]) < 0.0003
            assert abs(steps[-1]) < 0.0003
            assert max(abs(step) for step in steps) < 0.0035
            changes = [after - before for before, after in pairwise(steps)]
            assert max(abs(change) for change in changes) < 0.0001
            assert max(steps) <= 1e-9 or min(steps) >= -1e-9, "it turns back"


def test_something_moves(file: Path) -> None:
    """First and last frame differ, whichever move the seed chooses, and neighbours differ little."""
    for seed in range(6):
        seen = shots(burned(file, seed=seed, duration_s=2))
        assert difference(seen[0], seen[-1]) > 2
        assert max(difference(*pair) for pair in pairwise(seen)) < difference(seen[0], seen[-1])


def test_a_line_glides_without_jitter(file: Path) -> None:
    """A line moves by parts of a pixel without a step back or a jerk, and the codec leaves it there (0.25 px)."""
    picture, size = Image.new("RGB", (720, 1280), "white"), (360, 640)
    ImageDraw.Draw(picture).rectangle((500, 0, 519, 1280), fill=(60, 60, 60))
    move = kenburns._Move(kenburns._View(0, 0, 1), kenburns._View(0, -0.25, 1.1))
    sheet = kenburns._laid_out(picture, size, 1.1)

    def shoot(film: Any) -> None:
        for number in range(72):
            film.show(sheet.seen(move.at(number / 71), size), number / 24)

    drawn_at = [_place(sheet.seen(move.at(number / 71), size).to_image()) for number in range(72)]
    steps = [after - before for before, after in pairwise(drawn_at)]
    assert sum(steps) > 3
    assert min(steps) > -0.02
    assert max(abs(after - before) for before, after in pairwise(steps)) < 0.06
    burned_at = [_place(shown) for shown in shots(saved(file, filmed(size, Fraction(24), shoot)))]
    assert max(abs(burnt - drawn) for burnt, drawn in zip(burned_at, drawn_at, strict=True)) < 0.25


def _place(shown: Image.Image) -> float:
    """The middle of the dark line, in parts of a pixel."""
    row = shown.convert("L").resize((shown.width, 1), Image.Resampling.BOX, box=(0, 200, shown.width, 400))
    weights = [255 - row.getpixel((x, 0)) for x in range(row.width)]  # type: ignore[operator]
    return sum(x * w for x, w in enumerate(weights)) / sum(weights)


def test_the_mark_is_small_and_in_its_corner(file: Path) -> None:
    """The mark changes the upper left, and nothing else; without words there is none."""
    plain = shots(burned(file, width=540, height=960, duration_s=0.2))[0]
    marked = shots(burned(file, width=540, height=960, duration_s=0.2, mark=MARK))[0]
    changed = ImageChops.difference(plain, marked).convert("L").point(lambda value: 255 if value > 40 else 0).getbbox()
    assert changed is not None
    left, top, right, bottom = changed
    assert left > 48
    assert top > 48
    assert right < 150
    assert bottom < 90
    assert kenburns.ken_burns(drawn(90, 160), duration_s=0.2, width=90, height=160, seed=1, mark=" ")


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (480, 480)])
def test_the_mark_keeps_clear_of_the_film_and_of_the_words(file: Path, size: tuple[int, int]) -> None:
    """A bright scene, the film dark as it is, the words a dark block: whatever move a seed chooses,
    nothing dark is ever seen where the mark lies."""
    paper = (250, 246, 238)
    scene, words = storyboard_sheet.layout(*size)
    bright = Image.new("RGB", (scene.width, scene.height), "white")
    sheet = Image.new("RGB", size, paper)
    tones: Any = {"ink": (0, 0, 0), "sky": paper}
    sheet.paste(storyboard_sheet.gate(bright, tones, paper, Random(1)), (scene.left, scene.top))
    sheet.paste("black", (words.left, words.top, words.right, words.bottom))
    written = io.BytesIO()
    sheet.save(written, "PNG")
    mark = clip_sheet.mark_of(MARK, *size)
    assert mark is not None
    left, top, right, bottom = mark.letters.getbbox() or (0, 0, 0, 0)
    place = (mark.at[0] + left, mark.at[1] + top, mark.at[0] + right, mark.at[1] + bottom)
    for seed in SEEDS:
        burned(file, picture=written.getvalue(), seed=seed, duration_s=10, fps=1, width=size[0], height=size[1])
        darkest = min(shown.convert("L").crop(place).getextrema()[0] for shown in shots(file))  # type: ignore[type-var]
        assert darkest > 200, seed  # type: ignore[operator]


def test_a_picture_on_its_side_and_a_transparent_one(file: Path) -> None:
    """A telephone's picture is turned upright first; what is transparent lies on white."""
    exif = Image.Exif()
    exif[0x0112] = 6
    sheet = io.BytesIO()
    side = Image.new("RGB", (320, 180), "white")
    ImageDraw.Draw(side).rectangle((0, 0, 320, 90), fill="red")
    side.save(sheet, "JPEG", exif=exif)
    upright = shots(burned(file, picture=sheet.getvalue()))[0]
    assert upright.getpixel((20, 160))[0] > 200  # type: ignore[index]
    assert upright.getpixel((20, 160))[2] > 200  # type: ignore[index]
    assert upright.getpixel((160, 160))[2] < 90  # type: ignore[index]
    sheet = io.BytesIO()
    Image.new("RGBA", (90, 160)).save(sheet, "PNG")
    assert min(shots(burned(file, picture=sheet.getvalue()))[0].getpixel((50, 50))) > 245  # type: ignore[type-var, arg-type]


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """No picture, no clip; nothing was paid."""
    with pytest.raises(FileBroken, match="not_a_picture"):
        kenburns.ken_burns(data, duration_s=1, width=90, height=160, seed=1)


@pytest.mark.parametrize("kind", ["mp4", "webm", "mov"])
@pytest.mark.parametrize("direction", ["end", "start"])
def test_a_longer_clip_has_the_old_one_in_it(file: Path, kind: str, direction: Any) -> None:
    """Old part and new: same size and rate, old frames where they belong, and a seam that cannot be seen."""
    old = saved(file, clip(kind, size=(240, 120), count=24, fps=12))
    before = shots(old)
    longer = saved(file.with_name("longer.mp4"), kenburns.extend(old, duration_s=1.5, direction=direction, seed=4))
    look = video.inspect(longer)
    assert (look.width, look.height, look.fps, look.frames) == (240, 120, 12.0, 42)
    assert look.duration_s == pytest.approx(3.5, abs=0.01)
    seen = shots(longer)
    kept, seam, far = (seen[:24], seen[24], seen[-1]) if direction == "end" else (seen[18:], seen[17], seen[0])
    assert max(difference(*pair) for pair in zip(before, kept, strict=True)) < 3
    edge = before[-1] if direction == "end" else before[0]
    assert difference(edge, seam) < 1
    assert difference(edge, far) > 2


@pytest.mark.parametrize("kind", ["mp4", "webm"])
@pytest.mark.parametrize("direction", ["end", "start"])
def test_sound_stays_with_its_pictures(file: Path, kind: str, direction: Any) -> None:
    """The old part's sound is heard with the old part, and the new part is silent."""
    old = saved(file, clip(kind, count=24, fps=12, sound_s=2))
    longer = saved(file.with_name("longer.mp4"), kenburns.extend(old, duration_s=1.5, direction=direction, seed=4))
    assert video.inspect(longer).has_audio
    loud = loudness(longer)
    starts_s, ends_s = (0, 2) if direction == "end" else (1.5, 3.5)
    for at_s, level in loud.items():
        if starts_s + 0.1 < at_s < ends_s - 0.2:
            assert level > 500, at_s
        if not starts_s - 0.1 < at_s < ends_s + 0.1:
            assert level < 20, at_s
    assert max(loud) == pytest.approx(3.5, abs=0.1)


def test_sound_that_begins_late_stays_late(file: Path) -> None:
    """Where the old part's sound begins after its pictures, it still does."""
    old = saved(file, clip("mp4", count=24, fps=12, sound_s=1, sound_from_s=0.8))
    for direction, later_s in (("end", 0.0), ("start", 1.5)):
        made = kenburns.extend(old, duration_s=1.5, direction=direction, seed=4)  # type: ignore[arg-type]
        loud = [at_s for at_s, level in loudness(saved(file.with_name("longer.mp4"), made)).items() if level > 500]
        assert min(loud) == pytest.approx(0.8 + later_s, abs=0.06)
        assert max(loud) == pytest.approx(1.8 + later_s, abs=0.06)


def loudness(path: Path) -> dict[float, float]:
    """Mean height of the wave in each piece of sound, by its time."""
    found = {}
    with av.open(str(path)) as container:
        same = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        for frame in container.decode(audio=0):
            for piece in same.resample(frame):
                wave = memoryview(bytes(piece.planes[0])[: piece.samples * 2]).cast("h")
                found[float(frame.time or 0)] = sum(map(abs, wave)) / max(1, len(wave))
    return found


@pytest.mark.parametrize("turn", [90, 180])
def test_a_turned_clip_is_continued_upright(file: Path, turn: int) -> None:
    """A telephone's clip comes out as a viewer shows it."""
    old = saved(file, clip(turn=turn, size=(240, 120), count=6))
    first = video.frames(old, 2)[0]
    longer = saved(file.with_name("longer.mp4"), kenburns.extend(old, duration_s=0.5, direction="end", seed=4))
    look = video.inspect(longer)
    assert (look.width, look.height) == first.size
    assert difference(first, video.frames(longer, 2)[0]) < 4


def test_the_mark_of_a_longer_clip_lies_on_the_new_part_only(file: Path) -> None:
    """The mark appears slowly behind the seam: no old frame has it, and the first new one hardly."""
    still = clip(count=12, size=(540, 240), draw=lambda _, size: Image.new("RGB", size, "#707070"))
    longer = saved(
        file.with_name("longer.mp4"),
        kenburns.extend(saved(file, still), duration_s=2, direction="end", seed=1, mark=MARK),
    )
    bright = [max(band[1] for band in shown.getextrema()) for shown in shots(longer)]  # type: ignore[index]
    assert max(bright[:12]) < 125
    assert bright[12] < 150
    assert bright[-1] > 190


def test_odd_sides_lose_a_pixel(file: Path) -> None:
    """A clip with odd sides (VP9 allows them) is continued one pixel smaller, because H.264 wants even ones."""
    old = saved(file, clip("webm", size=(121, 91), count=6))
    longer = saved(file.with_name("longer.mp4"), kenburns.extend(old, duration_s=0.5, direction="start", seed=4))
    assert (video.inspect(longer).width, video.inspect(longer).height) == (120, 90)


def test_a_rate_that_is_no_whole_number_stays(file: Path) -> None:
    """29.97 frames a second stay 29.97, and times do not drift."""
    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(30_000, 1001))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(60):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 48), (number * 4, 90, 90)))))
        container.mux(stream.encode(None))
    longer = saved(file.with_name("longer.mp4"), kenburns.extend(file, duration_s=1, direction="end", seed=4))
    look = video.inspect(longer)
    assert look.fps == pytest.approx(29.97, abs=0.001)
    assert (look.frames, look.duration_s) == (90, pytest.approx(3.003, abs=0.002))


@pytest.mark.parametrize("data", [b"", b"text" * 50])
def test_what_is_no_clip_is_not_continued(file: Path, data: bytes) -> None:
    """No clip, no longer clip; nothing was paid."""
    with pytest.raises(FileBroken, match="not_a_clip"):
        kenburns.extend(saved(file, data), duration_s=1, direction="end", seed=1)


def test_a_cut_clip_is_not_continued(file: Path) -> None:
    """A clip of which the end is missing is not continued from wherever it breaks off."""
    whole = clip()
    with pytest.raises(FileBroken, match="clip_truncated"):
        kenburns.extend(saved(file, whole[: len(whole) * 8 // 10]), duration_s=1, direction="end", seed=1)


def test_a_clip_without_pictures_is_not_continued(file: Path) -> None:
    """A sound in an mp4 box has nothing to go on from."""
    with av.open(str(file), "w", format="mp4") as container:
        tone(container, container.add_stream("aac", rate=48_000), 1)
    with pytest.raises(FileBroken, match="not_a_clip"):
        kenburns.extend(file, duration_s=1, direction="end", seed=1)
