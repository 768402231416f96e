"""The skills as a test reads them: pages, code spans, commands, calls, prices."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "skills").glob("*/SKILL.md"))
PAGES = sorted([ROOT / "SKILL.md", *(page for folder in FOLDERS for page in folder.rglob("*.md"))])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PRICE = re.compile(r"^\|[^|\n]+\| `([^`]+)` \| \$([\d.]+)(?: (\S.*?))? \| (\S+) \|$", re.MULTILINE)


def name_of(page: Path) -> str:
    """How a test's id names a page."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    """A page."""
    return page.read_text(encoding="utf-8")


def spans(text: str) -> list[str]:
    """What stands in `code` between the blocks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def blocks(text: str, language: str) -> list[str]:
    """The blocks of one language."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def commands(text: str) -> list[list[str]]:
    """The words of every shown command line."""
    lines = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def calls(text: str) -> list[dict[str, Any]]:
    """Every shown tool call."""
    found: list[dict[str, Any]] = []
    for block in blocks(text, "json"):
        rest = block.strip()
        while rest:
            call, end = json.JSONDecoder().raw_decode(rest)
            found.append(call)
            rest = rest[end:].strip()
    return found


def prices(text: str) -> list[tuple[str, float, str, str]]:
    """Model, dollars, "for what" and the day it was read, of every row of a price table."""
    return [(model, float(usd), unit, read) for model, usd, unit, read in _PRICE.findall(text)]
