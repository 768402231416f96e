"""The key-less provider's clips and swaps: free, marked, as asked, the same every time, and nothing left behind."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from calls import OpenStudio
from contract import planned
from hoasi import Ask
from hoasi.catalogue import load
from hoasi.errors import FileBroken, NotSupported
from hoasi.given import Given, Input
from hoasi.media import face, kenburns, video
from hoasi.media.kenburns import ken_burns
from hoasi.media.storyboard import render_png
from hoasi.messages import say
from hoasi.providers._outcomes import Done, Order, Sent
from hoasi.providers.local import Local
from hoasi.providers.local_pictures import frame
from hoasi.record import Role
from hoasi.records import Planned, Request
from hoasi.street import Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
NOWHERE = Wire(Street(frozenset()), {}, {})
PHOTO = (Path(__file__).parents[1] / "rooms" / "pictures" / "astronaut.jpg").read_bytes()
WORDS, PAN, MORE, SWAP = "local/storyboard-clip", "local/ken-burns", "local/extension", "local/swap-preview"
CORNER = (0.08, 0.1, 0.22, 0.14)
"""Where a clip bears its mark."""
HEAD = (150, 60, 300, 180)
"""The astronaut's face, and the hair around it."""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def plan(model: str, **asked: Any) -> Planned:
    """A plan for a card; `duration_s` and `extend_direction` are its options."""
    options = {name: asked.pop(name) for name in ("duration_s", "extend_direction", "face_index") if name in asked}
    return planned(load("local").card(model), options=options, **{"seed": 7, **asked})


def sized(item: Input, data: bytes) -> Input:
    """The input as it is read from such a picture."""
    with Image.open(io.BytesIO(data)) as opened:
        return item.model_copy(update={"width": opened.width, "height": opened.height, "crop": None})


async def made(wanted: Planned, data: Sequence[bytes] = ()) -> bytes:
    """The one result of a plan with these bytes as its inputs."""
    sent = tuple(Sent(item, data=content) for item, content in zip(wanted.inputs, data, strict=True))
    done = await Local().submit(NOWHERE, Order(wanted, sent))
    assert isinstance(done, Done)
    (output,) = done.outputs
    assert output.media_type == ("video/mp4" if wanted.media == "video" else "image/png")
    return output.data or b""


def apart(one: bytes, other: bytes, folder: Path, part: tuple[float, float, float, float] = (0, 0, 1, 1)) -> float:
    """Mean difference (of 255) of some frames of two clips, in a part of the picture; a lossy encoder's is below 1."""
    seen = []
    for name, file in (("one", one), ("other", other)):
        (folder / name).write_bytes(file)
        seen.append(video.frames(folder / name, 5))
    width, height = seen[0][0].size
    box = (round(part[0] * width), round(part[1] * height), round(part[2] * width), round(part[3] * height))
    cut = [[shown.crop(box) for shown in frames] for frames in seen]
    means = [ImageStat.Stat(ImageChops.difference(a, b)).mean for a, b in zip(*cut, strict=True)]
    return max(sum(mean) / 3 for mean in means)


def left_in(folder: Path) -> list[Path]:
    return [*folder.iterdir()]


def look(file: bytes, folder: Path) -> video.Look:
    path = folder / "looked-at"
    path.write_bytes(file)
    return video.inspect(path)


# ---------------------------------------------------------------- a picture moves


async def test_a_picture_becomes_a_marked_clip(tmp_path: Path) -> None:
    """Of the asked length, in the picture's own shape and size, silent, moving, and marked as a sketch."""
    wanted = plan(PAN, duration_s=2)
    wanted = wanted.model_copy(update={"inputs": (sized(wanted.inputs[0], PHOTO),)})
    clip = await made(wanted, [PHOTO])
    seen = look(clip, tmp_path)
    assert (seen.width, seen.height, seen.has_audio) == (512, 512, False)
    assert seen.duration_s == pytest.approx(2)
    how: dict[str, Any] = {"duration_s": 2, "width": 512, "height": 512, "seed": 7}
    assert apart(clip, ken_burns(PHOTO, mark=say("storyboard.mark"), **how), tmp_path) < 1
    assert apart(clip, ken_burns(PHOTO, **how), tmp_path, CORNER) > 2


