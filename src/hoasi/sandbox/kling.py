"""Room: sandbox. Kling, both generations (documentation of autumn 2026, read 2026-11-21).

Old standard (an API key, or a token signed with a secret key):

    POST /v1/{images|videos}/{capability}          create; identify-face answers at once
    GET  /v1/{images|videos}/{capability}/{id}     one task, by Kling's id or by the caller's external_task_id
    GET  /v1/{images|videos}/{capability}          list, `pageNum` and `pageSize`, the newest first
    GET  /account/costs                            packs; at most one question a second

The new standard is in `kling_new`. All of it stands at the root and below `/kling`, for other providers have paths such
as `/v1/images/generations` too. There is no cancel. Here one origin answers for all regions. Not built: avatars,
effects, expand, sounds, elements, voices, the previous lip-sync, and the models 4.0, whose paths are uncertain; what is
not built is answered 404 (1202) as any path that does not exist.

Uncertain on the live service: whether an external_task_id that came before is refused (setting `kling_duplicate_ids`),
and whether 1202 or 1203 answers for a path that does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from hoasi.sandbox import kling_new
from hoasi.sandbox.gate import Gate
from hoasi.sandbox.kling_account import Task
from hoasi.sandbox.kling_auth import check_key
from hoasi.sandbox.kling_costs import Costs
from hoasi.sandbox.kling_errors import REFUSALS, error, refusal, success
from hoasi.sandbox.kling_faces import Faces
from hoasi.sandbox.kling_fields import Endpoint, v1_endpoints
from hoasi.sandbox.kling_intake import Intake
from hoasi.sandbox.kling_shapes import status_of, v1_receipt, v1_task

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PREFIX = kling_new.PREFIX
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_NOWHERE = ("/v1/images", "/v1/videos", "/v1/audio", "/v1/general", "/account", "/tasks")
_BY_EXTERNAL_ID_NOT = frozenset({"videos/advanced-lip-sync"})  # documents only task_id
MOST_PAGES = 1000
MOST_ON_A_PAGE = 500
_USUAL_PAGE = 30


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Serve Kling's wire from a sandbox, below `/kling` and at the root."""
    intake = Intake(sandbox)
    nowhere = [*_NOWHERE, *kling_new.capabilities()]
    own: list[BaseRoute] = [
        *Old(sandbox, intake).routes(),
        *kling_new.New(sandbox, intake).routes(),
        Costs(sandbox).route(),
        *(Route(path, _nowhere, methods=_METHODS) for start in nowhere for path in (start, start + "/{rest:path}")),
    ]
    return [Mount(PREFIX, routes=own), *own]


async def _nowhere(request: Request) -> Response:
    return error(1202, f"{request.method} {request.url.path} does not exist")


class Old:
    """The old standard of one sandbox."""

    def __init__(self, sandbox: Sandbox, intake: Intake) -> None:
        self._sandbox = sandbox
        self._intake = intake

    def routes(self) -> list[Route]:
        """Serve create, query and list of every capability."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, _model_of, REFUSALS)
        found: list[Route] = []
        for endpoint in v1_endpoints().values():
            path = f"/v1/{endpoint.path}"
            if endpoint.makes == "faces":
                found.append(Faces(self._sandbox, self._intake, endpoint).route(gate))
                continue
            found += [
                Route(path, gate("submit", self._create), methods=["POST"]),
                Route(path, gate("status", self._list), methods=["GET"]),
                Route(path + "/{id}", gate("status", self._query), methods=["GET"]),
            ]
        return found

    async def _create(self, request: Request) -> Response:
        check_key(self._sandbox, request)
        return success(v1_receipt(await self._intake.task(request, _endpoint(request))))

    async def _query(self, request: Request) -> Response:
        check_key(self._sandbox, request)
        task = self._find(request.path_params["id"], _endpoint(request))
        if task is None:
            raise refusal(1203, "The task does not exist")
        return success(v1_task(task, status_of(self._sandbox, task)))

    async def _list(self, request: Request) -> Response:
        check_key(self._sandbox, request)
        page = _number(request, "pageNum", 1, MOST_PAGES)
        size = _number(request, "pageSize", _USUAL_PAGE, MOST_ON_A_PAGE)
        tasks = [task for task in self._sandbox.kling.newest() if self._is_there(task, _endpoint(request))]
        shown = tasks[(page - 1) * size : page * size]
        return success([v1_task(task, status_of(self._sandbox, task)) for task in shown])

    def _find(self, task_id: str, endpoint: Endpoint) -> Task | None:
        account = self._sandbox.kling
        task = account.tasks.get(task_id)
        if task is None and endpoint.path not in _BY_EXTERNAL_ID_NOT:
            task = account.by_external_id(task_id)
        return task if task and self._is_there(task, endpoint) else None

    def _is_there(self, task: Task, endpoint: Endpoint) -> bool:
        return task.endpoint is endpoint and not self._sandbox.is_forgotten(task.submission)


def _endpoint(request: Request) -> Endpoint:
    return v1_endpoints()["/".join(request.url.path.removeprefix(PREFIX).split("/")[2:4])]


def _model_of(request: Request) -> str:
    return _endpoint(request).name


def _number(request: Request, name: str, usual: int, most: int) -> int:
    given = request.query_params.get(name, str(usual))
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= most):
        raise refusal(1201, f"{name} must be a number from 1 to {most}")
    return int(given)
