"""What a ComfyUI server says that it has: asked once, believed before anything is sent, and no obstacle when unsaid."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hoasi import Studio, settings
from hoasi.cli import checkup_makers
from hoasi.comfy.nodes import from_object_info
from hoasi.comfy.validate import sure, validate
from hoasi.errors import WrongInput
from hoasi.given import Lora
from hoasi.sandbox import Sandbox, comfyui, serving

from .graphs import Mute, call, graph_studio, one, posts, wanted

pytestmark = pytest.mark.anyio
AN = Lora(name="an")


@asynccontextmanager
async def at(app: ASGIApp, sandbox: Sandbox, root: Path, **more: str) -> AsyncIterator[Studio]:
    """A studio whose ComfyUI is this app."""
    async with serving(sandbox, app=app) as url, Studio(root, environ={"HOASI_COMFYUI_URL": url, **more}) as studio:
        yield studio


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come one after the other."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)


def classes(sandbox: Sandbox) -> set[str]:
    """Classes of nodes of the graph that ran last."""
    graph = list(sandbox.comfyui.history.values())[-1]["prompt"][2]
    return {node["class_type"] for node in graph.values()}


def looks(sandbox: Sandbox) -> int:
    """How often it was asked what it has."""
    return sum(path.endswith("/object_info") for _, path in sandbox.stats()["requests"])


def sent(sandbox: Sandbox) -> int:
    """How many graphs were sent to it, taken or not."""
    return posts(sandbox, lambda path: path.endswith("/prompt"))


# ---------------------------------------------------------------------- asked once


async def test_it_is_asked_once(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Two graphs of one process, one question; the next process asks for itself; planning asks nothing."""
    async with graph_studio(workspace, fal) as studio:
        await studio.plan(call(wanted("comfyui")))
        assert looks(sandbox) == 0
        for seed in (1, 2):
            assert (await one(studio, wanted("comfyui", seed=seed))).state == "succeeded"
    assert looks(sandbox) == 1
    assert sent(sandbox) == 2


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("no", 404),
        PlainTextResponse("no", 500),
        PlainTextResponse("<html>"),
        JSONResponse([1]),
        JSONResponse({}),
        JSONResponse({"SaveImage": "x"}),
    ],
    ids=["404", "500", "html", "list", "nothing", "words"],
)
async def test_a_server_that_does_not_say_it_is_sent_the_graph(
    answer: ASGIApp, workspace: Path, sandbox: Sandbox
) -> None:
    """What is no answer is no obstacle: LoRAs hang in a chain, which every server takes."""
    sandbox.change(comfyui_loras=("an.safetensors",))
    mute = Mute(comfyui.app(sandbox), answer)
    async with at(mute, sandbox, workspace) as studio:
        made = await one(studio, wanted("comfyui", loras=(AN,)))
    assert (made.state, mute.asked) == ("succeeded", 1)
    assert "LoraLoader" in classes(sandbox)


