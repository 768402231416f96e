"""A batch against the ideal: N pictures of L seconds, C at once, through the whole engine (ledger, files, log).

The sandbox runs in a process of its own; the rival (fal's own client, polling as it does by default) runs in the same
minutes on the same machine. Ratios count, not seconds.

    python bench/batch.py --pictures 100 --seconds 1 --at-once 16
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hoasi import Ask, Studio
from hoasi.records import Request, Scene

SERVER = """
import sys
from hoasi.sandbox import Sandbox, run
run(Sandbox(latency_s=float(sys.argv[1]), pictures="tiny"), port=0, on_ready=lambda url: print(url, flush=True))
"""


@contextmanager
def sandbox(seconds: float) -> Iterator[str]:
    """The sandbox in its own process, at a free port."""
    command = [sys.executable, "-c", SERVER, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


async def ours(url: str, pictures: int, at_once: int) -> float:
    """Wall seconds of one batch through Studio, from an empty workspace to files and log."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "jobs" / "bench" / "source").mkdir(parents=True)
        environ = {"FAL_KEY": "bench:bench", "HOASI_FAL_CONCURRENCY": str(at_once)}
        environ |= dict.fromkeys(("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL"), url)
        requests = tuple(Request(prompt=f"picture {k}", scene=Scene(id=f"SC_{k:04}")) for k in range(pictures))
        async with Studio(folder, environ=environ) as studio:
            studio.start()
            began = time.perf_counter()
            reply = await studio.generate(Ask(requests=requests, job_id="bench"))
            wall = time.perf_counter() - began
        assert all(entry.state == "succeeded" for entry in reply.generations), reply.message
        return wall


async def rival(url: str, pictures: int, at_once: int) -> float:
    """Wall seconds of the same with fal's client: submit, wait, download."""
    import fal_client
    import httpx

    for name in ("QUEUE_URL_FORMAT", "RUN_URL_FORMAT"):
        setattr(fal_client.client, name, f"{url}/")
    client = fal_client.AsyncClient(key="bench:bench")
    gate = asyncio.Semaphore(at_once)

    async def one(http: httpx.AsyncClient, k: int) -> None:
        async with gate:
            result = await client.subscribe("fal-ai/nano-banana", {"prompt": f"rival {k}"})
            await http.get(result["images"][0]["url"])

    async with httpx.AsyncClient() as http:
        began = time.perf_counter()
        await asyncio.gather(*(one(http, k) for k in range(pictures)))
        return time.perf_counter() - began


def cpu_s() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--at-once", type=int, default=16)
    asked = parser.parse_args()
    ideal = math.ceil(asked.pictures / asked.at_once) * asked.seconds
    with sandbox(asked.seconds) as url:
        for name, run in (("hoasi", ours), ("fal_client", rival)):
            before = cpu_s()
            wall = asyncio.run(run(url, asked.pictures, asked.at_once))
            cpu = (cpu_s() - before) * 1000 / asked.pictures
            print(f"{name:11} wall {wall:6.2f} s  wall/ideal {wall / ideal:5.3f}  CPU s per 1000 {cpu:5.1f}")
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
