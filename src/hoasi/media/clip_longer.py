"""Workbench (floor 1): a clip that is in memory, continued: it lies in a temporary folder while that is done."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import Literal

from hoasi.media.clip_open import need_av
from hoasi.media.kenburns import extend


def longer(
    clip: bytes, name: str, *, duration_s: float, direction: Literal["end", "start"], seed: int, mark: str
) -> bytes:
    """As `kenburns.extend`; `name` is what the clip is called in its errors. No file is left.

    Raises:
        FileBroken, NotSupported: as `kenburns.extend`.
    """
    need_av()
    with tempfile.TemporaryDirectory(prefix="hoasi-") as folder:
        path = Path(folder) / (PurePosixPath(name).name or "clip")
        path.write_bytes(clip)
        return extend(path, duration_s=duration_s, direction=direction, seed=seed, mark=mark)
