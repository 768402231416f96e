"""The sandbox speaks fal's wire: proven with the official client, and with plain HTTP for the rest."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import fal_client
import httpx
import pytest
from PIL import Image

from hoasi.sandbox import Fault, Sandbox, serving, serving_in_thread

pytestmark = pytest.mark.anyio
KEY = {"Authorization": "Key id:secret"}
BANANA, EDIT, FLUX = "fal-ai/nano-banana", "fal-ai/nano-banana/edit", "fal-ai/flux/dev"
PICTURE = "https://example.com/a.png"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=60, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        yield client


@pytest.fixture
async def official(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[fal_client.AsyncClient]:
    point_official_client(str(http.base_url), monkeypatch)
    client = fal_client.AsyncClient(key="id:secret")
    yield client
    await (await client._client).aclose()


def point_official_client(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = url.rstrip("/")
    places = {"QUEUE_URL_FORMAT": f"{origin}/", "RUN_URL_FORMAT": f"{origin}/", "REST_URL": origin, "CDN_URL": origin}
    sizes = {"MULTIPART_THRESHOLD": 100_000, "MULTIPART_CHUNK_SIZE": 40_000}
    for name, value in {**places, **sizes}.items():
        monkeypatch.setattr(fal_client.client, name, value)


async def submit(http: httpx.AsyncClient, model: str = BANANA, **body: Any) -> dict[str, Any]:
    response = await http.post(f"/{model}", json={"prompt": "a kite", **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


def end(sandbox: Sandbox, request_id: str) -> None:
    """Let the work of a submission end now: no test here races against the latency."""
    submission = sandbox.line.get(request_id)
    assert submission
    sandbox.line.end(submission)


async def events(http: httpx.AsyncClient, receipt: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async with http.stream("GET", receipt["status_url"] + "/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line:
                yield json.loads(line.removeprefix("data: "))


async def opened(http: httpx.AsyncClient, image: dict[str, Any]) -> Image.Image:
    async with httpx.AsyncClient() as keyless:
        content = (await keyless.get(image["url"])).content
    assert len(content) == image["file_size"]
    picture = Image.open(io.BytesIO(content))
    assert (picture.width, picture.height) == (image["width"], image["height"])
    return picture


async def test_official_async_client_uploads_waits_and_gets_a_picture(
    official: fal_client.AsyncClient, http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    """The official async client runs its whole round without knowing that it talks to a sandbox."""
    url = await official.upload_image(Image.new("RGB", (30, 40)), "png")
    seen: list[Any] = []
    ids: list[str] = []

    def on_update(status: fal_client.Status) -> None:
        seen.append(status)
        if isinstance(status, fal_client.InProgress):
            end(sandbox, ids[0])

    body = {"prompt": "a kite", "image_urls": [url], "aspect_ratio": "9:16"}
    result = await official.subscribe(
        EDIT, body, with_logs=True, on_enqueue=ids.append, on_queue_update=on_update, interval=0.005
    )
    assert [type(status) for status in seen] == [fal_client.InProgress, fal_client.Completed]
    assert seen[-1].logs[0]["level"] == "INFO"
    assert seen[-1].metrics["inference_time"] > 0
    picture = await opened(http, result["images"][0])
    assert picture.width * 1344 == picture.height * 768
    assert "kite" in result["description"]
    stats = sandbox.stats()
    assert (stats["submissions"], stats["uploads"], stats["leaks"], stats["models"]) == (1, 1, 0, {EDIT: 1})


def test_official_sync_client_submits_polls_and_reattaches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official sync client works too, from another thread, and finds a request again by its bare id."""
    with serving_in_thread(Sandbox(latency_s=0.02, pictures="tiny")) as url:
        point_official_client(url, monkeypatch)
        client = fal_client.SyncClient(key="id:secret")
        handle = client.submit(FLUX, {"prompt": "a kite", "seed": 0}, priority="low", hint="h")
        assert fal_client.Completed in [type(status) for status in handle.iter_events(interval=0.005)]
        again = client.get_handle(FLUX, handle.request_id)
        assert again.get() == handle.get()
        assert again.get()["seed"] == 0
        client._client.close()


async def test_official_client_gets_its_bytes_back_from_every_upload(
    official: fal_client.AsyncClient, http: httpx.AsyncClient, sandbox: Sandbox, tmp_path: Any
) -> None:
    """An upload, whole or in parts, is served again byte for byte, under the content type it came with."""
    small, large = b"small", bytes(range(256)) * 600
    file = tmp_path / "large file.png"
    file.write_bytes(large)
    urls = [await official.upload(small, "text/x-a", "a.txt"), await official.upload_file(file)]
    async with httpx.AsyncClient() as keyless:
        answers = [await keyless.get(url) for url in urls]
    assert [answer.content for answer in answers] == [small, large]
    assert [answer.headers["content-type"] for answer in answers] == ["text/x-a", "image/png"]
    assert sandbox.stats()["uploads"] == 2
    assert len([path for _, path in sandbox.counters.log if "/multipart/" in path]) == 4 + 1


