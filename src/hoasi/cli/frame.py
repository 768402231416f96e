"""Hall (floor 6): the frame of every command: what all of them take, usage errors in the user's words, one exit code.

A command returns an `Answer`; only this frame writes it out, so that `--json` is exactly one object, whatever happens.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import typer
from typer.core import TyperCommand, TyperGroup

from hoasi import settings
from hoasi.answers import ErrorView, Reply
from hoasi.cli import help as pages
from hoasi.cli.answer import INTERRUPTED, Answer, refused
from hoasi.cli.terminal import Screen
from hoasi.cli.usage import UsageError, refuse_bytes, refuse_swallowed, usage_error
from hoasi.errors import HoasiError, WrongInput
from hoasi.files import ledger_trouble
from hoasi.messages import LANGUAGES, say, speak

if TYPE_CHECKING:
    from hoasi.settings import Settings
    from hoasi.studio import Studio

T = TypeVar("T")

SHARED = ("workspace", "env_file", "as_json", "lang")
"""Options of the root that every command takes too."""


@dataclass(frozen=True)
class Call:
    """One command line: what every command takes, and the screen to write on."""

    screen: Screen
    workspace: Path | None = None
    env_file: Path | None = None
    as_json: bool = False
    lang: str | None = None

    def __post_init__(self) -> None:
        if self.lang is not None and self.lang not in LANGUAGES:
            raise WrongInput("usage_value_bad", option="--lang", kind=", ".join(LANGUAGES))

    def studio(self) -> Studio:
        """The landing in this call's workspace; its sentences are in this call's language.

        Raises:
            PathRefused: the workspace or the env file does not exist.
        """
        from hoasi.studio import Studio

        environ = {**self.settings().environ, "HOASI_LANG": self.lang} if self.lang else None
        return Studio(self.workspace, env_file=self.env_file, environ=environ)

    def settings(self) -> Settings:
        """What this process was told, without the landing.

        Raises:
            PathRefused: as `studio`.
        """
        found = settings.read(self.workspace, self.env_file)
        speak(self.lang or found.language)
        return found


def refuse_silence(context: typer.Context) -> None:
    """A group's own callback: options without a command do nothing.

    Raises:
        WrongInput: no command is named.
    """
    if context.invoked_subcommand is None:
        names = ", ".join(getattr(context.command, "commands", {}))
        raise WrongInput("usage_command_missing", near=names, command=context.command_path)


def call_of(context: typer.Context) -> Call:
    """The call that a command belongs to."""
    return cast("Call", context.obj)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part to its end."""
    return asyncio.run(work)


# ---------------------------------------------------------------------- commands that take the shared options


