"""Floor 3, workflows: what all of them share: who makes it, for which scene, and the words that are data."""

from __future__ import annotations

import tomllib
from abc import abstractmethod
from functools import cache
from importlib.resources import files
from typing import Any

from hoasi.record import Operation, Record
from hoasi.records import Request, Scene
from hoasi.sources.prompt import clean


class Workflow(Record):
    """A typed call. What is None was not said: the model's own default holds, and nothing is sent for it."""

    provider: str | None = None
    """Who makes it; None: the cheapest whose key is set and who can do it."""
    model: str | None = None
    seed: int | None = None
    scene_id: str = ""
    """Names the files, and the scene in the job's log."""

    @abstractmethod
    def requests(self) -> tuple[Request, ...]:
        """What is bought, in order.

        Raises:
            WrongInput: parameters that contradict each other; nothing is paid.
        """

    def _request(self, operation: Operation, prompt: str = "", **said: Any) -> Request:
        """One request by whoever was named; the user's own `prompt` is also what its scene shows."""
        usual = {
            "provider": self.provider,
            "model": self.model,
            "seed": self.seed,
            "scene": Scene(id=self.scene_id, visual_intent=clean(prompt)),
            "origin": operation,
        }
        return Request.model_validate({**usual, "operation": operation, "prompt": clean(prompt), **said})


def said(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


@cache
def words(name: str) -> dict[str, Any]:
    """A workflow's words and usual values: `prompts/<name>.toml`."""
    return tomllib.loads(files("hoasi").joinpath(f"prompts/{name}.toml").read_text(encoding="utf-8"))
