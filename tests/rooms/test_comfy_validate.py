"""The validator gives the verdicts of a real ComfyUI server, and names packs that a server lacks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hoasi.comfy.graph import build
from hoasi.comfy.nodes import from_object_info, known, missing_packs, must_have, pack_of
from hoasi.comfy.template import load
from hoasi.comfy.validate import must_be_good, validate
from hoasi.comfy.workflow import shape_of
from hoasi.errors import NotSupported, WrongInput
from rooms.comfy_graphs import ACCEPTED, VERDICTS, Graph, plain_loras, server


def put(node: str, **inputs: Any) -> Callable[[Graph], None]:
    return lambda graph: graph[node]["inputs"].update(inputs)


def drop(node: str, *names: str) -> Callable[[Graph], None]:
    return lambda graph: [graph[node]["inputs"].pop(name) for name in names] and None


def only_first_pair(graph: Graph) -> None:
    inputs = graph["stack"]["inputs"]
    inputs["num_loras"] = 1
    for name in [name for name in inputs if name.startswith("lora_") and not name.startswith("lora_1_")]:
        del inputs[name]


def replaced(graph: Graph, other: dict[str, Any]) -> None:
    graph.clear()
    graph.update(other)


BREAKS: dict[str, tuple[str, Callable[[Graph], Any]]] = {
    "missing lora file": ("chain", put("lora1", lora_name="nope.safetensors")),
    "missing unet": ("chain", put("unet", unet_name="nope.safetensors")),
    "unknown class": ("stack", lambda graph: graph["tea"].update(class_type="TeaCacheForImgGen")),
    "no class_type": ("stack", lambda graph: graph["tea"].pop("class_type")),
    "seed -1": ("chain", put("noise", noise_seed=-1)),
    "seed 2^64": ("chain", put("noise", noise_seed=2**64)),
    "seed 2^64-1": ("chain", put("noise", noise_seed=2**64 - 1)),
    "seed str '5'": ("chain", put("noise", noise_seed="5")),
    "seed str 'abc'": ("chain", put("noise", noise_seed="abc")),
    "width 1000 height 1080 (not /16)": ("chain", put("latent", width=1000, height=1080)),
    "width 8": ("chain", put("latent", width=8)),
    "width '${w}'": ("chain", put("latent", width="${width}")),
    "steps 0": ("chain", put("sigmas", steps=0)),
    "bad sampler": ("chain", put("sampler", sampler_name="eulerx")),
    "required input missing": ("chain", drop("guider", "conditioning")),
    "wrong type link (CLIP->MODEL)": ("chain", put("guider", model=["clip", 0])),
    "bad slot index": ("chain", put("guider", model=["shift", 5])),
    "link to absent node": ("chain", put("guider", model=["gone", 0])),
    "link with 3 elems": ("chain", put("guider", model=["shift", 0, 1])),
    "no output node": ("chain", lambda graph: graph.pop("save")),
    "extra unknown input": ("chain", put("save", whatever=1)),
    "two outputs, one bad": (
        "chain",
        lambda graph: graph.update(save2={"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}),
    ),
    "string lora strength '0.75'": ("chain", put("lora1", strength_model="0.75")),
    "lora strength -101": ("chain", put("lora1", strength_model=-101)),
    "stack num_loras 11": ("stack", put("stack", num_loras=11)),
    "stack strength 10.5": ("stack", put("stack", lora_1_strength=10.5)),
    "stack only first pair given": ("stack", only_first_pair),
    "filename_prefix traversal": ("chain", put("save", filename_prefix="../../x")),
    "empty graph": ("chain", lambda graph: replaced(graph, {})),
    "node not dict": ("chain", lambda graph: replaced(graph, {"1": 5})),
}


def test_every_recorded_verdict_is_asked_for() -> None:
    """Of the recorded verdicts only the circle's is left to a test of its own."""
    assert set(VERDICTS) - set(BREAKS) == {"cycle"}


