"""Translator for OpenAI: what does not go together is refused before anything is sent (read 2026-11-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.requirements import PICTURES

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.given import Input
    from hoasi.providers._outcomes import Order
    from hoasi.records import Planned

MASK_BYTES = 4_000_000
_PNG, _SEE_THROUGH = b"\x89PNG\r\n\x1a\n", (b"\x04", b"\x06")
"""PNG's colour types with alpha (PNG third edition, 11.2.1); the type is byte 25 of the file."""


def check(planned: Planned, card: Card) -> None:
    """Refuse what OpenAI would refuse.

    Raises:
        NotSupported: a mask without picture, of another size or kind; values that exclude each other.
    """
    given = planned.parameters
    form = given.get("output_format", "png")
    if given.get("background") == "transparent" and form == "jpeg":
        raise _apart(card, "background=transparent", form)
    if "output_compression" in given and form == "png":
        raise _apart(card, f"output_compression={given['output_compression']}", form)
    masks = [item for item in planned.inputs if item.role == "mask"]
    if masks:
        _check_mask(masks[0], [item for item in planned.inputs if item.role in PICTURES], card)


def _apart(card: Card, value: str, form: str) -> NotSupported:
    return NotSupported("forbidden_together", model=card.id, values=f"{value}, output_format={form}")


def _check_mask(mask: Input, pictures: list[Input], card: Card) -> None:
    if not pictures:
        raise NotSupported("references_needed", model=card.id)
    first = pictures[0]
    if mask.promise or first.promise:
        return  # nothing is known of it yet
    if (mask.width, mask.height) != (first.width, first.height):
        sizes: dict[str, Any] = {"size": f"{first.width}x{first.height}", "other": f"{mask.width}x{mask.height}"}
        raise NotSupported("mask_size", picture=first.written, mask=mask.written, **sizes)
    if mask.media_type != "image/png" or mask.size_bytes >= MASK_BYTES:
        raise _unfit(mask, card)


def check_bytes(order: Order, card: Card) -> None:
    """Refuse a mask without transparency, which only its bytes tell; they are not there when a reply is heard again.

    Raises:
        NotSupported: it is one; nothing was sent.
    """
    opaque = [sent.item for sent in order.of("mask") if sent.data and not _is_see_through(sent.data)]
    if opaque:
        raise _unfit(opaque[0], card)


def _is_see_through(data: bytes) -> bool:
    return data.startswith(_PNG) and data[25:26] in _SEE_THROUGH


def _unfit(mask: Input, card: Card) -> NotSupported:
    return NotSupported("mask_kind", model=card.id, path=mask.written, limit=f"{MASK_BYTES / 1e6:g}")
