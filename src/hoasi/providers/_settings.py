"""Translators (floor 2): what a provider knows of a plan before money, and what settings of this process change.

`told` is always the same: of the settings that a provider heeds those that are set, by their names; else empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from hoasi.records import Planned


@runtime_checkable
class Heeds(Protocol):
    """Goes by settings of this process: it is told them, here and as `Wire.told`."""

    variables: tuple[str, ...]
    """Their environment names."""


@runtime_checkable
class Settles(Protocol):
    """Has the last word on a plan."""

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:
        """Make once what would be sent, before money: the plan with limits and notes. Raises WrongInput: it cannot."""
        ...


@runtime_checkable
class Needs(Protocol):
    """Cannot send some requests before a setting is there."""

    def missing(self, planned: Planned, told: Mapping[str, str]) -> tuple[str, ...]:
        """Names of which one has to be set for this request, and none is."""
        ...


@runtime_checkable
class AddsHeaders(Protocol):
    """Sends headers that settings name, with every request, besides those of the key."""

    def headers(self, told: Mapping[str, str]) -> dict[str, str]:
        """These headers; empty where nothing is set. Raises WrongInput: a setting holds none."""
        ...
