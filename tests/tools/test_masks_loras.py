"""Masks, LoRAs and a model's own options, as agents send them: on the wire, or refused before money."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tooling import Connect, refused, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
SIZE = (320, 192)


@pytest.fixture
def sandbox() -> Sandbox:
    known = ("an.safetensors", "binh.safetensors", "FILM-V3-FLUX.safetensors")
    return Sandbox(latency_s=0.05, pictures="tiny", comfyui_loras=known)


@pytest.fixture
def makers(connect: Connect, fal: str, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Everybody who takes a mask is the sandbox."""
    keys = {"RUNPOD_API_KEY": "rpa_5f3c9a7d1e2b", "RUNPOD_SERVER_100_ID": "wizard1", "POLLING_INTERVAL": "0.02"}
    keys |= {"RUNPOD_SERVER_150_ID": "fifty1", "HOASI_COMFYUI_LORA_SHAPE": "chain"}
    keys |= {"STABILITY_API_KEY": "sk-1234567", "OPENAI_API_KEY": "id-5f3c9a:secret-7d1e2b"}
    urls = {"HOASI_RUNPOD_URL": fal, "HOASI_COMFYUI_URL": f"{fal}/comfyui", "HOASI_STABILITY_URL": fal}
    for name, value in {**keys, **urls, "HOASI_OPENAI_URL": fal}.items():
        monkeypatch.setenv(name, value)
    return connect


