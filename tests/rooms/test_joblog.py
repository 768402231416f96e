"""Writers: the job log is a valid TOML file at every moment, loses nothing, and is never parsed on an update."""

import json
import os
import random
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hoasi.exports import joblog
from hoasi.exports.joblog import LogRow, Memory

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA = json.loads((SCHEMAS / "ai_image_generation.schema.json").read_text())
CLIPS = json.loads((SCHEMAS / "ai_video_generation.schema.json").read_text())
ROW = LogRow(
    generation_id="g1",
    scene_id="SC_01",
    prompt="Ban công buổi sáng",
    model="fal-ai/nano-banana",
    provider="fal",
    operation="generate_image",
    reference_images=("jobs/a/input/reference/mai.jpg",),
    reference_image_urls=("https://v3.fal.media/files/mai.jpg",),
    seed=0,
    output_path="jobs/a/input/raw_assets/images/ai_generated/sc_01_1_a3f2b1c8.png",
    output_url="https://v3.fal.media/files/out.png",
    duration_seconds=8.42,
    status="success",
    cost_usd=0.039,
    paid="yes",
    sha256="ab" * 32,
    width=1080,
    height=1920,
    created_at="2026-11-21T10:15:00+07:00",
)
FOREIGN = """\
# written by the earlier script
[metadata]
generated_at = "2026-04-27T10:15:00+07:00"   # local time
job_id = "old"
default_model = "fal-ai/flux/dev"
total_images = 7
style_guide = "vds.md"

[[generations]]
id = "GEN_007"
scene_id = "SC_01"
prompt = '''
C:\\path
'''
status = "success"   # by hand

[[generations]]
id = "GEN_003"
status = "failed"
"""

HEADER = ("generated_at", "job_id", "default_model", "total_images")
Write = Callable[..., Memory]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "source" / "ai_image_generation.toml"


@pytest.fixture
def write(log: Path, tmp_path: Path) -> Write:
    def write(rows: Sequence[LogRow], memory: Memory | None = None, **header: str) -> Memory:
        facts = {"job_id": "a", "default_model": "fal-ai/nano-banana", "generated_at": "2026-11-21T10:15:00+07:00"}
        lock = tmp_path / ".hoasi" / "locks" / "log.lock"
        return joblog.write(log, rows, **(facts | header), memory=memory, lock_path=lock, temp_name=".log.new")

    return write


SAID: dict[str, Any] = {"error": "e", "error_key": "k", "warnings": ("w",), "request_id": "r", "copied_from": "g0"}
SAID |= {"parents": ("g0",), "remote_id": "829001"}
SAID |= {"aspect_ratio": "9:16", "aspect_ratio_from": "jobs/job-1/source/creative_plan.toml"}
SAID |= {"original_prompt": "a cup", "fixed_path": "frames/scene-001.png"}


def row(number: int, **changes: Any) -> LogRow:
    return ROW.model_copy(update={"generation_id": f"g{number}", "output_path": f"out_{number}.png", **changes})


def read(path: Path) -> dict[str, Any]:
    document = tomllib.loads(path.read_bytes().decode())
    jsonschema.validate(document, SCHEMA)
    return document


def ids(path: Path) -> list[str]:
    return [entry["id"] for entry in read(path)["generations"]]


def test_the_documented_form(log: Path, write: Write) -> None:
    """Header and block look as the contract shows them: its keys first, in its order, the prompt on its own lines."""
    write([ROW])
    assert log.read_text("utf-8").startswith(
        '[metadata]\ngenerated_at = "2026-11-21T10:15:00+07:00"\njob_id = "a"\ndefault_model = "fal-ai/nano-banana"\n'
        'total_images = 1\n\n[[generations]]\nid = "GEN_001"\nscene_id = "SC_01"\n'
        'prompt = """\nBan công buổi sáng\n"""\nmodel = "fal-ai/nano-banana"\nreference_images = ['
    )
    entry = read(log)["generations"][0]
    contract = ["id", "scene_id", "prompt", "model", "reference_images", "reference_image_urls", "seed"]
    contract += ["output_path", "output_url", "duration_seconds", "status"]
    assert list(entry)[: len(contract)] == contract
    assert (entry["seed"], entry["duration_seconds"], entry["attempt"]) == (0, 8.42, 1)
    assert set(entry) <= set(SCHEMA["$defs"]["generation"]["properties"])


