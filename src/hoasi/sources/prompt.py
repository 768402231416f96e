"""Floor 3, readers: the words that are sent for a scene. The phrases themselves are data in `hoasi/prompts/`.

A prompt holds what the scene shows and how, never its id, the job's title or anybody's name.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from hoasi.errors import NotFound, WrongInput
from hoasi.records import Scene

GUIDANCE_LIMIT = 600
RATIO = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.+)")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_ENDED = re.compile(r"[.!?\u2026][\"')\]\u201d\u2019]*\Z")


def clean(text: str) -> str:
    """NFC, without white space at the ends: equal words become equal bytes, hence equal fingerprints."""
    return unicodedata.normalize("NFC", text).strip()


def scene_prompt(scene: Scene, *, aspect_ratio: str | None, guidance: str = "") -> str:
    """What to draw for a scene: intent, shot types, mood, orientation, then the style guidance, one sentence each.

    A scene without a visual intent is drawn from its spoken text.

    Raises:
        WrongInput: the aspect ratio is not two whole numbers such as `9:16`.
    """
    mood = ", ".join(scene.mood)
    parts = (
        scene.visual_intent or scene.spoken_text,
        ", ".join(scene.shot_types),
        mood and f"mood: {mood}",
        orientation_hint(aspect_ratio),
        guidance,
    )
    return " ".join(filter(None, map(_sentence, parts)))


def orientation_hint(aspect_ratio: str | None) -> str:
    """Words for the picture's shape; none when no shape is asked for.

    Raises:
        WrongInput: the aspect ratio is not two whole numbers such as `9:16`.
    """
    if aspect_ratio is None:
        return ""
    found = RATIO.fullmatch(aspect_ratio)
    if found is None:
        raise WrongInput("prompt_ratio_broken", ratio=aspect_ratio)
    width, height = map(int, found.groups())
    shape = "square" if width == height else "portrait" if width < height else "landscape"
    return str(_phrases("orientation")[shape]["hint"])


def vds_guidance(markdown: str) -> str:
    """The style guidance of a visual design spec, white space folded, at most 600 characters, cut between words.

    It is the section whose heading holds "Style DNA", else the one whose heading starts with "4."; "" if neither.
    """
    lines = clean(markdown).splitlines()
    headings = list(_headings(lines))
    chosen = next((h for h in headings if "style dna" in h.title), None)
    chosen = chosen or next((h for h in headings if h.title.startswith("4.")), None)
    if chosen is None:
        return ""
    end = next((h.line for h in headings if h.line > chosen.line and h.level <= chosen.level), len(lines))
    return _cut(" ".join(" ".join(lines[chosen.line + 1 : end]).split()))


def styled(prompt: str, style: str | None) -> str:
    """The prompt within a style's words; unchanged without a style.

    Raises:
        NotFound: no such style; the error names the nearest ones.
    """
    if not style:
        return prompt
    table = _phrases("styles")
    found = table["styles"].get(style.strip().lower())
    if found is None:
        near = difflib.get_close_matches(style.lower(), style_names(), n=3, cutoff=0.3) or style_names()
        raise NotFound("style_unknown", style=style, near=", ".join(near))
    return f"{found['prefix']}{prompt.strip().rstrip('.,;: ')}{table['suffix']}"


def followed(prompt: str, words: Sequence[str]) -> str:
    """The prompt with more words behind it, comma separated; unchanged without any."""
    said = ", ".join(words)
    return f"{prompt.strip().rstrip('.,;: ')}, {said}" if said else prompt


def style_names() -> tuple[str, ...]:
    """The styles that `styled` knows, in the order of the table."""
    return tuple(_phrases("styles")["styles"])


class _Heading(NamedTuple):
    line: int
    level: int
    title: str


def _headings(lines: list[str]) -> Iterator[_Heading]:
    """Markdown headings outside code fences; titles lower-case, white space folded, without emphasis marks."""
    fence = ""
    for number, line in enumerate(lines):
        if mark := _FENCE.match(line):
            fence = mark[1] if not fence else "" if mark[1] == fence else fence
        elif not fence and (found := _HEADING.match(line)):
            yield _Heading(number, len(found[1]), " ".join(found[2].lower().split()).strip("*_# "))


def _cut(text: str) -> str:
    if len(text) <= GUIDANCE_LIMIT:
        return text
    head, space, _ = text[: GUIDANCE_LIMIT + 1].rpartition(" ")
    return head if space else text[:GUIDANCE_LIMIT]


def _sentence(part: str) -> str:
    """One part of a prompt with white space folded and exactly one ending; "" when it says nothing."""
    text = " ".join(clean(part).split()).strip(",;: ")
    if not text.strip("."):
        return ""
    return text if _ENDED.search(text) else f"{text}."


@cache
def _phrases(name: str) -> dict[str, Any]:
    return tomllib.loads(files("hoasi").joinpath(f"prompts/{name}.toml").read_text(encoding="utf-8"))
