"""RunPod's translator against its mirror image, through the engine: every shape of result, every end, every loss."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from calls import content, fal_environ, fault, files, harm, until
from contract import ProviderContract, planned
from hoasi import Studio
from hoasi.addresses import origin_of
from hoasi.catalogue import load
from hoasi.errors import (
    Cancelled,
    HoasiError,
    KeyMissing,
    KeyRejected,
    ProviderRefused,
    ResultExpired,
    WrongInput,
)
from hoasi.given import Input, Lora
from hoasi.messages import say
from hoasi.pace import Schedule
from hoasi.providers import runpod_media as media
from hoasi.providers import runpod_replies as replies
from hoasi.providers import runpod_settings as places
from hoasi.providers._outcomes import Order, Pending, Ready, Sent, TryAgain
from hoasi.providers.runpod import Runpod
from hoasi.providers.runpod_jobs import body
from hoasi.records import State
from hoasi.sandbox import Fault, Sandbox
from hoasi.sandbox.runpod_replies import Form, Place
from hoasi.street import Reply, Street
from hoasi.wire import Wire

from .graphs import GRAPH_KEY, PLACES, call, edited, graph_environ, graph_studio, one, picture, posts, wanted

pytestmark = pytest.mark.anyio
CARD = load("runpod").cards[0]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


class TestRunpod(ProviderContract):
    """The promises of every provider, kept by RunPod."""

    name = "runpod"


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come one after the other."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)


@pytest.fixture
async def studio(workspace: Path, fal: str) -> AsyncIterator[Studio]:
    """A studio whose RunPod is the sandbox."""
    async with graph_studio(workspace, fal) as opened:
        yield opened


def jobs(sandbox: Sandbox) -> list[Any]:
    """Every job that was taken, in its order."""
    return [*sandbox.runpod._jobs.values()]


# ---------------------------------------------------------------------- what is sent


async def test_a_picture_comes_home(studio: Studio, sandbox: Sandbox) -> None:
    """A prompt becomes a picture; seed zero arrives; it was paid, but nobody knows how much."""
    made = await one(studio, wanted("runpod", seed=0, options={"steps": 4}))
    assert (made.state, made.paid, made.cost_usd, made.estimate_usd) == ("succeeded", "yes", None, None)
    with Image.open(made.outputs[0]) as image:
        assert image.size[0] == image.size[1]
    graph = jobs(sandbox)[0].body["workflow"]
    assert (graph["noise"]["inputs"]["noise_seed"], graph["sigmas"]["inputs"]["steps"]) == (0, 4)


async def test_the_cost_follows_from_the_seconds(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """With a price by the second the cost of this very job is told."""
    sandbox.change(latency_s=0.4)
    async with graph_studio(workspace, fal, HOASI_RUNPOD_USD_PER_SECOND="0.5") as studio:
        made = await one(studio, wanted("runpod"))
    took_s = jobs(sandbox)[0].times()["executionTime"] / 1000
    assert took_s >= 0.39
    assert made.cost_usd == pytest.approx(0.5 * took_s, abs=1e-5)


async def test_what_has_no_price_is_never_said_to_be_free(workspace: Path, fal: str) -> None:
    """Without a price by the second nobody knows what a paid picture cost; with a known one beside it, it is named."""
    async with graph_studio(workspace, fal, **fal_environ(fal)) as studio:
        alone = await studio.generate(call(wanted("runpod")))
        again = await studio.generate(call(wanted("runpod")))
        beside = await studio.generate(call(wanted("runpod", seed=5), wanted("fal")))
    assert (alone.cost_usd, "$" in alone.message) == (None, False)
    assert say("summary.cost_not_known") in alone.message
    assert (again.cost_usd, "$0 " in again.message) == (0.0, True)
    assert (beside.cost_usd, "$0." in beside.message) == (None, True)
    assert say("summary.cost_unpriced", count=1) in beside.message


@pytest.mark.parametrize(
    ("mode", "ids", "endpoint"),
    [
        (None, PLACES, "wizard1"),
        ("wizard", PLACES, "wizard1"),
        ("fast", PLACES, "fifty1"),
        ("fast", {**PLACES, "RUNPOD_SERVER_SCHNELL_ID": "schnell1"}, "schnell1"),
        ("poster", PLACES, "fifty1"),
        ("poster", {**PLACES, "RUNPOD_SERVER_POSTER_ID": "poster1"}, "poster1"),
    ],
)
async def test_the_mode_names_the_endpoint(
    mode: str | None, ids: dict[str, str], endpoint: str, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Each mode has its endpoint, and where it has none of its own, the one of the settings' order."""
    async with graph_studio(workspace, fal, **ids) as studio:
        made = await one(studio, wanted("runpod", options={} if mode is None else {"mode": mode}))
    assert (made.state, jobs(sandbox)[0].endpoint) == ("succeeded", endpoint)


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("wizard", "RUNPOD_SERVER_100_ID"),
        ("fast", "RUNPOD_SERVER_SCHNELL_ID / RUNPOD_SERVER_150_ID"),
        ("poster", "RUNPOD_SERVER_POSTER_ID / RUNPOD_SERVER_150_ID"),
    ],
)
async def test_a_missing_endpoint_is_named_before_money(
    mode: str, names: str, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Nothing leaves; the variables that could name it are told. Looking at the price needs none."""
    environ = {name: value for name, value in graph_environ(fal).items() if not name.startswith("RUNPOD_SERVER")}
    asked = call(wanted("runpod", options={"mode": mode}))
    async with Studio(workspace, environ=environ) as studio:
        assert (await studio.preview(asked)).generations[0].state == "planned"
        with pytest.raises(KeyMissing) as refused:
            await studio.generate(asked)
    assert (refused.value.key, refused.value.facts["names"], sandbox.stats()["requests"]) == (
        "setting_missing",
        names,
        [],
    )


async def test_the_sandbox_needs_no_endpoint(workspace: Path, fal: str) -> None:
    """With HOASI_SANDBOX nothing has to be set, as with keys."""
    async with Studio(workspace, environ={"HOASI_SANDBOX": fal}) as studio:
        assert (await one(studio, wanted("runpod"))).state == "succeeded"


async def test_limits_are_always_said(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """RunPod itself ends the work at our limit, and a job lives long enough to wait and to be fetched."""
    async with graph_studio(workspace, fal, MAX_POLLING_DURATION="90") as studio:
        await one(studio, wanted("runpod"))
        await one(studio, wanted("runpod", "another", options={"sync": True}))
    assert [(job.terms.execution_s, job.terms.ttl_s) for job in jobs(sandbox)] == [(90, 90 + 3600)] * 2


async def test_a_workspace_without_limits_waits_for_cold_workers(studio: Studio) -> None:
    """The card's ten minutes hold; settings make them shorter; too often is not asked."""
    plan = (await studio.plan(call(wanted("runpod")))).items[0]
    assert (plan.cap_s, plan.poll_s, plan.stops_at_cap) == (600, 0.02, True)


@pytest.mark.parametrize(
    ("told", "cap_s", "poll_s"),
    [
        ({}, 600, 1.0),
        ({"MAX_POLLING_DURATION": "180"}, 180, 1.0),
        ({"MAX_POLLING_DURATION": "180", "MAX_POLLING_ATTEMPTS": "120"}, 120, 1.0),
        ({"MAX_POLLING_ATTEMPTS": "120", "POLLING_INTERVAL": "2.5"}, 300, 2.5),
        ({"MAX_POLLING_DURATION": "0"}, 1, 1.0),
    ],
)
def test_settings_limit_the_waiting(told: dict[str, str], cap_s: float, poll_s: float) -> None:
    """So long, so often, so many times: the strictest counts."""
    plan = places.limited(planned(CARD), told)
    assert (plan.cap_s, plan.poll_s) == (cap_s, poll_s)


@pytest.mark.parametrize("name", ["POLLING_INTERVAL", "MAX_POLLING_DURATION", "MAX_POLLING_ATTEMPTS", "SYNC_TIMEOUT"])
async def test_a_setting_that_is_no_number_is_named(name: str, workspace: Path, fal: str) -> None:
    """Before money, by its name."""
    async with graph_studio(workspace, fal, **{name: "soon"}) as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.plan(call(wanted("runpod")))
    assert (refused.value.key, refused.value.facts["name"]) == ("setting_not_number", name)


async def test_an_endpoint_id_is_an_id(workspace: Path, fal: str) -> None:
    """A path or an address is none."""
    async with graph_studio(workspace, fal, RUNPOD_SERVER_100_ID="../v1/x") as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.plan(call(wanted("runpod")))
    assert refused.value.facts["name"] == "RUNPOD_SERVER_100_ID"


async def test_loras_with_an_address_are_fetched(studio: Studio, sandbox: Sandbox) -> None:
    """Only then the worker is told where files are; else its input is that of the stock worker."""
    lora = Lora(name="an", url="https://files.example/an.safetensors?sig=1")
    made = await one(studio, wanted("runpod", loras=(lora,)))
    assert made.state == "succeeded"
    await one(studio, wanted("runpod"))
    assert [set(job.body) for job in jobs(sandbox)] == [{"workflow", "model_urls", "force_download"}, {"workflow"}]
    body = jobs(sandbox)[0].body
    assert (body["model_urls"], body["force_download"]) == ([{"id": "an.safetensors", "url": lora.url}], False)


async def test_a_lora_in_a_folder_of_the_workers_goes_by_its_file_name(
    workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """They cannot be asked: a setting says where it lies; that is no other purchase. One in two folders is refused."""
    film = Lora(name="FILM-V3-FLUX", kind="film")
    async with graph_studio(workspace, fal) as studio:
        plain = (await studio.plan(call(wanted("runpod", loras=(film,))))).items[0]
    async with graph_studio(workspace, fal, HOASI_RUNPOD_LORAS="x/a.safetensors, y/a.safetensors") as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.plan(call(wanted("runpod", loras=(Lora(name="a"),))))
    assert refused.value.key == "lora_in_folders"
    async with graph_studio(workspace, fal, HOASI_RUNPOD_LORAS="film/FILM-V3-FLUX.safetensors") as studio:
        made = await one(studio, wanted("runpod", loras=(film,)))
    assert made.state == "succeeded", made.error
    (job,) = sandbox.runpod._jobs.values()
    assert job.body["workflow"]["lora1"]["inputs"]["lora_name"] == "film/FILM-V3-FLUX.safetensors"
    assert Path(made.outputs[0]).stem == plain.stems[0]


async def test_pictures_travel_inside(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """Picture and mask go as base64 under names of their own, which the graph loads."""
    start = picture(workspace / "refs" / "start.png")
    mask = picture(workspace / "refs" / "mask.png", colour="white")
    made = await one(studio, edited("runpod", start, mask))
    assert made.state == "succeeded"
    body = jobs(sandbox)[0].body
    sent = {row["name"]: base64.b64decode(row["image"]) for row in body["images"]}
    assert sent[body["workflow"]["image"]["inputs"]["image"]] == start.read_bytes()
    assert sent[body["workflow"]["mask"]["inputs"]["image"]] == mask.read_bytes()


SYNC = {"sync": True}


async def test_what_a_synchronous_reply_holds_is_taken(studio: Studio, sandbox: Sandbox) -> None:
    """The result came with the very reply: nothing more is asked. The id is kept all the same."""
    made = await one(studio, wanted("runpod", options=SYNC))
    assert (made.state, made.paid, sandbox.stats()["submissions"]) == ("succeeded", "yes", 1)
    paths = [path for _, path in sandbox.stats()["requests"]]
    assert [path.rpartition("/")[2] for path in paths] == ["runsync"]
    receipt = studio.generations([made.id])[0].handle
    assert receipt is not None
    assert receipt["id"] == jobs(sandbox)[0].id
    harm(made.outputs[0])
    assert (await one(studio, wanted("runpod", options=SYNC))).state == "succeeded"
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize("more", [{}, {"SYNC_TIMEOUT": "1"}, {"SYNC_TIMEOUT": "700"}], ids=str)
async def test_a_synchronous_call_has_its_receipt_at_once(
    more: dict[str, str], workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """`/runsync` is not waited for: its id is on disk long before the job ends, whatever SYNC_TIMEOUT says; then the
    result is asked for, and kept half an hour."""
    sandbox.change(latency_s=600)
    async with graph_studio(workspace, fal, **more) as studio:
        batch = await studio.begin(call(wanted("runpod", options=SYNC)))
        await until(lambda: studio.generations(batch.ids)[0].handle is not None)
        assert jobs(sandbox)[0].ended_at is None
        assert sandbox.line.finish() == 1
        made = (await studio.wait(batch)).generations[0]
    assert (made.state, posts(sandbox, lambda path: path.endswith("/runsync"))) == ("succeeded", 1)
    assert (jobs(sandbox)[0].kept_s, sandbox.stats()["submissions"]) == (1800, 1)


async def test_a_synchronous_result_is_looked_for_while_it_is_kept(
    studio: Studio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be kept for one minute only: what usually takes an hour is looked at within half of one all the same."""
    gaps: list[float] = []

    class Noted(Schedule):
        def wait_s(self, elapsed_s: float) -> float:
            gaps.append(min(self._gap_s(elapsed_s), self._most_s))
            sandbox.line.finish()
            return 0.02

    monkeypatch.setattr("hoasi.following.Schedule", Noted)
    monkeypatch.setattr("hoasi.ledger.Ledger.durations", lambda *_: [3600.0] * 9)
    sandbox.change(latency_s=600)
    assert (await one(studio, wanted("runpod", options=SYNC))).state == "succeeded"
    assert gaps[0] == 30
    gaps.clear()
    assert (await one(studio, wanted("runpod"))).state == "succeeded"
    assert gaps[0] > 300


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_what_is_too_large_for_one_door_takes_the_other(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Above 10 MB `/run` would refuse: `/runsync` takes 20; above that nothing is sent."""
    street = Street(frozenset({origin_of(fal)}))
    wire = Wire(street, {"": fal}, Runpod().auth("rpa_x"), told=PLACES)
    card = load("runpod").card("runpod/flux-dev/image-to-image")
    plan = planned(card, references=1)
    try:
        receipt = (await Runpod().submit(wire, Order(plan, (_heavy(plan.inputs[0], 8_000_000),), "img-1"))).receipt
        assert receipt["is_sync"] is True
        plan = planned(card, references=1, options=SYNC)
        with pytest.raises(ProviderRefused) as refused:
            await Runpod().submit(wire, Order(plan, (_heavy(plan.inputs[0], 16_000_000),), "img-2"))
    finally:
        await street.close()
    assert (refused.value.key, refused.value.paid, sandbox.stats()["submissions"]) == ("runpod_too_large", "no", 1)


def _heavy(item: Input, size: int) -> Sent:
    return Sent(item, data=bytes(size))


def test_the_same_order_has_the_same_body() -> None:
    """What is sent again is byte for byte what was sent."""
    first, again = (json.dumps(body(Order(planned(CARD), id="img-1"), {})) for _ in range(2))
    assert first == again


# ---------------------------------------------------------------------- every shape of result


@pytest.mark.parametrize("form", get_args(Form))
@pytest.mark.parametrize("place", get_args(Place))
async def test_pictures_are_found_in_every_shape(
    place: Any, form: Any, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Wherever pictures stand in a result, and as what: objects, base64, data URIs, addresses, buckets."""
    sandbox.change(runpod_reply_format=place, runpod_picture_form=form)
    async with graph_studio(workspace, fal) as studio:
        made = await one(studio, wanted("runpod"))
    assert made.state == "succeeded", made.error
    with Image.open(made.outputs[0]) as image:
        assert image.format == "PNG"


async def test_several_pictures_of_one_job(studio: Studio, sandbox: Sandbox) -> None:
    """Two pictures are one job; both are kept."""
    made = await one(studio, wanted("runpod", num_images=2))
    assert (made.state, len(made.outputs), sandbox.stats()["submissions"]) == ("succeeded", 2, 1)


@pytest.mark.parametrize(
    ("output", "count"),
    [
        ({"images": [PNG, f"data:image/png;base64,{PNG}"]}, 2),
        ({"images": [{"image": PNG}], "errors": ["one was lost"]}, 1),
        ({"images": [PNG], "image_url": "https://x.example/1.png"}, 1),
        ({"images": [], "image_url": "https://x.example/1.png"}, 1),
        ({"message": "done", "data": {"result": [PNG]}}, 1),
        ({"job_results": {"output": {"images": [PNG]}}}, 1),
        ([{"image": "http://x.example/1.png", "seed": 3}, {"image": PNG}], 2),
        ({"files": ["/tmp/picture.png", PNG], "datas": {}}, 1),
        ("\n".join(PNG[k : k + 20] for k in range(0, len(PNG), 20)), 1),
        ({"images": ["bm90IGEgcGljdHVyZSE="]}, 0),
        ({"images": ["iVBORw0KGgo"]}, 0),
        ({"images": [None, 3, True, {}]}, 0),
        ({"other": PNG}, 0),
        ("Workflow execution error", 0),
        (7, 0),
    ],
    ids=lambda v: ascii(v)[:40],
)
def test_a_text_is_a_picture_or_it_is_not(output: object, count: int) -> None:
    """It is decided by the text itself; the same picture is not taken twice."""
    assert len(media.made(output)) == count


# ---------------------------------------------------------------------- every end


@pytest.mark.parametrize(
    ("fate", "state", "key", "paid"),
    [
        (fault("status", "completed_error", value="Job processing failed"), "failed", "runpod_failed", "yes"),
        (fault("status", "completed_error", value="CUDA out of memory"), "failed", "comfy_memory", "yes"),
        (fault("status", "error_inside"), "failed", "runpod_failed", "yes"),
        (fault("status", "no_output"), "expired", "runpod_no_output", "yes"),
        (fault("status", "timed_out"), "failed", "runpod_timed_out", "yes"),
        (fault("status", "interrupted"), "cancelled", "runpod_stopped", "yes"),
        (fault("status", "vanished"), "expired", "runpod_gone", "unknown"),
    ],
    ids=lambda v: f"{v.kind}-{v.value}" if isinstance(v, Fault) else "",
)
async def test_each_end_is_called_by_its_name(
    fate: Fault, state: str, key: str, paid: str, studio: Studio, sandbox: Sandbox
) -> None:
    """What a worker has worked on is paid, however it ended; it is never bought again by itself."""
    sandbox.faults.add(fate)
    made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.state, made.error.key, made.paid) == (state, key, paid)
    again = await one(studio, wanted("runpod"))
    assert (again.state, sandbox.stats()["submissions"]) == (state, 1)
    assert (await one(studio, wanted("runpod"), overwrite=True)).state == "succeeded"


async def test_a_result_too_large_is_paid_and_lost(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """COMPLETED without an output: both are said, and what it came to."""
    sandbox.change(runpod_result_limit_bytes=10, latency_s=0.2)
    async with graph_studio(workspace, fal, HOASI_RUNPOD_USD_PER_SECOND="1") as studio:
        made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.state, made.paid, made.error.key) == ("expired", "yes", "runpod_no_output")
    assert made.cost_usd is not None
    assert made.cost_usd > 0


async def test_a_node_that_is_missing_names_its_pack(studio: Studio, sandbox: Sandbox) -> None:
    """A stock worker lacks Easy-Use: the node and the pack to build in are named."""
    sandbox.change(comfyui_lacks=("easy loraStack", "easy loraStackApply"), comfyui_loras=("an.safetensors",))
    made = await one(studio, wanted("runpod", loras=(Lora(name="an"),), options={"lora_shape": "stack"}))
    assert made.error is not None
    assert (made.state, made.error.key) == ("failed", "comfy_nodes_missing")
    assert "easy loraStack" in made.error.message
    assert "ComfyUI-Easy-Use" in made.error.fix
    assert (await one(studio, wanted("runpod", loras=(Lora(name="an"),)))).state == "succeeded"


async def test_the_workers_own_verdict_is_told(studio: Studio) -> None:
    """A LoRA that the worker does not have is named."""
    made = await one(studio, wanted("runpod", loras=(Lora(name="nobody"),)))
    assert made.error is not None
    assert made.error.key == "comfy_refused"
    assert "nobody.safetensors" in made.error.message


def envelope(status: str, **more: object) -> dict[str, Any]:
    return {"id": "j", "status": status, "executionTime": 2500, "delayTime": 10, **more}


@pytest.mark.parametrize(
    ("fields", "kind", "key", "paid"),
    [
        (envelope("FAILED", error='{"error_message": "boom"}'), ProviderRefused, "runpod_failed", "yes"),
        (envelope("FAILED", error={"message": "boom"}), ProviderRefused, "runpod_failed", "yes"),
        (envelope("FAILED", error=["boom"]), ProviderRefused, "runpod_failed", "yes"),
        (envelope("FAILED", error="boom", executionTime=None), ProviderRefused, "runpod_failed", "unknown"),
        (envelope("CANCELLED", executionTime=None, delayTime=None), Cancelled, "runpod_stopped", "no"),
        (envelope("CANCELLED"), Cancelled, "runpod_stopped", "yes"),
        (envelope("CANCELLED", executionTime=None), Cancelled, "runpod_stopped", "unknown"),
        (envelope("CANCELLED", executionTime=0, delayTime=0, workerId="w"), Cancelled, "runpod_stopped", "unknown"),
        (envelope("TIMED_OUT"), ProviderRefused, "runpod_timed_out", "yes"),
        (envelope("COMPLETED"), ResultExpired, "runpod_no_output", "yes"),
        (envelope("COMPLETED", output={}), ResultExpired, "runpod_no_output", "yes"),
        (envelope("COMPLETED", output={"status": "x", "images": []}), ProviderRefused, "runpod_no_picture", "yes"),
        (envelope("COMPLETED", output={"message": "boom"}), ProviderRefused, "runpod_no_picture", "yes"),
        (envelope("COMPLETED", output={"images": ["bm90IGE="]}), ProviderRefused, "runpod_no_picture", "yes"),
        (envelope("COMPLETED", output={"error": "boom"}), ProviderRefused, "runpod_failed", "yes"),
    ],
    ids=lambda v: ascii(v)[:50],
)  # fmt: skip
def test_envelopes_are_told_apart(fields: dict[str, Any], kind: type[HoasiError], key: str, paid: str) -> None:
    """Whatever a worker wrote; the seconds of work come along, and the dollars where a second has a price."""
    with pytest.raises(kind) as ended:
        replies.done(fields, 0.01)
    assert (ended.value.key, ended.value.paid) == (key, paid)
    if fields.get("error"):
        assert "boom" in ended.value.detail
    if fields["executionTime"]:
        assert ended.value.facts["cost_usd"] == 0.025


@pytest.mark.parametrize("error", ["ComfyUI server (127.0.0.1:8188) not reachable", "WebSocket communication error: x"])
async def test_a_failure_is_final(error: str, studio: Studio, sandbox: Sandbox) -> None:
    """A worker that was ill is said to be; nobody reads the same end again and again, nor buys it by itself."""
    sandbox.faults.add(fault("status", "completed_error", value=error))
    made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.state, made.error.key, made.error.retry) == ("failed", "runpod_worker_ill", "no")
    asked = len(sandbox.stats()["requests"])
    assert (await one(studio, wanted("runpod"))).state == "failed"
    await studio.resume()
    assert (len(sandbox.stats()["requests"]), sandbox.stats()["submissions"]) == (asked, 1)


async def test_a_paid_failure_told_again_costs_nothing_more(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Its cost is that of the call that made it; what was mended at the worker is bought again on the caller's word."""
    request = wanted("runpod", loras=(Lora(name="an"),))
    async with graph_studio(workspace, fal, HOASI_RUNPOD_USD_PER_SECOND="0.5") as studio:
        first, again = [await studio.generate(call(request)) for _ in range(2)]
        sandbox.change(comfyui_loras=("an.safetensors",))
        bought = await studio.generate(call(request, overwrite=True))
    assert first.cost_usd is not None
    assert (first.cost_usd > 0, again.cost_usd, sandbox.stats()["submissions"]) == (True, 0.0, 2)
    assert first.generations[0].error is not None
    assert (first.generations[0].error.key, again.generations[0].error) == ("comfy_refused", first.generations[0].error)
    assert [reply.next for reply in (first, again)] == [say("next.mend_paid")] * 2
    assert bought.generations[0].state == "succeeded"


@pytest.mark.parametrize("status", ["IN_QUEUE", "IN_PROGRESS", "RUNNING", "SOMETHING_NEW", None])
def test_an_output_before_the_end_is_progress(status: str | None) -> None:
    """A worker may tell how far it is: no picture is taken from that."""
    fields = {"status": status, "output": {"images": [PNG]}}
    assert isinstance(replies.status(fields), Pending)
    with pytest.raises(TryAgain):
        replies.done(fields, 0)


def test_the_workers_own_price_counts() -> None:
    """Where a result names its cost, that is the cost."""
    done = replies.done(envelope("COMPLETED", output={"image_url": "https://x.example/1.png", "cost": 0.02}), 9.0)
    assert (done.facts["cost_usd"], done.outputs[0].url) == (0.02, "https://x.example/1.png")


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"])
def test_these_are_ends(status: str) -> None:
    """Nothing more is asked then."""
    assert replies.status({"status": status}) == Ready()


# ---------------------------------------------------------------------- lost, refused, later


@pytest.mark.parametrize("kind", ["lost_reply", "truncated", "garbage", "empty", "wrong_type", "reset", "5xx"])
async def test_a_lost_reply_is_never_sent_again(kind: str, studio: Studio, sandbox: Sandbox) -> None:
    """RunPod cannot be asked for it: the payment is not known, and stays so."""
    sandbox.faults.add(fault("submit", kind))
    for _ in range(2):
        made = await one(studio, wanted("runpod"))
        assert (made.state, made.paid) == ("unknown", "unknown")
    assert sandbox.stats()["posts_received"] == 1


@pytest.mark.parametrize("written", ["{id}", "wizard1/{id}"])
async def test_what_was_found_by_hand_is_attached(written: str, studio: Studio, sandbox: Sandbox) -> None:
    """A job's id from RunPod's console settles it, without paying again."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    made = await one(studio, wanted("runpod"))
    reply = await studio.resolve(made.id, "attach", written.format(id=jobs(sandbox)[0].id))
    assert (reply.generations[0].state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_a_wrong_id_leaves_it_unknown(studio: Studio, sandbox: Sandbox) -> None:
    """An id that RunPod does not know proves nothing."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    made = await one(studio, wanted("runpod"))
    reply = await studio.resolve(made.id, "attach", "no-such-job")
    assert reply.generations[0].state == "unknown"


async def test_a_rate_limit_is_waited_out(studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """429 proves that nothing was taken: it is sent again."""
    sandbox.faults.add(fault("submit", "429"))
    made = await one(studio, wanted("runpod"))
    assert (made.state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_an_endpoint_that_is_not_there_is_named(workspace: Path, fal: str) -> None:
    """404: which id, which variables; nothing was paid."""
    async with graph_studio(workspace, fal, RUNPOD_SERVER_100_ID="no-such-endpoint") as studio:
        made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.error.key, made.paid) == ("runpod_endpoint", "no")
    assert "no-such-endpoint" in made.error.message
    assert "RUNPOD_SERVER_100_ID" in made.error.fix


async def test_a_wrong_key_is_named(studio: Studio, sandbox: Sandbox) -> None:
    """401, and nothing was paid."""
    sandbox.change(reject_key=True)
    made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.error.key, made.paid) == ("key_rejected", "no")


async def test_a_result_is_fetched_after_a_restart(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """The receipt is on disk: within its half hour the next process fetches it, free."""
    sandbox.change(latency_s=600)
    async with graph_studio(workspace, fal) as first:
        batch = await first.begin(call(wanted("runpod")))
        await until(lambda: first.generations(batch.ids)[0].state is State.RUNNING)
    assert sandbox.line.finish() == 1
    assert jobs(sandbox)[0].status == "COMPLETED"
    async with graph_studio(workspace, fal, RUNPOD_SERVER_100_ID="another1") as second:
        reply = await second.resume()
    assert (reply.generations[0].state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_after_half_an_hour_it_is_gone_and_said_so(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """The job is no longer known: nobody can say what it was, and it is not bought again."""
    sandbox.change(latency_s=600, forget_after_s=0)
    async with graph_studio(workspace, fal) as first:
        batch = await first.begin(call(wanted("runpod")))
        await until(lambda: first.generations(batch.ids)[0].state is State.RUNNING)
    assert sandbox.line.finish() == 1
    async with graph_studio(workspace, fal) as second:
        reply = await second.resume()
    made = reply.generations[0]
    assert made.error is not None
    assert (made.state, made.error.key, made.paid) == ("expired", "runpod_gone", "unknown")


async def test_one_404_is_no_loss(studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """A gateway that errs once or twice does not take a paid picture away."""
    sandbox.faults.add(fault("status", "gone", times=2))
    made = await one(studio, wanted("runpod"))
    assert (made.state, sandbox.stats()["submissions"]) == ("succeeded", 1)


async def test_a_free_question_is_patient(studio: Studio, sandbox: Sandbox, quick: object) -> None:
    """Status calls that break, are refused or are nonsense are asked again."""
    for kind in ("5xx", "garbage", "429", "reset", "wrong_type"):
        sandbox.faults.add(fault("status", kind))
    assert (await one(studio, wanted("runpod"))).state == "succeeded"


# ---------------------------------------------------------------------- taken back


async def test_at_the_cap_the_job_is_taken_back(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """MAX_POLLING_DURATION is over: RunPod is told to stop, so that nothing runs on unseen."""
    sandbox.change(latency_s=60)
    async with graph_studio(workspace, fal, MAX_POLLING_DURATION="1") as studio:
        made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.state, made.error.key, jobs(sandbox)[0].status) == ("cancelled", "runpod_stopped", "CANCELLED")
    assert "MAX_POLLING_DURATION" in made.error.fix


async def test_a_stop_that_nobody_confirms_is_not_free(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RunPod does not say that it stopped, and the limit runs out once more: it may have been billed."""

    async def unconfirmed(*_: object) -> bool:
        return False

    monkeypatch.setattr(Runpod, "cancel", unconfirmed)
    sandbox.change(latency_s=60)
    async with graph_studio(workspace, fal, MAX_POLLING_DURATION="1") as studio:
        made = await one(studio, wanted("runpod"))
        again = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.state, made.paid, made.error.key) == ("cancelled", "unknown", "cancelled_at_work")
    assert again.id == made.id
    assert len(jobs(sandbox)) == 1


async def test_the_user_takes_it_back(studio: Studio, sandbox: Sandbox) -> None:
    """A job that waits for its worker costs nothing when it is cancelled."""
    sandbox.change(runpod_cold_start_s=30)
    batch = await studio.begin(call(wanted("runpod")))
    await until(lambda: studio.generations(batch.ids)[0].state is State.RUNNING)
    made = (await studio.cancel(batch.ids)).generations[0]
    assert (made.state, made.paid, jobs(sandbox)[0].status) == ("cancelled", "no", "CANCELLED")


async def test_how_a_stopped_job_ended_is_asked_at_once(
    studio: Studio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the next pause would be: what it came to is known as soon as it was stopped."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 3600.0)
    sandbox.change(latency_s=600)
    batch = await studio.begin(call(wanted("runpod")))
    await until(lambda: bool(jobs(sandbox)) and jobs(sandbox)[0].status == "IN_PROGRESS")
    made = (await studio.cancel(batch.ids)).generations[0]
    assert made.error is not None
    assert (made.state, made.paid, made.error.key) == ("cancelled", "yes", "runpod_stopped")


async def test_that_it_had_waited_in_line_is_no_proof_that_it_cost_nothing(
    studio: Studio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, but RunPod goes on telling an old status: nobody said that no worker had taken it; not bought again."""

    async def stale(*_: object) -> Pending:
        return Pending("queued")

    monkeypatch.setattr(Runpod, "poll", stale)
    monkeypatch.setattr("hoasi.following.CANCEL_GRACE_S", 0.2)
    sandbox.change(latency_s=60)
    batch = await studio.begin(call(wanted("runpod")))
    await until(lambda: bool(jobs(sandbox)) and jobs(sandbox)[0].status == "IN_PROGRESS")
    made = (await studio.cancel(batch.ids)).generations[0]
    assert made.error is not None
    assert (made.state, made.paid, made.error.key) == ("cancelled", "unknown", "cancelled_at_work")
    monkeypatch.undo()
    again = await one(studio, wanted("runpod"))
    assert again.error is not None
    assert (again.id, again.error.paid, again.error.key, len(jobs(sandbox))) == (made.id, "yes", "runpod_stopped", 1)


async def test_before_it_is_taken_back_it_is_looked_at_once_more(
    workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit comes before the next look, even before the first: what is there by then is brought home."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 60.0)
    sandbox.change(latency_s=0.3)
    async with graph_studio(workspace, fal, MAX_POLLING_DURATION="1") as studio:
        made = await one(studio, wanted("runpod"))
    assert (made.state, made.paid, sandbox.stats()["cancels"]) == ("succeeded", "yes", 0)


async def test_a_cold_worker_is_waited_for(studio: Studio, sandbox: Sandbox) -> None:
    """A worker that has to wake is no failure."""
    sandbox.change(runpod_cold_start_s=0.5)
    assert (await one(studio, wanted("runpod"))).state == "succeeded"


async def test_a_job_that_ended_is_not_taken_back(fal: str, sandbox: Sandbox) -> None:
    """Cancelling says False then, and False for one that nobody knows."""
    street = Street(frozenset({origin_of(fal)}))
    wire = Wire(street, {"": fal}, Runpod().auth("rpa_x"), told=PLACES)
    try:
        receipt = (await Runpod().submit(wire, Order(planned(CARD), id="img-1"))).receipt
        await until(lambda: jobs(sandbox)[0].status == "COMPLETED")
        assert await Runpod().cancel(wire, receipt) is False
        assert await Runpod().cancel(wire, {**receipt, "id": "nobody"}) is False
    finally:
        await street.close()


async def test_health_tells_whether_key_and_endpoint_are_right(fal: str, sandbox: Sandbox) -> None:
    """A free question: numbers, or which of the two is wrong."""
    sandbox.change(runpod_cold_start_s=30)
    street = Street(frozenset({origin_of(fal)}))
    told = {**PLACES, "RUNPOD_SERVER_POSTER_ID": "no-such-endpoint"}
    wire = Wire(street, {"": fal}, Runpod().auth("rpa_x"), told=told)
    try:
        assert await Runpod().health(wire, "wizard1") == (0, 0, 0, 0, 0)
        await Runpod().submit(wire, Order(planned(CARD), id="img-1"))
        assert await Runpod().health(wire, "wizard1") == (0, 0, 1, 0, 1)
        with pytest.raises(ProviderRefused) as refused:
            await Runpod().health(wire, "no-such-endpoint")
        assert (refused.value.key, refused.value.facts["names"]) == ("runpod_endpoint", "RUNPOD_SERVER_POSTER_ID")
        sandbox.change(reject_key=True)
        with pytest.raises(KeyRejected):
            await Runpod().health(wire, "wizard1")
    finally:
        await street.close()


async def test_the_key_stays_in_headers(workspace: Path, studio: Studio, sandbox: Sandbox) -> None:
    """It is written nowhere, and never goes along to where pictures are downloaded."""
    sandbox.change(runpod_reply_format="images", runpod_picture_form="url")
    assert (await one(studio, wanted("runpod"))).state == "succeeded"
    assert sandbox.stats()["leaks"] == 0
    assert not [path for path in files(workspace) if GRAPH_KEY.encode() in content(path)]


@pytest.mark.parametrize(
    ("status", "body", "key"),
    [
        (400, b'{"error": "payload exceeds"}', "refused"),
        (400, b"<html>", "refused"),
        (401, b"{}", "key_rejected"),
        (404, b'{"error": "endpoint not found"}', "runpod_endpoint"),
        (429, b"slow down", "rate_limited"),
        (500, b"oops", "reply_unclear"),
        (502, b"", "reply_unclear"),
    ],
)
def test_refusals_are_sorted(status: int, body: bytes, key: str) -> None:
    """Bodies may be anything; the status decides."""
    assert replies.refused(Reply(status, {}, body), "e", ("X",)).key == key
