"""Workbench (floor 1): draws one storyboard frame of a scene: an honest sketch to cut an animatic with, no fake photo.

No key, no network, no cost. The same Frame gives the same bytes in every process (with the same Pillow).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from random import Random

from PIL import Image, PngImagePlugin
from pydantic import BaseModel, ConfigDict, Field

from hoasi.media import storyboard_words as words
from hoasi.media.storyboard_caption import Caption, Inks, Words, body_size
from hoasi.media.storyboard_colour import Colour, Tones, mix, rgb, tones
from hoasi.media.storyboard_ink import Pen
from hoasi.media.storyboard_moves import move, thirds
from hoasi.media.storyboard_scene import paint
from hoasi.media.storyboard_sheet import Box, gate, grain, layout, paper_of, stamp, working_size
from hoasi.media.storyboard_type import clean


class Frame(BaseModel):
    """What one storyboard frame shows. Sizes are pixels of the whole picture, 64..8192 each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=64, le=8192)
    height: int = Field(ge=64, le=8192)
    seed: int
    scene_id: str = ""
    intent: str = ""
    mood: tuple[str, ...] = ()
    shot_types: tuple[str, ...] = ()
    narrative_role: str = ""
    index: int = 1
    count: int = 1
    references: int = 0
    mark: str
    footer: str = ""


def render(frame: Frame) -> Image.Image:
    """Return the frame as an RGB picture of exactly `width` x `height` pixels."""
    camera = words.camera(frame.shot_types)
    motifs = words.motifs(frame.intent, near=camera.is_near, chance=str(frame.seed))
    five = words.palette(frame.mood)
    colours = tones(five, _dice(frame, "tones"), night="night" in motifs.lights)
    lead = _dice(frame, "lead").choice((1 / 3, 2 / 3))
    picture, column = layout(frame.width, frame.height)
    pen = paint(working_size(picture), colours, camera, motifs, lead, _dice(frame, "scene")).pen
    _direct(pen, camera.moves)
    sheet = _mount(frame, pen, picture)
    caption = Caption(sheet, column, _words(frame), _inks(colours, five), body_size(frame.width, frame.height))
    caption.write()
    free = 1 - lead if camera.is_near else lead
    stamp(sheet, picture, clean(frame.mark), free, _dice(frame, "stamp"))
    return sheet


def render_png(frame: Frame, text: Mapping[str, str] | None = None) -> bytes:
    """Return the frame as a PNG file; each entry of `text` becomes an iTXt chunk.

    A chunk's key is 1 to 79 Latin-1 letters (PNG, section 11.3.4); another raises ValueError.
    """
    notes = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        if not 1 <= len(key.encode("latin-1")) <= 79:
            raise ValueError(f"a PNG text key has 1 to 79 letters: {key[:90]!r}")
        notes.add_itxt(key, value)
    file = io.BytesIO()
    render(frame).save(file, "PNG", pnginfo=notes, compress_level=6)
    return file.getvalue()


def _dice(frame: Frame, purpose: str) -> Random:
    """Return chance for one purpose, so that one more line in the scene does not move the stamp."""
    return Random(f"{frame.seed}/{purpose}")  # noqa: S311  no secret: same seed, same picture (2026-11-21)


def _direct(pen: Pen, moves: tuple[str, ...]) -> None:
    thirds(pen)
    for name in moves:
        move(pen, name)


def _mount(frame: Frame, pen: Pen, picture: Box) -> Image.Image:
    """Return a sheet of paper with the scene behind its gate, and the paper's grain over both."""
    paper = paper_of(pen.tones)
    sheet = Image.new("RGB", (frame.width, frame.height), paper)
    mounted = gate(pen.image, pen.tones, paper, _dice(frame, "gate"))
    sheet.paste(mounted.resize((picture.width, picture.height), Image.Resampling.LANCZOS), (picture.left, picture.top))
    grain(sheet, _dice(frame, "grain"))
    return sheet


def _inks(colours: Tones, five: list[str]) -> Inks:
    text: Colour = mix(colours["ink"], (20, 18, 22), 0.5)
    paper = paper_of(colours)
    return Inks(text, mix(text, paper, 0.30), mix(text, paper, 0.84), rgb(five[4]), [rgb(colour) for colour in five])


def _words(frame: Frame) -> Words:
    return Words(
        name=clean(frame.scene_id),
        role=clean(frame.narrative_role),
        variant=f"{frame.index}/{frame.count}" if frame.count > 1 else "",
        intent=clean(frame.intent),
        shots=clean(" \u00b7 ".join(frame.shot_types)),
        mood=clean(" \u00b7 ".join(frame.mood)),
        refs=max(0, frame.references),
        foot=clean(frame.footer),
    )
