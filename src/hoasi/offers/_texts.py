"""Doors (floor 5): the texts of what is offered, from the TOML files of this room."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from hoasi.record import Media, Record


class Argument(Record):
    """One argument of a prompt. `adds` is said where an optional one is given."""

    description: str
    required: bool = False
    adds: str = ""


class Text(Record):
    """One prompt; `text` names the required arguments in braces, `media` is what its model makes."""

    title: str
    description: str
    text: str
    media: Media = "image"
    arguments: dict[str, Argument] = {}


class Place(Record):
    """One resource, or a template of many."""

    uri: str
    title: str
    description: str
    mime_type: str


@cache
def prompts() -> dict[str, Text]:
    """Every prompt by its name."""
    return {name: Text.model_validate(table) for name, table in _read("prompts.toml").items()}


@cache
def places() -> dict[str, Place]:
    """Every resource by its name."""
    return {name: Place.model_validate(table) for name, table in _read("resources.toml").items()}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("hoasi.offers").joinpath(name).read_text(encoding="utf-8"))
