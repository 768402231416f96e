"""The skill's script and the command line as real processes: what a user types, sees, and pays."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from acceptance.processes import finish, until
from calls import person
from hoasi.sandbox import Fault, Sandbox, serving_in_thread

pytestmark = pytest.mark.process

REPOSITORY = Path(__file__).parents[2]
CANONICAL = REPOSITORY / "skills" / "fal-image-generator" / "scripts" / "fal_image_generator.py"
DOCUMENTED = REPOSITORY / "skills" / "fal_image_generator" / "scripts" / "fal_image_generator.py"
PICTURES = "jobs/job-1/input/raw_assets/images/ai_generated"
LOG = "jobs/job-1/source/ai_image_generation.toml"
PLAN = "jobs/job-1/source/creative_plan.toml"
HOASI = [str(Path(sys.executable).with_name("hoasi"))]
SECRET = "id-5f3c9a:secret-7d1e2b"
ADDRESSES = ("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL")


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """Address of a sandbox that runs beside the processes."""
    with serving_in_thread(sandbox) as address:
        yield address


class Street:
    """Starts processes in a workspace whose fal is the sandbox."""

    def __init__(self, workspace: Path, url: str) -> None:
        keep = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "SYSTEMROOT"}}
        self.env = {**keep, **dict.fromkeys(ADDRESSES, url)}
        self.workspace = workspace
        (workspace / ".env").write_text(f"FAL_API_KEY={SECRET}\n", encoding="utf-8")

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(words, text=True, cwd=self.workspace, env=self.env, **pipes, **options)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert SECRET.split(":")[1] not in out + err
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture
def street(workspace: Path, url: str) -> Iterator[Street]:
    """Afterwards the keys go, so that the check for secrets in files means files that we wrote."""
    yield Street(workspace, url)
    (workspace / ".env").unlink()


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((64, 96), 80).convert("RGB").save(path)


def rows(workspace: Path, log: str = LOG) -> list[dict[str, Any]]:
    text = (workspace / log).read_text(encoding="utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["generations"]
    return found


# ---------------------------------------------------------------------- the script as documented


@pytest.mark.parametrize("script", [CANONICAL, DOCUMENTED], ids=["canonical", "documented"])
def test_a_prompt_with_references_as_documented(script: Path, street: Street, sandbox: Sandbox) -> None:
    """The documented call makes the picture and the log; with references nano-banana becomes its edit model.

    The same call again, with `--env-file` before `generate`, buys nothing.
    """
    for name in ("a.jpg", "b.jpg"):
        picture(street.workspace / "jobs/job-1/input/reference" / name)
    references = "jobs/job-1/input/reference/a.jpg,jobs/job-1/input/reference/b.jpg"
    call = ["--prompt", "m\u1ed9t c\u00f4 g\u00e1i", "--reference-images", references, "--no-faces"]
    call += ["--output-dir", PICTURES, "--report-toml", LOG]
    made = street.run(sys.executable, script, "generate", "--env-file", ".env", *call)
    assert made.returncode == 0, made.stderr
    (row,) = rows(street.workspace)
    assert (row["model"], row["status"]) == ("fal-ai/nano-banana/edit", "success")
    assert row["reference_images"] == references.split(",")
    assert (street.workspace / row["output_path"]).parent == street.workspace / PICTURES
    again = street.run(sys.executable, script, "--env-file", ".env", "generate", *call)
    assert (again.returncode, sandbox.stats()["submissions"]) == (0, 1)


def test_prompts_and_plans_as_documented(street: Street, sandbox: Sandbox) -> None:
    """`--prompts-toml`, `--from-creative-plan` with `--vds-path`, `--scene-id`, `--all-scenes`, `--overwrite`."""
    source = street.workspace / "jobs/job-1/source"
    (source / "look.md").write_text("# 4. Style DNA\nsoft morning light\n", encoding="utf-8")
    (source / "image_prompts.toml").write_text('[[prompts]]\nscene_id = "SC_09"\nprompt = "a cup"\n', encoding="utf-8")
    calls = [
        (["--prompts-toml", "jobs/job-1/source/image_prompts.toml"], 1),
        (["--from-creative-plan", PLAN, "--vds-path", "jobs/job-1/source/look.md", "--num-images", "2"], 3),
        (["--from-creative-plan", PLAN, "--scene-id", "SC_02", "--model", "fal-ai/flux/schnell"], 4),
        (["--from-creative-plan", PLAN, "--scene-id", "SC_02", "--model", "fal-ai/flux/schnell", "--overwrite"], 5),
        (["--from-creative-plan", PLAN, "--all-scenes"], 8),
    ]
    for words, submissions in calls:
        result = street.run(sys.executable, CANONICAL, "generate", *words)
        assert (result.returncode, sandbox.stats()["submissions"]) == (0, submissions), result.stderr
    log = rows(street.workspace)
    assert {row["model"] for row in log} == {"fal-ai/nano-banana", "fal-ai/flux/schnell"}
    assert sum("soft morning light" in row["prompt"] for row in log if row["scene_id"] == "SC_01") == 2


def test_another_python_hands_over_to_the_repositorys(street: Street) -> None:
    """The system's Python without hoasi runs the script in the repository's `.venv`."""
    python = Path(sys.executable).resolve()
    has_venv = (REPOSITORY / ".venv" / "bin" / "python").exists()
    knows = subprocess.run([python, "-c", "import hoasi"], capture_output=True, check=False, cwd="/").returncode == 0
    if not has_venv or knows:
        pytest.skip("needs the repository's .venv, and a Python without hoasi")
    result = street.run(python, DOCUMENTED, "generate", "--prompt", "x", "--provider", "local", "--json")
    assert (result.returncode, json.loads(result.stdout)["generations"][0]["state"]) == (0, "succeeded")


def test_without_hoasi_the_script_says_how_to_install(street: Street, tmp_path: Path) -> None:
    """No hoasi anywhere: Vietnamese advice, exit 2; with `--json` one object."""
    shutil.copytree(REPOSITORY / "skills", tmp_path / "alone" / "skills")
    script = tmp_path / "alone" / "skills" / "fal_image_generator" / "scripts" / "fal_image_generator.py"
    street.env["PATH"] = str(tmp_path)
    bare = (sys.executable, "-S", "-I", script, "generate", "--prompt", "x")
    plain, as_json = street.run(*bare), street.run(*bare, "--json")
    assert (plain.returncode, plain.stdout, "make demo" in plain.stderr) == (2, "", True)
    assert (as_json.returncode, json.loads(as_json.stdout)["error"]["key"]) == (2, "not_installed")


# ---------------------------------------------------------------------- the command line's own promises


def test_a_pipe_gets_one_line_a_picture_and_the_summary(street: Street) -> None:
    """Piped, each finished picture is one line with its absolute path; cost, folder and next step follow."""
    result = street.run(*HOASI, "generate", "--from-creative-plan", PLAN)
    lines = [line for line in result.stdout.splitlines() if line.startswith("xong")]
    paths = [Path(line.split()[2]) for line in lines]
    assert len(paths) == 2
    assert all(path.is_absolute() and path.is_file() for path in paths)
    assert all(word in result.stdout for word in ("$0.078", PICTURES, "asset-semantic-extractor"))
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_a_failed_scene_is_told_and_the_others_are_kept(street: Street, sandbox: Sandbox) -> None:
    """One failure: exit 1, its reason and whether it was paid are said, the other picture is there."""
    sandbox.faults.add(Fault(at="result", kind="completed_error", value="content_policy_violation"))
    result = street.run(*HOASI, "generate", "--from-creative-plan", PLAN, "--json")
    answer = json.loads(result.stdout)
    assert (result.returncode, result.stdout.count("\n"), result.stderr) == (1, 1, "")
    assert sorted(entry["state"] for entry in answer["generations"]) == ["failed", "succeeded"]
    failed = next(entry for entry in answer["generations"] if entry["state"] == "failed")
    assert failed["error"]["message"]
    assert failed["error"]["fix"]


def test_a_lost_reply_exits_3_until_it_is_settled(street: Street, sandbox: Sandbox) -> None:
    """A lost reply is never sent again by itself: run and rerun exit 3, `resume ID --abandon` settles it."""
    sandbox.faults.add(Fault(at="submit", kind="lost_reply"))
    call = [*HOASI, "generate", "--prompt", "x", "--json"]
    first, second = street.run(*call), street.run(*call)
    assert (first.returncode, second.returncode, sandbox.stats()["posts_received"]) == (3, 3, 1)
    name = json.loads(second.stdout)["generations"][0]["id"]
    assert street.run(*HOASI, "resume", "--json").returncode == 0
    settled = street.run(*HOASI, "resume", name, "--abandon", "--json")
    assert (settled.returncode, sandbox.stats()["posts_received"]) == (0, 1)
    again = street.run(*call[:-1], "--resubmit", "--json")
    assert (again.returncode, sandbox.stats()["posts_received"]) == (0, 2)


def test_control_c_leaves_cleanly_and_resume_goes_on(street: Street, url: str, sandbox: Sandbox) -> None:
    """Ctrl-C exits 130 without a traceback, keeps what was paid and names `hoasi resume`, which finishes it unpaid."""
    sandbox.change(latency_s=600)
    process = street.start(*HOASI, "generate", "--from-creative-plan", PLAN)
    until(lambda: sandbox.stats()["submissions"] == 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert finish(url) == 2
    assert (process.returncode, "hoasi resume" in err, "Traceback" in err) == (130, True, False)
    result = street.run(*HOASI, "resume", "--json")
    assert (result.returncode, sandbox.stats()["submissions"]) == (0, 2)
    assert [row["status"] for row in rows(street.workspace)] == ["success", "success"]
    assert street.run(*HOASI, "resume").returncode == 0


def test_the_consent_error_holds_the_very_command(street: Street, sandbox: Sandbox) -> None:
    """Without consent nothing leaves and the exit code is 2; the command that the error names makes it work."""
    person(street.workspace / "jobs/job-1/input/reference/lan.jpg")
    reference = "jobs/job-1/input/reference/lan.jpg"
    call = [*HOASI, "generate", "--prompt", "x", "--job", "job-1", "--reference-images", reference, "--json"]
    refused = street.run(*call)
    error = json.loads(refused.stdout)["error"]
    assert (refused.returncode, error["kind"], sandbox.stats()["requests"]) == (2, "ConsentMissing", [])
    start = error["fix"].index("hoasi consent add")
    command = shlex.split(error["fix"][start:].partition(";")[0])
    assert street.run(*HOASI, *command[1:]).returncode == 0
    assert street.run(*call).returncode == 0
    assert street.run(*HOASI, "consent", "revoke", reference, "--job", "job-1").returncode == 0
    assert street.run(*call[:-1], "--seed", "7", "--json").returncode == 2


def test_a_reader_that_leaves_is_no_crash(street: Street) -> None:
    """`hoasi models | head -1` ends quietly."""
    process = street.start(*HOASI, "models")
    assert process.stdout
    process.stdout.close()
    process.wait(timeout=60)
    assert process.stderr
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_the_sandbox_command_serves_and_stops(street: Street) -> None:
    """`hoasi sandbox --json` says its address in one object; HOASI_SANDBOX leads there; Ctrl-C ends it quietly."""
    process = street.start(*HOASI, "sandbox", "--port", "0", "--latency", "0", "--json")
    assert process.stdout
    answer = json.loads(process.stdout.readline())
    street.env["HOASI_SANDBOX"] = answer["url"]
    for name in ADDRESSES:
        street.env.pop(name)
    assert street.run(*HOASI, "generate", "--prompt", "x", "--json").returncode == 0
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
