"""Room: sandbox. What was seen and counted, so that a test can say "bought once" and "no key leaked"."""

import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from hoasi.sandbox.faults import At

LOG_LENGTH = 10_000
CONTROL_PREFIX = "/_sandbox/"


def _log() -> deque[tuple[str, str]]:
    return deque(maxlen=LOG_LENGTH)


@dataclass
class Counters:
    """Plain counts since the start or the last reset."""

    seen: Counter[At] = field(default_factory=Counter)  # every request that reached a place, spoiled or not
    models: Counter[str] = field(default_factory=Counter)  # submissions accepted, that is: paid
    inputs: Counter[tuple[str, str]] = field(default_factory=Counter)  # the same, by model and input
    unknown_fields: Counter[str] = field(default_factory=Counter)  # "model:field", sent but known to no schema
    uploads: int = 0  # files stored
    webhook_posts: int = 0  # tries to deliver
    webhooks_delivered: int = 0  # of these, answered 2xx
    sockets: int = 0  # websockets asked for
    leaks: int = 0  # Authorization headers where no key belongs
    log: deque[tuple[str, str]] = field(default_factory=_log)

    def accepted(self, model: str, body: Mapping[str, Any], *, unknown: Iterable[str] = ()) -> None:
        """Count a submission that will be billed, and the fields of its input that the model does not know."""
        self.models[model] += 1
        self.inputs[model, json.dumps(body, sort_keys=True)] += 1
        self.unknown_fields.update(f"{model}:{name}" for name in unknown)

    def clear(self) -> None:
        """Start counting anew."""
        vars(self).update(vars(Counters()))

    def report(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values, under the names that `Sandbox.stats` promises."""
        places: dict[str, At] = {"polls": "status", "streams": "stream", "results": "result", "downloads": "download"}
        return {
            "posts_received": self.seen["submit"],
            "submissions": self.models.total(),
            "duplicates": self.inputs.total() - len(self.inputs),
            "models": dict(self.models),
            **{name: self.seen[at] for name, at in places.items()},
            "cancels": self.seen["cancel"],
            "tokens": self.seen["token"],
            "uploads": self.uploads,
            "webhook_posts": self.webhook_posts,
            "webhooks_delivered": self.webhooks_delivered,
            "sockets": self.sockets,
            "leaks": self.leaks,
            "unknown_fields": dict(self.unknown_fields),
            "requests": list(self.log),
        }


class Recorder:
    """ASGI middleware that logs method and path of every request (the control routes left out)."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self.app = app
        self.counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Log, then pass on."""
        if scope["type"] == "http" and not scope["path"].startswith(CONTROL_PREFIX):
            self.counters.log.append((scope["method"], scope["path"]))
        await self.app(scope, receive, send)
