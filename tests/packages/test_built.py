"""What `make packages` built, as somebody gets it who has nothing else: the wheel and the bundle for Claude Desktop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

from hoasi.catalogue import PROVIDERS
from hoasi.tools import REGISTRY

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
WHEEL, SOURCE, BUNDLE = (
    DIST / f"hoasi-{VERSION}-py3-none-any.whl",
    DIST / f"hoasi-{VERSION}.tar.gz",
    DIST / "hoasi.mcpb",
)
UV = str(Path(sys.executable).with_name("uv"))
UVX = [UV, "tool", "run", "--isolated", "--python", sys.executable, "--constraints", str(ROOT / "requirements.lock")]
HOASI = [*UVX, "--from", str(WHEEL), "hoasi"]


def environment() -> dict[str, str]:
    """This process's own, but for what leads to its Python; a package client finds its registry there."""
    return {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    }


def tracked(folder: str) -> set[str]:
    """The files that belong to a folder of the repository."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT / folder)) for path in found}


def check_house(names: Iterable[str], prefix: str) -> None:
    """The whole package and nothing of the workshop: cards, templates, prompts, fonts, the face network, messages."""
    inside = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    assert tracked("src/hoasi") - inside == set()
    for name in (f"catalogue/{one}.toml" for one in PROVIDERS):
        assert name in inside
    assert {"comfy/templates/normal_image_v4_workflow.json", "media/fonts/OFL.txt", "media/face_yunet.onnx"} <= inside


def test_the_wheel_holds_the_house_and_its_skills() -> None:
    """Code, data and skills lie inside the package; no job, no test, no key; about a megabyte."""
    names = set(zipfile.ZipFile(WHEEL).namelist())
    check_house(names, "hoasi/")
    skills = {name.removeprefix("hoasi/skills/") for name in names if name.startswith("hoasi/skills/")}
    assert skills == {name for name in tracked("skills") if not name.startswith("fal_image_generator/")}
    assert {name.split("/")[0] for name in names} == {"hoasi", f"hoasi-{VERSION}.dist-info"}
    assert WHEEL.stat().st_size < 1_500_000


def test_the_source_holds_what_the_wheel_is_built_from() -> None:
    """The sdist has code, skills and the front door, and neither jobs nor tests."""
    with tarfile.open(SOURCE) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    check_house(names, "src/hoasi/")
    assert {f"skills/{name}" for name in tracked("skills")} <= names
    extra = {name.split("/")[0] for name in names} - {"src", "skills"}
    assert extra == {"server.py", "README.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert SOURCE.stat().st_size < 1_500_000


def test_the_bundle_holds_its_manifest_and_the_house() -> None:
    """The bundle's entry point and project are there; it is small, because uv fetches the rest."""
    names = set(zipfile.ZipFile(BUNDLE).namelist())
    check_house(names, "src/hoasi/")
    assert {"manifest.json", "server.py", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.startswith(("jobs/", "tests/", "."))]
    assert BUNDLE.stat().st_size < 2_000_000


def test_uvx_runs_the_wheel(tmp_path: Path) -> None:
    """`uvx --from hoasi.whl hoasi --version` in an environment of its own says the version."""
    done = subprocess.run(
        [*HOASI, "--version"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"hoasi {VERSION}\n"), done.stderr


async def listed(command: list[str], folder: Path, more: dict[str, str]) -> tuple[str, list[str]]:
    """Name and tools of a server that is started so."""
    start = StdioServerParameters(command=command[0], args=command[1:], cwd=folder, env=environment() | more)
    async with Client(stdio_client(start)) as client:
        tools = (await client.list_tools()).tools
        assert client.server_info is not None
        return client.server_info.name, [tool.name for tool in tools]


@pytest.mark.anyio
async def test_the_wheel_serves_mcp(workspace: Path) -> None:
    """From the wheel alone the server answers and lists all its tools."""
    command = [*HOASI, "serve", "--workspace", str(workspace)]
    assert await listed(command, workspace, {}) == ("hoasi", list(REGISTRY))


@pytest.mark.anyio
async def test_the_bundle_serves_mcp(workspace: Path, tmp_path: Path) -> None:
    """Unpacked and started as its manifest says, with no key given, the bundle's server lists all its tools."""
    home = tmp_path / "bundle"
    zipfile.ZipFile(BUNDLE).extractall(home)
    server = json.loads((home / "manifest.json").read_text(encoding="utf-8"))["server"]
    assert (home / server["entry_point"]).is_file()
    filled = {"${__dirname}": str(home), "${user_config.workspace}": str(workspace)}
    words = [filled.get(word, word) for word in server["mcp_config"]["args"]]
    assert server["mcp_config"]["command"] == "uv"
    keys = dict.fromkeys(server["mcp_config"]["env"], "")
    assert await listed([UV, *words], workspace, keys) == ("hoasi", list(REGISTRY))
