"""Doors (floor 5): completions for arguments of prompts and resources, from what really is in this workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.server.mcpserver import MCPServer
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from hoasi.errors import HoasiError, NotFound
from hoasi.offers._refusals import Living, explained
from hoasi.offers._texts import places, prompts
from hoasi.record import Media
from hoasi.tools._lives import Lives

if TYPE_CHECKING:
    from hoasi.studio import Studio

MOST = 100
"""The protocol's limit."""
LATEST = 500
"""Generations among which an id is looked for."""


def register(server: MCPServer[Lives], life: Living) -> None:
    """The one handler of all completions."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK gives it no types
    @explained
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        _must_know(ref, argument.name)
        said = (context.arguments if context else None) or {}
        media = prompts()[ref.name].media if isinstance(ref, PromptReference) else "image"
        return matching(_known(argument.name, await life().studio(), said, media), argument.value)


def matching(known: Sequence[str], written: str) -> Completion:
    """What begins so, then what holds it, each in the source's order; at most 100, with how many there are."""
    part = written.strip().casefold()
    holding = [name for name in dict.fromkeys(known) if part in name.casefold()]
    found = sorted(holding, key=lambda name: not name.casefold().startswith(part))
    return Completion(values=found[:MOST], total=len(found), has_more=len(found) > MOST)


def _must_know(ref: PromptReference | ResourceTemplateReference, name: str) -> None:
    """What is completed must be offered.

    Raises:
        NotFound: no such prompt, template or argument.
    """
    if isinstance(ref, PromptReference):
        where, is_known = ref.name, ref.name in prompts() and name in prompts()[ref.name].arguments
    else:
        uris = [place.uri for place in places().values()]
        where, is_known = ref.uri, ref.uri in uris and f"{{{name}}}" in ref.uri
    if not is_known:
        raise NotFound("completion_unknown", where=where[:200], name=name[:80])


# ---------------------------------------------------------------------- where the words come from


def _known(name: str, studio: Studio, said: Mapping[str, str], media: Media) -> Sequence[str]:
    """What an argument of this name may be; `said` are arguments that were given already, `media` is to be made."""
    from hoasi import catalogue, jobs
    from hoasi.sources import looks, prompt

    workspace = studio.settings.workspace
    sources: dict[str, Callable[[], Sequence[str]]] = {
        "job_id": lambda: jobs.names(workspace),
        "scene_id": lambda: _scenes(studio, said.get("job_id")),
        "provider": lambda: ["auto", *catalogue.PROVIDERS],
        "model": lambda: _models(said.get("provider", ""), media),
        "style": lambda: [*looks.titles(workspace), *prompt.style_names()],
        "id": lambda: [entry.id for entry in studio.list(limit=LATEST)[0].generations],
        "n": lambda: _numbers(studio, said.get("id", "")),
    }
    return sources[name]() if name in sources else []  # nothing for free words, such as a prompt


def _scenes(studio: Studio, job_id: str | None) -> Sequence[str]:
    """Scenes of the job's plan, then those that something was made for; without a job, the latter of all jobs."""
    from hoasi import jobs

    try:
        planned = jobs.scenes(studio.settings.workspace, job_id, all_scenes=True) if job_id else []
    except HoasiError:  # no such job: then nothing of it can be offered
        return []
    made = studio.list(job_id=job_id, limit=LATEST)[0].generations
    return [*planned, *(entry.scene_id for entry in made if entry.scene_id)]


def _models(provider: str, media: Media) -> Sequence[str]:
    """Models of the provider that was named, else of all, that make this; retired ones are not offered."""
    from hoasi import catalogue

    names = (provider,) if provider in catalogue.PROVIDERS else catalogue.PROVIDERS
    cards = [card for name in names for card in catalogue.load(name).cards]
    return [card.id for card in cards if card.media == media and card.retired is None]


def _numbers(studio: Studio, generation_id: str) -> Sequence[str]:
    """Pictures of the generation that was named."""
    try:
        made = studio.generations([generation_id])[0]
    except HoasiError:  # no such generation: then it has no pictures
        return []
    return [str(number) for number in range(1, len(made.artifacts) + 1)]
