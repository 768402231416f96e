"""What the sandbox answers for fal's models: outputs, sizes, formats, seeds, expiry, prices."""

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image

from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.sandbox.fal_inputs import known_ids, schema_of

pytestmark = pytest.mark.anyio
BANANA, EDIT, FLUX, LORA = "fal-ai/nano-banana", "fal-ai/nano-banana/edit", "fal-ai/flux/dev", "fal-ai/flux-lora"
SEEDREAM = "fal-ai/bytedance/seedream/v4/text-to-image"
PICTURE = "https://example.com/a.png"


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def sandbox(now: list[float]) -> Sandbox:
    return Sandbox(latency_s=0, pictures="tiny", clock=lambda: now[0])


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers={"Authorization": "Key k"}) as client:
        yield client


async def submit(http: httpx.AsyncClient, model: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    response = await http.post(f"/{model}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    receipt: dict[str, Any] = response.json()
    await http.get(receipt["status_url"] + "/stream")  # ends when the work does
    return receipt


async def finish(http: httpx.AsyncClient, model: str, /, **body: Any) -> dict[str, Any]:
    response = await http.get((await submit(http, model, {"prompt": "a kite", **body}))["response_url"])
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def content(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as keyless:
        return await keyless.get(url, headers=headers)


async def opened(url: str) -> Image.Image:
    return Image.open(io.BytesIO((await content(url)).content))


def sample(form: Any) -> Any:
    """Return some value that fits a form of fal_inputs.json."""
    match form:
        case "string":
            return PICTURE
        case "number":
            return 1
        case "boolean":
            return False
        case "strings":
            return [PICTURE]
        case {"enum": allowed}:
            return allowed[0]
        case {"array": members}:
            return [{name.rstrip("*"): sample(inner) for name, inner in members.items()}]
        case {"object": members}:
            return {name.rstrip("*"): sample(inner) for name, inner in members.items()}


async def test_every_picture_endpoint_gives_what_its_schema_names(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """All 203 endpoints are known; each one that makes pictures accepts all its fields and answers with its schema."""
    schemas = [schema for schema in map(schema_of, known_ids()) if schema]
    assert len(schemas) == 203
    drawing = [schema for schema in schemas if schema.draws_pictures()]
    for schema in drawing:
        body = {name: sample(form) for name, form in schema.forms.items()}
        result = await finish(http, schema.id, **body)
        unsent = set(result) - set(schema.outputs)
        assert (set(result), unsent) == (set(schema.outputs), set()), schema.id
    assert len(drawing) == 89
    assert {name.split(":")[1] for name in sandbox.stats()["unknown_fields"]} <= {"prompt"}


@pytest.mark.parametrize(
    ("model", "body", "size"),
    [
        (BANANA, {}, (1024, 1024)),
        (BANANA, {"aspect_ratio": "9:16"}, (768, 1344)),
        ("fal-ai/nano-banana-pro", {"aspect_ratio": "16:9", "resolution": "2K"}, (2688, 1536)),
        ("fal-ai/nano-banana-2", {"aspect_ratio": "1:1", "resolution": "0.5K"}, (512, 512)),
        ("fal-ai/nano-banana-2", {"aspect_ratio": "1:4"}, (512, 2048)),
        (FLUX, {}, (1024, 768)),
        (FLUX, {"image_size": "portrait_16_9"}, (576, 1024)),
        (FLUX, {"image_size": {"width": 640, "height": 1136}}, (640, 1136)),
        (SEEDREAM, {"image_size": "auto_2K"}, (2048, 2048)),
        ("fal-ai/gpt-image-1.5", {"image_size": "1024x1536"}, (1024, 1536)),
        ("fal-ai/image-apps-v2/relighting", {"image_url": PICTURE, "aspect_ratio": {"ratio": "3:4"}}, (864, 1184)),
    ],
)
async def test_pictures_have_the_size_asked_for(
    http: httpx.AsyncClient, sandbox: Sandbox, model: str, body: dict[str, Any], size: tuple[int, int]
) -> None:
    """The picture has the pixels that image_size, or aspect_ratio and resolution, ask for; and the JSON says so."""
    sandbox.faults.add(Fault(at="result", kind="blank"))  # blank pictures keep their full size in tiny mode too
    image = (await finish(http, model, **body))["images"][0]
    assert (image["width"], image["height"]) == (await opened(image["url"])).size == size


async def test_auto_follows_the_shape_of_the_first_reference(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """An edit without aspect_ratio keeps the shape of its first picture, uploaded or made before."""
    tall = (await finish(http, BANANA, aspect_ratio="9:16"))["images"][0]["url"]
    image = (await finish(http, EDIT, image_urls=[tall, PICTURE]))["images"][0]
    assert image["width"] / image["height"] == pytest.approx(9 / 16, rel=0.05)


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
async def test_pictures_come_in_the_format_asked_for(http: httpx.AsyncClient, form: str) -> None:
    """Bytes, content type and file name agree with output_format."""
    image = (await finish(http, BANANA, output_format=form, num_images=2))["images"][1]
    served = await content(image["url"])
    assert Image.open(io.BytesIO(served.content)).format == form.upper()
    assert served.headers["content-type"] == image["content_type"] == f"image/{form}"
    assert image["file_name"] == f"1.{form}"


async def test_storyboard_pictures_depend_on_seed_and_prompt_only(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The same prompt and seed give the same bytes again, another seed (0 is one) or index another picture."""
    sandbox.change(pictures="storyboard")
    size = {"width": 320, "height": 480}
    results = [await finish(http, FLUX, image_size=size, seed=seed, num_images=2) for seed in (0, 0, 7)]
    first, again, other = [[(await content(i["url"])).content for i in result["images"]] for result in results]
    assert first == again
    assert len({*first, *other}) == 4
    assert [result["seed"] for result in results] == [0, 0, 7]
    assert (await opened(results[0]["images"][0]["url"])).size == (320, 480)


async def test_unasked_seed_is_told_and_differs_between_submissions(http: httpx.AsyncClient) -> None:
    """Without a seed the model chooses one of its own and names it, where its schema has one."""
    seeds = [(await finish(http, FLUX))["seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert "seed" not in await finish(http, BANANA, seed=3)


async def test_sync_mode_sends_the_picture_in_the_result(http: httpx.AsyncClient) -> None:
    """With sync_mode the URL is a data URI and nothing is hosted."""
    image = (await finish(http, BANANA, sync_mode=True))["images"][0]
    head, _, data = image["url"].partition(",")
    assert head == "data:image/png;base64"
    assert len(base64.b64decode(data)) == image["file_size"]


async def test_downloads_serve_ranges_and_betray_leaked_keys(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A file can be had in parts, an impossible part is a 416, and a download that carries a key is counted."""
    url = (await finish(http, BANANA))["images"][0]["url"]
    whole = (await content(url)).content
    for wanted, part in {"bytes=0-3": whole[:4], "bytes=4-": whole[4:], "bytes=-5": whole[-5:]}.items():
        answer = await content(url, Range=wanted)
        assert (answer.status_code, answer.content) == (206, part)
    assert (await content(url, Range="bytes=4-")).headers["content-range"] == f"bytes 4-{len(whole) - 1}/{len(whole)}"
    assert (await content(url, Range=f"bytes={len(whole)}-")).status_code == 416
    assert sandbox.stats()["leaks"] == 0
    assert (await http.get(url)).status_code == 200
    assert (sandbox.stats()["leaks"], sandbox.stats()["downloads"]) == (1, 7)


async def test_results_and_media_can_expire(http: httpx.AsyncClient, sandbox: Sandbox, now: list[float]) -> None:
    """After `forget_after_s` the result and its media are 404; before that they are there."""
    sandbox.change(forget_after_s=3600)
    receipt = await submit(http, BANANA, {"prompt": "a kite"})
    url = (await http.get(receipt["response_url"])).json()["images"][0]["url"]
    now[0] = 3599.0
    assert [(await http.get(receipt["response_url"])).status_code, (await content(url)).status_code] == [200, 200]
    now[0] = 3600.0
    assert [(await http.get(receipt["response_url"])).status_code, (await content(url)).status_code] == [404, 404]
    dead = await http.post(f"/{EDIT}", json={"prompt": "x", "image_urls": [url]})
    assert dead.json()["detail"][0]["type"] == "file_download_error"


async def test_bad_input_may_be_accepted_and_fail_when_run(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """With `checks_input = at_run` a bad input is accepted and counted, completes, and is told then."""
    sandbox.change(checks_input="at_run")
    receipt = await submit(http, BANANA, {"prompt": 3})
    status = (await http.get(receipt["status_url"])).json()
    result = await http.get(receipt["response_url"])
    assert (status["status"], status["error_type"]) == ("COMPLETED", "string_type")
    assert (result.status_code, result.json()["detail"][0]["loc"]) == (422, ["body", "prompt"])
    assert sandbox.stats()["submissions"] == 1


async def test_a_request_that_cannot_start_in_time_times_out(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """X-Fal-Request-Timeout is the time to start within: past it the request completes with a 504 of type user."""
    sandbox.change(slots=1, latency_s=60)
    await http.post(f"/{BANANA}", json={"prompt": "first"})
    receipt = await submit(http, BANANA, {"prompt": "late"}, **{"X-Fal-Request-Timeout": "0.05"})
    assert (await http.get(receipt["status_url"])).json()["error_type"] == "request_timeout"
    result = await http.get(receipt["response_url"])
    assert (result.status_code, result.headers["x-fal-request-timeout-type"]) == (504, "user")


async def test_uploads_can_be_spoiled_too(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Asking for a place (`token`) and sending bytes (`upload`) go wrong apart; a lost reply leaves the file."""
    sandbox.faults.add(Fault(at="token", kind="5xx"), Fault(at="upload", kind="lost_reply"))
    path = "/storage/auth/token?storage_type=fal-cdn-v3"
    assert (await http.post(path, json={})).status_code == 500
    token = (await http.post(path, json={})).json()["token"]
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/files/upload", content=b"x", headers={"Authorization": f"Bearer {token}"})
    assert (sandbox.stats()["tokens"], sandbox.stats()["uploads"]) == (2, 1)


async def test_fields_nobody_knows_are_dropped_and_counted(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Like the live service the sandbox drops unknown fields without a word; the counters remember them."""
    await finish(http, BANANA, negative_prompt="rain", image_urls=[PICTURE])
    assert sandbox.stats()["unknown_fields"] == {f"{BANANA}:negative_prompt": 1, f"{BANANA}:image_urls": 1}


async def test_prices_are_told_for_known_ids_only(http: httpx.AsyncClient) -> None:
    """The price list answers per endpoint id, needs a key, and has the platform's own error body."""
    path = "/v1/models/pricing"
    priced = await http.get(path, params={"endpoint_id": [BANANA, FLUX]})
    assert [(row["endpoint_id"], row["unit_price"], row["unit"]) for row in priced.json()["prices"]] == [
        (BANANA, 0.039, "image"),
        (FLUX, 0.025, "megapixel"),
    ]
    assert (await content(f"{http.base_url}{path}?endpoint_id={FLUX}")).status_code == 401
    for params, status in ({"endpoint_id": "no/such"}, 404), ({}, 400):
        answer = await http.get(path, params=params)
        assert (answer.status_code, set(answer.json()["error"]) >= {"type", "message"}) == (status, True)
