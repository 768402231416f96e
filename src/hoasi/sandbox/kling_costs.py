"""Room: sandbox. Kling's account: two packs and what is left in them. Free, at most one question a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoasi.sandbox.kling_account import Pack
from hoasi.sandbox.kling_auth import check_key
from hoasi.sandbox.kling_errors import refusal, success

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PACKS: dict[str, tuple[Pack, int]] = {
    "Sandbox video package": ("video", 1000),
    "Sandbox image package": ("image", 10_000),
}
_PAUSE_S = 1
_DAY_MS = 24 * 3600 * 1000
_KEPT_DAYS = 90


class Costs:
    """The packs of one sandbox's account; each is full at the start."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def route(self) -> Route:
        """Serve the one GET."""
        return Route("/account/costs", self._costs, methods=["GET"])

    async def _costs(self, request: Request) -> Response:
        check_key(self._sandbox, request)
        asked = request.query_params
        if not all(asked.get(name, "").isdecimal() for name in ("start_time", "end_time")):
            raise refusal(1201, "start_time and end_time are required, in milliseconds")
        account, now = self._sandbox.kling, self._sandbox.clock()
        if account.costs_asked_at is not None and now - account.costs_asked_at < _PAUSE_S:
            raise refusal(1302)
        account.costs_asked_at = now
        wanted = asked.get("resource_pack_name")
        packs = [self._pack(name) for name in PACKS if wanted in (None, name)]
        return success({"code": 0, "msg": "success", "resource_pack_subscribe_infos": packs})

    def _pack(self, name: str) -> dict[str, Any]:
        pack, total = PACKS[name]
        left = max(0.0, total - self._sandbox.kling.used[pack])
        bought_ms = round(time.time() * 1000) - _DAY_MS
        return {
            "resource_pack_name": name,
            "resource_pack_id": f"sandbox-{pack}",
            "resource_pack_type": "decreasing_total",
            "total_quantity": float(total),
            "remaining_quantity": round(left, 4),
            "purchase_time": bought_ms,
            "effective_time": bought_ms,
            "invalid_time": bought_ms + _KEPT_DAYS * _DAY_MS,
            "status": "online" if left else "runOut",
        }
