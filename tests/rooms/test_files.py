"""Workbench: files appear complete or not at all, and locks hold between processes."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hoasi.errors import DiskTrouble
from hoasi.files import held, replace_file

SMALL_DISK = """
import sys
from pathlib import Path
from hoasi.errors import DiskTrouble
from hoasi.files import replace_file
path = Path(sys.argv[1])
replace_file(path, b"old", ".new")
try:
    replace_file(path, b"x" * 200_000, ".new")
except DiskTrouble as trouble:
    print(trouble.key, path.read_bytes().decode(), sorted(os.name for os in path.parent.iterdir()))
"""

HOLDER = """
import sys
from pathlib import Path
from hoasi.files import held
with held(Path(sys.argv[1])):
    print("in", flush=True)
    input()
"""


def test_new_bytes_stand_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    """A file is made with its folders, then replaced; no temp file stays."""
    path = tmp_path / "jobs" / "a" / "log.toml"
    replace_file(path, b"one", ".log.new")
    replace_file(path, b"two", ".log.new")
    assert path.read_bytes() == b"two"
    assert [file.name for file in path.parent.iterdir()] == ["log.toml"]


def test_a_crashed_writers_leftover_is_replaced_never_followed(tmp_path: Path) -> None:
    """A leftover temp file, even a link to another file, does no harm."""
    other = tmp_path / "other.txt"
    other.write_text("keep")
    (tmp_path / ".new").symlink_to(other)
    replace_file(tmp_path / "log.toml", b"log", ".new")
    assert (other.read_text(), (tmp_path / "log.toml").read_bytes()) == ("keep", b"log")
    assert not (tmp_path / "log.toml").is_symlink()


def test_a_reader_keeps_the_old_file_whole(tmp_path: Path) -> None:
    """Who opened the old file reads it to its end while the new one takes its place."""
    path = tmp_path / "log.toml"
    replace_file(path, b"old" * 9999, ".new")
    with path.open("rb") as reader:
        start = reader.read(10)
        replace_file(path, b"new", ".new")
        assert start + reader.read() == b"old" * 9999


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_the_mode_of_the_file_is_kept(tmp_path: Path) -> None:
    """A file that a team shares stays shared."""
    path = tmp_path / "log.toml"
    path.write_text("old")
    path.chmod(0o664)
    replace_file(path, b"new", ".new")
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that refuses even root")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """No right to write is our own error, with the path, unpaid and worth a later try."""
    with pytest.raises(DiskTrouble) as caught:
        replace_file(Path("/sys/kernel/log.toml"), b"x", ".new")
    assert (caught.value.key, caught.value.retry) == ("folder_read_only", "later")
    assert caught.value.facts == {"path": Path("/sys/kernel/log.toml")}


def test_other_troubles_keep_their_own_words_and_leave_nothing(tmp_path: Path) -> None:
    """What is neither room nor right (here: a folder in the way) passes through, and the temp file goes."""
    (tmp_path / "log.toml").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "log.toml", b"x", ".new")
    assert [file.name for file in tmp_path.iterdir()] == ["log.toml"]


@pytest.mark.process
def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path: Path) -> None:
    """On a disk that runs full the old file stays as it was and no temp file is left (a real small disk)."""
    shell = f'mount -t tmpfs -o size=64k small "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}/log.toml"'
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("cannot mount a small disk here")
    run = subprocess.run(["unshare", "-Urm", "sh", "-c", shell, SMALL_DISK], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "disk_full old ['log.toml']"


def test_one_thread_at_a_time(tmp_path: Path) -> None:
    """Threads that hold the same lock never overlap."""
    inside, seen = [0], []

    def enter() -> None:
        for _ in range(25):
            with held(tmp_path / "locks" / "log.lock"):
                inside[0] += 1
                time.sleep(0.0005)  # long enough for the others to come in, if they could
                seen.append(inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 100


@pytest.mark.process
def test_a_lock_held_elsewhere_is_said_and_a_dead_holder_frees_it(tmp_path: Path) -> None:
    """Another process's lock is waited for, then named; when that process is killed, the lock is free at once."""
    lock = tmp_path / "log.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"in"
        with pytest.raises(DiskTrouble) as caught, held(lock, timeout_s=0.05):
            raise AssertionError("two inside")
        holder.kill()
        holder.wait()
    with held(lock, timeout_s=5):
        pass
    assert (caught.value.key, caught.value.facts["path"]) == ("file_busy", lock)
