"""Promise 7: files appear complete or not at all; every log is a valid TOML file at every moment."""

from __future__ import annotations

import asyncio
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calls import OpenStudio, content, fault, one, pictures, told, until
from hoasi import Studio, artifacts, files
from hoasi.exports import joblog
from hoasi.presence import Presence
from hoasi.records import Request, Scene
from hoasi.sandbox import Sandbox
from hoasi.scribe import Scribe

pytestmark = pytest.mark.anyio
LOG = "jobs/job-1/source/ai_image_generation.toml"
SEMANTICS = "jobs/job-1/source/asset_semantics.toml"
OLD_LOG = """# by the earlier script
[metadata]
generated_at = "2026-04-27T10:15:00+07:00"
job_id = "job-1"
default_model = "fal-ai/nano-banana"
total_images = 1
by = "somebody"

[[generations]]
id = "GEN_007"
scene_id = "SC_01"
prompt = \"\"\"
An old picture
\"\"\"
model = "fal-ai/nano-banana"
seed = 1
output_path = "jobs/job-1/input/raw_assets/images/ai_generated/old.png"
status = "success"
mine = true
"""


class Watcher:
    """Looks at a folder without pause, as the pipeline's watcher does, and reads every new file at once."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder, self._log = folder, log
        self._is_over = threading.Event()
        self.seen: dict[str, bytes] = {}
        self.logs: set[int] = set()
        self.troubles: list[str] = []

    def _look(self) -> None:
        for path in self._folder.glob("*"):
            if path.suffix and not path.name.startswith("."):
                now = path.read_bytes()
                if self.seen.setdefault(path.name, now) != now:
                    self.troubles.append(f"{path.name} changed")
        if self._log.is_file():
            try:
                self.logs.add(len(tomllib.loads(self._log.read_text(encoding="utf-8")).get("generations", [])))
            except tomllib.TOMLDecodeError as error:
                self.troubles.append(f"log: {error}")

    def _watch(self) -> None:
        while not self._is_over.is_set():
            self._look()
            time.sleep(0.002)
        self._look()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch during the body."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()


async def test_a_watcher_sees_only_whole_pictures_and_whole_logs(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, quick: object
) -> None:
    """While pictures come slowly, in halves, and again, everything visible is complete and never changes."""
    sandbox.faults.add(fault("download", "truncated", times=3), fault("download", "slow", value=0.2, times=2))
    watcher = Watcher(workspace / "jobs/job-1/input/raw_assets/images/ai_generated", workspace / LOG)
    requests = tuple(Request(prompt=f"kite {k}", scene=Scene(id=f"SC_{k:02d}")) for k in range(8))
    with watcher.watching():
        async with open_studio() as studio:
            await studio.generate(one(prompt=None, requests=requests))
    assert watcher.troubles == []
    assert watcher.seen == {path.name: content(path) for path in pictures(workspace)}
    assert max(watcher.logs) == 8


async def test_the_picture_says_where_it_comes_from(open_studio: OpenStudio) -> None:
    """Prompt, model, seed, generation and IPTC's word for pictures made by a model stand in the file."""
    async with open_studio() as studio:
        entry = (await studio.generate(one("a quiet balcony", seed=7))).generations[0]
    data = content(entry.outputs[0])
    for word in ("a quiet balcony", "fal-ai/nano-banana", entry.id, "trainedAlgorithmicMedia", "7"):
        assert word.encode() in data, word
    with Image.open(entry.outputs[0]) as picture:
        picture.load()


async def test_a_sketch_does_not_say_that_a_model_made_it(open_studio: OpenStudio) -> None:
    """What rules of ours drew has IPTC's word for that."""
    async with open_studio() as studio:
        entry = (await studio.generate(one("a quiet balcony", provider="local"))).generations[0]
    data = content(entry.outputs[0])
    assert (b"/algorithmicMedia" in data, b"trainedAlgorithmicMedia" in data) == (True, False)


