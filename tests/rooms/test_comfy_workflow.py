"""Workflows: sizes and seeds are resolved and told, styles fill what they set, variants take their pictures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hoasi.comfy.loras import Wanted
from hoasi.comfy.nodes import known
from hoasi.comfy.sizes import mask_must_fit, resolved, rounded
from hoasi.comfy.styles import Style
from hoasi.comfy.template import load, read
from hoasi.comfy.validate import validate
from hoasi.comfy.workflow import Workflow, compose
from hoasi.errors import NotSupported, WrongInput
from hoasi.given import Input
from hoasi.messages import catalogue, say, speak

NOIR = Style(
    id="noir",
    title="Phim Noir",
    lora_file="noir.safetensors",
    lora_weight=0.9,
    cine_lora_weight=0.8,
    trigger_words="n0ir",
    frontpad="film still",
    steps=28,
    guidance=2.5,
    sampler_name="dpmpp_2m",
    denoise=1.0,
)


def made(prompt: str = "a cat", name: str = "normal_image_v4_workflow", **options: Any) -> Workflow:
    return compose(prompt, template=load(name), **options)


def value(workflow: Workflow, class_type: str, name: str) -> Any:
    """The only value of this input in nodes of this class."""
    (found,) = {n["inputs"][name] for n in workflow.graph.values() if n["class_type"] == class_type}
    return found


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((1360, 768), (1360, 768)),
        ((1000, 1080), (1008, 1088)),
        ((1001, 777), (1008, 784)),
        ((16, 16384), (16, 16384)),
        ((23, 24), (16, 32)),
        ((16383, 20), (16384, 16)),
    ],
)
def test_sizes_become_what_nodes_accept(asked: tuple[int, int], given: tuple[int, int]) -> None:
    """The nearest multiple of 16 within 16..16384."""
    assert rounded(*asked) == given


@pytest.mark.parametrize("step", [1, 8, 24, 64])
def test_a_template_may_count_in_other_steps(step: int) -> None:
    """Every side is a multiple of the step and no node would refuse it."""
    for asked in (16, 17, 500, 1365, 16383, 16384):
        for side in rounded(asked, asked, step):
            assert (side % step, 16 <= side <= 16384, abs(side - asked) <= step) == (0, True, True)


@pytest.mark.parametrize("size", [(0, 768), (-16, 16), (15, 16), (1024, 16385)])
def test_sizes_that_are_no_picture_are_refused(size: tuple[int, int]) -> None:
    """Below 16 or above 16384 pixels nothing is guessed."""
    with pytest.raises(WrongInput) as refused:
        rounded(*size)
    assert refused.value.key == "comfy_size_bad"


def test_a_rounded_size_is_told() -> None:
    """Every node gets the same rounded size, and the caller a note; a size that fits needs none."""
    speak("en")
    found = made(values={"width": 1000, "height": 1080, "seed": 1})
    assert (found.values["width"], found.values["height"]) == (1008, 1088)
    assert value(found, "ModelSamplingFlux", "width") == value(found, "EmptySD3LatentImage", "width") == 1008
    assert found.notes == (say("comfy.size_rounded", asked="1000x1080", used="1008x1088"),)
    assert made(values={"width": 1024, "seed": 1}).notes == ()
    assert value(made(values={"width": 1024}), "EmptySD3LatentImage", "height") == 768
    speak("vi")


def test_a_seed_of_ours_is_told_and_repeats() -> None:
    """-1 and none become one seed of the wish: the same wish the same, another another; never sent as -1."""
    speak("en")
    first, second, other = made(values={"seed": -1}), made(), made("a dog", values={"seed": -1})
    assert first.values["seed"] == second.values["seed"] != other.values["seed"]
    assert value(first, "RandomNoise", "noise_seed") == first.values["seed"]
    assert 0 <= first.values["seed"] < 2**31
    assert first.notes == (say("comfy.seed_resolved", seed=first.values["seed"]),)
    assert made(values={"seed": 0}).notes == ()
    assert value(made(values={"seed": 0}), "RandomNoise", "noise_seed") == 0
    speak("vi")


@pytest.mark.parametrize("seed", [-2, 2**64])
def test_a_seed_that_no_node_takes_is_refused(seed: int) -> None:
    """0..2^64-1, or -1."""
    with pytest.raises(WrongInput) as refused:
        resolved(seed)
    assert refused.value.key == "comfy_seed_bad"
    assert resolved(2**64 - 1) == 2**64 - 1


def test_a_style_brings_words_loras_and_values() -> None:
    """Its LoRA first, the characters at its strength, the film it asks for; its values where the caller gave none."""
    found = made(style=NOIR, characters=[Wanted(name="mai"), Wanted(name="an", weight=1.0)], values={"steps": 30})
    assert found.prompt == "film still, a cat, n0ir"
    assert value(found, "CLIPTextEncode", "text") == found.prompt
    assert [(lora.name, lora.strength_model) for lora in found.loras] == [
        ("noir.safetensors", 0.9),
        ("mai.safetensors", round(0.85 * 0.75, 4)),
        ("an.safetensors", 0.75),
        ("FILM-V3-FLUX.safetensors", round(0.8 * 0.85, 4)),
    ]
    assert value(found, "BasicScheduler", "steps") == 30
    assert (value(found, "FluxGuidance", "guidance"), value(found, "KSamplerSelect", "sampler_name")) == (
        2.5,
        "dpmpp_2m",
    )


def test_a_plain_style_changes_nothing_but_its_lora() -> None:
    """What a style does not set is the template's; without film weight there is no film LoRA."""
    found = made(style=Style(id="s", lora_name="s"), values={"seed": 1})
    assert [lora.name for lora in found.loras] == ["s.safetensors"]
    assert found.values == {"seed": 1}
    assert made(style=Style(id="s"), values={"seed": 1}).graph == made(values={"seed": 1}).graph


