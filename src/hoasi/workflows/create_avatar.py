"""Floor 3, workflows: a person's avatar: portraits of photos, then angles of the portrait that was chosen."""

from __future__ import annotations

from typing import Any

from hoasi.errors import WrongInput
from hoasi.given import Way
from hoasi.records import Request
from hoasi.sources.prompt import clean
from hoasi.workflows._workflow import Workflow, words

MOST_PHOTOS = 10


class CreateAvatar(Workflow):
    """Four portraits to choose from, of one person's photos. Costs four pictures.

    Seedream makes them; Kling only where Seedream has no key, cannot, refuses the key or could not be reached at all,
    so that nothing was taken: what may have been paid is never made twice. Whoever is named makes them alone. The
    person in the photos must have agreed (scope `avatar`).
    """

    avatar_id: str
    photos: tuple[str, ...]
    """1 to 10 files, https addresses or results of ours."""

    def requests(self) -> tuple[Request, ...]:
        """The one request; its files are `confirm_1` and so on."""
        if not 1 <= len(self.photos) <= MOST_PHOTOS:
            raise WrongInput("edit_images", count=len(self.photos), least=1, most=MOST_PHOTOS)
        table = words("create_avatar")
        first, *others = self._engines(table["engines"])
        request = self._request(
            "generate_image",
            references=self.photos,
            num_images=table["count"],
            fixed_name="confirm",
            scope="avatar",
            **{**self._made(first), "scene": {"id": self.avatar_id}},
        )
        return (request.model_copy(update={"otherwise": tuple(Way(**self._made(other)) for other in others)}),)

    def _engines(self, engines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Who makes them, in this order; a maker or model that is named stands alone."""
        if self.provider is None and self.model is None:
            return engines
        known = [engine for engine in engines if engine["provider"] == self.provider]
        general = {name: engines[-1][name] for name in ("photo", "joint", "prompt")}
        asked = {"provider": self.provider, "model": self.model}
        named = {name: value for name, value in asked.items() if value is not None}
        return [{**(known or [general])[0], **named}]

    def _made(self, engine: dict[str, Any]) -> dict[str, Any]:
        """How this one is asked."""
        names = [engine["photo"].format(n=number + 1) for number in range(len(self.photos))]
        asked: dict[str, Any] = {
            name: engine[name] for name in ("provider", "model", "resolution", "aspect_ratio") if name in engine
        }
        return {**asked, "prompt": clean(engine["prompt"].format(refs=engine["joint"].join(names)))}


class AvatarAngles(Workflow):
    """Three more angles of an avatar, made side by side: each is a request of its own. Costs one picture each.

    A rerun buys only what is missing. `portrait` is the number of a portrait; None: the one that was chosen.
    """

    avatar_id: str
    portrait: int | None = None

    def requests(self) -> tuple[Request, ...]:
        """A request an angle; its file is `angle_<key>`."""
        table = words("create_avatar")
        return tuple(self._angle(key, angle["prompt"], table["angle"]) for key, angle in table["angles"].items())

    def _angle(self, key: str, prompt: str, table: dict[str, Any]) -> Request:
        usual = {name: table[name] for name in ("aspect_ratio", "wishes")}
        if self.provider in {None, table["provider"]}:
            usual |= {name: table[name] for name in ("provider", "model", "resolution")}
        if self.model is not None:
            usual["model"] = self.model
        return self._request(
            "generate_image",
            prompt,
            avatar=f"{self.avatar_id}#{self.portrait or 'front'}",
            fixed_name=f"angle_{key}",
            scope="avatar",
            **{**usual, "scene": {"id": key}},
        )
