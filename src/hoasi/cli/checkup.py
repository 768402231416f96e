"""Hall (floor 6): the checks behind `hoasi doctor`. Each looks at one thing and never shows a secret."""

from __future__ import annotations

import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from typing import Literal

from hoasi import catalogue, paths
from hoasi.choosing import DEFAULT_PROVIDER
from hoasi.errors import HoasiError
from hoasi.messages import explain, say
from hoasi.providers import REGISTRY, provider
from hoasi.records import State
from hoasi.settings import Settings

OLD_PRICE_DAYS = 180
LITTLE_SPACE_MB = 500
PACKAGES = ("hoasi", "mcp", "aiohttp", "httpx", "pydantic", "pillow", "typer", "rich")
MEDIA = (("av", "PyAV"), ("cv2", "OpenCV"))
VIETNAMESE = "\u1ea4\u1ec7\u1ef1\u0111\u01a1"
"""Letters with stacked accents: a font that draws these draws every Vietnamese text."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `fail` means that not even local use works; `warn` that something paid will not."""

    what: str
    state: Literal["ok", "warn", "fail"]
    text: str
    fix: str = ""

    @property
    def name(self) -> str:
        """The thing in the reader's language."""
        return say(f"cli.doctor.what.{self.what}")


def local(settings: Settings) -> Iterator[Check]:
    """Everything on this machine."""
    yield _versions()
    yield from _folders(settings)
    yield _space(settings)
    yield _ledger(settings)
    yield from _keys(settings)
    if settings.sandbox_url is not None:
        yield Check(
            "sandbox", "warn", say("cli.doctor.sandbox", url=settings.sandbox_url), say("cli.doctor.sandbox_fix")
        )
    yield _prices()
    yield _fonts()
    yield _media()


def _versions() -> Check:
    found = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return Check("versions", "ok", f"Python {platform.python_version()}, {found}")


def _folders(settings: Settings) -> Iterator[Check]:
    """The workspace, and what of ours is in it already."""
    jobs = settings.workspace / "jobs"
    count = sum(folder.is_dir() for folder in jobs.iterdir()) if jobs.is_dir() else 0
    for folder in (settings.workspace, *(path for path in (settings.home, jobs) if path.is_dir())):
        try:
            paths.writable(folder)
        except HoasiError as error:
            yield _told("workspace", error)
            return
    yield Check("workspace", "ok", say("cli.doctor.workspace", path=settings.workspace, count=count))


def _told(what: str, error: HoasiError) -> Check:
    view = explain(error.problem())
    return Check(what, "fail", view.message, view.fix)


def _space(settings: Settings) -> Check:
    free_mb = shutil.disk_usage(settings.workspace).free // 1_000_000
    text = say("cli.doctor.space", free=f"{free_mb / 1000:.1f}")
    is_little = free_mb < LITTLE_SPACE_MB
    return Check("space", "warn" if is_little else "ok", text, say("cli.doctor.space_fix") if is_little else "")


def _ledger(settings: Settings) -> Check:
    """The ledger opens, and nothing in it waits for a person."""
    from hoasi.ledger import Ledger

    path = settings.home / "ledger.db"
    if not path.is_file():
        return Check("ledger", "ok", say("cli.doctor.ledger_none"))
    try:
        with closing(Ledger(path)) as ledger:
            unknown = [generation.id for generation in ledger.find(states=[State.UNKNOWN], limit=1000)[0]]
    except HoasiError as error:
        return _told("ledger", error)
    except (sqlite3.Error, OSError) as error:
        return Check(
            "ledger", "fail", say("cli.doctor.ledger_broken", path=path, name=str(error)), say("cli.doctor.ledger_fix")
        )
    if unknown:
        return Check(
            "ledger",
            "warn",
            say("cli.doctor.unknown", count=len(unknown)),
            say("next.settle", ids=", ".join(unknown[:5])),
        )
    return Check("ledger", "ok", say("cli.doctor.ledger", path=path))


def _keys(settings: Settings) -> Iterator[Check]:
    """Which variables are set, by name only; the provider that is asked first comes first."""
    for name in sorted(REGISTRY, key=lambda name: name != DEFAULT_PROVIDER):
        maker = provider(name)
        present = [name for name in maker.secrets if all(map(settings.get, name.split("+")))]
        if not maker.secrets:
            yield Check("key", "ok", say("cli.doctor.key_none", provider=name))
        elif present:
            yield Check("key", "ok", say("cli.doctor.key", provider=name, names=", ".join(present)))
        else:
            names = say("cli.doctor.or").join(maker.secrets)
            text = say("cli.doctor.key_missing", provider=name, names=names)
            yield Check("key", "warn", text, say("cli.doctor.key_fix", names=maker.secrets[0], page=maker.key_page))


def _prices() -> Check:
    """The age of the oldest price that is in use."""
    cards = [card for card in catalogue.every_card() if card.price is not None and card.retired is None]
    read, model = min((card.price.read, card.id) for card in cards if card.price is not None)
    days = (datetime.now(UTC).date() - read).days
    is_old = days > OLD_PRICE_DAYS
    text = say("cli.doctor.prices", count=len(cards), read=read, model=model, days=max(days, 0))
    return Check("prices", "warn" if is_old else "ok", text, say("cli.doctor.prices_fix") if is_old else "")


def _fonts() -> Check:
    """The storyboard's font is there and draws Vietnamese."""
    from hoasi.media import storyboard_type

    try:
        missing = [letter for letter in VIETNAMESE if not storyboard_type.has_glyph(letter)]
    except OSError as error:
        missing = [str(error)]
    if missing:
        return Check("fonts", "fail", say("cli.doctor.fonts_bad"), say("cli.doctor.fonts_fix"))
    return Check("fonts", "ok", say("cli.doctor.fonts"))


def _media() -> Check:
    """The optional parts for clips and faces."""
    missing = [name for module, name in MEDIA if find_spec(module) is None]
    if missing:
        text = say("cli.doctor.media_missing", names=", ".join(missing))
        return Check("media", "warn", text, say("cli.doctor.media_fix"))
    return Check("media", "ok", say("cli.doctor.media", names=", ".join(name for _, name in MEDIA)))
