"""Translator for RunPod: the pictures in what a worker returns, and its words where there are none.

Shapes seen in the wild (2026-11-21): objects, data URIs, bare base64 and addresses, below one of many names. Whether a
text is a picture is decided by the text itself, never by where it stands.
"""

from __future__ import annotations

import base64
import re

from hoasi.errors import DETAIL_LIMIT
from hoasi.results import Output

KEYS = (
    "images", "image", "image_url", "videos", "video_url", "audio_url", "message", "data", "files", "result", "output",
    "job_results",
)  # fmt: skip
"""Where workers put what they made; the first that holds something counts."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_KINDS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF")


def made(value: object) -> list[Output]:
    """What was made, wherever in an output it stands."""
    if isinstance(value, str):
        return _output(value)
    if isinstance(value, list):
        return [output for item in value for output in made(item)]
    return next((found for key in KEYS if (found := made(value.get(key)))), []) if isinstance(value, dict) else []


def _output(text: str) -> list[Output]:
    """An address, a data URI or bare base64 of a picture; anything else is words."""
    if text.startswith(("http://", "https://")):
        return [Output(url=text)]
    plain = "".join((text.partition(",")[2] if text.startswith("data:") else text).split())
    if len(plain) % 4 or not _BASE64.fullmatch(plain):
        return []
    data = base64.b64decode(plain)
    return [Output(data=data)] if data.startswith(_KINDS) or data[4:8] == b"ftyp" else []


def words(value: object) -> list[str]:
    """The texts in an output that are nothing that was made."""
    if isinstance(value, dict):
        rows = [value.get(key) for key in ("error", "errors", *KEYS)]
        return [text for row in rows for text in words(row)]
    if isinstance(value, list):
        return [text for item in value for text in words(item)]
    return [value[:DETAIL_LIMIT]] if isinstance(value, str) else []
