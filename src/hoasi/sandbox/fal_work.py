"""Room: sandbox. What a fal model does with an accepted input: fetch what it refers to, draw, host, tell."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hoasi.sandbox.easel import Recipe, size_of
from hoasi.sandbox.fal_errors import Problem, problem
from hoasi.sandbox.fal_inputs import accepted_schema
from hoasi.sandbox.fal_pictures import Picture, Size, output, recipes, references, seed_of
from hoasi.sandbox.line import Submission
from hoasi.sandbox.shelf import PREFIX, Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Work:
    """The machine room behind the queue."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def result(self, submission: Submission, origin: str) -> dict[str, Any]:
        """Return the result JSON; its pictures are drawn now (or again, the same) and hosted below `origin`."""
        schema, body = accepted_schema(submission.model), submission.body
        reference = await self._reference_size(body)
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
        parts = urlsplit(url)
        if parts.netloc == own:
            return self._sandbox.shelf.get(unquote(parts.path).removeprefix(PREFIX)) is not None
        return parts.scheme == "data" or (parts.scheme in ("http", "https") and parts.hostname not in _LOOPBACK)

    async def _reference_size(self, body: Mapping[str, Any]) -> Size | None:
        for url in references(body)[:1]:
            if stored := self._sandbox.shelf.get(unquote(urlsplit(url).path).removeprefix(PREFIX)):
                return size_of(await stored.load())
        return None

    async def _picture(self, recipe: Recipe, submission: Submission, origin: str) -> Picture:
        drawn = self._sandbox.easel.plan(recipe)
        draw = partial(self._sandbox.easel.draw, drawn)
        name, content = f"{recipe.index}.{drawn.format}", await draw()
        if submission.body.get("sync_mode"):  # the picture travels in the result and is hosted nowhere
            data = base64.b64encode(content).decode()
            return Picture(f"data:image/{drawn.format};base64,{data}", name, drawn, len(content))
        key = f"r/{submission.id}/{name}"
        is_gone = partial(self._sandbox.is_forgotten, submission)
        self._sandbox.shelf.put(key, Stored(f"image/{drawn.format}", draw, submission.model, is_gone))
        return Picture(f"{origin}{PREFIX[1:]}{key}", name, drawn, len(content))
