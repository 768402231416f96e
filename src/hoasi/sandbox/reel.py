"""Room: sandbox. Clips: real mp4 files (H.264, and AAC where sound is wanted) for every provider's stand-in.

PyAV is heavy, so it is imported when the first clip is made, in a worker thread. The same wishes always give the same
bytes on one machine. The index (`moov`) comes before the media (`mdat`), as providers' files have it: a file that was
cut off still opens, tells its full length and ends early.
"""

import asyncio
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame
    from av.container import OutputContainer
    from av.video.plane import VideoPlane

Broken = Literal["", "truncated", "empty"]
CONTENT_TYPE = "video/mp4"
TINY_FPS = 8
KEPT = 16
_TINY_SIDE = 64
_RATE = 24_000  # samples a second: half the time of the usual 48,000
_BITS = 48_000  # a second
_CHUNK = 1024  # samples of one AAC frame
_GREY = 128
_SELF_CONTAINED = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,wav,mp3,aac,ogg,flac"  # playlists would open other files
_BOX_HEAD = 8


@dataclass(frozen=True)
class _Take:
    width: int
    height: int
    frames: int
    fps: int
    seed: int
    samples: int
    is_blank: bool


async def clip(
    *,
    width: int,
    height: int,
    duration_s: float,
    fps: int = 24,
    seed: int = 0,
    has_audio: bool = False,
    is_blank: bool = False,
    broken: Broken = "",
) -> tuple[bytes, str]:
    """Return a clip and its content type (`video/mp4`): a gradient that moves, and a tone where sound is wanted.

    Width and height in pixels, odd sides lose one; at least one frame. `is_blank` makes every frame the same grey.
    `broken`: "truncated" cuts the file in the middle of its media, "empty" leaves no byte.
    """
    frames = max(1, round(duration_s * fps))
    samples = round(duration_s * _RATE) if has_audio else 0
    take = _Take(max(2, width & ~1), max(2, height & ~1), frames, fps, seed, samples, is_blank)
    whole = await asyncio.to_thread(_encoded, take)
    return cut(whole, broken), CONTENT_TYPE


