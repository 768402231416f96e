"""The sandbox films for fal's video models: real mp4 files of the length, size and sound that the input asks for."""

import base64
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from PIL import Image

from hoasi.sandbox import Fault, Sandbox, reel, serving
from hoasi.sandbox.fal_inputs import known_ids, schema_of

pytestmark = pytest.mark.anyio
KLING = "fal-ai/kling-video"
V26, V3, V25 = f"{KLING}/v2.6/pro/image-to-video", f"{KLING}/v3/pro/image-to-video", f"{KLING}/v2.5-turbo/pro"
MOTION, LIPS = f"{KLING}/v3/pro/motion-control", f"{KLING}/lipsync/audio-to-video"
VEO, LTX, LTX_19B = "fal-ai/veo3.1", "fal-ai/ltx-2.3", "fal-ai/ltx-2-19b"
PICTURE, FILM = "https://example.com/a.png", "https://example.com/a.mp4"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers={"Authorization": "Key k"}) as client:
        yield client


async def finish(http: httpx.AsyncClient, model: str, /, **body: Any) -> dict[str, Any]:
    response = await http.post(f"/{model}", json={"prompt": "a kite", **body})
    assert response.status_code == 200, response.text
    receipt = response.json()
    await http.get(receipt["status_url"] + "/stream")  # ends when the work does
    answer = await http.get(receipt["response_url"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def content(url: str) -> bytes:
    async with httpx.AsyncClient() as keyless:
        return (await keyless.get(url)).content


async def upload(http: httpx.AsyncClient, file: bytes, content_type: str = "video/mp4") -> str:
    start = {"file_name": "a.bin", "content_type": content_type}
    ticket = (await http.post("/storage/upload/initiate?storage_type=fal-cdn-v3", json=start)).json()
    async with httpx.AsyncClient() as keyless:
        await keyless.put(ticket["upload_url"], content=file, headers={"Content-Type": content_type})
    return str(ticket["file_url"])


async def filmed(http: httpx.AsyncClient, model: str, /, **body: Any) -> reel.Measures:
    """Return what the file itself says of the clip that a model makes of an input."""
    video = (await finish(http, model, **body))["video"]
    file = await content(video["url"])
    assert (video["content_type"], video["file_name"], video["file_size"]) == ("video/mp4", "output.mp4", len(file))
    measures = await reel.measured(file)
    assert measures
    return measures


def frames(file: bytes) -> list[Image.Image]:
    with av.open(io.BytesIO(file), "r") as container:
        return [frame.to_image() for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]


def frames_before_the_cut(file: bytes) -> int:
    """Count what can be decoded of a truncated clip: where it was cut decides whether it just ends or ends in error."""
    count = 0
    with av.open(io.BytesIO(file), "r") as container, contextlib.suppress(av.FFmpegError):
        for _ in container.decode(video=0):
            count += 1
    return count


async def test_a_reel_gives_what_was_asked_for_and_always_the_same() -> None:
    """A clip has the size, length, rate and sound asked for, is H.264 with AAC, moves, and is the same every time."""
    wish: dict[str, Any] = {"width": 65, "height": 112, "duration_s": 2.5, "fps": 8, "has_audio": True}
    file, content_type = await reel.clip(**wish)
    reel._encoded.cache_clear()
    assert (content_type, (await reel.clip(**wish))[0] == file) == ("video/mp4", True)
    assert await reel.measured(file) == reel.Measures(64, 112, pytest.approx(2.5, abs=0.05), has_audio=True)  # type: ignore[arg-type]
    with av.open(io.BytesIO(file), "r") as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
    pictures = frames(file)
    assert len(pictures) == 20
    assert pictures[0].tobytes() != pictures[1].tobytes()
    assert file != (await reel.clip(**wish, seed=1))[0]
    silent, _ = await reel.clip(width=64, height=64, duration_s=0.5, fps=8)
    assert await reel.measured(silent) == reel.Measures(64, 64, 0.5, has_audio=False)


async def test_a_broken_reel_opens_and_ends_early_or_is_nothing() -> None:
    """A truncated clip still tells its full length but has fewer frames; an empty one has no byte."""
    wish: dict[str, Any] = {"width": 64, "height": 64, "duration_s": 3, "fps": 8, "has_audio": True}
    whole, _ = await reel.clip(**wish)
    cut, _ = await reel.clip(**wish, broken="truncated")
    assert await reel.clip(**wish, broken="empty") == (b"", "video/mp4")
    assert whole.startswith(cut)
    assert await reel.measured(cut) == await reel.measured(whole)
    assert 0 < frames_before_the_cut(cut) < len(frames(whole)) == 24


@pytest.mark.parametrize("junk", [b"", b"no clip", b"\0\0\0\1ftyp" * 9])
async def test_junk_is_no_clip_and_can_be_cut_all_the_same(junk: bytes) -> None:
    """What no decoder knows has no measures, and cutting it comes to an end."""
    assert await reel.measured(junk) is None
    assert reel.cut(junk, "truncated") == junk[: len(junk) // 2]


async def test_a_list_of_clips_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An uploaded list that names a file of this machine is no clip, and that file is not opened."""
    file, _ = await reel.clip(width=64, height=64, duration_s=0.5, fps=8)
    (tmp_path / "secret.mp4").write_bytes(file)
    monkeypatch.chdir(tmp_path)
    listed = b"ffconcat version 1.0\nfile secret.mp4\nduration 0.5\n"
    with av.open(io.BytesIO(listed), "r") as container:
        assert container.duration  # so FFmpeg itself would follow it
    assert await reel.measured(listed) is None


@pytest.mark.parametrize("size", [(768, 1344), (1080, 1920), (1920, 1080), (1024, 1024), (1536, 672), (1184, 864)])
def test_tiny_clips_keep_their_shape(size: tuple[int, int]) -> None:
    """The small size for a usual one has exactly its ratio, and even sides of 48 to 160 pixels."""
    width, height = reel.tiny_size(*size)
    assert width * size[1] == height * size[0]
    assert (width % 2, height % 2) == (0, 0)
    assert 48 <= min(width, height) <= max(width, height) <= 160


def test_odd_shapes_become_small_too() -> None:
    """A size with no simple ratio comes close to it."""
    width, height = reel.tiny_size(1001, 777)
    assert (width, height) == (82, 64)


@pytest.mark.parametrize(
    ("model", "body", "size"),
    [
        (VEO, {}, (1280, 720)),
        (VEO, {"aspect_ratio": "9:16"}, (720, 1280)),
        (VEO, {"aspect_ratio": "9:16", "resolution": "1080p"}, (1080, 1920)),
        (f"{V25}/text-to-video", {"aspect_ratio": "1:1"}, (720, 720)),
        (f"{LTX_19B}/text-to-video", {}, (1024, 768)),
        (f"{LTX_19B}/text-to-video", {"video_size": {"width": 640, "height": 352}}, (640, 352)),
        (f"{VEO}/image-to-video", {"image_url": "frame", "resolution": "1080p"}, (1080, 1440)),
        (V26, {"start_image_url": "frame", "end_image_url": PICTURE}, (90, 120)),
        (V26, {"end_image_url": "frame", "start_image_url": PICTURE}, (1280, 720)),
        ("fal-ai/topaz/upscale/video", {"video_url": "clip"}, (128, 192)),
        (f"{LTX}/extend-video", {"video_url": "clip"}, (64, 96)),
    ],
)
async def test_clips_have_the_size_asked_for(
    http: httpx.AsyncClient, sandbox: Sandbox, model: str, body: dict[str, Any], size: tuple[int, int]
) -> None:
    """The size follows ratio and resolution, else the first frame (never the last), else the clip; else it is 720p."""
    with io.BytesIO() as file:
        Image.new("RGB", (90, 120)).save(file, "png")
        frame = await upload(http, file.getvalue(), "image/png")
    old, _ = await reel.clip(width=64, height=96, duration_s=0.5, fps=8)
    files = {"frame": frame, "clip": await upload(http, old)}
    sandbox.change(pictures="storyboard")  # in tiny mode only the shape is left
    short = {"duration": "4s"} if model.startswith(VEO) else {"num_frames": 3} if "19b" in model else {}
    measures = await filmed(http, model, **short, **{n: files.get(str(v), v) for n, v in body.items()})
    assert (measures.width, measures.height) == size


@pytest.mark.parametrize(
    ("model", "body", "seconds"),
    [
        (VEO, {}, 8),
        (VEO, {"duration": "4s"}, 4),
        (f"{VEO}/reference-to-video", {"image_urls": [PICTURE]}, 8),
        (f"{V25}/text-to-video", {}, 5),
        (f"{V25}/text-to-video", {"duration": "10"}, 10),
        (f"{LTX}/text-to-video", {"duration": 6}, 6),
        (f"{LTX_19B}/text-to-video", {"num_frames": 50, "fps": 25}, 2),
        ("xai/grok-imagine-video/text-to-video", {}, 6),
        ("xai/grok-imagine-video/text-to-video", {"duration": 1000}, 60),
        (V3, {"start_image_url": PICTURE, "multi_prompt": [{"prompt": "a", "duration": "3"}, {"prompt": "b"}]}, 8),
        (MOTION, {"video_url": "clip", "image_url": PICTURE, "character_orientation": "video"}, 2.5),
        (MOTION, {"video_url": FILM, "image_url": PICTURE, "character_orientation": "video"}, 5),
        (LIPS, {"video_url": "clip", "audio_url": PICTURE}, 2.5),
        (f"{LTX}/extend-video", {"video_url": "clip"}, 7.5),
        (f"{LTX}/extend-video", {"video_url": "clip", "duration": 2}, 4.5),
        (f"{VEO}/extend-video", {"video_url": "clip"}, 9.5),
        (f"{VEO}/extend-video", {"video_url": FILM, "duration": "7s"}, 12),
        (f"{LTX}/retake-video", {"video_url": "clip", "duration": 1, "start_time": 1}, 2.5),
        (f"{KLING}/o1/video-to-video/reference", {"video_url": "clip", "duration": "3"}, 3),
        ("fal-ai/bytedance/omnihuman", {"audio_url": "clip", "image_url": PICTURE}, 2.5),
    ],
)
async def test_clips_have_the_length_asked_for(
    http: httpx.AsyncClient, model: str, body: dict[str, Any], seconds: float
) -> None:
    """The length is the one asked for, or that of the clip or sound which the model follows; extending adds to it."""
    old, _ = await reel.clip(width=64, height=64, duration_s=2.5, fps=8, has_audio=True)
    files = {"clip": await upload(http, old)}
    measures = await filmed(http, model, **{name: files.get(str(value), value) for name, value in body.items()})
    assert measures.duration_s == pytest.approx(seconds, abs=0.07)


@pytest.mark.parametrize(
    ("model", "body", "has_audio"),
    [
        (VEO, {}, True),
        (VEO, {"generate_audio": True}, True),
        (VEO, {"generate_audio": False}, False),
        (f"{V25}/text-to-video", {}, False),
        (LIPS, {"video_url": "silent", "audio_url": PICTURE}, True),
        (f"{LTX}/extend-video", {"video_url": "silent"}, False),
        (f"{LTX}/extend-video", {"video_url": "loud"}, True),
        (MOTION, {"video_url": "loud", "image_url": PICTURE, "character_orientation": "video"}, True),
        (
            MOTION,
            {
                "video_url": "loud",
                "image_url": PICTURE,
                "character_orientation": "video",
                "keep_original_sound": False,
            },
            False,
        ),
    ],
)
async def test_clips_sound_as_asked_for(
    http: httpx.AsyncClient, model: str, body: dict[str, Any], has_audio: bool
) -> None:
    """Models that make sound do so unless told not to; those that follow a clip keep its sound unless told not to."""
    wish: dict[str, Any] = {"width": 64, "height": 64, "duration_s": 0.5, "fps": 8}
    files = {
        name: await upload(http, (await reel.clip(**wish, has_audio=name == "loud"))[0]) for name in ("loud", "silent")
    }
    measures = await filmed(http, model, **{name: files.get(str(value), value) for name, value in body.items()})
    assert measures.has_audio is has_audio


def sample(name: str, form: Any) -> Any:
    """Return some value that fits a required field of fal_inputs.json."""
    match form:
        case "strings":
            return [PICTURE]
        case {"enum": allowed}:
            return allowed[0]
        case {"array": members}:
            return [{member.rstrip("*"): sample(member, inner) for member, inner in members.items()}]
        case "number":
            return 1
    return PICTURE if name.endswith("_url") else "x"


async def test_every_video_endpoint_gives_what_its_schema_names(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """All 112 endpoints that make clips answer with the names of their schema and with a clip that can be fetched."""
    filming = [schema for schema in map(schema_of, known_ids()) if schema and schema.draws_clips()]
    for schema in filming:
        result = await finish(http, schema.id, **{name: sample(name, schema.forms[name]) for name in schema.required})
        assert set(result) == set(schema.outputs), schema.id
        listed = result["video"] if isinstance(result["video"], list) else [result["video"]]
        assert isinstance(result["video"], list) is ("background-removal" in schema.id)
        assert len(await content(listed[0]["url"])) == listed[0]["file_size"] > 0
    assert (len(filming), sandbox.stats()["leaks"]) == (112, 0)


async def test_some_models_tell_more_of_their_clip(http: httpx.AsyncClient) -> None:
    """LTX, Wan and Grok tell sides, rate, frames and length of their clips, and tell the truth; Kling does not."""
    video = (await finish(http, f"{LTX}/text-to-video"))["video"]
    pictures = frames(await content(video["url"]))
    assert (video["width"], video["height"], video["num_frames"]) == (*pictures[0].size, len(pictures))
    assert (video["fps"], video["duration"]) == (8, 6)
    assert "width" not in (await finish(http, f"{V25}/text-to-video"))["video"]


async def test_sync_mode_sends_the_clip_in_the_result(http: httpx.AsyncClient) -> None:
    """With `sync_mode` the clip is a data URI; the word of the same name in lip sync is something else."""
    inline = (await finish(http, f"{LTX_19B}/text-to-video", sync_mode=True, num_frames=9))["video"]
    head, _, data = inline["url"].partition(",")
    assert head == "data:video/mp4;base64"
    assert len(base64.b64decode(data)) == inline["file_size"]
    lips = await finish(http, "fal-ai/sync-lipsync/v2", video_url=FILM, audio_url=FILM, sync_mode="cut_off")
    assert lips["video"]["url"].startswith("http")


async def test_an_input_clip_that_is_not_there_is_refused(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A clip that our own storage never saw cannot be downloaded by the model either."""
    url = f"{http.base_url}/files/b/none/a.mp4"
    answer = await http.post(f"/{LTX}/extend-video", json={"video_url": url})
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "file_download_error")
    assert sandbox.stats()["submissions"] == 0


async def test_clips_can_be_blank(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A blank clip is one flat colour from the first frame to the last; the next one is not."""
    sandbox.faults.add(Fault(at="result", kind="blank"))
    for is_blank in (True, False):
        file = await content((await finish(http, VEO, duration="4s"))["video"]["url"])
        flat = [len(set(picture.convert("L").tobytes())) == 1 for picture in frames(file)]
        assert (all(flat), any(flat)) == (is_blank, is_blank)


@pytest.mark.parametrize(("kind", "times"), [("clip_truncated", 2), ("clip_empty", 1)])
async def test_a_clip_may_be_broken_for_the_first_downloads(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, times: int
) -> None:
    """The first downloads give a broken file in an answer that looks whole; then the same address gives the clip."""
    sandbox.faults.add(Fault(at="download", kind=kind, times=times, model=VEO))
    video = (await finish(http, VEO))["video"]
    files = [await content(video["url"]) for _ in range(times + 1)]
    assert [len(file) < video["file_size"] for file in files] == [True] * times + [False]
    assert [file == b"" for file in files[:times]] == [kind == "clip_empty"] * times
    assert len(frames(files[-1])) == 64
    if kind == "clip_truncated":
        assert 0 < frames_before_the_cut(files[0]) < 64


@pytest.mark.parametrize("kind", ["clip_truncated", "clip_empty"])
def test_only_downloads_can_break_a_clip(kind: Any) -> None:
    """Elsewhere such a fault could never be noticed, so it is an error."""
    with pytest.raises(ValueError, match="cannot happen"):
        Fault(at="result", kind=kind)


async def test_an_image_app_of_the_presets_draws(http: httpx.AsyncClient) -> None:
    """The relighting app of the edit presets takes a picture and gives one."""
    result = await finish(http, "fal-ai/image-apps-v2/relighting", image_url=PICTURE, lighting_style="golden_hour")
    assert len(await content(result["images"][0]["url"])) == result["images"][0]["file_size"]
