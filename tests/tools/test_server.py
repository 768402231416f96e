"""The server as a process: it answers first, speaks only the protocol, and takes up its work again after kill -9."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from tooling import refused, told

from acceptance.processes import finish
from calls import ports
from hoasi.errors import NotSupported
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.server import _OneLine, build, serve_http
from hoasi.tools import _lives

FRONT_DOOR = Path(__file__).parents[2] / "server.py"
DOORS = {"server.py": [str(FRONT_DOOR)], "hoasi serve": ["-m", "hoasi.cli", "serve"]}
HEAVY = {"PIL", "aiohttp", "httpx", "httpx_aiohttp", "rich", "sqlite3", "tomlkit", "typer", "yaml"}
KEY = "id-5f3c9a:secret-7d1e2b"
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
CALL = {"name": "generate_image", "arguments": {"prompt": "a quiet balcony"}}


class Process:
    """A server on stdio, spoken to line by line."""

    def __init__(
        self, workspace: Path, *flags: str, door: str = "hoasi serve", one_stream: bool = False, **environ: str
    ) -> None:
        self._ids = 0
        self.process = subprocess.Popen(
            [sys.executable, *flags, *DOORS[door]],
            cwd=workspace,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if one_stream else subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def send(self, method: str, **params: Any) -> int:
        """Ask; gives the number of the question."""
        self._ids += 1
        message = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return self._ids

    def answer(self, number: int) -> dict[str, Any]:
        """Read until that question is answered; every line must be a message."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                assert "result" in message, message
                result: dict[str, Any] = message["result"]
                return result
        raise AssertionError("the server hung up")

    def greet(self) -> dict[str, Any]:
        """The handshake."""
        answer = self.answer(self.send("initialize", **HELLO))
        assert self.process.stdin is not None
        self.process.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        return answer

    def rest(self) -> tuple[str, str]:
        """Hang up, and everything that was still said."""
        said, complained = self.process.communicate(timeout=60)
        return said or "", complained or ""


