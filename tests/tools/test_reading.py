"""What a call gives is read in the client's time: slow servers and long looks cost no answer, no money."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.types import ElicitResult
from tooling import Connect, fault, refused, told, until

from calls import person
from hoasi import Ask, Studio
from hoasi.answers import Reply
from hoasi.media import face
from hoasi.records import Batch
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio

SOON_S = "0.3"
Look = Callable[..., tuple[face.Face, ...]]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that soon hangs up."""
    monkeypatch.setenv("HOASI_WAIT_SECONDS", SOON_S)


@pytest.fixture
def elsewhere(sandbox: Sandbox, fal: str, tmp_path: Path) -> str:
    """The address of a picture on another machine."""
    sandbox.shelf.put_bytes("b/lan.png", person(tmp_path / "elsewhere.png").read_bytes(), "image/png")
    return f"{fal}/files/b/lan.png"


class SlowLook:
    """Faces are looked for until somebody lets it end; counts the looks."""

    def __init__(self, real: Look) -> None:
        self.real, self.looks, self.may_end = real, 0, threading.Event()

    def __call__(self, *args: Any, **more: Any) -> tuple[face.Face, ...]:
        self.looks += 1
        self.may_end.wait(30)
        return self.real(*args, **more)


@pytest.fixture
def slow_look(monkeypatch: pytest.MonkeyPatch) -> SlowLook:
    look = SlowLook(face.detect)
    monkeypatch.setattr(face, "detect", look)
    return look


async def again_until_read(client: Client, call: dict[str, Any]) -> dict[str, Any]:
    """What the reply tells an agent to do: the same call again."""
    while (result := await client.call_tool("generate_image", call)).is_error:
        assert refused(result)["key"] == "still_reading"
    return told(result)


async def test_a_slow_server_of_a_reference_keeps_no_client_waiting(
    connect: Connect, sandbox: Sandbox, elsewhere: str, hurried: None
) -> None:
    """Answered in time: nothing sent, the same call again; that one finds what was fetched meanwhile, bought once."""
    sandbox.faults.add(fault("download", "slow", value=2))
    call = {"prompt": "she smiles", "reference_images": [elsewhere], "consent": "Lan đồng ý", "wait_seconds": 0}
    async with connect() as client:
        error = refused(await client.call_tool("generate_image", call))
        assert (error["kind"], error["key"], error["paid"], error["retry"]) == (
            "NotReady",
            "still_reading",
            "no",
            "safe",
        )
        assert sandbox.stats()["posts_received"] == 0
        reply = await again_until_read(client, call)
        await client.call_tool("get_generations", {"ids": [reply["generations"][0]["id"]], "wait_seconds": 30})
    assert sandbox.stats()["requests"].count(("GET", "/files/b/lan.png")) == 1
    assert sandbox.stats()["submissions"] == 1


async def test_a_reading_that_was_given_up_buys_nothing(
    connect: Connect, sandbox: Sandbox, photo: str, hurried: None, slow_look: SlowLook
) -> None:
    """Its end decides nothing: only a call that can be answered with an id buys."""
    call = {"prompt": "she smiles", "reference_images": [photo], "consent": "Lan đồng ý"}
    async with connect() as client:
        assert refused(await client.call_tool("generate_image", call))["key"] == "still_reading"
        slow_look.may_end.set()
        await anyio.sleep(0.5)
        assert told(await client.call_tool("list_generations", {})).get("generations", []) == []
        assert sandbox.stats()["posts_received"] == 0
        await again_until_read(client, call)
    assert slow_look.looks == 1


async def test_a_price_is_told_in_time_too(connect: Connect, photo: str, hurried: None, slow_look: SlowLook) -> None:
    """A dry run looks at the same pictures, and keeps nobody waiting longer."""
    call = {"prompt": "she smiles", "reference_images": [photo], "dry_run": True}
    async with connect() as client:
        assert refused(await client.call_tool("generate_image", call))["key"] == "still_reading"
        slow_look.may_end.set()
        assert (await again_until_read(client, call))["generations"][0]["state"] == "planned"
    assert slow_look.looks == 1


