"""Workbench (floor 1): sets the words beside a picture, in rows that each own their height, so nothing overlaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from hoasi.media.storyboard_colour import Colour
from hoasi.media.storyboard_sheet import Box
from hoasi.media.storyboard_type import (
    EXTRABOLD,
    REGULAR,
    SEMIBOLD,
    fit,
    font,
    length,
    line_height,
    rise,
    shorten,
    shrink,
)

_ORDER = ("role", "name", "rule", "intent", "shots", "mood", "foot")
_RESERVED = 2
"""The lines of intent that other rows than the scene's name must leave room for."""
_FIRST = ("name", "role", "foot", "shots", "mood", "rule")


@dataclass(frozen=True)
class Words:
    """What is written beside a picture; every text is clean, "" is left out."""

    name: str
    role: str
    variant: str
    intent: str
    shots: str
    mood: str
    refs: int
    foot: str


@dataclass(frozen=True)
class Inks:
    """The colours of the words: text, quiet text, ruled lines, accent, and the swatches of the palette."""

    text: Colour
    quiet: Colour
    faint: Colour
    accent: Colour
    swatches: Sequence[Colour]


def body_size(width: int, height: int) -> int:
    """Return the size in pixels the intent is set at on a sheet of this size."""
    return max(9, round(math.sqrt(width * height) * 0.0205))


