"""Halls (floor 6): the command line. `main` is the console script; the rest loads when it is needed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

_PLACES = {"--workspace": Path.is_dir, "--env-file": Path.is_file}


def main(args: Sequence[str] | None = None, prog_name: str = "hoasi") -> None:
    """The console script. Leaves by `SystemExit`: 0 made, 1 some failed, 2 wrong input, 3 a payment is not known."""
    words = sys.argv[1:] if args is None else list(args)
    places = _served(words)
    if places is not None and not sys.stdin.isatty():
        return _serve(places)
    from hoasi.cli.app import run

    return run(words, prog_name)


def _served(words: Sequence[str]) -> dict[str, Path] | None:
    """The places of `serve [--workspace DIR] [--env-file FILE]`, as clients start it; None for every other line.

    A client waits for this start, and loading the parser is a tenth of it. What is not plainly right goes there.
    """
    if words[:1] != ["serve"] or len(words) % 2 == 0:
        return None
    pairs = {name: Path(value) for name, value in zip(words[1::2], words[2::2], strict=True)}
    is_plain = len(pairs) == len(words) // 2 and all(name in _PLACES for name in pairs)
    return pairs if is_plain and all(_PLACES[name](path) for name, path in pairs.items()) else None


def _serve(places: dict[str, Path]) -> None:
    gc.disable()  # importing makes nothing but long-lived objects; looking through them again and again takes 5 %
    from hoasi.server import serve_stdio

    gc.freeze()
    gc.enable()
    serve_stdio(places.get("--workspace"), places.get("--env-file"))
