"""Floor 3, readers: one style for all pictures of a script: words behind every prompt, and a negative prompt.

The usual one is data (`hoasi/prompts/global_style.toml`). The log tells both prompts, the script's and the one sent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from hoasi.errors import WrongInput
from hoasi.record import Record
from hoasi.sources.prompt import clean


class GlobalStyle(Record):
    """What is added to every prompt of a script."""

    modifiers: tuple[str, ...] = ()
    negative_prompt: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of a request: the negative prompt is no reason to refuse a model that takes none."""
        prefers = {"negative_prompt": self.negative_prompt} if self.negative_prompt else {}
        return {"words_after": self.modifiers, "prefers": prefers}


@cache
def usual() -> GlobalStyle:
    """Where a script says nothing else."""
    text = files("hoasi").joinpath("prompts/global_style.toml").read_text(encoding="utf-8")
    return GlobalStyle.model_validate(tomllib.loads(text))


def said(value: object) -> GlobalStyle:
    """A style as a caller says it: words, a list of words, or an object with `modifiers` and `negative_prompt`.

    What an object leaves out is not added; None is no style at all.

    Raises:
        WrongInput: it is something else.
    """
    if isinstance(value, GlobalStyle):
        return value
    if isinstance(value, Mapping):
        negative = value.get("negative_prompt") or ""
        if not isinstance(negative, str):
            raise WrongInput("global_style_bad", value=str(negative)[:40])
        return GlobalStyle(modifiers=_words(value.get("modifiers")), negative_prompt=clean(negative))
    return GlobalStyle(modifiers=_words(value))


def _words(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value or []
    if not isinstance(listed, list | tuple) or not all(isinstance(item, str) for item in listed):
        raise WrongInput("global_style_bad", value=str(value)[:40])
    return tuple(text for item in listed if (text := clean(item).strip(",; ")))
