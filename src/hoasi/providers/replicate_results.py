"""Translator for Replicate: the results of a prediction, in all the forms that models have for them."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.catalogue import Card

_DATA = re.compile(r"data:([\w.+/-]+);base64,([A-Za-z0-9+/]*)=*", re.ASCII)


def outputs(told: object) -> tuple[Output, ...]:
    """A model gives one address, a list of them, or an object that holds some; text is no result here."""
    listed = told if isinstance(told, list) else list(told.values()) if isinstance(told, dict) else [told]
    inner = [one for value in listed for one in (value if isinstance(value, list) else [value])]
    found = [_output(one) for one in inner if isinstance(one, str)]
    return tuple(output for output in found if output is not None)


def _output(text: str) -> Output | None:
    if text.startswith(("https://", "http://")):
        return Output(url=text)
    match = _DATA.fullmatch(text)
    if match is None or len(match[2]) % 4 == 1:
        return None
    return Output(data=base64.b64decode(match[2] + "=" * (-len(match[2]) % 4)), media_type=match[1])


def facts(told: dict[str, Any], card: Card) -> dict[str, Any]:
    """What it used, and what that cost where pictures have a price."""
    told_of = told.get("metrics")
    metrics = told_of if isinstance(told_of, dict) else {}
    kept = {n: metrics[n] for n in ("predict_time", "image_count") if isinstance(metrics.get(n), int | float)}
    count, price = metrics.get("image_count"), card.price
    if isinstance(count, int) and price is not None and price.unit == "image" and not (price.by or price.rates):
        return {**kept, "cost_usd": round(price.usd * count, 6)}
    return kept
