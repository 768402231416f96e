"""Translator for the key-less provider: storyboard frames drawn on this machine. Free, offline, always there."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import anyio.to_thread

from hoasi.messages import say
from hoasi.providers._outcomes import Done, Order
from hoasi.providers._provider import Way
from hoasi.record import Medium
from hoasi.records import Output, Planned, Scene

if TYPE_CHECKING:
    from hoasi.media.storyboard import Frame
    from hoasi.wire import Wire


class Local:
    """See `_provider.Provider`; it answers at once, so nothing is followed."""

    name = "local"
    origins: ClassVar[dict[str, str]] = {}
    secrets = ()
    key_page = ""
    concurrency = 2
    fields: ClassVar[dict[str, str]] = {
        "prompt": "intent",
        "size": "width, height",
        "num_images": "count",
        "seed": "seed",
        "scene": "scene_id, intent, mood, shot_types, narrative_role",
        "references": "references",
    }
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline", "video": "inline", "audio": "inline"}

    def auth(self, key: str) -> dict[str, str]:  # noqa: ARG002  (no key, no header)
        """No key, no header."""
        return {}

    async def submit(self, wire: Wire, order: Order) -> Done:  # noqa: ARG002  (nothing leaves this machine)
        """Draw the frames in a worker thread."""
        pictures = await anyio.to_thread.run_sync(_draw, order.planned)
        return Done(tuple(Output(data=picture, media_type="image/png") for picture in pictures))


def _draw(planned: Planned) -> list[bytes]:
    from hoasi.media.storyboard import render_png

    return [render_png(frame(planned, k)) for k in range(len(planned.stems))]


def frame(planned: Planned, k: int) -> Frame:
    """What the k-th picture of a generation shows; without a scene the prompt is its intent."""
    from hoasi.media.storyboard import Frame

    scene = Scene.model_validate(planned.parameters.get("scene", {}))
    width, _, height = str(planned.parameters.get("size", "1080x1920")).partition("x")
    return Frame(
        width=int(width),
        height=int(height),
        seed=planned.seed + k,
        scene_id=scene.id,
        intent=scene.visual_intent or planned.prompt,
        mood=scene.mood,
        shot_types=scene.shot_types,
        narrative_role=scene.narrative_role,
        index=planned.request.first_idx + k,
        count=len(planned.stems),
        references=len(planned.inputs),
        mark=say("storyboard.mark"),
        footer=say("storyboard.footer", ratio=planned.request.aspect_ratio or "-", seed=planned.seed),
    )
