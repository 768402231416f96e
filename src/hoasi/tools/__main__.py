"""Writes `schemas/tools/<name>.json`: what every client gets to see of our tools, for review. A test compares them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hoasi.tools import snapshot, tools


def write(folder: Path) -> list[Path]:
    """One file a tool; files of tools that are gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / f"{tool.name}.json": json.dumps(snapshot(tool), ensure_ascii=False, indent=2) for tool in tools()}
    for old in set(folder.glob("*.json")) - set(texts):
        old.unlink()
    for path, text in texts.items():
        path.write_text(f"{text}\n", encoding="utf-8")
    return sorted(texts)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("schemas/tools"))
