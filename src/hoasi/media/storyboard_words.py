"""Workbench (floor 1): words -> pictures. Finds the words of the mood, shot and motif tables in a plan's free text."""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_LONGEST = 2000
_SHORT = 6
"""A word of up to three letters (with its two spaces) is no good as a part of others: "em" is not in "hiem"."""
_NEAR = frozenset({"portrait", "bust"})


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, how near it is and how it moves; heights are shares of the picture's height."""

    cast: str
    height: float
    thing_height: float
    blur: float
    kind: str
    horizon: float
    scale: float
    moves: tuple[str, ...]

    @property
    def is_near(self) -> bool:
        """Is the figure cut by the frame (close-up, medium shot)?"""
        return self.cast in _NEAR


@dataclass(frozen=True)
class Motifs:
    """What the scene shows: people by their hair, lights, things by name, and the layers of the place."""

    cast: tuple[str, ...]
    lights: frozenset[str]
    things: tuple[str, ...]
    layers: tuple[str, ...]


@cache
def table(name: str) -> Mapping[str, Any]:
    """Return a TOML table that lies beside this file, read once."""
    return tomllib.loads((_HERE / name).read_text(encoding="utf-8"))


@lru_cache(maxsize=2048)
def spoken(text: str) -> str:
    """Return the text's words in lower case with their accents, one space around each; at most 2000 letters count."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text[:_LONGEST]).casefold())
    return f" {' '.join(words)} "


@lru_cache(maxsize=2048)
def fold(text: str) -> str:
    """Return the text's words in lower case without accents, one space around each."""
    bare = (c for c in unicodedata.normalize("NFD", spoken(text)) if not unicodedata.combining(c))
    return "".join(bare).replace("\u0111", "d")


def pick(options: Sequence[str], word: str) -> str:
    """Return one option, the same for the same word in every process."""
    return options[int.from_bytes(hashlib.sha256(word.encode()).digest()[:8]) % len(options)]


def palette(moods: Iterable[str]) -> list[str]:
    """Return five "#rrggbb": the first mood with a known word decides, else a hash of the moods; none: neutral."""
    palettes = {entry["name"]: entry for entry in table("palettes.toml")["palettes"]}
    said = [mood for mood in moods if fold(mood).strip()]
    known = (_longest({n: p["words"] for n, p in palettes.items()}, mood, whole=False) for mood in said)
    name = next((name for name in known if name), None)
    if name is None:
        name = pick(list(palettes), fold(" ".join(said))) if said else next(iter(palettes))
    return list(palettes[name]["colours"])


def _longest(words: Mapping[str, Iterable[str]], text: str, *, whole: bool) -> str | None:
    folded = fold(text)
    found = [(len(word), name) for name, many in words.items() for word in many if _key(word, whole=whole) in folded]
    return max(found, key=lambda hit: hit[0])[1] if found else None


@cache
def _key(word: str, *, whole: bool) -> str:
    folded = fold(word)
    return folded if whole or len(folded) < _SHORT else folded.strip()


def camera(shot_types: Sequence[str]) -> Camera:
    """Return the camera of the shot types; medium shot at eye level, standing still, where they say nothing."""
    shots = table("storyboard_shots.toml")
    framing = shots["framing"][_first(shots["framing"], shot_types) or "medium"]
    angle = shots["angle"][_first(shots["angle"], shot_types) or "eye"]
    moves = [_longest(shots["move"], shot, whole=True) for shot in shot_types]
    if angle["kind"] == "aerial" and not _first(shots["framing"], shot_types):
        framing = shots["framing"]["extreme"]
    seen = tuple(dict.fromkeys(move for move in moves if move))
    size = (framing["cast"], framing["height"], framing["object"], framing["blur"])
    return Camera(*size, kind=angle["kind"], horizon=angle["horizon"], scale=angle["scale"], moves=seen[:2])


def _first(entries: Mapping[str, Any], shot_types: Sequence[str]) -> str | None:
    words = {name: entry["words"] for name, entry in entries.items()}
    found = (_longest(words, shot, whole=True) for shot in shot_types)
    return next((name for name in found if name), None)


def motifs(intent: str, *, near: bool, chance: str) -> Motifs:
    """Return what the intent names; `chance` (any text) decides what it leaves open."""
    drawn = table("storyboard_motifs.toml")
    who, places, things = (_mentioned(drawn[kind], intent) for kind in ("who", "place", "thing"))
    lights = frozenset(_mentioned(drawn["light"], intent))
    cast = ["nobody"] if "nobody" in who else ([name for name in who if name != "person"] or who)[:1]
    if not cast and not things and (near or not places):
        cast = ["person"]
    heads = tuple(pick(head.split("|"), chance) for head in drawn["who"][cast[0]]["cast"]) if cast else ()
    place = places[0] if places else pick(("studio", "studio", "room") if near else ("hills", "city", "hills"), chance)
    layers = tuple(drawn["place"][place]["layers"])
    wanted = [thing for thing in things if not set(drawn["thing"][thing].get("seen_in", ())) & set(layers)]
    return Motifs(heads, lights, tuple(wanted[:2]), layers)


def _mentioned(entries: Mapping[str, Any], text: str) -> list[str]:
    """Return the entries whose words the text holds, in the order of the text, longer words first."""
    hits = {}
    for name, entry in entries.items():
        found = [hit for word in entry["words"] for hit in _places(word, text)]
        if found:
            hits[name] = min(found)
    return sorted(hits, key=lambda name: hits[name])


def _places(word: str, text: str) -> Iterator[tuple[int, int]]:
    accented = spoken(text)
    exact = " " not in word and accented != fold(text)
    at = accented.find(spoken(word)) if exact else fold(text).find(fold(word))
    if at >= 0:
        yield at, -len(word)