async def test_the_asked_shape_wins_and_a_large_picture_is_not_filmed_larger(tmp_path: Path) -> None:
    """With a ratio the clip has it; without one it keeps within the pixels of 1920x1080."""
    large = io.BytesIO()
    Image.new("RGB", (4000, 1000), "teal").save(large, "PNG")
    wanted = plan(PAN, duration_s=2)
    wide = wanted.model_copy(update={"inputs": (sized(wanted.inputs[0], large.getvalue()),)})
    seen = look(await made(wide, [large.getvalue()]), tmp_path)
    assert seen.width / seen.height == pytest.approx(4, rel=0.01)
    assert 2_000_000 < seen.width * seen.height <= 1920 * 1080
    tall = look(await made(plan(PAN, duration_s=2, aspect_ratio="9:16"), [PHOTO]), tmp_path)
    assert (tall.width, tall.height) == (1080, 1920)


async def test_the_same_request_is_the_same_clip(tmp_path: Path) -> None:
    """The seed chooses the move; nothing else does."""
    first, again, other = [await made(plan(PAN, duration_s=2, seed=seed), [PHOTO]) for seed in (0, 0, 1)]
    assert apart(first, again, tmp_path) < 1
    assert apart(first, other, tmp_path) > 5


async def test_words_become_a_clip_of_their_storyboard_frame(tmp_path: Path) -> None:
    """The scene's own frame is drawn, without its stamp, and the clip over it bears the mark."""
    wanted = plan(WORDS, duration_s=2, aspect_ratio="1:1", scene={"id": "SC_02", "visual_intent": "A cup"})
    clip = await made(wanted)
    seen = look(clip, tmp_path)
    assert (seen.width, seen.height) == (1440, 1440)
    drawn = render_png(frame(wanted, 0, ""))
    how: dict[str, Any] = {"duration_s": 2, "width": 1440, "height": 1440, "seed": 7}
    assert apart(clip, ken_burns(drawn, mark=say("storyboard.mark"), **how), tmp_path) < 1
    assert apart(clip, ken_burns(drawn, **how), tmp_path, CORNER) > 2


# ---------------------------------------------------------------- a clip goes on


@pytest.mark.parametrize("direction", ["end", "start"])
async def test_a_clip_goes_on_at_either_end(direction: str, tmp_path: Path, scratch: Path) -> None:
    """The whole clip comes back, longer by what was asked; the new part is marked; no file is left."""
    clip = ken_burns(PHOTO, duration_s=2, width=320, height=240, seed=1)
    wanted = plan(MORE, duration_s=3, extend_direction=direction)
    longer = await made(wanted, [clip])
    seen = look(longer, tmp_path)
    assert (seen.width, seen.height) == (320, 240)
    assert seen.duration_s == pytest.approx(5, abs=0.05)
    (tmp_path / "clip").write_bytes(clip)
    how: dict[str, Any] = {"duration_s": 3, "direction": direction, "seed": 7}
    assert apart(longer, kenburns.extend(tmp_path / "clip", mark=say("storyboard.mark"), **how), tmp_path) < 1
    assert apart(longer, kenburns.extend(tmp_path / "clip", **how), tmp_path, CORNER) > 2
    assert left_in(scratch) == []


async def test_a_broken_clip_is_named_and_leaves_nothing(scratch: Path) -> None:
    """The caller's file is named as it is called; nothing was made."""
    with pytest.raises(FileBroken) as broken:
        await made(plan(MORE), [b"no clip"])
    assert (broken.value.key, broken.value.facts["name"]) == ("not_a_clip", "100.png")
    assert left_in(scratch) == []


# ---------------------------------------------------------------- a face goes over


def mirrored() -> bytes:
    """Somebody else, as far as pixels go."""
    sheet = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(PHOTO)).convert("RGB")).save(sheet, "PNG")
    return sheet.getvalue()


def twins() -> bytes:
    """Two people: a large face and, half as large, the mirrored one."""
    sheet = Image.new("RGB", (800, 512), "grey")
    sheet.paste(Image.open(io.BytesIO(PHOTO)).convert("RGB"), (0, 0))
    sheet.paste(Image.open(io.BytesIO(mirrored())).resize((256, 256)), (530, 0))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


async def test_a_swap_is_previewed() -> None:
    """Only the face and a corner with the mark are changed."""
    preview = Image.open(io.BytesIO(await made(plan(SWAP, seed=None), [PHOTO, mirrored()]))).convert("RGB")
    changed = ImageChops.difference(preview, Image.open(io.BytesIO(PHOTO)).convert("RGB"))
    assert preview.size == (512, 512)
    assert changed.crop(HEAD).getbbox() is not None
    assert changed.crop((0, 180, 512, 400)).getbbox() is None
    assert changed.crop((0, 400, 512, 512)).getbbox() is not None


