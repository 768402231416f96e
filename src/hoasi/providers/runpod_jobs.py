"""Translator for RunPod: what a job is: its body, and whether its result would come back (read 2026-11-21).

RunPod takes 10 MB by `/run` and 20 by `/runsync`. It loses a result of more than about 20 MB and bills it all the same,
so what might come to that is refused before; how many pixels surely stay below stands in the catalogue. Workers with
a bucket send addresses, which are short.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hoasi.catalogue import load
from hoasi.comfy import orders
from hoasi.errors import NotSupported, ProviderRefused
from hoasi.providers import runpod_settings as places
from hoasi.providers._outcomes import Order
from hoasi.records import Planned

RUN_BYTES, RUNSYNC_BYTES = 10_000_000, 20_000_000
QUEUED_S = 3600
"""How much longer than its work a job may live: it waits for a worker, and its result waits for us."""


def size(body: Mapping[str, Any]) -> int:
    """Bytes of a body.

    Raises:
        ProviderRefused: too many for either door.
    """
    found = len(json.dumps(body))
    if found > RUNSYNC_BYTES:
        raise ProviderRefused("runpod_too_large", size=f"{found / 1e6:.1f}", limit=f"{RUNSYNC_BYTES / 1e6:g}")
    return found


def must_come_back(planned: Planned, told: Mapping[str, str]) -> None:
    """The pictures of a job are sure to fit into one answer, unless they go into a bucket.

    Raises:
        NotSupported: `runpod_result_too_large`. WrongInput: the setting that tells of a bucket makes no sense.
    """
    most = load(planned.provider).card(planned.model).max_pixels_together
    pixels = orders.pixels(planned, told)
    if not places.has_bucket(told) and most is not None and pixels > most:
        count = len(planned.stems)
        facts: dict[str, Any] = {"size": f"{pixels / 1e6:.1f}", "limit": f"{most / 1e6:.1f}", "count": count}
        raise NotSupported("runpod_result_too_large", name=places.RESULTS, **facts)


def body(order: Order, told: Mapping[str, str]) -> dict[str, Any]:
    """Graph, pictures (named by their bytes), LoRAs to fetch, and explicit limits of time.

    Raises:
        NotSupported: as `must_come_back`: how large an input is may be known only now.
    """
    must_come_back(order.planned, told)
    files = {str(sent.item.role): f"hoasi_{hashlib.sha256(sent.data).hexdigest()[:24]}.png" for sent in order.sent}
    images = [(files[sent.item.role], base64.b64encode(sent.data).decode()) for sent in order.sent]
    workflow = orders.made(order.planned, files, told, f"hoasi/{order.id}/picture")
    given: dict[str, Any] = {"workflow": workflow.graph}
    given |= {"images": [{"name": name, "image": image} for name, image in images]} if images else {}
    if workflow.model_urls:
        again = order.planned.parameters.get("force_download", False)
        given |= {"model_urls": list(workflow.model_urls), "force_download": again}
    work_ms = int(1000 * max(order.planned.cap_s, 5.0))
    return {"input": given, "policy": {"executionTimeout": work_ms, "ttl": work_ms + 1000 * QUEUED_S}}
