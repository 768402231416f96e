"""What tests say again and again: calls, faults, what lies on disk, and what must be true after each test."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hoasi import Ask, Studio
from hoasi.sandbox import Fault, Sandbox

OpenStudio = Callable[..., AbstractAsyncContextManager[Studio]]
SECRET = "id-5f3c9a:secret-7d1e2b"
PLAN = """
[metadata]
title = "Buổi sáng"
language = "vi"
aspect_ratio = "9:16"

[[scene_intents]]
id = "SC_01"
narrative_role = "hook"
visual_intent = "Một người phụ nữ mở cửa ban công đón nắng sớm."
mood = "binh-yen"
preferred_shot_types = ["close-up", "slow push-in"]
asset_requirements = ["ai_generated", "ban công"]

[[scene_intents]]
id = "SC_02"
visual_intent = "Tách cà phê bốc khói trên bàn gỗ."
mood = ["am-ap"]
preferred_shot_types = ["top-down"]
asset_requirements = ["AI-Image"]

[[scene_intents]]
id = "SC_03"
visual_intent = "Thành phố thức dậy."
asset_requirements = ["stock"]
"""


def fal_environ(url: str, **more: str) -> dict[str, str]:
    """An environment in which fal is the sandbox at `url`."""
    addresses = dict.fromkeys(("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL"), url)
    return {"FAL_KEY": SECRET, **addresses, **more}


def fault(at: str, kind: str, **more: object) -> Fault:
    """One thing that goes wrong, once unless told otherwise."""
    return Fault.model_validate({"at": at, "kind": kind, **more})


def one(prompt: str = "a quiet balcony at dawn", **more: Any) -> Ask:
    """A call for one picture of the job at fal."""
    return Ask.model_validate({"prompt": prompt, "job_id": "job-1", **more})


def told(root: Path, job_id: str = "job-1") -> list[dict[str, Any]]:
    """The rows of a job's log."""
    log = root / "jobs" / job_id / "source" / "ai_image_generation.toml"
    rows: list[dict[str, Any]] = tomllib.loads(log.read_text(encoding="utf-8"))["generations"] if log.is_file() else []
    return rows


def pictures(root: Path, job_id: str = "job-1") -> list[Path]:
    """Everything that lies in the folder of a job's pictures, hidden things too."""
    return sorted((root / "jobs" / job_id / "input" / "raw_assets" / "images" / "ai_generated").glob("*"))


def files(root: Path) -> list[Path]:
    """Every file of a workspace, hidden ones too."""
    return [path for path in root.rglob("*") if path.is_file()]


def content(path: str | Path) -> bytes:
    """The bytes of a file."""
    return Path(path).read_bytes()


def harm(path: str | Path, how: str = "missing") -> None:
    """What happens to files: one is deleted, or changed without changing its size."""
    Path(path).unlink() if how == "missing" else Path(path).write_bytes(content(path)[:-1] + b"?")


ASTRONAUT = Path(__file__).parent / "rooms" / "pictures" / "astronaut.jpg"
"""A person (NASA, public domain)."""


def person(path: Path, colour: str = "red") -> Path:
    """A picture with one face; another colour in its corner makes other bytes."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(ASTRONAUT) as photo:
        shown = photo.convert("RGB")
    shown.paste(Image.new("RGB", (8, 8), colour))
    shown.save(path)
    return path


@contextmanager
def ports(count: int = 1) -> Iterator[list[int]]:
    """Free ports that nobody else is given meanwhile: nothing listens there until whoever is told one does."""
    with ExitStack() as stack:
        places = [stack.enter_context(socket.socket()) for _ in range(count)]
        for place in places:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(("127.0.0.1", 0))
        yield [int(place.getsockname()[1]) for place in places]


def let_go(sandbox: Sandbox) -> None:
    """Everything that the provider works on is done now, and whatever comes later is quick."""
    sandbox.change(latency_s=0.0)
    sandbox.line.finish()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; the time limit of the test is the only one."""
    while not is_so():  # noqa: ASYNC110  (another process, or the sandbox, makes it so)
        await asyncio.sleep(0.01)


def check_invariants(root: Path) -> None:
    """What is true after every test, however it went."""
    found = files(root)
    assert not [path for path in found if path.name.endswith(".tmp")], "a temporary file was left"
    for path in found:
        assert SECRET.split(":")[1].encode() not in path.read_bytes(), f"a secret was written to {path}"
    for log in root.rglob("ai_image_generation.toml"):
        check_log(root, log)
    if (root / ".hoasi" / "ledger.db").is_file():
        check_ledger(root)


def check_log(root: Path, log: Path) -> None:
    """The log is valid TOML and the latest row of every file names it as it is on disk."""
    latest = {row["output_path"]: row for row in tomllib.loads(log.read_text(encoding="utf-8"))["generations"]}
    for name, row in latest.items():
        if row["status"] == "success" and row.get("sha256") and (root / name).is_file():
            assert hashlib.sha256((root / name).read_bytes()).hexdigest() == row["sha256"], name


def check_ledger(root: Path) -> None:
    """No receipt without an intent, nothing owned by a process that has gone."""
    db = sqlite3.connect(root / ".hoasi" / "ledger.db")
    try:
        rows = db.execute("SELECT id, state, handle, submitted_at, owner FROM generation").fetchall()
    finally:
        db.close()
    for name, state, handle, submitted_at, owner in rows:
        assert handle is None or submitted_at is not None, f"{name} has a receipt without intent"
        assert owner is None, f"{name} ({state}) still belongs to {owner}"