async def test_the_chosen_face_comes() -> None:
    """A crop holds the chosen face already; a result of ours that nobody has looked at yet is counted through."""
    assert len(face.detect(twins(), strict=True)) == 2
    whole = plan(SWAP, seed=None, face_index=0)
    uncropped = [item.model_copy(update={"crop": None}) for item in whole.inputs]
    asked = whole.request.model_copy(update={"options": {"face_index": 1}})
    second = whole.model_copy(update={"inputs": tuple(uncropped), "request": asked})
    both = [await made(one, [PHOTO, twins()]) for one in (second, whole)]
    assert both[0] != both[1]
    cropped = whole.model_copy(update={"request": asked})
    assert await made(cropped, [PHOTO, twins()]) == both[1]


async def test_a_picture_without_a_face_says_which() -> None:
    """The source or the face: nothing is guessed."""
    blank = io.BytesIO()
    Image.new("RGB", (300, 300), "white").save(blank, "PNG")
    with pytest.raises(FileBroken) as broken:
        await made(plan(SWAP, seed=None), [PHOTO, blank.getvalue()])
    assert (broken.value.key, broken.value.facts) == ("no_face", {"picture": "face"})


# ---------------------------------------------------------------- parts that are not installed


@pytest.mark.parametrize(("model", "inputs"), [(WORDS, 0), (PAN, 1), (MORE, 1)])
async def test_without_the_video_parts_that_is_said_first(
    model: str, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the inputs are looked at, and naming what is missing."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NotSupported) as missing:
        await made(plan(model), [b"not even a picture"] * inputs)
    assert (missing.value.key, missing.value.facts) == ("media_extra_missing", {"what": "av"})


async def test_without_the_parts_for_faces_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A swap says what to install."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(NotSupported) as missing:
        await made(plan(SWAP, seed=None), [PHOTO, mirrored()])
    assert missing.value.key == "media_extra_missing"


# ---------------------------------------------------------------- refused, and a whole way through


@pytest.mark.parametrize(
    ("model", "asked", "key"),
    [
        (PAN, {"duration_s": 1}, "value_not_supported"),
        (PAN, {"duration_s": 16}, "value_not_supported"),
        (PAN, {"roles": []}, "role_needed"),
        (MORE, {"extend_direction": "up"}, "value_not_supported"),
        (WORDS, {"negative_prompt": "text"}, "parameter_not_supported"),
    ],
)
def test_what_it_cannot_do_is_refused(model: str, asked: dict[str, Any], key: str) -> None:
    """A sketch has its limits too, and they are named."""
    with pytest.raises(NotSupported) as refused:
        plan(model, **asked)
    assert refused.value.key == key


async def test_swap_then_move_then_longer_in_one_workspace(open_studio: OpenStudio, workspace: Path) -> None:
    """A preview, a clip of it in the same call, a longer clip by its id: free, and not made a second time."""
    (workspace / "me.jpg").write_bytes(PHOTO)
    (workspace / "you.png").write_bytes(mirrored())
    pair: list[tuple[Role, str]] = [("source", "me.jpg"), ("face", "you.png")]
    swap = Request(
        prompt="swap", operation="swap_face", provider="local", inputs=tuple(Given(role=r, written=w) for r, w in pair)
    )
    pan = Request(prompt="", operation="image_to_video", provider="local", options={"duration_s": 2})
    pan = pan.model_copy(update={"inputs": (Given(role="first_frame", of=0),)})
    async with open_studio() as studio:
        first = await studio.generate(Ask(requests=(swap, pan), job_id="job-1"))
        assert [entry.state for entry in first.generations] == ["succeeded", "succeeded"], first
        more = Request(prompt="", operation="extend_video", provider="local", options={"duration_s": 2})
        more = more.model_copy(update={"inputs": (Given(role="video", written=first.generations[1].id),)})
        second = await studio.generate(Ask(requests=(more,), job_id="job-1"))
        again = await studio.generate(Ask(requests=(more,), job_id="job-1"))
    assert (first.cost_usd, second.cost_usd, again.generations[0].state) == (0.0, 0.0, "skipped_existing")
    assert video.inspect(Path(second.generations[0].outputs[0])).duration_s == pytest.approx(4, abs=0.05)
