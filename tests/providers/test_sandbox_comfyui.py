"""The sandbox speaks ComfyUI's wire: verdicts as a real 0.3.64 gave them, queue, history, files and the websocket."""

import asyncio
import copy
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from calls import until
from hoasi.sandbox import Fault, Sandbox, comfyui, serving
from hoasi.sandbox.comfyui_nodes import nodes
from hoasi.sandbox.comfyui_pictures import in_order
from hoasi.settings import read

pytestmark = pytest.mark.anyio
Graph = dict[str, Any]
WIDE = {"latent__width": 1280, "latent__height": 720}
LORAS = ["film/FILM-V3-FLUX.safetensors", *(f"lora_{number:02}.safetensors" for number in range(1, 11))]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def chain(**changes: Any) -> Graph:
    """The graph of one LoRA that a real server took; `node__input=value` changes it."""
    graph = {
        "unet": node("UNETLoader", unet_name="flux1-dev-fp8.safetensors", weight_dtype="fp8_e4m3fn"),
        "clip": node(
            "DualCLIPLoader",
            clip_name1="clip_l.safetensors",
            clip_name2="t5xxl_fp8_e4m3fn.safetensors",
            type="flux",
        ),
        "vae": node("VAELoader", vae_name="ae.safetensors"),
        "lora": node(
            "LoraLoader",
            model=["unet", 0],
            clip=["clip", 0],
            lora_name="lora_01.safetensors",
            strength_model=0.75,
            strength_clip=0.75,
        ),
        "shift": node("ModelSamplingFlux", model=["lora", 0], max_shift=1.15, base_shift=0.5, width=1360, height=768),
        "pos": node("CLIPTextEncode", text="a detective in the rain", clip=["lora", 1]),
        "guid": node("FluxGuidance", conditioning=["pos", 0], guidance=3.5),
        "latent": node("EmptySD3LatentImage", width=1360, height=768, batch_size=1),
        "noise": node("RandomNoise", noise_seed=1),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["shift", 0], scheduler="simple", steps=20, denoise=1.0),
        "guider": node("BasicGuider", model=["shift", 0], conditioning=["guid", 0]),
        "sample": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["vae", 0]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="job"),
    }
    return changed(graph, **changes)


def changed(graph: Graph, **changes: Any) -> Graph:
    graph = copy.deepcopy(graph)
    for place, value in changes.items():
        name, _, field = place.partition("__")
        graph[name]["inputs"][field] = value
    return graph


def without(graph: Graph, name: str, field: str = "") -> Graph:
    graph = copy.deepcopy(graph)
    del (graph[name]["inputs"] if field else graph)[field or name]
    return graph


def stack(**changes: Any) -> Graph:
    """The same with the stack of Easy-Use and with TeaCache."""
    graph = chain()
    graph["lora"] = node("easy loraStackApply", lora_stack=["stack", 0], model=["unet", 0], optional_clip=["clip", 0])
    graph["stack"] = node(
        "easy loraStack", toggle=True, mode="simple", num_loras=3, lora_1_name=LORAS[1], lora_1_strength=0.75
    )
    graph["tea"] = node(
        "TeaCache",
        model=["lora", 0],
        model_type="flux",
        rel_l1_thresh=0.4,
        start_percent=0.0,
        end_percent=1.0,
        cache_device="cuda",
    )
    return changed(graph, shift__model=["tea", 0], **changes)


def from_picture(*, inpaints: bool = False) -> Graph:
    """A graph that starts from an uploaded picture, and repaints it only below its mask."""
    graph = chain()
    graph["load"] = node("LoadImage", image="face.png")
    graph["latent"] = node("VAEEncode", pixels=["load", 0], vae=["vae", 0])
    if inpaints:
        graph["masked"] = node("SetLatentNoiseMask", samples=["latent", 0], mask=["load", 1])
        return changed(graph, sample__latent_image=["masked", 0])
    return graph


