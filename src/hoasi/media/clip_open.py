"""Workbench (floor 1): a clip is opened and decoded frame by frame, whoever sent it.

PyAV is loaded when first needed. The content says what it is: only MP4, MOV, WEBM and MKV are opened, so that a
playlist that names other files or addresses is never followed. Sizes are judged before a frame is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hoasi.errors import FileBroken, HoasiError, NotSupported, ResultBroken
from hoasi.media import isobmff, matroska
from hoasi.media.containers import UnusualLayout

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

LIMIT_BYTES = 1 << 30
LIMIT_FRAME_PIXELS = 36_000_000
"""A little more than 8K (7680 x 4320)."""
LIMIT_FRAMES = 36_000
"""Ten minutes at 60 frames a second."""
LIMIT_SOUNDS = 1_000_000
"""Pieces of sound; some six hours of AAC."""
ATTACHED = 0x0400
"""A stream with this disposition is a cover picture, no moving one."""
UNSPECIFIED, BT709 = 2, 1
HD = 720
"""From this many lines on, colours without a label are BT.709, below BT.601, as players take them."""

_THREADS = 2


@dataclass(frozen=True)
class Clip:
    """An open clip. Times count from its own beginning, in seconds."""

    name: str
    media_type: str
    container: InputContainer
    stream: VideoStream
    sound: AudioStream | None
    is_cut: bool

    @property
    def start_s(self) -> float:
        """What the file calls the time of its first frame."""
        return float((self.stream.start_time or 0) * (self.stream.time_base or 0))

    @property
    def promised_s(self) -> float:
        """How long the file says it lasts; 0 where it does not say."""
        return (self.container.duration or 0) / 1_000_000

    @property
    def fps(self) -> float:
        """Frames a second as the file tells; 0 where it does not tell anything likely."""
        rate = float(self.stream.average_rate or self.stream.guessed_rate or 0)
        return rate if 0 < rate <= 1000 else 0.0


def need_av() -> Any:
    """PyAV.

    Raises:
        NotSupported: `media_extra_missing`.
    """
    try:
        import av
    except ImportError as error:
        raise NotSupported("media_extra_missing", what="av") from error
    return av


@contextmanager
def opened(path: Path, max_bytes: int = LIMIT_BYTES) -> Iterator[Clip]:
    """The clip, nothing of it decoded yet but what tells its kind.

    Raises:
        ResultBroken: `not_a_clip`, `clip_truncated`, `clip_too_large`.
        NotSupported: `media_extra_missing`.
        OSError: the file cannot be opened.
    """
    av = need_av()
    with path.open("rb") as file:
        if path.stat().st_size > max_bytes:
            raise too_large(path.name, max_bytes)
        media_type, is_cut = _kind(file, path.name)
        file.seek(0)
        form = "mov" if media_type in {"video/mp4", "video/quicktime"} else "matroska"
        try:
            container = av.open(file, format=form, options={"max_pixels": str(LIMIT_FRAME_PIXELS)})
        except Exception as error:
            raise truncated(path.name, 0, 0) if is_cut else ResultBroken("not_a_clip", name=path.name) from error
        with container:
            yield _clip(container, path.name, media_type, is_cut=is_cut)


def _kind(file: BinaryIO, name: str) -> tuple[str, bool]:
    """Media type by content, and whether the end is missing."""
    head = file.read(12)
    try:
        if head.startswith(matroska.START):
            kind = "video/webm" if matroska.doctype(file) == "webm" else "video/x-matroska"
            return kind, matroska.is_cut(file)
        if head[4:8] in isobmff.STARTS and isobmff.brand(file) not in isobmff.PICTURES:
            kind = "video/quicktime" if isobmff.brand(file) == b"qt  " else "video/mp4"
            return kind, isobmff.is_cut(file)
    except UnusualLayout as error:
        raise ResultBroken("not_a_clip", name=name) from error
    raise ResultBroken("not_a_clip", name=name)


def _clip(container: InputContainer, name: str, media_type: str, *, is_cut: bool) -> Clip:
    """Streams whose codec is not known have no context, and cannot be decoded."""
    moving = [one for one in container.streams.video if one.codec_context and not one.disposition & ATTACHED]
    sounds = [one for one in container.streams.audio if one.codec_context]
    if not moving:
        raise truncated(name, 0, 0) if is_cut else ResultBroken("not_a_clip", name=name)
    stream = moving[0]
    if stream.width * stream.height > LIMIT_FRAME_PIXELS:
        raise too_large(name)
    stream.codec_context.options = {"max_pixels": str(LIMIT_FRAME_PIXELS)}
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = _THREADS
    return Clip(name, media_type, container, stream, next(iter(sounds), None), is_cut)


def truncated(name: str, came_s: float | None, promised_s: float) -> ResultBroken:
    """The clip ends before it should; how much came (None) and was promised (0) may not be known."""
    promised = round(promised_s, 2) if promised_s else "?"
    return ResultBroken(
        "clip_truncated", name=name, came_s="?" if came_s is None else round(came_s, 2), promised_s=promised
    )


def too_large(name: str, max_bytes: int = LIMIT_BYTES) -> ResultBroken:
    """More bytes, pixels or frames than we decode."""
    return ResultBroken(
        "clip_too_large",
        name=name,
        limit_mb=max_bytes // 1_000_000,
        limit_mpx=LIMIT_FRAME_PIXELS // 1_000_000,
        limit_frames=LIMIT_FRAMES,
    )


def decoded(clip: Clip, *streams: VideoStream | AudioStream) -> Iterator[Any]:
    """Every frame (of pictures and of sound) from where the clip stands, in the file's order; one is held at a time.

    Raises:
        ResultBroken: `not_a_clip` where it cannot be decoded, `clip_too_large`.
    """
    counts = {"video": 0, "audio": 0}
    limits = {"video": LIMIT_FRAMES, "audio": LIMIT_SOUNDS}
    try:
        for packet in clip.container.demux(*streams):
            kind = packet.stream.type
            for frame in packet.decode():
                counts[kind] += 1
                if counts[kind] > limits[kind]:
                    raise too_large(clip.name)
                yield frame
    except HoasiError:
        raise
    except Exception as error:
        raise ResultBroken("not_a_clip", name=clip.name) from error


def frame_at(clip: Clip, at_s: float) -> VideoFrame:
    """The frame on the screen `at_s` seconds from the beginning; the last one where the clip is shorter.

    Raises:
        ResultBroken: as `decoded`.
    """
    until = min(at_s, clip.promised_s or at_s)
    for place in dict.fromkeys((max(0.0, until - 0.05), 0.0)):
        rewind(clip, place)
        shown: VideoFrame | None = None
        for frame in decoded(clip, clip.stream):
            if shown is not None and (frame.time or 0) - clip.start_s > at_s + 1e-6:
                break
            shown = frame
        if shown is not None:
            return shown
    raise ResultBroken("not_a_clip", name=clip.name)


def rewind(clip: Clip, at_s: float = 0.0) -> None:
    """Go to the key frame at or before a time; decode on from there.

    Raises:
        ResultBroken: `not_a_clip`: there is no way back.
    """
    tick = float(clip.stream.time_base or 1)
    try:
        clip.container.seek(int((at_s + clip.start_s) / tick), stream=clip.stream)
    except Exception as error:
        raise ResultBroken("not_a_clip", name=clip.name) from error


def shown_size(clip: Clip, frame: VideoFrame) -> tuple[int, int]:
    """Width and height as a viewer shows them: pixels made square, turned upright."""
    width, height = frame.width, frame.height
    shape = clip.stream.sample_aspect_ratio
    if shape and shape != 1 and 0.1 < shape < 10:
        width = max(1, round(width * shape))
    return (height, width) if frame.rotation % 180 else (width, height)


def upright(clip: Clip, frame: Any) -> Image:
    """The frame as an RGB picture, as a viewer shows it."""
    from PIL.Image import Resampling, Transpose

    is_plain = frame.colorspace == UNSPECIFIED and frame.height >= HD
    picture: Image = frame.to_image(**({"src_colorspace": "ITU709"} if is_plain else {}))
    turn = round(frame.rotation / 90) % 4
    if turn:
        picture = picture.transpose((Transpose.ROTATE_90, Transpose.ROTATE_180, Transpose.ROTATE_270)[turn - 1])
    size = shown_size(clip, frame)
    return picture if picture.size == size else picture.resize(size, Resampling.LANCZOS)


@contextmanager
def as_input() -> Iterator[None]:
    """What is wrong with a clip that the caller gave is the caller's to mend: `FileBroken`, nothing paid."""
    try:
        yield
    except ResultBroken as error:
        raise FileBroken(error.key, **error.facts) from error
