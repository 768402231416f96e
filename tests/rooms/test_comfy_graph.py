"""ComfyUI graphs: what is built is what a real server accepted, and what a template cannot take is said."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import hoasi.comfy
from hoasi.comfy import template as templates
from hoasi.comfy.graph import Shape, build
from hoasi.comfy.loras import Lora, Wanted, placed, stack
from hoasi.comfy.nodes import known
from hoasi.comfy.template import Template, load, names, read
from hoasi.comfy.validate import validate
from hoasi.errors import FileBroken, NotFound, WrongInput
from rooms.comfy_graphs import ACCEPTED, accepted, mapping, plain_loras, server

HOUSE = Path(hoasi.comfy.__file__).parent / "templates"
TOP = Path(__file__).parents[2] / "workflows"
SAME = {"prompt": "a detective in the rain", "seed": 1, "filename_prefix": "job"}
"""What the accepted graphs say where ours have a slot."""
FILES = {"image": "a.png", "mask": "m.png", "control_image": "c.png", "control_net": "union.safetensors"}
TEA = {"chain": None, "stack": 0.4}
"""The accepted stack has a TeaCache, the accepted chain has none."""


def wanted(template: Template) -> dict[str, Any]:
    """What must be given to a template."""
    return {name: FILES[name] for name, slot in template.slots.items() if slot.is_required}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("shape", ["chain", "stack"])
def test_what_is_built_is_what_the_server_accepted(shape: Shape, count: int) -> None:
    """With 0, 1, 2, 3 and 10 LoRAs, in both shapes, the graph equals the accepted one up to node ids."""
    loras = plain_loras(count)
    graph = build(load(), SAME, loras, shape, teacache=TEA[shape])
    assert mapping(graph, accepted(shape, loras)) is not None
    assert validate(graph, server()) == []


@pytest.mark.parametrize("shape", ["chain", "stack"])
def test_the_policy_gives_the_strengths_of_the_accepted_graph(shape: Shape) -> None:
    """Two characters and the film LoRA come out exactly as in the accepted file itself."""
    loras = stack(None, [Wanted(name="lora_01"), Wanted(name="lora_02")], Wanted(name="FILM-V3-FLUX"))
    loras = placed(loras, server().loras())
    graph = build(load(), SAME, loras, shape, teacache=TEA[shape])
    assert mapping(graph, ACCEPTED[shape]) is not None


def test_the_comparison_sees_every_difference() -> None:
    """Another value, another link, a node more: not the same graph."""
    graph = ACCEPTED["chain"]
    renamed = json.loads(json.dumps(graph).replace('"lora2"', '"77"'))
    assert mapping(renamed, graph) == {name: name for name in graph if name != "lora2"} | {"77": "lora2"}
    for node, name, value in (
        ("sigmas", "steps", 21),
        ("shift", "model", ["lora2", 0]),
        ("pos", "clip", ["clip", 0]),
        ("sample", "latent_image", ["latent", 1]),
    ):
        other = copy.deepcopy(graph)
        other[node]["inputs"][name] = value
        assert mapping(other, graph) is None
    assert mapping({**graph, "more": graph["save"]}, graph) is None


def test_without_loras_the_text_hangs_on_the_clip_loader() -> None:
    """No LoRA: encoder on the CLIP loader, sampling on the UNet loader, no node of LoRAs, no TeaCache."""
    graph = build(load(), {}, (), "stack")
    assert graph["pos"]["inputs"]["clip"] == ["clip", 0]
    assert graph["shift"]["inputs"]["model"] == ["unet", 0]
    assert {node["class_type"] for node in graph.values()} & {"easy loraStack", "LoraLoader", "TeaCache"} == set()


def test_the_v4_template_holds_the_values_of_the_mission() -> None:
    """Nodes and defaults of `normal_image_v4_workflow` are the specified ones."""
    graph = load("normal_image_v4_workflow.json").graph
    values = {node["class_type"]: node["inputs"] for node in graph.values()}
    assert set(values) == {
        *("UNETLoader", "VAELoader", "DualCLIPLoader", "ModelSamplingFlux", "CLIPTextEncode", "FluxGuidance"),
        *("BasicGuider", "KSamplerSelect", "BasicScheduler", "RandomNoise", "EmptySD3LatentImage"),
        *("SamplerCustomAdvanced", "VAEDecode", "SaveImage"),
    }
    assert values["UNETLoader"] == {"unet_name": "flux1-dev-fp8.safetensors", "weight_dtype": "fp8_e4m3fn"}
    assert (values["ModelSamplingFlux"]["max_shift"], values["ModelSamplingFlux"]["base_shift"]) == (1.15, 0.5)
    assert values["FluxGuidance"]["guidance"] == 3.5
    assert values["KSamplerSelect"] == {"sampler_name": "euler"}
    scheduler = values["BasicScheduler"]
    assert (scheduler["scheduler"], scheduler["steps"], scheduler["denoise"]) == ("simple", 20, 1.0)
    assert values["EmptySD3LatentImage"] == {"width": 1360, "height": 768, "batch_size": 1}
    teacache = build(load(), {}, teacache=0.2)["tea"]["inputs"]
    assert (teacache["model_type"], teacache["rel_l1_thresh"]) == ("flux", 0.2)


def test_the_top_of_the_tree_holds_the_same_templates() -> None:
    """`workflows/` and the templates inside the package are equal byte by byte."""
    inside = {file.name: file.read_bytes() for file in HOUSE.iterdir()}
    assert {file.name: file.read_bytes() for file in TOP.iterdir()} == inside
    assert "normal_image_v4_workflow.json" in inside


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("shape", ["chain", "stack"])
def test_every_template_makes_graphs_that_are_accepted(name: str, shape: Shape) -> None:
    """Text, picture, mask, control and pose: as it is, filled, and with LoRAs and TeaCache."""
    template = load(name)
    assert validate(template.graph, known()) == []
    graph = build(template, wanted(template), plain_loras(3), shape, teacache=0.2)
    assert validate(graph, known()) == []
    assert {"text_to_image", "image_to_image", "inpaint", "control"} == {load(n).operation for n in names()}


@pytest.mark.parametrize("name", names())
def test_every_slot_fills_its_places(name: str) -> None:
    """A value lands in every input that the slot names, and nowhere else."""
    template = load(name)
    samples = {"text": "new", "file": "new.png", "integer": 48, "number": 0.25}
    for slot_name, slot in template.slots.items():
        value = samples[slot.kind]
        graph = build(template, {**wanted(template), slot_name: value})
        kept = build(template, wanted(template) | {slot_name: FILES.get(slot_name)}) if not slot.is_required else graph
        assert {graph[node]["inputs"][key] for node, key in slot.inputs()} == {value}
        for node, key in slot.inputs():
            kept[node]["inputs"][key] = value
        assert kept == graph


def test_every_size_of_a_template_follows_the_slots() -> None:
    """No node keeps a width or height of its own when another is asked for."""
    for name in names():
        template = load(name)
        graph = build(template, {**wanted(template), "width": 512, "height": 640})
        sides = {(k, v) for node in graph.values() for k, v in node["inputs"].items() if k in {"width", "height"}}
        assert sides == {("width", 512), ("height", 640)}


def test_building_leaves_the_template_alone() -> None:
    """Two graphs of one template share nothing."""
    template = load()
    before = copy.deepcopy(template.graph)
    one = build(template, {"prompt": "one"}, plain_loras(2))
    one["unet"]["inputs"]["unet_name"] = "other"
    assert template.graph == before
    assert build(template, {})["unet"]["inputs"]["unet_name"] == "flux1-dev-fp8.safetensors"


def test_none_means_not_given_and_zero_is_a_value() -> None:
    """None keeps the template's own value; 0 is sent."""
    graph = build(load(), {"steps": None, "seed": 0, "guidance": 0})
    assert graph["sigmas"]["inputs"]["steps"] == 20
    assert (graph["noise"]["inputs"]["noise_seed"], graph["guid"]["inputs"]["guidance"]) == (0, 0)


