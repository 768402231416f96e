"""Ground floor: sentences for people, from the catalogues `messages.<language>.toml`.

Keys are English and stable; every catalogue holds every key with the same fields (a test compares them).
"""

from __future__ import annotations

import tomllib
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Any

from hoasi.answers import ErrorView
from hoasi.records import Problem

LANGUAGES = ("vi", "en")
_language: ContextVar[str] = ContextVar("hoasi_language", default="vi")


def speak(language: str) -> None:
    """Choose the language of this context; anything but `vi` and `en` falls back to Vietnamese."""
    _language.set(language if language in LANGUAGES else "vi")


@cache
def catalogue(language: str) -> dict[str, str]:
    """All sentences of one language, keys joined with dots."""
    text = files("hoasi").joinpath(f"messages.{language}.toml").read_text(encoding="utf-8")
    return dict(_flat(tomllib.loads(text)))


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        rows += _flat(value, f"{key}.") if isinstance(value, dict) else [(key, value)]
    return rows


def say(key: str, /, **facts: Any) -> str:
    """The sentence `key` in the language of this context.

    Raises:
        KeyError: the catalogue lacks the key, or the sentence a fact: a bug, found by a test.
    """
    return catalogue(_language.get())[key].format_map(facts)


def explain(problem: Problem) -> ErrorView:
    """An error in the user's words: what is wrong and how to mend it."""
    key = f"error.{problem.key}"
    return ErrorView(
        kind=problem.kind,
        key=problem.key,
        message=say(f"{key}.text", **problem.facts),
        fix=say(f"{key}.fix", **problem.facts),
        paid=problem.paid,
        retry=problem.retry,
        detail=problem.detail,
    )


def money(usd: float | None) -> str:
    """An amount for people: `$0.039`, `$0`, or the words for "not known"."""
    if usd is None:
        return say("money.unknown")
    return "$" + (f"{usd:.4f}".rstrip("0").rstrip(".") or "0")
