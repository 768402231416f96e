"""The rules of the house that a program can check (the floors are checked by import-linter in `make lint`)."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "hoasi").rglob("*.py"))
FORBIDDEN = {"utils", "helpers", "common", "core", "misc", "manager", "service", "handler", "data"}


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Every function with the lines of its body: signature and docstring do not count."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_is_ascii_short_and_says_which_room_it_is(path: Path) -> None:
    """A source file is ASCII, has a module text, no assert, and at most 300 lines (providers 150, tools 80)."""
    text = path.read_text(encoding="ascii")
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "no module docstring"
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Assert)], "assert in a source"
    most = {"providers": 175 if path.name.startswith("_") else 150, "tools": 150 if path.name.startswith("_") else 80}
    rooms = path.relative_to(ROOT / "src" / "hoasi").parts[:-1]
    assert text.count("\n") <= most.get(rooms[0] if rooms else "", 300)
    assert path.stem not in FORBIDDEN


def test_functions_are_small() -> None:
    """Function bodies have a median of at most 8 lines and none is over 30."""
    sizes = {f"{p.name}:{f.name}": lines for p in SOURCES for f, lines in functions(p)}
    assert statistics.median(sizes.values()) <= 8
    assert {name: lines for name, lines in sizes.items() if lines > 30} == {}


def test_providers_only_translate() -> None:
    """A provider's file holds no loop, no try, no wait, and never imports HTTP, files or the environment."""
    rooms = ROOT / "src" / "hoasi" / "providers"
    for path in [*rooms.glob("[a-z]*.py"), *rooms.glob("*/*.py")]:
        tree = ast.parse(path.read_text(encoding="ascii"))
        kinds = (ast.For, ast.AsyncFor, ast.While, ast.Try)
        assert not [n for n in ast.walk(tree) if isinstance(n, kinds)], path.name
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not imported & {"httpx", "aiohttp", "os", "pathlib", "time", "logging", "asyncio"}, path.name


def test_only_settings_reads_the_environment() -> None:
    """`os.environ` is read in one file."""
    readers = [
        p.name for p in SOURCES if "os.environ" in p.read_text(encoding="ascii") or "getenv" in p.read_text("ascii")
    ]
    assert readers == ["settings.py"]


def test_nothing_is_left_open() -> None:
    """No placeholder stands in a source."""
    words = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [p.name for p in SOURCES if words.search(p.read_text(encoding="ascii"))] == []
