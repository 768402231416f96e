"""Room: sandbox. The levers over HTTP, for tests and people that run the sandbox in another process.

`GET /_sandbox/stats` - `POST /_sandbox/faults` (a list of `Fault`) - `POST /_sandbox/settings` (some of `Settings`) -
`POST /_sandbox/finish` (what is at work is done now; `?model=` = of that one) - `POST /_sandbox/reset`.
A body that makes no sense is answered 422 and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox.counters import CONTROL_PREFIX
from hoasi.sandbox.faults import Fault
from hoasi.sandbox.gate import Endpoint

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Changes, Sandbox

_FAULTS = TypeAdapter(list[Fault])
_SETTINGS = TypeAdapter(dict[str, object])


def routes(sandbox: Sandbox) -> list[Route]:
    """Serve the levers of a sandbox."""

    async def stats(request: Request) -> Response:  # noqa: ARG001 - 2026-11-21, Starlette's signature
        return JSONResponse(sandbox.stats())

    async def faults(request: Request) -> Response:
        sandbox.faults.add(*_FAULTS.validate_json(await request.body()))
        return JSONResponse({"faults": sandbox.faults.report()})

    async def settings(request: Request) -> Response:
        sandbox.change(**cast("Changes", _SETTINGS.validate_json(await request.body())))
        return JSONResponse(sandbox.settings.model_dump())

    async def reset(request: Request) -> Response:  # noqa: ARG001 - as above
        sandbox.reset()
        return JSONResponse({})

    async def finish(request: Request) -> Response:
        return JSONResponse({"finished": sandbox.line.finish(request.query_params.get("model"))})

    posts = {"faults": faults, "settings": settings, "finish": finish, "reset": reset}
    return [
        Route(CONTROL_PREFIX + "stats", stats, methods=["GET"]),
        *(Route(CONTROL_PREFIX + name, _checked(lever), methods=["POST"]) for name, lever in posts.items()),
    ]


def _checked(lever: Endpoint) -> Endpoint:
    async def checked(request: Request) -> Response:
        try:
            return await lever(request)
        except ValidationError as error:
            return JSONResponse({"detail": error.errors(include_url=False, include_context=False)}, 422)

    return checked
