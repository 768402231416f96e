"""LoRA policy (floor 2, pure): which LoRAs stand in a stack, in which order and how strong. The numbers are data.

Order: style, characters, film. Strength = weight x factor (loras.toml); factors fall with the number of characters.
"""

from __future__ import annotations

import logging
import math
import re
import tomllib
from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from hoasi.errors import WrongInput
from hoasi.messages import say
from hoasi.record import Record

log = logging.getLogger("hoasi.comfy")
_BAD_NAME = re.compile(r"[/\\\x00-\x1f\x7f]|\.\.")
_FOLDERS = re.compile(r"[/\\]")


class Factors(Record):
    """Factors by number of characters; the last one stands for all greater numbers."""

    name: str = ""
    factors: tuple[float, ...]


class TeaCache(Record):
    """The node that is hung in behind the LoRAs where asked for; `threshold` where the caller names none."""

    class_type: str
    threshold: float
    inputs: dict[str, Any]


class Strengths(Record):
    """The policy as data (loras.toml): factors, how many LoRAs, how strong at most."""

    limit: int
    most: float
    suffix: str
    character: Factors
    film: Factors
    teacache: TeaCache


class Wanted(Record):
    """A LoRA as somebody asks for it, before the policy.

    `url` is for workers that fetch LoRAs themselves. A weight not given is 1.
    """

    name: str
    weight: float | None = None
    url: str | None = None

    @property
    def given(self) -> float:
        """The weight that counts."""
        return 1.0 if self.weight is None else self.weight


class Lora(Record):
    """A LoRA as it is hung in: the file as the server knows it, and its strengths."""

    name: str
    strength_model: float
    strength_clip: float
    url: str | None = None


@cache
def strengths() -> Strengths:
    """The policy of this house."""
    text = files("hoasi.comfy").joinpath("loras.toml").read_text(encoding="utf-8")
    return Strengths.model_validate(tomllib.loads(text))


def stack(
    style: Wanted | None = None,
    characters: Sequence[Wanted] = (),
    film: Wanted | None = None,
    *,
    table: Strengths | None = None,
) -> tuple[Lora, ...]:
    """The LoRAs of a picture: style, characters, film. A weight of 0 leaves one out, and it is not counted either.

    Raises:
        WrongInput: `too_many_loras`, `lora_name_bad`, `lora_strength_bad`, `lora_url_bad`.
    """
    table = table or strengths()
    cast = [wanted for wanted in characters if wanted.given != 0]
    rows = [(style, 1.0)] if style else []
    if cast:
        rows += [(wanted, _factor(table.character, len(cast) - 1)) for wanted in cast]
    if film:
        rows.append((film, _factor(table.film, len(cast))))
    found = tuple(_lora(wanted, factor, table) for wanted, factor in rows if wanted.weight != 0)
    if len(found) > table.limit:
        raise WrongInput("too_many_loras", count=len(found), limit=table.limit)
    return found


def file_of(name: str, *, suffix: str = ".safetensors") -> str:
    """The LoRA's file: the suffix is added where it is missing.

    Raises:
        WrongInput: `lora_name_bad`: empty, a path, or signs that no file name has.
    """
    plain = name.strip()
    if not plain or len(plain) > 200 or _BAD_NAME.search(plain):
        raise WrongInput("lora_name_bad", name=repr(name)[1:-1][:80])
    return plain if plain.lower().endswith(suffix) else plain + suffix


def placed(loras: Sequence[Lora], files: Collection[str]) -> tuple[Lora, ...]:
    """The LoRAs under the names that a server lists: a bare name that it has in one folder only is that file.

    Its folders are written with its own separator (on Windows a backslash). A name that it does not list, or lists in
    several folders (`must_be_one`), stays.
    """
    return tuple(_placed(lora, files) for lora in loras)


def must_be_one(loras: Sequence[Lora], files: Collection[str]) -> None:
    """No LoRA that was placed lies in several folders of the server.

    Raises:
        WrongInput: `lora_in_folders`: none of them is meant more than the others.
    """
    for lora in loras:
        if len(found := _lying(lora, files)) > 1:
            raise WrongInput("lora_in_folders", name=lora.name, files=", ".join(sorted(found)[:6]))


def notes(loras: Sequence[Lora]) -> tuple[str, ...]:
    """What the caller should know: a LoRA that is hung in twice (its strengths add up)."""
    names = [lora.name for lora in loras]
    return tuple(say("comfy.lora_twice", name=name) for name in dict.fromkeys(names) if names.count(name) > 1)


def model_urls(loras: Sequence[Lora]) -> tuple[dict[str, str], ...]:
    """`model_urls` of a worker that fetches LoRAs itself: id and address, each file once."""
    rows = {lora.name: lora.url for lora in loras if lora.url}
    return tuple({"id": name, "url": url} for name, url in rows.items())


def _factor(factors: Factors, number: int) -> float:
    return factors.factors[min(number, len(factors.factors) - 1)]


def _lora(wanted: Wanted, factor: float, table: Strengths) -> Lora:
    name = file_of(wanted.name, suffix=table.suffix)
    if not math.isfinite(wanted.given) or abs(wanted.given) > table.most:
        raise WrongInput("lora_strength_bad", name=name, value=wanted.given, limit=table.most)
    strength = round(wanted.given * factor, 4)
    url = _address(wanted.url, name) if wanted.url else None
    return Lora(name=name, strength_model=strength, strength_clip=strength, url=url)


def _lying(lora: Lora, files: Collection[str]) -> list[str]:
    """The files that a bare name may mean; none where it is a file of the server as it stands."""
    return [] if lora.name in files else [file for file in files if _FOLDERS.split(file)[-1] == lora.name]


def _placed(lora: Lora, files: Collection[str]) -> Lora:
    found = _lying(lora, files)
    if len(found) != 1:
        return lora
    log.info("LoRA %s is %s at the server", lora.name, found[0])
    return lora.model_copy(update={"name": found[0]})


def _address(url: str, name: str) -> str:
    """An https address with a host and no password in it; the worker fetches it, not we."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and url.isprintable()
    except ValueError:
        is_good = False
    if not is_good or " " in url:
        raise WrongInput("lora_url_bad", name=name)
    return url
