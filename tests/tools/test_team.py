"""HTTP for a team: a token is asked for, and opens one workspace up to one budget; everybody else stays outside."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from tasking import Patient, ask, begun, ended
from tooling import refused, told

from calls import fal_environ, ports, until
from hoasi import pace, tokens
from hoasi.errors import FileBroken, HoasiError, NotFound, WrongInput
from hoasi.ledger import Ledger
from hoasi.sandbox import Sandbox
from hoasi.sandbox.kling_callbacks import KLING_WEBHOOK_SECRET
from hoasi.server import _OneLine, build
from hoasi.team import Team
from hoasi.tokens import Tokens
from hoasi.tools import _lives
from hoasi.tools._lives import Lives

pytestmark = pytest.mark.anyio
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
HEAD = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A token file; nobody is in it yet."""
    return tmp_path / "tokens.toml"


@pytest.fixture
def invite(file: Path, tmp_path: Path) -> Callable[..., str]:
    """Give somebody a token for a workspace of his own."""

    def invited(name: str, month_usd: float | None = None) -> str:
        (tmp_path / name / "jobs").mkdir(parents=True)
        return tokens.add(file, name, tmp_path / name, month_usd)

    return invited


@pytest.fixture
async def door(file: Path, fal: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Open the server for whoever is in the file; gives its address."""
    for name, value in fal_environ(fal).items():
        monkeypatch.setenv(name, value)
    place, running = socket.create_server(("127.0.0.1", 0)), list[tuple[uvicorn.Server, asyncio.Task[None]]]()

    async def opened(**known: Any) -> str:
        team = Team(Tokens(file), **known)
        app = build(team=team).streamable_http_app(transport_security=team.security("127.0.0.1"))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        running.append((server, asyncio.create_task(server.serve(sockets=[place]))))
        while not server.started:  # noqa: ASYNC110  (uvicorn gives no event)
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{place.getsockname()[1]}"

    yield opened
    for server, task in running:
        server.should_exit = server.force_exit = True
        await task
    place.close()


@asynccontextmanager
async def client(url: str, token: str, era: str, **options: Any) -> AsyncIterator[Client]:
    """An agent with that token."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era, **options) as connected,
    ):
        yield connected


async def hello(url: str, token: str | None, **headers: str) -> httpx.Response:
    """The first request of a client, as it goes over the wire."""
    given = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient() as world:
        return await world.post(f"{url}/mcp", json=HELLO, headers={**HEAD, **given, **headers})


async def test_without_a_token_nothing_is_answered(invite: Callable[..., str], door: Callable[..., Any]) -> None:
    """401 and nothing else: no tools, no handshake. Load balancers need no token."""
    token = invite("mai")
    url = await door()
    for wrong in (None, "hoasi_", token[:-1], token + "x", "mai"):
        response = await hello(url, wrong)
        assert response.status_code == 401, wrong
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert (await hello(url, token)).status_code == 200
    async with httpx.AsyncClient(base_url=url) as world:
        assert (await world.get("/health")).json()["status"] == "ok"
        assert (await world.post("/callbacks/fal", content=b"{}")).status_code in {401, 404}