def test_the_models_file_gets_its_suffix() -> None:
    """A style names a model; the loader needs a file."""
    assert value(made(style=Style(id="s", model="flux1-krea")), "UNETLoader", "unet_name") == "flux1-krea.safetensors"
    assert value(made(style=Style(id="s", model="flux1.gguf")), "UNETLoader", "unet_name") == "flux1.gguf"


def test_a_styles_value_without_a_slot_is_told() -> None:
    """FLUX by BasicGuider has no cfg: left out, and said; the caller's own cfg is refused."""
    speak("en")
    found = made(style=Style(id="s", cfg=7.0), values={"seed": 1})
    assert found.notes == (say("comfy.style_unused", style="s", slot="cfg", template="normal_image_v4_workflow"),)
    with pytest.raises(WrongInput) as refused:
        made(values={"cfg": 7.0})
    assert refused.value.key == "template_slot_missing"
    speak("vi")


def test_a_styles_denoise_never_loses_the_picture_it_starts_from() -> None:
    """1 means "from nothing": image to image keeps its own share unless the caller says one."""
    found = made(name="image_to_image_workflow", style=NOIR, values={"image": "a.png"})
    assert value(found, "BasicScheduler", "denoise") == 0.6
    found = made(name="image_to_image_workflow", style=NOIR, values={"image": "a.png", "denoise": 0.3})
    assert value(found, "BasicScheduler", "denoise") == 0.3


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("image_to_image_workflow", {"image": "in.png"}),
        ("inpaint_workflow", {"image": "in.png", "mask": "mask.png"}),
        ("control_workflow", {"control_image": "pose.png", "control_net": "union.safetensors"}),
        ("pose_workflow", {"control_image": "photo.png", "control_net": "union.safetensors"}),
    ],
)
def test_variants_take_their_pictures(name: str, files: dict[str, str]) -> None:
    """Each loads what it was given, makes several at once, and is a graph that a server takes."""
    found = made(name=name, style=NOIR, values={**files, "batch_size": 3, "width": 512, "height": 512})
    loaded = {n["inputs"]["image"] for n in found.graph.values() if n["class_type"] == "LoadImage"}
    assert loaded == {file for file in files.values() if file.endswith(".png")}
    assert {3} & {v for n in found.graph.values() for k, v in n["inputs"].items() if k in {"batch_size", "amount"}}
    assert validate(found.graph, known()) == []


