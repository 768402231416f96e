"""Room: sandbox. The shelf of files a provider hosts: what was uploaded and what was made, served with ranges.

Media of providers are public: nobody needs a key to download, so an `Authorization` header seen here is a leak.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox.counters import Counters
from hoasi.sandbox.gate import Gate

PREFIX = "/files/"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Stored:
    """One hosted file; its bytes are made when somebody asks."""

    content_type: str
    load: Callable[[], Awaitable[bytes]]
    model: str | None = None
    is_gone: Callable[[], bool] = lambda: False


class Shelf:
    """Files by path below `/files/`."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._files: dict[str, Stored] = {}

    def put(self, key: str, stored: Stored) -> None:
        """Host a file under a path; the same path again replaces it."""
        self._files[key] = stored

    def put_bytes(self, key: str, content: bytes, content_type: str) -> None:
        """Host what a client uploaded."""

        async def load() -> bytes:
            return content

        self._counters.uploads += 1
        self.put(key, Stored(content_type, load))

    def get(self, key: str) -> Stored | None:
        """Find a file that is still there."""
        stored = self._files.get(key)
        return None if stored is None or stored.is_gone() else stored

    def clear(self) -> None:
        """Throw everything away."""
        self._files.clear()

    def model_of(self, request: Request) -> str | None:
        """Name the model that made the file which is asked for."""
        stored = self._files.get(request.path_params.get("key", ""))
        return stored.model if stored else None

    def routes(self, gate: Gate) -> list[Route]:
        """Serve the shelf."""
        return [Route(PREFIX + "{key:path}", gate("download", self._download), methods=["GET"])]

    async def _download(self, request: Request) -> Response:
        self._counters.leaks += "authorization" in request.headers
        stored = self.get(request.path_params["key"])
        if stored is None:
            return JSONResponse({"detail": "Not Found"}, 404)
        return _ranged(await stored.load(), stored.content_type, request.headers.get("range"))


def _ranged(content: bytes, content_type: str, wanted: str | None) -> Response:
    """Answer whole or in part (RFC 9110, one range; several ranges or other units are ignored, as the RFC allows)."""
    etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Content-Type": content_type}
    match = _RANGE.fullmatch(wanted or "")
    if match is None or match.groups() == ("", ""):
        return Response(content, headers=headers)
    span = _span(match[1], match[2], len(content))
    if not span:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{len(content)}"
    return Response(content[span.start : span.stop], 206, headers)


def _span(first: str, last: str, size: int) -> range:
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last) + 1) if last else size)
