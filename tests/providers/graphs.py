"""What tests of the providers that run graphs share: a studio on the sandbox, a picture, a mask, and what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hoasi import Ask, Studio
from hoasi.answers import Entry
from hoasi.given import Given
from hoasi.records import Request
from hoasi.sandbox import Sandbox

GRAPH_KEY = "rpa_5f3c9a7d1e2b"
PLACES = {"RUNPOD_SERVER_100_ID": "wizard1", "RUNPOD_SERVER_150_ID": "fifty1"}
QUICK = {"POLLING_INTERVAL": "0.02"}


def graph_environ(url: str, **more: str) -> dict[str, str]:
    """An environment in which both providers are the sandbox at `url`."""
    keys = {"RUNPOD_API_KEY": GRAPH_KEY, "HOASI_RUNPOD_URL": url, "HOASI_COMFYUI_URL": f"{url}/comfyui"}
    return {**keys, **PLACES, **QUICK, **more}


class Mute:
    """A server that does not say what it has: what is asked of `/object_info` is a 404, or what it is told to give."""

    def __init__(self, inner: ASGIApp, answer: ASGIApp | None = None) -> None:
        self._inner = inner
        self._answer = Response(status_code=404) if answer is None else answer
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        is_it = scope.get("path", "").endswith("/object_info")
        self.asked += is_it
        await (self._answer if is_it else self._inner)(scope, receive, send)


@asynccontextmanager
async def graph_studio(root: Path, url: str, **more: str) -> AsyncIterator[Studio]:
    """A studio in which both providers are the sandbox at `url`."""
    async with Studio(root, environ=graph_environ(url, **more)) as studio:
        yield studio


def wanted(provider: str, prompt: str = "a kite over a dike", **more: Any) -> Request:
    """One picture of a provider that runs graphs."""
    return Request.model_validate({"prompt": prompt, "provider": provider, "aspect_ratio": "1:1", **more})


def edited(provider: str, picture: Path, mask: Path | None = None, **more: Any) -> Request:
    """One picture made from another, inside a mask if there is one."""
    given = (Given(role="mask", written=str(mask)),) if mask else ()
    return Request.model_validate(
        {
            "prompt": "a red kite",
            "operation": "edit_image",
            "provider": provider,
            "references": (str(picture),),
            "inputs": given,
            **more,
        }
    )


def call(*requests: Request, **more: Any) -> Ask:
    """A call for these, into the job."""
    return Ask.model_validate({"requests": requests, "job_id": "job-1", "no_faces": True, **more})


def picture(path: Path, size: tuple[int, int] = (320, 192), colour: str = "blue") -> Path:
    """A picture without a face."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


async def one(studio: Studio, request: Request, **more: Any) -> Entry:
    """The only generation of a call."""
    return (await studio.generate(call(request, **more))).generations[0]


def posts(sandbox: Sandbox, path: Callable[[str], bool]) -> int:
    """How often a path was posted to."""
    return sum(method == "POST" and path(where) for method, where in sandbox.stats()["requests"])
