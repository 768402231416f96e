"""Workbench (floor 1): looking at a clip: is it whole, how large and long, which way up, is there anything to see.

Every frame is decoded once, one at a time; sound is decoded along with it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hoasi.errors import ResultBroken
from hoasi.media.clip_open import (
    LIMIT_BYTES,
    Clip,
    as_input,
    decoded,
    frame_at,
    opened,
    shown_size,
    truncated,
    upright,
)
from hoasi.media.image import FLAT
from hoasi.record import Record

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL.Image import Image

SHORTER_S = 0.25
"""A clip may end this much (or two and a half frames) before it promised: files round, and sound has its own pieces."""

_EXTENSIONS = {"video/mp4": "mp4", "video/webm": "webm", "video/quicktime": "mov", "video/x-matroska": "mkv"}
_GRID = 64


class Look(Record):
    """What is known of a clip. Sizes in pixels as a viewer shows them (turned upright); `duration_s` is the picture's.

    `is_blank`: each frame is one flat colour; `probe` does not look and says False.
    """

    media_type: str
    width: int
    height: int
    duration_s: float
    fps: float
    codec: str
    frames: int
    has_audio: bool
    is_blank: bool


def inspect(path: Path, *, max_bytes: int = LIMIT_BYTES) -> Look:
    """Decode a whole clip (MP4, MOV, WEBM, MKV) once; what it is comes from its content.

    Args:
        path: the file; its name does not matter.
        max_bytes: longer files are not opened.

    Raises:
        ResultBroken: `not_a_clip` (another format, no moving picture, or not decodable), `clip_truncated` (ends before
            it should), `clip_too_large` (bytes, pixels of a frame, or frames).
        NotSupported: `media_extra_missing`.
        OSError: the file cannot be opened.
    """
    with opened(path, max_bytes) as clip:
        tally, trouble = _tally(clip)
        is_short = tally.came_s < clip.promised_s - max(SHORTER_S, 2.5 / (clip.fps or 24))
        if clip.is_cut or (is_short and (trouble is None or tally.frames)):
            raise truncated(path.name, tally.came_s, clip.promised_s) from trouble
        if trouble is not None or tally.first is None:
            raise ResultBroken("not_a_clip", name=path.name) from trouble
        duration_s = tally.video_s or clip.promised_s
        return _look(clip, tally.size, duration_s, frames=tally.frames, is_blank=tally.is_blank)


def probe(path: Path) -> Look:
    """A quick look at a clip that the caller gave: what its head says, and that its first frame can be decoded.

    Raises:
        FileBroken: `not_a_clip`, `clip_truncated`, `clip_too_large`, as `inspect`.
        NotSupported: `media_extra_missing`.
        OSError: the file cannot be opened.
    """
    with as_input(), opened(path) as clip:
        first = next(decoded(clip, clip.stream), None)
        if clip.is_cut:
            raise truncated(path.name, None, clip.promised_s)
        if first is None:
            raise ResultBroken("not_a_clip", name=path.name)
        own = float((clip.stream.duration or 0) * (clip.stream.time_base or 0))
        duration_s = own or clip.promised_s
        frames = clip.stream.frames or round(duration_s * clip.fps)
        return _look(clip, shown_size(clip, first), duration_s, frames=frames, is_blank=False)


def extension(media_type: str) -> str:
    """File name extension, without dot, of a media type that `inspect` gave.

    Raises:
        KeyError: not one of ours.
    """
    return _EXTENSIONS[media_type]


def frame_png(path: Path, at: Literal["first", "last"] | float, max_px: int | None = None) -> bytes:
    """One frame as PNG, upright: the first, the last, or the one on the screen after so many seconds.

    No side is longer than `max_px` pixels; None keeps the clip's own size.

    Raises:
        FileBroken, NotSupported, OSError: as `probe`.
    """
    at_s = {"first": 0.0, "last": math.inf}[at] if isinstance(at, str) else max(0.0, float(at))
    with as_input(), opened(path) as clip:
        picture = upright(clip, frame_at(clip, at_s))
    if max_px is not None:
        picture.thumbnail((max_px, max_px))
    sheet = io.BytesIO()
    picture.save(sheet, "PNG", compress_level=3)
    return sheet.getvalue()


def frames(path: Path, count: int) -> list[Image]:
    """So many frames from the first to the last, evenly spaced, upright, RGB; a single one is of the middle.

    Raises:
        FileBroken, NotSupported, OSError: as `probe`.
    """
    return [picture for _, picture in _spread(path, count)]


def watch(path: Path, *, per_s: float, least: int, most: int, max_px: int) -> Iterator[Image]:
    """Frames from the first to the last, so many a second, upright, RGB, one held at a time; decoded once, in order.

    Evenly spaced: at least `least` (where the clip has them), at most `most`. No side is longer than `max_px` pixels.

    Raises:
        FileBroken: as `inspect`, once the place that cannot be decoded is reached.
        NotSupported, OSError: as `probe`.
    """
    last_s = _last_s(path)
    count = min(most, max(least, math.ceil(last_s * per_s) + 1))
    due = [last_s * number / (count - 1) for number in range(count)]
    with as_input(), opened(path) as clip:
        for frame in _due(clip, due):
            picture = upright(clip, frame)
            picture.thumbnail((max_px, max_px))
            yield picture


def contact(path: Path, count: int = 6, max_px: int = 768) -> bytes:
    """Frames from the first to the last on one sheet for a model's eyes, each with its time: a JPEG.

    No side is longer than `max_px` pixels.

    Raises:
        FileBroken, NotSupported, OSError: as `probe`.
    """
    from hoasi.media.clip_contact import sheet

    return sheet(_spread(path, count), max_px)


def _spread(path: Path, count: int) -> list[tuple[float, Image]]:
    with as_input(), opened(path) as clip:
        last_s = max(0.0, clip.promised_s - 1 / (clip.fps or 24))
        times = [last_s * number / (count - 1) for number in range(count)] if count > 1 else [last_s / 2]
        return [(at_s, upright(clip, frame_at(clip, at_s))) for at_s in times]


def _last_s(path: Path) -> float:
    """When the last frame comes. Nothing is decoded; what the head promises may be missing, or wrong."""
    with as_input(), opened(path) as clip:
        try:
            ticks = max((one.pts for one in clip.container.demux(clip.stream) if one.pts is not None), default=0)
        except Exception as error:
            raise ResultBroken("not_a_clip", name=path.name) from error
        return max(0.0, float(ticks * (clip.stream.time_base or 0)) - clip.start_s)


def _due(clip: Clip, due: Sequence[float]) -> Iterator[VideoFrame]:
    """The frames on the screen at these times, in their order; each once."""
    shown: VideoFrame | None = None
    number = 0
    for frame in decoded(clip, clip.stream):
        at_s = (frame.time or 0.0) - clip.start_s
        if shown is not None and number < len(due) and due[number] < at_s - 1e-6:
            yield shown
            while number < len(due) and due[number] < at_s - 1e-6:
                number += 1
        shown = frame
    if shown is None:
        raise ResultBroken("not_a_clip", name=clip.name)
    yield shown


@dataclass
class _Tally:
    """What was seen while all of a clip went by. Times as the file counts them."""

    first: VideoFrame | None = None
    size: tuple[int, int] = (0, 0)
    frames: int = 0
    is_blank: bool = True
    video: list[float] = field(default_factory=lambda: [math.inf, -math.inf])
    sound: list[float] = field(default_factory=lambda: [math.inf, -math.inf])

    @property
    def video_s(self) -> float:
        """How long the pictures last."""
        return max(0.0, self.video[1] - self.video[0])

    @property
    def came_s(self) -> float:
        """How long pictures and sound last together."""
        return max(0.0, max(self.video[1], self.sound[1]) - min(self.video[0], self.sound[0]))


def _tally(clip: Clip) -> tuple[_Tally, ResultBroken | None]:
    """All of the clip, and what stopped it; too large a clip is no matter of how much came."""
    tally = _Tally()
    streams = (clip.stream, clip.sound) if clip.sound else (clip.stream,)
    try:
        for frame in decoded(clip, *streams):
            _count(tally, clip, frame)
    except ResultBroken as error:
        if error.key == "clip_too_large":
            raise
        return tally, error
    return tally, None


def _count(tally: _Tally, clip: Clip, frame: Any) -> None:
    start_s = frame.time or 0.0
    if hasattr(frame, "samples"):
        _stretch(tally.sound, start_s, start_s + frame.samples / (frame.sample_rate or 1))
        return
    if tally.first is None:
        tally.first, tally.size = frame, shown_size(clip, frame)
    tally.frames += 1
    tally.is_blank = tally.is_blank and _is_flat(frame)
    lasts_s = float((frame.duration or 0) * (frame.time_base or 0)) or 1 / (clip.fps or 24)
    _stretch(tally.video, start_s, start_s + lasts_s)


def _stretch(span: list[float], start_s: float, end_s: float) -> None:
    span[:] = min(span[0], start_s), max(span[1], end_s)


def _is_flat(frame: Any) -> bool:
    """Compares averages over a grid: what a codec does to a flat colour vanishes, a small mark does not."""
    size = min(_GRID, frame.width), min(_GRID, frame.height)
    grid = frame.reformat(width=size[0], height=size[1], format="rgb24", interpolation="AREA").to_image()
    extremes: Sequence[tuple[int, int]] = grid.getextrema()
    return all(high - low <= FLAT for low, high in extremes)


def _look(clip: Clip, size: tuple[int, int], duration_s: float, *, frames: int, is_blank: bool) -> Look:
    fps = clip.fps or (frames / duration_s if duration_s else 0.0)
    return Look(
        media_type=clip.media_type,
        width=size[0],
        height=size[1],
        duration_s=round(duration_s, 3),
        fps=round(fps, 3),
        codec=clip.stream.codec_context.name,
        frames=frames,
        has_audio=clip.sound is not None,
        is_blank=is_blank,
    )
