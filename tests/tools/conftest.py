"""What every test of a tool may use: a real server and a real client in memory, in both eras of the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.types import Implementation
from tooling import Connect

from calls import person
from hoasi.server import build

KEY = "id-5f3c9a:secret-7d1e2b"
FAL_URLS = ("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL")


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    """The handshake era, and the one without sessions."""
    return str(request.param)


@pytest.fixture
def connect(workspace: Path, era: str, fal: str, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Connect a client to a server of its own on the workspace; fal is the sandbox."""
    for name, value in {"FAL_KEY": KEY, **dict.fromkeys(FAL_URLS, fal)}.items():
        monkeypatch.setenv(name, value)

    def connected(name: str = "test-client", **options: Any) -> Client:
        return Client(build(workspace), mode=era, client_info=Implementation(name=name, version="1"), **options)

    return connected


@pytest.fixture
def photo(workspace: Path) -> str:
    """A reference picture in the workspace."""
    person(workspace / "lan.png")
    return "lan.png"
