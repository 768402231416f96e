"""Room: sandbox. The way in for Kling's paid requests: checked, accepted, counted, followed.

Order on the way in: key, JSON, fields, rules, media, other checks, external id, slots. The first thing wrong is the
answer, and nothing is accepted. `checks_input` does not concern Kling: it documents its errors as answers to the POST.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from hoasi.sandbox.kling_account import Task, new_id
from hoasi.sandbox.kling_callbacks import Callbacks
from hoasi.sandbox.kling_checks import CHECKS
from hoasi.sandbox.kling_errors import refusal
from hoasi.sandbox.kling_fields import Endpoint
from hoasi.sandbox.kling_media import wrong_medium
from hoasi.sandbox.kling_work import Work

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

_OWN_WORDS = frozenset({"external_task_id", "callback_url", "options"})  # they do not change what is bought


class Intake:
    """Takes requests into one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._callbacks = Callbacks(sandbox)
        self.work = Work(sandbox)

    async def task(self, request: Request, endpoint: Endpoint) -> Task:
        """Accept a task. Raises Refusal (400 bad body or id, 429 no slot is free)."""
        body = self.checked(endpoint, await json_object(request), request)
        options = body.get("options", body)
        external_id = options.get("external_task_id", "")
        self._check_id(external_id)
        planned = await self.work.plan(endpoint, body, str(request.base_url))
        slots = len(planned.made)
        if not self._sandbox.line.has_room(slots):
            raise refusal(1303)
        submission = self._sandbox.line.accept(endpoint.name, body, slots=slots, named=new_id())
        now_ms = round(time.time() * 1000)
        task = Task(submission, endpoint, body, planned, now_ms, external_id, options.get("callback_url"))
        self._sandbox.kling.tasks[task.id] = task
        self._sandbox.kling.used[planned.pack] += planned.units
        self.count(endpoint, await json_object(request))
        self.work.host(task)
        self._callbacks.follow(task)
        return task

    def checked(self, endpoint: Endpoint, body: Mapping[str, Any], request: Request) -> dict[str, Any]:
        """Return a body with defaults. Raises Refusal (400) with the first thing that is wrong."""
        wrong = next(endpoint.misshapen(body), None)
        if wrong is None:
            wrong = next(self._problems(endpoint, endpoint.filled(body), request.url.netloc), None)
        if wrong is not None:
            raise refusal(1201, wrong)
        return endpoint.filled(body)

    def count(self, endpoint: Endpoint, body: Mapping[str, Any]) -> None:
        """Count what will be billed; ids and callbacks of the caller's do not make it another input."""
        bought = {name: value for name, value in body.items() if name not in _OWN_WORDS}
        self._sandbox.counters.accepted(endpoint.name, bought, unknown=endpoint.unknown(body))

    def _problems(self, endpoint: Endpoint, body: Mapping[str, Any], own: str) -> Iterator[str]:
        yield from endpoint.broken(body)
        for medium in endpoint.media(body):
            if wrong := wrong_medium(medium, self._sandbox.shelf, own):
                yield wrong
        for name in endpoint.checks:
            if wrong := CHECKS[name](self._sandbox, body):
                yield wrong

    def _check_id(self, external_id: str) -> None:
        earlier = self._sandbox.kling.by_external_id(external_id)
        if earlier is None or self._sandbox.is_forgotten(earlier.submission):
            return
        if self._sandbox.settings.kling_duplicate_ids == "rejected":
            raise refusal(1201, "external_task_id already exists")


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON body. Raises Refusal (400) if it is no object."""
    try:
        body = await request.json()
    except ValueError:
        raise refusal(1200, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise refusal(1200, "The body must be an object")
    return body
