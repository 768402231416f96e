"""Halls (floor 6): the command line. `main` is the console script; the rest loads when it is needed."""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None, prog_name: str = "hoasi") -> None:
    """The console script. Leaves by `SystemExit`: 0 made, 1 some failed, 2 wrong input, 3 a payment is not known."""
    from hoasi.cli.app import run

    run(args, prog_name)
