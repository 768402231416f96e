"""Floor 3, workflows: a clip goes on, or gets a beginning."""

from __future__ import annotations

from typing import Literal

from hoasi.given import Given
from hoasi.records import Request
from hoasi.workflows._workflow import Workflow, said


class ExtendVideo(Workflow):
    """Make one clip longer by some seconds. Costs the seconds that are added; the reply names the new clip's id.

    The result is a new clip, which can be extended again. Who can extend which clip differs: what cannot be done (too
    long, too old, made by another model) is refused unpaid.
    """

    video: str
    """A generation of ours, a file, an https address, or the number of a clip at Kling."""
    prompt: str = ""
    """What happens in the new seconds."""
    duration_s: float | None = None
    """Seconds that are added, where the model has a choice."""
    extend_direction: Literal["end", "start"] | None = None
    negative_prompt: str | None = None

    def requests(self) -> tuple[Request, ...]:
        """The one longer clip."""
        return (
            self._request(
                "extend_video",
                self.prompt,
                inputs=(Given(role="video", written=self.video),),
                options=said(duration_s=self.duration_s, extend_direction=self.extend_direction),
                negative_prompt=self.negative_prompt,
            ),
        )
