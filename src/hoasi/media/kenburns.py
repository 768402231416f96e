"""Workbench (floor 1): clips without any model: a slow camera move over a picture, or on from a clip's last frame.

No key, no network, no cost. The same arguments give the same bytes (with the same Pillow and PyAV).
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hoasi.errors import FileBroken
from hoasi.media.clip_film import Film, filmed
from hoasi.media.clip_open import Clip, as_input, decoded, need_av, opened, rewind, shown_size, truncated, upright
from hoasi.media.image import MAX_PIXELS

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL.Image import Image

    from hoasi.media.clip_sheet import Sheet, Window

FADE_S = 0.6
"""How long the mark of a continued clip takes to appear: nothing jumps at the seam."""

_ROUNDED_S = 0.002
_FEWEST_PX = 16
_WIDEST = 2.0
"""What lies further out than this many frames side by side is never shown, and is cut off first."""


class _View(NamedTuple):
    """Where the camera looks: `x`, `y` from -1 to 1 over the room there is, `zoom` from 1 (all that fits)."""

    x: float
    y: float
    zoom: float


@dataclass(frozen=True)
class _Move:
    """From one view to another. `across`, `down`: the share of the picture that fills the frame at zoom 1."""

    start: _View
    end: _View
    across: float = 1.0
    down: float = 1.0

    def at(self, share: float) -> Window:
        """The window after a share (0 to 1) of the time: it starts and ends standing still.

        Size grows by equal ratios and the middle goes along with it, so that a zoom keeps to one point.
        """
        eased = (1 - math.cos(math.pi * share)) / 2
        zoom = self.start.zoom * (self.end.zoom / self.start.zoom) ** eased
        if not math.isclose(self.start.zoom, self.end.zoom):
            eased = (1 / self.start.zoom - 1 / zoom) / (1 / self.start.zoom - 1 / self.end.zoom)
        (x0, y0), (x1, y1) = self._middle(self.start), self._middle(self.end)
        return _window(x0 + (x1 - x0) * eased, y0 + (y1 - y0) * eased, self.across / zoom, self.down / zoom)

    def _middle(self, view: _View) -> tuple[float, float]:
        return (
            0.5 + view.x * (1 - self.across / view.zoom) / 2,
            0.5 + view.y * (1 - self.down / view.zoom) / 2,
        )


def _window(x: float, y: float, width: float, height: float) -> Window:
    from hoasi.media.clip_sheet import Window

    return Window(x, y, width, height)


def ken_burns(
    picture: bytes, *, duration_s: float, fps: int = 24, width: int, height: int, seed: int, mark: str = ""
) -> bytes:
    """An mp4 (H.264, no sound) of a slow move over a picture, which fills the frame.

    Args:
        picture: PNG, JPEG, WEBP, GIF, BMP or TIFF; of an animation the first frame.
        duration_s: rounded to whole frames, at least two.
        fps: frames a second, 1 to 120.
        width: pixels; an odd side loses one. At least 16.
        height: as `width`.
        seed: chooses the move.
        mark: a few words for the upper left.

    Raises:
        FileBroken: `not_a_picture`. NotSupported: `media_extra_missing`.
    """
    from hoasi.media.clip_sheet import mark_of

    size = _even(width, height)
    source = _near(_picture(picture), size)
    move = _choose(Random(f"{seed}/ken burns"), size, source.size, duration_s)  # noqa: S311  no secret (2026-11-21)
    sheet = _laid_out(source, size, max(move.start.zoom, move.end.zoom))
    count = max(2, round(duration_s * fps))
    word = mark_of(mark, *size)

    def shoot(film: Film) -> None:
        for number in range(count):
            film.show(sheet.seen(move.at(number / (count - 1)), size, word), number / fps)

    return filmed(size, Fraction(fps), shoot)


def extend(
    clip_path: Path, *, duration_s: float, direction: Literal["end", "start"], seed: int, mark: str = ""
) -> bytes:
    """The whole clip and, behind its last or before its first frame, a slow move over that frame: an mp4.

    Same size (an odd side loses one pixel), frame rate and sound; the new part is silent. The move stands still at the
    seam. `duration_s` is the new part's. The old part is encoded once more, in good quality.

    Raises:
        FileBroken: `not_a_clip`, `clip_truncated`, `clip_too_large`. NotSupported: `media_extra_missing`.
        OSError: it cannot be opened.
    """
    with as_input(), opened(clip_path) as clip:
        first = next(decoded(clip, clip.stream), None)
        if clip.is_cut:
            raise truncated(clip.name, None, clip.promised_s)
        if first is None:
            raise FileBroken("not_a_clip", name=clip.name)
        rewind(clip)
        size = _even(*shown_size(clip, first))
        fps = Fraction(clip.fps or 24).limit_denominator(1001)
        chance = Random(f"{seed}/extend")  # noqa: S311  no secret (2026-11-21)
        more = _More(size, fps, _closer(chance, duration_s), max(1, round(duration_s * fps)), mark)
        run = _behind if direction == "end" else _before

        def shoot(film: Film) -> None:
            _colour(film, clip, first)
            run(film, clip, more, first)

        return filmed(size, fps, shoot, clip.sound)


# ------------------------------------------------------------------------------------------- choosing a move


def _choose(chance: Random, size: tuple[int, int], source: tuple[int, int], duration_s: float) -> _Move:
    """One of several moves; where the picture is much wider or higher than the frame, mostly along it."""
    ratio = (size[0] / size[1]) / (source[0] / source[1])
    across, down = min(1.0, ratio), min(1.0, 1 / ratio)
    near = 1.03 + min(0.13, 0.022 * duration_s)
    side, rise = chance.choice((-1, 1)), chance.choice((-0.5, -0.25))
    x, y = (_reach(share, near, duration_s) for share in (across, down))
    push = _View(0, 0, 1), _View(0, rise, near)
    drift = _View(-0.3 * side * x, 0.2 * y, 1.02), _View(0.7 * side * x, rise * y, near)
    pan = _View(-side * x, rise / 2, near), _View(side * x, rise / 2, near)
    tilt = _View(0, side * y, near), _View(0, -side * y, near)
    moves = {"push": push, "pull": push[::-1], "drift": drift, "pan": pan, "tilt": tilt}
    names = ["push", "pull", "drift", "pan", "tilt"]
    names += ["pan"] * 5 if across < 0.85 else ["tilt"] * 5 if down < 0.85 else []
    return _Move(*moves[chance.choice(names)], across, down)


def _reach(share: float, zoom: float, duration_s: float) -> float:
    """How much of the room to use: at most 3 % of the frame's side a second, and 22 % in all: nothing hurries."""
    room = (1 - share / zoom) / (share / zoom)
    return min(1.0, min(0.22, 0.03 * duration_s) / room)