def test_every_key_that_can_be_written_is_in_the_schema(log: Path, write: Write) -> None:
    """A row with everything said is described whole by the schema."""
    write([row(1, **SAID)])
    properties = SCHEMA["$defs"]["generation"]["properties"]
    assert set(read(log)["generations"][0]) == set(properties) - {"s3_url"}  # put there later, by a push


def test_the_log_of_clips_has_the_same_shape_and_the_length(log: Path, write: Write) -> None:
    """Its header counts clips; each row tells length, frames a second, sound and what it was made from."""
    memory = write([row(1, **SAID, duration_s=5.04, fps=24.0, has_audio=True)], media="video")
    write([row(2)], memory, media="video")
    document = tomllib.loads(log.read_text("utf-8"))
    jsonschema.validate(document, CLIPS)
    assert document["metadata"]["total_videos"] == 2
    assert set(document["generations"][0]) == set(CLIPS["$defs"]["generation"]["properties"]) - {"s3_url"}
    assert [document["generations"][0][name] for name in ("duration_s", "fps", "parents")] == [5.04, 24.0, ["g0"]]


def test_a_failed_generation_stays_with_its_error(log: Path, write: Write) -> None:
    """A failure is a row without file, with its error in words; what is not known is left out; only successes count."""
    failed = {"status": "failed", "output_path": "", "output_url": "", "sha256": "", "width": 0, "height": 0}
    write([row(1), row(2, **failed, seed=None, cost_usd=None, paid="no", error="Hết tiền", error_key="balance")])
    document = read(log)
    entry = document["generations"][1]
    assert document["metadata"]["total_images"] == 1
    assert (entry["status"], entry["output_path"], entry["error"]) == ("failed", "", "Hết tiền")
    assert not {"seed", "cost_usd", "sha256", "width"} & set(entry)


def test_updates_add_and_the_header_follows(log: Path, write: Write) -> None:
    """Old rows stay, ids count on, the header tells the last run and all successes."""
    memory = write([row(1), row(2)])
    before = log.read_bytes()[memory.head_bytes :]
    memory = write([row(3)], memory, generated_at="2026-11-22T08:00:00+07:00", default_model='m "2"')
    document = read(log)
    assert ids(log) == ["GEN_001", "GEN_002", "GEN_003"]
    assert log.read_bytes()[memory.head_bytes :].startswith(before)
    assert document["metadata"] == {
        "generated_at": "2026-11-22T08:00:00+07:00", "job_id": "a", "default_model": 'm "2"', "total_images": 3,
    }  # fmt: skip
    assert (memory.next_number, memory.successes, memory.size_bytes) == (4, 3, log.stat().st_size)


