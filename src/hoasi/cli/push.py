"""Hall (floor 6): `push`: finished files of a job to a bucket of the user's own. Costs nothing at a provider."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoasi.answers import ErrorView, Reply
from hoasi.cli.answer import INTERRUPTED, Answer, Sheet
from hoasi.cli.frame import Call, call_of, run
from hoasi.messages import say

if TYPE_CHECKING:
    from hoasi.pushing import Pushed
    from hoasi.sending import Fate, File, Progress, Watch

MOST_NAMED = 5
STYLES: dict[Fate, str] = {"sent": "green", "there": "dim", "planned": "cyan", "changed": "bold red", "kept": "yellow"}
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def push(
    context: typer.Context,
    *,
    job: Annotated[str, typer.Option("--job", help="help.s3.job", metavar="ID")],
    to: Annotated[str, typer.Option("--to", help="help.s3.to", metavar="s3://BUCKET/PREFIX")],
    logs: Annotated[bool, typer.Option("--logs", help="help.s3.logs")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="help.s3.dry_run")] = False,
) -> Answer:
    """Send what is finished; exit 1 when a file had to stay."""
    from hoasi import pushing

    call = call_of(context)
    settings = call.settings()
    if dry_run:
        return _answer(pushing.plan(settings, job, to, with_logs=logs), to, is_dry=True)
    try:
        with _bar(call) as watch:
            outcome = run(pushing.push(settings, job, to, with_logs=logs, watch=watch))
    except KeyboardInterrupt:
        return _stopped()
    return _answer(outcome, to, is_dry=False)


def _stopped() -> Answer:
    """What was sent is there; nothing was to be paid."""
    text, fix = say("push.stopped"), say("push.go_on")
    view = ErrorView(kind="Interrupted", key="interrupted", message=text, fix=fix, paid="no", retry="safe")
    return Answer(Reply(message=text, next=fix, error=view), code=INTERRUPTED)


# ---------------------------------------------------------------------- while it runs


@contextmanager
def _bar(call: Call) -> Iterator[Watch]:
    """Files and bytes on a terminal (with `--json`: of the error stream); nothing in a pipe."""
    stream = sys.stderr if call.as_json else sys.stdout
    if not stream.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Drawn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn())
    with Drawn(*columns, console=Console(file=stream), transient=True) as drawn:
        task = drawn.add_task(say("push.at_work", done=0, count="?"), total=None)

        def show(progress: Progress) -> None:
            text = say("push.at_work", done=progress.files_done, count=progress.files)
            drawn.update(task, description=text, total=progress.size_bytes, completed=progress.done_bytes)

        yield show


# ---------------------------------------------------------------------- the answer


def _answer(outcome: Pushed, to: str, *, is_dry: bool) -> Answer:
    stayed = outcome.count("changed", "kept")
    warnings = (*outcome.warnings, *_why_stayed(outcome.files))
    reply = Reply(message=_message(outcome, to, is_dry=is_dry), warnings=warnings, next=_next(is_dry, stayed))
    facts = {"files": [file.model_dump(mode="json") for file in outcome.files], **_numbers(outcome)}
    return Answer(reply, code=int(stayed > 0), sheets=(_sheet(outcome.files),), facts=facts)


def _numbers(outcome: Pushed) -> dict[str, Any]:
    return {
        "sent": outcome.count("sent"),
        "there": outcome.count("there"),
        "stayed": outcome.count("changed", "kept"),
        "size_bytes": sum(file.size_bytes for file in outcome.files),
        "sent_bytes": sum(file.sent_bytes for file in outcome.files),
    }


def _message(outcome: Pushed, to: str, *, is_dry: bool) -> str:
    """What was sent where, and that the place is the user's own: pictures of people may be among it."""
    if is_dry:
        due = [file for file in outcome.files if file.fate == "planned"]
        return say("push.would", count=len(due), size=_size(sum(file.size_bytes for file in due)), target=to)
    numbers = _numbers(outcome)
    size = _size(numbers["sent_bytes"])
    return say("push.done", sent=numbers["sent"], size=size, there=numbers["there"], target=to)


def _next(is_dry: bool, stayed: int) -> str:  # noqa: FBT001  (2026-11-27, private: two facts by position)
    if is_dry:
        return say("push.run")
    return say("push.mend") if stayed else ""


def _why_stayed(files: Sequence[File]) -> Iterator[str]:
    """One sentence a reason, with how many files it keeps here."""
    changed = [file.path for file in files if file.fate == "changed"]
    if changed:
        more = f" (+{len(changed) - MOST_NAMED})" if len(changed) > MOST_NAMED else ""
        yield say("push.changed", count=len(changed), files=", ".join(changed[:MOST_NAMED]) + more)
    for why, count in Counter(file.why for file in files if file.fate == "kept").items():
        yield say("push.kept", count=count, why=why)


def _sheet(files: Sequence[File]) -> Sheet:
    columns = tuple(say(f"push.columns.{name}") for name in ("fate", "size", "url"))
    rows = tuple((say(f"push.fates.{file.fate}"), _size(file.size_bytes), file.url) for file in files)
    styles = tuple(STYLES[file.fate] for file in files)
    return Sheet(columns, rows, whole=frozenset({0, 1, 2}), styles=styles)


def _size(size_bytes: int) -> str:
    unit, scale = next(((unit, scale) for unit, scale in _UNITS if size_bytes >= scale), ("B", 1.0))
    return f"{size_bytes / scale:.1f} {unit}" if scale > 1 else f"{size_bytes} B"
