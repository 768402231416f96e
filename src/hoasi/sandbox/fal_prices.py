"""Room: sandbox. fal's price list (`GET https://api.fal.ai/v1/models/pricing`), for a handful of models.

Prices in USD as collected on 2026-11-21 from fal's pages and price lists of third parties; the live list decides.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hoasi.sandbox.fal_storage import KeyCheck

_SEEDREAM = "fal-ai/bytedance/seedream"
PRICES: dict[str, tuple[float, str]] = {
    "fal-ai/nano-banana": (0.039, "image"),
    "fal-ai/nano-banana/edit": (0.039, "image"),
    "fal-ai/nano-banana-2": (0.08, "image"),
    "fal-ai/nano-banana-2/edit": (0.08, "image"),
    "fal-ai/nano-banana-pro": (0.15, "image"),
    "fal-ai/nano-banana-pro/edit": (0.15, "image"),
    "fal-ai/flux/dev": (0.025, "megapixel"),
    "fal-ai/flux/schnell": (0.003, "megapixel"),
    "fal-ai/flux-pro/v1.1": (0.04, "image"),
    "fal-ai/flux-pro/v1.1-ultra": (0.06, "image"),
    "fal-ai/flux-pro/new": (0.05, "image"),
    "fal-ai/flux-pro/kontext": (0.04, "image"),
    "fal-ai/flux-pro/kontext/max": (0.08, "image"),
    f"{_SEEDREAM}/v4/text-to-image": (0.03, "image"),
    f"{_SEEDREAM}/v4/edit": (0.03, "image"),
    f"{_SEEDREAM}/v4.5/text-to-image": (0.04, "image"),
    f"{_SEEDREAM}/v4.5/edit": (0.04, "image"),
    "fal-ai/kling-video/v2.5-turbo/pro/image-to-video": (0.07, "second"),
}
MOST_IDS = 50
PATH = "/v1/models/pricing"


def routes(check_key: KeyCheck) -> list[Route]:
    """Serve the price list."""

    async def prices(request: Request) -> Response:
        check_key(request)
        ids = request.query_params.getlist("endpoint_id")
        if not 1 <= len(ids) <= MOST_IDS:
            return _error(400, "validation_error", f"endpoint_id must be given 1 to {MOST_IDS} times")
        if unpriced := [name for name in ids if name not in PRICES]:
            return _error(404, "not_found", f"No price for {', '.join(unpriced)}")
        return JSONResponse({"prices": [_row(name) for name in ids], "next_cursor": None, "has_more": False})

    return [Route(PATH, prices, methods=["GET"])]


def _row(endpoint_id: str) -> dict[str, object]:
    unit_price, unit = PRICES[endpoint_id]
    return {"endpoint_id": endpoint_id, "unit_price": unit_price, "unit": unit, "currency": "USD"}


def _error(status: int, kind: str, message: str) -> Response:
    docs_url = f"https://fal.ai/docs/platform-apis/errors#{kind}"
    error = {"type": kind, "message": message, "docs_url": docs_url, "request_id": "sandbox"}
    return JSONResponse({"error": error}, status)
