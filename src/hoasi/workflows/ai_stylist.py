"""Floor 3, workflows: the preset ai_stylist."""

from __future__ import annotations

import string
from typing import ClassVar

from hoasi.records import Request
from hoasi.workflows._editing import Editing, chosen
from hoasi.workflows._workflow import words


class AiStylist(Editing):
    """A whole outfit around one garment: its picture, then perhaps that of who wears it. Costs one picture a result.

    What is not said (style, season, gender) leaves no words.
    """

    takes: ClassVar[tuple[int, int]] = (1, 2)
    chooses: ClassVar[str] = "occasion"

    occasion: str = "daily"
    """daily, work, date, travel or party."""
    style_tags: tuple[str, ...] = ()
    season: str = ""
    gender: str = ""

    def requests(self) -> tuple[Request, ...]:
        """The one edit."""
        table = words("ai_stylist")
        who = table["model"]["shown" if len(self.images) > 1 else "any"]
        said = {
            "occasion": chosen("occasion", self.occasion, table["occasions"]),
            "style_tags": ", ".join(filter(None, map(str.strip, self.style_tags))),
            "season": self.season.strip(),
            "model": who.format(gender=self.gender.strip()).strip(),
        }
        return (self._edit(", ".join(part.format(**said) for part in table["parts"] if _is_said(part, said))),)


def _is_said(part: str, said: dict[str, str]) -> bool:
    """Every word that the part needs was given."""
    return all(said[name] for _, name, _, _ in string.Formatter().parse(part) if name)
