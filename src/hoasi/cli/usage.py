"""Hall (floor 6): what can be wrong with the words of a command line, said in the user's language."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import typer

from hoasi.errors import WrongInput
from hoasi.messages import say

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer's own usage error has no public name."""
_NUMBERS = ("N", "USD", "SECONDS")
"""Metavars of numbers."""


def refuse_bytes(words: Sequence[str]) -> None:
    """Words that are not text (undecodable bytes) would break every file they are written to."""
    for word in words:
        if not word.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise WrongInput("usage_not_text", word=ascii(word)[:80])


def refuse_swallowed(params: Sequence[Any], words: Sequence[str]) -> None:
    """`--prompt --json` lacks the prompt; it is not a prompt that reads "--json"."""
    names = {name for param in params if param.param_type_name == "option" for name in param.opts}
    taking = {
        name for param in params if param.param_type_name == "option" and not param.is_flag for name in param.opts
    }
    for word, following in pairwise(words):
        if word == "--":
            return
        if word in taking and following in names:
            raise WrongInput("usage_value_missing", option=word)


def usage_error(error: Exception) -> WrongInput:
    """One of typer's usage errors in our words."""
    option = str(getattr(error, "option_name", ""))
    near = ", ".join(getattr(error, "possibilities", None) or ())
    command = getattr(getattr(error, "ctx", None), "command_path", "hoasi")
    match type(error).__name__:
        case "NoSuchOption":
            return WrongInput("usage_option_unknown", option=option, near=near or "-", command=command)
        case "BadOptionUsage" if "not take a value" in str(error):
            return WrongInput("usage_value_surplus", option=option)
        case "BadOptionUsage":
            return WrongInput("usage_value_missing", option=option)
        case "MissingParameter":
            return WrongInput("usage_parameter_missing", name=_shown(error), command=command)
        case "BadParameter":
            return WrongInput("usage_value_bad", option=_shown(error), kind=_kind(error))
        case _:
            return WrongInput("usage_other", command=command, detail=str(getattr(error, "message", error)))


def _shown(error: Any) -> str:
    """The parameter of an error as the user writes it."""
    param = error.param
    if param is None:
        return str(error.param_hint or "?")
    return str(param.opts[-1]) if param.param_type_name == "option" else str(param.metavar or param.name.upper())


def _kind(error: Any) -> str:
    """What kind of value the parameter takes."""
    metavar = str(getattr(error.param, "metavar", None) or "TEXT")
    return say(f"cli.kinds.{metavar}") if metavar in _NUMBERS else metavar
