"""Workbench (floor 1): where are the faces in a picture. YuNet (MIT, 122 kB, beside this file) on OpenCV; no network.

Two ways to ask: sensitive, for the gate that asks for consent (rather once too often), and strict, for a swap (which
must not err about whose face). Rates, misses and how they were measured: docs/faces.md.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.media import face_picture
from hoasi.record import Record

if TYPE_CHECKING:
    from PIL.Image import Image

SENSITIVE, TURNED, STRICT = 0.6, 0.85, 0.8
"""Scores from which a face counts; `TURNED` where the picture had to be turned: a cat on its side scores 0.83."""
MIN_SIDE, MAX_RATIO = 300, 2.5
"""What `crop` keeps to: pixels a side, and the longer side over the shorter."""

_SIDES = (2560, 320)
"""The longer side of what the network sees: small faces need the large one, a face that fills the picture the small."""
_SAME = 0.4
"""Boxes that share this much of the smaller one are one face."""
_THIN = 4
"""Of a clip one frame in so many is also looked at on its side and on its head; and once somebody was seen, only
these frames are looked at, for the count."""
_EYES = 0.2
"""A strict face has its eyes at least this share of its width apart, and its mouth so much of its height below them."""
_FLAT = 0.55
"""Photographed skin has this share of its pixels in no narrow band of lightness; drawn skin does."""
_MODEL = Path(__file__).with_name("face_yunet.onnx")
_ONE_AT_A_TIME = threading.Lock()


class Face(Record):
    """One face. Pixels of the picture as a viewer shows it (EXIF applied); a box may reach over the picture's edge.

    `landmarks`: the eye that an upright picture has on its left, the other, the tip of the nose, the corners of the
    mouth, left and right as the eyes.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()


def is_available() -> bool:
    """Are the parts that find faces installed (hoasi[media])?"""
    return find_spec("cv2") is not None and find_spec("numpy") is not None


def detect(picture: bytes | Path, *, strict: bool = False) -> tuple[Face, ...]:
    """The faces of a picture, largest first; without `strict` also those of a picture that lies on its side.

    Args:
        picture: an image file or its content.
        strict: only faces that are beyond doubt, upright within about 45 degrees.

    Raises:
        NotSupported: `media_extra_missing`.
        FileBroken: `not_a_picture`, `picture_too_large`.
        OSError: the file cannot be opened.
    """
    _must_be_available()
    return in_image(face_picture.upright(picture), strict=strict)


def in_image(image: Image, *, strict: bool, any_way_up: bool = True) -> tuple[Face, ...]:
    """As `detect`, in an image that is decoded and upright; without `any_way_up` only as it stands.

    Raises:
        NotSupported: `media_extra_missing`.
    """
    _must_be_available()
    import numpy

    pixels = numpy.asarray(_on_grey(image))[:, :, ::-1]
    for turns in (0, 1, 3, 2) if any_way_up and not strict else (0,):
        found = _found(numpy.ascontiguousarray(numpy.rot90(pixels, -turns)))
        wanted = [face for face in found if _counts(face, strict=strict, turned=turns > 0)]
        wanted = [better for face in wanted if (better := _closer(pixels, face))] if strict else wanted
        if wanted:
            back = [_turned_back(face, turns, image.width, image.height) for face in wanted]
            return tuple(sorted(back, key=lambda face: -face.width * face.height))
    return ()


def detect_in(frames: Iterable[Image]) -> int:
    """The largest number of faces seen in a frame of a clip; 0 where there are no frames. Sensitive.

    Args:
        frames: in their order; each is let go before the next is taken. Every one is looked at until somebody is seen.

    Raises:
        NotSupported: `media_extra_missing`.
    """
    _must_be_available()
    most = 0
    for number, frame in enumerate(frames):
        is_thorough = number % _THIN == 0
        if is_thorough or not most:
            most = max(most, len(in_image(frame, strict=False, any_way_up=is_thorough)))
    return most


def crop(face: Face, width: int, height: int, margin: float = 0.6) -> tuple[int, int, int, int]:
    """A box (left, top, right, bottom) around a face, inside a picture of `width` x `height` pixels.

    At least 300 pixels a side where the picture allows it, and no side over 2.5 times the other; near an edge the box
    moves rather than shrinks.

    Args:
        face: in the same picture.
        width: of the picture.
        height: of the picture.
        margin: added on each side, in shares of the face's own width and height.
    """
    across = min(width, max(MIN_SIDE, round(face.width * (1 + 2 * margin))))
    down = min(height, max(MIN_SIDE, round(face.height * (1 + 2 * margin))))
    across = min(max(across, min(width, math.ceil(down / MAX_RATIO))), int(down * MAX_RATIO))
    down = min(max(down, min(height, math.ceil(across / MAX_RATIO))), int(across * MAX_RATIO))
    left = _placed(face.left + face.width / 2, across, width)
    top = _placed(face.top + face.height / 2, down, height)
    return left, top, left + across, top + down


def _placed(centre: float, size: int, whole: int) -> int:
    return min(max(round(centre - size / 2), 0), whole - size)


def _must_be_available() -> None:
    if not is_available():
        raise NotSupported("media_extra_missing", what="opencv-python-headless")