def test_a_slot_that_the_template_lacks_is_said() -> None:
    """Slot and template are named, and what there is."""
    with pytest.raises(WrongInput) as refused:
        build(load(), {"mask": "m.png"})
    assert (refused.value.key, refused.value.facts["slot"]) == ("template_slot_missing", "mask")
    assert refused.value.facts["template"] == "normal_image_v4_workflow"
    assert "prompt" in refused.value.facts["has"]


def test_a_template_without_hooks_takes_neither_loras_nor_teacache() -> None:
    """Nothing is dropped silently."""
    bare = read("bare", json.dumps(load().graph))
    assert build(bare, {}) == load().graph
    with pytest.raises(WrongInput) as refused:
        build(bare, {}, plain_loras(1))
    assert (refused.value.key, refused.value.facts["slot"]) == ("template_slot_missing", "loras")
    with pytest.raises(WrongInput) as refused:
        build(bare, {}, teacache=0.2)
    assert refused.value.facts["slot"] == "teacache"


def test_a_picture_that_a_template_needs_must_be_given() -> None:
    """Inpainting without a mask is refused."""
    with pytest.raises(WrongInput) as refused:
        build(load("inpaint_workflow"), {"image": "a.png"})
    assert (refused.value.key, refused.value.facts["slot"]) == ("template_value_missing", "mask")


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        *(("steps", 20.5), ("steps", "20"), ("steps", True), ("guidance", "3.5"), ("guidance", float("nan"))),
        *(("guidance", float("inf")), ("guidance", False), ("prompt", 5), ("prompt", ["unet", 0]), ("seed", None)),
    ],
)
def test_a_value_of_another_kind_is_refused(slot: str, value: Any) -> None:
    """Only what the slot is for gets in; None is "not given"."""
    if value is None:
        assert build(load(), {slot: value})["noise"]["inputs"]["noise_seed"] == 0
        return
    with pytest.raises(WrongInput) as refused:
        build(load(), {slot: value})
    assert refused.value.key == "template_value_bad"


