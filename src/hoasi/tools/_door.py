"""Doors (floor 5): what all tools share: slim schemas, nothing unknown accepted, refusals in the user's words.

A tool is one function of a record `Call`; the record's fields are the tool's flat parameters.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast, get_origin

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations
from pydantic import ValidationError, model_validator

from hoasi.errors import ConsentMissing, HoasiError, WrongInput
from hoasi.files import ledger_trouble
from hoasi.messages import say
from hoasi.record import Paid, Record
from hoasi.tools._arguments import wrong
from hoasi.tools._life import life_of
from hoasi.tools._reading import begins
from hoasi.tools._results import refusal
from hoasi.tools._schema import output_schema, returned, slim

log = logging.getLogger("hoasi.server")

_SAYABLE = {"consent_missing", "consent_expired"}
"""Errors that go away when the call is made again with the user's words."""


class Parameters(Record):
    """What one tool takes. `null` means not given; a list or map may come as JSON text, a list as its only element."""

    known: ClassVar[frozenset[str]] = frozenset()
    """Parameters that another tool explains."""

    @model_validator(mode="before")
    @classmethod
    def _lenient(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: cls._listed(name, value) for name, value in given.items() if value is not None}

    @classmethod
    def _listed(cls, name: str, value: Any) -> Any:
        field = cls.model_fields.get(name)
        kind = None if field is None else get_origin(field.annotation)
        if kind not in {tuple, dict} or not isinstance(value, str | dict):
            return value
        read = _read(value) if isinstance(value, str) else value
        if kind is dict:
            return read if isinstance(read, dict) else value
        return read if isinstance(read, list) else [read if isinstance(read, dict) else value]


def _read(text: str) -> Any:
    """What a JSON text says; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class AgentTool(Tool):
    """A tool as an agent wants it: a slim schema, nothing unknown accepted, refusals that say what to do."""

    @classmethod
    def of(cls, fn: Callable[..., Any], hints: ToolAnnotations) -> Self:
        """The tool of a function `fn(ctx, call, ...)`; its docstring is the description."""
        title, description = fn.__name__.replace("_", " ").capitalize(), " ".join((fn.__doc__ or "").split())
        told: dict[str, Any] = {"title": title, "description": description, "annotations": hints}
        tool = cast("Self", cls.from_function(fn, **told, structured_output=False))
        record, definitions = tool.record, tool.parameters["$defs"]
        schema = {**definitions[record.__name__], "$defs": definitions}
        tool.parameters = slim(schema, record.model_fields, first=record.__annotations__, silent=record.known)
        tool.fn_metadata.output_model = model = returned(fn)
        tool.fn_metadata.output_schema = None if model is None else output_schema(model)
        return tool

    @property
    def record(self) -> type[Parameters]:
        """The tool's parameters."""
        return cast("type[Parameters]", self.fn_metadata.arg_model.model_fields["call"].annotation)

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Run it; whatever our own code refuses comes back as a result that explains itself.

        Raises:
            MCPError: the protocol's own errors.
        """
        life = life_of(context)
        life.speak()
        begins()
        try:
            return await super().run({"call": arguments}, context, convert_result)
        except ToolError as error:
            meant = self._meant(error)
            is_enough = meant.key in _SAYABLE and not life.settings.consent_is_strict
            hint = "hint" if meant.facts.get("without") else "hint_face"
            return refusal(meant, say(f"door_consent.{hint}") if is_enough else "")

    def _meant(self, error: ToolError) -> HoasiError:
        """What went wrong, as one of our errors."""
        cause = error.__cause__
        if isinstance(cause, HoasiError):
            log.info("%s refused: %s", self.name, cause)
            return cause
        if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
            return WrongInput("arguments_wrong", tool=self.name, lines=wrong(cause, self.record.model_fields))
        if isinstance(cause, ToolError) and not isinstance(cause, UnexpectedToolError):
            return ConsentMissing("consent_answer_unusable")
        log.error("%s stopped by an error of ours", self.name, exc_info=cause)
        paid: Paid = "no" if self.annotations is not None and self.annotations.read_only_hint else "unknown"
        return ledger_trouble(cause, paid=paid) or HoasiError("tool_stopped", tool=self.name, paid=paid)