class Caption:
    """Writes the rows of one caption into its box."""

    def __init__(self, sheet: Image.Image, box: Box, words: Words, inks: Inks, body: int) -> None:
        self.draw = ImageDraw.Draw(sheet)
        self.box, self.words, self.inks, self.body = box, words, inks, body
        self.small = max(8, round(body * 0.84))
        large = max(10, round(body * (1.9 if box.width > body * 12 else 1.4)))
        large = min(large, max(10, round(box.height * 0.42)))
        self.title = shrink(words.name, EXTRABOLD, box.width, range(large, max(7, round(body * 0.7)) - 1, -1))

    def write(self) -> None:
        """Write every row that finds room; the intent gets what is left."""
        heights = self._heights()
        top = self.box.top
        for row in _ORDER:
            if row in heights:
                getattr(self, f"_{row}")(top, heights[row])
                top += heights[row]

    def _heights(self) -> dict[str, int]:
        small = line_height(SEMIBOLD, self.small)
        shown: dict[str, object] = {
            "name": self.words.name,
            "role": self.words.role or self.words.variant,
            "shots": self.words.shots,
        }
        shown |= {"mood": self.words.mood, "foot": self.words.foot or self.words.refs, "rule": "-"}
        tall = {"name": self._title_room()[1], "rule": max(3, round(self.body * 0.75))}
        left, kept = self.box.height, dict[str, int]()
        for row in (name for name in _FIRST if shown[name]):
            reserve = line_height(REGULAR, self.body) * (_RESERVED if kept and self.words.intent else 0)
            if tall.get(row, small) + reserve <= left:
                kept[row] = tall.get(row, small)
                left -= kept[row]
        return kept | {"intent": left}

    def _put(self, text: str, face: str, size: int, at: tuple[float, float], colour: Colour) -> None:
        """Write one line whose row begins at `at`."""
        self.draw.text((at[0], at[1] + rise(face, size)), text, font=font(face, size), fill=colour, anchor="ls")

    def _role(self, top: int, height: int) -> None:
        size, box = self.small, self.box
        right = length(self.words.variant, EXTRABOLD, size)
        self._put(self.words.variant, EXTRABOLD, size, (box.right - right, top), self.inks.text)
        bar = max(2, round(size * 0.45))
        if self.words.role:
            self.draw.rectangle(
                (box.left, top + height * 0.24, box.left + bar, top + height * 0.80), fill=self.inks.accent
            )
        text = shorten(self.words.role.upper(), SEMIBOLD, size, box.width - right - 3 * bar - size)
        self._put(text, SEMIBOLD, size, (box.left + 2 * bar, top), self.inks.quiet)

    def _title_room(self) -> tuple[float, int]:
        """Return the scene name's rise over its baseline and the height of its row: its ink and a little air."""
        _, top, _, foot = font(EXTRABOLD, self.title.size).getbbox(self.title.lines[0], anchor="ls")
        air = self.title.size * 0.24
        return air - top, math.ceil(foot - top + 2 * air)

    def _name(self, top: int, _height: int) -> None:
        base = top + self._title_room()[0]
        ruler = font(EXTRABOLD, self.title.size)
        self.draw.text((self.box.left, base), self.title.lines[0], font=ruler, fill=self.inks.text, anchor="ls")

    def _rule(self, top: int, height: int) -> None:
        y, thick = top + height * 0.3, max(1, self.body // 14)
        self.draw.line((self.box.left, y, self.box.right, y), fill=self.inks.quiet, width=thick)
        self.draw.line(
            (self.box.left, y, self.box.left + self.box.width * 0.16, y), fill=self.inks.accent, width=thick * 3
        )

    def _intent(self, top: int, height: int) -> None:
        sizes = range(round(self.body * 1.55), max(8, round(self.body * 0.74)) - 1, -1)
        block = fit(self.words.intent, REGULAR, (self.box.width, height - self.body * 0.3), sizes)
        for i, line in enumerate(block.lines):
            self._put(
                line, REGULAR, block.size, (self.box.left, top + i * line_height(REGULAR, block.size)), self.inks.text
            )
        self._note_lines(top + len(block.lines) * line_height(REGULAR, block.size), top + height)

    def _note_lines(self, top: int, bottom: int) -> None:
        """Rule the free room under the intent, for the director's pencil."""
        gap = round(self.body * 1.7)
        for y in range(top + gap, bottom - gap // 3, gap):
            self.draw.line((self.box.left, y, self.box.right, y), fill=self.inks.faint, width=max(1, self.body // 18))

    def _shots(self, top: int, _height: int) -> None:
        text = shorten(self.words.shots, SEMIBOLD, self.small, self.box.width)
        self._put(text, SEMIBOLD, self.small, (self.box.left, top), self.inks.text)

    def _mood(self, top: int, height: int) -> None:
        dot, box = height * 0.30, self.box
        wide = dot * 2.3 * len(self.inks.swatches)
        for i, colour in enumerate(self.inks.swatches):
            x, y = box.left + dot + i * dot * 2.3, top + height * 0.52
            self.draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=colour, outline=self.inks.text)
        text = shorten(self.words.mood, REGULAR, self.small, box.width - wide - dot)
        self._put(text, REGULAR, self.small, (box.left + wide + dot, top), self.inks.quiet)

    def _foot(self, top: int, height: int) -> None:
        size, box = max(8, round(self.small * 0.86)), self.box
        used = self._refs(top, height, size) if self.words.refs else 0.0
        text = shorten(self.words.foot, REGULAR, size, box.width - used)
        self._put(text, REGULAR, size, (box.left, top + (height - line_height(REGULAR, size)) / 2), self.inks.quiet)

    def _refs(self, top: int, height: int, size: int) -> float:
        """Draw a small card for each of up to four references, and their number; return the width used."""
        label = f"{self.words.refs} ref"
        wide = length(label, SEMIBOLD, size)
        if wide > self.box.width:
            return 0.0
        down = (height - line_height(SEMIBOLD, size)) / 2
        self._put(label, SEMIBOLD, size, (self.box.right - wide, top + down), self.inks.text)
        card, x = height * 0.56, self.box.right - wide - size * 0.5
        for _ in range(min(4, self.words.refs)):
            if x - card < self.box.left + self.box.width * 0.4:
                break
            self._card(x - card, top + height * 0.24, card)
            x -= card * 1.02
        return float(self.box.right - x + size)

    def _card(self, x: float, y: float, size: float) -> None:
        self.draw.rectangle((x, y, x + size * 0.82, y + size), fill=self.inks.swatches[1], outline=self.inks.text)
        self.draw.ellipse((x + size * 0.27, y + size * 0.18, x + size * 0.57, y + size * 0.50), fill=self.inks.text)
        self.draw.pieslice(
            (x + size * 0.12, y + size * 0.55, x + size * 0.72, y + size * 1.4), 180, 360, fill=self.inks.text
        )
