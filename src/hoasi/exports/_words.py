"""Floor 3, writers: phrases, tags and camera words for asset semantics. Pure; the word lists are data beside it."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import groupby

from hoasi.planning import slug

TAGS_AT_MOST = 16
WORDS_AT_MOST = 7
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_BREAK = re.compile(r"[.,;:!?()\[\]{}\"'|/\u2026\u2013\u2014\u201c\u201d\u2018\u2019\u00ab\u00bb\r\n]+")


def tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Lower-case ASCII kebab-case tags (`ban-cong`) of the phrases in some texts, in their order, at most 16."""
    named = (slug(phrase).replace("_", "-") for text in texts for phrase in phrases(text))
    return tuple(dict.fromkeys(tag for tag in named if len(tag) > 1))[:TAGS_AT_MOST]


def phrases(text: str) -> tuple[str, ...]:
    """Runs of at most seven telling words, as a reader would mark them: parted by punctuation and by small words."""
    found = []
    for part in _BREAK.split(unicodedata.normalize("NFC", text).lower()):
        for is_stop, run in groupby(_WORD.findall(part), key=_listed("stops").__contains__):
            words = list(run)
            if not is_stop and len(words) <= WORDS_AT_MOST:
                found.append(" ".join(words))
    return tuple(found)


def moves_camera(shot: str) -> bool:
    """Does a shot type say how the camera moves (`slow push-in`)?"""
    return not _listed("moves").isdisjoint(_WORD.findall(unicodedata.normalize("NFC", shot).lower()))


@cache
def _listed(name: str) -> frozenset[str]:
    table = tomllib.loads(files("hoasi.exports").joinpath("words.toml").read_text(encoding="utf-8"))
    return frozenset(str(table[name]).split())
