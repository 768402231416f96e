"""Translator for Stability AI's v1 (OpenAPI document of v1, read 2026-11-21): SDXL 1.0, JSON both ways.

Kept by Stability without new features; whether it still answers is not known. It is tried. If its path is gone,
nothing was paid, and the model of today makes the picture instead: the reply and the log say so.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from hoasi import shapes
from hoasi.errors import HoasiError, NotAccepted, PaymentUnknown
from hoasi.planning import plan_request, site_of
from hoasi.providers import stability_replies
from hoasi.providers._outcomes import Done
from hoasi.providers.stability_form import seed
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.catalogue import Card, Catalogue
    from hoasi.providers._outcomes import Order
    from hoasi.records import Planned
    from hoasi.street import Reply

INSTEAD = "stable-image/generate/core"
_USUAL = "1:1"
_PLAIN = {"cfg_scale": "cfg_scale", "steps": "steps", "style_preset": "style_preset", "num_images": "samples"}


def body(order: Order, card: Card) -> dict[str, Any]:
    """Weighted prompts, one of the model's nine sizes, and the plain parameters."""
    given = order.planned.parameters
    against = given.get("negative_prompt")
    words = [{"text": given["prompt"], "weight": 1.0}, *([{"text": against, "weight": -1.0}] if against else [])]
    width, _, height = _size(given, card).partition("x")
    plain = {theirs: given[ours] for ours, theirs in _PLAIN.items() if ours in given}
    size = {"width": int(width), "height": int(height)}
    return {"text_prompts": words, **size, **plain, "seed": seed(order.planned.seed)}


def settled(planned: Planned, cards: Catalogue) -> Planned:
    """The plan with the model of today standing by, should v1 be gone; each makes one picture a call."""
    instead = cards.card(INSTEAD)
    kept = {name: value for name, value in planned.request.options.items() if name in instead.options}
    near = shapes.nearest(
        planned.request.options.get("target_size") or _size(planned.parameters, cards.card(planned.model)), instead
    )
    changed = {"model": INSTEAD, "options": kept, "aspect_ratio": near if planned.request.aspect_ratio else None}
    request = planned.request.model_copy(update=changed)
    (other,) = plan_request(request, cards, planned.inputs, site_of(planned), planned.prompt)
    return planned.model_copy(update={"alternatives": (other.model_copy(update={"stands_by": True}),)})


def _size(given: dict[str, Any], card: Card) -> str:
    """The one of the nine sizes that is asked for."""
    return card.sizes.names[given.get("aspect_ratio", _USUAL)]


def refused(reply: Reply, card: Card) -> HoasiError:
    """The error of a refused call; a path that is gone is the end of this model."""
    if reply.status in {404, 410}:
        _, words = stability_replies.read(reply)
        facts: dict[str, Any] = {"provider": "stability", "model": card.id, "status": reply.status, "instead": INSTEAD}
        return NotAccepted("model_gone", detail=words, retry="no", **facts)
    return stability_replies.refused(reply)


def done(reply: Reply) -> Done:
    """The pictures that were not blurred.

    Raises:
        ContentBlocked: all of them were. PaymentUnknown: there is none in it.
    """
    listed = reply.fields.get("artifacts")
    made = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    good = [item for item in made if item.get("finishReason") == "SUCCESS"]
    blocked = [item for item in made if item.get("finishReason") == stability_replies.FILTERED]
    if blocked and not good:
        raise stability_replies.filtered(reply.status)
    outputs = tuple(output for item in good if (output := _output(item)) is not None)
    if not outputs:
        raise PaymentUnknown("reply_unclear", provider="stability", status=reply.status)
    facts = {"seed": good[0].get("seed")} | ({"blocked": len(blocked)} if blocked else {})
    return Done(outputs, facts)


def _output(item: dict[str, Any]) -> Output | None:
    text = str(item.get("base64") or "")
    is_whole = len(text) % 4 == 0 and text.isascii() and bool(text)
    return Output(data=binascii.a2b_base64(text), media_type="image/png") if is_whole else None
