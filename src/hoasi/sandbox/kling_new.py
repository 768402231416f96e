"""Room: sandbox. Kling's new standard: the model stands in the path (read 2026-11-21). It takes an API key only.

    POST /{text-to-video|image-to-video|omni-video|motion-control}/{model}    create
    GET  /tasks?task_ids=1,2                                                  or ?external_task_ids=a,b, never both
    POST /tasks                                                               list, by time and filters, in pages

Uncertain, chosen here: ids that nobody knows are left out of the answer; `count` is the number of all that match; the
list is the newest first; tasks of v1 are not shown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoasi.sandbox.gate import Gate
from hoasi.sandbox.kling_account import Task
from hoasi.sandbox.kling_auth import check_key
from hoasi.sandbox.kling_errors import REFUSALS, refusal, success
from hoasi.sandbox.kling_fields import new_endpoints
from hoasi.sandbox.kling_intake import Intake, json_object
from hoasi.sandbox.kling_shapes import new_receipt, new_task, status_of

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PREFIX = "/kling"
MOST_ON_A_PAGE = 500
_USUAL_PAGE = 100
_USUAL_MS = 30 * 24 * 3600 * 1000


def capabilities() -> list[str]:
    """Return the paths below which models stand."""
    return sorted({f"/{path}" for path, _ in new_endpoints()})


class New:
    """The new standard of one sandbox."""

    def __init__(self, sandbox: Sandbox, intake: Intake) -> None:
        self._sandbox = sandbox
        self._intake = intake

    def routes(self) -> list[Route]:
        """Serve create, query and list."""
        gate = Gate(self._sandbox.faults, self._sandbox.counters, self._model_of, REFUSALS)
        creates = [Route(path + "/{model}", gate("submit", self._create), methods=["POST"]) for path in capabilities()]
        return [
            *creates,
            Route("/tasks", gate("status", self._query), methods=["GET"]),
            Route("/tasks", gate("status", self._list), methods=["POST"]),
        ]

    async def _create(self, request: Request) -> Response:
        self._check_key(request)
        endpoint = new_endpoints().get(_asked(request))
        if endpoint is None:
            raise refusal(1203, f"The model {request.path_params['model']} does not exist")
        return success(new_receipt(await self._intake.task(request, endpoint)))

    async def _query(self, request: Request) -> Response:
        self._check_key(request)
        names = [name for name in ("task_ids", "external_task_ids") if request.query_params.get(name)]
        if len(names) != 1:
            raise refusal(1201, "exactly one of task_ids and external_task_ids must be given")
        return success([self._told(task) for task in self._tasks(request) if task and self._is_there(task)])

    async def _list(self, request: Request) -> Response:
        self._check_key(request)
        body = await json_object(request)
        now_ms = round(time.time() * 1000)
        start, end = _whole(body, "start_time", now_ms - _USUAL_MS), _whole(body, "end_time", now_ms)
        limit, skipped = _whole(body, "limit", _USUAL_PAGE), _whole(body, "cursor", 0)
        if not 1 <= limit <= MOST_ON_A_PAGE:
            raise refusal(1201, f"limit must be from 1 to {MOST_ON_A_PAGE}")
        wanted = _filters(body)
        within = [task for task in self._sandbox.kling.newest() if start <= task.created_ms <= end]
        found = [task for task in within if self._is_there(task) and self._passes(task, wanted)]
        shown, has_more = found[skipped : skipped + limit], skipped + limit < len(found)
        cursor = str(skipped + limit) if has_more else ""
        page = {"count": len(found), "next_cursor": cursor, "has_more": has_more}
        return success({"result": [self._told(task) for task in shown], **page})

    def _check_key(self, request: Request) -> None:
        check_key(self._sandbox, request, takes_token=False)

    def _told(self, task: Task) -> dict[str, Any]:
        return new_task(task, status_of(self._sandbox, task))

    def _tasks(self, request: Request) -> list[Task | None]:
        account, asked = self._sandbox.kling, request.query_params
        own, others = (asked.get(name, "").split(",") for name in ("task_ids", "external_task_ids"))
        return [*map(account.tasks.get, filter(None, own)), *map(account.by_external_id, filter(None, others))]

    def _is_there(self, task: Task) -> bool:
        return task.endpoint.generation == "new" and not self._sandbox.is_forgotten(task.submission)

    def _passes(self, task: Task, wanted: Mapping[str, list[str]]) -> bool:
        facts = {"status": status_of(self._sandbox, task), "product_type": task.planned.pack}
        return all(facts[name] in values for name, values in wanted.items())

    def _model_of(self, request: Request) -> str | None:
        if "model" in request.path_params:
            return f"kling/{'/'.join(_asked(request))}"
        found = next(filter(None, self._tasks(request)), None)
        return found.endpoint.name if found else None


def _asked(request: Request) -> tuple[str, str]:
    return request.url.path.removeprefix(PREFIX).split("/")[1], request.path_params["model"]


def _whole(body: Mapping[str, Any], name: str, usual: int) -> int:
    given = body.get(name)
    text = str(usual if given in (None, "") else given)
    if not (text.isascii() and text.isdigit()):
        raise refusal(1201, f"{name} must be a whole number")
    return int(text)


def _filters(body: Mapping[str, Any]) -> dict[str, list[str]]:
    try:
        wanted = {row["key"]: list(row["values"]) for row in body.get("filters") or ()}
    except (TypeError, KeyError):
        raise refusal(1201, "filters must be a list of key and values") from None
    if not wanted.keys() <= {"status", "product_type"}:
        raise refusal(1201, "filters know status and product_type only")
    return wanted
