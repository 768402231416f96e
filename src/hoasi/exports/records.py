"""Floor 3, writers: `assets.json`, a record of each picture of a script's project, as the ledger knows it.

Contract: schemas/assets.schema.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from hoasi.files import replace_file
from hoasi.record import Record
from hoasi.records import Generation, iso


class AssetRecord(Record):
    """One picture that lies there. `prompt` is the script's own, `index` counts its described segments from 1."""

    id: str
    project_id: str
    type: Literal["image"] = "image"
    file_path: str
    prompt: str
    index: int
    created_at: str


def record(generation: Generation) -> AssetRecord:
    """What is told of a picture under a fixed name."""
    place = PurePosixPath(f"{generation.planned.fixed_name}.png")
    number = re.search(r"(\d+)$", place.stem)
    return AssetRecord(
        id=generation.id,
        project_id=place.parent.name,
        file_path=str(place),
        prompt=generation.planned.request.prompt,
        index=int(number[1]) if number else 0,
        created_at=iso(generation.finished_at or generation.created_at),
    )


def records(generations: Sequence[Generation]) -> list[AssetRecord]:
    """In the order of the script."""
    return sorted(map(record, generations), key=lambda one: one.index)


def write(path: Path, generations: Sequence[Generation], temp_name: str) -> None:
    """The whole file anew, unless it says that already.

    Raises:
        DiskTrouble: no room, or no right; the file is as it was.
    """
    rows = [row.model_dump(mode="json") for row in records(generations)]
    text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    if rows and not (path.is_file() and path.read_bytes() == text.encode()):
        replace_file(path, text.encode(), temp_name)
