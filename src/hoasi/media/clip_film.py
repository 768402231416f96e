"""Workbench (floor 1): frames and sound become an mp4 (H.264, AAC) that starts to play before all of it has come."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoasi.media.clip_open import BT709, need_av

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.frame import VideoFrame

TICKS = 90_000
"""Of a second; every usual frame rate divides it."""

_THREADS = 2
"""A fixed number: the bytes do not depend on the machine's."""
_GAP_S = 0.02
_PIECE = 1024


class Film:
    """An mp4 in the making. Times in seconds from its beginning; calls come in the order of time."""

    def __init__(self, path: Path, size: tuple[int, int], fps: Fraction, sound: AudioStream | None = None) -> None:
        av = need_av()
        self._fps = fps
        self._last = -1
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._video = self._container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "18"})
        context = self._video.codec_context
        context.width, context.height, context.pix_fmt = *size, "yuv420p"
        context.time_base = Fraction(1, TICKS)
        context.thread_count = _THREADS
        self.colours(BT709, BT709, BT709)
        self._track = _Track(self._container, sound) if sound else None

    def colours(self, space: int, primaries: int, curve: int) -> None:
        """What the numbers of the frames mean (ITU-T H.273); before the first frame."""
        context = self._video.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = space, primaries, curve, 1

    def show(self, frame: VideoFrame, at_s: float) -> None:
        """One more frame (yuv420p, of the film's size); one that is not later than the last is left out."""
        tick = round(at_s * TICKS)
        if tick <= self._last:
            return
        frame.pts, frame.time_base, self._last = tick, Fraction(1, TICKS), tick
        frame.duration = round(TICKS / self._fps)
        frame.pict_type = 0
        self._container.mux(self._video.encode(frame))

    def hear(self, frame: Any, at_s: float) -> None:
        """One more piece of sound; what lies between it and the last is silence."""
        if self._track:
            self._track.hear(frame, at_s)

    def still(self, until_s: float) -> None:
        """Silence up to a time."""
        if self._track:
            self._track.still(until_s)

    def end(self) -> None:
        """What the encoders still hold, and the table of contents."""
        self._container.mux(self._video.encode(None))
        if self._track:
            self._track.end()
        self._container.close()


class _Track:
    """Sound as AAC, mono or stereo, with no holes in it."""

    def __init__(self, container: Any, source: AudioStream) -> None:
        av = need_av()
        self._rate = source.rate if 8_000 <= source.rate <= 48_000 else 48_000
        self._layout = "mono" if source.layout.nb_channels == 1 else "stereo"
        self._container = container
        self._stream = container.add_stream("aac", rate=self._rate, layout=self._layout, bit_rate=160_000)
        self._same = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        self._heard = 0

    def hear(self, frame: Any, at_s: float) -> None:
        if at_s - self._heard / self._rate > _GAP_S:
            self.still(at_s)
        frame.pts = None
        for piece in self._same.resample(frame):
            self._add(piece)

    def still(self, until_s: float) -> None:
        while (missing := round(until_s * self._rate) - self._heard) > 0:
            self._add(self._silence(min(missing, _PIECE)))

    def end(self) -> None:
        for piece in self._same.resample(None):
            self._add(piece)
        self._container.mux(self._stream.encode(None))

    def _silence(self, samples: int) -> Any:
        av = need_av()
        piece = av.AudioFrame(format="fltp", layout=self._layout, samples=samples)
        piece.sample_rate = self._rate
        for plane in piece.planes:
            plane.update(bytes(plane.buffer_size))
        return piece

    def _add(self, piece: Any) -> None:
        piece.pts, piece.time_base = self._heard, Fraction(1, self._rate)
        self._heard += piece.samples
        self._container.mux(self._stream.encode(piece))


def filmed(
    size: tuple[int, int], fps: Fraction, shoot: Callable[[Film], None], sound: AudioStream | None = None
) -> bytes:
    """The mp4 that `shoot` makes. It lies in a temporary folder first: its table is moved to the front at the end."""
    with tempfile.TemporaryDirectory(prefix="hoasi-") as folder:
        path = Path(folder) / "film"
        film = Film(path, size, fps, sound)
        shoot(film)
        film.end()
        return path.read_bytes()
