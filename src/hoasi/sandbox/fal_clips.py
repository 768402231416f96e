"""Room: sandbox. From a fal input to a clip and to the output JSON of its endpoint.

Length: what the input asks for (`duration` in its three spellings, the shots of `multi_prompt`, `num_frames`); as long
as the clip or the sound that is worked on where the model follows it (motion control, lip sync, avatars, edits,
retakes); an extended clip is given whole, the old part and the new one. Size: `aspect_ratio` and `resolution`, else the
first frame's or the clip's own; 720p where nobody says. Sound: unless `generate_audio` is false, for models that make
it.

Uncertain: whether veo3.1 and grok give an extended clip whole or the new part only (fal's pages say "the extended
video", read 2026-11-21).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hoasi.sandbox.easel import SIDES
from hoasi.sandbox.fal_inputs import Schema
from hoasi.sandbox.fal_pictures import IMAGE_SIZES, Size, references, seed_of, widened
from hoasi.sandbox.reel import TINY_FPS, Measures, tiny_size

LONGEST_S = 60.0  # a small machine makes no film; the providers' limits differ by model
UNKNOWN_S = 5.0
DEFAULT_S = {  # where the types say no more than "string" or "number"; the first prefix that fits
    "fal-ai/veo3.1/extend-video": 7.0,
    "fal-ai/veo3.1/fast/extend-video": 7.0,
    "fal-ai/veo3.1": 8.0,
    "xai/": 6.0,
    "": 5.0,
}
SHORT_SIDES = {"480p": 480, "580p": 580, "720p": 720, "1080p": 1080, "1440p": 1440, "2160p": 2160, "4k": 2160}
_TELLS_MORE = (
    "fal-ai/ltx-2",
    "fal-ai/sync-lipsync/react-1",
    "wan/v2.6/",
    "xai/",
)  # their records have sides and length
_GIVES_LIST = "veed/video-background-removal"
_FPS = 24
_SHORT_SIDE = 720
_WIDE = (16, 9)
_LAST_FRAME = re.compile(r"^(?:end|tail|last)_")
_RATIO = re.compile(r"(\d+):(\d+)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Given:
    """What the files of an input are like; None for what was not given or cannot be read here."""

    frame: Size | None = None
    clip: Measures | None = None
    sound: Measures | None = None


@dataclass(frozen=True)
class Shot:
    """One clip to be made, in the words of `reel.clip`."""

    width: int
    height: int
    duration_s: float
    fps: int
    seed: int
    has_audio: bool
    is_blank: bool

    def options(self) -> dict[str, Any]:
        """Return the arguments of `reel.clip`."""
        return asdict(self)


@dataclass(frozen=True)
class Film:
    """One finished clip as the output tells of it."""

    url: str
    name: str
    shot: Shot
    content_type: str
    size_bytes: int

    def facts(self, model: str) -> Any:
        """Return fal's file record; some models tell more, and one family gives a list of them."""
        shot = self.shot
        record: dict[str, Any] = {"url": self.url, "content_type": self.content_type, "file_name": self.name}
        record |= {"file_size": self.size_bytes}
        if model.startswith(_TELLS_MORE):
            record |= {"width": shot.width, "height": shot.height, "fps": shot.fps, "duration": shot.duration_s}
            record |= {"num_frames": round(shot.duration_s * shot.fps)}
        return [record] if model.startswith(_GIVES_LIST) else record


def first_frames(body: Mapping[str, Any]) -> list[str]:
    """List the pictures an input refers to, those that stand for its last frame left out."""
    return references({name: value for name, value in body.items() if not _LAST_FRAME.match(name)})