def test_outside_of_the_mask_the_picture_is_protected() -> None:
    """The mask (white is new) reaches the sampler as a noise mask, at the size of the picture."""
    graph = made(name="inpaint_workflow", values={"image": "a.png", "mask": "m.png"}).graph
    (masked,) = [n for n in graph.values() if n["class_type"] == "SetLatentNoiseMask"]
    red = graph[masked["inputs"]["mask"][0]]
    scaled = graph[red["inputs"]["image"][0]]["inputs"]
    assert (red["class_type"], red["inputs"]["channel"]) == ("ImageToMask", "red")
    assert graph[scaled["image"][0]]["inputs"] == {"image": "m.png"}
    assert (scaled["width"], scaled["height"], scaled["upscale_method"]) == (1360, 768, "nearest-exact")


def test_a_mask_of_another_size_is_refused() -> None:
    """Both sizes are named."""
    facts: dict[str, Any] = {"path": "x", "sha256": "0", "media_type": "image/png", "size_bytes": 1}
    picture = Input(written="a.png", width=640, height=480, **facts)
    mask_must_fit(picture, picture.model_copy(update={"written": "m.png"}))
    with pytest.raises(WrongInput) as refused:
        mask_must_fit(picture, picture.model_copy(update={"written": "m.png", "width": 480, "height": 640}))
    assert refused.value.key == "mask_size"
    assert refused.value.facts == {"picture": "a.png", "size": "640x480", "mask": "m.png", "other": "480x640"}


def test_a_pose_on_a_stock_worker_names_the_pack() -> None:
    """So do the stack and TeaCache; the chain runs there."""
    files = {"control_image": "p.png", "control_net": "u.safetensors"}
    for options, pack in (
        ({"name": "pose_workflow", "values": files}, "comfyui_controlnet_aux"),
        ({"style": NOIR, "shape": "stack"}, "ComfyUI-Easy-Use"),
        ({"teacache": 0.2}, "ComfyUI-TeaCache"),
    ):
        with pytest.raises(NotSupported) as refused:
            made(nodes=known().stock(), **options)  # type: ignore[arg-type]
        assert pack in refused.value.facts["packs"]
    assert made(nodes=known().stock(), style=NOIR).graph


@pytest.mark.parametrize(
    "values", [{"steps": 0}, {"guidance": 101}, {"denoise": 1.5}, {"sampler": "eulerx"}, {"batch_size": 0}]
)
def test_a_graph_that_would_be_refused_is_never_given(values: dict[str, Any]) -> None:
    """The server's verdict comes before anything is sent."""
    with pytest.raises(WrongInput) as refused:
        made(values=values)
    assert refused.value.key == "graph_bad"
    assert next(iter(values)).partition("_")[0] in refused.value.facts["troubles"]


def test_own_loras_by_address_come_along() -> None:
    """A worker that fetches LoRAs gets `model_urls`, with the style's own address too."""
    style = Style(id="s", lora_name="own", lora_url="https://models.example/own.safetensors")
    found = made(style=style, characters=[Wanted(name="mai", url="https://models.example/mai.safetensors")])
    assert [row["id"] for row in found.model_urls] == ["own.safetensors", "mai.safetensors"]


def test_a_workflow_is_plain_json() -> None:
    """It can be written into a ledger and sent as it is, Vietnamese words included."""
    found = made("m\u1ed9t con m\u00e8o", style=NOIR, values={"width": 512, "height": 512})
    assert json.loads(json.dumps(found.graph, allow_nan=False)) == found.graph
    assert Workflow.model_validate(found.model_dump(mode="json")) == found


def test_a_template_without_seed_and_sizes_is_used_as_it_is() -> None:
    """Only what can be filled is resolved."""
    bare = read("bare", json.dumps(load().graph), "[slots]\nprompt = { kind = 'text', at = { pos = 'text' } }")
    found = compose("a cat", template=bare)
    assert (found.values, found.notes, found.graph["pos"]["inputs"]["text"]) == ({}, (), "a cat")


def test_the_notes_exist_in_both_languages() -> None:
    """What this room tells is told in Vietnamese and English."""
    for language in ("vi", "en"):
        assert {key for key in catalogue(language) if key.startswith("comfy.")} >= {
            "comfy.size_rounded",
            "comfy.seed_resolved",
            "comfy.style_unused",
            "comfy.lora_twice",
        }
