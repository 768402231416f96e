"""Doors (floor 5): results as agents read them: structured, and the same as compact JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Any

from mcp.types import CallToolResult, ResourceLink, TextContent

from hoasi.answers import Entry, ErrorView, Reply
from hoasi.errors import HoasiError
from hoasi.messages import explain, say
from hoasi.records import OPEN_STATES, State

ENTRIES_AT_MOST = 50
"""Generations told of in one result; a model's eyes are small."""
LINKS_AT_MOST = 5
"""Links beside a result: they cost a model about fifty tokens each, and the paths stand in the result anyway."""
_CALM = {State.SUCCEEDED, "skipped_existing", "planned"}

Answer = Annotated[CallToolResult, Reply]
"""What most tools return: the result of the protocol, its structured content a `Reply`."""


def answer(reply: Reply, next_call: str = "") -> CallToolResult:
    """A normal result: structured, and the same as compact JSON for clients that show only text."""
    reply = _fitting(reply)
    is_open = reply.poll_after_seconds is not None
    open_ids = [entry.id for entry in reply.generations if is_open and entry.state in OPEN_STATES]
    what_next = next_call or (call_of("get_generations", ids=open_ids) if open_ids else reply.next)
    return result(_told(reply.model_copy(update={"next": what_next})))


def linked(reply: Reply) -> CallToolResult:
    """A normal result with links to what was just made, for clients that show them."""
    told, entries = answer(reply), reply.generations
    made = [link for entry in entries if entry.state == State.SUCCEEDED for link in _links(entry)]
    return told.model_copy(update={"content": [*told.content, *made[:LINKS_AT_MOST]]})


def _links(entry: Entry) -> Iterator[ResourceLink]:
    """A small copy of each picture, readable by its address (a clip's: some of its frames)."""
    for number, path in enumerate(entry.outputs, 1):
        uri = f"hoasi://generations/{entry.id}/pictures/{number}"
        yield ResourceLink(type="resource_link", uri=uri, name=PurePath(path).name, mime_type="image/jpeg")


def result(content: Mapping[str, Any]) -> CallToolResult:
    """Structured content, twice."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=dict(content))


def _told(reply: Reply) -> dict[str, Any]:
    """What the reply says, without what is absent or as always; the cost is always said."""
    told = reply.model_dump(mode="json", exclude_defaults=True)
    return {"message": reply.message, "cost_usd": reply.cost_usd, **told}


def _fitting(reply: Reply) -> Reply:
    """At most so many generations, those that need attention before the others, in their order."""
    entries = reply.generations
    if len(entries) <= ENTRIES_AT_MOST:
        return reply
    first = sorted(range(len(entries)), key=lambda k: (entries[k].state in _CALM, k))[:ENTRIES_AT_MOST]
    key = "door_dry.more" if entries[0].state == "planned" else "door.more"
    note = say(key, shown=ENTRIES_AT_MOST, total=len(entries))
    kept = tuple(entries[k] for k in sorted(first))
    return reply.model_copy(update={"generations": kept, "warnings": (*reply.warnings, note)})


def call_of(tool: str, **arguments: Any) -> str:
    """A call as a model would write it."""
    written = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items() if value)
    return f"{tool}({', '.join(written)})"


def refusal(error: HoasiError, hint: str = "") -> CallToolResult:
    """An error result: what is wrong, how to mend it (`hint`: how with these tools), whether it was paid."""
    view = explain(error.problem())
    view = view.model_copy(update={"fix": f"{view.fix} {hint}".rstrip()})
    reply = Reply(message=view.message, error=view, cost_usd=0.0 if view.paid == "no" else None)
    text = TextContent(type="text", text=_spoken(view))
    return CallToolResult(content=[text], structured_content=_told(reply), is_error=True)


def _spoken(view: ErrorView) -> str:
    detail = f"\n{view.detail}" if view.detail else ""
    return say("door.refused", message=view.message, fix=view.fix, paid=say(f"paid.{view.paid}"), key=view.key) + detail