def _counts(face: Face, *, strict: bool, turned: bool) -> bool:
    """Is it sure enough? A strict face also has its eyes apart, and its mouth below them."""
    if not strict:
        return face.score >= (TURNED if turned else SENSITIVE)
    (left_x, left_y), (right_x, right_y), _, *mouth = face.landmarks
    eyes_y, mouth_y = (left_y + right_y) / 2, (mouth[0][1] + mouth[1][1]) / 2
    looks_at_us = right_x - left_x >= max(_EYES * face.width, abs(right_y - left_y))
    return face.score >= STRICT and looks_at_us and mouth_y - eyes_y >= _EYES * face.height


def _closer(pixels: Any, face: Face) -> Face | None:
    """The face looked at alone, with finer points; None unless it is seen best as it stands.

    The network also finds faces that lie on their side or stand on their head, with points that are wrong.
    """
    import numpy

    left, top = max(0, round(face.left - face.width / 2)), max(0, round(face.top - face.height / 2))
    part = pixels[top : round(face.top + face.height * 1.5), left : round(face.left + face.width * 1.5)]
    views = (numpy.ascontiguousarray(numpy.rot90(part, turns)) for turns in range(4))
    upright, *others = (max(_at(view, _SIDES[1]), key=lambda one: one.score, default=None) for view in views)
    if upright is None or any(other and other.score > upright.score for other in others):
        return None
    points = tuple((round(x + left, 2), round(y + top, 2)) for x, y in upright.landmarks)
    return upright.model_copy(update={"left": upright.left + left, "top": upright.top + top, "landmarks": points})


def _on_grey(image: Image) -> Image:
    """The image without transparency: what lies under it must not look like anything."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    from PIL import Image as Images

    grey = Images.new("RGBA", image.size, (128, 128, 128, 255))
    return Images.alpha_composite(grey, image.convert("RGBA")).convert("RGB")


def _found(pixels: Any) -> list[Face]:
    """Faces at every size that the network looks at, each once, without those that are drawn. Pixels are BGR."""
    every = [face for side in _SIDES for face in _at(pixels, side)]
    kept: list[Face] = []
    for face in sorted(every, key=lambda face: -face.score):
        if not any(_is_same(face, other) for other in kept):
            kept.append(face)
    return [face for face in kept if not _is_drawn(pixels, face)]


def _at(pixels: Any, side: int) -> list[Face]:
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    with _ONE_AT_A_TIME:  # the network keeps its input size and buffers between two calls
        network = _network()
        network.setInputSize(size)
        _, rows = network.detect(small)
    return [] if rows is None else [_face(row / scale, float(row[14])) for row in rows.astype(float)]


@cache
def _network() -> Any:
    """The network, loaded once. OpenCV 5 warns about a choice that it made itself: not while loading."""
    import cv2
    import numpy

    model = numpy.frombuffer(_MODEL.read_bytes(), numpy.uint8)
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        return cv2.FaceDetectorYN.create("onnx", model, model[:0], (320, 320), SENSITIVE, 0.3, 500)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _face(row: Any, score: float) -> Face:
    left, top, width, height, *points = (round(float(value), 2) for value in row[:14])
    pairs = tuple(zip(points[::2], points[1::2], strict=True))
    return Face(left=left, top=top, width=width, height=height, score=round(score, 3), landmarks=pairs)


def _is_same(one: Face, other: Face) -> bool:
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    smaller = min(one.width * one.height, other.width * other.height)
    return across > 0 and down > 0 and across * down > _SAME * smaller


def _is_drawn(pixels: Any, face: Face) -> bool:
    """Is the skin one flat tone? Burnt-out white and black do not count: an overexposed face is still a face."""
    import cv2
    import numpy

    top, down = max(0, int(face.top + face.height * 0.25)), max(1, int(face.top + face.height * 0.85))
    left, right = max(0, int(face.left + face.width * 0.2)), max(1, int(face.left + face.width * 0.8))
    inner = pixels[top:down, left:right]
    if not inner.size:
        return False
    grey = cv2.cvtColor(cv2.resize(inner, (48, 48), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    low, high = numpy.percentile(grey, (2, 98))
    counts = numpy.bincount(grey.ravel(), minlength=256)[4:250]
    band = numpy.ones(max(2, int(max(high - low, 8) * 0.08)))
    return bool(numpy.convolve(counts, band, "valid").max() / grey.size >= _FLAT)


def _turned_back(face: Face, turns: int, width: int, height: int) -> Face:
    """A face found after so many quarter turns clockwise, in the picture of `width` x `height` as it was."""
    if not turns:
        return face
    corners = (face.left, face.top), (face.left + face.width, face.top + face.height)
    (x1, y1), (x2, y2) = (_point_back(point, turns, width, height) for point in corners)
    points = tuple(_point_back(point, turns, width, height) for point in face.landmarks)
    box = {"left": min(x1, x2), "top": min(y1, y2), "width": face.height if turns % 2 else face.width}
    box["height"] = face.width if turns % 2 else face.height
    return face.model_copy(update={**box, "landmarks": points})


def _point_back(point: tuple[float, float], turns: int, width: int, height: int) -> tuple[float, float]:
    x, y = point
    back = {1: (y, height - x), 2: (width - x, height - y), 3: (width - y, x)}[turns]
    return round(back[0], 2), round(back[1], 2)
