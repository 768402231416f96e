"""Floor 3, workflows: a face comes into a picture; if wished, the picture begins to move."""

from __future__ import annotations

from hoasi.given import Given
from hoasi.records import Request
from hoasi.sources.prompt import clean
from hoasi.workflows._workflow import Workflow, said, words


class SwapFace(Workflow):
    """Put the face of one picture into another: one picture, and with `animate` a clip of 5 s made from it.

    Costs one picture (and one clip). Both pictures are a file, an https address or a result of ours, with sides of at
    least 300 px; the face's shorter side has at least 80 px. Both people must have agreed.
    """

    source: str
    """The picture that stays as it is."""
    face: str
    """The picture whose face comes."""
    prompt: str = ""
    """A wish besides, such as "keep the glasses"."""
    face_index: int | None = None
    """Which face of `face`, 0 the largest; needed where it shows several."""
    resolution: str | None = None
    """2k unless told otherwise, where the model has a choice."""
    aspect_ratio: str | None = None
    animate: bool = False
    """Make a clip as well; its failure leaves the picture."""

    def requests(self) -> tuple[Request, ...]:
        """The swap, then the clip that waits for it."""
        return (self._swap(), self._clip()) if self.animate else (self._swap(),)

    def _swap(self) -> Request:
        table, wish = words("swap_face"), clean(self.prompt)
        more = table["wish"].format(wish=wish) if wish else ""
        return self._request(
            "swap_face",
            f"{table['default']}{more}",
            scene={"id": self.scene_id, "visual_intent": wish},
            inputs=(Given(role="source", written=self.source), Given(role="face", written=self.face)),
            options=said(face_index=self.face_index),
            resolution=self.resolution,
            prefers={"resolution": table["resolution"]},
            aspect_ratio=self.aspect_ratio,
        )

    def _clip(self) -> Request:
        table = words("swap_face")["animate"]
        own = table["with"].get(self.provider or "", {})
        return self._request(
            "image_to_video",
            table["prompt"],
            scene={"id": self.scene_id},
            inputs=(Given(role="first_frame", of=0),),
            options=said(duration_s=table["duration_s"], mode=own.get("mode")),
            model=own.get("model"),
            seed=None,
        )
