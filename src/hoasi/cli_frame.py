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
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from hoasi import cli_help
from hoasi.cli_answer import INTERRUPTED, Answer, refused
from hoasi.errors import HoasiError, WrongInput
from hoasi.messages import LANGUAGES, say, speak
from hoasi.records import ErrorView, Reply
from hoasi.settings import Settings
from hoasi.terminal import Screen

if TYPE_CHECKING:
    from hoasi.studio import Studio

T = TypeVar("T")

SHARED = ("workspace", "env_file", "as_json", "lang")
"""Options of the root that every command takes too."""
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer's own usage error has no public name."""


@dataclass(frozen=True)
class Call:
    """One command line: what every command takes, and the screen to write on."""

    screen: Screen
    workspace: Path | None = None
    env_file: Path | None = None
    as_json: bool = False
    lang: str | None = None

    def studio(self) -> Studio:
        """The landing in this call's workspace; its sentences are in this call's language.

        Raises:
            PathRefused: the workspace or the env file does not exist.
        """
        from hoasi.studio import Studio

        environ = {**os.environ, "HOASI_LANG": self.lang} if self.lang else None
        return Studio(self.workspace, env_file=self.env_file, environ=environ)

    def settings(self) -> Settings:
        """What this process was told, without the landing."""
        from hoasi import settings

        found = settings.read(self.workspace, self.env_file)
        speak(self.lang or found.language)
        return found


def call_of(context: typer.Context) -> Call:
    """The call that a command belongs to."""
    call = context.obj
    assert isinstance(call, Call)
    return call


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
        _refuse_swallowed(self.get_params(ctx), args)
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
        formatter.write(cli_help.page(self, ctx))


class Group(TyperGroup):
    """Commands under one name, with the shared options at every place."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, and the shared ones."""
        params = super().get_params(ctx)
        return params if ctx.parent is None else _with_shared(params, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer; without any word it shows its page."""
        _refuse_swallowed(self.get_params(ctx), args)
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
        formatter.write(cli_help.page(self, ctx))


class Root(Group):
    """The whole command line. `main` leaves by `SystemExit` with the exit code, after exactly one answer."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: Any) -> NoReturn:
        """Parse, run, tell.

        Args:
            args: the words after the program's name; default: of this process.
            prog_name: its name in help and usage.
        """
        words = list(sys.argv[1:] if args is None else args)
        logging.getLogger("hoasi").addHandler(logging.NullHandler())
        speak(_language(words))
        screen = Screen(as_json="--json" in words)
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
            _refuse_bytes(words)
            with self.make_context(name, words, obj=Call(screen)) as context:
                answer = self.invoke(context)
            return answer if isinstance(answer, Answer) else None
        except typer.Exit as leave:
            return Answer(Reply(message=""), code=leave.exit_code) if leave.exit_code else None
        except HoasiError as error:
            return refused(error)
        except _UsageError as error:
            return refused(usage_error(error))
        except KeyboardInterrupt:
            return _interrupted()
        except BrokenPipeError:
            raise
        except Exception as bug:  # noqa: BLE001 - 2026-11-21, the border to the user: a bug is one sentence, not a dump
            return _bug(bug)


def _with_shared(params: list[Any], ctx: Any) -> list[Any]:
    known = {param.name for param in params}
    root = ctx.find_root().command
    return [*params, *(param for param in root.params if param.name in SHARED and param.name not in known)]


def _take_shared(ctx: Any) -> None:
    """Move the shared options from the command's own parameters into the call; what stands later wins."""
    given = {name: ctx.params.pop(name) for name in SHARED if name in ctx.params}
    ctx.obj = replace(call_of(ctx), **{name: value for name, value in given.items() if value})


# ---------------------------------------------------------------------- what can be wrong with the words


def _refuse_bytes(words: Sequence[str]) -> None:
    """Words that are not text (undecodable bytes) would break every file they are written to."""
    for word in words:
        if not word.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise WrongInput("usage_not_text", word=ascii(word)[:80])


def _refuse_swallowed(params: Sequence[Any], words: Sequence[str]) -> None:
    """`--prompt --json` lacks the prompt; it is not a prompt that reads "--json"."""
    names = {name for param in params if param.param_type_name == "option" for name in param.opts}
    taking = {
        name for param in params if param.param_type_name == "option" and not param.is_flag for name in param.opts
    }
    for word, following in zip(words, words[1:], strict=False):
        if word == "--":
            return
        if word in taking and following in names:
            raise WrongInput("usage_value_missing", option=word)


def usage_error(error: Exception) -> WrongInput:
    """One of typer's usage errors in our words."""
    option = str(getattr(error, "option_name", ""))
    near = ", ".join(getattr(error, "possibilities", None) or ())
    command = getattr(getattr(error, "ctx", None), "command_path", "hoasi")
    match type(error).__name__:
        case "NoSuchOption":
            return WrongInput("usage_option_unknown", option=option, near=near or "-", command=command)
        case "BadOptionUsage" if "not take a value" in str(error):
            return WrongInput("usage_value_surplus", option=option)
        case "BadOptionUsage":
            return WrongInput("usage_value_missing", option=option)
        case "MissingParameter":
            return WrongInput("usage_parameter_missing", name=_shown(error), command=command)
        case "BadParameter":
            return WrongInput("usage_value_bad", option=_shown(error), kind=_kind(error))
        case _:
            return WrongInput("usage_other", command=command, detail=str(getattr(error, "message", error)))


def _shown(error: Any) -> str:
    """The parameter of an error as the user writes it."""
    param = error.param
    if param is None:
        return str(error.param_hint or "?")
    return str(param.opts[-1]) if param.param_type_name == "option" else str(param.metavar or param.name.upper())


def _kind(error: Any) -> str:
    """What kind of value the parameter takes: its metavar."""
    return str(getattr(error.param, "metavar", None) or "TEXT")


def _language(words: Sequence[str]) -> str:
    """The language that is asked for anywhere on the line, else that of the environment: errors come before parsing."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    asked = [word.partition("=")[2] or following for word, following in pairs if word.partition("=")[0] == "--lang"]
    known = [lang for lang in asked if lang in LANGUAGES]
    return known[-1] if known else Settings(workspace=Path(), environ=os.environ).language


# ---------------------------------------------------------------------- ends that are nobody's wish


def _interrupted() -> Answer:
    return Answer(Reply(message=say("cli.interrupted"), next=say("cli.go_on"), cost_usd=None), code=INTERRUPTED)


def _bug(bug: Exception) -> Answer:
    """An error of ours: a sentence; the traceback only with `HOASI_DEBUG=1`."""
    if Settings(workspace=Path(), environ=os.environ).get("HOASI_DEBUG") not in {"", "0"}:
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
