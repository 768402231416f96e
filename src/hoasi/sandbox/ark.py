"""Room: sandbox. Seedream on Volcengine Ark and BytePlus ModelArk (official SDKs driven, docs read, 2026-11-21).

    POST /api/v3/images/generations     JSON; with `stream` server-sent events (`/api/plan/v3` is the same)

The answer holds a picture or an error per place; a group is as large as its prompt says (`4 images`), at most
`max_images`. Files live as long as `forget_after_s`. Settings: `ark_blocked` (places of a group, from 0, whose picture
is blocked), `ark_group_gives` (a group makes at most so many, whatever was asked). A fate `completed_error` fails the
whole call with its value as code.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hoasi.sandbox.ark_errors import BLOCKED, REFUSALS, error, failed_picture, refusal
from hoasi.sandbox.ark_models import Model, model_of, most_images, pictures_of
from hoasi.sandbox.easel import SIDES, Recipe
from hoasi.sandbox.gate import Gate
from hoasi.sandbox.line import Submission
from hoasi.sandbox.shelf import PREFIX, Stored

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

PATH = "/images/generations"
STARTS = ("/api/v3", "/api/plan/v3")
_COUNT = re.compile(r"(\d{1,2})\s*(?:\u5f20|images|pictures)")
_FIELDS = frozenset(
    {
        "model", "prompt", "image", "size", "sequential_image_generation", "sequential_image_generation_options",
        "response_format", "stream", "watermark", "seed", "guidance_scale", "output_format",
        "optimize_prompt_options", "optimize_prompt", "tools", "layer_decomposition", "background",
    }
)  # fmt: skip


def routes(sandbox: Sandbox) -> list[Route]:
    """Serve Ark's wire from a sandbox."""
    studio = Atelier(sandbox)
    gate = Gate(sandbox.faults, sandbox.counters, lambda _: "seedream", REFUSALS)
    return [Route(start + PATH, gate("submit", studio.make), methods=["POST"]) for start in STARTS]


class Atelier:
    """Makes the pictures of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def make(self, request: Request) -> Response:
        """Answer one call, whole or as a stream."""
        self._check_key(request)
        body = await _object(request)
        name = str(body.get("model", ""))
        model = model_of(name)
        if model is None:
            raise refusal("InvalidEndpointOrModel.NotFound", f"The model or endpoint {name} does not exist")
        if wrong := next(model.problems(body), None):
            raise refusal("InvalidParameter", f"The parameter `{wrong[0]}` is not valid: {wrong[1]}", wrong[0])
        submission = self._sandbox.line.accept("seedream", body)
        self._sandbox.counters.accepted(name, body, unknown=set(body) - _FIELDS)
        places = list(self._places(submission, model, str(request.base_url)))
        await _ended(submission)  # a stream's headers, too, come only with its first picture
        if body.get("stream") is True and not submission.failure:
            return StreamingResponse(_events(name, places), media_type="text/event-stream")
        if submission.failure or not any("url" in place for place in places):
            return error(submission.failure.type if submission.failure else BLOCKED)
        facts = {"model": name, "created": int(time.time())}
        return JSONResponse({**facts, "data": places, "usage": _usage(places)})

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key.strip() or self._sandbox.settings.reject_key:
            raise refusal("AuthenticationError", "the API key or AK/SK in the request is missing or invalid")

    def _places(self, submission: Submission, model: Model, origin: str) -> Iterator[dict[str, Any]]:
        """Yield what stands in each place of the answer; pictures are drawn when they are downloaded."""
        body, settings = submission.body, self._sandbox.settings
        width, height = (min(max(side, SIDES[0]), SIDES[-1]) for side in model.size(str(body.get("size", "2K"))))
        form = body.get("output_format", "jpeg")
        said = _COUNT.search(str(body["prompt"]))
        count = min(int(said[1]) if said else 1, most_images(body), settings.ark_group_gives or 99)
        for index in range(max(count, 1)):
            if index in settings.ark_blocked:
                yield failed_picture(BLOCKED)
                continue
            key = f"a/{submission.id}/{index}.{form}"
            draw = partial(self._draw, submission, (width, height), index)
            is_gone: Callable[[], bool] = partial(self._sandbox.is_forgotten, submission)
            self._sandbox.shelf.put(key, Stored(f"image/{form}", draw, "seedream", is_gone))
            yield {"url": f"{origin}{PREFIX[1:]}{key}", "size": f"{width}x{height}"}

    def _draw(self, submission: Submission, size: tuple[int, int], index: int) -> Awaitable[bytes]:
        body, is_wide = submission.body, submission.fate == "landscape"
        recipe = Recipe(
            style="blank" if submission.fate == "blank" else "storyboard",
            width=max(size) if is_wide else size[0],
            height=min(size) * 9 // 16 if is_wide else size[1],
            format=body.get("output_format", "jpeg"),
            seed=submission.number,
            prompt=str(body["prompt"]),
            index=index,
            references=len(pictures_of(body)),
        )
        return self._sandbox.easel.draw(self._sandbox.easel.plan(recipe))


async def _events(model: str, places: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Yield each picture, then what was billed."""
    facts = {"model": model, "created": int(time.time())}
    for index, place in enumerate(places):
        kind = "partial_failed" if "error" in place else "partial_succeeded"
        yield _event(f"image_generation.{kind}", {**facts, "image_index": index, **place})
    yield _event("image_generation.completed", {**facts, "usage": _usage(places)})
    yield "data: [DONE]\n\n"


def _event(kind: str, facts: Mapping[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **facts})}\n\n"


def _usage(places: list[dict[str, Any]]) -> dict[str, int]:
    sizes = [place["size"].split("x") for place in places if "url" in place]
    tokens = sum(int(width) * int(height) // 256 for width, height in sizes)
    return {"generated_images": len(sizes), "output_tokens": tokens, "total_tokens": tokens}


async def _ended(submission: Submission) -> None:
    async for _ in submission.changes():
        pass


async def _object(request: Request) -> dict[str, Any]:
    """Return the JSON body without its nulls. Raises Refusal (400) if it is no object."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refusal("InvalidParameter", "the request body is not a JSON object")
    return {name: value for name, value in body.items() if value is not None}
