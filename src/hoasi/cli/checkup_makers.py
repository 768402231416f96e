"""Hall (floor 6): what `hoasi doctor` asks of the providers; free, and nothing is waited for longer than 3 s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hoasi.cli.checkup import Check
from hoasi.errors import HoasiError
from hoasi.messages import explain, say
from hoasi.providers import REGISTRY, provider
from hoasi.settings import Settings

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Pack
    from hoasi.providers._provider import Accounts, Provider
    from hoasi.providers._workers import HasWorkers
    from hoasi.street import Street
    from hoasi.wire import Wire

HOST_S = 3.0


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
    from hoasi.providers._provider import Accounts

    found: list[Check] = []
    for maker in map(provider, REGISTRY):
        if isinstance(maker, Accounts) and settings.secret(maker.secrets) is not None:
            async with _wire(maker, settings) as wire:
                found += await _account(wire, maker, maker.name)
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
    from hoasi.providers._workers import HasWorkers

    found: list[Check] = []
    for maker in map(provider, REGISTRY):
        if isinstance(maker, HasWorkers) and settings.secret(maker.secrets) is not None:
            async with _wire(maker, settings) as wire:
                found += await _workers(wire, maker, maker.name)
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
    from hoasi.comfy.nodes import packs_in
    from hoasi.providers.comfyui_nodes import look

    try:
        async with _wire(provider("comfyui"), settings) as wire:
            table = await look(wire)
    except HoasiError as error:
        view = explain(error.problem())
        return [Check("nodes", "warn", view.message, view.fix)]
    if table is None:
        return []
    return [
        Check("nodes", "ok", say("cli.doctor.nodes", count=len(table.nodes), packs=", ".join(packs_in(table)) or "-"))
    ]


@asynccontextmanager
async def _wire(maker: Provider, settings: Settings) -> AsyncIterator[Wire]:
    """The way to a provider, with its key where it has one."""
    from hoasi.addresses import origin_of
    from hoasi.shop import origins_of, wire_to
    from hoasi.street import Street

    street = Street(frozenset(map(origin_of, origins_of(maker, settings).values())))
    try:
        yield wire_to(maker, settings, street)
    finally:
        await street.close()
