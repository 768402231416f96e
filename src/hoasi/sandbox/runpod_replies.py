"""Room: sandbox. In what shapes RunPod's workers give pictures back: where they stand (`Place`), and as what (`Form`).

RunPod fixes only the envelope; `output` is whatever a worker's own code returns. Seen in worker-comfyui 5.8.5 and
before, in RunPod's own workers and public endpoints and in others' (read 2026-11-21). Any place may meet any form.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Place = Literal[
    "images",  # output.images (worker-comfyui from 5.0)
    "job_results",  # output.job_results.images (workers that recycle themselves)
    "nested",  # output.output.images
    "top",  # images beside the status, without any output
    "message",  # output.message: the last picture only (worker-comfyui before 5.0)
    "list",  # output = [{image, seed}] (older public endpoints)
    "image_url",  # output.image_url: the first picture only (public endpoints)
    "files",  # output.files
    "info",  # output.images beside parameters and info
    "text",  # output = the first picture
    "stream",  # output = a list of what was streamed
]
Form = Literal["object", "s3", "base64", "data_uri", "url"]


@dataclass(frozen=True)
class Picture:
    """One finished picture: its name, its bytes (PNG), and where it is hosted."""

    name: str
    content: bytes
    url: str

    def written(self, form: Form) -> Any:
        """Return it as a worker writes it."""
        text = base64.b64encode(self.content).decode()
        forms: dict[Form, Any] = {
            "object": {"filename": self.name, "type": "base64", "data": text},
            "s3": {"filename": self.name, "type": "s3_url", "data": self.url},
            "base64": text,
            "data_uri": f"data:image/png;base64,{text}",
            "url": self.url,
        }
        return forms[form]


def reply(place: Place, form: Form, pictures: Sequence[Picture], seed: int) -> dict[str, Any]:
    """Return what the envelope gets: `output`, or `images` at the top."""
    written = [picture.written(form) for picture in pictures]
    if not written:
        return {"output": {"status": "success_no_images", "images": []}}
    shapes: dict[Place, Callable[[], Any]] = {
        "images": lambda: {"images": written},
        "job_results": lambda: {"job_results": {"images": written}},
        "nested": lambda: {"output": {"images": written}},
        "message": lambda: {"status": "success", "message": written[-1]},
        "list": lambda: [{"image": one, "seed": seed} for one in written],
        "image_url": lambda: {"image_url": written[0], "cost": 0.02},
        "files": lambda: {"files": written, "datas": {}},
        "info": lambda: {"images": written, "parameters": {}, "info": json.dumps({"seed": seed})},
        "text": lambda: written[0],
        "stream": lambda: written,
    }
    return {"images": written} if place == "top" else {"output": shapes[place]()}