@contextmanager
def running(workspace: Path, *flags: str, **options: Any) -> Iterator[Process]:
    """A server process that does not outlive the test."""
    server = Process(workspace, *flags, **options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def loaded(lines: str) -> set[str]:
    """Modules in the words of `-X importtime`."""
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", lines, re.MULTILINE))


@pytest.mark.process
@pytest.mark.parametrize("door", DOORS)
def test_nothing_heavy_is_loaded_to_answer_and_list_tools(workspace: Path, door: str) -> None:
    """Where nothing was ever made, the protocol and the schemas are all that a session loads; nothing is written."""
    with running(workspace, "-X", "importtime", door=door) as server:
        hello = server.greet()
        tools = server.answer(server.send("tools/list"))["tools"]
        _, complained = server.rest()
    assert hello["serverInfo"]["name"] == "hoasi"
    assert "Vietnamese" in hello["instructions"]
    assert len(tools) == 14
    assert "mcp" in loaded(complained)
    assert loaded(complained) & HEAVY == set()
    assert not (workspace / ".hoasi").exists()
    assert server.process.returncode == 0


@pytest.mark.process
def test_the_first_answer_leaves_before_the_heavy_parts_are_loaded(workspace: Path) -> None:
    """A workspace with a ledger is taken up by itself, but only after the client has its answer."""
    ledger_of(workspace)
    with running(workspace, "-X", "importtime", one_stream=True) as server:
        number = server.send("initialize", **HELLO)
        assert server.process.stdout is not None
        before = list(takewhile(lambda line: not line.startswith("{"), server.process.stdout))
        after: set[str] = set()
        while not after >= {"aiohttp", "sqlite3"}:
            after |= loaded(server.process.stdout.readline())
    assert number == 1
    assert "mcp" in loaded("".join(before))
    assert loaded("".join(before)) & HEAVY == set()


def ledger_of(workspace: Path) -> None:
    """A workspace in which something was asked for before."""
    from hoasi.ledger import Ledger

    with closing(Ledger(workspace / ".hoasi" / "ledger.db")):
        pass


@pytest.mark.process
def test_killed_in_a_call_it_finishes_the_picture_by_itself_after_a_restart(workspace: Path) -> None:
    """kill -9 while the provider works: the next server fetches the picture without any call; one submission."""
    sandbox = Sandbox(latency_s=600, pictures="tiny")
    with serving_in_thread(sandbox) as url:
        environ = dict.fromkeys(("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL"), url) | {"FAL_KEY": KEY}
        with running(workspace, **environ) as server:
            server.greet()
            server.send("tools/call", **CALL)
            wait_for(lambda: generations(workspace, "handle IS NOT NULL"))
            server.process.kill()
            server.process.wait()
        assert finish(url) == 1
        assert list((workspace / "outputs").glob("*.png")) == []
        with running(workspace, **environ) as server:
            server.greet()
            wait_for(lambda: generations(workspace, "state = 'succeeded'"))
            reply = server.answer(server.send("tools/call", **CALL))["structuredContent"]
            server.rest()
    assert reply["generations"][0]["state"] == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1


def generations(workspace: Path, test: str) -> list[Any]:
    """What the ledger on disk holds."""
    import sqlite3

    path = workspace / ".hoasi" / "ledger.db"
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE name='generation'").fetchall()
        return db.execute(f"SELECT id FROM generation WHERE {test}").fetchall() if tables else []


def wait_for(is_so: Any) -> None:
    """Until it is so; the time limit of the test ends a vain wait."""
    while not is_so():
        time.sleep(0.02)


# ---------------------------------------------------------------------- HTTP


@contextmanager
def over_http(workspace: Path) -> Iterator[str]:
    """A server on a free port."""
    with ports() as (port,):
        code = f"from hoasi.server import serve_http; serve_http({str(workspace)!r}, None, {port})"
        process = subprocess.Popen([sys.executable, "-c", code], cwd=workspace, stderr=subprocess.PIPE)
        try:
            wait_for(lambda: process.poll() is not None or is_open(port))
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()
            process.communicate()


def is_open(port: int) -> bool:
    with closing(socket.socket()) as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.process
@pytest.mark.anyio
async def test_the_same_tools_over_http_and_for_this_machine_only(workspace: Path) -> None:
    """Both eras work over streamable HTTP; another host name or a web page's origin is refused."""
    with over_http(workspace) as url:
        for mode in ("legacy", "auto"):
            async with Client(url, mode=mode) as client:
                assert len((await client.list_tools()).tools) == 14
                reply = told(await client.call_tool("generate_image", {"prompt": "a kite", "provider": "local"}))
                assert reply["generations"][0]["state"] in {"succeeded", "skipped_existing"}
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        accept = {"Accept": "application/json, text/event-stream"}
        async with httpx.AsyncClient(headers=accept) as http:
            assert (await http.post(url, json=message)).headers["content-type"].startswith("text/event-stream")
            assert (await http.post(url, json=message, headers={"Host": "evil.example"})).status_code == 421
            assert (await http.post(url, json=message, headers={"Origin": "https://evil.example"})).status_code == 403


def test_no_other_address_is_opened() -> None:
    """Whoever wants the server on the network needs a proxy with a login; we refuse."""
    with pytest.raises(NotSupported, match="host_not_loopback"):
        serve_http(host="0.0.0.0")


# ---------------------------------------------------------------------- life and logs


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_missing_workspace_is_explained_by_every_call(tmp_path: Path, mode: str) -> None:
    """The server starts, and says what is wrong when something is wanted; once the folder is there it works."""
    async with Client(build(tmp_path / "later"), mode=mode) as client:
        assert refused(await client.call_tool("list_generations", {}))["key"] == "workspace_missing"
        (tmp_path / "later").mkdir()
        told(await client.call_tool("list_generations", {}))


@pytest.mark.anyio
async def test_sentences_are_in_the_language_of_the_setting(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOASI_LANG=en holds from the first refusal on."""
    monkeypatch.setenv("HOASI_LANG", "en")
    async with Client(build(workspace)) as client:
        wrong = refused(await client.call_tool("generate_image", {}))
        unknown = refused(await client.call_tool("get_generations", {"ids": ["nobody"]}))
    assert "required parameter" in wrong["message"]
    assert unknown["message"].isascii()


@pytest.mark.anyio
async def test_waking_waits_for_the_first_answer(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine starts by itself, but not before a client was answered."""
    monkeypatch.setattr(_lives, "HEAD_START_S", 600.0)
    monkeypatch.setattr(_lives, "SETTLE_S", 0.0)
    ledger_of(workspace)
    lives = _lives.Lives(workspace, None)
    life = lives.here()
    async with anyio.create_task_group() as group:
        group.start_soon(lives.wake)
        await anyio.sleep(0.2)
        assert life._studio is None
        lives.answered.set()
    assert life._studio is not None
    assert (await life.studio()).start() == []
    await lives.close()


@pytest.mark.anyio
async def test_a_silent_client_does_not_keep_paid_work_waiting(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a short while the engine starts although nobody said anything."""
    monkeypatch.setattr(_lives, "HEAD_START_S", 0.0)
    ledger_of(workspace)
    lives = _lives.Lives(workspace, None)
    life = lives.here()
    await lives.wake()
    assert life._studio is not None
    await lives.close()


@pytest.mark.anyio
async def test_a_workspace_where_nothing_was_made_stays_untouched(workspace: Path) -> None:
    """A server that starts in any folder leaves no trace in it, and loads nothing."""
    lives = _lives.Lives(workspace, None)
    lives.answered.set()
    await lives.wake()
    assert lives.here()._studio is None
    assert not (workspace / ".hoasi").exists()


def test_a_log_line_is_one_line_without_secrets(workspace: Path) -> None:
    """JSON on one line, a traceback included; a key from the workspace's .env never appears."""
    (workspace / ".env").write_text(f"FAL_KEY={KEY[:3]}{KEY[3:][::-1]}\n", encoding="utf-8")
    secret = (workspace / ".env").read_text(encoding="utf-8").strip().partition("=")[2]
    try:
        raise RuntimeError(f"Authorization: Key {secret}")
    except RuntimeError:
        record = logging.getLogger("hoasi").makeRecord("hoasi", 40, "f", 1, "it\nbroke", (), sys.exc_info())
    line = _OneLine(_lives.Lives(workspace, None)).format(record)
    assert "\n" not in line
    assert secret not in line
    assert json.loads(line)["error"].startswith("Traceback")
    assert json.loads(line)["message"] == "it\nbroke"


def test_the_front_door_is_what_mcp_run_looks_for() -> None:
    """`server.py` holds an MCPServer named `mcp` and starts nothing when it is imported."""
    code = "import runpy; print(type(runpy.run_path('server.py')['mcp']).__name__)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=FRONT_DOOR.parent, capture_output=True, check=True)
    assert done.stdout.strip() == b"MCPServer"