@pytest.mark.parametrize("name", BREAKS)
def test_the_verdict_is_the_servers(name: str) -> None:
    """Error type, node and details are those that the server gave for the same fault."""
    shape, spoil = BREAKS[name]
    graph = copy.deepcopy(ACCEPTED[shape])
    spoil(graph)
    found = [[trouble.type, trouble.node, trouble.details] for trouble in validate(graph, server())]
    status, wanted = VERDICTS[name]
    assert found == wanted
    assert bool(wanted) is (status == 400 or name == "two outputs, one bad")


@pytest.mark.parametrize("shape", ["chain", "stack"])
def test_what_the_server_accepted_is_accepted(shape: str) -> None:
    """No false alarm, by the server's table and by our own."""
    assert validate(ACCEPTED[shape], server()) == []
    assert validate(ACCEPTED[shape], known()) == []


def test_a_circle_is_found() -> None:
    """The old server refused it without a word; newer ones and we say `dependency_cycle`."""
    graph = copy.deepcopy(ACCEPTED["chain"])
    graph["lora1"]["inputs"]["model"] = ["shift", 0]
    assert {trouble.type for trouble in validate(graph, server())} == {"dependency_cycle"}


def test_a_plain_value_where_a_link_belongs_is_refused() -> None:
    """The server would take it and fail later, paid."""
    graph = copy.deepcopy(ACCEPTED["chain"])
    graph["guider"]["inputs"]["model"] = "shift"
    assert [(t.type, t.node, t.input) for t in validate(graph, server())] == [("bad_linked_input", "guider", "model")]


def test_a_graph_without_end_is_no_crash() -> None:
    """A chain deeper than anything real is a trouble, not an exception; a node without inputs is one, too."""
    graph = build(load(), {}, plain_loras(2000))
    assert [trouble.type for trouble in validate(graph, known())] == ["exception_during_validation"]
    graph = copy.deepcopy(ACCEPTED["chain"])
    del graph["vae"]["inputs"]
    assert [(t.type, t.node) for t in validate(graph, server())] == [("exception_during_inner_validation", "vae")]
    graph["save"] = {"class_type": "SaveImage"}
    assert [(t.type, t.node) for t in validate(graph, server())] == [("exception_during_validation", "save")]


def test_several_faults_are_told_together() -> None:
    """The caller mends them in one go; the error tells the first three."""
    graph = copy.deepcopy(ACCEPTED["chain"])
    graph["sigmas"]["inputs"] |= {"steps": 0, "denoise": 2, "scheduler": "none"}
    graph["noise"]["inputs"]["noise_seed"] = -1
    with pytest.raises(WrongInput) as refused:
        must_be_good(graph, server())
    assert (refused.value.key, refused.value.facts["count"]) == ("graph_bad", 4)
    assert "sigmas (BasicScheduler): value_smaller_than_min, steps" in refused.value.facts["troubles"]
    must_be_good(ACCEPTED["chain"], server())


def test_nodes_that_our_table_does_not_know_pass() -> None:
    """Another program's template may use any node; what hangs on it is still looked at."""
    graph = copy.deepcopy(ACCEPTED["chain"])
    graph["filter"] = {"class_type": "SomeFilter", "inputs": {"image": ["decode", 0], "amount": 3}}
    graph["save"]["inputs"]["images"] = ["filter", 4]
    must_be_good(graph, known())
    graph["sigmas"]["inputs"]["steps"] = 0
    assert [trouble.type for trouble in validate(graph, known())] == ["value_smaller_than_min"]
    assert [trouble.type for trouble in validate(graph, server())] == ["invalid_prompt"]


def test_a_worker_without_the_node_is_told_the_pack() -> None:
    """Nodes and packs are named before anything is sent."""
    with pytest.raises(NotSupported) as refused:
        must_be_good(ACCEPTED["stack"], known().stock())
    assert refused.value.key == "comfy_nodes_missing"
    assert refused.value.facts["nodes"] == "easy loraStack, easy loraStackApply, TeaCache"
    assert "ComfyUI-Easy-Use" in refused.value.facts["packs"]
    assert "ComfyUI-TeaCache" in refused.value.facts["packs"]
    must_have(ACCEPTED["chain"], known().stock())


