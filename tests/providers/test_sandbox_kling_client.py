"""A client that others wrote for Kling runs its whole round without knowing that it talks to a sandbox.

`@ai-sdk/klingai` (npm, third party: Kling has no client of its own) is installed once into `.venv/node`. Where that
cannot be, the tests are skipped; `TEST_KLING_CLIENT` may name a built ES module of it instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hoasi.sandbox import Fault, Sandbox, serving_in_thread
from hoasi.sandbox.kling_auth import SECRET_KEY

pytestmark = pytest.mark.process
PACKAGE = "@ai-sdk/klingai"
FOLDER = Path(sys.prefix) / "node"
BUILT = os.environ.get("TEST_KLING_CLIENT")
DRIVER = """
const [client, settings, model, options] = process.argv.slice(1);
const { createKlingAI } = await import(client);
const video = createKlingAI(JSON.parse(settings)).video(model);
try {
  const started = await video.doStart({ n: 1, providerOptions: {}, ...JSON.parse(options) });
  let now;
  do {
    await new Promise(resolve => setTimeout(resolve, 20));
    now = await video.doStatus({ operation: started.operation, providerOptions: {} });
  } while (now.status === 'pending');
  console.log(JSON.stringify({ warnings: started.warnings, ...now }));
} catch (error) {
  console.log(JSON.stringify({ status: 'thrown', error: error.message, http: error.statusCode }));
}
"""


@pytest.fixture(scope="module")
def client() -> str:
    """The file of the client's module; installed at the first run, kept for the next."""
    if shutil.which("node") is None or (BUILT is None and shutil.which("npm") is None):
        pytest.skip("node and npm are not installed")
    if BUILT:
        return Path(BUILT).as_uri()
    package = FOLDER / "node_modules" / PACKAGE
    if not package.exists():
        FOLDER.mkdir(exist_ok=True)
        install = ["npm", "install", "--prefix", str(FOLDER), "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
        done = subprocess.run(install, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {PACKAGE}: {(done.stderr.split() or ['no reason given'])[:4]}")
    main = json.loads((package / "package.json").read_text(encoding="utf-8"))["main"]
    return (package / main).as_uri()


def drive(client: str, url: str, model: str, *, key: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    settings = {"baseURL": url, **(key or {"apiKey": "key"})}
    command = ["node", "--input-type=module", "-e", DRIVER, "--", client, json.dumps(settings), model]
    done = subprocess.run([*command, json.dumps(options)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("key", [{"apiKey": "key"}, {"accessKey": "access", "secretKey": SECRET_KEY}])
def test_text_to_video_runs_with_both_kinds_of_keys(client: str, key: dict[str, str]) -> None:
    """Create, poll, clip: the client validates every answer with its own schemas."""
    sandbox = Sandbox(latency_s=0.05, pictures="tiny")
    with serving_in_thread(sandbox) as url:
        told = drive(client, url, "kling-v2.6-t2v", key=key, prompt="x", aspectRatio="16:9", duration=5)
        assert (told["status"], told["warnings"], told["videos"][0]["mediaType"]) == ("completed", [], "video/mp4")
        assert told["videos"][0]["url"].startswith(url)
        assert told["providerMetadata"]["klingai"]["videos"][0]["duration"] == "5.0"
    stats = sandbox.stats()
    assert (stats["models"], stats["unknown_fields"]) == ({"kling/videos/text2video": 1}, {})
    assert {path.rpartition("/")[0] for verb, path in stats["requests"] if verb == "GET"} == {"/v1/videos/text2video"}


def test_image_to_video_runs_too(client: str) -> None:
    """A first frame by URL makes a clip, below the prefix as well as at the root."""
    frame = {"frameType": "first_frame", "image": {"type": "url", "url": "https://example.com/a.png"}}
    with serving_in_thread(Sandbox(latency_s=0.05, pictures="tiny")) as url:
        told = drive(client, f"{url}/kling", "kling-v3.0-i2v", prompt="x", frameImages=[frame], duration=7)
        assert told["status"] == "completed"


def test_the_client_sees_what_went_wrong(client: str) -> None:
    """A wrong secret, a content refusal and a task that failed reach the client as its own errors."""
    sandbox = Sandbox(latency_s=0.05, pictures="tiny")
    with serving_in_thread(sandbox) as url:
        forged = drive(client, url, "kling-v2.6-t2v", key={"accessKey": "a", "secretKey": "wrong"}, prompt="x")
        assert (forged["http"], forged["error"]) == (401, "Authorization is invalid")
        sandbox.faults.add(Fault(at="submit", kind="error_type", value=1301))
        assert drive(client, url, "kling-v2.6-t2v", prompt="x")["http"] == 400
        sandbox.faults.add(Fault(at="status", kind="completed_error", value="no luck"))
        failed = drive(client, url, "kling-v2.6-t2v", prompt="x")
        assert (failed["status"], failed["error"]) == ("error", "Video generation failed: no luck")
