"""What can go wrong on purpose, the levers over HTTP, and the life of the server."""

import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from hoasi.sandbox import Fault, Sandbox, serving

pytestmark = pytest.mark.anyio
BANANA, FLUX = "fal-ai/nano-banana", "fal-ai/flux/dev"
KEY = {"Authorization": "Key k"}
PATIENT, IMPATIENT = httpx.Timeout(30), httpx.Timeout(30, read=1)  # for answers, and for silence


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.01, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEY, timeout=PATIENT) as client:
        yield client


async def post(http: httpx.AsyncClient, model: str = BANANA, **body: Any) -> httpx.Response:
    return await http.post(f"/{model}", json={"prompt": "a kite", **body})


async def done(http: httpx.AsyncClient, model: str = BANANA, **body: Any) -> dict[str, Any]:
    receipt: dict[str, Any] = (await post(http, model, **body)).json()
    await http.get(receipt["status_url"] + "/stream")
    return receipt


async def made(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    image: dict[str, Any] = (await http.get((await done(http, **body))["response_url"])).json()["images"][0]
    return image


async def outcome(request: Any) -> tuple[str, httpx.Response | None]:
    """Return what a client experiences: a status code or the kind of failure."""
    try:
        response = await request
    except httpx.TransportError as error:
        return type(error).__name__, None
    return str(response.status_code), response


async def lines_until_it_breaks(http: httpx.AsyncClient, url: str) -> tuple[list[str], type[Exception] | None]:
    lines: list[str] = []
    try:
        async with http.stream("GET", url) as response:
            async for line in response.aiter_lines():
                lines.append(line)  # noqa: PERF401 - the lines before the break are wanted
    except httpx.TransportError as error:
        return lines, type(error)
    return lines, None


@pytest.mark.parametrize(
    ("kind", "value", "experience", "accepted"),
    [
        ("429", 7, {"429"}, 0),
        ("concurrent_requests_limit", None, {"429"}, 0),
        ("5xx", 503, {"503"}, 0),
        ("error_type", "runner_scheduling_failure", {"503"}, 0),
        ("validation", "content_policy_violation", {"422"}, 0),
        ("gone", 410, {"410"}, 0),
        ("redirect", "http://127.0.0.1:1/x", {"302"}, 0),
        ("hang_before", None, {"ReadTimeout"}, 0),
        ("reset", None, {"ReadError"}, 0),
        ("hang", None, {"ReadTimeout"}, 1),
        ("lost_reply", None, {"RemoteProtocolError"}, 1),
        ("truncated", None, {"RemoteProtocolError"}, 1),
        ("garbage", None, {"200"}, 1),
        ("wrong_type", None, {"200"}, 1),
        ("empty", None, {"200"}, 1),
        ("slow", 0.01, {"200"}, 1),
    ],
)
async def test_a_spoiled_submit_is_accepted_or_not_as_its_kind_says(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, value: Any, experience: set[str], accepted: int
) -> None:
    """Each kind gives the client its experience, accepts (that is: bills) or not, fires once, and then all is well."""
    sandbox.faults.add(Fault(at="submit", kind=kind, value=value))
    http.timeout = IMPATIENT if kind.startswith("hang") else PATIENT
    seen, _ = await outcome(post(http))
    assert seen in experience
    stats = sandbox.stats()
    assert (stats["submissions"], stats["posts_received"], stats["faults"][0]["fired"]) == (accepted, 1, 1)
    http.timeout = PATIENT
    assert (await post(http)).status_code == 200


async def test_refusals_carry_what_clients_decide_on(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """429 has Retry-After, the limit and infrastructure errors their type, validation its list, nginx no request id."""
    for kind, value in ("429", 7), ("concurrent_requests_limit", None), ("error_type", "startup_timeout"):
        sandbox.faults.add(Fault(at="submit", kind=kind, value=value))  # type: ignore[arg-type]
    sandbox.faults.add(
        Fault(at="submit", kind="validation", value="generation_timeout"), Fault(at="submit", kind="5xx")
    )
    plain, limit, flat, listed, nginx = [await post(http) for _ in range(5)]
    assert plain.headers["retry-after"] == "7"
    assert (limit.headers["x-fal-error-type"], limit.headers["x-fal-needs-retry"]) == ("concurrent_requests_limit", "1")
    assert (flat.status_code, flat.json()["error_type"], flat.headers["x-fal-retryable"]) == (
        504,
        "startup_timeout",
        "true",
    )
    assert (listed.status_code, listed.json()["detail"][0]["type"]) == (504, "generation_timeout")
    assert (nginx.status_code, "nginx" in nginx.text, "x-fal-request-id" in nginx.headers) == (500, True, False)


@pytest.mark.parametrize(
    ("kind", "experience", "content_type", "is_picture"),
    [
        ("truncated", "RemoteProtocolError", None, False),
        ("wrong_type", "200", "text/html; charset=utf-8", False),
        ("empty", "200", "image/jpeg", False),
        ("not_a_picture", "200", "image/png", False),
        ("gone", "404", "application/json", False),
        ("slow", "200", "image/jpeg", True),
    ],
)
async def test_downloads_go_wrong_as_asked(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, experience: str, content_type: str | None, is_picture: bool
) -> None:
    """A spoiled download looks as its kind says, and only for the model it was written for; the next one is whole."""
    sandbox.faults.add(Fault(at="download", kind=kind, model=FLUX, value=0.01 if kind == "slow" else None))
    other, image = await made(http), await made(http, model=FLUX)
    assert Image.open(io.BytesIO((await http.get(other["url"])).content)).format == "PNG"
    seen, response = await outcome(http.get(image["url"]))
    assert (seen, response and response.headers["content-type"]) == (experience, content_type)
    good = (await http.get(image["url"])).content
    assert (response is not None and response.content == good) is is_picture
    assert len(good) == image["file_size"]


async def test_a_stream_can_fall_silent_or_break_off(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A spoiled stream tells its first event and then nothing, or ends without COMPLETED; the next one is complete."""
    sandbox.change(latency_s=60)
    for kind, error in ("hang", httpx.ReadTimeout), ("truncated", httpx.RemoteProtocolError):
        sandbox.faults.add(Fault(at="stream", kind=kind))  # type: ignore[arg-type]
        http.timeout = PATIENT
        receipt = (await post(http)).json()
        http.timeout = httpx.Timeout(30, read=5) if kind == "hang" else PATIENT
        lines, seen = await lines_until_it_breaks(http, receipt["status_url"] + "/stream")
        assert seen is error
        assert json.loads(lines[0].removeprefix("data: "))["status"] == "IN_PROGRESS"
        assert not any("COMPLETED" in line for line in lines)
        submission = sandbox.line.get(receipt["request_id"])
        assert submission
        sandbox.line.end(submission)
        assert "COMPLETED" in (await http.get(receipt["status_url"] + "/stream")).text


@pytest.mark.parametrize(("kind", "status"), [("runner_server_error", 500), ("content_policy_violation", 422)])
async def test_a_completed_error_shows_in_status_and_result(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: str, status: int
) -> None:
    """A failed work is COMPLETED with its error, and the result answers with the status and shape of that error."""
    sandbox.faults.add(Fault(at="status", kind="completed_error", value=kind, after=1))
    fine, failed = await done(http), await done(http)
    assert (await http.get(fine["response_url"])).status_code == 200
    told = (await http.get(failed["status_url"])).json()
    result = await http.get(failed["response_url"])
    assert (told["status"], told["error_type"], result.status_code) == ("COMPLETED", kind, status)
    assert kind in result.text


async def test_pictures_can_be_blank_or_lie_on_their_side(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A blank picture has one colour, a landscape one is wide although tall was asked; others are neither."""
    sandbox.faults.add(Fault(at="result", kind="blank"), Fault(at="download", kind="landscape"))
    pictures = []
    for _ in range(3):
        url = (await made(http, aspect_ratio="9:16"))["url"]
        pictures.append(Image.open(io.BytesIO((await http.get(url)).content)))
    colours = [len(picture.convert("RGB").getcolors() or [None] * 999) for picture in pictures]
    wide = [picture.width > picture.height for picture in pictures]
    assert ([count == 1 for count in colours], wide) == ([True, False, False], [False, True, False])


async def test_faults_wait_their_turn(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`after` lets requests pass, `times` limits (0 does not), the first written comes first, `model` must match."""
    sandbox.faults.add(
        Fault(at="submit", kind="5xx", after=1, times=2),
        Fault(at="submit", kind="429", times=2),
        Fault(at="submit", kind="gone", model=FLUX, times=0),
    )
    assert [(await post(http)).status_code for _ in range(5)] == [429, 500, 500, 429, 200]
    assert [(await post(http, FLUX)).status_code for _ in range(3)] == [404] * 3


@pytest.mark.parametrize(
    "fault",
    [
        {"at": "download", "kind": "completed_error"},
        {"at": "status", "kind": "not_a_picture"},
        {"at": "submit", "kind": "redirect"},
        {"at": "submit", "kind": "no such kind"},
        {"at": "nowhere", "kind": "5xx"},
    ],
)
async def test_a_fault_that_could_never_fire_is_refused(http: httpx.AsyncClient, fault: dict[str, Any]) -> None:
    """A mistaken fault is an error in Python and a 422 over HTTP, so that no test passes because nothing happened."""
    with pytest.raises(ValidationError):
        Fault(**fault)
    assert (await http.post("/_sandbox/faults", json=[fault])).status_code == 422


async def test_levers_work_over_http(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Stats, faults, settings and reset can be reached from another process; reset keeps the settings."""
    await http.post("/_sandbox/settings", json={"latency_s": 60, "slots": 1})
    assert (await http.post("/_sandbox/settings", json={"latency": 60})).status_code == 422
    receipt = (await post(http)).json()
    await http.post("/_sandbox/faults", json=[{"at": "submit", "kind": "5xx", "value": 502}])
    assert (await post(http)).status_code == 502
    stats = (await http.get("/_sandbox/stats")).json()
    assert stats == json.loads(json.dumps(sandbox.stats()))
    assert (stats["in_flight"], stats["requests"]) == (1, [["POST", f"/{BANANA}"]] * 2)
    async with http.stream("GET", receipt["status_url"] + "/stream") as waiting:
        await http.post("/_sandbox/reset")
        assert "runner_disconnected" in (await waiting.aread()).decode()
    assert (await http.get(receipt["status_url"])).status_code == 404
    assert (sandbox.stats()["submissions"], sandbox.stats()["faults"], sandbox.settings.slots) == (0, [], 1)


async def test_a_thousand_in_flight_cost_no_task(sandbox: Sandbox) -> None:
    """Submissions in flight are timers, not tasks, and all of them end."""
    tasks = len(asyncio.all_tasks())
    submissions = [sandbox.line.accept(BANANA, {"number": number}) for number in range(1000)]
    assert (len(asyncio.all_tasks()), sandbox.line.in_flight) == (tasks, 1000)
    for submission in submissions:
        assert [state async for state in submission.changes()][-1] == "done"
    assert (sandbox.line.in_flight, sandbox.line.max_in_flight) == (0, 1000)


async def test_closing_hangs_up_on_everybody(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """The server ends, without a word in the log, while clients hang, stream or wait; they see a broken connection."""
    sandbox.change(latency_s=600)
    sandbox.faults.add(Fault(at="submit", kind="hang", after=1, times=0), Fault(at="status", kind="slow", value=600))
    async with httpx.AsyncClient(headers=KEY, timeout=60) as http:
        async with serving(sandbox) as url:
            receipt = (await http.post(f"{url}/{BANANA}", json={"prompt": "x"})).json()
            asked = [http.post(f"{url}/{FLUX}", json={"prompt": "x"}) for _ in range(5)]
            asked += [http.get(receipt["status_url"] + end) for end in ("", "/stream")]
            clients = [asyncio.ensure_future(outcome(request)) for request in asked]
            while len(sandbox.counters.log) < 8:  # noqa: ASYNC110 - the server has no event for "all have arrived"
                await asyncio.sleep(0.01)
        assert {seen for seen, _ in await asyncio.gather(*clients)} <= {"ReadError", "RemoteProtocolError"}
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


async def test_only_this_machine_can_reach_the_server(http: httpx.AsyncClient) -> None:
    """The socket is bound to 127.0.0.1 alone: another address of this machine, even 127.0.0.2, finds nobody."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", http.base_url.port), timeout=5)


async def test_a_taken_port_is_an_error(http: httpx.AsyncClient) -> None:
    """Two sandboxes cannot share a port."""
    with pytest.raises(OSError, match="address already in use"):
        async with serving(Sandbox(), port=http.base_url.port or 0):
            pass


@pytest.mark.process
def test_run_serves_until_interrupted() -> None:
    """`run` serves in the foreground, says where, is quiet, and ends on Ctrl-C although a client is connected."""
    code = "from hoasi.sandbox import Sandbox, run; run(Sandbox(), 0, on_ready=lambda url: print(url, flush=True))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        with httpx.Client() as http:
            assert http.get(f"{url}/_sandbox/stats").json()["submissions"] == 0
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert errors.strip().endswith("KeyboardInterrupt")
    assert "ERROR" not in errors
