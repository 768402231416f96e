"""Door (floor 5): which models there are, what they take and cost."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from hoasi import catalogue
from hoasi.messages import say
from hoasi.sources import looks
from hoasi.tools._door import Parameters
from hoasi.tools._life import studio_of
from hoasi.tools._models import Model, Models, model_of
from hoasi.tools._results import result


class Call(Parameters):
    """Filters."""

    operation: Annotated[str | None, Field(description="like generate_image")] = None
    provider: str | None = None


async def list_models(ctx: Context, call: Call) -> Annotated[CallToolResult, Models]:
    """List models: id, price, limits, seconds, default, whether the key is set; and your styles. Free."""
    studio = await studio_of(ctx)
    names = catalogue.PROVIDERS if call.provider is None else (call.provider,)
    cards = [card for name in names for card in catalogue.load(name).cards]
    chosen = [card for card in cards if call.operation is None or call.operation in card.operations]
    models: list[Model] = [model_of(card, studio.settings) for card in chosen]
    message = say("door.models", count=len(models))
    told = Models(message=message, models=tuple(models), styles=looks.titles(studio.settings.workspace))
    return result(told.model_dump(mode="json", exclude_defaults=True))
