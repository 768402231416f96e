"""Skills (SEP-2640): the folders that ship with us, listed, described and read, each byte as it lies on disk."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp.types import Request, RequestParams, Result
from pydantic import ConfigDict
from tooling import Connect

from hoasi.extensions.skills import ID, Skills, skills_dir
from hoasi.server import build

pytestmark = pytest.mark.anyio

TREE = Path(__file__).parents[2] / "skills"
OURS = sorted(path.parent.name for path in TREE.glob("*/SKILL.md"))


class Anything(Result):
    """Whatever is answered."""

    model_config = ConfigDict(extra="allow")


class OfUri(RequestParams):
    """What a question is about."""

    uri: str | None = None
    cursor: str | None = None


async def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """The answer to a question of the extension, as it came."""
    request = Request[OfUri, str](method=method, params=OfUri(**params))
    return (await client.session.send_request(request, Anything)).model_dump(by_alias=True, exclude_none=True)


async def content(client: Client, uri: str) -> bytes:
    """A resource's bytes."""
    (one,) = (await client.read_resource(uri)).contents
    return one.text.encode() if hasattr(one, "text") else base64.b64decode(one.blob)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One skill with every kind of file, and two folders that are none."""
    metadata = "  since: 2026-01-31\n  ok: yes\n  size: 3\n  on: true\n"
    head = f"---\nname: drawing\ndescription: Draw.\nmetadata:\n{metadata}---\n# \u00ea\n"
    skill = tmp_path / "skills" / "drawing"
    for path, data in {
        "SKILL.md": head.encode(),
        "references/deep/more.md": b"more\r\n",
        "assets/dot.bin": b"\xff\x00\xfe",
        "scripts/__pycache__/x.pyc": b"x",
        ".hidden": b"x",
    }.items():
        (skill / path).parent.mkdir(parents=True, exist_ok=True)
        (skill / path).write_bytes(data)
    (tmp_path / "skills" / "no_skill").mkdir()
    (tmp_path / "secret.md").write_text("not for you", encoding="utf-8")
    return tmp_path / "skills"


@pytest.fixture
async def client(folder: Path, era: str) -> AsyncIterator[Client]:
    """A client of a server with that folder."""
    skills = Skills(folder)
    server = MCPServer("test", extensions=[skills])
    server.middleware.append(skills.shelving(server))
    async with Client(server, mode=era) as connected:
        yield connected


def test_every_skill_of_the_tree_is_found() -> None:
    """In a source tree the skills are those at its top; a wheel carries them inside the package."""
    assert skills_dir().resolve() == TREE
    assert "fal-image-generator" in OURS


async def test_every_skill_that_ships_is_served(connect: Connect, era: str) -> None:
    """Listed with its head; every file read back has the digest and size that were told; the name is the folder's."""
    async with connect() as client:
        listed = await ask(client, "skills/list")
        assert [skill["frontmatter"]["name"] for skill in listed["skills"]] == OURS
        assert ("ttlMs" in listed, "cacheScope" in listed) == ((era != "legacy"),) * 2
        for skill in listed["skills"]:
            assert skill["uri"] == f"skill://{skill['frontmatter']['name']}/SKILL.md"
            assert skill["frontmatter"]["description"]
            assert skill["uri"] in {file["uri"] for file in skill["resources"]}
            for file in skill["resources"]:
                data = await content(client, file["uri"])
                assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (file["digest"], file["size"])
        resources = {one.uri: one for one in (await client.list_resources()).resources}
        head = resources[f"skill://{OURS[0]}/SKILL.md"]
        assert (head.name, head.mime_type) == (OURS[0], "text/markdown")
        assert head.description == listed["skills"][0]["frontmatter"]["description"]


async def test_a_folder_is_read_level_by_level(client: Client) -> None:
    """Folders say that they are; a file, an unknown skill and the world outside are no folders of a skill."""
    top = (await ask(client, "resources/directory/read", uri="skill://drawing"))["resources"]
    assert {one["uri"]: one["mimeType"] for one in top} == {
        "skill://drawing/SKILL.md": "text/markdown",
        "skill://drawing/assets": "inode/directory",
        "skill://drawing/references": "inode/directory",
    }
    below = (await ask(client, "resources/directory/read", uri="skill://drawing/references/"))["resources"]
    assert [one["uri"] for one in below] == ["skill://drawing/references/deep"]
    for uri in ("skill://drawing/SKILL.md", "skill://nobody", "skill://drawing/..", "skill://drawing/assets/../.."):
        with pytest.raises(MCPError) as refusal:
            await ask(client, "resources/directory/read", uri=uri)
        assert refusal.value.error.code == -32602


async def test_only_the_files_of_a_skill_can_be_read(client: Client) -> None:
    """Bytes come as bytes; what is hidden, cached or outside is not there."""
    assert await content(client, "skill://drawing/assets/dot.bin") == b"\xff\x00\xfe"
    assert await content(client, "skill://drawing/references/deep/more.md") == b"more\r\n"
    for path in (".hidden", "scripts/__pycache__/x.pyc", "../../secret.md", "..%2f..%2fsecret.md"):
        with pytest.raises(MCPError):
            await client.read_resource(f"skill://drawing/{path}")


async def test_one_skill_is_asked_for_by_its_address(client: Client) -> None:
    """The entry of the list; its head as YAML 1.2 reads it; an unknown address is an error."""
    (listed,) = (await ask(client, "skills/list"))["skills"]
    got = await ask(client, "skills/get", uri="skill://drawing/SKILL.md")
    assert got["skill"] == listed
    assert listed["frontmatter"]["metadata"] == {"since": "2026-01-31", "ok": "yes", "size": 3, "on": True}
    for method, params in (("skills/get", {"uri": "skill://nobody/SKILL.md"}), ("skills/list", {"cursor": "next"})):
        with pytest.raises(MCPError) as refusal:
            await ask(client, method, **params)
        assert refusal.value.error.code == -32602


async def test_clients_are_told_which_extensions_there_are(workspace: Path) -> None:
    """Who asks what the server can do learns of skills, that folders can be read, and of tasks."""
    async with Client(build(workspace), mode="auto") as client:
        told = client.server_capabilities.extensions or {}
    assert told[ID] == {"directoryRead": True}
    assert told["io.modelcontextprotocol/tasks"] == {}
