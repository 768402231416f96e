"""Floor 3, workflows: the preset outfit_swap."""

from __future__ import annotations

from typing import ClassVar

from hoasi.records import Request
from hoasi.workflows._editing import Editing, chosen, masked
from hoasi.workflows._workflow import words


class OutfitSwap(Editing):
    """Dress a person in a garment: first the person's picture, then the garment's. Costs one picture a result."""

    takes: ClassVar[tuple[int, int]] = (2, 2)
    chooses: ClassVar[str] = "garment"

    garment: str = "full"
    """What of the second picture is put on: upper, lower or full."""
    mask: str | None = None
    """A picture of the shape of the first: only what is white in it, or transparent, is painted anew."""

    def requests(self) -> tuple[Request, ...]:
        """The one edit."""
        table = words("outfit_swap")
        kind = chosen("garment", self.garment, table["types"])
        return (self._edit(table["template"].format(type=kind), inputs=masked(self.mask)),)