async def test_the_extension_follows_the_content(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """A model that gives JPEG gives `.jpg`."""
    async with open_studio() as studio:
        entry = (await studio.generate(one(output_format="jpeg"))).generations[0]
    assert entry.outputs[0].endswith(".jpg")
    assert content(entry.outputs[0])[:2] == b"\xff\xd8"


async def test_the_log_tells_every_ending(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, quick: object
) -> None:
    """success, failed, unknown, cancelled each have their row; a skip adds none; the header counts successes."""
    async with open_studio() as studio:
        await studio.generate(one("made", scene_ids=("SC_01",)))
        await studio.generate(one("made", scene_ids=("SC_01",)))
        sandbox.faults.add(fault("submit", "validation", value="content_policy_violation"))
        await studio.generate(one("failed", scene_ids=("SC_02",)))
        sandbox.faults.add(fault("submit", "lost_reply"))
        await studio.generate(one("unknown", scene_ids=("SC_03",)))
        sandbox.change(latency_s=600, slots=1)
        batch = await studio.begin(one("cancelled", scene_ids=("SC_04",)))
        await studio.cancel(batch.ids)
    rows = {row["scene_id"]: row for row in told(workspace)}
    statuses = {name: row["status"] for name, row in rows.items()}
    assert statuses == {"SC_01": "success", "SC_02": "failed", "SC_03": "unknown", "SC_04": "cancelled"}
    assert {name: row["paid"] for name, row in rows.items()}["SC_03"] == "unknown"
    assert (rows["SC_02"]["output_path"], bool(rows["SC_02"]["error"])) == ("", True)
    assert isinstance(rows["SC_01"]["seed"], int)
    header = tomllib.loads((workspace / LOG).read_text(encoding="utf-8"))["metadata"]
    assert (header["total_images"], header["job_id"], header["default_model"]) == (1, "job-1", "fal-ai/nano-banana")


async def test_a_foreign_log_is_kept_and_goes_on(open_studio: OpenStudio, workspace: Path) -> None:
    """Rows, numbers and own words of an earlier program stay byte for byte; ours follow them."""
    (workspace / LOG).write_text(OLD_LOG, encoding="utf-8")
    async with open_studio() as studio:
        await studio.generate(one())
    text = (workspace / LOG).read_text(encoding="utf-8")
    assert OLD_LOG[OLD_LOG.index("[[generations]]") :] in text
    assert [row["id"] for row in told(workspace)] == ["GEN_007", "GEN_008"]
    header = tomllib.loads(text)["metadata"]
    assert (header["total_images"], header["by"]) == (2, "somebody")


async def test_old_entries_are_never_parsed(
    open_studio: OpenStudio, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update of our own log copies the old bytes, however many there are."""
    async with open_studio() as studio:
        await studio.generate(one("one", provider="local"))
        monkeypatch.setattr(joblog.tomllib, "loads", None)
        await studio.generate(one("two", provider="local", aspect_ratio="9:16"))
    monkeypatch.undo()
    assert len(told(workspace)) == 2


class Clock:
    """Time that passes only while somebody sleeps, who need not wait for it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """What the clock shows."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it go on."""
        self.now += seconds


async def test_a_batch_writes_its_log_at_most_twice_a_second(
    open_studio: OpenStudio, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty pictures, and calls beside them: never a third write within a second, and all rows before the reply."""
    at: list[float] = []
    write, clock = joblog.write, Clock()

    def noted(*args: Any, **more: Any) -> joblog.Memory:
        at.append(clock.now)
        return write(*args, **more)

    monkeypatch.setattr(joblog, "write", noted)
    monkeypatch.setattr("hoasi.scribe.time", clock)
    requests = tuple(Request(prompt=f"kite {k}", scene=Scene(id=f"SC_{k:02d}")) for k in range(50))
    async with open_studio(HOASI_FAL_CONCURRENCY="8") as studio:

        async def one_after_the_other() -> None:
            for k in range(5):
                await studio.generate(one(f"lone {k}"))
                assert [row for row in told(workspace) if row["prompt"].strip() == f"lone {k}"]

        await asyncio.gather(studio.generate(one(prompt=None, requests=requests)), one_after_the_other())
        assert len(told(workspace)) == 55
    assert len(at) >= 5  # each lone one is told before the next is asked for
    assert all(third - first > 0.99 for first, third in zip(at, at[2:], strict=False)), at


async def test_last_words_are_not_swept_away(
    open_studio: OpenStudio, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that leaves writes its last log; another one that tidies up just then leaves the half of it alone."""
    fill, others = files._fill, Presence(workspace / ".hoasi" / "workers")

    def disturbed(temp: Path, data: bytes, like: Path) -> None:
        fill(temp, data, like)
        artifacts.sweep([temp.parent], others.is_alive)

    monkeypatch.setattr(Scribe, "_listen", lambda _: asyncio.sleep(600))
    async with open_studio() as studio:
        await studio.begin(one(provider="local"))
        await until(lambda: studio.list(states=["succeeded"])[0].generations != ())
        assert told(workspace) == []
        monkeypatch.setattr(files, "_fill", disturbed)
    assert [row["status"] for row in told(workspace)] == ["success"]


async def test_processes_tell_each_end_once(
    open_studio: OpenStudio, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that want to write the same news: one does, the other leaves the log as it is."""
    both, write = threading.Barrier(2), joblog.write

    def together(*args: Any, **more: Any) -> joblog.Memory:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return write(*args, **more)

    monkeypatch.setattr(joblog, "write", together)
    async with open_studio() as a, open_studio() as b:
        b.start()
        batch = await a.begin(one(provider="local"))
        await until(lambda: a.list(states=["succeeded"])[0].generations != ())
        await b.engine._scribe.flush()
        await a.wait(batch)
    header = tomllib.loads((workspace / LOG).read_text(encoding="utf-8"))["metadata"]
    assert (header["job_id"], len(told(workspace))) == ("job-1", 1)


async def test_every_new_picture_is_described_for_the_mapper(open_studio: OpenStudio, workspace: Path) -> None:
    """The plan's own words stand in `asset_semantics.toml`; rows of others stay."""
    other = (
        '[[assets]]\nid = "AST_004"\nfile_path = "jobs/job-1/input/raw_assets/images/mine.jpg"\nsummary = "của tôi"\n'
    )
    (workspace / SEMANTICS).write_text(other, encoding="utf-8")
    async with open_studio() as studio:
        await studio.generate(one(prompt=None, creative_plan="jobs/job-1/source/creative_plan.toml"))
    known = tomllib.loads((workspace / SEMANTICS).read_text(encoding="utf-8"))
    assert [row["id"] for row in known["assets"]] == ["AST_004", "AST_005", "AST_006"]
    assert known["assets"][0]["summary"] == "của tôi"
    assert {row["file_path"] for row in known["assets"][1:]} == {row["output_path"] for row in told(workspace)}
    assert "ban công" in str(known["asset_scenes"])


async def test_doubts_about_a_picture_are_told(open_studio: OpenStudio, sandbox: Sandbox, workspace: Path) -> None:
    """A blank picture, and one that lies on its side, are kept, with a warning in reply and log."""
    async with open_studio() as studio:
        for kind in ("blank", "landscape"):
            sandbox.faults.add(fault("result", kind))
            entry = (await studio.generate(one(kind, aspect_ratio="9:16"))).generations[0]
            assert (entry.state, len(entry.notes)) == ("succeeded", 1)
    assert [len(row["warnings"]) for row in told(workspace)] == [1, 1]


async def test_a_folder_that_nobody_watches_is_a_warning(open_studio: OpenStudio, workspace: Path) -> None:
    """Outside the job's raw assets the picture is made, and the answer says that the watcher will miss it."""
    async with open_studio() as studio:
        reply = await studio.generate(one(output_dir="elsewhere", provider="local"))
    assert reply.generations[0].outputs[0].startswith(str(workspace / "elsewhere"))
    assert [w for w in reply.warnings if "elsewhere" in w]


async def test_a_workspace_behind_a_link_has_plain_paths(workspace: Path, tmp_path: Path) -> None:
    """The workspace may be a link; log rows stay relative to it."""
    (tmp_path / "link").symlink_to(workspace)
    async with Studio(tmp_path / "link", environ={}) as studio:
        await studio.generate(one(provider="local"))
    assert told(workspace)[0]["output_path"].startswith("jobs/job-1/input/raw_assets/images/ai_generated/img_1_")
