"""The sandbox speaks RunPod's wire: proven with the official SDK, and with plain HTTP for the rest."""

import asyncio
import base64
import io
import json
import subprocess
import sys
import textwrap
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from calls import until
from hoasi.sandbox import Fault, Sandbox, runpod_jobs, serving, serving_in_thread
from hoasi.sandbox.runpod_replies import Form, Place

from .test_sandbox_comfyui import chain, changed, from_picture, node, png, stack

pytestmark = pytest.mark.anyio
KEY = {"Authorization": "Bearer rpa_secret"}
WIDE = {"latent__width": 1280, "latent__height": 720}
SDK = "runpod==1.12.0"


class Clock:
    """A clock that stands until it is put forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return Sandbox(latency_s=0.02, pictures="tiny", clock=clock)


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(sandbox) as url,
        httpx.AsyncClient(base_url=f"{url}/v2/ep1", headers=KEY, timeout=httpx.Timeout(30)) as client,
    ):
        yield client


async def sent(http: httpx.AsyncClient, **more: Any) -> str:
    answer = await http.post("/run", json={"input": {"workflow": chain(**WIDE)}, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"id", "status"}
    assert answer.json()["status"] == "IN_QUEUE"
    return str(answer.json()["id"])


async def told(http: httpx.AsyncClient, job_id: str, *statuses: str) -> dict[str, Any]:
    """The envelope once the job has one of these states."""
    while (envelope := (await http.get(f"/status/{job_id}")).json())["status"] not in statuses:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return dict(envelope)


async def ended(http: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    return await told(http, job_id, "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")


async def worked(http: httpx.AsyncClient, given: Any) -> dict[str, Any]:
    return await ended(http, (await http.post("/run", json={"input": given})).json()["id"])


def size(content: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(content)).size


# ---------------------------------------------------------------- the official SDK

SCRIPT = """
    import asyncio, base64, json, sys, time
    import runpod
    runpod.api_key = "rpa_x"
    endpoint = runpod.Endpoint("ep1")
    graph = json.loads(sys.argv[1])
    job = endpoint.run({"input": {"workflow": graph}, "policy": {"executionTimeout": 60000, "ttl": 60000}})
    output = job.output(timeout=30)
    assert base64.b64decode(output["images"][0]["data"])[:4] == b"\\x89PNG", output
    assert job.status() == "COMPLETED"
    assert endpoint.run_sync({"workflow": graph}, timeout=30) == output
    assert endpoint.health()["jobs"]["completed"] == 2
    broken = endpoint.run({"workflow": {}})
    broken.output(timeout=30)
    assert broken.status() == "FAILED"
    assert endpoint.purge_queue() == {"removed": 0, "status": "completed"}
    slow = runpod.Endpoint("slow").run({"workflow": graph})
    assert slow.cancel(timeout=30)["status"] == "CANCELLED"

    async def later():
        import aiohttp
        from runpod import AsyncioEndpoint
        async with aiohttp.ClientSession() as session:
            job = await AsyncioEndpoint("ep1", session).run({"workflow": graph})
            assert await job.output(timeout=30) == output
    asyncio.run(later())
"""


@pytest.fixture(scope="session")
def sdk() -> Path:
    """Python of an environment of its own that has the official SDK; made once, kept beside the project's."""
    place = Path(sys.prefix) / "runpod-sdk"
    python = place / "bin" / "python"
    if not (place / "is-complete").is_file():
        venv.create(place, with_pip=True, clear=True)
        quickly = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "10"]
        command = [str(python), "-m", "pip", "install", *quickly, SDK]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=110)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pytest.skip("the registry of packages cannot be reached, so the official SDK is not here")
        (place / "is-complete").touch()
    return python


@pytest.mark.process
@pytest.mark.timeout(300)
def test_official_sdk_runs_waits_cancels_and_asks(sdk: Path) -> None:
    """The official SDK, sync and async, does its whole round; its base address comes from its own variable."""
    sandbox = Sandbox(latency_s=0.02, pictures="tiny")
    with serving_in_thread(sandbox) as url:
        environ = {"RUNPOD_ENDPOINT_BASE_URL": f"{url}/v2", "HOME": "/nonexistent"}
        command = [str(sdk), "-c", textwrap.dedent(SCRIPT), json.dumps(chain())]
        done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sandbox.stats()["models"] == {"runpod/ep1": 4, "runpod/slow": 1}


# ---------------------------------------------------------------- jobs