def posed() -> Graph:
    """A graph with a sampler of the old kind, guided by a pose."""
    graph = chain()
    graph["pose"] = node("LoadImage", image="face.png")
    graph["net"] = node("ControlNetLoader", control_net_name="flux-union-pro-2.safetensors")
    graph["union"] = node("SetUnionControlNetType", control_net=["net", 0], type="openpose")
    graph["zero"] = node("ConditioningZeroOut", conditioning=["pos", 0])
    graph["control"] = node(
        "ControlNetApplyAdvanced",
        positive=["guid", 0],
        negative=["zero", 0],
        control_net=["union", 0],
        image=["pose", 0],
        vae=["vae", 0],
        strength=0.6,
        start_percent=0.0,
        end_percent=0.5,
    )
    graph["sample"] = node(
        "KSampler",
        model=["shift", 0],
        seed=0,
        steps=4,
        cfg=1.0,
        sampler_name="euler",
        scheduler="simple",
        positive=["control", 0],
        negative=["control", 1],
        latent_image=["latent", 0],
        denoise=1.0,
    )
    return graph


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.02, pictures="tiny")


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    async with serving(sandbox) as origin:
        yield origin


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{url}/comfyui", timeout=httpx.Timeout(30)) as client:
        yield client


async def posted(http: httpx.AsyncClient, graph: Any, **more: Any) -> httpx.Response:
    return await http.post("/prompt", json={"prompt": graph, **more})


async def submitted(http: httpx.AsyncClient, graph: Graph | None = None, **more: Any) -> str:
    answer = await posted(http, graph or chain(), **more)
    assert (answer.status_code, answer.json()["node_errors"]) == (200, {}), answer.text
    return str(answer.json()["prompt_id"])


async def ended(http: httpx.AsyncClient, prompt_id: str) -> dict[str, Any]:
    while not (entry := (await http.get(f"/history/{prompt_id}")).json()):  # noqa: ASYNC110  (the sandbox ends it)
        await asyncio.sleep(0.005)
    return dict(entry[prompt_id])


async def viewed(http: httpx.AsyncClient, file: dict[str, str], **more: str) -> Image.Image:
    answer = await http.get("/view", params={**file, **more})
    assert answer.status_code == 200
    picture = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == f"image/{str(picture.format).lower()}"
    return picture


def png(width: int, height: int) -> bytes:
    with io.BytesIO() as file:
        Image.new("RGBA", (width, height)).save(file, "PNG")
        return file.getvalue()


async def uploaded(http: httpx.AsyncClient, content: bytes, name: str = "face.png", **form: str) -> httpx.Response:
    return await http.post("/upload/image", files={"image": (name, content)}, data=form)


# ---------------------------------------------------------------- what a graph is told


