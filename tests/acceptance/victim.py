"""A real process that makes one picture and kills itself (SIGKILL) at a named moment.

python victim.py WORKSPACE MOMENT
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hoasi import Ask, Studio, artifacts, flow, wire
from hoasi.exports import asset_semantics, joblog
from hoasi.ledger import Ledger
from hoasi.line import Line


def die() -> None:
    """No farewell: no handler, no finally, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    """Die when this is about to happen."""
    setattr(owner, name, lambda *_, **__: die())


def after(owner: Any, name: str) -> None:
    """Die when this has just happened."""
    real = getattr(owner, name)
    if asyncio.iscoroutinefunction(real):

        async def done(*args: Any, **more: Any) -> None:
            await real(*args, **more)
            die()
    else:

        def done(*args: Any, **more: Any) -> None:
            real(*args, **more)
            die()

    setattr(owner, name, done)


async def half(response: Any, take: Callable[[bytes], object], _: int) -> None:
    """Die with half a download on the disk."""
    async for chunk in response.aiter_bytes():
        take(chunk[: len(chunk) // 2])
        os.sync()
        die()


def half_written(path: Any, data: bytes, temp_name: str) -> None:
    """Die with half a file beside its place."""
    (path.parent / temp_name).write_bytes(data[: len(data) // 2])
    die()


MOMENTS: dict[str, Callable[[], None]] = {
    "intent written, nothing sent": lambda: after(Ledger, "take_place"),
    "reply received, receipt not written": lambda: before(Line, "hold"),
    "receipt written": lambda: after(Line, "hold"),
    "waiting": lambda: before(flow, "until_ready"),
    "result ready": lambda: before(artifacts, "fetch"),
    "half a download": lambda: setattr(wire, "_pour", half),
    "half a picture": lambda: setattr(artifacts, "replace_file", half_written),
    "picture there, ledger not told": lambda: after(artifacts, "replace_file"),
    "ledger told, log not": lambda: after(Line, "end"),
    "half a log": lambda: setattr(joblog, "replace_file", half_written),
    "log there, ledger not told": lambda: after(joblog, "write"),
    "half the semantics": lambda: setattr(asset_semantics, "replace_file", half_written),
}


async def main(workspace: str, moment: str) -> None:
    """Make one picture; never gets to its end."""
    MOMENTS[moment]()
    async with Studio(workspace) as studio:
        await studio.generate(Ask(prompt="a quiet balcony at dawn", job_id="job-1", aspect_ratio="9:16"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
