"""What the tests of Kling's stand-in share: the calls that a client makes, and pictures as Kling takes them."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
from PIL import Image

from hoasi.sandbox import Sandbox

KEY = {"Authorization": "Bearer key"}
TEXT, IMAGE, OMNI = "/v1/videos/text2video", "/v1/videos/image2video", "/v1/videos/omni-video"
PICTURES, OMNI_PICTURES = "/v1/images/generations", "/v1/images/omni-image"
URL, CLIP = "https://example.com/a.png", "https://example.com/a.mp4"
V1 = {"prompt": "a kite", "model_name": "kling-v1"}


def picture(width: int = 320, height: int = 320, form: str = "PNG") -> str:
    """A picture as raw base64."""
    with io.BytesIO() as file:
        Image.new("RGB", (width, height)).save(file, form)
        return base64.b64encode(file.getvalue()).decode()


async def accepted(http: httpx.AsyncClient, path: str = TEXT, **body: Any) -> str:
    """Create a task and return its id."""
    answer = await http.post(path, json=body or V1)
    assert (answer.status_code, answer.json()["code"]) == (200, 0), answer.text
    told = answer.json()["data"]
    assert told.get("task_status", told.get("status")) == "submitted"
    return str(told.get("task_id") or told["id"])


def end(sandbox: Sandbox, task_id: str) -> None:
    """Let the work of a task end now: no test here races against the latency."""
    submission = sandbox.line.get(task_id)
    assert submission
    sandbox.line.end(submission)


async def told(http: httpx.AsyncClient, path: str, task_id: str) -> dict[str, Any]:
    """Ask for one task of v1."""
    answer = await http.get(f"{path}/{task_id}")
    assert (answer.status_code, answer.json()["code"]) == (200, 0), answer.text
    return dict(answer.json()["data"])


async def done(http: httpx.AsyncClient, sandbox: Sandbox, path: str = TEXT, **body: Any) -> dict[str, Any]:
    """Create a task, end it and ask for it."""
    task_id = await accepted(http, path, **body)
    end(sandbox, task_id)
    return await told(http, path, task_id)


async def content(url: str) -> httpx.Response:
    """Download without a key."""
    async with httpx.AsyncClient() as keyless:
        return await keyless.get(url)


def problem(answer: httpx.Response) -> tuple[int, int]:
    """Status and code of an error."""
    assert set(answer.json()) == {"code", "message", "request_id"}
    return answer.status_code, answer.json()["code"]
