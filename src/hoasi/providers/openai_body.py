"""Translator for OpenAI: our parameters and pictures as its fields.

Sources: openai 3.52.0, developers.openai.com (read 2026-11-21); limits of sizes as measured by others (2026-11).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported
from hoasi.requirements import PICTURES

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order, Sent
    from hoasi.records import Planned
    from hoasi.wire import FileField

FIELDS = {
    "prompt": "prompt",
    "num_images": "n",
    "aspect_ratio": "size",
    "resolution": "size",
    "output_format": "output_format",
    "quality": "quality",
    "background": "background",
    "output_compression": "output_compression",
    "moderation": "moderation",
    "references": "image[]",
    "reference": "image",
    "mask": "mask",
}
_SIZE = re.compile(r"([0-9]+)x([0-9]+)")
_PNG = b"\x89PNG\r\n\x1a\n"


def body(planned: Planned, card: Card) -> dict[str, Any]:
    """The model's parameters under OpenAI's names; without ratio and resolution the model chooses the size.

    Raises:
        NotSupported: values that exclude each other.
    """
    made = {FIELDS[name]: value for name, value in planned.parameters.items() if FIELDS[name] != "size"}
    pixels = _size(planned, card)
    return {"model": card.id, **made, **({"size": pixels} if pixels else {})}


def files(order: Order) -> list[tuple[str, FileField]]:
    """The parts of the form: one picture as `image`, several as `image[]`, the mask."""
    pictures = order.of("source", "face", "reference")
    name = FIELDS["references" if len(pictures) > 1 else "reference"]
    parts = [(name, _part(sent, f"picture-{k}")) for k, sent in enumerate(pictures, 1)]
    return [*parts, *((FIELDS["mask"], _part(sent, "mask")) for sent in order.of("mask"))]


def _part(sent: Sent, stem: str) -> FileField:
    """Named after what the bytes are: they may have been written anew."""
    head = sent.data[:12]
    kind = "png" if head.startswith(_PNG) else "webp" if head[8:] == b"WEBP" else "jpeg"
    return f"{stem}.{kind}", sent.data, f"image/{kind}"


# ---------------------------------------------------------------------- size


def _size(planned: Planned, card: Card) -> str | None:
    """`WxH` of the asked ratio and resolution.

    Raises:
        NotSupported: exact pixels of another shape than the ratio.
    """
    ratio, asked = (planned.parameters.get(name) for name in ("aspect_ratio", "resolution"))
    if exact := _SIZE.fullmatch(asked or ""):
        if ratio and not _is_near(_quotient(ratio), int(exact[1]) / int(exact[2])):
            raise NotSupported("forbidden_together", model=card.id, values=f"aspect_ratio={ratio}, resolution={asked}")
        return str(asked)
    if ratio is None and asked is None:
        return None
    return _pixels(ratio or _nearest(planned, card), asked or "1K", card)


def _pixels(ratio: str, resolution: str, card: Card) -> str:
    if resolution == "1K" and ratio in card.sizes.names:
        return card.sizes.names[ratio]
    across, down = map(int, ratio.split(":"))
    step, longest = card.sizes.step, card.sizes.longest or 0
    unit = math.lcm(step // math.gcd(step, across), step // math.gcd(step, down))
    area = min(card.sizes.classes[resolution], longest * longest * min(across, down) // max(across, down))
    times = unit * math.isqrt(area // (across * down * unit * unit))
    return f"{across * times}x{down * times}"


def _nearest(planned: Planned, card: Card) -> str:
    """A larger picture of no asked shape keeps the first picture's, as near as there is one; else it is square."""
    pictures = [item for item in planned.inputs if item.role in PICTURES and item.height]
    shape = pictures[0].width / pictures[0].height if pictures else 1.0
    return min(card.sizes.ratios, key=lambda ratio: abs(math.log(_quotient(ratio) / shape)))


def _quotient(ratio: str) -> float:
    across, _, down = ratio.partition(":")
    return int(across) / int(down)


def _is_near(one: float, other: float) -> bool:
    """1792x1024 is what users call 16:9."""
    return abs(math.log(one / other)) < math.log(1.05)
