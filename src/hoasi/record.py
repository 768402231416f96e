"""Ground floor: what every record is, and the few words that are lists of values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

Paid = Literal["no", "unknown", "yes"]
"""Did money move? `unknown` means the provider may have billed it and cannot be asked."""

Retry = Literal["no", "safe", "later"]
"""May the same call be made again: never usefully, at once, or after a while."""

Media = Literal["image", "video"]
"""What a generation makes."""

Medium = Literal["image", "video", "audio"]
"""What an input is."""

Operation = Literal[
    "generate_image",
    "edit_image",
    "swap_face",
    "text_to_video",
    "image_to_video",
    "reference_to_video",
    "motion_control",
    "extend_video",
    "lip_sync",
    "relight",
]
"""What can be asked for; cards of further operations only wait."""

Role = Literal["reference", "source", "face", "first_frame", "last_frame", "mask", "video", "audio"]
"""What an input is for. `source` and `face` belong to a face swap: the picture that stays, and the face that comes."""

Scope = Literal["reference", "swap", "avatar"]
"""What a permission is given for."""

OptionValue = bool | int | float | str


def _said(seed: int | None) -> int | None:
    return None if seed == -1 else seed


Seed = Annotated[int | None, AfterValidator(_said)]
"""A caller's seed; None asks for one of ours, and so does -1, as users of FLUX write it."""


class Record(BaseModel):
    """Base of every record: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
