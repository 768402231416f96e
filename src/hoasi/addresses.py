"""Street door (floor 1): which addresses are whose, and which are public."""

from __future__ import annotations

import ipaddress
import socket

import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10", "5f00::/16", "3fff::/20")
)
"""IPv6 networks that are not the open internet, though some Python tables say so."""

Origin = tuple[str, str, int]
NOBODY: Origin = ("", "", 0)
"""Whose what is no address is."""


def origin_of(url: str) -> Origin:
    """Scheme, host and port: two addresses with equal origins belong to one server; what is no address is nobody's.

    Read by the very parser that connects, so that nobody can hide a host between two readings.
    """
    try:
        parts = httpx.URL(url)
        host = parts.raw_host.decode("ascii").lower()
    except (httpx.InvalidURL, ValueError):
        return NOBODY
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme, 0)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, seen through IPv4-in-IPv6 forms."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if any(ip in network for network in _NEVER):
            return False
    return ip.is_global and not ip.is_multicast


def may_be_asked(host: str) -> bool:
    """A name (what it means is checked by the resolver), or a public address in its usual form.

    Old spellings of addresses (`127.1`, `2130706433`, `127.0.0.1.`) never reach the resolver: refused.
    """
    if ":" not in host and not host.replace(".", "").isdigit():
        return bool(host)
    try:
        return is_public(host)
    except ValueError:
        return False


class PrivateAddressError(OSError):
    """A name that leads to an address which is not public."""


class PublicOnly(AbstractResolver):
    """A resolver that gives public addresses only; the connection goes to exactly what it gives."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a name; refused as a whole when one of them is not public."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(row["host"]) for row in found):
            raise PrivateAddressError("not a public address")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()
