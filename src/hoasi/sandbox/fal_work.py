"""Room: sandbox. What a fal model does with an accepted input: fetch what it refers to, draw or film, host, tell."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from hoasi.sandbox import reel
from hoasi.sandbox.easel import Recipe, size_of
from hoasi.sandbox.fal_clips import Film, Given, Shot, first_frames, shot
from hoasi.sandbox.fal_clips import output as clip_output
from hoasi.sandbox.fal_errors import Problem, problem
from hoasi.sandbox.fal_inputs import accepted_schema
from hoasi.sandbox.fal_pictures import Picture, Size, output, recipes, references, seed_of
from hoasi.sandbox.line import Submission
from hoasi.sandbox.shelf import PREFIX, Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def split(url: str) -> SplitResult:
    """Split a URL into its parts; all parts of what is none are empty."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


class Work:
    """The machine room behind the queue."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def result(self, submission: Submission, origin: str) -> dict[str, Any]:
        """Return the result JSON; its media are made now (or again, the same) and hosted below `origin`."""
        schema, body = accepted_schema(submission.model), submission.body
        if schema.draws_clips():
            given, is_tiny = await self._given(body), self._sandbox.settings.pictures == "tiny"
            wanted = shot(schema, body, submission.number, submission.fate, given, is_tiny=is_tiny)
            return clip_output(schema, body, await self._film(wanted, submission, origin))
        reference = await self._size_of_first(references(body))
        planned = recipes(schema, body, submission.number, submission.fate, reference)
        pictures = [await self._picture(recipe, submission, origin) for recipe in planned]
        return output(schema, body, seed_of(body, submission.number), pictures, submission.took_s)

    def undownloadable(self, body: Mapping[str, Any], own: str) -> Iterator[Problem]:
        """Yield what no model could download: not a URL, a loopback address, or a file of ours that is not there.

        `own` is the sandbox's host and port, where uploads and results may be referred to.
        """
        for name in (name for name in body if name.endswith(("_url", "_urls"))):
            listed = isinstance(body[name], list)
            for index, url in enumerate(body[name] if listed else [body[name]]):
                if isinstance(url, str) and not self._is_downloadable(url, own):
                    loc = ("body", name, index) if listed else ("body", name)
                    yield problem("file_download_error", loc, "Failed to download the file", url)

    def _is_downloadable(self, url: str, own: str) -> bool:
        parts = split(url)
        if parts.netloc == own:
            return self._sandbox.shelf.get(unquote(parts.path).removeprefix(PREFIX)) is not None
        return parts.scheme == "data" or (parts.scheme in ("http", "https") and parts.hostname not in LOOPBACK)

    async def _size_of_first(self, pictures: list[str]) -> Size | None:
        content = await self._ours(pictures[0]) if pictures else None
        return None if content is None else size_of(content)

    async def _given(self, body: Mapping[str, Any]) -> Given:
        return Given(
            frame=await self._size_of_first(first_frames(body)),
            clip=await self._measures(body.get("video_url")),
            sound=await self._measures(body.get("audio_url")),
        )

    async def _measures(self, url: object) -> reel.Measures | None:
        content = await self._ours(url)
        return None if content is None else await reel.measured(content)

    async def _ours(self, url: object) -> bytes | None:
        """Return the bytes of a file that we host ourselves; other hosts are out of reach for a sandbox."""
        stored = self._sandbox.shelf.get(unquote(split(str(url)).path).removeprefix(PREFIX))
        return None if stored is None else await stored.load()

    async def _picture(self, recipe: Recipe, submission: Submission, origin: str) -> Picture:
        drawn = self._sandbox.easel.plan(recipe)
        draw = partial(self._sandbox.easel.draw, drawn)
        name, content = f"{recipe.index}.{drawn.format}", await draw()
        hosted = Stored(f"image/{drawn.format}", draw, submission.model, self._is_gone(submission))
        return Picture(self._url(name, content, hosted, submission, origin), name, drawn, len(content))

    async def _film(self, planned: Shot, submission: Submission, origin: str) -> Film:
        async def shoot() -> bytes:
            return (await reel.clip(**planned.options()))[0]

        name, content = "output.mp4", await shoot()
        hosted = Stored(reel.CONTENT_TYPE, shoot, submission.model, self._is_gone(submission))
        url = self._url(name, content, hosted, submission, origin)
        return Film(url, name, planned, reel.CONTENT_TYPE, len(content))

    def _is_gone(self, submission: Submission) -> Callable[[], bool]:
        return partial(self._sandbox.is_forgotten, submission)

    def _url(self, name: str, content: bytes, hosted: Stored, submission: Submission, origin: str) -> str:
        if submission.body.get("sync_mode") is True:  # a string in lip sync; else the file travels in the result
            return f"data:{hosted.content_type};base64,{base64.b64encode(content).decode()}"
        key = f"r/{submission.id}/{name}"
        self._sandbox.shelf.put(key, hosted)
        return f"{origin}{PREFIX[1:]}{key}"
