"""ComfyUI's translator against its mirror image, through the engine: found again, told apart, never made twice."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send

from calls import content, fault, files, until
from contract import ProviderContract, planned
from hoasi import Studio, settings
from hoasi.addresses import origin_of
from hoasi.answers import Entry
from hoasi.catalogue import load
from hoasi.comfy import template
from hoasi.errors import HoasiError, NotSupported, ProviderRefused, WrongInput
from hoasi.given import Lora
from hoasi.providers import comfyui_headers, provider
from hoasi.providers import comfyui_refusals as refusals
from hoasi.providers import comfyui_replies as replies
from hoasi.providers._outcomes import Order, Pending, Ready
from hoasi.providers.comfyui import Comfyui
from hoasi.providers.comfyui_work import MOST, prompt_id, saved
from hoasi.records import State
from hoasi.sandbox import Fault, Sandbox, comfyui, serving
from hoasi.sandbox.comfyui_files import File
from hoasi.sandbox.comfyui_run import Interrupted, Run
from hoasi.shop import origins_of
from hoasi.street import Reply, Street
from hoasi.wire import Wire

from .graphs import Mute, call, edited, graph_environ, graph_studio, one, picture, wanted

pytestmark = pytest.mark.anyio
NETWORK = "flux-union-pro-2.safetensors"


class TestComfyui(ProviderContract):
    """The promises of every provider, kept by ComfyUI."""

    name = "comfyui"


@pytest.fixture
async def studio(workspace: Path, fal: str) -> AsyncIterator[Studio]:
    """A studio whose ComfyUI is the sandbox."""
    async with graph_studio(workspace, fal) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come one after the other."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)


@asynccontextmanager
async def mute_studio(root: Path, sandbox: Sandbox) -> AsyncIterator[Studio]:
    """A studio whose ComfyUI does not say what it has."""
    mute = Mute(comfyui.app(sandbox))
    async with serving(sandbox, app=mute) as url, Studio(root, environ={"HOASI_COMFYUI_URL": url}) as opened:
        yield opened


def graphs(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The graphs that have ended, in their order."""
    return [entry["prompt"][2] for entry in sandbox.comfyui.history.values()]


# ---------------------------------------------------------------------- what is made


async def test_a_picture_comes_home_free(studio: Studio, sandbox: Sandbox) -> None:
    """A prompt becomes a picture of the asked shape; seed zero arrives; nothing was paid."""
    made = await one(studio, wanted("comfyui", seed=0, options={"steps": 4, "guidance": 2.5}))
    assert (made.state, made.paid, made.cost_usd, made.seed) == ("succeeded", "no", 0.0, 0)
    with Image.open(made.outputs[0]) as image:
        assert image.size[0] == image.size[1]
    graph = graphs(sandbox)[0]
    assert graph["noise"]["inputs"]["noise_seed"] == 0
    assert (graph["sigmas"]["inputs"]["steps"], graph["guid"]["inputs"]["guidance"]) == (4, 2.5)
    assert (graph["latent"]["inputs"]["width"], graph["latent"]["inputs"]["height"]) == (1024, 1024)


async def test_what_nobody_says_is_the_templates(studio: Studio, sandbox: Sandbox) -> None:
    """Without a shape the picture is 1360x768, in 20 steps."""
    await one(studio, wanted("comfyui", aspect_ratio=None), job_id=None)
    graph = graphs(sandbox)[0]
    assert (graph["latent"]["inputs"]["width"], graph["latent"]["inputs"]["height"]) == (1360, 768)
    assert graph["sigmas"]["inputs"]["steps"] == 20


async def test_several_pictures_are_one_run(studio: Studio, sandbox: Sandbox) -> None:
    """Three pictures are one graph with a batch of three."""
    made = await one(studio, wanted("comfyui", num_images=3))
    assert (made.state, len(made.outputs), sandbox.stats()["submissions"]) == ("succeeded", 3, 1)