async def test_while_it_reads_it_says_so(
    connect: Connect, photo: str, slow_look: SlowLook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress before the work has begun keeps patient clients patient; the numbers of the work are greater."""
    monkeypatch.setattr("hoasi.tools._reading.TELL_S", 0.05)
    heard: list[tuple[float, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message or ""))
        if len(heard) == 3:
            slow_look.may_end.set()

    call = {"prompt": "she smiles", "reference_images": [photo], "consent": "Lan đồng ý"}
    async with connect() as client:
        told(await client.call_tool("generate_image", call, progress_callback=hear))
    assert "khuôn mặt" in heard[0][1]
    assert "khuôn mặt" not in heard[-1][1]
    assert [number for number, _ in heard] == sorted({number for number, _ in heard})


async def test_a_call_that_was_hung_up_on_leaves_its_reading_to_the_next(
    connect: Connect, photo: str, slow_look: SlowLook
) -> None:
    """The same call made again goes on from there."""
    call = {"prompt": "she smiles", "reference_images": [photo], "consent": "Lan đồng ý"}
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "generate_image", call)
            await until(lambda: slow_look.looks == 1)
            group.cancel_scope.cancel()
        slow_look.may_end.set()
        assert told(await client.call_tool("generate_image", call))["generations"][0]["state"] == "succeeded"
    assert slow_look.looks == 1


async def test_a_user_who_thinks_long_is_not_told_to_call_again(
    connect: Connect, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answered a question is still there: the clock of the call begins anew."""

    monkeypatch.setenv("HOASI_WAIT_SECONDS", "2")

    async def thoughtful(_: Any, params: Any) -> ElicitResult:
        await anyio.sleep(3)
        return ElicitResult.model_validate({"action": "accept", "content": {"shows": "no_face"}})

    call = {"prompt": "she smiles", "reference_images": [photo]}
    async with connect(elicitation_callback=thoughtful) as client:
        await again_until_read(client, {**call, "dry_run": True})
        told(await client.call_tool("generate_image", call))


async def test_an_address_is_asked_once_a_call(connect: Connect, sandbox: Sandbox, elsewhere: str) -> None:
    """The picture that the user was asked about is the one that is sent, whatever its server gives next."""

    async def yes(_: Any, params: Any) -> ElicitResult:
        return ElicitResult.model_validate({"action": "accept", "content": {"shows": "no_face"}})

    async with connect(elicitation_callback=yes) as client:
        told(await client.call_tool("generate_image", {"prompt": "she smiles", "reference_images": [elsewhere]}))
        rounds = sandbox.stats()["requests"].count(("GET", "/files/b/lan.png"))
    assert rounds <= 2  # a protocol without sessions asks in one call and is answered in another


async def test_a_file_that_changed_meanwhile_is_read_again(
    connect: Connect, sandbox: Sandbox, workspace: Path, photo: str, hurried: None, slow_look: SlowLook
) -> None:
    """What lies here is cheap to read: the bytes of now are sent, not refused as other ones."""
    call = {"prompt": "she smiles", "reference_images": [photo], "consent": "Lan đồng ý"}
    async with connect() as client:
        assert refused(await client.call_tool("generate_image", call))["key"] == "still_reading"
        await until(lambda: slow_look.looks == 1)
        person(workspace / photo, "blue")
        slow_look.may_end.set()
        reply = await again_until_read(client, call)
        made = told(await client.call_tool("get_generations", {"ids": [reply["generations"][0]["id"]]}))
    assert made["generations"][0]["state"] == "succeeded"


async def test_many_who_do_not_wait_leave_few_readings(
    connect: Connect, sandbox: Sandbox, fal: str, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many slow servers are listened to at once for nobody; the oldest is given up."""
    monkeypatch.setattr("hoasi.tools._reading.AT_MOST", 1)
    cancelled: list[str] = []
    monkeypatch.setattr("hoasi.studio.Studio.read", _endless(cancelled))
    async with connect() as client:
        for prompt in ("one", "two", "three"):
            call = {"prompt": prompt, "consent": "Lan đồng ý"}
            assert refused(await client.call_tool("generate_image", call))["key"] == "still_reading"
        await anyio.wait_all_tasks_blocked()
        assert cancelled == ["one", "two"]


def _endless(cancelled: list[str]) -> Callable[..., Any]:
    """A reading that never ends by itself; who gave it up is noted."""

    async def read(_: object, ask: Ask, known: object = None) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(str(ask.prompt))

    return read


async def test_what_reading_took_is_not_waited_for_again(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's time is one: whoever read for 1000 s of it has none left for the work."""
    monkeypatch.setattr("hoasi.tools._waiting.elapsed_s", lambda: 1000.0)
    waited: list[float | None] = []
    wait = Studio.wait

    async def noted(self: Studio, batch: Batch, timeout_s: float | None = None) -> Reply:
        waited.append(timeout_s)
        return await wait(self, batch, timeout_s)

    monkeypatch.setattr(Studio, "wait", noted)
    async with connect() as client:
        await client.call_tool("generate_image", {"prompt": "a kite"})
    assert waited == [0.0]
