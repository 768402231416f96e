"""`hoasi push` as a person runs it: real processes, a real S3-compatible server, kill -9 at every step."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance import processes
from acceptance.processes import kill, until
from calls import check_invariants, fal_environ, harm, one, pictures, told
from hoasi import Studio
from hoasi.bucket import PART_BYTES
from hoasi.sandbox import Sandbox, serving_in_thread
from storage import BUCKET, KEYS, Storage, made, running_storage  # noqa: F401  (a fixture)

pytestmark = pytest.mark.process
TESTS = Path(__file__).parents[1]
LARGE = 3 * PART_BYTES
DEADLY = """
import sys
from acceptance.worker import make_deadly
from hoasi.cli import main
make_deadly(sys.argv.pop(1))
main()
"""
INTERRUPTED = """
import os, signal
from hoasi.bucket import Bucket
from hoasi.cli import main
send_part = Bucket.send_part
async def stopped(*given):
    os.kill(os.getpid(), signal.SIGINT)
    return await send_part(*given)
Bucket.send_part = stopped
main()
"""


@pytest.fixture
def finished(workspace: Path, sandbox: Sandbox) -> Iterator[Path]:
    """A workspace whose job has a small and a large finished picture, the large one not yet in the log."""

    async def paint(url: str) -> None:
        async with Studio(workspace, environ=fal_environ(url)) as studio:
            await studio.generate(one())

    with serving_in_thread(sandbox) as url:
        asyncio.run(paint(url))
    made(workspace, "large", os.urandom(LARGE))
    yield workspace
    asyncio.run(_swept(workspace))
    check_invariants(workspace)


async def _swept(workspace: Path) -> None:
    """The next process that works here tidies up after dead ones."""
    async with Studio(workspace, environ={}) as studio:
        studio.start()


@pytest.fixture
def to(tmp_path: Path) -> str:
    return f"s3://{BUCKET}/{tmp_path.name}"


def environ(storage: Storage, who: str = "writer") -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HOASI_"))}
    return {**rest, **storage.environ(who), "PYTHONPATH": str(TESTS), "AWS_EC2_METADATA_DISABLED": "true"}


def push(workspace: Path, storage: Storage, to: str, *words: str, who: str = "writer") -> tuple[int, dict[str, Any]]:
    """Exit code and the one JSON object."""
    command = [sys.executable, "-m", "hoasi.cli", "push", "--workspace", str(workspace), "--job", "job-1"]
    done = subprocess.run(
        [*command, "--to", to, "--json", *words],
        env=environ(storage, who),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert not [secret for secret in KEYS.values() if secret in done.stdout]
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


def deadly(workspace: Path, storage: Storage, to: str, place: str) -> int:
    """`hoasi push` in a process that dies there."""
    words = ["push", "--workspace", str(workspace), "--job", "job-1", "--to", to]
    process = subprocess.Popen([sys.executable, "-c", DEADLY, place, *words], env=environ(storage), text=True)
    processes.STARTED.append(process)
    return process.wait(timeout=60)


def check_all_there(workspace: Path, storage: Storage, to: str) -> None:
    """Every picture lies in the bucket with its own bytes, and its row says where."""
    there = {picture: f"{to}/{picture.relative_to(workspace).as_posix()}" for picture in pictures(workspace)}
    for picture, url in there.items():
        assert storage.bytes_of(url.removeprefix(f"s3://{BUCKET}/")) == picture.read_bytes()
    assert sorted(row.get("s3_url", "") for row in told(workspace)) == sorted(there.values())


STEPS = [
    # where the process dies, how many parts of the large file the next one need not send
    ("hoasi.bucket:Bucket.holds:before", 0),
    ("hoasi.bucket:Bucket.put:after", 0),
    ("hoasi.bucket:Bucket.begin:after", 0),
    ("hoasi.pushed:begin:after", 0),
    ("hoasi.bucket:Bucket.send_part:after:2", 1),
    ("hoasi.bucket:Bucket.finish:before", 3),
    ("hoasi.bucket:Bucket.finish:after", 3),
    ("hoasi.pushing:_addresses_told:before", 3),
    ("hoasi.exports.joblog_urls:replace_file:before", 3),
    ("hoasi.exports.joblog_urls:replace_file:after", 3),
    ("hoasi.pushing:remember:before", 3),
]


@pytest.mark.parametrize(("place", "saved"), STEPS, ids=[step[0] for step in STEPS])
def test_a_push_may_die_at_any_step(place: str, saved: int, finished: Path, storage: Storage, to: str) -> None:
    """kill -9 exactly there: the log is valid, the next push sends only what is missing and tells every address."""
    assert deadly(finished, storage, to, place) == -signal.SIGKILL
    log = finished / "jobs/job-1/source/ai_image_generation.toml"
    tomllib.loads(log.read_text(encoding="utf-8"))
    code, answer = push(finished, storage, to)
    sent = {Path(file["path"]).stem: file["sent_bytes"] for file in answer["files"]}
    assert (code, answer["error"]) == (0, None)
    assert LARGE - sent["large"] >= min(saved * PART_BYTES, LARGE)
    check_all_there(finished, storage, to)
    assert push(finished, storage, to)[1]["sent_bytes"] == 0


def test_a_push_killed_from_outside_goes_on(finished: Path, storage: Storage, to: str) -> None:
    """SIGKILL at any moment while parts travel: nothing half is seen in the bucket, and the next push completes it."""
    words = ["push", "--workspace", str(finished), "--job", "job-1", "--to", to]
    process = subprocess.Popen([sys.executable, "-m", "hoasi.cli", *words], env=environ(storage), text=True)
    processes.STARTED.append(process)
    prefix = to.removeprefix(f"s3://{BUCKET}/")
    until(
        lambda: bool(storage.ask("list_multipart_uploads", Prefix=prefix).get("Uploads")) or process.poll() is not None
    )
    kill(process)
    assert all(
        row["Size"] in {LARGE, *(p.stat().st_size for p in pictures(finished))}
        for row in storage.objects(prefix).values()
    )
    assert push(finished, storage, to)[0] == 0
    check_all_there(finished, storage, to)


def test_a_push_may_be_stopped(finished: Path, storage: Storage, to: str) -> None:
    """Ctrl-C: exit 130, one object that says how to go on and that nothing was paid; what is there has its address."""
    words = ["push", "--workspace", str(finished), "--job", "job-1", "--to", to, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words], env=environ(storage), capture_output=True, text=True, check=False
    )
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["key"], error["paid"], done.stderr) == (130, "interrupted", "no", "")
    assert push(finished, storage, to)[0] == 0
    check_all_there(finished, storage, to)


def test_a_file_that_changed_is_said_and_exits_one(finished: Path, storage: Storage, to: str) -> None:
    """The rest is copied; the answer names the file and how to mend it."""
    large = next(path for path in pictures(finished) if path.stem == "large")
    harm(large, "missing")
    code, answer = push(finished, storage, to)
    assert (code, answer["sent"], answer["stayed"]) == (1, 1, 1)
    assert "large.png" in answer["warnings"][0]
    assert answer["next"]


@pytest.mark.parametrize(
    ("target", "who", "key", "code"),
    [
        ("s3://Videos", "writer", "s3_target_bad", 2),
        ("s3://missing-bucket", "owner", "s3_bucket_missing", 2),
        (f"s3://{BUCKET}/x", "reader", "s3_denied", 1),
        (f"s3://{BUCKET}/x", "nobody", "s3_keys_rejected", 1),
    ],
)
def test_what_is_wrong_is_one_object(
    target: str, who: str, key: str, code: int, finished: Path, storage: Storage
) -> None:
    """Exit code, key, a sentence and its fix; nothing was paid."""
    got, answer = push(finished, storage, target, who=who)
    assert (got, answer["error"]["key"], answer["error"]["paid"]) == (code, key, "no")
    assert answer["error"]["fix"]


def test_a_dry_run_and_a_person(finished: Path, storage: Storage, to: str) -> None:
    """`--dry-run` sends nothing; without `--json` a pipe gets one line a file, and the summary goes elsewhere."""
    code, answer = push(finished, storage, to, "--dry-run")
    assert (code, [file["fate"] for file in answer["files"]]) == (0, ["planned", "planned"])
    assert not storage.objects(to.removeprefix(f"s3://{BUCKET}/"))
    command = [sys.executable, "-m", "hoasi.cli", "push", "--workspace", str(finished), "--job", "job-1", "--to", to]
    done = subprocess.run(command, env=environ(storage), capture_output=True, text=True, check=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["đã chép", "đã chép"]
    assert "kho riêng của bạn" in done.stderr