async def test_loras_hang_in_their_order(studio: Studio, sandbox: Sandbox) -> None:
    """Characters first, then the film, weaker the more people there are; they are part of what is asked for."""
    sandbox.change(
        comfyui_lacks=("easy loraStack",),
        comfyui_loras=("an.safetensors", "binh.safetensors", "FILM-V3-FLUX.safetensors"),
    )
    people = [Lora(name="an", weight=1.0), Lora(name="binh.safetensors", weight=0.8)]
    film = Lora(name="FILM-V3-FLUX", kind="film", weight=0.5)
    made = await one(studio, wanted("comfyui", loras=(*people, film)))
    assert made.state == "succeeded"
    nodes = [node["inputs"] for node in graphs(sandbox)[0].values() if node["class_type"] == "LoraLoader"]
    assert [(row["lora_name"], row["strength_model"]) for row in nodes] == [
        ("an.safetensors", 0.75),
        ("binh.safetensors", 0.6),
        ("FILM-V3-FLUX.safetensors", 0.425),
    ]
    plans = [(await studio.plan(call(wanted("comfyui", loras=loras)))).items[0] for loras in ((), (people[0],))]
    assert plans[0].fingerprint != plans[1].fingerprint


async def test_a_large_picture_comes_back_smaller_and_says_so(workspace: Path, studio: Studio) -> None:
    """Two megapixels unless a size is asked for; what was done to it is told in its own numbers."""
    start = picture(workspace / "refs" / "start.png", (3000, 2000))
    plain, asked = [
        (await studio.plan(call(edited("comfyui", start, options=options)))).items[0].warnings
        for options in ({}, {"width": 1200, "height": 800})
    ]
    assert [("3000x2000" in note, "1776x1184" in note) for note in plain] == [(True, True)]
    assert asked == ()


