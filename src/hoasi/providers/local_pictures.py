"""Translator for the key-less provider: storyboard frames, and previews of a face swap; each marked as a sketch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hoasi.messages import say
from hoasi.records import Planned, Scene
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.media.storyboard import Frame
    from hoasi.providers._outcomes import Order


def frames(order: Order) -> list[Output]:
    """One storyboard frame a picture, as PNG."""
    from hoasi.media.storyboard import render_png

    shown = [frame(order.planned, k, say("storyboard.mark")) for k in range(len(order.planned.stems))]
    return [Output(data=render_png(one), media_type="image/png") for one in shown]


def frame(planned: Planned, k: int, mark: str) -> Frame:
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
        mark=mark,
        footer=say("storyboard.footer", ratio=planned.request.aspect_ratio or f"{width}x{height}", seed=planned.seed),
    )


def swapped(order: Order) -> list[Output]:
    """The source with its largest face replaced, as PNG; which face comes was chosen before, by cropping to it."""
    from hoasi.media.swap_preview import preview

    (source,), (face,) = order.of("source"), order.of("face")
    number = 0 if face.item.crop else int(order.planned.request.options.get("face_index", 0))
    made = preview(source.data, face.data, face_index=number, mark=say("storyboard.mark"))
    return [Output(data=made, media_type="image/png")]
