"""Ground floor: what every record is, and the few words that are lists of values."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

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


class Record(BaseModel):
    """Base of every record: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
