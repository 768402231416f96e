"""Translator for Kling: `POST /v1/images/kolors-virtual-try-on`, a person in a garment (read 2026-11-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.providers.kling.words import pictures, said

if TYPE_CHECKING:
    from hoasi.providers._outcomes import Order

TAKES: dict[str, str] = {}
ROLES = frozenset({"references"})


def body(order: Order) -> dict[str, Any]:
    """First the person's picture, then the garment's.

    Raises:
        NotSupported: there are not two; nothing was sent.
    """
    given = pictures(order, "reference")
    if len(given) != 2:
        raise NotSupported("try_on_pictures", model=order.planned.model, count=len(given))
    return {**said(order, TAKES), "human_image": given[0], "cloth_image": given[1]}
