"""Translator for ComfyUI: the headers that a proxy before it wants, as a setting.

`Name: value`, several divided by `;`, or one a line: then a value may hold a `;`.
"""

from __future__ import annotations

import re

from hoasi.errors import WrongInput

NAME = "HOASI_COMFYUI_HEADERS"
_ROW = re.compile(r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*:\s*([ -~]*?)\s*")
_OWN = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade"})
"""What the street itself writes."""


def read(text: str) -> dict[str, str]:
    """The headers, their names in lower case.

    Raises:
        WrongInput: `setting_bad`; the text is not told, for it may be a secret.
    """
    lines = text.strip().splitlines()
    parts = lines if len(lines) > 1 else text.split(";")
    rows = [_ROW.fullmatch(part) for part in parts if part.strip()]
    found = {row[1].lower(): row[2] for row in rows if row is not None}
    if None in rows or _OWN & found.keys():
        raise WrongInput("setting_bad", name=NAME, example="X-Token: abc; X-Team: hoasi")
    return found
