"""Floor 3, workflows: the preset outfit_shot."""

from __future__ import annotations

from typing import Any, ClassVar

from hoasi.errors import WrongInput
from hoasi.records import Request
from hoasi.workflows._editing import Editing, chosen
from hoasi.workflows._workflow import words

MOST_VARIANTS = 4


class OutfitShot(Editing):
    """One outfit in 1 to 4 kinds of pictures, made side by side: each is a request of its own. Costs one picture each.

    Each belongs to a scene of its own, `<scene_id>_<variant>`, which names its file. The platform gives the shape;
    `aspect_ratio` wins over it.
    """

    chooses: ClassVar[str] = "variants"

    variants: tuple[str, ...] = ("cover",)
    """cover, streetsnap, lifestyle, flat_lay, comparison."""
    avatar: str | None = None
    """The id of an avatar: then it wears the outfit."""
    platform: str = "custom"
    """xiaohongshu, douyin, tiktok, reels, shorts, instagram or custom."""

    @classmethod
    def meant(cls, choices: tuple[str, ...]) -> dict[str, Any]:
        """As many variants."""
        return {cls.chooses: choices}

    def requests(self) -> tuple[Request, ...]:
        """An edit a variant."""
        variants = tuple(dict.fromkeys(self.variants))
        if not 1 <= len(variants) <= MOST_VARIANTS:
            raise WrongInput("edit_variants", count=len(variants), most=MOST_VARIANTS)
        return tuple(map(self._variant, variants))

    def _variant(self, name: str) -> Request:
        table = words("outfit_shot")
        template = table["template"] if self.avatar is None else words("create_avatar")["use"]["try_on"]
        prompt = template.format(variant=chosen("variants", name, table["variants"]))
        ratio = chosen("platform", self.platform, table["platforms"])
        scene = {"id": f"{self.scene_id}_{name}" if self.scene_id else name}
        return self._edit(prompt, scene=scene, avatar=self.avatar, aspect_ratio=self.aspect_ratio or ratio)
