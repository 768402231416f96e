r"""Room: sandbox. fal's webhooks: what is posted to `?fal_webhook=` when a request ended (documentation, 2026-11-21).

Signed with ED25519 over `request id \n user id \n timestamp \n hex SHA-256 of the body`; the public key is served as a
JWKS at `/.well-known/jwks.json`, without a key. Like the live service it tries again after anything but 2xx and gives
up on 3xx; unlike it, it tries again within a second, and it does the opposite with addresses: there loopback is
refused, here nothing else is called, so that a sandbox never reaches beyond its machine.

Uncertain on the live service: whether a target that is no URL is refused at submit, and what a cancelled request posts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox.fal_errors import failure, model_error, problem
from hoasi.sandbox.fal_work import LOOPBACK, Work, split
from hoasi.sandbox.gate import Refusal
from hoasi.sandbox.line import Submission

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from hoasi.sandbox.sandbox import Sandbox

JWKS_PATH = "/.well-known/jwks.json"
USER_ID = "sandbox-user"
PAUSES_S = (0.0, 0.05, 0.1, 0.2)  # before the first try and before each of the three that may follow
_TIMEOUT_S = 15.0


class Webhooks:
    """The webhooks of one sandbox."""

    def __init__(self, sandbox: Sandbox, work: Work) -> None:
        self._sandbox = sandbox
        self._work = work

    def routes(self) -> list[Route]:
        """Serve the public key."""
        return [Route(JWKS_PATH, self._jwks, methods=["GET"])]

    def target(self, request: Request) -> str | None:
        """Return where a submission wants to be told of its end. Raises Refusal (422) for what is no http URL."""
        url = request.query_params.get("fal_webhook")
        if url is None or (split(url).scheme in ("http", "https") and split(url).hostname):
            return url
        raise Refusal(model_error([problem("url_parsing", ("query", "fal_webhook"), "Input should be a URL", url)]))

    def promise(self, submission: Submission, url: str, origin: str) -> None:
        """Post the result, or the error, when the submission has ended; its media are hosted below `origin`."""
        if split(url).hostname in LOOPBACK:
            self._sandbox.run_errand(self._deliver(submission, url, origin))

    async def _deliver(self, submission: Submission, url: str, origin: str) -> None:
        async for _ in submission.changes():
            pass
        body = await self._body(submission, origin)
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            status = await self._post(url, submission.id, body)
            if 200 <= status < 400:
                self._sandbox.counters.webhooks_delivered += status < 300
                return

    async def _body(self, submission: Submission, origin: str) -> bytes:
        told: dict[str, Any] = {"request_id": submission.id, "gateway_request_id": submission.id}
        if submission.failure is None:
            told |= {"status": "OK", "payload": await self._work.result(submission, origin)}
        else:
            answer = failure(submission.failure.type, submission.failure.problems)
            error = f"Invalid status code: {answer.status_code}"
            told |= {"status": "ERROR", "error": error, "payload": json.loads(bytes(answer.body))}
        return json.dumps(told).encode()

    async def _post(self, url: str, request_id: str, body: bytes) -> int:
        """Return the status of the answer; 0 where there was none."""
        from aiohttp import ClientError, ClientSession, ClientTimeout

        self._sandbox.counters.webhook_posts += 1
        headers = {"Content-Type": "application/json", **self._signed(request_id, body)}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=_TIMEOUT_S)) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return answer.status
        except (ClientError, TimeoutError):
            return 0

    def _signed(self, request_id: str, body: bytes) -> dict[str, str]:
        seconds = str(int(time.time()))
        message = "\n".join((request_id, USER_ID, seconds, hashlib.sha256(body).hexdigest()))
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": USER_ID,
            "X-Fal-Webhook-Timestamp": seconds,
            "X-Fal-Webhook-Signature": self._key().sign(message.encode()).hex(),
        }

    async def _jwks(self, request: Request) -> Response:  # noqa: ARG002 - 2026-11-21, Starlette's signature
        x = base64.urlsafe_b64encode(self._key().public_key().public_bytes_raw()).decode().rstrip("=")
        return JSONResponse({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "sandbox", "use": "sig", "x": x}]})

    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._sandbox.signing_seed)
