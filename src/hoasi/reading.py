"""Landing (floor 4): inputs as written become inputs that were read: files, addresses, results of ours, clips by id.

Each is read once a call. Whoever made it, the people in it, and whether it still lies at its provider, are looked up.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from anyio import to_thread

from hoasi import consent
from hoasi.catalogue import PROVIDERS, load
from hoasi.errors import NotFound, NotSupported
from hoasi.given import Given, Input, Remote
from hoasi.ledger import Ledger
from hoasi.record import Medium
from hoasi.records import Generation, State

_ID = re.compile(r"([a-z0-9_]{1,60}-[0-9a-f]{10})(?:#([1-9]\d?))?")
_CLIP_ID = re.compile(r"\d{6,40}")
DAY_S = 86_400.0
FRAMES_A_SECOND, LEAST_FRAMES, MOST_FRAMES, FRAME_PX = 2.0, 8, 240, 1280
"""So many frames of a clip are searched for faces, at no more than so many pixels a side."""

ReadFile = Callable[[str, Medium], Awaitable[Input]]
"""Reads a path or an address as a picture, clip or sound."""


Look = Literal["not", "how many", "where"]
Known = dict[tuple[Given, Look], Input]
"""What a call has read already."""


class Reader:
    """Reads the inputs of one call. `ledger` is None where nothing was ever made."""

    def __init__(
        self, workspace: Path, ledger: Ledger | None, read_file: ReadFile, known: Known, *, is_dry: bool
    ) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._read_file = read_file
        self._is_dry = is_dry
        self._known = known

    async def __call__(self, given: Sequence[Given], *, look: Look) -> list[Input]:
        """The inputs, in their order; `look`: what has to be known of the faces in them.

        Raises:
            FileBroken, PathRefused, NotFound: one of them cannot be used.
        """
        return [await self._one(item, look) for item in given]

    async def _one(self, given: Given, look: Look) -> Input:
        key = given, look
        if key not in self._known:
            self._known[key] = await self._read(given, look)
        return self._known[key]

    async def _read(self, given: Given, look: Look) -> Input:
        written, maker = self._ours(given)
        if given.medium == "video" and maker is None and _CLIP_ID.fullmatch(written):
            return _named(given)
        if self._is_dry and written.startswith(("http://", "https://")):
            return _unread(given)
        item = (await self._read_file(written, given.medium)).model_copy(update={"role": given.role})
        item = self._with_past(item, maker)
        if item.medium == "audio" or look == "not":
            return item
        found = await to_thread.run_sync(_looked, self._workspace / item.path, item, look)
        return item.model_copy(update=found)

    # ------------------------------------------------------------------ results of ours

    def _ours(self, given: Given) -> tuple[str, Generation | None]:
        """The path of a result of ours that is named by an id of ours or of its provider; else what was written.

        Raises:
            NotFound: an id of ours that holds no such result.
        """
        match = _ID.fullmatch(given.written)
        if self._ledger is not None and match is not None and not (self._workspace / given.written).exists():
            maker = self._ledger.get([match[1]])[0]
            number = int(match[2] or 1)
            if maker.state is not State.SUCCEEDED or len(maker.artifacts) < number:
                raise NotFound("input_not_made", id=match[1], state=maker.state.value, count=len(maker.artifacts))
            return maker.artifacts[number - 1].path, maker
        if self._ledger is not None and _CLIP_ID.fullmatch(given.written):
            maker_of = self._ledger.maker_of(f'"{given.written}"')
            if maker_of is not None:
                return maker_of.artifacts[0].path, maker_of
        return given.written, None

    def _with_past(self, item: Input, maker: Generation | None) -> Input:
        """Who made it, where it still lies, and on whose permission it rests."""
        made = maker or (self._ledger.maker_of(item.sha256) if self._ledger is not None else None)
        if made is None:
            return item
        source = made if made.copy_of is None or self._ledger is None else self._ledger.get([made.copy_of])[0]
        facts = {"generation_id": source.id, "roots": consent.behind(source.planned), "remote": _remote(source, item)}
        return item.model_copy(update=facts)


def _remote(source: Generation, item: Input) -> Remote | None:
    """Where its provider keeps it."""
    planned = source.planned
    kept = [artifact for artifact in source.artifacts if artifact.sha256 == item.sha256]
    if not kept or not (kept[0].remote_id or kept[0].url):
        return None
    age = None if source.finished_at is None else max(0.0, (time.time() - source.finished_at) / DAY_S)
    return Remote(
        provider=planned.provider, model=planned.model, id=kept[0].remote_id, url=kept[0].url or "", age_days=age
    )


# ---------------------------------------------------------------------- without bytes


def _named(given: Given) -> Input:
    """A clip that only its provider has, by its number there."""
    home = next(name for name in PROVIDERS if load(name).knows_clips_by_number)
    sha = hashlib.sha256(f"{home}:{given.written}".encode()).hexdigest()
    remote = Remote(provider=home, id=given.written)
    return _blank(given, sha).model_copy(update={"media_type": "video/mp4", "remote": remote})


def _unread(given: Given) -> Input:
    """Stands for a remote file in a dry run: nothing was fetched, so its bytes are not known."""
    return _blank(given, hashlib.sha256(given.written.encode()).hexdigest())


def _blank(given: Given, sha256: str) -> Input:
    return Input(
        written=given.written,
        path="",
        sha256=sha256,
        media_type="",
        size_bytes=0,
        width=0,
        height=0,
        role=given.role,
        medium=given.medium,
    )


# ---------------------------------------------------------------------- faces


def _looked(path: Path, item: Input, look: Look) -> dict[str, Any]:
    """How many faces there are, and perhaps where; nothing where nobody can look (in a worker thread)."""
    try:
        if item.medium == "video":
            return {"faces": _in_clip(path, item.sha256)}
        return {**_in_picture(path, item.sha256, look)}
    except NotSupported:  # the optional parts are not installed: then every picture asks for a permission
        return {}


@lru_cache(maxsize=256)
def _in_picture(path: Path, sha256: str, look: Look) -> Mapping[str, Any]:  # noqa: ARG001 - 2026-11-28, as below
    from hoasi.media import face

    seen = face.detect(path)
    return {"faces": len(seen), **(_boxes(path) if look == "where" else {})}


@lru_cache(maxsize=256)
def _in_clip(path: Path, sha256: str) -> int:  # noqa: ARG001 - 2026-11-27, other bytes are looked at anew
    """Looking takes seconds, and asking, pricing and sending all look."""
    from hoasi.media import face, video

    count = {"least": LEAST_FRAMES, "most": MOST_FRAMES}
    return face.detect_in(video.watch(path, per_s=FRAMES_A_SECOND, max_px=FRAME_PX, **count))


def _boxes(path: Path) -> dict[str, Any]:
    from hoasi.media import face, image

    look = image.inspect(path)
    clear = face.detect(path, strict=True)
    return {
        "boxes": tuple(face.crop(one, look.width, look.height) for one in clear),
        "face_sides": tuple(int(min(one.width, one.height)) for one in clear),
    }