async def test_every_token_has_its_own_workspace(
    invite: Callable[..., str], door: Callable[..., Any], era: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    """What one makes lies in that workspace; the other does not see it, and pays for itself."""
    both = {name: invite(name) for name in ("mai", "lan")}
    url, made = await door(), dict[str, str]()
    for name, token in both.items():
        async with client(url, token, era) as agent:
            result = told(await agent.call_tool("generate_image", {"prompt": f"{name}'s", "wait_seconds": 60}))
        (entry,) = result["generations"]
        assert entry["state"] == "succeeded"
        assert Path(entry["outputs"][0]).is_relative_to(tmp_path / name)
        made[name] = entry["id"]
    async with client(url, both["lan"], era) as agent:
        listed = told(await agent.call_tool("list_generations", {}))
        assert [entry["id"] for entry in listed["generations"]] == [made["lan"]]
        assert refused(await agent.call_tool("get_generations", {"ids": [made["mai"]]}))["key"] == "generation_unknown"
        with pytest.raises(MCPError, match=made["mai"]):
            await agent.read_resource(f"hoasi://generations/{made['mai']}")
        assert (await agent.read_resource(f"hoasi://generations/{made['lan']}")).contents
        outside = {"prompt": "x", "images": [str(tmp_path / "mai" / "a.png")]}
        assert refused(await agent.call_tool("edit_image", outside))["key"] == "path_outside"
    assert sandbox.stats()["submissions"] == 2


async def test_nobody_sees_the_tasks_of_others(
    invite: Callable[..., str], door: Callable[..., Any], sandbox: Sandbox
) -> None:
    """A task is known to the token whose call it was, and to no other, whoever learned its id."""
    both = {name: invite(name) for name in ("mai", "lan")}
    url, era = await door(), "2026-07-28"
    async with (
        client(url, both["mai"], era, extensions=[Patient()]) as mai,
        client(url, both["lan"], era, extensions=[Patient()]) as lan,
    ):
        told(await lan.call_tool("generate_image", {"prompt": "her own"}))
        task = await begun(mai, "generate_image", {"prompt": "a kite"})
        for method in ("tasks/get", "tasks/cancel"):
            with pytest.raises(MCPError) as refusal:
                await ask(lan.session, method, task.task_id)
            assert refusal.value.error.code == -32602
        assert (await ended(mai.session, task.task_id)).status == "completed"
    assert sandbox.stats()["submissions"] == 2


async def test_a_token_s_budget_holds_for_its_workspace(
    invite: Callable[..., str], door: Callable[..., Any], era: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would cost more than is left of the month is refused before it is sent; free work always fits."""
    now = time.time()  # for whoever decides: a month may end while this runs
    monkeypatch.setattr("hoasi.opening.time", SimpleNamespace(time=lambda: now))
    token = invite("mai", 0.05)
    url = await door()
    async with client(url, token, era) as agent:
        told(await agent.call_tool("generate_image", {"prompt": "one", "wait_seconds": 60}))
        error = refused(await agent.call_tool("generate_image", {"prompt": "two", "wait_seconds": 60}))
        assert (error["key"], error["paid"]) == ("budget_month_usd", "no")
        told(await agent.call_tool("generate_image", {"prompt": "two", "provider": "local", "wait_seconds": 60}))
    assert sandbox.stats()["submissions"] == 1


async def test_a_revoked_token_is_refused_at_once(
    invite: Callable[..., str], door: Callable[..., Any], file: Path
) -> None:
    """The running server looks at the file: who is new gets in, who is out stays out, a broken file lets nobody in."""
    first = invite("mai")
    url = await door()
    second = invite("lan")
    assert (await hello(url, second)).status_code == 200
    tokens.revoke(file, "mai")
    assert (await hello(url, first)).status_code == 401
    file.write_text("[lan\n", encoding="utf-8")  # noqa: ASYNC240
    assert (await hello(url, second)).status_code == 401


async def test_a_workspace_that_is_gone_keeps_no_report_from_the_others(
    invite: Callable[..., str], door: Callable[..., Any], tmp_path: Path
) -> None:
    """A forged report is told from a true one (401, not 503), whoever else of the team has no workspace any more."""
    invite("gone")
    token = invite("mai")
    (tmp_path / "gone" / "jobs").rmdir()
    (tmp_path / "gone").rmdir()
    url = await door()
    async with client(url, token, "2026-07-28") as agent:
        told(await agent.call_tool("generate_image", {"prompt": "x", "provider": "local", "wait_seconds": 60}))
    async with httpx.AsyncClient(base_url=url) as world:
        assert (await world.post("/callbacks/fal", content=b"{}")).status_code == 401


async def test_a_token_file_that_breaks_stops_no_server(
    invite: Callable[..., str], door: Callable[..., Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken before paid work was taken up, it lets nobody in; mended, it lets in again."""
    monkeypatch.setattr(_lives, "HEAD_START_S", 0.0)
    monkeypatch.setattr(_lives, "SETTLE_S", 0.0)
    token, whole = invite("mai"), file.read_text(encoding="utf-8")  # noqa: ASYNC240
    file.write_text("[mai", encoding="utf-8")  # noqa: ASYNC240
    url = await door()
    assert (await hello(url, token)).status_code == 401
    file.write_text(whole, encoding="utf-8")  # noqa: ASYNC240
    assert (await hello(url, token)).status_code == 200


def test_no_log_line_shows_a_key_of_a_workspace(invite: Callable[..., str], file: Path, tmp_path: Path) -> None:
    """A key in the workspace of a token is a secret of the server as its own are."""
    invite("mai")
    (tmp_path / "mai" / ".env").write_text("FAL_KEY=of-mai:0123456789\n", encoding="utf-8")
    lives = Lives(tmp_path / "mai" / "jobs", None, Tokens(file), lambda: "mai")
    assert lives.here().settings.secrets()
    record = logging.getLogger("hoasi").makeRecord("hoasi", 40, "f", 1, "it said of-mai:0123456789", (), None)
    assert "0123456789" not in _OneLine(lives).format(record)


@pytest.mark.parametrize("order", [("mai", "lan"), ("lan", "mai")])
async def test_a_report_finds_its_workspace(
    order: tuple[str, str],
    invite: Callable[..., str],
    door: Callable[..., Any],
    fal: str,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signed with the secret of one workspace: verified with it, wherever it stands, and heard there. Nobody polls."""
    monkeypatch.setattr(pace.Schedule, "wait_s", lambda *_: 3600.0)
    tokens_of = {name: invite(name) for name in order}
    keys = f"KLING_API_KEY=kling-5f3c9a-key\nKLING_WEBHOOK_SECRET={KLING_WEBHOOK_SECRET}\n"
    (tmp_path / "lan" / ".env").write_text(keys, encoding="utf-8")
    url = await door()
    monkeypatch.setenv("CALLBACK_BASE_URL", url)
    monkeypatch.setenv("HOASI_KLING_URL", f"{fal}/kling")
    sandbox.change(latency_s=600)
    for name, provider in (("mai", "local"), ("lan", "kling")):
        async with client(url, tokens_of[name], "2026-07-28") as agent:
            call = {"prompt": "a kite", "provider": provider}
            if provider == "kling":
                await agent.call_tool("generate_image", {**call, "wait_seconds": 0})
                await until(lambda: has_receipt(tmp_path / "lan"))
                assert sandbox.line.finish() == 1
            (entry,) = told(await agent.call_tool("generate_image", {**call, "wait_seconds": 60}))["generations"]
        assert entry["state"] == "succeeded", (name, entry)
    assert sandbox.stats()["webhooks_delivered"] >= 1


def has_receipt(workspace: Path) -> bool:
    """Only a receipt that is in hand can be reported on: who hears of it before, asks by and by."""
    with closing(Ledger(workspace / ".hoasi" / "ledger.db")) as ledger:
        return any(generation.handle for generation in ledger.find()[0])


async def test_a_session_belongs_to_its_token(invite: Callable[..., str], door: Callable[..., Any]) -> None:
    """Whoever learns the number of a session cannot go on in it."""
    mine, yours = invite("mai"), invite("lan")
    url = await door()
    session = (await hello(url, mine)).headers["mcp-session-id"]
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    codes = []
    for token in (yours, mine):
        head = {**HEAD, "Authorization": f"Bearer {token}", "mcp-session-id": session}
        async with httpx.AsyncClient() as world:
            codes.append((await world.post(f"{url}/mcp", json=body, headers=head)).status_code)
    assert codes == [404, 200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "hoasi.example.com"}, 200),
        ({"Host": "hoasi.example.com:443"}, 200),
        ({"Host": "evil.example.com"}, 421),
        ({"Host": "hoasi.example.com.evil.example"}, 421),
        ({"Origin": "https://app.example.com"}, 200),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
    ids=str,
)
async def test_names_and_pages_are_checked(
    headers: dict[str, str], status: int, invite: Callable[..., str], door: Callable[..., Any]
) -> None:
    """A web page elsewhere cannot call, even with a token that it stole."""
    token = invite("mai")
    url = await door(hosts=("hoasi.example.com",), origins=("https://app.example.com",))
    assert (await hello(url, token, **headers)).status_code == status


def test_an_open_host_needs_a_name(file: Path) -> None:
    """Without names every Host would have to be believed."""
    with pytest.raises(WrongInput, match="serve_hosts_missing"):
        Team(Tokens(file)).security("0.0.0.0")
    assert "hoasi.example.com:*" in Team(Tokens(file), ("hoasi.example.com",)).security("0.0.0.0").allowed_hosts


def test_the_command_serves_who_has_a_token(invite: Callable[..., str], file: Path, tmp_path: Path) -> None:
    """`hoasi serve --http --tokens` as a process on an open address, called by its name."""
    token = invite("mai")
    words = ["--http", "--host", "127.0.0.1", "--tokens", str(file), "--allow-host", "a.example"]
    command = [sys.executable, "-m", "hoasi.cli", "serve", *words]
    with (
        ports() as (port,),
        subprocess.Popen([*command, "--port", str(port)], cwd=tmp_path, stderr=subprocess.PIPE) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url)
            named = {**HEAD, "Host": "a.example"}
            bearer = {**named, "Authorization": f"Bearer {token}"}
            assert httpx.post(f"{url}/mcp", json=HELLO, headers=named).status_code == 401
            assert httpx.post(f"{url}/mcp", json=HELLO, headers=bearer).status_code == 200
        finally:
            process.kill()
        assert process.stderr is not None
        assert token not in process.stderr.read().decode()


def wait_for(url: str) -> None:
    """Until it says that it is healthy; the time limit of the test ends a vain wait."""
    while True:
        with suppress(httpx.TransportError):
            assert httpx.get(f"{url}/health").json()["status"] == "ok"
            return
        time.sleep(0.05)


def test_who_has_no_token_any_more_has_no_workspace(invite: Callable[..., str], file: Path) -> None:
    """A call that came with none, or with one that was taken back, never falls back to somebody's workspace."""
    invite("mai")
    for caller in (None, "lan"):
        with pytest.raises(NotFound, match="token_unknown"):
            Lives(None, None, Tokens(file), lambda caller=caller: caller).here()


# ---------------------------------------------------------------------- the file


def test_several_programs_add_at_once(file: Path, tmp_path: Path) -> None:
    """None of them takes another's token away."""
    names = [f"name-{k}" for k in range(24)]
    with ThreadPoolExecutor(8) as pool:
        given = [*pool.map(lambda name: tokens.add(file, name, tmp_path), names)]
    found = Tokens(file)
    assert sorted(tenant.name for token in given if (tenant := found.of(token))) == sorted(names)


def test_the_file_never_holds_a_token(invite: Callable[..., str], file: Path) -> None:
    """Only its digest, readable by nobody else; comments that a person wrote stay."""
    first = invite("mai", 20)
    file.write_text(f"# ours\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
    second = invite("lan")
    text = file.read_text(encoding="utf-8")
    assert first not in text
    assert second not in text
    assert text.startswith("# ours\n")
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    found = Tokens(file)
    assert [(one.name, one.month_usd) for one in found.tenants()] == [("mai", 20.0), ("lan", None)]
    assert found.of(first) == found.named("mai")


GOOD = f'sha256 = "{"a" * 64}"\nworkspace = "."\n'
INNER = f'sha256 = "{"b" * 64}"\nworkspace = "jobs/../lan"\n'
BROKEN: list[tuple[str, type[HoasiError], str]] = [
    ("[mai\n", FileBroken, "tokens_broken"),
    ("mai = 1\n", FileBroken, "tokens_broken"),
    (f"[mai]\n{GOOD}month_usd = -1\n", FileBroken, "tokens_broken"),
    (f"[mai]\n{GOOD}month_usd = nan\n", FileBroken, "tokens_broken"),
    (f"[mai]\n{GOOD}token = 'x'\n", FileBroken, "tokens_broken"),
    ('[mai]\nsha256 = "abc"\nworkspace = "."\n', FileBroken, "tokens_broken"),
    (f"[mai]\n{GOOD}\n[lan]\n{GOOD.replace('a' * 64, 'b' * 64)}month_usd = 1\n", WrongInput, "token_budget_differs"),
    (f"[mai]\n{GOOD}\n[lan]\n{INNER}", WrongInput, "token_workspace_inside"),
    (f"[lan]\n{INNER}\n[mai]\n{GOOD}", WrongInput, "token_workspace_inside"),
    (f"[mai]\n{GOOD}\n[lan]\n{GOOD}", FileBroken, "tokens_broken"),
]


@pytest.mark.parametrize(("text", "kind", "key"), BROKEN)
def test_a_file_that_makes_no_sense_is_refused(text: str, kind: type[HoasiError], key: str, file: Path) -> None:
    """The entry is named; nobody is let in, and nothing is written over it."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(kind) as refusal:
        Tokens(file).tenants()
    assert refusal.value.key == key
    with pytest.raises(kind):
        tokens.add(file, "new", file.parent)
    assert file.read_text(encoding="utf-8") == text


def test_names_are_taken_once(invite: Callable[..., str], file: Path) -> None:
    """A second token of the same name would hide the first; who is not there cannot be taken out."""
    invite("mai")
    for name in ("mai", "", "a b", "../x"):
        with pytest.raises(WrongInput, match="token_name"):
            tokens.add(file, name, file.parent)
    with pytest.raises(NotFound, match="token_unknown"):
        tokens.revoke(file, "lan")
    with pytest.raises(NotFound, match="tokens_missing"):
        Tokens(file.with_name("other.toml")).tenants()
