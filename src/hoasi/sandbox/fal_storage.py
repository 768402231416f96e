"""Room: sandbox. fal's storage: the three ways to upload (fal-client 1.0.3 and @fal-ai/client 1.10.1, read 2026-11-21).

1. CDN: `POST /storage/auth/token` (Key) gives a Bearer token, `POST /files/upload` (Bearer) takes the bytes.
2. CDN in parts: `POST /files/upload/multipart`, then `PUT .../multipart/{id}/{n}`, then `POST .../complete` (Bearer).
3. Signed: `POST /storage/upload/initiate` (Key) gives `upload_url` and `file_url`; `PUT upload_url` carries no key: the
   host behind it is not fal's own. A key sent there is answered 400 and counted as a leak (fal-client 1.0.3 sends it).
"""

from __future__ import annotations

import hashlib
import mimetypes
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox.fal_inputs import json_object
from hoasi.sandbox.gate import Gate, Refusal

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

KeyCheck = Callable[[Request], None]
_TOKEN_LIFE = timedelta(hours=1)
_STORAGE_TYPES = ("fal-cdn-v3", "gcs")


@dataclass
class _Parts:
    content_type: str
    received: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Ticket:
    key: str
    content_type: str


class Storage:
    """The upload endpoints of one sandbox."""

    def __init__(self, sandbox: Sandbox, check_key: KeyCheck) -> None:
        self._sandbox = sandbox
        self._check_key = check_key
        self._tokens: set[str] = set()
        self._tickets: dict[str, _Ticket] = {}
        self._multiparts: dict[str, _Parts] = {}

    def routes(self, gate: Gate) -> list[Route]:
        """Serve the upload endpoints; they must come before the downloads, which share their paths."""
        part = "/files/{key:path}/multipart/{upload_id}/"
        return [
            Route("/storage/auth/token", gate("token", self._token), methods=["POST"]),
            Route("/storage/upload/initiate", gate("token", self._initiate), methods=["POST"]),
            Route("/signed/{ticket}", gate("upload", self._signed), methods=["PUT"]),
            Route("/files/upload", gate("upload", self._upload), methods=["POST"]),
            Route("/files/upload/multipart", gate("upload", self._begin), methods=["POST"]),
            Route(part + "complete", gate("upload", self._complete), methods=["POST"]),
            Route(part + "{number:int}", gate("upload", self._part), methods=["PUT"]),
        ]

    async def _token(self, request: Request) -> Response:
        self._check_key(request)
        _check_storage_type(request)
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        expires_at = (datetime.now(UTC) + _TOKEN_LIFE).isoformat()
        origin = str(request.base_url).rstrip("/")
        return JSONResponse({"token": token, "token_type": "Bearer", "base_url": origin, "expires_at": expires_at})

    async def _upload(self, request: Request) -> Response:
        self._check_token(request)
        key = _new_key(_file_name(request))
        self._sandbox.shelf.put_bytes(key, await request.body(), _content_type(request))
        return JSONResponse({"access_url": _url(request, key)})

    async def _begin(self, request: Request) -> Response:
        self._check_token(request)
        upload_id = secrets.token_hex(8)
        self._multiparts[upload_id] = _Parts(_content_type(request))
        return JSONResponse({"access_url": _url(request, _new_key(_file_name(request))), "uploadId": upload_id})

    async def _part(self, request: Request) -> Response:
        self._check_token(request)
        content = await request.body()
        self._parts(request).received[request.path_params["number"]] = content
        return Response(headers={"ETag": _etag(content)})

    async def _complete(self, request: Request) -> Response:
        self._check_token(request)
        parts = self._parts(request)
        listed = {part["partNumber"]: part["etag"] for part in (await json_object(request, "parts"))["parts"]}
        if listed != {number: _etag(content) for number, content in parts.received.items()}:
            raise Refusal(JSONResponse({"detail": "Parts do not match what was received"}, 400))
        whole = b"".join(parts.received[number] for number in sorted(parts.received))
        self._sandbox.shelf.put_bytes(request.path_params["key"], whole, parts.content_type)
        del self._multiparts[request.path_params["upload_id"]]
        return JSONResponse({"access_url": _url(request, request.path_params["key"])})

    async def _initiate(self, request: Request) -> Response:
        self._check_key(request)
        _check_storage_type(request)
        wanted = await json_object(request, "file_name", "content_type")
        key = _new_key(wanted["file_name"])
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = _Ticket(key, wanted["content_type"])
        upload_url = URL(str(request.base_url)).replace(path=f"/signed/{ticket}", query="X-Expires=3600")
        return JSONResponse({"upload_url": str(upload_url), "file_url": _url(request, key)})

    async def _signed(self, request: Request) -> Response:
        if "authorization" in request.headers:
            self._sandbox.counters.leaks += 1
            return JSONResponse({"detail": "A signed URL must be used without Authorization"}, 400)
        ticket = self._tickets.get(request.path_params["ticket"])
        if ticket is None or ticket.content_type != _content_type(request):
            return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, media_type="application/xml")
        self._sandbox.shelf.put_bytes(ticket.key, await request.body(), ticket.content_type)
        return Response()

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self._tokens:
            raise Refusal(JSONResponse({"detail": "Invalid CDN token"}, 401))

    def _parts(self, request: Request) -> _Parts:
        parts = self._multiparts.get(request.path_params["upload_id"])
        if parts is None:
            raise Refusal(JSONResponse({"detail": "No such multipart upload"}, 404))
        return parts


def _check_storage_type(request: Request) -> None:
    if request.query_params.get("storage_type") not in _STORAGE_TYPES:
        raise Refusal(JSONResponse({"detail": f"storage_type must be one of {_STORAGE_TYPES}"}, 400))


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "application/octet-stream")


def _file_name(request: Request) -> str:
    extension = mimetypes.guess_extension(_content_type(request)) or ".bin"
    return request.headers.get("x-fal-file-name") or f"{secrets.token_hex(4)}{extension}"


def _new_key(file_name: str) -> str:
    return f"b/{secrets.token_hex(8)}/{file_name.replace('/', '_')}"


def _url(request: Request, key: str) -> str:
    return f"{request.base_url}files/{quote(key)}"


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
