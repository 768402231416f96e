"""Hall (floor 6): the checks behind `hoasi doctor`. Each looks at one thing and never shows a secret."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from hoasi import catalogue, paths
from hoasi.errors import HoasiError
from hoasi.messages import explain, say
from hoasi.providers import REGISTRY, provider
from hoasi.records import State
from hoasi.settings import Settings

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Pack
    from hoasi.providers._provider import Accounts
    from hoasi.providers._workers import HasWorkers
    from hoasi.street import Street
    from hoasi.wire import Wire

HOST_S = 3.0
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
    """Which variables are set, by name only."""
    for name in REGISTRY:
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


# ---------------------------------------------------------------------- the network


async def hosts(settings: Settings) -> list[Check]:
    """Whether each provider's hosts answer within 3 s; no key is sent, any answer will do."""
    from hoasi.addresses import origin_of
    from hoasi.shop import origins_of
    from hoasi.street import Street

    found: dict[str, str] = {}
    for name in REGISTRY:
        for url in origins_of(provider(name), settings).values():
            found.setdefault(url, name)
    street = Street(frozenset(origin_of(url) for url in found))
    try:
        return list(await asyncio.gather(*(_host(street, url, name) for url, name in found.items())))
    finally:
        await street.close()


async def _host(street: Street, url: str, name: str) -> Check:
    from hoasi.street import WireTrouble

    try:
        async with asyncio.timeout(HOST_S):
            await street.send("HEAD", url)
    except (TimeoutError, WireTrouble):
        return Check("host", "warn", say("cli.doctor.host_bad", url=url, provider=name), say("cli.doctor.host_fix"))
    return Check("host", "ok", say("cli.doctor.host", url=url, provider=name))


async def accounts(settings: Settings) -> list[Check]:
    """What is left at providers that tell it and whose key is set; free."""
    from hoasi.addresses import origin_of
    from hoasi.providers._provider import Accounts
    from hoasi.shop import origins_of
    from hoasi.street import Street
    from hoasi.wire import Wire

    makers = [provider(name) for name in REGISTRY]
    found: list[Check] = []
    for maker in (maker for maker in makers if isinstance(maker, Accounts)):
        key, hosts = settings.secret(maker.secrets), origins_of(maker, settings)
        if key is not None:
            street = Street(frozenset(map(origin_of, hosts.values())))
            found += await _account(Wire(street, hosts, maker.auth(key)), maker, maker.name)
            await street.close()
    return found


async def _account(wire: Wire, maker: Accounts, name: str) -> list[Check]:
    from hoasi.providers._outcomes import TryAgain
    from hoasi.street import WireTrouble

    try:
        async with asyncio.timeout(HOST_S):
            packs = await maker.account(wire)
    except HoasiError as error:
        view = explain(error.problem())
        return [Check("account", "warn", f"{name}: {view.message}", view.fix)]
    except (TimeoutError, WireTrouble, TryAgain):
        return [Check("account", "warn", say("cli.doctor.account_silent", provider=name))]
    if not packs:
        return [Check("account", "ok", say("cli.doctor.account_none", provider=name))]
    return [_pack(name, pack) for pack in packs]


async def workers(settings: Settings) -> list[Check]:
    """How the workers are of endpoints that are set, where the key is; free."""
    from hoasi.addresses import origin_of
    from hoasi.providers._provider import Settles
    from hoasi.providers._workers import HasWorkers
    from hoasi.shop import origins_of
    from hoasi.street import Street
    from hoasi.wire import Wire

    found: list[Check] = []
    for maker in map(provider, REGISTRY):
        key, hosts = settings.secret(maker.secrets), origins_of(maker, settings)
        if key is not None and isinstance(maker, HasWorkers):
            told = settings.told(maker.variables) if isinstance(maker, Settles) else {}
            street = Street(frozenset(map(origin_of, hosts.values())))
            found += await _workers(Wire(street, hosts, maker.auth(key), told=told), maker, maker.name)
            await street.close()
    return found


async def _workers(wire: Wire, maker: HasWorkers, name: str) -> list[Check]:
    from hoasi.providers._outcomes import TryAgain
    from hoasi.street import WireTrouble

    found: list[Check] = []
    try:
        for endpoint, names in maker.endpoints(wire.told).items():
            async with asyncio.timeout(HOST_S):
                seen = await maker.health(wire, endpoint)
            text = say("cli.doctor.workers", provider=name, endpoint=endpoint, names=names, **seen._asdict())
            fix = "" if seen.can_work else say("cli.doctor.workers_fix", provider=name)
            found.append(Check("workers", "ok" if seen.can_work else "warn", text, fix))
    except HoasiError as error:
        view = explain(error.problem())
        found.append(Check("workers", "warn", f"{name}: {view.message}", view.fix))
    except (TimeoutError, WireTrouble, TryAgain):
        found.append(Check("workers", "warn", say("cli.doctor.workers_silent", provider=name)))
    return found


def _pack(name: str, pack: Pack) -> Check:
    until = "-" if pack.invalid_time is None else f"{pack.invalid_time:%Y-%m-%d}"
    facts = {"pack": pack.name, "remaining": f"{pack.remaining:g}", "total": f"{pack.total:g}", "until": until}
    is_usable = pack.status in {"online", "toBeOnline"} and pack.remaining > 0
    return Check("account", "ok" if is_usable else "warn", say("cli.doctor.account", provider=name, **facts))


async def nodes(settings: Settings) -> list[Check]:
    """Which packs of nodes a ComfyUI has; nothing where it does not say so (whether it answers: `hosts`)."""
    from hoasi.addresses import origin_of
    from hoasi.comfy.nodes import packs_in
    from hoasi.providers._provider import Settles
    from hoasi.providers.comfyui_nodes import look
    from hoasi.shop import origins_of
    from hoasi.street import Street
    from hoasi.wire import Wire

    maker = provider("comfyui")
    origins = origins_of(maker, settings)
    street = Street(frozenset(map(origin_of, origins.values())))
    try:
        headers = maker.headers(settings.told(maker.variables)) if isinstance(maker, Settles) else {}
        table = await look(Wire(street, origins, headers))
    except HoasiError as error:
        view = explain(error.problem())
        return [Check("nodes", "warn", view.message, view.fix)]
    finally:
        await street.close()
    if table is None:
        return []
    return [
        Check("nodes", "ok", say("cli.doctor.nodes", count=len(table.nodes), packs=", ".join(packs_in(table)) or "-"))
    ]