async def test_a_server_that_is_silent_holds_nothing_up(
    workspace: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The question has a limit of time; that it was not answered is a line in our own log."""

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    monkeypatch.setattr("hoasi.providers.comfyui_nodes.LOOK_S", 0.3)
    with caplog.at_level(logging.INFO, "hoasi.wire"), anyio.fail_after(10):
        async with at(Mute(comfyui.app(sandbox), silent), sandbox, workspace) as studio:
            assert (await one(studio, wanted("comfyui"))).state == "succeeded"
    assert "nothing within 0.3 s" in caplog.text


# ---------------------------------------------------------------------- believed before anything is sent


@pytest.mark.parametrize(
    ("lacks", "asked", "named"),
    [
        ("TeaCache", {"options": {"teacache": 0.2}}, "ComfyUI-TeaCache"),
        ("easy loraStack", {"options": {"lora_shape": "stack"}, "loras": (AN,)}, "ComfyUI-Easy-Use"),
    ],
)
async def test_a_pack_that_is_missing_is_named_before_anything_is_sent(
    lacks: str, asked: dict[str, Any], named: str, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Node and pack; no graph left."""
    sandbox.change(comfyui_lacks=(lacks,), comfyui_loras=("an.safetensors",))
    async with graph_studio(workspace, fal) as studio:
        made = await one(studio, wanted("comfyui", **asked))
    assert made.error is not None
    assert (made.state, made.error.key, made.paid, sent(sandbox)) == ("failed", "comfy_nodes_missing", "no", 0)
    assert lacks in made.error.message
    assert named in made.error.fix


async def test_a_lora_that_is_not_there_is_named_before_anything_is_sent(
    workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """In the server's own words. Once the file lies there the same process takes it, though it had asked before."""
    async with graph_studio(workspace, fal) as studio:
        assert (await one(studio, wanted("comfyui"))).state == "succeeded"
        made = await one(studio, wanted("comfyui", loras=(AN,)))
        assert made.error is not None
        assert (made.error.key, sent(sandbox), looks(sandbox)) == ("graph_bad", 1, 2)
        assert "value_not_in_list" in made.error.message
        assert "an.safetensors" in made.error.message
        sandbox.change(comfyui_loras=("an.safetensors",))
        assert (await one(studio, wanted("comfyui", loras=(AN,)))).state == "succeeded"


def hung(sandbox: Sandbox) -> list[str]:
    """Names of the LoRAs of the graph that ran last, in a chain."""
    graph = list(sandbox.comfyui.history.values())[-1]["prompt"][2]
    return [node["inputs"]["lora_name"] for node in graph.values() if node["class_type"] == "LoraLoader"]


@pytest.mark.parametrize("lacks", ["easy loraStack", "TeaCache"])
async def test_a_lora_in_a_folder_goes_by_its_file_name(
    lacks: str, workspace: Path, fal: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A style's film and somebody's LoRA are sent as the server lists them, in a chain or a stack; a line tells it."""
    sandbox.change(comfyui_loras=("people/an.safetensors",), comfyui_lacks=(lacks,))
    (workspace / "resources").mkdir()
    rows = [{"id": "noir", "lora_file": "lora_01", "cine_lora_weight": 0.8}]
    (workspace / "resources" / "styles.json").write_text(json.dumps({"styles": rows}), encoding="utf-8")
    with caplog.at_level(logging.INFO, "hoasi.comfy"):
        async with graph_studio(workspace, fal) as studio:
            made = await one(studio, wanted("comfyui", style="noir", loras=(AN,)))
    assert made.state == "succeeded", made.error
    names = ["lora_01.safetensors", "people/an.safetensors", "film/FILM-V3-FLUX.safetensors"]
    graph = list(sandbox.comfyui.history.values())[-1]["prompt"][2]
    stacked = [graph["stack"]["inputs"][f"lora_{n}_name"] for n in (1, 2, 3)] if "stack" in graph else []
    assert (hung(sandbox), stacked) == ((names, []) if lacks == "easy loraStack" else ([], names))
    assert "FILM-V3-FLUX.safetensors is film/FILM-V3-FLUX.safetensors" in caplog.text


async def test_a_lora_in_two_folders_is_refused_until_one_has_another_name(
    workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Both are named, nothing is sent; once it is mended at the server the same process takes it."""
    sandbox.change(comfyui_loras=("a/an.safetensors", "b/an.safetensors"), comfyui_lacks=("easy loraStack",))
    async with graph_studio(workspace, fal) as studio:
        made = await one(studio, wanted("comfyui", loras=(AN,)))
        assert made.error is not None
        assert (made.error.key, made.paid, sent(sandbox)) == ("lora_in_folders", "no", 0)
        assert "a/an.safetensors, b/an.safetensors" in made.error.message
        sandbox.change(comfyui_loras=("a/an.safetensors", "b/binh.safetensors"))
        assert (await one(studio, wanted("comfyui", loras=(AN,)))).state == "succeeded"
    assert hung(sandbox) == ["a/an.safetensors"]


async def test_a_server_that_changed_is_asked_anew(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """A file was moved after the server had said where it lies: it refuses once, and the next call finds it."""
    sandbox.change(comfyui_loras=("a/an.safetensors",), comfyui_lacks=("easy loraStack",))
    async with graph_studio(workspace, fal) as studio:
        assert (await one(studio, wanted("comfyui", loras=(AN,), seed=1))).state == "succeeded"
        sandbox.change(comfyui_loras=("b/an.safetensors",))
        refused = await one(studio, wanted("comfyui", loras=(AN,), seed=2))
        assert refused.error is not None
        assert (refused.error.key, refused.paid) == ("comfy_refused", "no")
        assert (await one(studio, wanted("comfyui", loras=(AN,), seed=2))).state == "succeeded"
    assert (hung(sandbox), looks(sandbox)) == (["b/an.safetensors"], 2)


async def test_nodes_of_unknown_packs_are_left_to_the_server() -> None:
    """Of them only that they are missing is sure: they may take more than their lists tell."""
    info = {
        "Own": {"input": {"required": {"name": [["a", "b"], {}]}}, "output": ["IMAGE"]},
        "SaveImage": {
            "input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING", {}]}},
            "output": [],
            "output_node": True,
        },
    }
    save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}
    graph = {"1": {"class_type": "Own", "inputs": {"name": "c"}}, "2": save}
    table = from_object_info(info)
    assert [trouble.type for trouble in validate(graph, table)] == ["value_not_in_list"]
    assert sure(graph, table) == []
    assert [trouble.type for trouble in sure(graph, from_object_info({"SaveImage": info["SaveImage"]}))] == [
        "invalid_prompt"
    ]
    bad = {**graph, "2": {**save, "inputs": {"images": ["1", 0]}}}
    assert [trouble.type for trouble in sure(bad, table)] == ["required_input_missing"]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"input": None, "output": None},
        {"input": [], "output": "IMAGE"},
        {"input": {"required": ["x"], "optional": None}},
        {"input": {"required": {"x": None, "y": [], "z": ["INT", {"min": "0", "max": None}], "w": ["FLOAT", 3]}}},
    ],
)
def test_whatever_a_server_says_of_a_node_is_read(row: dict[str, Any]) -> None:
    """What cannot be read of it is not checked; the node is there."""
    table = from_object_info({"Odd": row})
    assert table.has("Odd")
    assert validate({"1": {"class_type": "Odd", "inputs": {"x": 1, "z": 5}}}, table)[0].type == "prompt_no_outputs"


