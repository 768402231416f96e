"""Landing (floor 4): what doors for Python scripts share: running to the end, errors again, places at a provider."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hoasi import errors, settings
from hoasi.answers import Reply
from hoasi.errors import WrongInput
from hoasi.providers import REGISTRY, provider
from hoasi.records import Generation
from hoasi.sources.prompt import clean

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end: in this thread, or beside a loop that already runs here (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _beside(work)


def _beside(work: Coroutine[Any, Any, T]) -> T:
    ended: list[T | BaseException] = []

    def begin() -> None:
        try:
            ended.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001  (it is raised again in the caller's thread)
            ended.append(error)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


def texts(prompts: object, where: str) -> list[str]:
    """Prompts as scripts write them, clean; a text alone is the only one.

    Raises:
        WrongInput: `prompt_not_text`: something else stands where a prompt belongs.
    """
    listed = [*prompts] if isinstance(prompts, Iterable) and not isinstance(prompts, str) else [prompts]
    return [clean(_text(prompt, where)) for prompt in listed]


def _text(prompt: object, where: str) -> str:
    if not isinstance(prompt, str):
        raise WrongInput("prompt_not_text", value=repr(prompt)[:80], where=where)
    return prompt


def warned(reply: Reply) -> tuple[str, ...]:
    """What a person should know of a call, and of each of its pictures; the same sentence once."""
    return tuple(dict.fromkeys((*reply.warnings, *(note for entry in reply.generations for note in entry.notes))))


def error_of(made: Generation) -> errors.HoasiError:
    """Why a generation was not made, as an error again."""
    problem = made.problem
    if problem is None:
        return errors.GenerationFailed("promise_failed", id=made.id, paid=made.paid)
    found = getattr(errors, problem.kind, None)
    leaf = found if isinstance(found, type) and issubclass(found, errors.HoasiError) else errors.GenerationFailed
    return leaf(problem.key, detail=problem.detail, paid=problem.paid, retry=problem.retry, **problem.facts)


def at_once(place: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Where a studio works (`workspace`, `env_file`, `environ`), with at most so many at a provider at once.

    Fewer where the environment, or the provider's own limit, says so.

    Raises:
        WrongInput: `most` is less than one.
    """
    if most < 1:
        raise WrongInput("usage_value_bad", option="max_concurrent", kind="1, 2, 3 ...")
    found = told(place)
    usual = {name: found.concurrency(name, provider(name).concurrency) for name in REGISTRY}
    limits = {f"HOASI_{name.upper()}_CONCURRENCY": str(min(most, count)) for name, count in usual.items()}
    return {**place, "environ": {**found.environ, **limits}}


def told(place: Mapping[str, Any]) -> settings.Settings:
    """What a process is told there."""
    paths = {name: None if place.get(name) is None else Path(place[name]) for name in ("workspace", "env_file")}
    return settings.read(paths["workspace"], paths["env_file"], place.get("environ"))
