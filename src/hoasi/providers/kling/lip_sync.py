"""Translator for Kling: lip sync in two paid steps (read 2026-11-21).

1. `POST /v1/videos/identify-face` answers at once: a session of 24 h and the faces of the clip with their times.
2. `POST /v1/videos/advanced-lip-sync` with one of these faces and a sound makes the clip.

The sound may neither begin before the clip nor end after it. Both steps take no model. Where the reply of the first
step is lost nobody can be asked; the second one is looked for in the list of tasks, the only look-up with our own id
that is documented for it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from hoasi.errors import NotSupported, PaymentUnknown, ProviderRefused
from hoasi.providers._outcomes import Handle, Step
from hoasi.providers.kling import refusals
from hoasi.providers.kling.bills import identified_usd
from hoasi.providers.kling.old import PAGE, Old, named
from hoasi.providers.kling.words import clip, inline

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.providers._outcomes import Order
    from hoasi.wire import Wire

TAKES = {
    "face_index": "face_id",
    "sound_volume": "sound_volume",
    "original_audio_volume": "original_audio_volume",
    "sound_start_s": "sound_start_time",
    "sound_end_s": "sound_end_time",
    "sound_insert_s": "sound_insert_time",
}
ROLES = frozenset({"video", "audio"})
IDENTIFY_READ_S = 120.0
"""It looks through the whole clip before it answers."""
LEAST_S, MOST_MS = 2.0, 60_000
"""How much of a sound must be heard at least, and how long a sound may be."""
_VOLUMES = ("sound_volume", "original_audio_volume")


async def send(wire: Wire, order: Order, card: Card) -> Handle | Step:
    """One of the two paid steps."""
    if order.step is None:
        return await _identify(wire, order)
    return await Old().create(wire, order, card, body(order, order.step), float(order.step["spent_usd"]))


async def find(wire: Wire, order: Order, card: Card) -> Handle | None:
    """The second step in the list; tasks in it that name no id of a caller could be ours.

    Raises:
        PaymentUnknown: nobody can tell.
    """
    if order.step is None:
        raise PaymentUnknown("reply_lost", provider="kling")
    rows = await Old().latest(wire, card)
    found = Old().mine(rows, order, card, float(order.step["spent_usd"]))
    if found is None and (len(rows) >= PAGE or not all(map(named, rows))):
        raise PaymentUnknown("reply_lost", provider="kling")
    return found


async def _identify(wire: Wire, order: Order) -> Step:
    """The first step: which faces there are; the one that is wanted must be among them.

    Raises:
        ProviderRefused: it is not; this step is paid.
    """
    check(order)
    asked = clip(order.of("video")[0])
    reply = await wire.pay(wire.url("", "v1/videos/identify-face"), json=asked, read_s=IDENTIFY_READ_S)
    if not reply.is_ok or refusals.code(reply) != 0:
        raise refusals.refused(reply)
    told = reply.fields.get("data")
    listed = told.get("face_data") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(listed, list) or not isinstance(told.get("session_id"), str):
        raise PaymentUnknown("reply_unclear", provider="kling", status=reply.status)
    faces = [_face(row) for row in listed if isinstance(row, dict) and "face_id" in row]
    spent_usd = identified_usd(told)
    _must_be_there(order, len(faces), spent_usd)
    return Step({"session_id": told["session_id"], "faces": faces, "spent_usd": spent_usd})


def _face(row: dict[str, Any]) -> dict[str, Any]:
    """A face and when it can speak, in milliseconds."""
    times = {name: int(row.get(name) or 0) for name in ("start_time", "end_time")}
    return {"face_id": str(row["face_id"]), **times}


def _must_be_there(order: Order, count: int, spent_usd: float) -> None:
    index, path = int(order.planned.parameters["face_index"]), order.of("video")[0].item.written
    if not count:
        raise ProviderRefused("no_face_in_clip", path=path, paid="yes", cost_usd=spent_usd)
    if index >= count:
        facts: dict[str, Any] = {"index": index, "count": count, "most": count - 1}
        raise ProviderRefused("face_not_in_clip", path=path, paid="yes", cost_usd=spent_usd, **facts)


def check(order: Order) -> None:
    """At least two seconds are heard, and none after the clip's end, as far as both lengths are known.

    Raises:
        NotSupported: the second step would be refused, when the first one was paid.
    """
    asked = order.planned.parameters
    sound, film = (order.of(role)[0].item.duration_s or inf for role in ("audio", "video"))
    wanted = min(asked.get("sound_end_s", inf), sound) - asked.get("sound_start_s", 0)
    room = film - asked.get("sound_insert_s", 0)
    facts: dict[str, Any] = {"model": order.planned.model, "room": "-" if room == inf else f"{max(room, 0):.1f}"}
    if min(wanted, room) < LEAST_S or ("sound_end_s" in asked and wanted > room + 0.05):
        raise NotSupported("sound_does_not_fit", seconds=f"{max(wanted, 0):.1f}", least=f"{LEAST_S:g}", **facts)


def body(order: Order, step: dict[str, Any]) -> dict[str, Any]:
    """The second step: which face says what, and when."""
    asked = order.planned.parameters
    face = step["faces"][int(asked["face_index"])]
    volumes = {name: asked[name] for name in _VOLUMES if name in asked}
    sound = {"sound_file": inline(order.of("audio")[0]), **times(order, face), **volumes}
    return {"session_id": step["session_id"], "face_choose": [{"face_id": face["face_id"], **sound}]}


def times(order: Order, face: dict[str, Any]) -> dict[str, int]:
    """What of the sound is heard from when on, in milliseconds: unless told, all that fits between face and clip."""
    asked = order.planned.parameters
    start = _ms(asked.get("sound_start_s"), 0)
    insert = _ms(asked.get("sound_insert_s"), face["start_time"])
    room = max(face["end_time"] - insert, 0)
    sound = int(order.of("audio")[0].item.duration_s * 1000) or MOST_MS
    end = min(sound, _ms(asked.get("sound_end_s"), start + room))
    return {"sound_start_time": start, "sound_end_time": end, "sound_insert_time": insert}


def _ms(seconds: float | None, usual: int) -> int:
    return usual if seconds is None else round(seconds * 1000)