class Command(TyperCommand):
    """A command that also takes what stands before it (`SHARED`)."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, and the shared ones."""
        return _with_shared(super().get_params(ctx), ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer, but an option never takes the next option for its value, and surplus words are named."""
        refuse_swallowed(self.get_params(ctx), args)
        allows_more, ctx.allow_extra_args = ctx.allow_extra_args, True
        rest = super().parse_args(ctx, args)
        if rest and not allows_more and not ctx.resilient_parsing:
            raise WrongInput("usage_surplus", words=" ".join(rest[:5]), command=ctx.command_path)
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run it with the shared options merged into the call."""
        _take_shared(ctx)
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Its page, in the reader's language."""
        formatter.write(pages.page(self, ctx))


class Group(TyperGroup):
    """Commands under one name, with the shared options at every place."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, and the shared ones."""
        params = super().get_params(ctx)
        return params if ctx.parent is None else _with_shared(params, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer; without any word it shows its page."""
        refuse_swallowed(self.get_params(ctx), args)
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named.

        Raises:
            WrongInput: there is none of that name.
        """
        if args[0] not in self.commands:
            names = ", ".join(self.commands)
            raise WrongInput("usage_command_unknown", name=args[0], near=names, command=ctx.command_path)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command with the shared options merged into the call."""
        if ctx.parent is not None:
            _take_shared(ctx)
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Its page, in the reader's language."""
        formatter.write(pages.page(self, ctx))


class Root(Group):
    """The whole command line. `main` leaves by `SystemExit` with the exit code, after exactly one answer."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **__: Any) -> NoReturn:
        """Parse, run, tell.

        Args:
            args: the words after the program's name; default: of this process.
            prog_name: its name in help and usage.
        """
        words = list(sys.argv[1:] if args is None else args)
        logging.getLogger("hoasi").addHandler(logging.NullHandler())
        speak(_language(words))
        screen = Screen(as_json=any(word.partition("=")[0] == "--json" for word in words))
        try:
            answer = self._answer(words, prog_name or "hoasi", screen)
            if answer is not None:
                screen.tell(answer)
            sys.exit(answer.code if answer else 0)
        except BrokenPipeError:  # the reader of our output has left (`| head`); nothing more can be told
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)

    def _answer(self, words: list[str], name: str, screen: Screen) -> Answer | None:
        try:
            refuse_bytes(words)
            with self.make_context(name, words, obj=Call(screen)) as context:
                answer = self.invoke(context)
            return answer if isinstance(answer, Answer) else None
        except typer.Exit as leave:
            return Answer(Reply(message=""), code=leave.exit_code) if leave.exit_code else None
        except HoasiError as error:
            return refused(error)
        except UsageError as error:
            return refused(usage_error(error))
        except KeyboardInterrupt:
            return _interrupted()
        except BrokenPipeError:
            raise
        except Exception as bug:  # noqa: BLE001 - 2026-11-21, the border to the user: a bug is one sentence, not a dump
            trouble = ledger_trouble(bug, paid="unknown")
            return _bug(bug) if trouble is None else refused(trouble)


def _with_shared(params: list[Any], ctx: Any) -> list[Any]:
    known = {param.name for param in params}
    root = ctx.find_root().command
    return [*params, *(param for param in root.params if param.name in SHARED and param.name not in known)]


def _take_shared(ctx: Any) -> None:
    """Move the shared options from the command's own parameters into the call; what stands later wins."""
    given = {name: ctx.params.pop(name) for name in SHARED if name in ctx.params}
    ctx.obj = replace(call_of(ctx), **{name: value for name, value in given.items() if value})


# ---------------------------------------------------------------------- what holds before the words are parsed


def _language(words: Sequence[str]) -> str:
    """The language that is asked for anywhere on the line, else that of the environment: errors come before parsing."""
    pairs = pairwise([*words, ""])
    asked = [word.partition("=")[2] or following for word, following in pairs if word.partition("=")[0] == "--lang"]
    known = [lang for lang in asked if lang in LANGUAGES]
    return known[-1] if known else _told("HOASI_LANG") or "vi"


def _told(name: str) -> str:
    """A setting of this process before the command line is read; "" where even that cannot be had."""
    try:
        return settings.read().get(name)
    except (HoasiError, OSError, ValueError):
        return ""


# ---------------------------------------------------------------------- ends that are nobody's wish


def _interrupted() -> Answer:
    view = ErrorView(
        kind="Interrupted",
        key="interrupted",
        message=say("cli.interrupted"),
        fix=say("cli.go_on"),
        paid="unknown",
        retry="safe",
    )
    return Answer(Reply(message=view.message, next=view.fix, cost_usd=None, error=view), code=INTERRUPTED)


def _bug(bug: Exception) -> Answer:
    """An error of ours: a sentence; the traceback only with `HOASI_DEBUG=1`."""
    if _told("HOASI_DEBUG") not in {"", "0"}:
        traceback.print_exception(bug)
    view = ErrorView(
        kind="Bug",
        key="bug",
        message=say("cli.bug", name=type(bug).__name__),
        fix=say("cli.bug_fix"),
        paid="unknown",
        retry="later",
    )
    return Answer(Reply(message=view.message, next=view.fix, cost_usd=None, error=view), code=1)