def _closer(chance: Random, duration_s: float) -> _Move:
    """From the whole frame slowly nearer to one of its inner points."""
    near = 1.02 + min(0.12, 0.02 * duration_s)
    return _Move(_View(0, 0, 1), _View(chance.choice((-0.4, 0, 0.4)), chance.choice((-0.5, -0.2, 0)), near))


def _even(width: int, height: int) -> tuple[int, int]:
    return max(_FEWEST_PX, width - width % 2), max(_FEWEST_PX, height - height % 2)


# --------------------------------------------------------------------------------------- a move over a picture


def _picture(picture: bytes) -> Image:
    """Decoded, upright, on white where it is transparent."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(picture), formats=("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")) as opened_picture:
            if opened_picture.width * opened_picture.height > MAX_PIXELS:
                raise FileBroken("picture_too_large", name="", limit_mpx=MAX_PIXELS // 1_000_000)
            shown = ImageOps.exif_transpose(opened_picture).convert("RGBA")
    except FileBroken:
        raise
    except Exception as error:
        raise FileBroken("not_a_picture", name="") from error
    paper = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(paper, shown).convert("RGB")


def _near(source: Image, size: tuple[int, int]) -> Image:
    """The middle of a picture that is very long in one direction."""
    ratio = size[0] / size[1]
    wide = min(source.width, max(1, round(source.height * ratio * _WIDEST)))
    high = min(source.height, max(1, round(source.width / ratio * _WIDEST)))
    left, top = (source.width - wide) // 2, (source.height - high) // 2
    return source.crop((left, top, left + wide, top + high))


def _laid_out(source: Image, size: tuple[int, int], nearest: float) -> Sheet:
    """The picture as large as its nearest view needs: drawn smaller for the others, never larger."""
    from PIL.Image import Resampling

    from hoasi.media.clip_sheet import Sheet

    scale = max(size[0] / source.width, size[1] / source.height) * nearest
    wide, high = (2 * math.ceil(side * scale / 2) for side in source.size)
    large = source.resize((wide, high), Resampling.LANCZOS)
    frame = need_av().VideoFrame.from_image(large)
    return Sheet.of(frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"))


# ------------------------------------------------------------------------------------------- a longer clip


@dataclass(frozen=True)
class _More:
    """The new part: its move from (or back to) the frame at the seam, and how many frames it takes."""

    size: tuple[int, int]
    fps: Fraction
    move: _Move
    count: int
    mark: str

    def seen(self, sheet: Sheet, away: int) -> VideoFrame:
        """What is seen so many frames away from the seam (at least one)."""
        from hoasi.media.clip_sheet import mark_of

        strength = min(1.0, float(away / self.fps) / FADE_S)
        return sheet.seen(self.move.at(away / self.count), self.size, mark_of(self.mark, *self.size), strength)


def _behind(film: Film, clip: Clip, more: _More, first: VideoFrame) -> None:
    last, end_s = _old(film, clip, more.size, 0.0, first)
    sheet = _sheet(clip, last, more.size)
    for away in range(1, more.count + 1):
        at_s = end_s + float(away / more.fps)
        film.show(more.seen(sheet, away), at_s)
        film.still(at_s)


def _before(film: Film, clip: Clip, more: _More, first: VideoFrame) -> None:
    sheet = _sheet(clip, first, more.size)
    for number in range(more.count):
        at_s = float(number / more.fps)
        film.show(more.seen(sheet, more.count - number), at_s)
        film.still(at_s)
    film.still(float(more.count / more.fps))
    _old(film, clip, more.size, float(more.count / more.fps), first)


def _old(film: Film, clip: Clip, size: tuple[int, int], later_s: float, first: VideoFrame) -> tuple[VideoFrame, float]:
    """The clip as it is, so much later; gives its last frame and when it came."""
    last, end_s = first, later_s
    streams = (clip.stream, clip.sound) if clip.sound else (clip.stream,)
    for frame in decoded(clip, *streams):
        at_s = max(0.0, (frame.time or 0.0) - clip.start_s)
        if hasattr(frame, "samples"):
            film.hear(frame, at_s + later_s)
        else:
            last, end_s = _fitted(clip, frame, size), _on_beat(at_s, clip.fps) + later_s
            film.show(last, end_s)
    return last, end_s


def _on_beat(at_s: float, fps: float) -> float:
    """The time without the rounding of files that count in milliseconds; frames of uneven length keep theirs."""
    beat = round(at_s * fps) / fps if fps else at_s
    return beat if abs(beat - at_s) < _ROUNDED_S else at_s


def _colour(film: Film, clip: Clip, first: VideoFrame) -> None:
    """Frames that are passed on keep the meaning of their numbers."""
    if not first.rotation and shown_size(clip, first) == (first.width, first.height):
        film.colours(first.colorspace, first.color_primaries, first.color_trc)


def _fitted(clip: Clip, frame: Any, size: tuple[int, int]) -> Any:
    """The frame upright, in the film's size and kind; untouched where it is so already."""
    if frame.rotation or shown_size(clip, frame) != (frame.width, frame.height):
        frame = need_av().VideoFrame.from_image(upright(clip, frame))
        return frame.reformat(*size, "yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    return frame.reformat(*size, "yuv420p")


def _sheet(clip: Clip, seam: VideoFrame, size: tuple[int, int]) -> Sheet:
    from hoasi.media.clip_sheet import Sheet

    return Sheet.of(_fitted(clip, seam, size))
