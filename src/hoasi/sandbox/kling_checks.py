"""Room: sandbox. What no table can say about a body of Kling's: sums, intervals, and clips that must be there.

`kling_fields.toml` names these in `checks`; each says what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hoasi.sandbox.kling_account import Session, Task
from hoasi.sandbox.kling_work import EXTENSION_S

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

Body = Mapping[str, Any]
Check = Callable[["Sandbox", Body], str | None]
MOST_REFERENCES = 10
LONGEST_S = 180
LONGEST_FACES_S = 60
SHORTEST_FACES_S = 2
SESSION_S = 24 * 3600
_LEAST_MS = 2000
_EXTENDABLE_PATHS = frozenset({"videos/text2video", "videos/image2video"})
_EXTENDABLE_MODELS = frozenset({"kling-v1", "kling-v1-5", "kling-v1-6"})


def _ten_references(sandbox: Sandbox, body: Body) -> str | None:  # noqa: ARG001 - 2026-11-27, all checks are called alike
    count = len(body.get("image_list", ())) + len(body.get("element_list", ()))
    return "at most 10 images and elements" if count > MOST_REFERENCES else None


def _extendable(sandbox: Sandbox, body: Body) -> str | None:
    task = _finished(sandbox, body["video_id"])
    if task is None:
        return "video_id does not exist or has expired"
    origin = task
    while origin.endpoint.path == "videos/video-extend":
        earlier = sandbox.kling.maker_of(origin.body["video_id"])
        if earlier is None:
            return "video_id does not exist or has expired"
        origin = earlier
    if origin.endpoint.path not in _EXTENDABLE_PATHS or origin.body["model_name"] not in _EXTENDABLE_MODELS:
        return "only clips of kling-v1, kling-v1-5 and kling-v1-6 can be extended"
    total_s = (task.planned.made[0].duration_s or 0) + EXTENSION_S
    return f"the extended clip would be longer than {LONGEST_S} seconds" if total_s > LONGEST_S else None


def _known_clip(sandbox: Sandbox, body: Body) -> str | None:
    if "video_id" not in body:
        return None
    task = _finished(sandbox, body["video_id"])
    if task is None or task.endpoint.makes != "clip":
        return "video_id does not exist or has expired"
    duration_s = task.planned.made[0].duration_s or 0
    return None if SHORTEST_FACES_S <= duration_s <= LONGEST_FACES_S else "the clip must be 2 to 60 seconds long"


def _sound_fits_face(sandbox: Sandbox, body: Body) -> str | None:
    session, choice = sandbox.kling.sessions.get(body["session_id"]), body["face_choose"][0]
    if session is None or sandbox.clock() - session.began_at >= SESSION_S:
        return "session_id does not exist or has expired"
    if ("audio_id" in choice) == ("sound_file" in choice):
        return "exactly one of audio_id and sound_file must be given"
    return _wrong_interval(session, choice)


def _wrong_interval(session: Session, choice: Mapping[str, Any]) -> str | None:
    face = next((face for face in session.faces if face["face_id"] == choice["face_id"]), None)
    if face is None:
        return "face_id does not exist in this session"
    length = choice["sound_end_time"] - choice["sound_start_time"]
    if length < _LEAST_MS:
        return "the cropped sound must be at least 2 seconds long"
    begins = choice["sound_insert_time"]
    overlap = min(begins + length, face["end_time"]) - max(begins, face["start_time"])
    return None if overlap >= _LEAST_MS else "the sound must overlap with the face for at least 2 seconds"


def _finished(sandbox: Sandbox, clip_id: str) -> Task | None:
    task = sandbox.kling.maker_of(clip_id)
    if task is None or sandbox.is_forgotten(task.submission):
        return None
    has_succeeded = task.submission.state == "done" and task.submission.failure is None
    return task if has_succeeded else None


CHECKS: dict[str, Check] = {
    "ten_references": _ten_references,
    "extendable": _extendable,
    "known_clip": _known_clip,
    "sound_fits_face": _sound_fits_face,
}
