"""Room: sandbox. Replicate's webhooks: the prediction is posted when it started and when it ended (2026-11-21).

Signed as Standard Webhooks says, over `id.timestamp.body`, with the secret of `/v1/webhooks/default/secret`. Anything
but 2xx is tried again three times. Only loopback is called, so that a sandbox never reaches beyond its machine.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hoasi.sandbox.replicate_work import Prediction, Predictions, new_id

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

EVENTS = ("start", "output", "logs", "completed")
PAUSES_S = (0.0, 0.05, 0.1, 0.2)
_PATIENCE_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def secret(sandbox: Sandbox) -> str:
    """Return what deliveries are signed with."""
    return "whsec_" + base64.b64encode(sandbox.signing_seed).decode()


class Webhooks:
    """Tells of the predictions of one sandbox."""

    def __init__(self, sandbox: Sandbox, predictions: Predictions) -> None:
        self._sandbox = sandbox
        self._predictions = predictions

    def follow(self, prediction: Prediction, events: tuple[str, ...]) -> None:
        """Tell of the start and the end, as far as the caller wants to know."""
        if prediction.webhook and urlsplit(prediction.webhook).hostname in _LOOPBACK:
            self._sandbox.run_errand(self._tell(prediction, events))

    async def _tell(self, prediction: Prediction, events: tuple[str, ...]) -> None:
        if "start" in events:
            await self._deliver(prediction)
        async for _ in prediction.submission.changes():
            pass
        await asyncio.sleep(0)
        if "completed" in events:
            await self._deliver(prediction)

    async def _deliver(self, prediction: Prediction) -> None:
        import httpx

        body, delivery = json.dumps(await self._predictions.told(prediction)).encode(), f"msg_{new_id()}"
        async with httpx.AsyncClient(timeout=_PATIENCE_S, trust_env=False) as client:
            for pause_s in PAUSES_S:
                await asyncio.sleep(pause_s)
                self._sandbox.counters.webhook_posts += 1
                try:
                    answer = await client.post(prediction.webhook, content=body, headers=self._headers(delivery, body))
                except httpx.HTTPError:
                    continue
                if answer.is_success:
                    self._sandbox.counters.webhooks_delivered += 1
                    return

    def _headers(self, delivery: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        signed = hmac.digest(self._sandbox.signing_seed, f"{delivery}.{now}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(signed).decode()}"
        told = {"webhook-id": delivery, "webhook-timestamp": now, "webhook-signature": signature}
        return {"content-type": "application/json", **told}
