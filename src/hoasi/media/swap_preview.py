"""Workbench (floor 1): a face laid over another one, without a provider: to see which faces a swap would be about.

A sketch, and marked as one: nothing is generated. The new face is moved onto the old one's eyes, nose and mouth, given
its light, and its edge is melted into the skin (Poisson blending). The same pictures give the same bytes.
"""

from __future__ import annotations

import io
import math
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from hoasi.errors import FileBroken
from hoasi.media import face as faces
from hoasi.media import face_picture
from hoasi.media.face import Face

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 2048
"""The longer side of a preview: blending takes seconds beyond it."""

_HALF = ((0.5, -0.5), (0.94, -0.28), (0.92, 0.5), (0.74, 1.05), (0.4, 1.5))
_OUTLINE = (*_HALF, *((-across, down) for across, down in _HALF))
"""Of what is replaced, from the middle between the eyes: distances between the eyes across, from eyes to mouth down."""
_MELT = 34.0
"""How far blending may move a value (of 255): more is hair or a collar at the edge, which must not tint the skin."""

Which = Literal["source", "face"]


def preview(source: bytes, face: bytes, *, source_index: int = 0, face_index: int = 0, mark: str = "") -> bytes:
    """The source with one face replaced, as PNG, no side over 2048 pixels; costs nothing, sends nothing.

    Args:
        source: the picture that stays.
        face: the picture that gives the face.
        source_index: which face of the source is replaced, 0 = the largest.
        face_index: which face is taken, 0 = the largest.
        mark: short words pressed on a corner, so that nobody takes it for the result.

    Raises:
        FileBroken: `no_face`, `face_index_out_of_range` (facts: `picture`), `not_a_picture`, `picture_too_large`.
        NotSupported: `media_extra_missing`.
    """
    below, over = _small(source), _small(face)
    old = _chosen(below, source_index, "source")
    new = _chosen(over, face_index, "face")
    blended = _blended(_pixels(below), _pixels(over), old, new)
    return _marked(blended, old, mark)


def _small(content: bytes) -> Image:
    image = face_picture.upright(content).convert("RGB")
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return image


def _pixels(image: Image) -> Any:
    import numpy

    return numpy.ascontiguousarray(numpy.asarray(image)[:, :, ::-1])


def _chosen(image: Image, index: int, which: Which) -> Face:
    found = faces.in_image(image, strict=True)
    if not found:
        raise FileBroken("no_face", picture=which)
    if not 0 <= index < len(found):
        raise FileBroken("face_index_out_of_range", picture=which, index=index, count=len(found), last=len(found) - 1)
    return found[index]


def _blended(below: Any, over: Any, old: Face, new: Face) -> Any:
    """Only the part around the old face is worked on, in a frame, so that the blend never meets the picture's edge."""
    import cv2
    import numpy

    frame = math.ceil(max(old.width, old.height))
    roomy = cv2.copyMakeBorder(below, frame, frame, frame, frame, cv2.BORDER_REFLECT_101)
    left, top, right, bottom = _around(old, frame, roomy.shape)
    part = roomy[top:bottom, left:right]
    shift = numpy.array([[1, 0, frame - left], [0, 1, frame - top]], float)
    points = _moved(shift, old)
    moved, seen = _laid(over, _motion(new, points), part.shape)
    mask = numpy.minimum(_mask(points, part.shape), seen)
    part[:] = _melted(_lit(moved, part, mask), part, mask)
    return numpy.ascontiguousarray(roomy[frame:-frame, frame:-frame])


def _around(face: Face, frame: int, shape: Any) -> tuple[int, int, int, int]:
    left, top = round(face.left - face.width / 2) + frame, round(face.top - face.height / 2) + frame
    right, bottom = left + round(face.width * 2), top + round(face.height * 2)
    return max(0, left), max(0, top), min(shape[1], right), min(shape[0], bottom)


def _moved(motion: Any, face: Face) -> Any:
    import numpy

    return numpy.array([(*point, 1) for point in face.landmarks]) @ motion.T