@pytest.mark.parametrize(
    ("graph", "place", "kind", "details"),
    [
        (chain(lora__lora_name="no"), "lora", "value_not_in_list", f"lora_name: 'no' not in {LORAS}"),
        (chain(vae__vae_name="x"), "vae", "value_not_in_list", "vae_name: 'x' not in ['ae.safetensors']"),
        (
            chain(sampler__sampler_name="eulerx"), "sampler", "value_not_in_list",
            "sampler_name: 'eulerx' not in (list of length 42)",
        ),
        (chain(noise__noise_seed=-1), "noise", "value_smaller_than_min", "noise_seed"),
        (chain(noise__noise_seed=2**64), "noise", "value_bigger_than_max", "noise_seed"),
        (chain(latent__width=8), "latent", "value_smaller_than_min", "width"),
        (chain(sigmas__steps=0), "sigmas", "value_smaller_than_min", "steps"),
        (chain(lora__strength_model=-101), "lora", "value_smaller_than_min", "strength_model"),
        (stack(stack__num_loras=11), "stack", "value_bigger_than_max", "num_loras"),
        (stack(stack__lora_1_strength=10.5), "stack", "value_bigger_than_max", "lora_1_strength"),
        (
            chain(latent__width="${width}"), "latent", "invalid_input_type",
            "width, ${width}, invalid literal for int() with base 10: '${width}'",
        ),
        (without(chain(), "guider", "conditioning"), "guider", "required_input_missing", "conditioning"),
        (
            chain(guider__model=["clip", 0]), "guider", "return_type_mismatch",
            "model, received_type(CLIP) mismatch input_type(MODEL)",
        ),
        (chain(guider__model=["shift", 0, 1]), "guider", "bad_linked_input", "model"),
        (chain(guider__model=["shift", 5]), "guider", "exception_during_inner_validation", "tuple index out of range"),
        (chain(guider__model=["gone", 0]), "guider", "exception_during_inner_validation", "'gone'"),
        (chain(save__images=["gone", 0]), "save", "exception_during_validation", "'gone'"),
        (from_picture(), "load", "custom_validation_failed", "image - Invalid image file: face.png"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)  # fmt: skip
async def test_a_broken_graph_gets_the_verdict_of_a_real_server(
    http: httpx.AsyncClient, sandbox: Sandbox, graph: Graph, place: str, kind: str, details: str
) -> None:
    """A broken graph is a 400 that names the node, the type and the words; nothing is queued or counted."""
    answer = await posted(http, graph)
    body = answer.json()
    assert (answer.status_code, body["error"]["type"]) == (400, "prompt_outputs_failed_validation")
    assert list(body["node_errors"]) == [place]
    errors = body["node_errors"][place]
    assert (errors["dependent_outputs"], errors["class_type"]) == (["save"], graph[place]["class_type"])
    assert [(error["type"], error["details"]) for error in errors["errors"]] == [(kind, details)]
    assert sandbox.stats()["submissions"] == 0


@pytest.mark.parametrize(
    ("graph", "kind", "details"),
    [
        ({**chain(), "tea": node("TeaCacheForImgGen")}, "invalid_prompt", "Node ID '#tea'"),
        ({**chain(), "tea": {"inputs": {}}}, "invalid_prompt", "Node ID '#tea'"),
        ({"1": "x"}, "invalid_prompt", "Node ID '#1'"),
        ({}, "prompt_no_outputs", ""),
        (without(chain(), "save"), "prompt_no_outputs", ""),
        (chain(lora__model=["shift", 0]), "prompt_outputs_failed_validation", ""),
    ],
)
async def test_a_graph_that_is_none_is_refused_as_a_whole(
    http: httpx.AsyncClient, graph: Graph, kind: str, details: str
) -> None:
    """Unknown classes, no class, no output, a circle: one error at the top, none per node."""
    body = (await posted(http, graph)).json()
    assert (body["error"]["type"], body["error"]["details"], body["node_errors"]) == (kind, details, {})


@pytest.mark.parametrize(
    "graph",
    [
        chain(),
        stack(),
        chain(noise__noise_seed=2**64 - 1),
        chain(noise__noise_seed="5", lora__strength_model="0.75"),
        chain(latent__width=1000, latent__height=1080),
        chain(noise__unknown=3),
        chain(save__filename_prefix="../../x"),
    ],
)
async def test_what_a_real_server_takes_is_taken(http: httpx.AsyncClient, graph: Graph) -> None:
    """Numbers as text, sizes off the step, unknown inputs and prefixes that lead out pass the check."""
    await submitted(http, graph)


async def test_one_good_output_is_enough_for_a_200(http: httpx.AsyncClient) -> None:
    """A 200 may carry what is wrong with another output: only the good one is made."""
    graph = {**chain(), "save2": node("SaveImage", filename_prefix="x")}
    answer = (await posted(http, graph)).json()
    assert [error["type"] for error in answer["node_errors"]["save2"]["errors"]] == ["required_input_missing"]
    assert list((await ended(http, answer["prompt_id"]))["outputs"]) == ["save"]


async def test_a_body_that_is_no_prompt_is_answered_as_a_real_server_does(http: httpx.AsyncClient) -> None:
    """No `prompt` is a 400 of its own type; no JSON, or a text for a graph, is a plain 500."""
    missing, text, graph = (
        await http.post("/prompt", json={}), await http.post("/prompt", content=b"{"), await posted(http, "x"),
    )  # fmt: skip
    assert (missing.status_code, missing.json()["error"]["type"]) == (400, "no_prompt")
    assert [(a.status_code, a.headers["content-type"][:10]) for a in (text, graph)] == [(500, "text/plain")] * 2


async def test_newer_servers_are_stricter(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """From 0.25 a prompt id is a lower-case UUID, from 0.36 an unknown class has a type of its own."""
    unknown = {**chain(), "tea": node("TeaCacheForImgGen")}
    assert await submitted(http, prompt_id="any text") == "any text"
    sandbox.change(comfyui_version="0.36.0")
    for prompt_id in ("any text", str(uuid4()).upper(), uuid4().hex):
        answer = await posted(http, chain(), prompt_id=prompt_id)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_prompt_id")
    mine = str(uuid4())
    assert await submitted(http, prompt_id=mine) == mine
    error = (await posted(http, unknown)).json()["error"]
    assert (error["type"], error["extra_info"]["node_id"]) == ("missing_node_type", "tea")
    with pytest.raises(ValidationError):
        sandbox.change(comfyui_version="new")


async def test_what_is_installed_can_be_chosen(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A stock server lacks custom nodes, another has more LoRAs; /object_info and /models tell so."""
    assert (await http.get("/object_info/TeaCache")).json()["TeaCache"]["output"] == ["MODEL"]
    sandbox.change(comfyui_lacks=("TeaCache",), comfyui_loras=("film/mine.safetensors",))
    assert (await http.get("/object_info/TeaCache")).json() == {}
    assert "TeaCache does not exist" in (await posted(http, stack())).json()["error"]["message"]
    await submitted(http, chain(lora__lora_name="film/mine.safetensors"))
    told = (await http.get("/object_info")).json()
    assert told.keys() == nodes().classes.keys() - {"TeaCache"}
    assert "film/mine.safetensors" in told["LoraLoader"]["input"]["required"]["lora_name"][0]
    assert "film/mine.safetensors" in (await http.get("/models/loras")).json()
    assert (await http.get("/models/nowhere")).status_code == 404
    assert "loras" in (await http.get("/models")).json()
    assert (await http.get("/system_stats")).json()["system"]["comfyui_version"] == "0.3.64"


# ---------------------------------------------------------------- queue and history


async def test_a_picture_of_the_asked_size_waits_in_the_history(url: str, tmp_path: Any) -> None:
    """The provider's address override may have a path; the picture has the size that the latent asks for."""
    comfy = read(tmp_path, environ={"HOASI_COMFYUI_URL": f"{url}/comfyui/"}).origin("comfyui", "", "https://x.example")
    async with httpx.AsyncClient(base_url=comfy) as http:
        entry = await ended(http, await submitted(http, chain(**WIDE, latent__batch_size=2)))
        assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
        assert [name for name, _ in entry["status"]["messages"]] == [
            "execution_start", "execution_cached", "execution_success",
        ]  # fmt: skip
        images = entry["outputs"]["save"]["images"]
        assert images == [{"filename": f"job_0000{k}_.png", "subfolder": "", "type": "output"} for k in (1, 2)]
        picture = await viewed(http, images[0])
        assert picture.width * 9 == picture.height * 16
        assert (await viewed(http, images[1], preview="webp;60")).format == "WEBP"


def scaled() -> Graph:
    """A graph that only scales an uploaded picture."""
    scale = node("ImageScale", image=["load", 0], upscale_method="area", width=333, height=201, crop="disabled")
    return changed({**from_picture(), "scale": scale}, save__images=["scale", 0])


@pytest.mark.parametrize(
    ("graph", "size"),
    [
        (chain(latent__width=333, latent__height=200), (328, 200)),
        (from_picture(), (296, 104)),
        (scaled(), (333, 201)),
    ],
    ids=["text", "img2img", "scaled"],
)
async def test_a_storyboard_has_exactly_the_size_asked_for(graph: Graph, size: tuple[int, int]) -> None:
    """Without tiny pictures a picture has the pixels asked for, floored to eights if it was a latent once."""
    async with (
        serving(Sandbox(latency_s=0)) as url,
        httpx.AsyncClient(base_url=f"{url}/comfyui") as http,
    ):
        await uploaded(http, png(303, 111))
        entry = await ended(http, await submitted(http, graph))
        assert (await viewed(http, entry["outputs"]["save"]["images"][0])).size == size


@pytest.mark.parametrize("graph", [from_picture(), from_picture(inpaints=True)], ids=["img2img", "inpaint"])
async def test_a_picture_made_from_a_picture_has_its_size(http: httpx.AsyncClient, graph: Graph) -> None:
    """The size of an uploaded picture goes through encoding and masking."""
    assert (await uploaded(http, png(320, 960))).json()["name"] == "face.png"
    picture = await viewed(http, (await ended(http, await submitted(http, graph)))["outputs"]["save"]["images"][0])
    assert picture.height == picture.width * 3


async def test_a_pose_can_guide_it(http: httpx.AsyncClient) -> None:
    """ControlNet nodes and the old sampler are known; the size stays that of the latent."""
    await uploaded(http, png(320, 960))
    picture = await viewed(
        http, (await ended(http, await submitted(http, changed(posed(), **WIDE))))["outputs"]["save"]["images"][0]
    )
    assert picture.width * 9 == picture.height * 16


async def test_one_graph_runs_at_a_time_by_number(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """What waits stands in /queue by number; the same id twice is queued twice; deleted ones never run."""
    sandbox.change(latency_s=60)
    first, second = await submitted(http), await submitted(http, chain(noise__noise_seed=2))
    third, again = await submitted(http, front=True), await submitted(http, prompt_id=second, number=0.5)
    assert second == again
    await until(lambda: sandbox.comfyui.running is not None)
    queue = (await http.get("/queue")).json()
    assert [row[1] for row in queue["queue_running"]] == [first]
    assert [row[1] for row in queue["queue_pending"]] == [third, second, second]
    assert queue["queue_pending"][0][2]["noise"]["inputs"] == {"noise_seed": 1}
    newest = await submitted(http, front=True)
    assert [row[1] for row in (await http.get("/queue")).json()["queue_pending"]][:2] == [newest, third]
    await http.post("/queue", json={"delete": [newest]})
    assert (await http.get("/prompt")).json() == {"exec_info": {"queue_remaining": 4}}
    assert (await http.post("/queue", json={"delete": [second, first]})).status_code == 200
    assert [row[1] for row in (await http.get("/queue")).json()["queue_pending"]] == [third]
    await http.post("/queue", json={"clear": True})
    assert (await http.get("/queue")).json()["queue_pending"] == []
    assert (await http.get(f"/history/{second}")).json() == {}
    stats = sandbox.stats()
    assert (stats["submissions"], stats["duplicates"], stats["models"]) == (5, 3, {"comfyui": 5})
    assert (stats["cancels"], stats["polls"]) == (3, 5)


async def test_an_interrupted_run_says_so(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Interrupting another id does nothing; the right one, or none, ends it as an error with its own last message."""
    sandbox.change(latency_s=60)
    for body in ({"prompt_id": "mine"}, None):
        prompt_id = await submitted(http, prompt_id="mine")
        await until(lambda: sandbox.comfyui.running is not None)
        await http.post("/interrupt", json={"prompt_id": "other"})
        assert (await http.get(f"/history/{prompt_id}")).json() == {}
        await http.post("/interrupt", content=b"" if body is None else json.dumps(body).encode())
        status = (await ended(http, prompt_id))["status"]
        assert (status["status_str"], status["completed"], status["messages"][-1][0]) == (
            "error", False, "execution_interrupted",
        )  # fmt: skip
        await http.post("/history", json={"clear": True})


async def test_a_failing_node_is_named(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """An error while it runs is in the history with its node and type; nobody can save outside."""
    sandbox.faults.add(Fault(at="status", kind="completed_error", value="ValueError: no such tensor"))
    told = []
    for graph in chain(), chain(latent__batch_size=4000), chain(save__filename_prefix="../../x"):
        entry = await ended(http, await submitted(http, graph))
        event, facts = entry["status"]["messages"][-1]
        told.append((event, facts["node_type"], facts["exception_type"]))
        assert (entry["outputs"], entry["status"]["status_str"]) == ({}, "error")
    assert told == [
        ("execution_error", "SamplerCustomAdvanced", "ValueError"),
        ("execution_error", "SamplerCustomAdvanced", "torch.OutOfMemoryError"),
        ("execution_error", "SaveImage", "Exception"),
    ]


async def test_the_same_graph_again_comes_from_the_cache(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Nothing new is written and no time is spent; another seed makes a new file, and reuses what stays the same."""
    first = await ended(http, await submitted(http))
    sandbox.change(latency_s=60)
    again = await ended(http, await submitted(http))
    assert again["outputs"] == first["outputs"]
    assert set(again["status"]["messages"][1][1]["nodes"]) == set(chain())
    sandbox.change(latency_s=0)
    other = await ended(http, await submitted(http, chain(noise__noise_seed=2)))
    assert other["outputs"]["save"]["images"][0]["filename"] == "job_00002_.png"
    assert set(chain()) - set(other["status"]["messages"][1][1]["nodes"]) == {"noise", "sample", "decode", "save"}


async def test_another_picture_under_the_same_name_is_not_taken_from_the_cache(http: httpx.AsyncClient) -> None:
    """What hangs on a file is made anew when its bytes change."""
    names = []
    for content in png(320, 960), png(320, 960), png(960, 320):
        await uploaded(http, content, overwrite="1")
        entry = await ended(http, await submitted(http, from_picture()))
        names.append(entry["outputs"]["save"]["images"][0]["filename"])
    assert names == ["job_00001_.png", "job_00001_.png", "job_00002_.png"]


@pytest.mark.parametrize(("when", "is_saved"), [(None, False), ("saved", True)])
async def test_a_restarted_server_knows_nothing(
    http: httpx.AsyncClient, sandbox: Sandbox, when: Any, is_saved: bool
) -> None:
    """Its prompt is neither in the queue nor in the history; only files that were saved before are still there."""
    sandbox.faults.add(Fault(at="status", kind="vanished", value=when))
    prompt_id, waiting = await submitted(http), await submitted(http, chain(noise__noise_seed=2))
    await until(lambda: sandbox.stats()["faults"][0]["fired"] == 1 and sandbox.comfyui.running is None)
    assert (await http.get("/queue")).json() == {"queue_running": [], "queue_pending": []}
    assert [(await http.get(f"/history/{name}")).json() for name in (prompt_id, waiting)] == [{}, {}]
    found = (await http.get("/view", params={"filename": "job_00001_.png"})).status_code == 200
    assert found is is_saved
    await ended(http, await submitted(http))


async def test_the_history_is_paged_and_forgets(http: httpx.AsyncClient) -> None:
    """The latest come with `max_items`, a page with `offset`; deleted entries are gone."""
    ids = [await submitted(http, chain(noise__noise_seed=k)) for k in range(4)]
    await ended(http, ids[-1])

    async def page(**query: int) -> list[str]:
        return list((await http.get("/history", params=query)).json())

    assert await page() == ids
    assert await page(max_items=1) == ids[-1:]
    assert await page(max_items=2, offset=1) == ids[1:3]
    await http.post("/history", json={"delete": [ids[0]]})
    assert await page() == ids[1:]


@pytest.mark.parametrize(
    ("kind", "seen", "accepted"),
    [("lost_reply", "RemoteProtocolError", 1), ("hang", "ReadTimeout", 1), ("reset", "ReadError", 0)],
)
async def test_a_lost_reply_can_be_looked_up_by_our_own_id(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, seen: str, accepted: int
) -> None:
    """After a lost answer our id is in the history if, and only if, the graph was queued."""
    sandbox.faults.add(Fault(at="submit", kind=kind))
    prompt_id = str(uuid4())
    http.timeout = httpx.Timeout(30, read=0.5 if kind == "hang" else 30)
    with pytest.raises(httpx.TransportError) as lost:
        await posted(http, chain(), prompt_id=prompt_id)
    assert type(lost.value).__name__ == seen
    await until(lambda: not sandbox.comfyui.pending and sandbox.comfyui.running is None)
    assert len((await http.get(f"/history/{prompt_id}")).json()) == accepted == sandbox.stats()["submissions"]


async def test_history_and_queue_are_spoiled_apart(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A fault for the model `comfyui/queue` leaves the history alone; refusals speak ComfyUI's shape."""
    sandbox.faults.add(Fault(at="status", kind="5xx", model="comfyui/queue"))
    sandbox.faults.add(Fault(at="submit", kind="validation", value="prompt_no_outputs"))
    assert [(await http.get(path)).status_code for path in ("/history/x", "/queue", "/queue")] == [200, 500, 200]
    assert (await posted(http, chain())).json()["error"]["type"] == "prompt_no_outputs"


# ---------------------------------------------------------------- files


async def test_uploads_are_named_as_a_real_server_names_them(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Same bytes keep the name, other bytes get a number, `overwrite` replaces; a path that leads out is refused."""
    one, two, three = png(1, 1), png(2, 2), png(3, 3)
    names = [(await uploaded(http, content)).json()["name"] for content in (one, one, two, two, three)]
    assert names == ["face.png", "face.png", "face (1).png", "face (1).png", "face (2).png"]
    assert (await uploaded(http, three, overwrite="true")).json() == {
        "name": "face.png", "subfolder": "", "type": "input",
    }  # fmt: skip
    assert (await http.get("/view", params={"filename": "face.png", "type": "input"})).content == three
    below = await uploaded(http, one, "m\u1eb7t.png", subfolder="job-1")
    assert below.json() == {"name": "m\u1eb7t.png", "subfolder": "job-1", "type": "input"}
    refused = [await uploaded(http, one, subfolder="../x"), await uploaded(http, one, type="models")]
    refused.append(await http.post("/upload/image", data={"type": "input"}))
    assert [(answer.status_code, answer.content) for answer in refused] == [(400, b"")] * 3
    assert sandbox.stats()["uploads"] == 7
    assert "face.png" in (await http.get("/object_info/LoadImage")).json()["LoadImage"]["input"]["required"]["image"][0]
    await submitted(http, changed(from_picture(), load__image="job-1/m\u1eb7t.png"))


async def test_a_mask_needs_its_original(http: httpx.AsyncClient) -> None:
    """A mask is taken when the picture it belongs to is there."""
    await uploaded(http, png(2, 2))
    for name, status in ("face.png", 200), ("other.png", 400):
        ref = json.dumps({"filename": name, "subfolder": "", "type": "input"})
        answer = await http.post("/upload/mask", files={"image": ("mask.png", png(2, 2))}, data={"original_ref": ref})
        assert answer.status_code == status
    assert (await http.post("/upload/mask", files={"image": ("mask.png", b"x")})).status_code == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"filename": "none.png"}, 404),
        ({"filename": "x.png", "type": "models"}, 400),
        ({"filename": "../x.png"}, 400),
        ({"filename": "/x.png"}, 400),
        ({"filename": "x.png", "subfolder": "../.."}, 403),
    ],
)
async def test_only_files_of_the_three_folders_are_given_out(
    http: httpx.AsyncClient, query: dict[str, str], status: int
) -> None:
    """Missing files and paths that lead out have the status codes of a real server."""
    assert (await http.get("/view", params=query)).status_code == status


# ---------------------------------------------------------------- the socket


async def events(socket: aiohttp.ClientWebSocketResponse, last: str) -> list[tuple[str, dict[str, Any]]]:
    seen: list[tuple[str, dict[str, Any]]] = []
    while not seen or seen[-1][0] != last:
        message = await socket.receive(timeout=20)
        if message.type is not aiohttp.WSMsgType.TEXT:
            break
        seen.append((message.json()["type"], message.json()["data"]))
    return seen


async def test_the_socket_tells_a_run_in_order(url: str, http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Status with the id, start, cache, node by node with progress, outputs, success; only the asker hears of it."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/comfyui/ws?clientId=mine") as mine,
        session.ws_connect(f"{url}/ws?clientId=other") as other,
    ):
        await mine.send_json({"type": "feature_flags", "data": {}})
        first = await events(mine, "feature_flags")
        assert first[0] == ("status", {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "mine"})
        prompt_id = await submitted(http, client_id="mine")
        seen = await events(mine, "execution_success")
        assert all(data["prompt_id"] == prompt_id for name, data in seen if name != "status")
        names = [name for name, _ in seen if name not in {"progress_state", "status"}]
        assert names[:2] == ["execution_start", "execution_cached"]
        assert names[-3:] == ["executing", "executed", "execution_success"]
        assert [d["node"] for n, d in seen if n == "executing"] == in_order(chain(), ["save"])
        assert [d["value"] for n, d in seen if n == "progress"] == list(range(1, 21))
        assert (await events(mine, "executing"))[-1][1] == {"node": None, "prompt_id": prompt_id}
        cached = await submitted(http, client_id="mine")
        names = [name for name, data in await events(mine, "execution_success") if data.get("prompt_id") == cached]
        assert names == ["execution_start", "execution_cached", "executed", "execution_success"]
        heard = {name for name, _ in [await one(other) for _ in range(5)]}
        assert heard == {"status"}
    await until(lambda: not sandbox.comfyui.hub._boxes)
    assert sandbox.stats()["sockets"] == 2


async def one(socket: aiohttp.ClientWebSocketResponse) -> tuple[str, dict[str, Any]]:
    message = await socket.receive_json(timeout=20)
    return message["type"], message["data"]


async def test_the_socket_tells_bad_ends(url: str, http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """An error and an interruption have events of their own; a server that goes down hangs up."""
    for kind, last in ("completed_error", "execution_error"), ("interrupted", "execution_interrupted"):
        sandbox.faults.add(Fault(at="status", kind=kind))  # type: ignore[arg-type]
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/comfyui/ws?clientId=me") as socket:
            await submitted(http, client_id="me")
            assert (await events(socket, last))[-1][1]["node_id"] == "sample"
    sandbox.faults.add(Fault(at="status", kind="vanished"))
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/comfyui/ws?clientId=me") as socket:
        await submitted(http, chain(noise__noise_seed=5), client_id="me")
        assert "execution_success" not in [name for name, _ in await events(socket, "none")]
        assert socket.close_code == 1012


async def test_the_socket_goes_wrong_as_asked(url: str, http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """It can be refused, cut off before or after its first message, or fall silent."""
    for kind, times in ("5xx", 1), ("reset", 2), ("truncated", 1), ("hang", 1):  # aiohttp tries a reset one again
        sandbox.faults.add(Fault(at="stream", kind=kind, times=times))  # type: ignore[arg-type]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{url}/comfyui/ws")
        assert refused.value.status == 403
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.ws_connect(f"{url}/comfyui/ws")
        async with session.ws_connect(f"{url}/comfyui/ws") as cut:
            assert [name for name, _ in await events(cut, "none")] == ["status"]
            assert cut.close_code == 1006
        async with session.ws_connect(f"{url}/comfyui/ws") as silent:
            await submitted(http)
            await silent.receive(timeout=20)
            with pytest.raises(TimeoutError):
                await silent.receive(timeout=0.3)


# ---------------------------------------------------------------- where it stands


async def test_the_whole_server_stands_at_three_places(url: str, sandbox: Sandbox) -> None:
    """Below /comfyui, at the root, and below /api of both; fal's ids still match what is not ComfyUI's."""
    async with httpx.AsyncClient(base_url=url) as client:
        for prefix in ("", "/api", "/comfyui", "/comfyui/api"):
            assert (await client.get(f"{prefix}/queue")).json() == {"queue_running": [], "queue_pending": []}
            answer = await client.post(f"{prefix}/prompt", json={"prompt": chain()})
            assert answer.status_code == 200
            await until(lambda: sandbox.comfyui.running is None and not sandbox.comfyui.pending)
        fal = await client.post("/fal-ai/flux/dev", json={"prompt": "x"}, headers={"Authorization": "Key k"})
        assert (fal.status_code, fal.json()["status"]) == (200, "IN_QUEUE")
    assert sandbox.stats()["models"] == {"comfyui": 4, "fal-ai/flux/dev": 1}


async def test_a_server_can_be_comfyui_only(sandbox: Sandbox) -> None:
    """Served alone it knows nothing else but the levers; a proxy before it may reject the key."""
    async with serving(sandbox, app=comfyui.app(sandbox)) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("/fal-ai/flux/dev", json={})).status_code == 404
        entry = await ended(client, await submitted(client))
        await viewed(client, entry["outputs"]["save"]["images"][0])
        sandbox.change(reject_key=True)
        assert (await client.get("/queue")).status_code == 401
        await client.post("/_sandbox/reset")
        sandbox.change(reject_key=False)
        assert (await client.get("/history")).json() == {}
