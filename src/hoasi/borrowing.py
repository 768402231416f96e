"""Engine room (floor 3): what other generations made: inputs that they promised, files of equal requests."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread

from hoasi import artifacts
from hoasi.bringing import asked, brought, finish, had, target, waiting
from hoasi.errors import GenerationFailed
from hoasi.given import Input, Remote
from hoasi.inputs import prepared
from hoasi.line import Line, Parked
from hoasi.providers._outcomes import Done, Ready
from hoasi.providers._provider import Follows
from hoasi.records import Generation, State
from hoasi.results import Artifact


async def promised(line: Line) -> None:
    """Inputs that are results of other requests of the same call: wait for them; then they are inputs like others.

    Raises:
        GenerationFailed: one of them was not made. Parked: it is not followed any more.
    """
    if not any(item.promise for item in line.planned.inputs):
        return
    kept = [await _kept(line, item) if item.promise else item for item in line.planned.inputs]
    planned = line.planned.model_copy(update={"inputs": tuple(kept)})
    line.save(planned=planned.model_dump(mode="json"))


async def _kept(line: Line, item: Input) -> Input:
    ledger = line.shop.ledger
    bought = ledger.get([item.promised_by])[0] if item.promised_by else ledger.bought(item.promise)
    source = None if bought is None else await line.shop.wait_for(bought.id)
    if source is None or source.state is not State.SUCCEEDED:
        if source is not None and source.state.is_open:
            raise Parked(waiting(line, "still_running"))
        raise GenerationFailed("promise_failed", id=source.id if source else "-")
    made, planned = source.artifacts[0], source.planned
    same = ("path", "sha256", "media_type", "size_bytes", "width", "height", "duration_s")
    facts: dict[str, Any] = {name: getattr(made, name) for name in same}
    remote = Remote(provider=planned.provider, model=planned.model, id=made.remote_id, url=made.url or "", age_days=0.0)
    facts |= {"written": made.path, "promise": "", "generation_id": source.id, "remote": remote}
    return item.model_copy(update=facts)


# ---------------------------------------------------------------------- copies


async def copy(line: Line) -> None:
    """An equal request was or is bought elsewhere: wait for it and copy its files, or have them from where it did."""
    with line.stoppable():
        source = await line.shop.wait_for(str(line.generation.copy_of))
    if source.state.is_open:
        raise Parked(waiting(line, "still_running"))
    if source.state is not State.SUCCEEDED:
        raise GenerationFailed("copy_source_failed", id=source.id, state=source.state.value)
    made = await anyio.to_thread.run_sync(_copied, line, source)
    finish(line, made or await _had_again(line, source), is_paid=False)


def _copied(line: Line, source: Generation) -> list[Artifact]:
    """Copies of its files; none when one of them is gone or was changed (in a worker thread)."""
    workspace = line.shop.settings.workspace
    if not all(artifacts.is_intact(workspace, artifact) for artifact in source.artifacts):
        return []
    return [artifacts.copy(artifact, target(line, k)) for k, artifact in enumerate(source.artifacts)]


async def _had_again(line: Line, source: Generation) -> list[Artifact]:
    """The source's files are harmed: fetched with its receipt, or drawn again, free. Its own place is not touched."""
    maker = line.maker
    if source.handle is not None and isinstance(maker, Follows):
        receipt = source.handle
        await anyio.sleep(line.planned.poll_s)  # another may have asked for it just now
        return await brought(line, await asked(line, lambda: had(line, maker, receipt, Ready())))
    if line.planned.price.usd == 0:
        drawn = await maker.submit(line.wire, line.order(await prepared(line)))
        return await brought(line, drawn) if isinstance(drawn, Done) else []
    raise GenerationFailed("copy_source_damaged", id=source.id)
