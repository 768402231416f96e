"""What others read to install us: one version, one name, real commands, and no address of a package registry."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hoasi.catalogue import PROVIDERS
from hoasi.cli import _served
from hoasi.providers import provider

ROOT = Path(__file__).parents[2]
CLIENTS = sorted(path for path in (ROOT / "packages" / "clients").iterdir() if path.suffix in {".json", ".toml"})


def read(name: str) -> dict[str, Any]:
    """A JSON or TOML file of the repository."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
    return found


PROJECT = read("pyproject.toml")["project"]
REGISTRY, BUNDLE = read("server.json"), read("packages/mcpb/manifest.json")
(PACKAGE,) = REGISTRY["packages"]
KEYS = {name for one in PROVIDERS for names in [provider(one).secrets] for name in names}


def test_there_is_one_version() -> None:
    """pyproject.toml has it; plugin, bundle and registry entry say the same."""
    told = [read(".claude-plugin/plugin.json"), BUNDLE, REGISTRY, PACKAGE]
    assert {one["version"] for one in told} == {PROJECT["version"]}
    (extra,) = PACKAGE["runtimeArguments"]
    assert extra["value"] == f"hoasi[media]=={PROJECT['version']}"


def test_there_is_one_name() -> None:
    """The package is called as its command, so that `uvx hoasi` works; the README owns the registry's name."""
    assert PROJECT["scripts"].keys() == {PROJECT["name"]}
    assert {read(".claude-plugin/plugin.json")["name"], BUNDLE["name"], PACKAGE["identifier"]} == {PROJECT["name"]}
    assert f"mcp-name: {REGISTRY['name']} " in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(REGISTRY["description"]) <= 100


def test_every_key_that_is_asked_for_is_read_and_kept_secret() -> None:
    """Bundle and registry entry ask for keys that a provider takes: optional, masked, empty when not given."""
    asked = {one["name"]: one for one in PACKAGE["environmentVariables"] if one["name"] != "HOASI_MAX_COST_USD"}
    assert asked.keys() == BUNDLE["server"]["mcp_config"]["env"].keys() <= KEYS
    assert all(one["isSecret"] and not one["isRequired"] for one in asked.values())
    for name, value in BUNDLE["server"]["mcp_config"]["env"].items():
        config = BUNDLE["user_config"][name.lower()]
        assert value == f"${{user_config.{name.lower()}}}"
        assert (config["sensitive"], config["required"], config["default"]) == (True, False, "")


def started(config: dict[str, Any]) -> list[str]:
    """The command line of the only server of a client's file."""
    ((one,),) = ([*servers.values()] for name, servers in config.items() if name != "$schema")
    assert set(config) - {"$schema"} <= {"mcpServers", "servers", "mcp", "mcp_servers"}
    command = one["command"]
    return command if isinstance(command, list) else [command, *one["args"]]


def test_every_client_has_a_file_and_a_line() -> None:
    """Eight clients; the page names each one's file."""
    page = (ROOT / "packages" / "clients" / "README.md").read_text(encoding="utf-8")
    assert len(CLIENTS) == 8
    assert all(f"]({path.name})" in page for path in CLIENTS)


@pytest.mark.parametrize("path", CLIENTS, ids=lambda path: path.name)
def test_a_clients_file_starts_the_server(path: Path, tmp_path: Path) -> None:
    """It is valid and its command is the server's quick start: `hoasi serve --workspace DIR`."""
    program, *words = started(read(str(path.relative_to(ROOT))))
    assert (program, words[-1]) in {("hoasi", "HOASI_WORKSPACE"), ("hoasi", "${workspaceFolder}")}
    assert _served([*words[:-1], str(tmp_path)]) == {"--workspace": tmp_path}


def test_every_field_of_the_plugin_has_its_form() -> None:
    """Claude's own validator is too large to be asked each time, and skillsaw passes over the form of some fields."""
    text = {"name", "version", "description", "license"}
    plugin = read(".claude-plugin/plugin.json")
    assert set(plugin) == {*text, "author", "keywords", "mcpServers"}
    assert all(isinstance(plugin[name], str) and plugin[name] for name in text)
    assert set(plugin["author"]) == {"name"}
    assert all(isinstance(word, str) for word in plugin["keywords"])
    assert isinstance(plugin["keywords"], list)
    (server,) = plugin["mcpServers"].values()
    kinds = {"type": str, "command": str, "args": list, "timeout": int}
    assert {name: type(value) for name, value in server.items()} == kinds
    assert server["type"] == "stdio"


def test_the_plugin_starts_the_server_from_its_own_folder() -> None:
    """The plugin needs no published package: uvx runs the tree that holds it."""
    program, *words = started({"mcpServers": read(".claude-plugin/plugin.json")["mcpServers"]})
    assert (program, words[0], words[2:]) == ("uvx", "--from", ["hoasi", "serve"])
    assert words[1] == "${CLAUDE_PLUGIN_ROOT}[media]"
    assert "media" in PROJECT["optional-dependencies"]
    assert _served(words[3:]) == {}


def test_no_file_names_a_package_registry() -> None:
    """Locks and manifests hold names and versions; where packages come from is the machine's affair."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split() or ["requirements.lock", "packages/package-lock.json", "pyproject.toml", "Makefile"]
    hosts = re.compile("|".join(("registry.npm" + "js", "py" + r"pi\.org", "python" + "hosted", '"resol' + 'ved"')))
    found = [name for name in names if hosts.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))]
    assert found == []
