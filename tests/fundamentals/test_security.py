"""Promise 6: no secret leaves for any host but its provider's; nothing is fetched or written where it must not be."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Call
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from calls import SECRET, OpenStudio, content, fal_environ, fault, files, one, person, pictures
from hoasi import Studio, settings
from hoasi.errors import FileBroken, NotSupported, PathRefused
from hoasi.sandbox import Sandbox, serving

pytestmark = pytest.mark.anyio


class Stranger:
    """A server that is nobody's provider: it counts who so much as knocks."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0

    async def visited(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count, and hang up."""
        self.visits += 1
        writer.close()

    def at(self, address: str) -> str:
        """An address with our port in it."""
        return address.format(port=self.port)


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    """The stranger at work."""
    found = Stranger()
    async with await asyncio.start_server(found.visited, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


class Liar(Sandbox):
    """A provider that answers with addresses and words of our choosing."""

    def __init__(self, receipt: dict[str, str], picture: str, words: str = "") -> None:
        super().__init__()
        self._receipt, self._picture, self._words = receipt, picture, words

    def app(self) -> Starlette:
        async def submit(call: Call) -> Response:
            if self._words:
                return JSONResponse({"detail": self._words + call.headers["authorization"]}, 400)
            return JSONResponse({"request_id": "r1", **self._receipt})

        async def stream(_: Call) -> Response:
            return Response('data: {"status": "COMPLETED"}\n\n', media_type="text/event-stream")

        async def result(_: Call) -> Response:
            return JSONResponse({"images": [{"url": self._picture}]})

        async def bounce(_: Call) -> Response:
            return RedirectResponse(self._picture.partition("#")[2], 302)

        return Starlette(
            routes=[
                Route("/bounce", bounce),
                Route("/{a}/{b}/requests/r1/status/stream", stream),
                Route("/{a}/{b}/requests/r1", result),
                Route("/{path:path}", submit, methods=["POST"]),
            ]
        )


@asynccontextmanager
async def lied_to(workspace: Path, liar: Liar) -> AsyncIterator[Studio]:
    """A studio whose fal is the liar."""
    async with serving(liar) as url, Studio(workspace, environ=fal_environ(url)) as studio:
        yield studio


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/x.png",
        "http://localhost:{port}/x.png",
        "https://127.0.0.1:{port}/x.png",
        "https://localhost:{port}/x.png",
        "https://127.1:{port}/x.png",
        "https://2130706433:{port}/x.png",
        "https://127\u30020\u30020\u30021:{port}/x.png",
        "https://[::ffff:127.0.0.1]:{port}/x.png",
        "https://a@127.0.0.1:{port}/x.png",
        "https://169.254.169.254/latest/meta-data",
        "http://example.com/x.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://[",
        "",
    ],
)
@pytest.mark.parametrize("way", ["named", "redirected"])
async def test_a_result_is_fetched_from_public_https_only(
    way: str, address: str, stranger: Stranger, workspace: Path, quick: object
) -> None:
    """A result at loopback, in a private network or over plain http is not fetched, nor a redirect there followed."""
    target = stranger.at(address)
    if way == "named":
        async with lied_to(workspace, Liar({}, target)) as studio:
            entry = (await studio.generate(one())).generations[0]
    else:
        liar = Liar({}, "")
        async with serving(liar) as fal, Studio(workspace, environ=fal_environ(fal)) as studio:
            liar._picture = f"{fal}/bounce#{target}"
            entry = (await studio.generate(one())).generations[0]
    assert stranger.visits == 0
    assert (entry.state, entry.paid) == ("failed", "yes")
    assert pictures(workspace) == []


async def test_the_key_goes_to_the_provider_only(stranger: Stranger, workspace: Path, quick: object) -> None:
    """Addresses in a receipt that lead elsewhere are not used: they get no call and no key."""
    elsewhere = stranger.at("http://127.0.0.1:{port}/steal")
    receipt = dict.fromkeys(("status_url", "response_url", "cancel_url"), elsewhere)
    async with lied_to(workspace, Liar(receipt, elsewhere)) as studio:
        await studio.generate(one())
    assert stranger.visits == 0


async def test_neither_uploads_nor_downloads_carry_the_key(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Signed addresses and media are asked without it."""
    person(workspace / "face.png")
    async with open_studio() as studio:
        reply = await studio.generate(one(references=("face.png",), consent="I agree."))
    assert reply.generations[0].state == "succeeded"
    assert (sandbox.stats()["uploads"], sandbox.stats()["downloads"], sandbox.stats()["leaks"]) == (1, 1, 0)


async def test_a_redirected_download_carries_no_key_either(open_studio: OpenStudio, sandbox: Sandbox, fal: str) -> None:
    """The redirect of a trusted server to itself is followed, without a key."""
    sandbox.faults.add(fault("download", "redirect", value="/files/elsewhere.png"))
    async with open_studio() as studio:
        await studio.generate(one())
    assert ("GET", "/files/elsewhere.png") in sandbox.stats()["requests"]
    assert sandbox.stats()["leaks"] == 0


async def test_a_secret_that_is_echoed_is_written_nowhere(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The provider puts our key and a signed address into its error: reply, ledger, log and stderr show neither."""
    caplog.set_level(logging.DEBUG)
    signed = "https://v3.fal.media/files/a.png?signature=abc123&expires=1"
    async with lied_to(workspace, Liar({}, "", f"see {signed} ")) as studio:
        reply = await studio.generate(one())
    entry = reply.generations[0]
    assert entry.error is not None
    assert entry.error.detail.startswith("see https://v3.fal.media/files/a.png ")
    everything = [reply.model_dump_json(), caplog.text]
    everything += [content(path).decode("latin-1") for path in files(workspace)]
    assert not [text for text in everything if SECRET in text or "signature" in text]


async def test_settings_do_not_show_a_secret(workspace: Path) -> None:
    """Neither `repr` nor an error of a studio holds a key."""
    async with Studio(workspace, environ={"FAL_KEY": SECRET, "HOASI_FAL_URL": "http://evil.example"}) as studio:
        assert SECRET not in repr(studio.settings)
        with pytest.raises(NotSupported) as refused:
            await studio.generate(one())
    assert SECRET not in json.dumps(refused.value.problem().model_dump(mode="json"))


@pytest.mark.parametrize("name", ["HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_SANDBOX", "HOASI_CONSENT"])
async def test_a_file_in_the_workspace_cannot_redirect_keys(name: str, workspace: Path, fal: str) -> None:
    """`.env` gives keys, but neither addresses nor a looser gate: those come from the process environment."""
    (workspace / ".env").write_text(f"{name}=https://evil.example\nFAL_KEY={SECRET}\n")
    async with Studio(workspace, environ=fal_environ(fal)) as studio:
        assert studio.settings.origin("fal", "", "https://queue.fal.run") == fal
        assert studio.settings.sandbox_url is None
        assert (await studio.generate(one())).generations[0].state == "succeeded"
    (workspace / ".env").unlink()


@pytest.mark.parametrize("url", ["http://queue.fal.run", "http://10.0.0.1", "https://u@queue.fal.run", "ftp://a", "x"])
async def test_an_address_of_our_own_is_https_or_loopback(url: str, workspace: Path) -> None:
    """A key is never sent over plain http but to this machine."""
    async with Studio(workspace, environ=fal_environ(url)) as studio:
        with pytest.raises(NotSupported):
            await studio.generate(one())


@pytest.mark.parametrize("field", ["output_dir", "report_toml", "creative_plan", "prompts_toml", "references"])
@pytest.mark.parametrize("way", ["dots", "absolute", "link", "null", "tilde"])
async def test_no_path_leaves_the_workspace(
    field: str, way: str, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, tmp_path: Path
) -> None:
    """`..`, an absolute path, a link outwards, a NUL, `~`: refused before anything is read, written or sent."""
    (tmp_path / "outside").mkdir()
    (workspace / "link").symlink_to(tmp_path / "outside")
    written = {"dots": "../outside/x", "absolute": str(tmp_path / "outside/x"), "link": "link/x"}
    path = {**written, "null": "a\0b", "tilde": "~/x"}[way]
    given = {field: (path,) if field == "references" else path}
    prompt = None if field in {"creative_plan", "prompts_toml"} else "a kite"
    async with open_studio() as studio:
        with pytest.raises(PathRefused):
            await studio.generate(one(prompt=prompt, **given))
    assert list((tmp_path / "outside").iterdir()) == []
    assert sandbox.stats()["requests"] == []


@pytest.mark.parametrize("what", ["pipe", "folder", "text", "huge"])
async def test_a_reference_is_a_picture_file(
    what: str, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """A pipe is not waited for, and what is no picture or far too large goes nowhere."""
    path = workspace / "x.png"
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "text": lambda: path.write_text("x"),
        "huge": lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**31),
    }[what]()
    async with open_studio() as studio:
        with pytest.raises(FileBroken):
            await studio.generate(one(references=("x.png",), no_faces=True))
    path.rmdir() if what == "folder" else path.unlink()
    assert sandbox.stats()["requests"] == []


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/a.png", "https://127.0.0.1:{port}/a.png", "ftp://example.com/a.png"]
)
async def test_a_remote_reference_is_fetched_from_public_https_only(
    address: str, stranger: Stranger, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """An address of a reference can reach into no private network either."""
    target = stranger.at(address)
    async with open_studio() as studio:
        with pytest.raises(FileBroken):
            await studio.generate(one(references=(target,), no_faces=True))
    assert (stranger.visits, sandbox.stats()["requests"]) == (0, [])


@pytest.mark.parametrize("tail", [":", ":0", ":65536", ":x", ":8787:", ":8\u0667"])
@pytest.mark.parametrize("host", ["http://127.0.0.1", "http://[::1]", "https://proxy.example"])
async def test_a_colon_is_followed_by_a_port(host: str, tail: str, workspace: Path) -> None:
    """An address that was cut off is not taken for the usual port; the refusal names the setting and what is wrong."""
    for name in ("HOASI_SANDBOX", "HOASI_FAL_URL"):
        async with Studio(workspace, environ={"FAL_KEY": SECRET, name: f"{host}{tail}"}) as studio:
            with pytest.raises(NotSupported) as refused:
                await studio.generate(one())
        assert (refused.value.key, refused.value.facts) == ("address_port", {"name": name})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8787", "http://[::1]:80/", "https://proxy.example/fal", "https://a"])
def test_an_address_with_a_port_or_without_is_taken(url: str, workspace: Path) -> None:
    """A port is nobody's duty."""
    assert settings.read(workspace, environ={"HOASI_SANDBOX": url}).sandbox_url == url.rstrip("/")


def test_an_address_that_cannot_be_taken_apart_is_refused(workspace: Path) -> None:
    """It is an error with words, not one of the library's."""
    with pytest.raises(NotSupported) as refused:
        _ = settings.read(workspace, environ={"HOASI_SANDBOX": "http://[::1"}).sandbox_url
    assert refused.value.key == "address_refused"
