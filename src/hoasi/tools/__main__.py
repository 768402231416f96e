"""Writes `schemas/tools/<name>.json`: what every client gets to see of our tools, for review. `--check` only compares.

`python -m hoasi.tools [--check] [FOLDER]`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hoasi.tools import snapshot, tools

FOLDER = Path("schemas/tools")


def texts(folder: Path) -> dict[Path, str]:
    """One file a tool."""
    return {
        folder / f"{tool.name}.json": json.dumps(snapshot(tool), ensure_ascii=False, indent=2) + "\n"
        for tool in tools()
    }


def write(folder: Path) -> list[Path]:
    """Renew the files; those of tools that are gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = texts(folder)
    for old in set(folder.glob("*.json")) - set(wanted):
        old.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return sorted(wanted)


def stale(folder: Path) -> list[Path]:
    """Files that are missing, differ, or belong to no tool."""
    wanted = texts(folder)
    present = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))


def main(words: Sequence[str]) -> int:
    """The command; 1 when `--check` finds something to renew."""
    folder = next((Path(word) for word in words if word != "--check"), FOLDER)
    if "--check" not in words:
        write(folder)
        return 0
    old = stale(folder)
    sys.stderr.writelines(f"not current: {path} (renew: python -m hoasi.tools)\n" for path in old)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
