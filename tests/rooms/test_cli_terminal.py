"""What a terminal shows: at every width everything is there, and it can be copied."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest
from rich.console import Console

from hoasi.cli.answer import Sheet
from hoasi.cli.terminal_rich import draw
from hoasi.messages import speak

WIDTHS = (40, 60, 80, 100, 120, 200)
PATH = "/srv/video/jobs/2026-04-25_001_morning-routine-ad/source/contact_sheet_with_a_long_name.jpg"


def shown(sheet: Sheet, width: int) -> str:
    """The sheet as a terminal of that width gets it, without styles."""
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    draw(sheet, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_id_and_no_file_is_cut_at_any_width(width: int) -> None:
    """What is copied from a list (an id, a file) stands whole on one line, however narrow the terminal."""
    rows = tuple((f"sc_0{n}-3fa9c1d2e{n}", f"SC_0{n}", "succeeded", f"sc_0{n}_1_db2fcd37.png") for n in range(9))
    told = shown(Sheet(("id", "scene", "state", "file"), rows, whole=frozenset({0, 2, 3})), width)
    assert [[cell for cell in row if cell not in told] for row in rows] == [[]] * 9


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("columns", [("file",), ("", "")])
def test_a_path_is_never_cut_nor_broken(columns: tuple[str, ...], width: int) -> None:
    """A path that is wider than the terminal stays one word, so that it can be copied."""
    row = (PATH,) if len(columns) == 1 else ("file", PATH)
    assert PATH in shown(Sheet(columns, (row,)), width)


def test_a_list_that_fits_is_one_line_a_row() -> None:
    """A column that may be short ends in an ellipsis before another one folds."""
    row = ("img-3c9f2f5a5f", "kling-v2-6/a-model-with-a-long-name", "img_2_48a29c7d.mp4")
    lines = shown(Sheet(("id", "model", "file"), (row,) * 3, whole=frozenset({0, 2}), short=frozenset({1})), 60)
    assert len(lines.splitlines()) == 4
    assert lines.count("\u2026") == 3


def test_words_fold_between_words_and_values_keep_their_lines() -> None:
    """Sentences of a table are broken between words, and a value of two lines has two lines."""
    sentence = "one two three four five six seven eight nine ten eleven twelve"
    told = shown(Sheet(("", ""), (("prompt", sentence), ("files", "a.png\nb.png"))), 40)
    assert " ".join(told.split()) == f"prompt {sentence} files a.png b.png"
    assert max(map(len, told.splitlines())) <= 40
    assert "files   a.png\n        b.png\n" in told


def on_a_terminal(*words: str, **environ: str) -> str:
    """What the real program writes on a real terminal."""
    ours, theirs = pty.openpty()
    told = bytearray()
    env = {**{name: value for name, value in os.environ.items() if name != "NO_COLOR"}, "TERM": "xterm", **environ}
    with subprocess.Popen([sys.executable, "-m", "hoasi.cli", *words], stdout=theirs, env=env) as process:
        os.close(theirs)
        with suppress(OSError):  # how Linux says that the other side has closed
            while part := os.read(ours, 65536):
                told += part
        assert process.wait() == 0
    os.close(ours)
    return told.decode()


def test_help_has_colours_unless_they_are_not_wanted() -> None:
    """`NO_COLOR` holds for help as for all else."""
    assert "\x1b[" in on_a_terminal("list", "--help")
    assert "\x1b[" not in on_a_terminal("list", "--help", NO_COLOR="1")


def test_a_model_is_never_torn_in_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Help breaks lines between words only: what is copied from it is whole."""
    speak("vi")
    for width in range(60, 101):
        monkeypatch.setenv("COLUMNS", str(width))
        from hoasi.cli.app import run

        with pytest.raises(SystemExit):
            run(["generate", "--help"])
        assert "fal-ai/nano-banana" in capsys.readouterr().out
