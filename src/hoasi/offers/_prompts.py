"""Doors (floor 5): prompts for the everyday asks; the texts lie in `prompts.toml`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Message, Prompt, PromptArgument
from mcp.types import InputRequiredResult

from hoasi.errors import WrongInput
from hoasi.messages import say
from hoasi.offers._refusals import refused
from hoasi.offers._texts import Text, prompts
from hoasi.tools._lives import Lives


class AgentPrompt(Prompt):
    """A prompt that says in the user's words which argument is wrong."""

    async def render(
        self, arguments: dict[str, Any] | None, context: Context[Any, Any]
    ) -> list[Message] | InputRequiredResult:
        """The messages.

        Raises:
            MCPError: an argument is missing, empty or unknown.
        """
        given = {name: str(value) for name, value in (arguments or {}).items() if str(value).strip()}
        wrong = [f"- {line}" for line in _wrong(prompts()[self.name], given)]
        if wrong:
            raise refused(WrongInput("arguments_wrong", tool=self.name, lines="\n".join(wrong)))
        return await super().render(given, context)


def register(server: MCPServer[Lives]) -> None:
    """Every prompt of `prompts.toml`."""
    for name, text in prompts().items():
        arguments = [
            PromptArgument(name=key, description=one.description, required=one.required)
            for key, one in text.arguments.items()
        ]
        prompt = AgentPrompt(
            name=name,
            title=text.title,
            description=text.description,
            arguments=arguments,
            fn=partial(_said, text),
            context_kwarg=None,
        )
        server.add_prompt(prompt)


async def _said(text: Text, **given: str) -> str:
    """The prompt's words, and what the optional arguments add."""
    added = [one.adds.format_map(given) for name, one in text.arguments.items() if one.adds and name in given]
    return "\n".join([text.text.strip().format_map(given), *([""] if added else []), *added])


def _wrong(text: Text, given: Mapping[str, str]) -> Iterator[str]:
    for name in given.keys() - text.arguments.keys():
        near = difflib.get_close_matches(name, text.arguments, n=1, cutoff=0.5) or [", ".join(text.arguments)]
        yield say("argument.unknown", name=name[:80], near=near[0])
    for name, argument in text.arguments.items():
        if argument.required and name not in given:
            yield say("argument.missing", name=name)
