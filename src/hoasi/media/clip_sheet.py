"""Workbench (floor 1): a picture as a camera over a table sees it: any window of it, at any size, as a video frame.

Kept as three planes (brightness and two of colour at half size), so that no frame is converted: a third of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFilter

from hoasi.media.storyboard_type import SEMIBOLD, clean, font, length, line_height, rise

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

BLACK, WHITE, GREY = 16, 235, 128
"""Of the limited range that video uses."""

INSET = 0.105
"""How far a mark lies from the edge, as a share of the shorter side: a storyboard's film ends before 0.078, and what is
there is seen at most 1.16 times as far in."""

_Box = tuple[float, float, float, float]


class Window(NamedTuple):
    """A part of the picture: its middle and its sides, each as a share (0 to 1) of the picture's own."""

    x: float
    y: float
    width: float
    height: float

    def box(self, size: tuple[int, int]) -> _Box:
        """In pixels, and never over the edge."""
        left = min(max(0.0, self.x - self.width / 2), 1 - self.width)
        top = min(max(0.0, self.y - self.height / 2), 1 - self.height)
        across, down = size
        right, bottom = min(1.0, left + self.width), min(1.0, top + self.height)
        return max(0.0, left) * across, max(0.0, top) * down, right * across, bottom * down


class Mark(NamedTuple):
    """A small word for a corner: how strongly it and its shadow cover, and where they lie (even pixels)."""

    letters: Image.Image
    shadow: Image.Image
    at: tuple[int, int]


@dataclass(frozen=True)
class Sheet:
    """A picture of three planes, of limited range."""

    planes: tuple[Image.Image, Image.Image, Image.Image]

    @classmethod
    def of(cls, frame: VideoFrame) -> Sheet:
        """The planes of a yuv420p frame."""
        y, u, v = (
            Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size, 1)
            for plane in frame.planes
        )
        return cls((y, u, v))

    def seen(
        self, window: Window, size: tuple[int, int], mark: Mark | None = None, strength: float = 1.0
    ) -> VideoFrame:
        """What a window shows, at an even size in pixels; the mark may be fainter (`strength` 0 to 1)."""
        halves = size[0] // 2, size[1] // 2
        shown = [
            plane.resize(one, Image.Resampling.LANCZOS, box=window.box(plane.size))
            for plane, one in zip(self.planes, (size, halves, halves), strict=True)
        ]
        if mark is not None and strength > 0:
            _write(shown, mark, strength)
        return _frame(shown)


def _frame(planes: list[Image.Image]) -> VideoFrame:
    from av.video.frame import VideoFrame

    frame = VideoFrame(planes[0].width, planes[0].height, "yuv420p")
    for plane, picture in zip(frame.planes, planes, strict=True):
        plane.update(picture.tobytes("raw", "L", plane.line_size))
    return frame


def _write(planes: list[Image.Image], mark: Mark, strength: float) -> None:
    letters, shadow = (_fainter(mask, strength) for mask in (mark.letters, mark.shadow))
    planes[0].paste(BLACK, mark.at, shadow)
    planes[0].paste(WHITE, mark.at, letters)
    half = letters.reduce(2)
    for plane in planes[1:]:
        plane.paste(GREY, (mark.at[0] // 2, mark.at[1] // 2), half)


def _fainter(mask: Image.Image, strength: float) -> Image.Image:
    return mask if strength >= 1 else mask.point([round(value * strength) for value in range(256)])


@lru_cache(maxsize=8)
def mark_of(text: str, width: int, height: int) -> Mark | None:
    """The mark of a clip of this size: white letters on a soft shadow, at the upper left; None for no text.

    Down there the platforms lay their buttons and words, and at the right a wide storyboard has its own. So far from
    the edge neither its film's holes come near, however close the camera goes.
    """
    shown = clean(text)
    side = min(width, height)
    size = max(9, round(side * 0.024))
    edge, blur = round(side * INSET), max(1, size // 6)
    pad = 3 * blur
    across, down = int(length(shown, SEMIBOLD, size)) + 2 * pad, line_height(SEMIBOLD, size) + 2 * pad
    if not shown or across + edge > width or down + edge > height:
        return None
    letters = Image.new("L", (across + across % 2, down + down % 2))
    pen = ImageDraw.Draw(letters)
    pen.text((pad, pad + rise(SEMIBOLD, size)), shown, font=font(SEMIBOLD, size), fill=255, anchor="ls")
    shadow = letters.filter(ImageFilter.GaussianBlur(blur)).point([min(150, value) for value in range(256)])
    left, top = edge - pad, edge - pad
    return Mark(letters.point([round(value * 0.82) for value in range(256)]), shadow, (left - left % 2, top - top % 2))
