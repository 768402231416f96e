"""Workbench (floor 1): the storyboard's letters. Bundled font, missing glyphs, wrapping; nothing wider than its box."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

FONTS = Path(__file__).parent / "fonts"
REGULAR, SEMIBOLD, EXTRABOLD = (
    f"BeVietnamPro_{weight}.ttf" for weight in ("400Regular", "600SemiBold", "800ExtraBold")
)
ELLIPSIS, UNKNOWN = "\u2026", "?"
_LONGEST = 6000
_HIGHEST = "\u1ea8\u1ed4\u1eaa\u1ed6\u1ea4\u1ed0\u1ec2\u1ec4\u1eb2\u1eb4\u1eec\u1eee"
"""Capitals with two accents: they rise well over the font's own ascent, by hinting differently at each size."""
_LOWEST = "\u1ef1\u1ef0\u1ead\u1ed9\u1ecb\u1ef5gjpqyQ|()"


@lru_cache(maxsize=96)
def font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a bundled face at `size` pixels. Basic layout: the same picture with and without libraqm."""
    return ImageFont.truetype(str(FONTS / face), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def has_glyph(letter: str) -> bool:
    """Is there a picture of this letter in the font (not the box that stands for a missing one)?"""
    return bytes(font(REGULAR, 32).getmask(letter)) != bytes(font(REGULAR, 32).getmask("\uffff"))


def clean(text: str) -> str:
    """Return the text composed (NFC), on one line, in letters the font has.

    Emoji, control and joining characters go; a letter without a glyph becomes its plain form or a question mark.
    """
    shown = "".join(_shown(letter) for letter in unicodedata.normalize("NFC", text[:_LONGEST]))
    return " ".join(shown.split())


@lru_cache(maxsize=2048)
def _shown(letter: str) -> str:
    if letter.isspace():
        return " "
    if unicodedata.category(letter)[0] == "C":
        return ""
    if has_glyph(letter):
        return letter
    plain = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
    if plain != letter and all(has_glyph(c) for c in plain):
        return plain
    return UNKNOWN if unicodedata.category(letter)[0] in "LN" else ""


@lru_cache(maxsize=20_000)
def _advance(letter: str, face: str, size: int) -> float:
    return font(face, size).getlength(letter)


def length(text: str, face: str, size: int) -> float:
    """Return how wide the text is in pixels: the sum of its letters, as basic layout sets this font without kerning."""
    return sum(_advance(letter, face, size) for letter in text)


@cache
def line_height(face: str, size: int) -> int:
    """Return the pixels a line owns: two lines never touch, not even a dot below and stacked accents on a capital."""
    return rise(face, size) + math.ceil(font(face, size).getbbox(_LOWEST, anchor="ls")[3])


@cache
def rise(face: str, size: int) -> int:
    """Return the pixels from the top of a line to its baseline."""
    return math.ceil(-font(face, size).getbbox(_HIGHEST, anchor="ls")[1])


def shorten(text: str, face: str, size: int, width: float) -> str:
    """Return the text, cut and ended with an ellipsis where it is wider than `width` pixels; "" if nothing fits."""
    if length(text, face, size) <= width:
        return text
    kept = _longest(text, lambda start: length(start.rstrip() + ELLIPSIS, face, size) <= width)
    return kept.rstrip() + ELLIPSIS if kept else ""


def _longest(text: str, fits: Callable[[str], bool]) -> str:
    """Return the longest beginning that fits, found by halving."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle]) else (low, middle - 1)
    return text[:low]


def wrap(text: str, face: str, size: int, width: float) -> list[str]:
    """Return the text as lines of at most `width` pixels; a word longer than a line is broken."""
    lines, line = [], ""
    for word in _pieces(text, face, size, width):
        longer = f"{line} {word}" if line else word
        if line and length(longer, face, size) > width:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line] if line else lines


def _pieces(text: str, face: str, size: int, width: float) -> Iterator[str]:
    for word in text.split():
        rest = word
        while length(rest, face, size) > width and len(rest) > 1:
            start = _longest(rest, lambda part: length(part, face, size) <= width) or rest[0]
            yield start
            rest = rest[len(start) :]
        yield rest


@dataclass(frozen=True)
class Block:
    """Lines of one size that fit their box."""

    size: int
    lines: tuple[str, ...]


def fit(text: str, face: str, box: tuple[float, float], sizes: Sequence[int]) -> Block:
    """Return the text at the first of the falling `sizes` at which it fits the box; at the last it is cut off."""
    width, height = box
    for size in sizes:
        if length(text, face, size) > width * (height // line_height(face, size)):
            continue
        lines = wrap(text, face, size, width)
        if len(lines) * line_height(face, size) <= height:
            return Block(size, tuple(lines))
    size = sizes[-1]
    room = int(height // line_height(face, size))
    if room < 1:
        return Block(size, ())
    kept = wrap(text, face, size, width)[:room]
    return Block(size, (*kept[:-1], _cut_off(kept[-1], face, size, width)))


def _cut_off(line: str, face: str, size: int, width: float) -> str:
    ended = f"{line.rstrip(' ,.;:')}{ELLIPSIS}"
    return ended if length(ended, face, size) <= width else shorten(line + ELLIPSIS * 2, face, size, width)


def shrink(text: str, face: str, width: float, sizes: Sequence[int]) -> Block:
    """Return one line at the first of the falling `sizes` that fits the width, cut off at the last."""
    size = next((size for size in sizes if length(text, face, size) <= width), sizes[-1])
    return Block(size, (shorten(text, face, size, width),))
