"""Who is alive: marks that come and go while others ask after them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from filelock import FileLock

from hoasi import presence
from hoasi.artifacts import sweep, temp_name
from hoasi.presence import Presence


def test_who_asks_leaves_no_mark_of_who_left(tmp_path: Path) -> None:
    """Processes come and go while another asks who lives: in the end its own mark is the only one, also for itself."""
    asker = Presence(tmp_path)
    asker.enter()
    comer = Thread(target=_come_and_go, args=(tmp_path,))
    comer.start()
    while comer.is_alive():
        assert asker.owner in {owner for owner in asker.marks() if asker.is_alive(owner)}
    assert asker.marks() == {asker.owner}
    asker.leave()
    assert list(tmp_path.iterdir()) == []


def test_two_who_ask_at_once_do_not_hear_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark whose process died (nobody holds it) is dead for both, however often they ask at the same moment."""
    monkeypatch.setattr(presence, "ASKING_S", 60)  # however busy the machine is
    (tmp_path / "dead.lock").touch()
    seen: list[bool] = []
    askers = [Thread(target=lambda: seen.extend(Presence(tmp_path).is_alive("dead") for _ in range(200))) for _ in "ab"]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert seen == [False] * 400
    assert not Presence(tmp_path).is_alive("never-came")


def test_whose_a_file_is_is_asked_when_it_is_seen(tmp_path: Path) -> None:
    """A process comes while another tidies up: what it is writing stays, what a dead one left goes."""
    (tmp_path / "marks").mkdir()
    tidy, comer, dead = (Presence(tmp_path / "marks") for _ in range(3))
    (tmp_path / temp_name(dead.owner, "log")).touch()

    def folders() -> Iterator[Path]:
        comer.enter()
        (tmp_path / temp_name(comer.owner, "log")).touch()
        yield tmp_path

    sweep(folders(), tidy.is_alive)
    assert [path.name for path in tmp_path.glob("*.tmp")] == [temp_name(comer.owner, "log")]
    comer.leave()


def test_who_died_while_it_appeared_leaves_nothing(tmp_path: Path) -> None:
    """Its hidden mark goes; that of one who is about to appear stays."""
    (tmp_path / ".dead.new").touch()
    with FileLock(tmp_path / ".coming.new"):
        Presence(tmp_path).bury_unborn()
        assert [path.name for path in tmp_path.iterdir()] == [".coming.new"]


def test_who_appears_while_others_bury_is_there(tmp_path: Path) -> None:
    """Whatever is taken from under its hands is made anew: in the end it stands there, and only it."""
    over, one = Event(), Presence(tmp_path)

    def bury() -> None:
        while not over.is_set():
            one.bury_unborn()

    digger = Thread(target=bury)
    digger.start()
    for _ in range(500):
        comer = Presence(tmp_path)
        comer.enter()
        assert one.is_alive(comer.owner)
        comer.leave()
    over.set()
    digger.join()
    assert list(tmp_path.iterdir()) == []


def _come_and_go(folder: Path) -> None:
    for _ in range(2000):
        one = Presence(folder)
        one.enter()
        one.leave()
