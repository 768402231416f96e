"""Door (floor 5): pictures are changed as a prompt or a preset says."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import BeforeValidator, Field

from hoasi.ask import Ask
from hoasi.tools._consent import Permission
from hoasi.tools._loras import Loras, said
from hoasi.tools._options import Options, Working
from hoasi.tools._results import Answer
from hoasi.tools._waiting import make
from hoasi.workflows import PRESETS, Editing, editing

CHOICES = (
    "skin_enhance: natural, moderate, max or 0-100; outfit_swap: upper, lower, full; "
    "ai_stylist: daily, work, date, travel, party; outfit_shot: cover, streetsnap, lifestyle, flat_lay, comparison; "
    "relight: natural, studio, golden_hour, dramatic, neon, soft, + left, right, above, below, 0-100, keep_background"
)


def _as_text(value: Any) -> Any:
    """A number is as good as its digits."""
    return f"{value:g}" if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class Call(Working):
    """Pictures, a prompt or a preset, and the preset's own parameters."""

    images: Annotated[tuple[str, ...], Field(min_length=1, max_length=10)]
    prompt: Annotated[str | None, Field(description="with <<<image_1>>>")] = None
    mask: Annotated[str | None, Field(description="picture; white is repainted")] = None
    preset: Annotated[str | None, Field(json_schema_extra={"enum": [*PRESETS]})] = None
    choices: Annotated[tuple[Text, ...], Field(description=CHOICES)] = ()
    style_tags: tuple[str, ...] = ()
    season: str | None = None
    gender: str | None = None
    platform: Annotated[str | None, Field(description="like douyin")] = None
    avatar: str | None = None
    num_images: Annotated[int | None, Field(ge=1, le=9)] = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    loras: Loras = ()
    options: Options = {}

    def work(self) -> Editing:
        """The edit."""
        taken = set(type(self).__annotations__) - {"preset", "loras"}
        return editing(self.preset, self._given(*taken))

    def _ask(self, client: str, **own: Any) -> Ask:
        return super()._ask(client, loras=said(self.loras), options=self.options, **own)


async def edit_image(ctx: Context, call: Call, permission: Permission) -> Answer:
    """Change or combine 1-10 pictures by a prompt or a preset. From $0.03, 20 s each. Else as swap_face."""
    return await make(ctx, call, permission)