async def test_signed_upload_with_a_key_is_refused_and_counted_as_a_leak(
    official: fal_client.AsyncClient, sandbox: Sandbox
) -> None:
    """A key sent to a signed URL is answered 400 and counted; the official client does send it there."""
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        await official.upload(b"x", "image/png", repository="fal", fallback_repository=[])
    assert caught.value.status_code == 400
    assert (sandbox.stats()["leaks"], sandbox.stats()["uploads"]) == (1, 0)


async def test_signed_upload_needs_no_key_and_the_promised_content_type(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    """Initiate with the key, PUT without it: the file is then served; another content type breaks the signature."""
    wanted = {"file_name": "trang nguyen.png", "content_type": "image/png"}
    places = (await http.post("/storage/upload/initiate?storage_type=fal-cdn-v3", json=wanted)).json()
    async with httpx.AsyncClient() as keyless:
        wrong = await keyless.put(places["upload_url"], content=b"x", headers={"Content-Type": "image/jpeg"})
        right = await keyless.put(places["upload_url"], content=b"x", headers={"Content-Type": "image/png"})
        assert (wrong.status_code, right.status_code) == (403, 200)
        assert (await keyless.get(places["file_url"])).content == b"x"
    assert sandbox.stats()["leaks"] == 0


async def test_official_client_buys_again_after_a_lost_reply(
    official: fal_client.AsyncClient, sandbox: Sandbox
) -> None:
    """The counters show what a retried submit costs: two lost replies, three submissions, two of them duplicates."""
    sandbox.faults.add(Fault(at="submit", kind="lost_reply", times=2))
    await official.submit(BANANA, {"prompt": "a kite"})
    stats = sandbox.stats()
    assert (stats["posts_received"], stats["submissions"], stats["duplicates"]) == (3, 3, 2)


async def test_status_stream_tells_every_state_at_once_and_ends(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The stream opens with the present state, tells each change, and ends with COMPLETED."""
    sandbox.change(slots=1)
    ahead, asked = await submit(http), await submit(http)
    told = []
    async for event in events(http, asked):
        told.append(event["status"])
        if event["status"] != "COMPLETED":
            end(sandbox, (ahead if event["status"] == "IN_QUEUE" else asked)["request_id"])
    assert told == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert sandbox.stats()["polls"] == 0


async def test_slots_hold_back_the_rest_of_the_queue(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """With two slots two run and the others wait in order, as for a new account; none is lost."""
    sandbox.change(slots=2)
    receipts = [await submit(http, seed=seed) for seed in range(4)]
    states = [await http.get(receipt["status_url"]) for receipt in receipts]
    assert [state.status_code for state in states] == [202] * 4
    assert [state.json()["status"] for state in states] == ["IN_PROGRESS"] * 2 + ["IN_QUEUE"] * 2
    assert [state.json()["queue_position"] for state in states[2:]] == [0, 1]
    sandbox.change(slots=None)
    assert (await http.get(receipts[3]["status_url"])).json()["status"] == "IN_PROGRESS"
    assert (sandbox.stats()["max_in_flight"], sandbox.stats()["max_running"]) == (4, 4)


async def test_result_before_its_time_is_refused(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Too early a result is a 400 with the sentence that clients look for; both result URLs serve it later."""
    receipt = await submit(http)
    early = await http.get(receipt["response_url"])
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    end(sandbox, receipt["request_id"])
    plain, long = [await http.get(receipt["response_url"] + end) for end in ("", "/response")]
    assert plain.json() == long.json()
    assert plain.headers["x-fal-request-id"] == receipt["request_id"]


async def test_cancel_has_three_answers(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A waiting request is ended, a running one goes on (unless set to stop), a done one is too late."""
    sandbox.change(slots=1)
    running, waiting = await submit(http), await submit(http)
    answers = [await http.put(receipt["cancel_url"]) for receipt in (running, waiting, waiting)]
    unknown = await http.put(f"/{BANANA}/requests/nobody/cancel")
    assert [(a.status_code, a.json()["status"]) for a in [*answers, unknown]] == [
        (202, "CANCELLATION_REQUESTED"),
        (202, "CANCELLATION_REQUESTED"),
        (400, "ALREADY_COMPLETED"),
        (404, "NOT_FOUND"),
    ]
    assert (await http.get(running["status_url"])).json()["status"] == "IN_PROGRESS"
    assert (await http.get(waiting["status_url"])).json()["error_type"] == "client_cancelled"
    assert (await http.get(waiting["response_url"])).status_code == 499
    sandbox.change(cancel_stops_running=True)
    await http.put(running["cancel_url"])
    assert (await http.get(running["status_url"])).json()["status"] == "COMPLETED"


async def test_requests_live_below_owner_and_alias_only(http: httpx.AsyncClient) -> None:
    """The full endpoint id in a status URL is a 405, another app's a 404, an endpoint nobody knows a 404."""
    request_id = (await submit(http, EDIT, image_urls=[PICTURE]))["request_id"]
    assert (await http.get(f"/{EDIT}/requests/{request_id}/status")).status_code == 405
    assert (await http.put(f"/{EDIT}/requests/{request_id}/cancel")).status_code == 405
    assert (await http.get(f"/fal-ai/flux/requests/{request_id}/status")).status_code == 404
    unknown = await http.post("/fal-ai/flux/no-such", json={"prompt": "x"})
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Path /fal-ai/flux/no-such not found"})


@pytest.mark.parametrize("model", ["workflows/an/story", "comfy/an/graph/main"])
async def test_namespaced_ids_take_any_input(http: httpx.AsyncClient, sandbox: Sandbox, model: str) -> None:
    """Graphs of users have no schema: any input is drawn, and their requests live below ns/owner/alias."""
    receipt = await submit(http, model, whatever=[1, 2])
    assert receipt["status_url"].endswith(f"{'/'.join(model.split('/')[:3])}/requests/{receipt['request_id']}/status")
    end(sandbox, receipt["request_id"])
    assert (await http.get(receipt["response_url"])).json()["images"]


@pytest.mark.parametrize("header", ["", "Key", "Basic a2V5", "Bearer token", "id:secret"])
async def test_only_a_key_opens_the_queue(http: httpx.AsyncClient, sandbox: Sandbox, header: str) -> None:
    """A request without `Key <something>` is a 401, and so is every key when keys are rejected."""
    answer = await http.post(f"/{BANANA}", json={"prompt": "x"}, headers={"Authorization": header})
    sandbox.change(reject_key=True)
    rejected = await http.post("/storage/auth/token?storage_type=fal-cdn-v3", json={})
    upload = await http.post("/files/upload", content=b"x")  # the CDN wants a token, not the key
    assert [answer.status_code, rejected.status_code, upload.status_code] == [401, 401, 401]
    assert (sandbox.stats()["submissions"], sandbox.stats()["uploads"]) == (0, 0)


@pytest.mark.parametrize(
    ("model", "body", "kind", "loc"),
    [
        (BANANA, {}, "missing", ["body", "prompt"]),
        (BANANA, {"input": {"prompt": "x"}}, "missing", ["body", "prompt"]),
        (BANANA, [], "dict_type", ["body"]),
        (BANANA, {"prompt": None}, "string_type", ["body", "prompt"]),
        (BANANA, {"prompt": "x", "aspect_ratio": "9x16"}, "one_of", ["body", "aspect_ratio"]),
        (BANANA, {"prompt": "x", "safety_tolerance": 2}, "one_of", ["body", "safety_tolerance"]),
        (BANANA, {"prompt": "x", "num_images": 5}, "less_than_equal", ["body", "num_images"]),
        (BANANA, {"prompt": "x", "num_images": 0}, "greater_than_equal", ["body", "num_images"]),
        (BANANA, {"prompt": "x", "num_images": 1.5}, "int_type", ["body", "num_images"]),
        (BANANA, {"prompt": "x", "seed": "1"}, "float_type", ["body", "seed"]),
        (BANANA, {"prompt": "x", "sync_mode": 1}, "bool_type", ["body", "sync_mode"]),
        (EDIT, {"prompt": "x"}, "missing", ["body", "image_urls"]),
        (EDIT, {"prompt": "x", "image_urls": PICTURE}, "list_type", ["body", "image_urls"]),
        (EDIT, {"prompt": "x", "image_urls": [PICTURE, 3]}, "string_type", ["body", "image_urls", 1]),
        (EDIT, {"prompt": "x", "image_urls": ["/tmp/a.png"]}, "file_download_error", ["body", "image_urls", 0]),
        (EDIT, {"prompt": "x", "image_urls": ["http://localhost/a"]}, "file_download_error", ["body", "image_urls", 0]),
        (FLUX, {"prompt": "x", "image_size": "huge"}, "one_of", ["body", "image_size"]),
        (
            FLUX,
            {"prompt": "x", "image_size": {"width": 0, "height": 512}},
            "greater_than_equal",
            ["body", "image_size", "width"],
        ),
        ("fal-ai/flux-lora", {"prompt": "x", "loras": [{"scale": 1}]}, "missing", ["body", "loras", 0, "path"]),
        (EDIT, {"prompt": "x", "image_urls": ["http://["]}, "file_download_error", ["body", "image_urls", 0]),
        ("xai/tts/v1", {"text": "x"}, "feature_not_supported", ["body"]),
        (f"{BANANA}?fal_webhook=me", {"prompt": "x"}, "url_parsing", ["query", "fal_webhook"]),
        (f"{BANANA}?fal_webhook=http%3A%2F%2F%5B", {"prompt": "x"}, "url_parsing", ["query", "fal_webhook"]),
    ],
)
async def test_bad_input_is_refused_field_by_field(
    http: httpx.AsyncClient, sandbox: Sandbox, model: str, body: Any, kind: str, loc: list[str | int]
) -> None:
    """A bad input is a 422 that names the field and the type, costs nothing and is never accepted."""
    answer = await http.post(f"/{model}", json=body)
    entry = answer.json()["detail"][0]
    assert (answer.status_code, entry["type"], entry["loc"]) == (422, kind, loc)
    assert answer.headers["x-fal-billable-units"] == "0"
    assert sandbox.stats()["submissions"] == 0