@pytest.fixture
def pictures(workspace: Path) -> dict[str, str]:
    """A room with nobody in it, a mask of its size whose left half is white, and one of another shape."""
    Image.new("RGB", SIZE, "blue").save(workspace / "room.png")
    mask = Image.new("RGB", SIZE, "black")
    mask.paste("white", (0, 0, SIZE[0] // 2, SIZE[1]))
    mask.save(workspace / "mask.png")
    mask.save(workspace / "mask.jpg", quality=95)
    Image.new("RGB", (300, 192), "white").save(workspace / "narrow.png")
    hole = Image.new("RGBA", SIZE, "blue")
    hole.paste((0, 0, 0, 0), (0, 0, SIZE[0] // 2, SIZE[1]))
    hole.save(workspace / "hole.png")
    return {"images": "room.png", "mask": "mask.png", "prompt": "a red lamp"}


def graph(sandbox: Sandbox) -> dict[str, Any]:
    """The graph of the only run at ComfyUI."""
    (entry,) = sandbox.comfyui.history.values()
    made: dict[str, Any] = entry["prompt"][2]
    return made


def loras(nodes: dict[str, Any]) -> list[tuple[str, float]]:
    """The LoRAs of a graph with their strengths."""
    inputs = [node["inputs"] for node in nodes.values() if node["class_type"] == "LoraLoader"]
    return [(row["lora_name"], row["strength_model"]) for row in inputs]


# ---------------------------------------------------------------------- masks


async def test_what_a_mask_shows_white_reaches_the_worker(
    makers: Connect, sandbox: Sandbox, workspace: Path, pictures: dict[str, str]
) -> None:
    """Picture and mask travel as they are, each at its own place in the graph that paints inside a mask; once."""
    call = {**pictures, "provider": "runpod"}
    async with makers() as client:
        (entry,) = told(await client.call_tool("edit_image", call))["generations"]
        again = told(await client.call_tool("edit_image", call))
    assert (entry["state"], entry["model"]) == ("succeeded", "runpod/flux-dev/inpaint")
    (job,) = sandbox.runpod._jobs.values()
    body = job.body
    sent = {row["name"]: base64.b64decode(row["image"]) for row in body["images"]}
    assert sent[body["workflow"]["mask"]["inputs"]["image"]] == (workspace / "mask.png").read_bytes()
    assert sent[body["workflow"]["image"]["inputs"]["image"]] == (workspace / "room.png").read_bytes()
    assert again["generations"][0]["state"] == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1


async def test_transparency_marks_as_well_as_white(makers: Connect, sandbox: Sandbox, pictures: dict[str, str]) -> None:
    """A model that reads white gets white where the mask has a hole; its colours there mean nothing."""
    async with makers() as client:
        told(await client.call_tool("edit_image", {**pictures, "mask": "hole.png", "provider": "runpod"}))
    (job,) = sandbox.runpod._jobs.values()
    body = job.body
    sent = {row["name"]: base64.b64decode(row["image"]) for row in body["images"]}
    with Image.open(io.BytesIO(sent[body["workflow"]["mask"]["inputs"]["image"]])) as mask:
        assert [mask.convert("RGB").getpixel((x, 9)) for x in (5, 300)] == [(255, 255, 255), (0, 0, 0)]


async def test_a_picture_with_a_hole_is_its_own_mask(
    makers: Connect, sandbox: Sandbox, pictures: dict[str, str]
) -> None:
    """One file in two roles is uploaded as what it is in each: the picture as it came, the mask in white and black."""
    call = {**pictures, "images": "hole.png", "mask": "hole.png", "provider": "comfyui"}
    async with makers() as client:
        told(await client.call_tool("edit_image", call))
    made = graph(sandbox)
    assert made["mask"]["inputs"]["image"] != made["image"]["inputs"]["image"]
    assert sandbox.stats()["uploads"] == 2


@pytest.mark.parametrize("mask", ["mask.png", "hole.png"])
async def test_a_model_that_reads_transparency_gets_it(
    makers: Connect, sandbox: Sandbox, pictures: dict[str, str], mask: str
) -> None:
    """OpenAI takes no opaque mask: white is made transparent, and what is transparent already stays."""
    async with makers() as client:
        (entry,) = told(await client.call_tool("edit_image", {**pictures, "mask": mask, "provider": "openai"}))[
            "generations"
        ]
    assert entry["state"] == "succeeded", entry
    assert sandbox.stats()["requests"] == [("POST", "/v1/images/edits")]


async def test_a_result_of_ours_is_a_mask_and_somebody_who_takes_one_is_found(
    makers: Connect, sandbox: Sandbox, workspace: Path, pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id; nobody is named: fal has a key but takes no mask, stability has one and does."""
    monkeypatch.delenv("OPENAI_API_KEY")
    async with makers() as client:
        made = told(await client.call_tool("generate_image", {"prompt": "a kite", "provider": "local"}))["generations"]
        with Image.open(made[0]["outputs"][0]) as shown:
            Image.new("RGB", shown.size, "blue").save(workspace / "room.png")
        (entry,) = told(await client.call_tool("edit_image", {**pictures, "mask": made[0]["id"]}))["generations"]
    assert (entry["state"], entry["model"]) == ("succeeded", "stable-image/edit/inpaint")
    assert entry["parents"] == [made[0]["id"]]
    assert ("POST", "/v2beta/stable-image/edit/inpaint") in sandbox.stats()["requests"]


UNFIT: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"provider": "fal"}, "mask_not_taken", ("mặt nạ",)),
    ({"model": "comfyui/flux-dev/image-to-image"}, "mask_not_taken", ("mặt nạ",)),
    ({"provider": "stability", "mask": "narrow.png"}, "mask_size", ("narrow.png", "300x192", "320x192")),
    ({"provider": "comfyui", "mask": "narrow.png"}, "mask_size", ("narrow.png", "300x192", "320x192")),
    ({"mask": "narrow.png"}, "mask_size", ("narrow.png", "300x192", "320x192")),
    ({"provider": "openai", "mask": "mask.jpg"}, "mask_kind", ("mask.jpg", "PNG")),
    ({"mask": "nothing.png"}, "reference_missing", ("nothing.png",)),
    ({"mask": "../mask.png"}, "path_outside", ()),
    ({"prompt": None, "preset": "outfit_shot"}, "preset_mask", ("mask", "outfit_swap", "stability")),
    ({"provider": "comfyui", "options": {"stepz": 3}}, "option_not_supported", ("stepz", "inpaint", "denoise")),
    ({"provider": "comfyui", "options": {"steps": 0}}, "value_not_supported", ("steps", "1..200")),
]


@pytest.mark.parametrize(("call", "key", "words"), UNFIT, ids=[f"{k} {json.dumps(c)}" for c, k, _ in UNFIT])
async def test_what_does_not_fit_a_mask_is_refused_unpaid(
    makers: Connect, sandbox: Sandbox, pictures: dict[str, str], call: dict[str, Any], key: str, words: tuple[str, ...]
) -> None:
    """The field, what is wrong, and the fix, before a byte leaves."""
    async with makers() as client:
        error = refused(await client.call_tool("edit_image", {**pictures, **call}))
    assert (error["key"], error["paid"]) == (key, "no"), error
    assert all(word in f"{error['message']} {error['fix']}" for word in words), error
    assert (sandbox.stats()["posts_received"], sandbox.stats()["uploads"]) == (0, 0)


# ---------------------------------------------------------------------- LoRAs and options


async def test_loras_and_options_reach_the_graph(makers: Connect, sandbox: Sandbox) -> None:
    """People in their order, weaker the more they are, then the film; the address goes to the worker that fetches."""
    rows = [{"name": "an", "strength": 1}, {"url": "https://example.org/x/binh.safetensors?k=1"}]
    call = {"prompt": "two friends", "provider": "runpod", "loras": [*rows, {"name": "FILM-V3-FLUX", "film": True}]}
    async with makers() as client:
        reply = told(await client.call_tool("generate_image", {**call, "options": {"steps": 8, "mode": "fast"}}))
    assert reply["generations"][0]["state"] == "succeeded", reply
    (job,) = sandbox.runpod._jobs.values()
    named = loras(job.body["workflow"])
    assert [name for name, _ in named] == ["an.safetensors", "binh.safetensors", "FILM-V3-FLUX.safetensors"]
    assert (named[0][1], job.body["workflow"]["sigmas"]["inputs"]["steps"]) == (0.75, 8)
    assert job.body["model_urls"] == [{"id": "binh.safetensors", "url": "https://example.org/x/binh.safetensors?k=1"}]
    assert [path for method, path in sandbox.stats()["requests"] if method == "POST"] == ["/v2/fifty1/run"]


@pytest.mark.parametrize("said", ["an", '[{"name": "an"}]', {"name": "an"}, ["an"]], ids=ascii)
async def test_a_lora_in_fewer_words(makers: Connect, sandbox: Sandbox, said: object) -> None:
    """A name alone, one object, JSON text; options as JSON text too."""
    call = {"prompt": "a friend", "provider": "comfyui", "loras": said, "options": '{"steps": 5}'}
    async with makers() as client:
        told(await client.call_tool("generate_image", call))
    assert [name for name, _ in loras(graph(sandbox))] == ["an.safetensors"]
    assert graph(sandbox)["sigmas"]["inputs"]["steps"] == 5


async def test_an_edit_has_loras_and_options(makers: Connect, sandbox: Sandbox, pictures: dict[str, str]) -> None:
    """Inside a mask as well."""
    call = {**pictures, "provider": "comfyui", "loras": ["an"], "options": {"denoise": 0.5}}
    async with makers() as client:
        told(await client.call_tool("edit_image", call))
    made = graph(sandbox)
    assert ([name for name, _ in loras(made)], made["sigmas"]["inputs"]["denoise"]) == (["an.safetensors"], 0.5)


async def test_each_prompt_of_a_batch_may_have_its_own(makers: Connect, sandbox: Sandbox) -> None:
    """What a prompt says of itself holds, what it leaves out comes from the call."""
    prompts = [
        {"scene_id": "A", "prompt": "a friend", "loras": [{"name": "binh"}], "options": {"guidance": 2}},
        {"scene_id": "B", "prompt": "another"},
        {"scene_id": "C", "prompt": "nobody", "loras": []},
    ]
    call = {"prompts": prompts, "provider": "comfyui", "loras": ["an"], "options": {"steps": 5, "guidance": 4}}
    async with makers() as client:
        told(await client.call_tool("generate_batch", call))
    made = {
        entry["prompt"][2]["pos"]["inputs"]["text"]: entry["prompt"][2] for entry in sandbox.comfyui.history.values()
    }
    people = {text: [name for name, _ in loras(nodes)] for text, nodes in made.items()}
    assert people == {"a friend": ["binh.safetensors"], "another": ["an.safetensors"], "nobody": []}
    guidance = {text: nodes["guid"]["inputs"]["guidance"] for text, nodes in made.items()}
    assert guidance == {"a friend": 2, "another": 4, "nobody": 4}
    assert {nodes["sigmas"]["inputs"]["steps"] for nodes in made.values()} == {5}


TOO_MANY = [{"name": f"p{k}"} for k in range(11)]
WRONG: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"loras": TOO_MANY}, "too_many_loras", ("11", "10")),
    ({"loras": [{"name": "../x"}]}, "lora_name_bad", ()),
    ({"loras": [{}]}, "lora_name_bad", ()),
    ({"loras": [{"url": "http://example.org/x.safetensors"}]}, "lora_url_bad", ()),
    ({"loras": [{"name": "an", "strength": 1000}]}, "lora_strength_bad", ()),
    ({"loras": [{"name": "an", "weight": 1}]}, "arguments_wrong", ("loras.0.weight",)),
    ({"loras": ["an"], "provider": "fal"}, "parameter_not_supported", ("loras",)),
    ({"options": {"stepz": 3}}, "option_not_supported", ("stepz", "steps", "guidance")),
    ({"options": {"steps": "many"}}, "value_not_supported", ("steps", "1..200")),
    ({"options": {"lora_shape": "ring"}}, "value_not_supported", ("chain", "stack")),
    ({"options": {"steps": 3}, "provider": "fal"}, "option_not_supported", ("steps",)),
    ({"options": "steps=3"}, "arguments_wrong", ("options",)),
    ({"options": {"control_strength": 1}}, "template_slot_missing", ()),
]


@pytest.mark.parametrize(("call", "key", "words"), WRONG, ids=[f"{k} {json.dumps(c)[:60]}" for c, k, _ in WRONG])
async def test_what_a_model_does_not_take_is_named_before_money(
    makers: Connect, sandbox: Sandbox, call: dict[str, Any], key: str, words: tuple[str, ...]
) -> None:
    """With what it does take."""
    async with makers() as client:
        error = refused(await client.call_tool("generate_image", {"prompt": "x", "provider": "comfyui", **call}))
    assert (error["key"], error["paid"]) == (key, "no"), error
    assert all(word in f"{error['message']} {error['fix']}" for word in words), error
    assert sandbox.stats()["posts_received"] == 0