def _motion(new: Face, points: Any) -> Any:
    """What lays the new face's five points on the old one's: turn, scale and shift, and half of what skews it.

    All of the skew follows a turned head better but draws ovals; none of it leaves the mouth beside the mouth.
    """
    import numpy

    known = numpy.array([(*point, 1) for point in new.landmarks])
    affine = numpy.linalg.lstsq(known, points, rcond=None)[0].T
    x, y = known[:, 0], known[:, 1]
    one, zero = numpy.ones(len(x)), numpy.zeros(len(x))
    rows = numpy.vstack([numpy.column_stack([x, -y, one, zero]), numpy.column_stack([y, x, zero, one])])
    a, b, right, down = numpy.linalg.lstsq(rows, numpy.concatenate([points[:, 0], points[:, 1]]), rcond=None)[0]
    return (affine + numpy.array([[a, -b, right], [b, a, down]])) / 2


def _laid(over: Any, motion: Any, shape: Any) -> tuple[Any, Any]:
    """The new face as it lies on the old one, and where there is any of its picture at all."""
    import cv2
    import numpy

    size = (shape[1], shape[0])
    scale = math.sqrt(abs(numpy.linalg.det(motion[:, :2])))
    soft = cv2.GaussianBlur(over, (0, 0), 0.5 / scale) if scale < 1 else over
    moved = cv2.warpAffine(soft, motion, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    whole = numpy.full(over.shape[:2], 255, numpy.uint8)
    return moved, cv2.erode(cv2.warpAffine(whole, motion, size), numpy.ones((5, 5), numpy.uint8))


def _mask(points: Any, shape: Any) -> Any:
    """Brows to chin, with the outer ends of the brows in it: the outline turns with the line between the eyes."""
    import cv2
    import numpy

    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    apart, deep = math.dist(points[0], points[1]), math.dist(eyes, mouth)
    apart, deep = max(apart, deep * 0.7), max(deep, apart * 0.7)
    down = (mouth - eyes) / math.dist(eyes, mouth)
    outline = numpy.array(_OUTLINE) * (apart, deep) @ (numpy.array([down[1], -down[0]]), down) + eyes
    mask = numpy.zeros(shape[:2], numpy.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(outline.round().astype(numpy.int32)), 255)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, apart / 8))
    mask = numpy.where(soft > 127, 255, 0).astype(numpy.uint8)
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = 0, 0, 0, 0
    return mask


def _lit(moved: Any, part: Any, mask: Any) -> Any:
    """The new face with the old one's mean and spread of lightness and colour (Lab)."""
    import cv2
    import numpy

    new, old = (cv2.cvtColor(pixels.astype(numpy.float32) / 255, cv2.COLOR_BGR2Lab) for pixels in (moved, part))
    inside = mask > 0
    spread = numpy.clip(old[inside].std(0) / numpy.maximum(new[inside].std(0), 1e-3), 0.6, 1.6)
    matched = (new - new[inside].mean(0)) * spread + old[inside].mean(0)
    back = cv2.cvtColor(matched.astype(numpy.float32), cv2.COLOR_Lab2BGR)
    return numpy.clip(back * 255, 0, 255).astype(numpy.uint8)


def _melted(moved: Any, part: Any, mask: Any) -> Any:
    """Poisson blending keeps the new face's edges and takes the skin's tone from all around; its seam is softened."""
    import cv2
    import numpy

    left, top, width, height = cv2.boundingRect(mask)
    centre = (left + width // 2, top + height // 2)
    cloned = cv2.seamlessClone(moved, part, mask.copy(), centre, cv2.NORMAL_CLONE)  # it scribbles on its mask
    melted = moved + numpy.clip(cloned.astype(float) - moved, -_MELT, _MELT)
    edge = max(2, width // 16)
    inner = cv2.erode(mask, numpy.ones((edge, edge), numpy.uint8))
    share = cv2.GaussianBlur(inner, (0, 0), edge / 2)[:, :, None] / 255
    return numpy.clip(melted * share + part * (1 - share), 0, 255).round().astype(numpy.uint8)


def _marked(pixels: Any, face: Face, mark: str) -> bytes:
    from PIL import Image

    from hoasi.media.storyboard_sheet import Box, stamp
    from hoasi.media.storyboard_type import clean

    image = Image.fromarray(pixels[:, :, ::-1].copy())
    is_left = face.left + face.width / 2 > image.width / 2
    # The corner away from the face. The stamp hangs from the top of its box, which therefore reaches below the picture.
    box = Box(0 if is_left else image.width // 2, round(image.height * 0.86), image.width // 2, image.height // 2)
    stamp(image, box, clean(mark), 0.0 if is_left else 1.0, Random(mark))  # noqa: S311  no secret (2026-11-27)
    sheet = io.BytesIO()
    image.save(sheet, "PNG")
    return sheet.getvalue()