async def test_a_picture_is_made_from_another(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """It is uploaded once, loaded under the server's own name, and gives the size."""
    start = picture(workspace / "refs" / "start.png")
    made = await one(studio, edited("comfyui", start, options={"denoise": 0.5}))
    assert made.state == "succeeded"
    graph = graphs(sandbox)[0]
    assert graph["image"]["inputs"]["image"].startswith("hoasi/")
    assert (graph["sigmas"]["inputs"]["denoise"], graph["scaled"]["inputs"]["width"]) == (0.5, 320)
    assert sandbox.stats()["uploads"] == 1


async def test_only_the_mask_is_painted(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """With a mask the inpainting graph is taken, and both files lie at the server."""
    start = picture(workspace / "refs" / "start.png")
    mask = picture(workspace / "refs" / "mask.png", colour="white")
    made = await one(studio, edited("comfyui", start, mask))
    assert (made.state, made.model, sandbox.stats()["uploads"]) == ("succeeded", "comfyui/flux-dev/inpaint", 2)
    assert graphs(sandbox)[0]["mask"]["inputs"]["image"] != graphs(sandbox)[0]["image"]["inputs"]["image"]


async def test_a_picture_guides(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """A control picture guides a new one, by a network that lies at the server."""
    start, model = picture(workspace / "refs" / "start.png"), "comfyui/flux-dev/control"
    made = await one(studio, edited("comfyui", start, model=model, options={"control_net": NETWORK}))
    assert made.state == "succeeded", made.error
    assert graphs(sandbox)[0]["control_image"]["inputs"]["image"].startswith("hoasi/")


async def test_a_pose_needs_a_pack(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """The pose of a photo is found by nodes of a pack: without it the pack is named before anything is sent."""
    sandbox.change(comfyui_lacks=("DWPreprocessor",))
    start, model = picture(workspace / "refs" / "start.png"), "comfyui/flux-dev/pose"
    made = await one(studio, edited("comfyui", start, model=model, options={"control_net": NETWORK}))
    assert made.error is not None
    assert made.error.key == "comfy_nodes_missing"
    assert "comfyui_controlnet_aux" in made.error.fix
    assert (made.paid, graphs(sandbox)) == ("no", [])


# ---------------------------------------------------------------------- the id is ours


def test_the_id_follows_from_the_order() -> None:
    """The same purchase has the same canonical lower-case UUID whenever it is sent; another has another."""
    plan = planned(load("comfyui").cards[0])
    first, again, other = (prompt_id(Order(plan, id=name)) for name in ("img-1", "img-1", "img-2"))
    assert first == again == str(uuid.UUID(first)) == first.lower()
    assert other != first


@pytest.mark.parametrize("version", ["0.3.64", "0.25.0", "0.36.0"])
async def test_old_and_new_servers_take_it(version: str, studio: Studio, sandbox: Sandbox) -> None:
    """From 0.25 on only canonical ids are taken."""
    sandbox.change(comfyui_version=version)
    assert (await one(studio, wanted("comfyui"))).state == "succeeded"


@pytest.mark.parametrize("kind", ["lost_reply", "truncated", "garbage", "empty", "wrong_type"])
async def test_a_lost_reply_is_found_again(kind: str, studio: Studio, sandbox: Sandbox) -> None:
    """The work is looked up by its id, and runs once."""
    sandbox.faults.add(fault("submit", kind))
    made = await one(studio, wanted("comfyui"))
    assert (made.state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_what_never_arrived_is_sent_again(
    studio: Studio, sandbox: Sandbox, quick: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset before anything was done: not in the queue, not in the history, so it is sent once more."""
    monkeypatch.setattr("hoasi.flow.ARRIVAL_S", 0.1)
    monkeypatch.setattr("hoasi.flow.ARRIVAL_POLL_S", 0.05)
    sandbox.faults.add(fault("submit", "reset"))
    made = await one(studio, wanted("comfyui"))
    assert (made.state, sandbox.stats()["submissions"], sandbox.stats()["posts_received"]) == ("succeeded", 1, 2)


@pytest.fixture
def work_ends(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The server works on its graph until this is set, or until it is stopped."""
    is_over = asyncio.Event()

    async def wait(run: Run, seconds: float) -> None:
        while not (is_over.is_set() or run._prompt.stop.is_set()):  # noqa: ASYNC110  (either of two)
            await asyncio.sleep(0.005)
        if run._prompt.stop.is_set():
            raise Interrupted

    monkeypatch.setattr(Run, "_wait", wait)
    return is_over


async def test_a_process_that_dies_while_sending_makes_nothing_twice(
    workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """The intent was written, the server has the graph, nobody heard the reply: the next process finds it."""
    sandbox.faults.add(fault("submit", "hang"))
    async with graph_studio(workspace, fal) as first:
        batch = await first.begin(call(wanted("comfyui")))
        await until(lambda: sandbox.stats()["submissions"] == 1)
    async with graph_studio(workspace, fal) as second:
        assert second.generations(batch.ids)[0].state is State.SUBMITTING
        reply = await second.resume()
    assert (reply.generations[0].state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_a_process_that_dies_while_waiting_fetches_later(
    workspace: Path, fal: str, sandbox: Sandbox, work_ends: asyncio.Event
) -> None:
    """The receipt is on disk; the next process brings the picture home."""
    async with graph_studio(workspace, fal) as first:
        batch = await first.begin(call(wanted("comfyui")))
        await until(lambda: first.generations(batch.ids)[0].state is State.RUNNING)
    work_ends.set()
    async with graph_studio(workspace, fal) as second:
        reply = await second.follow(batch.ids)
    assert (reply.generations[0].state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_a_rerun_makes_nothing_again(studio: Studio, sandbox: Sandbox) -> None:
    """The same request gives the same file."""
    first, second = await one(studio, wanted("comfyui")), await one(studio, wanted("comfyui"))
    assert (second.state, second.outputs) == ("skipped_existing", first.outputs)
    assert sandbox.stats()["submissions"] == 1


# ---------------------------------------------------------------------- progress


async def test_the_socket_tells_the_end(studio: Studio, sandbox: Sandbox) -> None:
    """With a websocket hardly anything is asked: the history once when it stands, and once for the result."""
    sandbox.change(latency_s=0.4)
    made = await one(studio, wanted("comfyui"))
    assert (made.state, sandbox.stats()["sockets"]) == ("succeeded", 1)
    assert sandbox.stats()["polls"] <= 3


@pytest.mark.parametrize("kind", ["reset", "lost_reply", "5xx", "429", "truncated"])
async def test_without_a_socket_it_is_asked(kind: str, studio: Studio, sandbox: Sandbox) -> None:
    """A socket that is refused, or breaks off, is no trouble: history and queue are asked."""
    sandbox.faults.add(fault("stream", kind, times=0))
    made = await one(studio, wanted("comfyui"))
    assert (made.state, sandbox.stats()["sockets"] > 0, sandbox.stats()["polls"] > 0) == ("succeeded", True, True)


async def test_a_socket_that_comes_late_misses_nothing(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended before the socket stood is seen at once, not after a silence (here longer than the test)."""
    monkeypatch.setattr("hoasi.pace.Schedule.trust_s", 3600.0)
    sandbox.change(latency_s=0)
    async with graph_studio(workspace, fal) as first:
        batch = await first.begin(call(wanted("comfyui")))
        await until(lambda: bool(sandbox.comfyui.history))
    async with graph_studio(workspace, fal) as second:
        reply = await second.follow(batch.ids)
    assert reply.generations[0].state == "succeeded"


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        ({"type": "execution_success", "data": {"prompt_id": "w"}}, Ready()),
        ({"type": "execution_error", "data": {"prompt_id": "w"}}, Ready()),
        ({"type": "execution_interrupted", "data": {"prompt_id": "w"}}, Ready()),
        ({"type": "progress", "data": {"prompt_id": "w", "value": 3}}, Pending("working")),
        ({"type": "executing", "data": {"prompt_id": "w", "node": None}}, Pending("working")),
        ({"type": "execution_success", "data": {"prompt_id": "another"}}, None),
        ({"type": "status", "data": {"status": {}}}, None),
        ({"type": "status"}, None),
        ({}, None),
    ],
)
def test_messages_are_told_apart(message: dict[str, Any], seen: Pending | Ready | None) -> None:
    """Only the three ends of this very work are ends; `executing: null` is none."""
    assert replies.heard("w", message) == seen


# ---------------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("fate", "state", "key"),
    [
        (fault("status", "completed_error", value="ValueError: boom"), "failed", "comfy_failed"),
        (fault("status", "completed_error", value="torch.OutOfMemoryError: no room"), "failed", "comfy_memory"),
        (fault("status", "interrupted"), "cancelled", "comfy_interrupted"),
        (fault("status", "vanished"), "failed", "comfy_lost"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_each_end_is_called_by_its_name(
    fate: Fault, state: str, key: str, studio: Studio, sandbox: Sandbox, quick: object
) -> None:
    """Failed, interrupted and lost are three things; each cost nothing, and a rerun makes it anew."""
    sandbox.faults.add(fate)
    made = await one(studio, wanted("comfyui"))
    assert made.error is not None
    assert (made.state, made.error.key, made.paid) == (state, key, "no")
    assert (await one(studio, wanted("comfyui"))).state == "succeeded"


@pytest.mark.parametrize("count", [1, 4])
async def test_what_was_saved_outlives_a_restart(count: int, studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """Queue and history are empty, the files lie in the work's own folder: they are fetched, nothing is made anew."""
    sandbox.faults.add(fault("status", "vanished", value="saved"))
    made = await one(studio, wanted("comfyui", num_images=count))
    assert sandbox.comfyui.history == {}
    assert (made.state, made.paid, len(made.outputs), made.error) == ("succeeded", "no", count, None)
    assert (await one(studio, wanted("comfyui", num_images=count))).state == "skipped_existing"
    assert sandbox.stats()["submissions"] == 1


def test_as_many_are_looked_for_as_a_call_makes() -> None:
    """The cards say how many pictures one run brings."""
    assert {card.max_images for card in load("comfyui").cards} <= {*range(1, MOST + 1)}


async def test_half_a_file_is_no_picture(studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """The server died while it wrote: what is cut off is not taken for a picture, and the work is lost."""
    load = File.load

    async def cut(self: File, easel: Any, form: Any = None) -> bytes:
        return (await load(self, easel, form))[:-20]

    sandbox.faults.add(fault("status", "vanished", value="saved"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(File, "load", cut)
        made = await one(studio, wanted("comfyui"))
    assert made.error is not None
    assert (made.state, made.error.key, made.paid) == ("failed", "comfy_lost", "no")
    assert (await one(studio, wanted("comfyui"))).state == "succeeded"


@pytest.mark.parametrize("receipt", ["../secrets", "a/../../b", "84ab", "", "A" * 36])
async def test_no_file_is_asked_for_by_a_name_that_is_none_of_ours(receipt: str, fal: str, sandbox: Sandbox) -> None:
    """A receipt that a person gives names a work; it never chooses the folder from which the server reads."""
    street = Street(frozenset({origin_of(fal)}))
    assert await saved(Wire(street, {"": f"{fal}/comfyui"}, {}), receipt, 1) == []
    await street.close()
    assert sandbox.stats()["requests"] == []


async def test_a_node_that_is_missing_names_its_pack(workspace: Path, sandbox: Sandbox) -> None:
    """A server that does not say what it has refuses itself: node and pack are named, on old and new servers."""
    async with mute_studio(workspace, sandbox) as studio:
        for number, version in enumerate(("0.3.64", "0.36.0")):
            sandbox.change(comfyui_lacks=("TeaCache",), comfyui_version=version)
            made = await one(studio, wanted("comfyui", seed=number, options={"teacache": 0.2}))
            assert made.error is not None
            assert (made.state, made.error.key) == ("failed", "comfy_nodes_missing")
            assert "TeaCache" in made.error.message
            assert "ComfyUI-TeaCache" in made.error.fix


async def test_a_value_that_only_the_server_can_judge_is_refused_by_it(workspace: Path, sandbox: Sandbox) -> None:
    """The server's own verdict reaches the user: which node, which value; nothing was queued."""
    async with mute_studio(workspace, sandbox) as studio:
        made = await one(studio, wanted("comfyui", loras=(Lora(name="nobody"),)))
    assert made.error is not None
    assert (made.error.key, sandbox.stats()["submissions"]) == ("comfy_refused", 0)
    assert "nobody.safetensors" in made.error.message


async def test_a_200_with_node_errors_is_a_failure(
    workspace: Path, fal: str, sandbox: Sandbox, work_ends: asyncio.Event
) -> None:
    """One output of two is bad: what was queued is taken back, and the bad node is named."""
    own(workspace, second_output=True)
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(workspace / "graphs")) as studio:
        made = await one(studio, wanted("comfyui", options={"template": "two"}))
    assert made.error is not None
    assert (made.state, made.error.key, made.paid) == ("failed", "comfy_refused", "no")
    assert "nowhere.png" in made.error.message
    await until(lambda: not sandbox.comfyui.pending and sandbox.comfyui.running is None)
    assert all(entry["status"]["status_str"] == "error" for entry in sandbox.comfyui.history.values())


async def of_two(studio: Studio) -> Entry:
    """A graph of which one output of two is bad."""
    return await one(studio, wanted("comfyui", options={"template": "two"}))


@pytest.mark.parametrize("kind", ["5xx", "reset", "lost_reply", "429"])
async def test_a_refusal_in_part_is_one_though_taking_back_fails(
    kind: str, workspace: Path, fal: str, sandbox: Sandbox, quick: object, work_ends: asyncio.Event
) -> None:
    """The server does not answer the taking back at once: the same refusal, and the graph was sent once."""
    folder = own(workspace, second_output=True)
    sandbox.faults.add(fault("cancel", kind, times=2))
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(folder)) as studio:
        made = await of_two(studio)
    assert made.error is not None
    assert (made.state, made.error.key, made.outputs) == ("failed", "comfy_refused", ())
    assert "nowhere.png" in made.error.message
    assert sandbox.stats()["submissions"] == 1


async def test_a_refusal_in_part_waits_until_it_can_be_taken_back(
    workspace: Path, fal: str, sandbox: Sandbox, quick: object, work_ends: asyncio.Event
) -> None:
    """While nothing can be taken back it stays open with its receipt; the next process says what was wrong with it."""
    folder = own(workspace, second_output=True)
    sandbox.faults.add(fault("status", "reset", model="comfyui/queue", times=0))
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(folder)) as first:
        made = await of_two(first)
        (kept,) = first.generations([made.id])
    assert (made.state, made.outputs, kept.state) == ("running", (), State.RUNNING)
    assert kept.handle is not None
    assert "nowhere.png" in kept.handle["refused"]["troubles"]
    work_ends.set()
    await until(lambda: bool(sandbox.comfyui.history))
    assert [entry["status"]["status_str"] for entry in sandbox.comfyui.history.values()] == ["success"]
    sandbox.faults.clear()
    async with graph_studio(workspace, fal) as second:
        (ended,) = (await second.resume()).generations
    assert ended.error is not None
    assert (ended.state, ended.error.key, sandbox.stats()["submissions"]) == ("failed", "comfy_refused", 1)


@pytest.mark.parametrize("latency_s", [0, 2.0])
async def test_a_refusal_in_part_is_seen_though_its_reply_was_lost(
    latency_s: float, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Found again at work or in the history: the server shows which outputs it left out, and that is no success."""
    folder = own(workspace, second_output=True)
    sandbox.change(latency_s=latency_s)
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(folder)) as studio:
        made = await of_two(studio)
    assert made.error is not None
    assert (made.state, made.error.key, made.outputs) == ("failed", "comfy_refused", ())
    assert "save2 (SaveImage)" in made.error.message
    assert sandbox.stats()["submissions"] == 1


async def test_a_refusal_in_part_is_seen_by_a_bare_receipt(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """A receipt that only names the work, as a person gives it: the history itself shows what was left out."""
    folder = own(workspace, second_output=True)
    sandbox.change(latency_s=0)
    sandbox.faults.add(fault("status", "reset", model="comfyui/queue", times=0))
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(folder)) as studio:
        await studio.begin(call(wanted("comfyui", options={"template": "two"})))
        await until(lambda: bool(sandbox.comfyui.history))
    plain = Comfyui().attach(planned(load("comfyui").cards[0]), next(iter(sandbox.comfyui.history))).receipt
    street = Street(frozenset({origin_of(fal)}))
    with pytest.raises(ProviderRefused) as refused:
        await Comfyui().collect(Wire(street, {"": f"{fal}/comfyui"}, {}), plain, Ready())
    await street.close()
    assert "save2 (SaveImage)" in refused.value.facts["troubles"]


@pytest.mark.parametrize("told", [{"save": {"errors": []}}, {"save": None}, ["save"], "save"])
def test_an_error_of_a_node_without_words_is_one(told: object) -> None:
    """Whatever a server puts there, it is a refusal and names the node."""
    facts = refusals.faults(Reply(200, {}, json.dumps({"prompt_id": "x", "node_errors": told}).encode()))
    assert "save" in facts["troubles"]


@pytest.mark.parametrize("kind", ["reset", "truncated", "5xx", "429"])
async def test_a_download_that_breaks_is_made_again(kind: str, studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """The picture lies at the server: it is asked for until it comes."""
    sandbox.faults.add(fault("download", kind))
    assert (await one(studio, wanted("comfyui"))).state == "succeeded"


@pytest.mark.parametrize("kind", ["not_a_picture", "empty", "wrong_type"])
async def test_what_is_no_picture_is_none(kind: str, studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """Bytes that no decoder knows are no success; once the server gives the right ones, resuming fetches them."""
    sandbox.faults.add(fault("download", kind))
    made = await one(studio, wanted("comfyui"))
    assert made.error is not None
    assert (made.state, made.outputs) == ("failed", ())
    again = await one(studio, wanted("comfyui"))
    assert again.state == "succeeded"


@pytest.mark.parametrize("at_work", [True, False])
async def test_it_can_be_taken_back(at_work: bool, studio: Studio, sandbox: Sandbox, work_ends: asyncio.Event) -> None:
    """What waits leaves the queue, what runs is interrupted; what another runs goes on."""
    first = await studio.begin(call(wanted("comfyui", "first")))
    await until(lambda: sandbox.comfyui.running is not None)
    second = await studio.begin(call(wanted("comfyui", "second")))
    await until(lambda: len(sandbox.comfyui.pending) == 1)
    await until(lambda: all(g.state is State.RUNNING for g in studio.generations([*first.ids, *second.ids])))
    taken, kept = (first, second) if at_work else (second, first)
    reply = await studio.cancel(taken.ids)
    assert (reply.generations[0].state, reply.generations[0].paid) == ("cancelled", "no")
    work_ends.set()
    assert (await studio.follow(kept.ids)).generations[0].state == "succeeded"


# ---------------------------------------------------------------------- a proxy before it


class Proxy:
    """What stands before a server and looks at headers, of HTTP and of websockets."""

    def __init__(self, inner: ASGIApp, token: str) -> None:
        self._inner = inner
        self._token = token.encode()
        self.refused: list[str] = []
        self.seen: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in who has the token."""
        if scope["type"] in {"http", "websocket"}:
            self.seen.add(scope["type"])
            if dict(scope["headers"]).get(b"x-token") != self._token:
                self.refused.append(scope["path"])
        await self._inner(scope, receive, send)


async def test_headers_go_with_every_request(workspace: Path, sandbox: Sandbox) -> None:
    """The proxy's token travels with the graph, the upload, the socket and the picture; it is written nowhere."""
    proxy = Proxy(comfyui.app(sandbox), "s3cr3t-token-9")
    start = picture(workspace / "refs" / "start.png")
    sandbox.change(latency_s=0.2)
    async with serving(sandbox, app=proxy) as url:
        environ = {"HOASI_COMFYUI_URL": url, "HOASI_COMFYUI_HEADERS": "X-Team: hoasi; X-Token: s3cr3t-token-9"}
        async with Studio(workspace, environ=environ) as studio:
            made = await one(studio, edited("comfyui", start))
    assert (made.state, proxy.refused, proxy.seen) == ("succeeded", [], {"http", "websocket"})
    assert not [path for path in files(workspace) if b"s3cr3t-token-9" in content(path)]


async def test_the_sandbox_gets_no_headers(workspace: Path, sandbox: Sandbox) -> None:
    """With HOASI_SANDBOX a proxy's token stays at home."""
    proxy = Proxy(sandbox.app(), "s3cr3t-token-9")
    async with serving(sandbox, app=proxy) as url:
        environ = {"HOASI_SANDBOX": url, "HOASI_COMFYUI_HEADERS": "X-Token: s3cr3t-token-9"}
        async with Studio(workspace, environ=environ) as studio:
            assert (await one(studio, wanted("comfyui"))).state == "succeeded"
    assert "/prompt" in proxy.refused


async def test_headers_come_from_the_process_only(workspace: Path, sandbox: Sandbox) -> None:
    """A file in a workspace cannot put anything into requests."""
    (workspace / ".env").write_text("HOASI_COMFYUI_HEADERS=X-Token: s3cr3t-token-9\n", encoding="utf-8")
    proxy = Proxy(comfyui.app(sandbox), "s3cr3t-token-9")
    async with serving(sandbox, app=proxy) as url, Studio(workspace, environ={"HOASI_COMFYUI_URL": url}) as studio:
        assert (await one(studio, wanted("comfyui"))).state == "succeeded"
    assert "/prompt" in proxy.refused


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("X-Token: abc", {"x-token": "abc"}),
        ("Authorization: Basic YTpi; X-Team:hoasi;", {"authorization": "Basic YTpi", "x-team": "hoasi"}),
        ("Cookie: a=1; b=2\nX-Team: hoasi", {"cookie": "a=1; b=2", "x-team": "hoasi"}),
        ("X-Empty:", {"x-empty": ""}),
        ("X-Url: https://a.example:80/x", {"x-url": "https://a.example:80/x"}),
    ],
)
def test_headers_are_read(text: str, headers: dict[str, str]) -> None:
    """Divided by `;`, or one a line."""
    assert comfyui_headers.read(text) == headers


@pytest.mark.parametrize(
    "text", ["abc", "X Token: abc", "X-Token: \u00e9", "Host: evil.example", ": x", "A: b; nonsense"]
)
async def test_headers_that_are_none_are_refused_untold(text: str, workspace: Path, fal: str) -> None:
    """Before anything is sent; the text itself is not repeated, for it may be a secret."""
    async with graph_studio(workspace, fal, HOASI_COMFYUI_HEADERS=text) as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.plan(call(wanted("comfyui")))
    assert (refused.value.key, refused.value.facts["name"]) == ("setting_bad", "HOASI_COMFYUI_HEADERS")
    assert text not in str(refused.value).replace("X-Token: abc", "")


# ---------------------------------------------------------------------- refused before anything is sent


def own(root: Path, *, second_output: bool = False) -> Path:
    """A template of one's own: the house's without some slots, or with a second output that hangs on a missing file."""
    house = template.load()
    graph = json.loads(json.dumps(house.graph))
    if second_output:
        graph["lost"] = {"class_type": "LoadImage", "inputs": {"image": "nowhere.png"}}
        graph["save2"] = {"class_type": "SaveImage", "inputs": {"images": ["lost", 0], "filename_prefix": "x"}}
    folder = root / "graphs"
    folder.mkdir(exist_ok=True)
    for name in ("one", "two"):
        (folder / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
        slots = {"prompt": ("text", "pos", "text"), "seed": ("integer", "noise", "noise_seed")}
        slots |= {"width": ("integer", "latent", "width"), "height": ("integer", "latent", "height")}
        slots |= {
            "filename_prefix": ("text", "save", "filename_prefix"),
            "batch_size": ("integer", "latent", "batch_size"),
        }
        rows = [f'{key} = {{ kind = "{kind}", at = {{ {node} = "{at}" }} }}' for key, (kind, node, at) in slots.items()]
        text = "\n".join(["[slots]", *rows])
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"loras": [Lora(name=f"p{k}") for k in range(11)]}, "too_many_loras"),
        ({"loras": [Lora(name="../p")]}, "lora_name_bad"),
        ({"loras": [Lora(name="people/p")]}, "lora_name_bad"),
        ({"loras": [Lora(name="p", weight=99)]}, "lora_strength_bad"),
        ({"loras": [Lora(name="p", url="http://x.example/p")]}, "lora_url_bad"),
        ({"loras": [Lora(name="a", kind="film"), Lora(name="b", kind="film")]}, "lora_films"),
        ({"options": {"control_net": "x"}}, "template_slot_missing"),
        ({"options": {"template": "one", "steps": 5}}, "template_slot_missing"),
        ({"options": {"template": "nobody"}}, "template_unknown"),
        ({"options": {"template": "../one"}}, "template_unknown"),
        ({"options": {"sampler_name": 7}}, "template_value_bad"),
        ({"options": {"steps": 0}}, "value_not_supported"),
        ({"options": {"width": 8}}, "value_not_supported"),
        ({"options": {"nonsense": 1}}, "option_not_supported"),
        ({"negative_prompt": "text"}, "parameter_not_supported"),
        ({"options": {"scheduler_name": "no-such-scheduler"}}, "graph_bad"),
    ],
    ids=lambda v: ascii(v)[:50],
)
async def test_what_cannot_be_sent_is_refused(
    asked: dict[str, Any], key: str, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Planning says so, naming the thing; not one request leaves."""
    own(workspace)
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(workspace / "graphs")) as studio:
        with pytest.raises(HoasiError) as refused:
            await studio.generate(call(wanted("comfyui", **asked)))
    assert (refused.value.key, sandbox.stats()["requests"]) == (key, [])


async def test_a_mask_of_another_size_is_refused(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """Both sizes are named, before anything is uploaded."""
    start = picture(workspace / "refs" / "start.png")
    mask = picture(workspace / "refs" / "mask.png", (300, 192), "white")
    with pytest.raises(WrongInput) as refused:
        await studio.generate(call(edited("comfyui", start, mask)))
    assert (refused.value.key, refused.value.facts["other"], sandbox.stats()["uploads"]) == ("mask_size", "300x192", 0)


async def test_a_control_picture_needs_its_network(workspace: Path, studio: Studio) -> None:
    """Without the name of a ControlNet file nothing is sent."""
    start = picture(workspace / "refs" / "start.png")
    with pytest.raises(WrongInput) as refused:
        await studio.plan(call(edited("comfyui", start, model="comfyui/flux-dev/control")))
    assert refused.value.facts["slot"] == "control_net"


async def test_loras_are_not_lost_at_others(studio: Studio) -> None:
    """A provider that takes no LoRA refuses one that is asked for."""
    with pytest.raises(NotSupported) as refused:
        await studio.plan(call(wanted("fal", loras=(Lora(name="an"),))))
    assert refused.value.facts["parameter"] == "loras"


async def test_what_is_changed_is_told(studio: Studio) -> None:
    """A size that is rounded, and a LoRA's address that this server has no use for."""
    lora = Lora(name="an", url="https://files.example/an.safetensors")
    plan = await studio.plan(call(wanted("comfyui", loras=(lora,), options={"width": 1001, "height": 777})))
    told = " ".join(plan.warnings)
    assert "1001x777" in told
    assert "an.safetensors" in told


async def test_a_server_that_is_not_there_is_unreachable(workspace: Path, quick: object) -> None:
    """Nothing listens: nothing was sent, nothing was paid."""
    async with Studio(workspace, environ=graph_environ("http://127.0.0.1:9")) as studio:
        made = await one(studio, wanted("comfyui"))
    assert made.error is not None
    assert (made.state, made.error.key, made.paid) == ("failed", "unreachable", "no")


@pytest.mark.parametrize(
    ("status", "fields", "key"),
    [
        (400, {"error": {"type": "prompt_no_outputs", "message": "Prompt has no outputs"}}, "comfy_refused"),
        (
            400,
            {"error": {"type": "x", "message": "Cannot execute because node Y Z does not exist."}},
            "comfy_nodes_missing",
        ),
        (400, {}, "refused"),
        (401, {}, "key_rejected"),
        (404, {}, "refused"),
        (429, {}, "rate_limited"),
        (500, {}, "reply_unclear"),
        (502, {"error": "bad gateway"}, "reply_unclear"),
    ],
)
def test_refusals_are_sorted(status: int, fields: dict[str, Any], key: str) -> None:
    """What the server says of the graph, what a proxy says, and what proves nothing."""
    assert refusals.refused(Reply(status, {}, json.dumps(fields).encode())).key == key


def test_its_facts_need_no_key() -> None:
    """Nobody is asked for a key of a machine of their own."""
    assert Comfyui.secrets == ()


@pytest.mark.parametrize(
    "address", ["http://192.168.1.20:8188", "http://10.0.0.4:8188/comfyui", "http://gpu.local:8188"]
)
def test_a_server_in_the_next_room_may_be_asked_in_the_clear(address: str, tmp_path: Path) -> None:
    """No key travels; the open internet still has to be https, and so has everybody who gets a key."""
    said = settings.read(tmp_path, environ={"HOASI_COMFYUI_URL": address, "HOASI_FAL_URL": address})
    assert origins_of(provider("comfyui"), said)[""] == address
    with pytest.raises(NotSupported):
        origins_of(provider("fal"), said)
    with pytest.raises(NotSupported):
        origins_of(provider("comfyui"), settings.read(tmp_path, environ={"HOASI_COMFYUI_URL": "http://8.8.8.8:8188"}))
