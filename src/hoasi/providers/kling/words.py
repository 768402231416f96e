"""Translator for Kling: our words and inputs in the form that every endpoint shares (documentation read 2026-11-21)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hoasi.catalogue import load
from hoasi.errors import NotSupported
from hoasi.given import Input, Remote
from hoasi.providers._outcomes import Sent

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order
    from hoasi.record import Role

Takes = Mapping[str, str]
"""Our word -> the field of one endpoint; "" is carried out by the endpoint's own file."""

FIELDS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "num_images": "n",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
    "references": "image_list",
    "first_frame": "image",
    "last_frame": "image_tail",
    "video": "video_url",
    "audio": "sound_file",
    "duration_s": "duration",
    "mode": "mode",
    "sound": "sound",
    "cfg_scale": "cfg_scale",
    "multi_shot": "multi_shot",
    "image_reference": "image_reference",
    "image_fidelity": "image_fidelity",
    "human_fidelity": "human_fidelity",
    "character_orientation": "character_orientation",
    "keep_original_sound": "keep_original_sound",
    "extend_direction": "prompt",
    "face_index": "face_choose",
    "sound_volume": "sound_volume",
    "original_audio_volume": "original_audio_volume",
    "sound_start_s": "sound_start_time",
    "sound_end_s": "sound_end_time",
    "sound_insert_s": "sound_insert_time",
}
"""Our word -> the field that most endpoints have for it; each endpoint's own file says what it takes."""

_FORMS: dict[str, Callable[[Any], str]] = {
    "duration_s": lambda value: f"{value:g}",
    "sound": lambda value: "on" if value else "off",
    "keep_original_sound": lambda value: "yes" if value else "no",
}
"""How v1 writes what is not text or number by nature."""


def card_of(order: Order) -> Card:
    """The card of an order's model."""
    return load("kling").card(order.planned.model)


def said(order: Order, takes: Takes) -> dict[str, Any]:
    """The parameters of an order under the names of a v1 endpoint. A word it does not know stops here, unsent."""
    values = order.planned.parameters
    return {takes[name]: _form(name, value) for name, value in values.items() if takes[name]}


def _form(name: str, value: Any) -> Any:
    return _FORMS[name](value) if name in _FORMS else value


def inline(sent: Sent) -> str:
    """A picture or sound: its bytes as base64 without any prefix, else its address."""
    return b64encode(sent.data).decode("ascii") if sent.data else sent.url


def pictures(order: Order, *roles: Role) -> list[str]:
    """The pictures with these roles, in their order."""
    return [inline(sent) for sent in order.of(*roles)]


def under(name: str, order: Order, *roles: Role) -> dict[str, str]:
    """The one picture with this role as a field; nothing where there is none."""
    found = pictures(order, *roles)
    return {name: found[0]} if found else {}


def stand_in(item: Input) -> Sent:
    """An input as it would leave, before it was read. The result of another request may be anything."""
    if item.promise:
        anything = Remote(provider="kling", id="-", url="-")
        return Sent(item.model_copy(update={"remote": anything}), url="-", data=b"-")
    if item.written.startswith("https://"):
        return Sent(item, url=item.written, data=b"-")
    remote = item.remote
    is_theirs = item.medium == "video" and remote is not None and remote.provider == "kling"
    return Sent(item, url=remote.url if remote is not None and is_theirs else "", data=b"-")


def address(sent: Sent) -> str:
    """A clip's address that Kling can fetch.

    Raises:
        NotSupported: only its number at Kling is known, and this endpoint takes none.
    """
    if not sent.url:
        raise NotSupported("input_needs_address", provider="kling", path=sent.item.written)
    return sent.url


def clip(sent: Sent) -> dict[str, str]:
    """A clip by its number where Kling made it, else by its address."""
    remote = sent.item.remote
    is_theirs = remote is not None and remote.provider == "kling" and remote.id
    return {"video_id": remote.id} if remote is not None and is_theirs else {"video_url": address(sent)}


def every(order: Order) -> dict[str, Any]:
    """What each new task gets: our own id, by which it can be found again, no watermark, where to report to."""
    own = {"external_task_id": order.id} if order.id else {}
    report = {"callback_url": order.callback_url} if order.callback_url else {}
    return {**own, "watermark_info": {"enabled": False}, **report}
