"""Who is alive: marks that come and go while others ask after them."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from hoasi import presence
from hoasi.presence import Presence


def test_who_asks_leaves_no_mark_of_who_left(tmp_path: Path) -> None:
    """Processes come and go while another asks who lives: in the end its own mark is the only one, also for itself."""
    asker = Presence(tmp_path)
    asker.enter()
    comer = Thread(target=_come_and_go, args=(tmp_path,))
    comer.start()
    while comer.is_alive():
        assert asker.owner in asker.living()
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


def _come_and_go(folder: Path) -> None:
    for _ in range(2000):
        one = Presence(folder)
        one.enter()
        one.leave()