def test_a_servers_own_word_about_its_nodes_is_final() -> None:
    """By /object_info a class that nobody knows is missing, too; its pack is unknown."""
    graph = {"1": {"class_type": "Never Heard", "inputs": {}}, "2": {"class_type": "DWPreprocessor", "inputs": {}}}
    assert missing_packs(graph, known()) == {}
    lacking = missing_packs(graph, from_object_info({}))
    assert lacking["Never Heard"] == ""
    assert lacking["DWPreprocessor"].startswith("comfyui_controlnet_aux (https://")


@pytest.mark.parametrize(
    ("class_type", "pack"),
    [
        ("easy loraStack", "ComfyUI-Easy-Use"),
        ("easy fullLoader", "ComfyUI-Easy-Use"),
        ("TeaCacheForImgGen", "ComfyUI-TeaCache"),
        ("UnetLoaderGGUF", "ComfyUI-GGUF"),
        ("KSampler", ""),
        ("Never Heard", ""),
    ],
)
def test_packs_are_known_by_name(class_type: str, pack: str) -> None:
    """For a worker's "node X does not exist", old names and nodes that our templates do not use included."""
    assert pack_of(class_type).partition(" ")[0] == pack


def test_object_info_is_read_in_its_old_and_its_new_form() -> None:
    """Choices as a list, or as COMBO with options; ranges; packs; what is odd is not checked."""
    table = from_object_info(
        {
            "New": {
                "input": {
                    "required": {"name": ["COMBO", {"options": ["a", "b"]}], "far": ["COMBO", {"remote": {}}]},
                    "optional": {"n": ["INT", {"min": 1, "max": 3}], "odd": [], "any": ["*"], "u": ["INT,FLOAT"]},
                    "hidden": {"prompt": "PROMPT"},
                },
                "output": ["IMAGE", ["x", "y"]],
                "output_node": True,
                "python_module": "custom_nodes.Some-Pack",
            },
            "Core": {"input": {}, "output": ["FLOAT"], "output_node": False, "python_module": "nodes"},
            "broken": None,
        }
    )
    assert (table.nodes["New"].pack, table.nodes["Core"].pack, table.nodes["New"].outputs) == (
        "Some-Pack",
        "",
        ("IMAGE", "COMBO"),
    )

    def verdict(**inputs: Any) -> list[str]:
        graph = {"1": {"class_type": "New", "inputs": {"name": "a", "far": "z"} | inputs}, "2": core}
        return [trouble.type for trouble in validate(graph, table)]

    core = {"class_type": "Core", "inputs": {}}
    assert verdict(n=2, odd={}, any=["2", 0], u=["2", 0]) == []
    assert verdict(n=4) == ["value_bigger_than_max"]
    assert verdict(name="c") == ["value_not_in_list"]
    assert verdict(n=["2", 0]) == ["return_type_mismatch"]


def test_a_picture_that_was_uploaded_since_is_no_fault() -> None:
    """The list of input files in /object_info is old at once; servers look for the file itself, and so it passes."""
    for form in ([["old.png"], {"image_upload": True}], ["COMBO", {"options": ["old.png"], "image_upload": True}]):
        told = {"LoadImage": {"input": {"required": {"image": form}}, "output": ["IMAGE", "MASK"], "output_node": True}}
        graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "new.png"}}}
        assert validate(graph, from_object_info(told)) == []


def test_the_stack_is_chosen_where_the_server_has_it() -> None:
    """Found by /object_info: both nodes; else the chain, which runs anywhere."""
    assert shape_of(server()) == "stack"
    assert shape_of(known().stock()) == "chain"
    assert shape_of(from_object_info({"easy loraStack": {}})) == "chain"