# ---------------------------------------------------------------------- told by the doctor


async def test_the_doctor_names_the_packs(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Those that are there, as the server says; a half of a pack is none; a setting that is bad is named."""
    sandbox.change(comfyui_lacks=("easy loraStackApply",))
    address = {"HOASI_COMFYUI_URL": f"{fal}/comfyui"}
    (check,) = await checkup_makers.nodes(settings.read(workspace, environ=address))
    assert (check.state, "ComfyUI-TeaCache" in check.text, "Easy-Use" in check.text) == ("ok", True, False)
    told = settings.read(workspace, environ={**address, "HOASI_COMFYUI_HEADERS": "nonsense"})
    (check,) = await checkup_makers.nodes(told)
    assert (check.state, "HOASI_COMFYUI_HEADERS" in f"{check.text} {check.fix}") == ("warn", True)


async def test_the_doctor_says_nothing_of_a_server_that_does_not(workspace: Path) -> None:
    """Nobody is there: that its host does not answer is said elsewhere."""
    nowhere = settings.read(workspace, environ={"HOASI_COMFYUI_URL": "http://127.0.0.1:9"})
    assert await checkup_makers.nodes(nowhere) == []


# ---------------------------------------------------------------------- how LoRAs are hung in


@pytest.mark.parametrize(
    ("lacks", "setting", "option", "stacked"),
    [
        ("", "", None, True),
        ("easy loraStack", "", None, False),
        ("easy loraStackApply", "auto", None, False),
        ("", "chain", None, False),
        ("", "stack", None, True),
        ("", "chain", "stack", True),
        ("", "stack", "chain", False),
    ],
)
async def test_a_stack_is_taken_where_it_is_found(
    lacks: str, setting: str, option: str | None, stacked: bool, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """The request's word counts before the setting, and that before what is found; it is the same purchase."""
    sandbox.change(comfyui_lacks=(lacks,) if lacks else (), comfyui_loras=("an.safetensors",))
    options = {"lora_shape": option} if option else {}
    async with graph_studio(workspace, fal, HOASI_COMFYUI_LORA_SHAPE=setting) as studio:
        made = await one(studio, wanted("comfyui", loras=(AN,), options=options))
    assert made.state == "succeeded", made.error
    assert ("easy loraStack" in classes(sandbox), "LoraLoader" in classes(sandbox)) == (stacked, not stacked)


async def test_how_they_are_hung_in_is_no_other_request(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """The picture is the same: with another setting it is not made again."""
    sandbox.change(comfyui_loras=("an.safetensors",))
    for setting in ("chain", "stack"):
        async with graph_studio(workspace, fal, HOASI_COMFYUI_LORA_SHAPE=setting) as studio:
            await one(studio, wanted("comfyui", loras=(AN,)))
    assert sandbox.stats()["submissions"] == 1


async def test_a_teacache_may_be_set_for_all(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """It changes the picture, so it is another request; a request's own threshold counts before it."""
    async with graph_studio(workspace, fal) as studio:
        plain = (await studio.plan(call(wanted("comfyui")))).items[0]
    async with graph_studio(workspace, fal, HOASI_COMFYUI_TEACACHE="0.3") as studio:
        cached = (await studio.plan(call(wanted("comfyui")))).items[0]
        own = (await studio.plan(call(wanted("comfyui", options={"teacache": 0})))).items[0]
        made = await one(studio, wanted("comfyui"))
    assert (cached.parameters["teacache"], own.parameters["teacache"]) == (0.3, 0)
    assert len({plain.fingerprint, cached.fingerprint, own.fingerprint}) == 3
    assert Path(made.outputs[0]).stem == cached.stems[0] != plain.stems[0]
    graph = next(iter(sandbox.comfyui.history.values()))["prompt"][2]
    assert graph["tea"]["inputs"]["rel_l1_thresh"] == 0.3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOASI_COMFYUI_LORA_SHAPE", "heap"),
        ("HOASI_COMFYUI_LORAS", "film/x.safetensors, ../../y.safetensors"),
        ("HOASI_COMFYUI_LORAS", "/film/x.safetensors"),
        ("HOASI_COMFYUI_LORAS", "C:\\film\\x.safetensors"),
        ("HOASI_COMFYUI_TEACACHE", "much"),
        ("HOASI_COMFYUI_TEACACHE", "nan"),
        ("HOASI_COMFYUI_TEACACHE", "11"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_named(name: str, value: str, workspace: Path, fal: str) -> None:
    """Before anything is sent."""
    async with graph_studio(workspace, fal, **{name: value}) as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.plan(call(wanted("comfyui")))
    assert (refused.value.key, refused.value.facts["name"]) == ("setting_bad", name)
