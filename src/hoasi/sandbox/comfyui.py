"""Room: sandbox. A self-hosted ComfyUI server (0.3.64, read and driven 2026-11-21; newer ones from their notes).

    POST /prompt                      queue a graph: 200 (perhaps with `node_errors`), or 400 with what is wrong
    GET  /queue, /history[/{id}]      what runs and waits; what ended. In neither = lost
    POST /queue, /interrupt, /history take waiting ones back, stop what runs, forget
    GET  /view                        bytes of a file        POST /upload/image, /upload/mask
    GET  /object_info[/{node}], /models[/{folder}], /system_stats, /prompt, /features, /embeddings, /extensions
    WS   /ws?clientId=                what happens, in order

Each also below `/api`. The whole server stands below `/comfyui` and, because a client knows only a host, at the root:
there only paths whose first word is one of ours are taken, so that fal's ids still match all others. `app` is a server
with nothing else. There is no key; a proxy before it may want one: setting `reject_key` is that proxy.

Settings: `comfyui_version` (what it says it is and how strict: `comfyui_checks`), `comfyui_lacks` (node classes that
are not installed), `comfyui_loras` (LoRA files beside the usual ones). Faults: at `submit` (/prompt), `status`
(/history and, under the model `comfyui/queue`, /queue), `cancel`, `download` (/view), `upload`, `stream` (the socket:
`slow`, `hang`, `truncated` spoil what is told; `reset`, `lost_reply`, `hang_before`, `5xx`, `429` turn away). Fates:
`comfyui_run`.

Uncertain: bodies of newer versions; what becomes of a mask (it is stored as it came, the original is not mixed in).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from hoasi.sandbox.comfyui_checks import Verdict, is_prompt_id, judge, problem, version_of
from hoasi.sandbox.comfyui_files import FOLDERS, OutsideError, media_type, place_of
from hoasi.sandbox.comfyui_nodes import FOLDERS as MODEL_FOLDERS
from hoasi.sandbox.comfyui_queue import MODEL, Prompt, Server
from hoasi.sandbox.comfyui_socket import talk
from hoasi.sandbox.easel import Format
from hoasi.sandbox.faults import Fault, Kind
from hoasi.sandbox.gate import Endpoint, Gate, Refusal, Spoil

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PREFIX = "/comfyui"
_TRUE = {"true", "1"}
_FORMATS: dict[str, Format] = {"webp": "webp", "jpeg": "jpeg"}


class _OwnWords(Mount):
    """A mount at the root that takes only paths whose first word is one of its routes'."""

    def __init__(self, routes: list[BaseRoute]) -> None:
        super().__init__("", routes=routes)
        self._words = {path.split("/")[1] for route in routes if (path := getattr(route, "path", ""))}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match by the first word; cheap, because every request of every provider is asked for it."""
        path: str = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        is_ours = path.partition("/")[2].partition("/")[0] in self._words
        return super().matches(scope) if is_ours else (Match.NONE, {})


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Serve ComfyUI's wire from a sandbox, below `/comfyui` and at the root."""
    own = Doors(sandbox).routes()
    return [Mount(PREFIX, routes=own), _OwnWords(own)]


def app(sandbox: Sandbox) -> Starlette:
    """Return a ComfyUI server and nothing else, for `serving(sandbox, app=...)`."""
    return sandbox.app_of(Doors(sandbox).routes())


