"""Floor 3, workflows: pictures are changed as a prompt says."""

from __future__ import annotations

from typing import ClassVar

from hoasi.records import Request
from hoasi.workflows._editing import Editing, masked


class EditImage(Editing):
    """Change or combine 1 to 10 pictures; the prompt calls them `<<<image_1>>>`, `<<<image_2>>>` and so on.

    Costs one picture a result. A number without its picture is refused, a picture that is never named is reported.
    """

    takes: ClassVar[tuple[int, int]] = (1, 10)

    prompt: str
    mask: str | None = None
    """A picture of the shape of the first of `images`: what is white in it, or transparent, is painted anew."""
    avatar: str | None = None
    """The id of an avatar: all its pictures are added behind `images`; the prompt may call them `<<<avatar>>>`."""

    def requests(self) -> tuple[Request, ...]:
        """The one edit."""
        return (self._edit(self.prompt, avatar=self.avatar, inputs=masked(self.mask)),)
