"""Halls (floor 6): `python -m hoasi.cli`."""

from hoasi.cli import main

main()