class Doors:
    """The routes of one server."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._server: Server = sandbox.comfyui

    def routes(self) -> list[BaseRoute]:
        """Serve all, plain and below `/api`."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, _model_of, REFUSALS)
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/prompt", gate("submit", self._submit)),
            ("GET", "/prompt", self._remaining),
            ("GET", "/queue", gate("status", self._queue)),
            ("POST", "/queue", gate("cancel", self._take_back)),
            ("POST", "/interrupt", gate("cancel", self._interrupt)),
            ("GET", "/history", gate("status", self._history)),
            ("POST", "/history", self._forget),
            ("GET", "/history/{prompt_id}", gate("status", self._ended)),
            ("GET", "/view", gate("download", self._view)),
            ("POST", "/upload/image", gate("upload", self._upload)),
            ("POST", "/upload/mask", gate("upload", self._upload_mask)),
            ("GET", "/object_info", self._object_info),
            ("GET", "/object_info/{name:path}", self._object_info),
            ("GET", "/models", self._models),
            ("GET", "/models/{folder}", self._models),
            ("GET", "/system_stats", self._system_stats),
            *(("GET", path, _nothing) for path in ("/embeddings", "/extensions", "/features")),
            ("POST", "/free", _done),
        ]
        own: list[BaseRoute] = [Route(path, self._before(end), methods=[verb]) for verb, path, end in table]
        own.append(WebSocketRoute("/ws", self._talk))
        return [*own, Mount("/api", routes=own)]

    def _before(self, endpoint: Endpoint) -> Endpoint:
        """Put the proxy before it."""

        async def guarded(request: Request) -> Response:
            if self._sandbox.settings.reject_key:
                return PlainTextResponse("401 Unauthorized", 401)
            return await endpoint(request)

        return guarded

    async def _submit(self, request: Request) -> Response:
        body = await _json_object(request)
        if "prompt" not in body:
            return _bad(problem("no_prompt", "No prompt provided", "No prompt provided"))
        prompt_id, version = body.get("prompt_id", str(uuid4())), version_of(self._sandbox.settings.comfyui_version)
        if not is_prompt_id(prompt_id, version):
            return _bad(problem("invalid_prompt_id", "prompt_id must be a canonical lowercase UUID", str(prompt_id)))
        verdict = self._judge(body)
        if verdict.error is not None:
            return _bad(verdict.error, verdict.node_errors)
        prompt = self._accept(body, verdict, str(prompt_id))
        return JSONResponse({"prompt_id": prompt.id, "number": prompt.number, "node_errors": dict(verdict.node_errors)})

    def _judge(self, body: Mapping[str, Any]) -> Verdict:
        if not isinstance(body["prompt"], dict):
            raise _crash()
        version = version_of(self._sandbox.settings.comfyui_version)
        only: Iterable[str] | None = body.get("partial_execution_targets")
        return judge(body["prompt"], self._server.nodes(), self._has_file, version=version, only=only)

    def _accept(self, body: Mapping[str, Any], verdict: Verdict, prompt_id: str) -> Prompt:
        extra = dict(body.get("extra_data") or {})
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        number = body.get("number", self._server.number)
        number = -number if body.get("front") else number
        return self._server.accept(body["prompt"], verdict.outputs, prompt_id, extra, number)

    async def _remaining(self, request: Request) -> Response:  # noqa: ARG002 - 2026-11-21, Starlette's signature
        return JSONResponse(self._server.status())

    async def _queue(self, request: Request) -> Response:  # noqa: ARG002 - as above
        running = [] if self._server.running is None else [self._server.running.row()]
        return JSONResponse({"queue_running": running, "queue_pending": [p.row() for p in self._server.pending]})

    async def _take_back(self, request: Request) -> Response:
        body = await _json_object(request)
        if body.get("clear"):
            self._server.delete(None)
        self._server.delete(body.get("delete", []))
        return Response()

    async def _interrupt(self, request: Request) -> Response:
        body = await _json_object(request) if await request.body() else {}
        self._server.interrupt(body.get("prompt_id"))
        return Response()

    async def _history(self, request: Request) -> Response:
        offset, most = (int(request.query_params.get(name, -1)) for name in ("offset", "max_items"))
        rows = list(self._server.history.items())
        first = offset if offset >= 0 else max(0, len(rows) - most) if most >= 0 else 0
        return JSONResponse(dict(rows[first : first + most] if most >= 0 else rows[first:]))

    async def _ended(self, request: Request) -> Response:
        prompt_id = request.path_params["prompt_id"]
        entry = self._server.history.get(prompt_id)
        return JSONResponse({} if entry is None else {prompt_id: entry})

    async def _forget(self, request: Request) -> Response:
        body = await _json_object(request)
        gone = list(self._server.history) if body.get("clear") else body.get("delete", [])
        for prompt_id in gone:
            self._server.history.pop(prompt_id, None)
        return Response()

    async def _view(self, request: Request) -> Response:
        try:
            folder, path = place_of(request.query_params)
        except OutsideError:
            return Response(status_code=403)
        except ValueError:
            return Response(status_code=400)
        file = self._server.files.get(folder, path)
        if file is None:
            return Response(status_code=404)
        form = _FORMATS.get(request.query_params.get("preview", "").partition(";")[0])
        kind = f"image/{form}" if form and file.recipe else media_type(path)
        name = path.rpartition("/")[2].encode("ascii", "replace").decode()
        headers = {"Content-Disposition": f'filename="{name}"'}
        return Response(await file.load(self._sandbox.easel, form), headers=headers, media_type=kind)

    async def _upload(self, request: Request) -> Response:
        async with request.form() as form:
            return await self._store(form)

    async def _upload_mask(self, request: Request) -> Response:
        async with request.form() as form:
            return await self._store(form) if self._has_original(form) else Response(status_code=400)

    async def _store(self, form: FormData) -> Response:
        image, folder = form.get("image"), str(form.get("type", "input"))
        subfolder, overwrite = str(form.get("subfolder", "")), form.get("overwrite") in _TRUE
        if not isinstance(image, UploadFile) or not image.filename or folder not in FOLDERS:
            return Response(status_code=400)
        content = await image.read()
        try:
            name = self._server.files.upload(folder, subfolder, image.filename, content, overwrite=overwrite)
        except OutsideError:
            return Response(status_code=400)
        self._sandbox.counters.uploads += 1
        return JSONResponse({"name": name, "subfolder": subfolder, "type": folder})

    def _has_original(self, form: FormData) -> bool:
        try:
            return self._server.files.get(*place_of(json.loads(str(form.get("original_ref"))))) is not None
        except (ValueError, TypeError, AttributeError):
            return False

    async def _object_info(self, request: Request) -> Response:
        installed = self._server.nodes()
        name = request.path_params.get("name")
        found = installed.classes if name is None else {name: node} if (node := installed.get(name)) else {}
        told = {name: node.info() for name, node in found.items()}
        for entry in (told[name] for name in ("LoadImage", "LoadImageMask") if name in told):
            entry["input"]["required"]["image"][0] = self._server.files.names()
        return JSONResponse(told)

    async def _models(self, request: Request) -> Response:
        installed, folder = self._server.nodes(), request.path_params.get("folder")
        listed = list(MODEL_FOLDERS) if folder is None else installed.models(folder)
        return Response(status_code=404) if listed is None else JSONResponse(list(listed))

    async def _system_stats(self, request: Request) -> Response:  # noqa: ARG002 - as above
        version = self._sandbox.settings.comfyui_version
        system = {"os": "posix", "comfyui_version": version, "python_version": "3.11", "embedded_python": False}
        device = {"name": "cuda:0 sandbox", "type": "cuda", "index": 0, "vram_total": 24 << 30, "vram_free": 20 << 30}
        return JSONResponse({"system": {**system, "argv": ["main.py"]}, "devices": [device]})

    async def _talk(self, socket: WebSocket) -> None:
        counters = self._sandbox.counters
        counters.sockets += 1
        counters.seen["stream"] += 1
        await talk(socket, self._server, self._sandbox.faults.take("stream", MODEL))

    def _has_file(self, name: str) -> bool:
        return self._server.files.named(name) is not None


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _crash() from None
    if not isinstance(body, dict):
        raise _crash()
    return body


async def _nothing(request: Request) -> Response:
    return JSONResponse({} if request.url.path.endswith("features") else [])


async def _done(request: Request) -> Response:  # noqa: ARG001 - as above
    return Response()


def _model_of(request: Request) -> str:
    return f"{MODEL}/queue" if request.url.path.endswith("/queue") else MODEL


def _crash() -> Refusal:
    """Return what the server's framework says when the code behind it fell over."""
    return Refusal(PlainTextResponse("500 Internal Server Error\n\nServer got itself in trouble", 500))


def _bad(error: Mapping[str, Any], node_errors: Mapping[str, Any] | None = None) -> Response:
    return JSONResponse({"error": dict(error), "node_errors": dict(node_errors or {})}, 400)


def _named(fault: Fault) -> Response:
    return _bad(problem(str(fault.value or "prompt_outputs_failed_validation"), "The sandbox was told to refuse this"))


REFUSALS: dict[Kind, Spoil] = {"validation": _named, "error_type": _named}
