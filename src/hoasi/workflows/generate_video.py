"""Floor 3, workflows: a clip from words, from frames, from pictures, or from another clip's movement."""

from __future__ import annotations

from typing import Any, Literal

from hoasi.errors import WrongInput
from hoasi.given import Given
from hoasi.record import Operation, Role
from hoasi.records import Request
from hoasi.workflows._workflow import Workflow, said


class GenerateVideo(Workflow):
    """Make one clip, priced by the second at most models. What is given says how:

    - only `prompt`: from words;
    - `first_frame`, perhaps `last_frame`: the picture begins to move (the shape follows it);
    - `references` (1 to 4 or 7 pictures, by model): these people and things in a new scene;
    - `motion_video` and one picture in `references`: that person moves like the clip, for as long as it lasts.

    Pictures and clips are files, https addresses or results of ours. What a model does not take is refused unpaid.
    """

    prompt: str = ""
    first_frame: str | None = None
    last_frame: str | None = None
    references: tuple[str, ...] = ()
    motion_video: str | None = None
    duration_s: float | None = None
    """Seconds; usually 5 or 10."""
    mode: Literal["std", "pro", "4k"] | None = None
    sound: bool | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    negative_prompt: str | None = None
    cfg_scale: float | None = None
    """0 to 1: how closely the prompt is followed."""
    character_orientation: Literal["image", "video"] | None = None
    """With `motion_video`: faces as in the picture (clip up to 10 s) or as in the clip (up to 30 s)."""
    keep_original_sound: bool | None = None
    """With `motion_video`."""

    def requests(self) -> tuple[Request, ...]:
        """The one clip."""
        self._check()
        return (
            self._request(
                self.operation,
                self.prompt,
                references=self.references,
                inputs=self._inputs(),
                options=self._options(),
                aspect_ratio=self.aspect_ratio,
                resolution=self.resolution,
                negative_prompt=self.negative_prompt,
            ),
        )

    @property
    def operation(self) -> Operation:
        """What the given pictures and clips mean."""
        if self.motion_video is not None:
            return "motion_control"
        if self.references:
            return "reference_to_video"
        return "text_to_video" if self.first_frame is None else "image_to_video"

    def _inputs(self) -> tuple[Given, ...]:
        named: dict[Role, str | None] = {
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "video": self.motion_video,
        }
        return tuple(Given(role=role, written=name) for role, name in named.items() if name is not None)

    def _options(self) -> dict[str, Any]:
        return said(
            duration_s=self.duration_s,
            mode=self.mode,
            sound=self.sound,
            cfg_scale=self.cfg_scale,
            character_orientation=self.character_orientation,
            keep_original_sound=self.keep_original_sound,
        )

    def _check(self) -> None:
        """What cannot go together at any model."""
        if self.motion_video is not None:
            self._check_motion()
        elif self.last_frame is not None and self.first_frame is None:
            raise WrongInput("video_needs", name="last_frame", other="first_frame")
        for name in ("character_orientation", "keep_original_sound"):
            if getattr(self, name) is not None and self.motion_video is None:
                raise WrongInput("video_needs", name=name, other="motion_video")

    def _check_motion(self) -> None:
        for name in ("first_frame", "last_frame", "duration_s"):
            if getattr(self, name) is not None:
                raise WrongInput("video_together", name="motion_video", other=name)
        if len(self.references) != 1:
            raise WrongInput("video_character", count=len(self.references))
