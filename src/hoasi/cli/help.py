"""Hall (floor 6): a command's help page, in the reader's language: every help text is a key of the catalogue."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

import typer

from hoasi.messages import say
from hoasi.settings import is_colourless

_WIDEST = 100
_COLUMN = 32


def page(command: Any, context: Any) -> str:
    """The page of a command or of a group of commands (typer's objects); colours are for a terminal only."""
    width = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
    panels = {"help.heads.commands": _commands(command), **_panels(command, context)}
    column = min(max(len(name) for rows in panels.values() for name, _ in rows) + 2, _COLUMN)
    sections = [
        f"{_head(say('help.heads.usage'))} {_usage(command, context)}",
        "\n".join(line for part in say(command.help).splitlines() for line in _wrapped(part, width)),
        *(_section(panel, rows, width, column) for panel, rows in panels.items()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _usage(command: Any, context: Any) -> str:
    arguments = [_argument(param) for param in command.params if param.param_type_name == "argument"]
    tail = [f"{say('help.heads.command_metavar')} ..."] if hasattr(command, "commands") else arguments
    return " ".join([context.command_path, f"[{say('help.heads.options_metavar')}]", *tail])


def _argument(param: Any) -> str:
    name = (param.metavar or param.name.upper()) + ("..." if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _commands(command: Any) -> list[tuple[str, str]]:
    found = getattr(command, "commands", {})
    return [(name, say(part.help).partition("\n")[0]) for name, part in found.items() if not part.hidden]


def _panels(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    """Options by heading, in the order in which they were written; what every command takes comes last."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for param in sorted(command.get_params(context), key=lambda param: "--help" in param.opts):
        is_help = "--help" in param.opts
        panel = "help.heads.shared" if is_help else param.rich_help_panel or "help.heads.options"
        if param.param_type_name == "argument":
            panels.setdefault("help.heads.arguments", []).append((_argument(param), say(param.help)))
        elif not param.hidden:
            panels.setdefault(panel, []).append((_option(param), say("help.help" if is_help else param.help)))
    return panels


def _option(param: Any) -> str:
    """`-x, --name VALUE`; a flag has no value."""
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag else f"{names} {param.metavar or 'TEXT'}"


def _section(key: str, rows: Iterable[tuple[str, str]], width: int, column: int) -> str:
    lines = [line for name, text in rows for line in _row(name, text, width, column)]
    return "\n".join([_head(say(key)), *lines]) if lines else ""


def _row(name: str, text: str, width: int, column: int) -> list[str]:
    """A name and its text in two columns; a long name has a line of its own."""
    indent = " " * (column + 2)
    body = _wrapped(text, max(width - len(indent), 20)) or [""]
    name_line = "  " + _styled(name, fg="cyan")
    if len(name) > column - 2:
        return [name_line, *(indent + line for line in body)]
    return [f"{name_line}{' ' * (column - len(name))}{body[0]}", *(indent + line for line in body[1:])]


def _wrapped(text: str, width: int) -> list[str]:
    """Broken between words only: a model, a path or an option stays whole."""
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _head(text: str) -> str:
    return _styled(text, bold=True)


def _styled(text: str, **style: Any) -> str:
    """Styled, unless the user asked for no colours."""
    return text if is_colourless() else typer.style(text, **style)