async def test_a_job_waits_runs_and_gives_a_picture(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Queued, in progress with its worker, completed with times; the picture has the latent's shape, one per batch."""
    sandbox.change(latency_s=60)
    graph = changed(chain(**WIDE), latent__batch_size=2)
    job_id = (await http.post("/run", json={"input": {"workflow": graph}})).json()["id"]
    assert job_id.endswith("-u1")
    running = await told(http, job_id, "IN_PROGRESS")
    assert running.keys() == {"id", "status", "delayTime", "workerId"}
    (submission,) = sandbox.line._running
    sandbox.line.end(submission)
    done = await ended(http, job_id)
    assert done.keys() == {"id", "status", "delayTime", "executionTime", "workerId", "output"}
    images = done["output"]["images"]
    assert [(one["filename"], one["type"]) for one in images] == [(f"job_0000{k}_.png", "base64") for k in (1, 2)]
    width, height = size(base64.b64decode(images[0]["data"]))
    assert width * 9 == height * 16
    stats = sandbox.stats()
    assert (stats["submissions"], stats["max_running"], stats["leaks"]) == (1, 1, 0)


async def test_the_same_job_twice_is_paid_twice(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """There is no id of the client's and nothing is recognised: two jobs, counted as a duplicate."""
    assert len({await sent(http), await sent(http)}) == 2
    stats = sandbox.stats()
    assert (stats["submissions"], stats["duplicates"], stats["models"]) == (2, 1, {"runpod/ep1": 2})


@pytest.mark.parametrize("form", get_args(Form))
@pytest.mark.parametrize("place", get_args(Place))
async def test_pictures_stand_where_and_as_what_was_asked_for(
    http: httpx.AsyncClient, sandbox: Sandbox, place: Place, form: Form
) -> None:
    """Every place meets every form; whatever holds the picture, it is the same picture."""
    sandbox.change(runpod_reply_format=place, runpod_picture_form=form)
    done = await ended(http, await sent(http))
    found = {
        "images": lambda: done["output"]["images"][0],
        "job_results": lambda: done["output"]["job_results"]["images"][0],
        "nested": lambda: done["output"]["output"]["images"][0],
        "top": lambda: done["images"][0],
        "message": lambda: done["output"]["message"],
        "list": lambda: done["output"][0]["image"],
        "image_url": lambda: done["output"]["image_url"],
        "files": lambda: done["output"]["files"][0],
        "info": lambda: done["output"]["images"][0],
        "text": lambda: done["output"],
        "stream": lambda: done["output"][0],
    }[place]()
    if form in {"object", "s3"}:
        assert found["type"] == ("base64" if form == "object" else "s3_url")
        found = found["data"]
    if found.startswith("http"):
        async with httpx.AsyncClient() as keyless:
            content = (await keyless.get(found)).content
    else:
        assert found.startswith("data:image/png;base64,") is (form == "data_uri")
        content = base64.b64decode(found.removeprefix("data:image/png;base64,"), validate=True)
    width, height = size(content)
    assert width * 9 == height * 16
    assert ("output" in done) is (place != "top")


async def test_a_streamed_output_is_given_once(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Each call gives only what was not taken away yet; other outputs have no stream."""
    plain = await sent(http)
    await ended(http, plain)
    assert (await http.get(f"/stream/{plain}")).json() == {"status": "COMPLETED", "stream": []}
    sandbox.change(runpod_reply_format="stream")
    assert len((await http.get(f"/stream/{plain}")).json()["stream"]) == 1
    assert (await http.get(f"/stream/{plain}")).json() == {"status": "COMPLETED", "stream": []}
    assert sandbox.stats()["streams"] == 3


async def test_runsync_answers_with_all_or_with_where_it_stands(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Ended in time it is the whole envelope; else an id to ask for, and /status-sync waits in the same way."""
    body = {"input": {"workflow": chain()}}
    done = (await http.post("/runsync", json=body)).json()
    assert (done["status"], done["id"][:5], len(done["output"]["images"])) == ("COMPLETED", "sync-", 1)
    sandbox.change(latency_s=600)
    early = (await http.post("/runsync", json=body, params={"wait": 1000})).json()
    assert (early["status"], "output" in early) == ("IN_PROGRESS", False)
    asked = asyncio.ensure_future(http.get(f"/status-sync/{early['id']}"))
    await until(lambda: any("/status-sync/" in path for _, path in sandbox.stats()["requests"]))
    assert sandbox.line.finish() == 1
    assert (await asked).json()["status"] == "COMPLETED"


async def test_a_cold_worker_takes_its_time(
    http: httpx.AsyncClient, sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first job waits in the queue while a worker wakes; the next one right after does not; later ones again do."""
    wakes = asyncio.Event()
    waking = {**vars(asyncio), "sleep": lambda _: wakes.wait()}
    monkeypatch.setattr(runpod_jobs, "asyncio", SimpleNamespace(**waking))
    job_id = await sent(http)
    assert (await http.get("/health")).json()["workers"]["initializing"] == 1
    assert (await http.get(f"/status/{job_id}")).json() == {"id": job_id, "status": "IN_QUEUE"}
    wakes.set()
    await ended(http, job_id)
    await until(lambda: bool(sandbox.runpod._awake["ep1"]))
    sandbox.change(latency_s=60)
    warm = await sent(http)
    assert (await http.get(f"/status/{warm}")).json()["status"] == "IN_PROGRESS"
    await http.post(f"/cancel/{warm}")
    await until(lambda: bool(sandbox.runpod._awake["ep1"]))
    clock.now += 60
    wakes.clear()
    assert (await http.get("/health")).json()["workers"]["idle"] == 0
    assert (await http.get(f"/status/{await sent(http)}")).json()["status"] == "IN_QUEUE"


async def test_jobs_can_be_cancelled_wherever_they_stand(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """While a worker wakes, in the queue and while it runs; one that has ended stays as it is."""
    done = await sent(http)
    await ended(http, done)
    assert (await http.post(f"/cancel/{done}")).json() == {"id": done, "status": "COMPLETED"}
    sandbox.change(latency_s=60, slots=1)
    running = await sent(http)
    await told(http, running, "IN_PROGRESS")
    sandbox.change(runpod_cold_start_s=60)
    waking = await sent(http)
    for job_id in (waking, running):
        assert (await http.post(f"/cancel/{job_id}")).json() == {"id": job_id, "status": "CANCELLED"}
        assert (await http.get(f"/status/{job_id}")).json()["status"] == "CANCELLED"
    assert "executionTime" in (await http.get(f"/status/{running}")).json()
    assert (await http.post("/cancel/unknown")).status_code == 404
    assert sandbox.stats()["cancels"] == 4


async def test_a_purge_takes_only_what_waits(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """What runs goes on; the others are counted and cancelled."""
    sandbox.change(latency_s=60, slots=1)
    running = await sent(http)
    await told(http, running, "IN_PROGRESS")
    waiting = [await sent(http), await sent(http)]
    assert (await http.post("/purge-queue")).json() == {"removed": 2, "status": "completed"}
    assert [(await ended(http, job_id))["status"] for job_id in waiting] == ["CANCELLED"] * 2
    health = (await http.get("/health")).json()
    assert (health["jobs"]["inProgress"], health["jobs"]["inQueue"], health["workers"]["running"]) == (1, 0, 1)
    assert (await http.get(f"/status/{running}")).json()["status"] == "IN_PROGRESS"


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize(
    ("kind", "value", "status", "has"),
    [
        ("completed_error", "Job processing failed", "FAILED", {"error": "Job processing failed"}),
        ("completed_error", json.dumps({"error_message": "boom"}), "FAILED", {"error": '{"error_message": "boom"}'}),
        ("timed_out", None, "TIMED_OUT", {"error": "job timed out"}),
        ("interrupted", None, "CANCELLED", {}),
        ("no_output", None, "COMPLETED", {}),
    ],
)
async def test_jobs_end_badly_as_asked(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, value: Any, status: str, has: dict[str, Any]
) -> None:
    """FAILED with a text or a JSON text, timed out, cancelled by somebody else, or completed without any output."""
    sandbox.faults.add(Fault(at="result", kind=kind, value=value))
    envelope = await ended(http, await sent(http))
    assert envelope.pop("status") == status
    assert {name: envelope[name] for name in envelope.keys() - {"id", "delayTime", "executionTime", "workerId"}} == has


async def test_an_error_can_hide_in_a_success(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """COMPLETED, and the output says that it failed."""
    sandbox.faults.add(Fault(at="result", kind="error_inside"))
    envelope = await ended(http, await sent(http))
    assert (envelope["status"], envelope["output"]["status"]) == ("COMPLETED", "error")


async def test_a_failed_job_can_run_again_and_is_paid_again(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Only FAILED and TIMED_OUT ones; the id stays, the money does not."""
    sandbox.faults.add(Fault(at="result", kind="completed_error"))
    job_id = await sent(http)
    assert (await ended(http, job_id))["status"] == "FAILED"
    assert (await http.post(f"/retry/{job_id}")).json()["id"] == job_id
    assert (await ended(http, job_id))["status"] == "COMPLETED"
    assert (await http.post(f"/retry/{job_id}")).status_code == 400
    assert sandbox.stats()["submissions"] == 2
    assert (await http.get("/health")).json()["jobs"]["retried"] == 1


async def test_a_result_that_is_too_large_gets_lost(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The worker's report is refused, and the job is COMPLETED without an output."""
    job_id = await sent(http)
    assert "output" in await ended(http, job_id)
    sandbox.change(runpod_result_limit_bytes=100)
    assert "output" not in await ended(http, job_id)


@pytest.mark.parametrize(
    ("path", "params", "kept_s"),
    [("/run", {}, 1800), ("/runsync", {}, 60), ("/runsync", {"wait": 90000}, 300)],
)
async def test_results_are_kept_as_long_as_documented(
    http: httpx.AsyncClient, clock: Clock, path: str, params: dict[str, int], kept_s: float
) -> None:
    """30 minutes after /run, one minute after /runsync, five with `wait`; then 404, unless a longer time was asked."""
    jobs = [
        (await http.post(path, json={"input": {"workflow": chain()}}, params=params)).json()["id"] for _ in range(2)
    ]
    for job_id in jobs:
        await ended(http, job_id)
    await http.get(f"/status/{jobs[1]}", params={"ttl": 10_000_000})
    clock.now += kept_s - 1
    assert (await http.get(f"/status/{jobs[0]}")).status_code == 200
    clock.now += 1
    assert [(await http.get(f"/status/{job_id}")).status_code for job_id in jobs] == [404, 200]


async def test_a_job_is_deleted_when_its_time_is_over(http: httpx.AsyncClient, sandbox: Sandbox, clock: Clock) -> None:
    """`ttl` counts from when it was sent and spares nobody; a vanished job is a 404 too."""
    sandbox.change(latency_s=60)
    job_id = await sent(http, policy={"ttl": 10_000})
    await told(http, job_id, "IN_PROGRESS")
    clock.now += 10
    answer = await http.get(f"/status/{job_id}")
    assert (answer.status_code, answer.json().keys()) == (404, {"error"})
    assert sandbox.stats()["in_flight"] == 0
    sandbox.change(latency_s=0)
    sandbox.faults.add(Fault(at="result", kind="vanished"))
    job_id = await sent(http)
    await until(lambda: sandbox.stats()["in_flight"] == 0 and bool(sandbox.stats()["faults"][0]["fired"]))
    assert (await http.get(f"/status/{job_id}")).status_code == 404


async def test_a_job_times_out_while_it_runs(
    http: httpx.AsyncClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`executionTimeout` counts from when a worker took it."""
    monkeypatch.setitem(__import__("hoasi.sandbox.runpod", fromlist=["x"])._LIMITS_MS, "executionTimeout", (1, 600_000))
    sandbox.change(latency_s=60)
    assert (await ended(http, await sent(http, policy={"executionTimeout": 50})))["status"] == "TIMED_OUT"


# ---------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "Please provide input"),
        ("{", "Invalid JSON format in input"),
        ({"flow": 1}, "Missing 'workflow' parameter"),
        ({"workflow": chain(), "images": ["x"]}, "'images' must be a list of objects with 'name' and 'image' keys"),
        ({"workflow": chain(), "images": [{"name": "x", "image": "?"}]}, "Failed to upload one or more input images"),
        ({"workflow": chain(unet__unet_name="x")}, "Workflow validation failed:\n\u2022 Node unet (errors): [{'type'"),
        ({"workflow": {**chain(), "t": node("No")}}, "Cannot execute because node No does not exist.. Raw response: {"),
        ({"workflow": changed(chain(), latent__batch_size=4000)}, "Workflow execution error: CUDA out of memory"),
        ({"workflow": from_picture()}, "Workflow validation failed:"),
    ],
)
async def test_a_bad_input_fails_in_the_workers_words(http: httpx.AsyncClient, given: Any, error: str) -> None:
    """A bad input is accepted, billed and FAILED, with the text of worker-comfyui."""
    envelope = await worked(http, given)
    assert envelope["status"] == "FAILED"
    assert envelope["error"].startswith(error)


async def test_pictures_and_loras_come_with_the_job(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Input pictures are there under their names, LoRAs of `model_urls` too, and stock workers may lack nodes."""
    text = base64.b64encode(png(320, 960)).decode()
    for image in (text, f"data:image/png;base64,{text}"):
        given = {"workflow": from_picture(), "images": [{"name": "face.png", "image": image}]}
        width, height = size(base64.b64decode((await worked(http, given))["output"]["images"][0]["data"]))
        assert height == width * 3
    mine = {"workflow": chain(lora__lora_name="mine.safetensors")}
    assert (await worked(http, mine))["status"] == "FAILED"
    urls = [{"id": "mine.safetensors", "url": "https://example.com/mine.safetensors"}]
    assert (await worked(http, {**mine, "model_urls": urls, "force_download": False}))["status"] == "COMPLETED"
    assert (await worked(http, json.dumps({"workflow": stack()})))["status"] == "COMPLETED"
    sandbox.change(comfyui_lacks=("easy loraStack",))
    assert "does not exist" in (await worked(http, {"workflow": stack()}))["error"]


async def test_previews_are_not_given_back(http: httpx.AsyncClient) -> None:
    """A graph that only previews completes with no pictures; one bad output of two is left out without a word."""
    preview = {**chain(), "save": node("PreviewImage", images=["decode", 0])}
    assert (await worked(http, {"workflow": preview}))["output"] == {"status": "success_no_images", "images": []}
    two = {**chain(), "save2": node("SaveImage", filename_prefix="x")}
    assert len((await worked(http, {"workflow": two}))["output"]["images"]) == 1


async def test_public_endpoints_answer_with_an_address(http: httpx.AsyncClient) -> None:
    """A prompt without a graph is drawn in the size asked for, and comes as `image_url` with its cost."""
    output = (await worked(http, {"prompt": "a kite", "width": 1024, "height": 512, "seed": -1}))["output"]
    assert output.keys() == {"image_url", "cost"}
    async with httpx.AsyncClient() as keyless:
        width, height = size((await keyless.get(output["image_url"])).content)
    assert width == height * 2


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"input": null}',
        b'{"input": {}, "policy": {"executionTimeout": 4999}}',
        b'{"input": {}, "policy": {"ttl": "long"}}',
        b'{"input": {}, "webhook": "https://example.com"}',
        b'{"input": {"x": "' + b"x" * 10_000_000 + b'"}}',
    ],
    ids=["no-json", "list", "no-input", "null", "short", "text", "webhook", "large"],
)
async def test_a_body_that_is_no_job_is_refused(http: httpx.AsyncClient, sandbox: Sandbox, body: bytes) -> None:
    """Not JSON, no input, limits out of range or more than 10 MB: a 400 with an error, and nothing is billed."""
    answer = await http.post("/run", content=body)
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    assert sandbox.stats()["submissions"] == 0


async def test_keys_and_endpoints_are_checked(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`Bearer` and bare keys are good, none and rejected ones are 401, an endpoint that is not there is 404."""
    assert (await http.get("/health", headers={"Authorization": "rpa_secret"})).status_code == 200
    other = await http.get(str(http.base_url).replace("ep1", "no-such-endpoint") + "health")
    refused = [await http.get("/health", headers={"Authorization": ""}), other]
    sandbox.change(reject_key=True)
    refused.append(await http.post("/run", json={"input": {}}))
    assert [(answer.status_code, list(answer.json())) for answer in refused] == [
        (401, ["error"]), (404, ["error"]), (401, ["error"]),
    ]  # fmt: skip


async def test_a_job_belongs_to_its_endpoint(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Another endpoint does not know it; a reset forgets all."""
    job_id = await sent(http)
    assert (await http.get(str(http.base_url).replace("ep1", "ep2") + f"status/{job_id}")).status_code == 404
    sandbox.reset()
    assert (await http.get(f"/status/{job_id}")).status_code == 404


@pytest.mark.parametrize(
    ("kind", "seen", "accepted"),
    [
        ("429", "429", 0),
        ("5xx", "500", 0),
        ("reset", "ReadError", 0),
        ("lost_reply", "RemoteProtocolError", 1),
        ("hang", "ReadTimeout", 1),
    ],
)
async def test_a_spoiled_run_is_billed_or_not_as_its_kind_says(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, seen: str, accepted: int
) -> None:
    """Refusals cost nothing; a lost answer is a job that nobody knows the id of, and it is billed."""
    sandbox.faults.add(Fault(at="submit", kind=kind, model="runpod/ep1"))
    http.timeout = httpx.Timeout(30, read=0.5 if kind == "hang" else 30)
    asked = http.post("/run", json={"input": {"workflow": chain()}})
    if kind in {"429", "5xx"}:
        answer = await asked
        assert str(answer.status_code) == seen
        assert kind != "429" or (answer.json().keys(), answer.headers["retry-after"]) == ({"error"}, "1")
    else:
        with pytest.raises(httpx.TransportError) as lost:
            await asked
        assert type(lost.value).__name__ == seen
    assert sandbox.stats()["submissions"] == accepted


def test_settings_that_make_no_sense_are_refused() -> None:
    """A format that no worker has is named."""
    with pytest.raises(ValidationError):
        Sandbox(runpod_reply_format="other")  # type: ignore[arg-type]
