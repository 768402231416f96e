"""Room: sandbox. Callbacks: Kling tells a URL of every change of a task (read 2026-11-21).

Signed as Standard Webhooks says, over `id.timestamp.body`, unless `kling_signs_callbacks` is off. Anything but a 2xx is
tried again three times, quickly, then dropped: Kling's own policy is not documented.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from hoasi.sandbox.kling_account import Status, Task
from hoasi.sandbox.kling_shapes import status_of, told

if TYPE_CHECKING:
    import httpx

    from hoasi.sandbox.sandbox import Sandbox

KLING_WEBHOOK_SECRET = "whsec_a2xpbmctc2FuZGJveC13ZWJob29rLXNlY3JldC0zMg=="  # noqa: S105 - a stand-in's, no secret
RETRIES = 3
_PAUSE_S = 0.05
_PATIENCE_S = 5.0


def signature(message_id: str, timestamp: int, body: bytes, secret: str = KLING_WEBHOOK_SECRET) -> str:
    """Return the value of `webhook-signature` for a body; `timestamp` in seconds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


class Callbacks:
    """Tells of the tasks of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def follow(self, task: Task) -> None:
        """Tell of each change of a task until it ends, if its caller wants to be told."""
        if task.callback_url:
            self._sandbox.run_errand(self._tell_all(task, task.callback_url))

    async def _tell_all(self, task: Task, url: str) -> None:
        import httpx

        async with httpx.AsyncClient(timeout=_PATIENCE_S, trust_env=False) as client:
            await self._tell(client, url, task, "submitted")
            await self._rest(task)
            await self._tell(client, url, task, "processing")
            async for _ in task.submission.changes():
                pass
            await self._tell(client, url, task, status_of(self._sandbox, task))

    async def _rest(self, task: Task) -> None:
        async for state in task.submission.changes():
            if state != "waiting":
                break
        if task.submission.state == "running":
            await asyncio.sleep(self._sandbox.settings.kling_submitted_s)

    async def _tell(self, client: httpx.AsyncClient, url: str, task: Task, status: Status) -> None:
        body, message_id = json.dumps(told(task, status)).encode(), str(uuid4())
        for tries in range(1 + RETRIES):
            await asyncio.sleep(_PAUSE_S * tries)
            if await self._is_taken(client, url, body, message_id):
                self._sandbox.counters.webhooks_delivered += 1
                return

    async def _is_taken(self, client: httpx.AsyncClient, url: str, body: bytes, message_id: str) -> bool:
        import httpx

        self._sandbox.counters.webhook_posts += 1
        try:
            answer = await client.post(url, content=body, headers=self._headers(message_id, body))
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.is_success

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if not self._sandbox.settings.kling_signs_callbacks:
            return headers
        now = int(time.time())
        signed = {"webhook-timestamp": str(now), "webhook-signature": signature(message_id, now, body)}
        return {**headers, "webhook-id": message_id, **signed}