def shot(
    schema: Schema, body: Mapping[str, Any], number: int, fate: str | None, given: Given, *, is_tiny: bool
) -> Shot:
    """Return what is to be filmed for an input."""
    wanted = schema.with_defaults(body)
    width, height = (min(max(side, SIDES[0]), SIDES[-1]) & ~1 for side in _size(schema, wanted, given))
    if fate == "landscape":
        width, height = widened(width, height)
    if is_tiny:
        width, height = tiny_size(width, height)
    return Shot(
        width=width,
        height=height,
        duration_s=min(max(_seconds(schema, wanted, given), 1 / TINY_FPS), LONGEST_S),
        fps=TINY_FPS if is_tiny else _fps(wanted),
        seed=seed_of(body, number),
        has_audio=_has_audio(schema, body, given),
        is_blank=fate == "blank",
    )


def output(schema: Schema, body: Mapping[str, Any], film: Film) -> dict[str, Any]:
    """Return the result JSON with exactly the names that the endpoint's schema lists."""
    prompt = str(body.get("prompt", ""))
    makers: dict[str, Callable[[], Any]] = {
        "video": lambda: film.facts(schema.id),
        "duration": lambda: film.shot.duration_s,
        "seed": lambda: film.shot.seed,
        "prompt": lambda: prompt,
        "actual_prompt": lambda: prompt,
        "frames_zip": lambda: None,
    }
    return {name: makers[name]() for name in schema.outputs}


def _size(schema: Schema, wanted: Mapping[str, Any], given: Given) -> Size:
    named = wanted.get("video_size")
    if isinstance(named, Mapping):
        return int(named.get("width", 512)), int(named.get("height", 512))
    if named in IMAGE_SIZES:
        return IMAGE_SIZES[named]
    side = SHORT_SIDES.get(str(wanted.get("resolution")).lower())
    own = (given.clip.width, given.clip.height) if given.clip and given.clip.width else given.frame
    if ratio := _RATIO.fullmatch(str(wanted.get("aspect_ratio"))):
        return _with_short_side((int(ratio[1]), int(ratio[2])), side or _SHORT_SIDE)
    if own is not None and side is None:
        factor = float(wanted.get("upscale_factor", 2)) if "upscale_factor" in schema.forms else 1
        return round(own[0] * factor), round(own[1] * factor)
    return _with_short_side(own or _WIDE, side or _SHORT_SIDE)


def _with_short_side(shape: Size, side: int) -> Size:
    shorter = min(shape)
    return round(shape[0] * side / shorter), round(shape[1] * side / shorter)


def _seconds(schema: Schema, wanted: Mapping[str, Any], given: Given) -> float:
    asked_s = _asked_s(schema, wanted)
    if "extend-video" in schema.id:
        return _length_s(given.clip) + asked_s
    chooses = "duration" in schema.forms and "start_time" not in schema.forms  # a retake's duration is that of a part
    if chooses or schema.required.isdisjoint({"video_url", "audio_url", "text"}):
        return asked_s
    return _length_s(given.clip if "video_url" in schema.required else given.sound)


def _length_s(media: Measures | None) -> float:
    return UNKNOWN_S if media is None else media.duration_s


def _asked_s(schema: Schema, wanted: Mapping[str, Any]) -> float:
    if shots := wanted.get("multi_prompt"):
        return sum(float(each.get("duration", UNKNOWN_S)) for each in shots)
    if "num_frames" in wanted:
        return float(wanted["num_frames"]) / _fps(wanted)
    if found := _NUMBER.match(str(wanted.get("duration"))):
        return float(found[0])
    return next(seconds for prefix, seconds in DEFAULT_S.items() if schema.id.startswith(prefix))


def _fps(wanted: Mapping[str, Any]) -> int:
    return min(max(int(float(wanted.get("fps", _FPS))), 1), 60)


def _has_audio(schema: Schema, body: Mapping[str, Any], given: Given) -> bool:
    if "generate_audio" in schema.forms:
        return body.get("generate_audio") is not False
    if not {"audio_url", "text"}.isdisjoint(schema.forms):
        return True
    keeps = all(body.get(name) is not False for name in ("keep_audio", "keep_original_sound"))
    return keeps and given.clip is not None and given.clip.has_audio