def cut(whole: bytes, broken: Broken) -> bytes:
    """Return the clip, or what is left of it after it was broken."""
    match broken:
        case "":
            return whole
        case "truncated":
            media = _media(whole)
            return whole[: (media.start + media.stop) // 2]
        case "empty":
            return b""


def tiny_size(width: int, height: int) -> tuple[int, int]:
    """Return small even sides of the same shape (exactly the same for the usual ratios): 768x1344 becomes 64x112."""
    step = math.gcd(width, height)
    across, down = width // step, height // step
    scale = max(1, round(_TINY_SIDE / min(across, down) / 2)) * 2
    if scale * min(across, down) > 2 * _TINY_SIDE:
        return _even(_TINY_SIDE * max(1, width / height)), _even(_TINY_SIDE * max(1, height / width))
    return across * scale, down * scale


@dataclass(frozen=True)
class Measures:
    """What a media file says of itself. Sides in pixels, 0 for sound alone."""

    width: int
    height: int
    duration_s: float
    has_audio: bool


async def measured(content: bytes) -> Measures | None:
    """Read the measures of a clip or a sound; None if no decoder knows it or it does not tell its length."""
    return await asyncio.to_thread(_measured, content)


def _measured(content: bytes) -> Measures | None:
    import av

    try:
        with BytesIO(content) as file, av.open(file, "r", options={"format_whitelist": _SELF_CONTAINED}) as container:
            if not container.duration or not container.streams:
                return None
            sides = [(stream.width, stream.height) for stream in container.streams.video] or [(0, 0)]
            return Measures(*sides[0], container.duration / av.time_base, bool(container.streams.audio))
    except av.FFmpegError:
        return None


def _even(side: float) -> int:
    return round(side / 2) * 2


def _media(whole: bytes) -> range:
    """Find the bytes of the `mdat` box; every top-level box of an mp4 begins with its size and its name.

    All bytes where there is none: what is no mp4 can be broken too.
    """
    start = 0
    while start < len(whole) and whole[start + 4 : start + _BOX_HEAD] != b"mdat":
        start += max(_BOX_HEAD, int.from_bytes(whole[start : start + 4]))
    if start >= len(whole):
        return range(len(whole))
    return range(start + _BOX_HEAD, min(len(whole), start + int.from_bytes(whole[start : start + 4])))


@lru_cache(maxsize=KEPT)
def _encoded(take: _Take) -> bytes:
    """Encode; takes tens of milliseconds and more, so never in the event loop."""
    import av

    with BytesIO() as file:
        with av.open(file, "w", format="mp4", options={"moov_size": str(_index_bytes(take))}) as container:
            _film(container, take)
        return file.getvalue()


def _index_bytes(take: _Take) -> int:
    """Return enough room in front for the index of a take (FFmpeg counts up to 24 bytes a frame of either kind)."""
    return 4096 + 32 * (take.frames + take.samples // _CHUNK)


def _film(container: "OutputContainer", take: _Take) -> None:
    picture = container.add_stream("libx264", rate=take.fps, options={"preset": "ultrafast", "crf": "30"})
    picture.width, picture.height, picture.pix_fmt = take.width, take.height, "yuv420p"
    picture.codec_context.thread_count = 1  # the order of threads must not show in the bytes
    quick = {"aac_coder": "fast"}
    sound = container.add_stream("aac", rate=_RATE, layout="mono", options=quick) if take.samples else None
    for frame in _frames(take):
        container.mux(picture.encode(frame))
    container.mux(picture.encode(None))
    if sound is not None:
        sound.bit_rate = _BITS
        for chunk in _chunks(take):
            container.mux(sound.encode(chunk))
        container.mux(sound.encode(None))


def _frames(take: _Take) -> Iterator["VideoFrame"]:
    import av

    for number in range(take.frames):
        frame = av.VideoFrame(take.width, take.height, "yuv420p")
        light, *colours = frame.planes
        shift = 0 if take.is_blank else take.seed * 31 + number * 4
        light.update(_flat(light, _GREY) if take.is_blank else _gradient(light, shift))
        for index, colour in enumerate(colours):
            colour.update(_flat(colour, _GREY if take.is_blank else 64 + (take.seed * 37 + index * 71) % 128))
        frame.pts, frame.time_base = number, Fraction(1, take.fps)
        yield frame


def _flat(plane: "VideoPlane", level: int) -> bytes:
    return bytes([level]) * plane.buffer_size


def _gradient(plane: "VideoPlane", shift: int) -> bytes:
    """Return slanted waves of light; a row is the row above, one step further."""
    row = plane.line_size
    wave = _wave(row + 512)
    starts = ((shift + y) % 512 for y in range(plane.buffer_size // row))
    return b"".join(wave[start : start + row] for start in starts)


@lru_cache(maxsize=4)
def _wave(length: int) -> bytes:
    return bytes(min(255, abs(256 - x % 512)) for x in range(length))


def _chunks(take: _Take) -> Iterator["AudioFrame"]:
    import av

    period = 40 + take.seed % 40  # samples: a tone between 300 and 600 hertz
    tone = array("f", (0.2 * math.sin(math.tau * x / period) for x in range(period))) * (_CHUNK // period + 2)
    for start in range(0, take.samples, _CHUNK):
        length = min(_CHUNK, take.samples - start)
        chunk = av.AudioFrame(format="fltp", layout="mono", samples=length)
        offset = start % period
        chunk.planes[0].update(tone[offset : offset + length].tobytes().ljust(chunk.planes[0].buffer_size, b"\0"))
        chunk.sample_rate, chunk.pts, chunk.time_base = _RATE, start, Fraction(1, _RATE)
        yield chunk
