"""How soon the MCP server answers, against a bare one: process start -> `initialize` -> tools/list, interleaved runs.

python bench/start.py --runs 9
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = """
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from mcp.server.mcpserver import MCPServer
mcp = MCPServer("bare")
class Made(BaseModel):
    id: str
for name in ("one", "two", "three", "four", "five"):
    async def tool(prompt: Annotated[str, Field(min_length=1)], aspect: Literal["16:9", "9:16"] = "16:9") -> Made:
        return Made(id=prompt)
    mcp.tool(name=name, description="A tool.")(tool)
mcp.run()
"""
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


WITH_BYTECODE = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As on a user's machine: the second start of a program finds it compiled."""


def once(command: list[str]) -> tuple[float, float, list[dict[str, object]]]:
    """Seconds to `initialize`, seconds to tools/list, the tools."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=WITH_BYTECODE,
    )
    assert process.stdin
    assert process.stdout
    print(json.dumps(HELLO), file=process.stdin, flush=True)
    process.stdout.readline()
    hello = time.perf_counter() - began
    print(json.dumps(READY), json.dumps(LIST), sep="\n", file=process.stdin, flush=True)
    tools = json.loads(process.stdout.readline())["result"]["tools"]
    listed = time.perf_counter() - began
    process.stdin.close()
    process.wait(20)
    return hello, listed, tools


def main() -> None:
    """Measure both, turn about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    hoasi = str(Path(sys.executable).with_name("hoasi"))
    with tempfile.TemporaryDirectory() as folder:
        commands = {"bare": [sys.executable, "-c", BARE], "hoasi": [hoasi, "serve", "--workspace", folder]}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for command in commands.values():
            once(command)
        for _ in range(runs):
            for name, command in commands.items():
                hello, listed, tools = once(command)
                times[name].append((hello, listed))
    for name, rows in times.items():
        hello, listed = (statistics.median(column) for column in zip(*rows, strict=True))
        least = min(row[0] for row in rows)
        print(f"{name:6} initialize median {hello * 1000:5.0f} ms (min {least * 1000:4.0f})", end="  ")
        print(f"tools/list median {listed * 1000:5.0f} ms")
    pairs = zip(times["hoasi"], times["bare"], strict=True)  # neighbours in time, so noise hits both
    ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
    seen = [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in tools]
    size = len(json.dumps(seen, separators=(",", ":"), ensure_ascii=False).encode())
    print(f"hoasi / bare {ratio:.2f}; {len(tools)} tools, {size} bytes of name + description + inputSchema")


if __name__ == "__main__":
    main()
