"""Translator for Ark: our parameters and pictures as the body of an image call.

What a model lacks must not be sent at all, so the fields come from its card. Chinese and English prompts name their
pictures by number (`image 1`), and a group is as large as its prompt says: the number is written there, too.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hoasi.catalogue import load

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order, Sent

FIELDS = {
    "prompt": "prompt",
    "num_images": "sequential_image_generation_options",
    "aspect_ratio": "size",
    "resolution": "size",
    "output_format": "output_format",
    "references": "image",
}
USUAL = "2K"
"""The size class when none is asked for: every model has it."""
_BYTEPLUS = "bytepluses.com"


def body(order: Order, address: str) -> dict[str, Any]:
    """The whole body; no field that the model's card does not know. The watermark is always off."""
    given, count = order.planned.parameters, len(order.planned.stems)
    card = load("ark").card(order.planned.model)
    pictures = [picture(sent) for sent in order.of("reference")]
    return {
        "model": named(card.id, address),
        "prompt": counted(given["prompt"], count),
        "size": size(given, card),
        "response_format": "url",
        "watermark": False,
        **({"image": pictures} if pictures else {}),
        **({"output_format": given["output_format"]} if "output_format" in given else {}),
        **(_group(count) if count > 1 else {}),
    }


def _group(count: int) -> dict[str, Any]:
    """Several pictures of one call; the model may still make fewer."""
    return {
        "sequential_image_generation": "auto",
        "sequential_image_generation_options": {"max_images": count},
        "stream": True,
    }


def named(model: str, address: str) -> str:
    """The model's id as the platform at this address writes it: BytePlus has no `doubao-` before it."""
    is_byteplus = (urlsplit(address).hostname or "").endswith(_BYTEPLUS)
    return model.removeprefix("doubao-") if is_byteplus else model


def counted(prompt: str, count: int) -> str:
    """A prompt that says how many pictures are wanted, unless it does so already."""
    is_said = re.search(rf"(?<!\d){count}\s*(?:\u5f20|images|pictures)", prompt, re.IGNORECASE)
    return prompt if count == 1 or is_said else f"{prompt}\n\nGenerate {count} images."


def size(given: dict[str, Any], card: Card) -> str:
    """A class, which leaves the shape to the model, or exact pixels of the asked shape in that class: never mixed."""
    wanted = str(given.get("resolution", USUAL))
    if "aspect_ratio" not in given:
        return wanted
    times = float(wanted.removesuffix("K")) / float(USUAL.removesuffix("K"))
    width, _, height = card.sizes.names[given["aspect_ratio"]].partition("x")
    return f"{round(int(width) * times)}x{round(int(height) * times)}"


def picture(sent: Sent) -> str:
    """An address that Ark can fetch, or the bytes themselves."""
    if sent.url:
        return sent.url
    return f"data:{sent.item.media_type};base64,{base64.b64encode(sent.data).decode()}"
