"""A process for tests: asks a studio for pictures, and may die (SIGKILL) at exactly one line of the house.

    python worker.py '{"workspace": ..., "environ": {...}, "ask": {...}, "die": "module:function:before|after[:n]"}'

It says `ready` when its studio is open, and the final states as JSON when it comes to its end.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from hoasi import Ask, Studio, pace


def die() -> None:
    """As by the out-of-memory killer or the power switch: no cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # a thread may run on for a moment


def make_deadly(place: str) -> None:
    """Die before or after the n-th call of a function, e.g. `hoasi.line:Line.hold:after:1`."""
    module, path, when, *number = place.split(":")
    owner: Any = import_module(module)
    *way, name = path.split(".")
    for step in way:
        owner = getattr(owner, step)
    setattr(owner, name, _deadly(getattr(owner, name), is_before=when == "before", number=int((number or ["1"])[0])))


def _deadly(function: Callable[..., Any], *, is_before: bool, number: int) -> Callable[..., Any]:
    calls = 0

    def is_due() -> bool:
        nonlocal calls
        calls += 1
        return calls == number

    @wraps(function)
    async def deadly_async(*args: Any, **more: Any) -> Any:
        is_last = is_due()
        if is_last and is_before:
            die()
        result = await function(*args, **more)
        if is_last:
            die()
        return result

    @wraps(function)
    def deadly(*args: Any, **more: Any) -> Any:
        is_last = is_due()
        if is_last and is_before:
            die()
        result = function(*args, **more)
        if is_last:
            die()
        return result

    return deadly_async if inspect.iscoroutinefunction(function) else deadly


async def work(order: dict[str, Any]) -> None:
    """Open a studio, ask, wait, tell."""
    async with Studio(order["workspace"], environ=order["environ"]) as studio:
        if go := order.get("go"):
            say("waiting")
            while not Path(go).exists():  # noqa: ASYNC110, ASYNC240  (the test gives the sign)
                await asyncio.sleep(0)
        studio.start()
        say("ready")
        if order.get("ask") is None:
            reply = await studio.resume()
        else:
            batch = await studio.begin(Ask.model_validate(order["ask"]))
            say("begun")
            reply = await (studio.cancel(batch.ids) if order.get("cancel") else studio.wait(batch))
        say(json.dumps([entry.state for entry in reply.generations]))


def say(text: str) -> None:
    """One line for the test."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if (pause := given.get("looks_s")) is not None:
        pace.Schedule.wait_s = lambda *_: pause  # type: ignore[method-assign]
    if given.get("die"):
        make_deadly(given["die"])
    asyncio.run(work(given))
