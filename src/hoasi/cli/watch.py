"""Hall (floor 6): waits for generations and shows how far they are; leaving early loses nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoasi.answers import Entry, Reply
from hoasi.messages import say
from hoasi.planning import TAKES
from hoasi.records import OPEN_STATES

if TYPE_CHECKING:
    from hoasi.cli.terminal import Bar, Screen
    from hoasi.studio import Studio

TICK_S = 0.2
LOOK_S = 0.0005
"""Reading one generation takes about this long; a look at many is rarer, so that looking never slows the work."""


async def watched(
    studio: Studio, ids: Sequence[str], waiting: Coroutine[Any, Any, Reply], screen: Screen, old: Collection[str] = ()
) -> Reply:
    """The reply of `waiting`; meanwhile the screen shows how far `ids` are, and each that ends (not the `old` ones)."""
    task = asyncio.ensure_future(waiting)
    watch = _Watch(studio, [name for name in ids if name not in old], screen)
    try:
        with screen.live() as bar:
            while not task.done():
                await asyncio.wait({task}, timeout=TICK_S)
                watch.look(ids, bar)
    except asyncio.CancelledError:
        screen.note(say("cli.stopping"))
        task.cancel()
        raise
    return task.result()


class _Watch:
    """What was already told."""

    def __init__(self, studio: Studio, ids: Sequence[str], screen: Screen) -> None:
        self._studio = studio
        self._screen = screen
        self._waiting = list(ids)
        self._ended = 0
        self._cost_usd = 0.0
        self._next_look_at = 0.0

    def look(self, ids: Sequence[str], bar: Bar | None) -> None:
        """Tell what has ended since the last look."""
        if not ids or (bar is None and self._screen.as_json):
            return
        progress = self._studio.progress(ids)
        ended = progress.done + progress.failed
        if ended != self._ended and time.monotonic() >= self._next_look_at:
            self._tell_ended()
            self._ended = ended
            self._next_look_at = time.monotonic() + LOOK_S * len(self._waiting)
        if bar is not None:
            bar.update(progress, self._cost_usd)

    def _tell_ended(self) -> None:
        ended = [e for e in self._studio.show(self._waiting).generations if e.state not in OPEN_STATES]
        for entry in ended:
            if _has_its_names(entry):
                self._screen.entry(entry)
            self._cost_usd += entry.cost_usd or 0.0
        told = {entry.id for entry in ended}
        self._waiting = [name for name in self._waiting if name not in told]


def _has_its_names(entry: Entry) -> bool:
    """Its files lie where their reader looks for them; else they are told with the answer, when they do."""
    return not any(f"/{TAKES}/" in Path(path).as_posix() for path in entry.outputs)