def test_our_own_file_is_never_parsed(log: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of the file we left reads no old entry, whatever the prompts hold."""
    memory = write([row(1, prompt='[[generations]]\n[metadata]\ntotal_images = 9\n"""')])

    def explode(*_: object) -> None:
        raise AssertionError("parsed")

    with monkeypatch.context() as patched:
        patched.setattr(tomllib, "loads", explode)
        patched.setattr("tomlkit.parse", explode)
        for number in range(2, 12):
            memory = write([row(number)], memory)
    assert len(ids(log)) == 11
    assert read(log)["metadata"]["total_images"] == 11


def test_every_string_comes_back(log: Path, write: Write) -> None:
    """Quotes, backslashes, control characters, CR, line separators, TOML itself: what goes in comes out."""
    pieces = [
        '"',
        '""',
        '"""',
        "\\",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\0",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\U0001f600",
    ]
    pieces += ["#", "'''", "\\u0041", "[[generations]]\n", "độ", " ", "a"]
    draw = random.Random(20261121)
    texts = ["".join(draw.choices(pieces, k=draw.randrange(10))) for _ in range(2000)]
    write([row(n, prompt=text, error=text, warnings=(text, text), scene_id=text) for n, text in enumerate(texts)])
    for text, entry in zip(texts, read(log)["generations"], strict=True):
        assert entry["prompt"] == text + "\n"
        assert (entry.get("error", ""), entry["warnings"], entry["scene_id"]) == (text, [text, text], text)


def test_what_no_file_can_hold_is_replaced(log: Path, write: Write) -> None:
    """A lone surrogate becomes U+FFFD, a number that is none 0.0; the file stays valid."""
    write([row(1, prompt="a\ud800b", error="\udfff", duration_seconds=float("nan"), cost_usd=float("inf"))])
    entry = read(log)["generations"][0]
    assert (entry["prompt"], entry["error"]) == ("a\ufffdb\n", "\ufffd")
    assert (entry["duration_seconds"], entry["cost_usd"]) == (0.0, 0.0)


def test_the_earlier_scripts_file_is_taken_over(log: Path, write: Write) -> None:
    """Its blocks, comments and unknown header keys stay byte for byte; ids count on; its successes count."""
    log.parent.mkdir()
    log.write_text(FOREIGN)
    memory = write([row(1)])
    memory = write([row(2)], memory)
    text, document = log.read_text(), read_loosely(log)
    assert text[memory.head_bytes :].startswith(FOREIGN[FOREIGN.index("[[") :])
    assert text.startswith("# written by the earlier script\n[metadata]\n")
    assert "# local time" in text[: memory.head_bytes]
    assert document["metadata"]["style_guide"] == "vds.md"
    assert (document["metadata"]["job_id"], document["metadata"]["total_images"]) == ("a", 3)
    assert [entry["id"] for entry in document["generations"]] == ["GEN_007", "GEN_003", "GEN_008", "GEN_009"]
    assert memory.moved_aside == ""


BLOCK = '[[generations]]\nid = "GEN_004"\nstatus = "success"\n'
STRUCTURES = {
    "inline array": 'x = [{a = 1}]\ny = 2\ngenerations = [{id = "GEN_004", status = "success"}]\nmetadata.by = "me"\n',
    "metadata last": BLOCK + 'n = [{a = 1}]\n[metadata]\njob_id = "x"\nby = "me"\n',
    "metadata in two": '[metadata]\nby = "me"\n' + BLOCK + "[metadata.deep]\nk = {v = 1}\n",
    "inline metadata": 'metadata = {by = "me"}\n' + BLOCK + "[[generations.n]]\na = 1\n",
    "another table last": '[metadata]\nby = "me"\n' + BLOCK + "[[other]]\nk = 1\n",
    "marker in a string": 'note = """\n[[generations]]"""\n' + BLOCK + '[metadata]\nby = "me"\n',
    "windows": "\ufeff" + ('[metadata]\nby = "me"\n\n' + BLOCK + "n = 1").replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", STRUCTURES.values(), ids=STRUCTURES)
def test_no_key_is_lost_in_any_structure(log: Path, write: Write, text: str) -> None:
    """However the file is built, its keys survive and the new row follows."""
    log.parent.mkdir()
    log.write_bytes(text.encode())
    before = tomllib.loads(text.removeprefix("\ufeff"))
    memory = write([row(1)])
    write([row(2)], memory)
    after = read_loosely(log)
    assert after["metadata"]["by"] == "me"
    assert after["metadata"]["total_images"] == 3
    assert after["generations"][0] == before["generations"][0]
    assert [entry["id"] for entry in after["generations"]] == ["GEN_004", "GEN_005", "GEN_006"]
    assert others(after) == others(before)


def others(document: dict[str, Any]) -> dict[str, Any]:
    metadata = {name: thing for name, thing in document["metadata"].items() if name not in HEADER}
    return {**document, "metadata": metadata, "generations": ()}


@pytest.mark.parametrize(
    "content", [b"[metadata\nhalf", b"\xff\xfe", b"generations = 3\n", b"[generations]\na = 1\n", b"a = " + b"[" * 9999]
)
def test_a_broken_file_is_put_aside_and_said(log: Path, write: Write, content: bytes) -> None:
    """What is no log is kept beside under a free visible name, the new log is whole, and the caller is told."""
    log.parent.mkdir()
    (log.parent / "ai_image_generation.broken-1.toml").write_text("an older one")
    log.write_bytes(content)
    memory = write([row(1)])
    assert memory.moved_aside == "ai_image_generation.broken-2.toml"
    assert (log.parent / memory.moved_aside).read_bytes() == content
    assert (log.parent / "ai_image_generation.broken-1.toml").read_text() == "an older one"
    assert ids(log) == ["GEN_001"]
    assert write([row(2)], memory).moved_aside == ""


def test_a_hand_edit_is_noticed_and_kept(log: Path, write: Write) -> None:
    """After somebody changed the file its rows are counted anew, and nothing of theirs is lost."""
    memory = write([row(1), row(2)])
    log.write_text(
        log.read_text("utf-8") + '\n[[generations]]\nid = "GEN_040"\nstatus = "success"\nby = "hand"\n', "utf-8"
    )
    memory = write([row(3)], memory)
    document = read_loosely(log)
    assert [entry["id"] for entry in document["generations"]] == ["GEN_001", "GEN_002", "GEN_040", "GEN_041"]
    assert document["generations"][2]["by"] == "hand"
    assert document["metadata"]["total_images"] == memory.successes == 4


def test_an_edit_of_equal_length_is_noticed(log: Path, write: Write) -> None:
    """A changed number changes the next one, though the file is as long as it was."""
    memory = write([row(1), row(2)])
    log.write_text(log.read_text("utf-8").replace('"GEN_002"', '"GEN_902"'), "utf-8")
    write([row(3)], memory)
    assert ids(log) == ["GEN_001", "GEN_902", "GEN_903"]


def test_a_row_is_logged_once_even_if_we_forget(log: Path, write: Write) -> None:
    """After a crash between renaming and remembering the same rows come again: they are not added again."""
    remembered = write([row(1)])
    write([row(2), row(3)], remembered)
    memory = write([row(2), row(3), row(4), row(3, status="failed", attempt=2)], remembered)
    assert [entry["generation_id"] for entry in read(log)["generations"]] == ["g1", "g2", "g3", "g4", "g3"]
    assert (memory.successes, memory.next_number) == (4, 6)


def test_numbers_are_not_used_twice(log: Path, write: Write) -> None:
    """An id that was shown once never means another picture, even when the log was deleted."""
    memory = write([row(1), row(2)])
    log.unlink()
    memory = write([row(3)], memory)
    assert ids(log) == ["GEN_003"]
    assert memory.successes == read(log)["metadata"]["total_images"] == 1


WRITER = """
import sys
from pathlib import Path
from hoasi.exports import joblog
folder, name = Path(sys.argv[1]), sys.argv[2]
ROW = joblog.LogRow.model_validate_json(sys.argv[3])
memory = None
for number in range(50):
    row = ROW.model_copy(update={"generation_id": f"{name}{number}"})
    memory = joblog.write(folder / "log.toml", [row], job_id="a", default_model="m", generated_at="t", memory=memory,
                          lock_path=folder / "log.lock", temp_name=".log.new")
"""


@pytest.mark.process
def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Two processes that write fifty rows each leave a hundred, with a hundred ids."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with (
        subprocess.Popen([*command, "x", ROW.model_dump_json()]) as one,
        subprocess.Popen([*command, "y", ROW.model_dump_json()]) as two,
    ):
        pass
    assert (one.returncode, two.returncode) == (0, 0)
    document = read(tmp_path / "log.toml")
    assert ids(tmp_path / "log.toml") == [f"GEN_{number:03d}" for number in range(1, 101)]
    assert len({entry["generation_id"] for entry in document["generations"]}) == 100
    assert document["metadata"]["total_images"] == 100


KILLED = """
import os, random, signal, sys, time, tomllib
from pathlib import Path
import filelock
from hoasi.exports import joblog
folder, draw = Path(sys.argv[1]), random.Random(int(sys.argv[3]))
ROW = joblog.LogRow.model_validate_json(sys.argv[2])

def row(number):
    return ROW.model_copy(update={"generation_id": f"g{number}", "prompt": 'x"' * draw.randrange(9000)})

def work(done, says):
    memory, rows = None, [row(number) for number in range(done + 1)]  # nothing is remembered: all is told again
    while True:
        memory = joblog.write(folder / "log.toml", rows, job_id="a", default_model="m", generated_at="t",
                              memory=memory, lock_path=folder / "log.lock", temp_name=".log.new")
        os.write(says, b".")
        done += 1
        rows = [row(done)]

def check():
    entries = tomllib.loads((folder / "log.toml").read_bytes().decode())["generations"]
    assert [entry["generation_id"] for entry in entries] == [f"g{number}" for number in range(len(entries))]
    return len(entries)

rows = 0
for _ in range(40):
    hears, says = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hears)
        work(rows, says)
    os.close(says)
    for _ in range(draw.randrange(4)):  # however busy the machine is, most of them come to write
        os.read(hears, 1)
    time.sleep(draw.uniform(0, 0.02))
    os.close(hears)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the writer ended by itself"
    if (folder / "log.toml").exists():
        rows = check()
print(rows)
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its victims")
def test_kill_nine_never_leaves_an_invalid_file(tmp_path: Path) -> None:
    """Forty writers killed at any instruction: the log is whole each time, no row is lost, torn or there twice."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), ROW.model_dump_json(), "7"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 10


def read_loosely(path: Path) -> dict[str, Any]:
    """A file that holds other people's rows: valid TOML, though not all of it is ours to describe."""
    return tomllib.loads(path.read_bytes().decode())
