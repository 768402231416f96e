"""Door (floor 5): pictures for many prompts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import Field, WithJsonSchema

from hoasi.ask import Ask
from hoasi.errors import WrongInput
from hoasi.record import OptionValue, Record
from hoasi.records import Request, Scene
from hoasi.sources import refuse_unknown
from hoasi.tools._consent import Permission
from hoasi.tools._loras import LoraSaid, said
from hoasi.tools._options import Only, Painting
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make


class Prompt(Record):
    """One entry of the list; what it leaves out comes from the call."""

    scene_id: str
    prompt: str
    num_images: int | None = None
    seed: int | None = None
    aspect_ratio: str | None = None
    reference_images: tuple[str, ...] | None = None
    loras: Annotated[tuple[LoraSaid, ...] | None, WithJsonSchema({"type": "array", "items": {"type": "object"}})] = None
    options: dict[str, OptionValue] = {}


class Call(Painting):
    """A file of prompts, or the prompts themselves."""

    known = Painting.known | {"only"}
    prompts_toml: Annotated[str | None, Field(description="or scenes.yaml, script.json")] = None
    prompts: tuple[Prompt, ...] = ()
    only: Only = ()

    def ask(self, client: str) -> Ask:
        """The file, or a request a prompt.

        Raises:
            WrongInput: not exactly one of the two is given, or `only` names a scene that is not there.
        """
        if (self.prompts_toml is None) == (not self.prompts):
            raise WrongInput("prompts_count")
        if self.prompts_toml is not None:
            return self._ask(client, prompts_toml=self.prompts_toml, scene_ids=self.only)
        refuse_unknown(self.only, [entry.scene_id for entry in self.prompts], Path("prompts"))
        requests = tuple(self._request(k, entry) for k, entry in enumerate(self.prompts, 1))
        chosen = tuple(request for request in requests if not self.only or request.scene.id in self.only)
        # what the list says of one entry wins over the call, so the call's own values are in the requests already
        told: dict[str, Any] = {"num_images": None, "seed": None, "aspect_ratio": None, "options": {}}
        return self._ask(client, requests=chosen, references=(), loras=(), **told)

    def _request(self, number: int, entry: Prompt) -> Request:
        count = self.num_images if entry.num_images is None else entry.num_images
        return Request(
            prompt=entry.prompt,
            scene=Scene(id=entry.scene_id, visual_intent=entry.prompt),
            num_images=1 if count is None else count,
            seed=self.seed if entry.seed is None else entry.seed,
            aspect_ratio=entry.aspect_ratio or self.aspect_ratio,
            references=self.reference_images if entry.reference_images is None else entry.reference_images,
            loras=said(self.loras if entry.loras is None else entry.loras),
            options={**self.options, **entry.options},
            origin=f"prompts[{number}] ({entry.scene_id})",
        )


async def generate_batch(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Make pictures for many prompts (a file or a list); one failure stops no other. Above 20 first dry_run and tell
    the user the price. One scene again: only + overwrite. Else as generate_image.
    """
    return await make(ctx, call, permission)
