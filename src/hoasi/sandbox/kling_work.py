"""Room: sandbox. What Kling makes of an accepted body: pictures drawn and clips filmed when somebody downloads them.

A clip is as long as asked; as long as the clip it goes on from (lip sync, motion control, base edits); an extended one
is `EXTENSION_S` longer. Length of a clip that cannot be read here: `UNKNOWN_S`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hoasi.sandbox import reel
from hoasi.sandbox.easel import Recipe, size_of
from hoasi.sandbox.kling_account import Made, Planned, Source, Task, new_id
from hoasi.sandbox.kling_fields import Endpoint, Medium
from hoasi.sandbox.kling_media import SHORT_SIDES, Size, clip_size, content_of, hosted, picture_size
from hoasi.sandbox.kling_prices import clip_units, lip_sync_units, picture_units, usd_per_second
from hoasi.sandbox.shelf import PREFIX, Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

EXTENSION_S = 5.0
UNKNOWN_S = 5.0
SERIES_AUTO = 4
_FPS = 24
_FOLLOWS = frozenset({"videos/motion-control", "motion-control"})


class Work:
    """The machine room behind the tasks."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._account = sandbox.kling

    async def plan(self, endpoint: Endpoint, body: Mapping[str, Any], origin: str) -> Planned:
        """Return what a body that is in order will make and cost; the files will stand below `origin`."""
        facts, media = endpoint.facts(body), endpoint.media(body)
        reference = await self._reference(media)
        if endpoint.makes == "images":
            count = _pictures(body)
            size = picture_size(body.get("aspect_ratio"), body.get("resolution", "1k"), reference)
            made = tuple(self._new(body, origin, None) for _ in range(count))
            return Planned(made, size, picture_units(facts, count), "image")
        source = self.source(body)
        duration_s = await self._duration_s(endpoint, facts, media, source)
        return self._clip(endpoint, facts, self._new(body, origin, duration_s), source, reference)

    def host(self, task: Task) -> None:
        """Put what a task makes on the shelf, where it appears once the task has succeeded."""
        submission = task.submission
        is_gone = partial(self._is_gone, task)
        for index, made in enumerate(task.planned.made):
            load = partial(self._film if task.endpoint.makes == "clip" else self._draw, task, index)
            content_type = reel.CONTENT_TYPE if task.endpoint.makes == "clip" else "image/png"
            for url in filter(None, (made.url, made.watermark_url)):
                self._sandbox.shelf.put(url.partition(PREFIX)[2], Stored(content_type, load, submission.model, is_gone))

    def face_picture(self, origin: str, index: int) -> str:
        """Host the picture of a face and return its URL."""
        recipe = self._sandbox.easel.plan(Recipe("storyboard", 320, 320, "png", index, "face", index))
        key = f"k/{new_id()}.png"
        self._sandbox.shelf.put(key, Stored("image/png", partial(self._sandbox.easel.draw, recipe)))
        return f"{origin}{PREFIX[1:]}{key}"

    def source(self, body: Mapping[str, Any]) -> Source | None:
        """Return the clip that a body goes on from by its id or by a session of faces."""
        if session := self._account.sessions.get(str(body.get("session_id"))):
            return session.source
        maker = self._account.maker_of(str(body.get("video_id")))
        if maker is None:
            return None
        made = maker.planned.made[0]
        return Source(made.id, made.url, made.duration_s or UNKNOWN_S)

    async def length_s(self, url: str) -> float:
        """Return how long a clip is, if it is ours or was uploaded here."""
        if maker := self._account.maker_of(url):
            return maker.planned.made[0].duration_s or UNKNOWN_S
        content = await self._load(url)
        measures = await reel.measured(content) if content else None
        return measures.duration_s if measures else UNKNOWN_S

    def _new(self, body: Mapping[str, Any], origin: str, duration_s: float | None) -> Made:
        made_id, suffix = new_id(), "png" if duration_s is None else "mp4"
        url = f"{origin}{PREFIX[1:]}k/{made_id}"
        options = body.get("options", body)
        is_marked = (options.get("watermark_info") or {}).get("enabled") is True
        return Made(made_id, f"{url}.{suffix}", f"{url}-watermark.{suffix}" if is_marked else "", duration_s)

    def _clip(
        self, endpoint: Endpoint, facts: Mapping[str, Any], made: Made, source: Source | None, reference: Size | None
    ) -> Planned:
        duration_s, maker = made.duration_s or 0, self._account.maker_of(source.id if source else "")
        if endpoint.path == "videos/advanced-lip-sync":
            size = maker.planned.size if maker else clip_size(None, SHORT_SIDES["std"], None)
            return Planned((made,), size, lip_sync_units(duration_s), "video", source=source)
        if maker:  # an extension: its size and price follow its source
            rate = maker.planned.usd_a_second
            units = clip_units(rate, EXTENSION_S)
            return Planned((made,), maker.planned.size, units, "video", rate, source)
        side = SHORT_SIDES[facts.get("mode") or facts["settings.resolution"]]
        ratio = facts.get("aspect_ratio") or facts.get("settings.aspect_ratio")
        rate = usd_per_second(endpoint, facts)
        return Planned((made,), clip_size(ratio, side, reference), clip_units(rate, duration_s), "video", rate)

    async def _duration_s(
        self, endpoint: Endpoint, facts: Mapping[str, Any], media: list[Medium], source: Source | None
    ) -> float:
        if source:
            return source.duration_s + (EXTENSION_S if endpoint.path == "videos/video-extend" else 0)
        follows = endpoint.path in _FOLLOWS or "video_list.base" in facts or "contents.base_video" in facts
        clips = [medium.value for medium in media if medium.kind == "clip"]
        if follows and clips:
            return await self.length_s(clips[0])
        return float(facts.get("duration") or facts.get("settings.duration") or UNKNOWN_S)

    async def _reference(self, media: list[Medium]) -> Size | None:
        pictures = [medium.value for medium in media if medium.kind == "picture"]
        content = await self._load(pictures[0]) if pictures else None
        return size_of(content) if content else None

    async def _load(self, value: str) -> bytes | None:
        if "://" not in value:
            return content_of(value)
        load = hosted(self._sandbox.shelf, value)
        return await load() if load else None

    def _is_gone(self, task: Task) -> bool:
        submission = task.submission
        has_succeeded = submission.state == "done" and submission.failure is None
        return not has_succeeded or self._sandbox.is_forgotten(submission)

    def _draw(self, task: Task, index: int) -> Awaitable[bytes]:
        submission, (width, height) = task.submission, _seen(task)
        recipe = Recipe(
            style="blank" if submission.fate == "blank" else "storyboard",
            width=width,
            height=height,
            format="png",
            seed=submission.number,
            prompt=str(task.body.get("prompt", "")),
            index=index,
            count=len(task.planned.made),
            references=len([medium for medium in task.endpoint.media(task.body) if medium.kind == "picture"]),
        )
        return self._sandbox.easel.draw(self._sandbox.easel.plan(recipe))

    async def _film(self, task: Task, index: int) -> bytes:
        is_tiny, (width, height) = self._sandbox.settings.pictures == "tiny", _seen(task)
        if is_tiny:
            width, height = reel.tiny_size(width, height)
        content, _ = await reel.clip(
            width=width,
            height=height,
            duration_s=task.planned.made[index].duration_s or UNKNOWN_S,
            fps=reel.TINY_FPS if is_tiny else _FPS,
            seed=task.submission.number,
            has_audio=_has_sound(task),
            is_blank=task.submission.fate == "blank",
        )
        return content


def _pictures(body: Mapping[str, Any]) -> int:
    if body.get("result_type") == "series":
        amount = body["series_amount"]
        return SERIES_AUTO if amount == "auto" else int(amount)
    return int(body.get("n", 1))


def _seen(task: Task) -> Size:
    width, height = task.planned.size
    if task.submission.fate != "landscape":
        return width, height
    return (max(width, height), min(width, height)) if width != height else (width, width * 9 // 16)


def _has_sound(task: Task) -> bool:
    facts = task.endpoint.facts(task.body)
    said = (facts.get("sound") == "on", facts.get("settings.audio") in ("native", "original"))
    return any(said) or facts.get("keep_original_sound") == "yes" or "session_id" in facts
