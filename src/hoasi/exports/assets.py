"""Floor 3, writers: what is known of our pictures without looking at them, in the words of the pipeline. Pure."""

from __future__ import annotations

import re
from typing import Any

from hoasi.catalogue import load
from hoasi.exports._words import moves_camera, tags
from hoasi.messages import say
from hoasi.record import Media, Record
from hoasi.records import Planned, Scene
from hoasi.results import Artifact

SUMMARY_LIMIT = 300
SIZES = ("width", "height", "duration_seconds", "fps")
_FLAG = re.compile(r"ai[_-](?:generated|image|video)", re.IGNORECASE)


class AssetScene(Record):
    """One stretch of an asset; a picture is one stretch of no length."""

    start: float = 0.0
    end: float = 0.0
    description: str
    subjects: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    environment: str = ""
    shot_type: str = ""
    camera_motion: str = ""
    composition: str = ""
    colors: tuple[str, ...] = ()
    mood: tuple[str, ...] = ()
    semantic_tags: tuple[str, ...] = ()
    recommended_uses: tuple[str, ...] = ()
    avoid_uses: tuple[str, ...] = ()
    sample_frames: tuple[str, ...] = ()


class Asset(Record):
    """One file of ours as the pipeline describes raw files. `file_path` is workspace-relative with `/`."""

    file_path: str
    type: Media = "image"
    duration_seconds: float = 0.0
    width: int
    height: int
    fps: float = 0.0
    has_audio: bool = False
    summary: str
    visual_style: str = ""
    mood: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    privacy_notes: tuple[str, ...] = ()
    quality_notes: tuple[str, ...] = ()
    scene: AssetScene

    @property
    def sizes(self) -> dict[str, Any]:
        """What follows the file even where a person has mended the rest."""
        return {name: getattr(self, name) for name in SIZES}


def describe(planned: Planned, artifact: Artifact) -> Asset:
    """What is known of a picture because the plan asked for it. Pure; sentences in the language of this context.

    The mapper compares words: the plan's own words for the scene are all there, as they were written; where it has
    none, the prompt stands in.
    """
    scene, kind = planned.request.scene, "made" if load(planned.provider).is_trained else "sketch"
    stretch = _stretch(planned, artifact, kind)
    facts = {"model": planned.model, "provider": planned.provider, "seed": planned.seed}
    return Asset(
        file_path=artifact.path,
        **_facts(artifact),
        summary=scene.visual_intent or say("semantics.from_words", words=_short(scene.spoken_text or planned.prompt)),
        visual_style=say(f"semantics.{kind}_style"),
        mood=scene.mood,
        tags=stretch.semantic_tags,
        privacy_notes=(say(f"semantics.{kind}_privacy"),),
        quality_notes=_quality(artifact, say("semantics.made_with", **facts), kind),
        scene=stretch,
    )


def _stretch(planned: Planned, artifact: Artifact, kind: str) -> AssetScene:
    """The whole of it: its scene in the plan's words, and what it is of use for."""
    scene, prompt = planned.request.scene, planned.prompt
    shots = [shot for shot in scene.shot_types if not moves_camera(shot)] or list(scene.shot_types)
    subjects = tuple(text for text in scene.requirements if not _FLAG.search(text))
    return AssetScene(
        end=artifact.duration_s,
        description=scene.visual_intent or scene.spoken_text or prompt.strip(),
        subjects=subjects,
        shot_type=shots[0] if shots else "",
        camera_motion=", ".join(filter(moves_camera, scene.shot_types)),
        composition=_composition(artifact, planned.request.aspect_ratio),
        mood=scene.mood,
        semantic_tags=tags((scene.narrative_role, *scene.mood, *subjects, scene.visual_intent or prompt)),
        recommended_uses=_uses(scene),
        avoid_uses=(say("semantics.not_final"),) if kind == "sketch" else (),
    )


def _facts(artifact: Artifact) -> dict[str, Any]:
    """What the file itself is."""
    return {
        "type": "video" if artifact.media_type.startswith("video/") else "image",
        "duration_seconds": artifact.duration_s,
        "fps": artifact.fps,
        "has_audio": artifact.has_audio,
        "width": artifact.width,
        "height": artifact.height,
    }


def _composition(artifact: Artifact, aspect_ratio: str | None) -> str:
    shape = "square" if artifact.width == artifact.height else "tall" if artifact.width < artifact.height else "wide"
    return say(f"semantics.{shape}", ratio=aspect_ratio or f"{artifact.width}x{artifact.height}")


def _uses(scene: Scene) -> tuple[str, ...]:
    role, spoken = scene.narrative_role, scene.spoken_text
    return tuple(
        say(f"semantics.{name}", words=words) for name, words in (("use_role", role), ("use_spoken", spoken)) if words
    )


def _quality(artifact: Artifact, made_with: str, kind: str) -> tuple[str, ...]:
    sketch = (say("semantics.sketch"),) if kind == "sketch" else ()
    return (*sketch, made_with, *artifact.warnings)


def _short(text: str) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= SUMMARY_LIMIT else folded[:SUMMARY_LIMIT].rsplit(" ", 1)[0] + "\u2026"
