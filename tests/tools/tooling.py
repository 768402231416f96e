"""What tests of tools say often: a normal result, a refusal, its text; and the provider's end of the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from mcp.client import Client
from mcp.types import CallToolResult

from hoasi.sandbox import Fault, Sandbox

Connect = Callable[..., Client]


def fault(at: str, kind: str, **more: object) -> Fault:
    """One thing that goes wrong, once unless told otherwise."""
    return Fault.model_validate({"at": at, "kind": kind, **more})


def told(result: CallToolResult) -> dict[str, Any]:
    """Structured content of a normal result."""
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def refused(result: CallToolResult) -> dict[str, Any]:
    """The error of a refusal; its text says the same to clients that show only text."""
    assert result.is_error, result.structured_content
    assert result.structured_content is not None
    error: dict[str, Any] = result.structured_content["error"]
    text = text_of(result)
    assert error["message"] in text
    assert error["fix"] in text
    assert error["key"] in text
    return error


def text_of(result: CallToolResult) -> str:
    """The only text block of a result."""
    (text,) = [block.text for block in result.content if block.type == "text"]
    return text


def lying_in(folder: Path) -> list[Path]:
    """Every file and folder below."""
    return sorted(folder.rglob("*"))


def is_file(path: str) -> bool:
    """Whether a result's path leads to a file."""
    return Path(path).is_absolute() and Path(path).is_file()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that another room does; the time limit of the test ends a vain wait."""
    while not is_so():  # noqa: ASYNC110 - 2026-11-21, the sandbox has no event to wait for
        await anyio.sleep(0.01)


async def submitted(sandbox: Sandbox, count: int) -> None:
    """Wait until the provider has accepted so many."""
    await until(lambda: sandbox.stats()["submissions"] >= count)


def let_go(sandbox: Sandbox) -> None:
    """Everything that runs at the provider is done now, and whatever comes later is quick."""
    sandbox.change(latency_s=0.0)
    for submission in [*sandbox.line._running]:
        sandbox.line.end(submission)