def test_eleven_loras_do_not_fit_a_stack() -> None:
    """The stack has ten places."""
    with pytest.raises(WrongInput) as refused:
        build(load(), {}, plain_loras(11), "stack")
    assert refused.value.key == "too_many_loras"


def test_different_strengths_of_model_and_clip_reach_the_stack() -> None:
    """Then the stack is `advanced`; a simple one would use the model's strength for both."""
    lora = Lora(name="lora_01.safetensors", strength_model=0.8, strength_clip=0.3)
    stacked = build(load(), {}, [lora], "stack")["stack"]["inputs"]
    assert (stacked["mode"], stacked["lora_1_model_strength"], stacked["lora_1_clip_strength"]) == (
        "advanced",
        0.8,
        0.3,
    )


def test_ids_of_the_template_are_never_taken() -> None:
    """A template that has a node `lora1` keeps it."""
    text = json.dumps(load().graph).replace('"noise"', '"lora1"')
    mine = Template(name="mine", graph=json.loads(text), loras=load().loras)
    graph = build(mine, {}, plain_loras(1))
    assert graph["lora1"]["class_type"] == "RandomNoise"
    assert graph["shift"]["inputs"]["model"] == ["lora1_", 0]


def test_an_own_template_comes_first(tmp_path: Path) -> None:
    """A folder of the user's wins over the house; its KSampler graph with a model-only hook takes LoRAs, too."""
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "flux1-dev-fp8.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "3": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["2", 0], "guidance": 3.5}},
        "4": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["2", 0]}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
        "6": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["3", 0],
                "negative": ["4", 0],
                "latent_image": ["5", 0],
                "seed": 1,
                "steps": 4,
                "cfg": 1.0,
                "sampler_name": "euler",
                "scheduler": "simple",
                "denoise": 1.0,
            },
        },
        "7": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["1", 2]}},
        "8": {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "x"}},
    }
    (tmp_path / f"{templates.DEFAULT}.json").write_text(json.dumps(graph))
    (tmp_path / f"{templates.DEFAULT}.toml").write_text(
        '[loras]\nmodel = ["1", 0]\n[slots]\ncfg = { kind = "number", at = { "6" = "cfg" } }\n'
    )
    mine = load(templates.DEFAULT, [tmp_path])
    built = build(mine, {"cfg": 2}, plain_loras(2), teacache=0.3)
    assert [built[name]["class_type"] for name in ("lora1", "lora2", "tea")] == [
        *["LoraLoaderModelOnly"] * 2,
        "TeaCache",
    ]
    assert (built["6"]["inputs"]["model"], built["2"]["inputs"]["clip"]) == (["tea", 0], ["1", 1])
    assert validate(built, known()) == []
    assert validate(build(mine, {}, plain_loras(2), "stack"), known()) == []
    assert set(names([tmp_path])) == set(names())


@pytest.mark.parametrize("name", ["normal_image", "../secret", "", "a/b", "x" * 300])
def test_an_unknown_template_names_the_nearest(name: str) -> None:
    """Nothing outside of the folders is ever read."""
    with pytest.raises(NotFound) as refused:
        load(name)
    assert refused.value.key == "template_unknown"
    assert "_workflow" in refused.value.facts["near"]


@pytest.mark.parametrize(
    ("graph", "slots", "key", "where"),
    [
        ('{"nodes": [], "links": []}', "", "template_not_api", None),
        ("[1]", "", "template_not_api", None),
        ("{", "", "template_broken", "JSON"),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "", "template_broken", "JSON"),
        ('{"1": {"class_type": "A"}}', "", "template_broken", "1"),
        ('{"1": {"class_type": "A", "inputs": {}}}', "[slots", "template_broken", "TOML"),
        (
            '{"1": {"class_type": "A", "inputs": {}}}',
            "[slots.a]\nkind = 'text'\nat = {}",
            "template_broken",
            "slots.a: .",
        ),
        (
            '{"1": {"class_type": "A", "inputs": {"y": 1}}}',
            "[slots]\na = { kind = 'text', at = { 1 = ['y', 'x'] } }",
            "template_broken",
            "slots.a: 1.x",
        ),
        ('{"1": {"class_type": "A", "inputs": {}}}', "[loras]\nmodel = ['2', 0]", "template_broken", "loras: 2"),
        ('{"1": {"class_type": "A", "inputs": {}}}', "graphs = 1", "template_broken", "graphs"),
    ],
)
def test_a_broken_template_names_the_place(graph: str, slots: str, key: str, where: str | None) -> None:
    """File and place are said; a graph saved in the editor's format says how to export it."""
    with pytest.raises(FileBroken) as refused:
        read("mine", graph, slots)
    assert (refused.value.key, refused.value.facts.get("where")) == (key, where)
