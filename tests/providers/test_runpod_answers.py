"""RunPod: what fits into its answers, where its workers put pictures, and how these workers are."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from contract import SITE, planned
from hoasi import Studio
from hoasi.catalogue import load
from hoasi.cli import checkup_makers
from hoasi.comfy import template as templates
from hoasi.comfy.orders import rehearsed
from hoasi.errors import NotSupported, WrongInput
from hoasi.planning import plan_request
from hoasi.providers._outcomes import Order
from hoasi.providers.runpod_jobs import body, must_come_back
from hoasi.providers.runpod_workers import workers
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.settings import read

from .graphs import call, edited, graph_studio, one, picture, wanted

pytestmark = pytest.mark.anyio
CARD = load("runpod").cards[0]


@pytest.fixture
async def studio(workspace: Path, fal: str) -> AsyncIterator[Studio]:
    """A studio whose RunPod is the sandbox."""
    async with graph_studio(workspace, fal) as opened:
        yield opened


# ---------------------------------------------------------------------- what fits into an answer


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({"num_images": 4}, [4]),
        ({"num_images": 4, "aspect_ratio": "16:9"}, [4]),
        ({"num_images": 4, "aspect_ratio": None}, [4]),
        ({"num_images": 4, "options": {"width": 2048, "height": 2048}}, [1, 1, 1, 1]),
        ({"num_images": 5, "options": {"width": 1536, "height": 1536}}, [2, 2, 1]),
        ({"num_images": 6, "options": {"width": 512, "height": 512}}, [4, 2]),
    ],
    ids=str,
)
async def test_more_than_comes_back_at_once_becomes_several_jobs(
    more: dict[str, Any], counts: list[int], studio: Studio
) -> None:
    """A job has as many pictures as surely fit into one answer, and never more than four."""
    plan = await studio.plan(call(wanted("runpod", **more)))
    assert [len(item.stems) for item in plan.items] == counts
    assert [item.parameters["num_images"] for item in plan.items] == counts


async def test_pictures_of_a_pictures_size_are_divided_too(workspace: Path, studio: Studio) -> None:
    """What starts from a picture has its size; one that is not made yet may be as large as any."""
    small = picture(workspace / "refs" / "small.png", (640, 400))
    large = picture(workspace / "refs" / "large.png", (1920, 1080))
    for start, counts in ((small, [4]), (large, [2, 2])):
        plan = await studio.plan(call(edited("runpod", start, num_images=4)))
        assert [len(item.stems) for item in plan.items] == counts
    given = plan.items[0].inputs[0]
    later = given.model_copy(update={"promise": "p", "width": 0, "height": 0})
    request = edited("runpod", small, num_images=2)
    assert len(plan_request(request, load("runpod"), [later], SITE, "a kite")) == 2


@pytest.mark.parametrize("results", [None, "bucket"])
async def test_what_may_not_come_back_is_not_bought(
    results: str | None, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """One picture that may be too large for an answer is refused before money, unless workers have a bucket."""
    sandbox.change(runpod_picture_form="s3")
    huge = wanted("runpod", options={"width": 2560, "height": 2048})
    async with graph_studio(workspace, fal, **({"HOASI_RUNPOD_RESULTS": results} if results else {})) as studio:
        if results:
            assert (await one(studio, huge)).state == "succeeded"
            return
        with pytest.raises(NotSupported) as refused:
            await one(studio, huge)
    assert (refused.value.key, refused.value.paid) == ("runpod_result_too_large", "no")
    assert refused.value.facts | {"size": "5.2", "limit": "4.9", "name": "HOASI_RUNPOD_RESULTS"} == refused.value.facts
    assert sandbox.stats()["submissions"] == 0


async def test_a_setting_that_is_no_way_of_results_is_named(workspace: Path, fal: str) -> None:
    """Before money, with what it may be."""
    async with graph_studio(workspace, fal, HOASI_RUNPOD_RESULTS="s3") as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.plan(call(wanted("runpod")))
    assert (refused.value.key, refused.value.facts["name"]) == ("setting_bad", "HOASI_RUNPOD_RESULTS")


def test_what_an_own_template_makes_counts(tmp_path: Path) -> None:
    """A template that draws large of itself is seen, too; so is an input whose size is known only when it is sent."""
    house = Path(templates.__file__).parent / "templates"
    graph = json.loads((house / "normal_image_v4_workflow.json").read_text())
    graph["latent"]["inputs"] |= {"width": 4096, "height": 2048}
    (tmp_path / "big.json").write_text(json.dumps(graph))
    (tmp_path / "big.toml").write_text((house / "normal_image_v4_workflow.toml").read_text())
    told = {"HOASI_WORKFLOWS": str(tmp_path)}
    plan = rehearsed(planned(CARD, options={"template": "big"}), told, fetches_loras=True)
    with pytest.raises(NotSupported):
        must_come_back(plan, told)
    must_come_back(planned(CARD), {})
    start = planned(load("runpod").card("runpod/flux-dev/image-to-image"), references=1)
    wide = start.inputs[0].model_copy(update={"width": 4000, "height": 3000})
    four = {"inputs": (wide,), "parameters": {**start.parameters, "num_images": 4}}
    with pytest.raises(NotSupported) as refused:
        body(Order(start.model_copy(update=four)), {})
    assert refused.value.facts["size"] == "8.4"


def test_the_worst_picture_fits() -> None:
    """Noise of as many pixels as are let through, four pictures with a large graph in each, as a worker answers."""
    side = int((load("runpod").cards[0].max_pixels_together / 4) ** 0.5)
    image = Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3))
    info = PngInfo()
    info.add_text("prompt", "x" * 50_000)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    row = {"filename": "ComfyUI_00001_.png", "type": "base64", "data": base64.b64encode(file.getvalue()).decode()}
    answer = json.dumps({"id": "j", "status": "COMPLETED", "output": {"images": [row] * 4}})
    assert 19_000_000 < len(answer) <= 20_000_000


# ---------------------------------------------------------------------- a bucket of one's own


def test_hosts_of_results_stand_between_commas(workspace: Path) -> None:
    """As many as there are, with their ports."""
    told = {"HOASI_RESULT_HOSTS": " http://10.0.0.1:9000/ ,https://minio.lan"}
    assert read(workspace, environ=told).result_hosts == ("http://10.0.0.1:9000", "https://minio.lan")


@pytest.mark.parametrize(
    "name", ["https://user@minio.lan", "minio.lan:9000", "ftp://minio.lan", "https://minio.lan/x", "http://a:99999"]
)
async def test_a_host_of_results_that_is_none_is_named(name: str, workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Before anything is sent."""
    async with graph_studio(workspace, fal, HOASI_RESULT_HOSTS=f"https://minio.lan:9000, {name}") as studio:
        with pytest.raises(WrongInput) as refused:
            await one(studio, wanted("runpod"))
    assert (refused.value.key, refused.value.facts["name"]) == ("setting_bad", "HOASI_RESULT_HOSTS")
    assert sandbox.stats()["requests"] == []


def test_hosts_of_results_come_from_the_process_alone(workspace: Path) -> None:
    """A file in a workspace that somebody else wrote must not open the way into one's own network."""
    (workspace / ".env").write_text("HOASI_RESULT_HOSTS=http://10.0.0.1\n")
    assert read(workspace, environ={}).result_hosts == ()


async def test_a_bucket_next_door_is_fetched_from_once_it_is_named(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """An address that is not public https is not asked, and the host is named; with the setting the same paid job is
    brought home. No key goes there."""
    bucket = fal.replace("127.0.0.1", "localhost")
    sandbox.change(runpod_picture_form="s3", runpod_bucket_url=bucket)
    async with graph_studio(workspace, fal) as studio:
        made = await one(studio, wanted("runpod"))
    assert made.error is not None
    assert (made.state, made.paid, made.error.key) == ("failed", "yes", "download_unsafe")
    assert bucket in made.error.fix
    assert "HOASI_RESULT_HOSTS" in made.error.fix
    async with graph_studio(workspace, fal, HOASI_RESULT_HOSTS=bucket) as studio:
        made = await one(studio, wanted("runpod"))
    assert (made.state, sandbox.stats()["submissions"], sandbox.stats()["leaks"]) == ("succeeded", 1, 0)


# ---------------------------------------------------------------------- how the workers are


@pytest.mark.parametrize(
    ("health", "can_work"),
    [
        ({"jobs": {"inQueue": 0}, "workers": {"idle": 0, "running": 0}}, True),
        ({"jobs": {"inQueue": 2}, "workers": {"idle": 0, "running": 1}}, True),
        ({"jobs": {"inQueue": 2}, "workers": {"initializing": 1, "unhealthy": 1}}, True),
        ({"jobs": {"inQueue": 2}, "workers": {}}, False),
        ({"jobs": {}, "workers": {"throttled": 3}}, False),
        ({"jobs": None, "workers": {"unhealthy": 1, "idle": None}}, False),
        ({}, True),
    ],
    ids=str,
)
def test_sleeping_workers_are_well(health: dict[str, Any], can_work: bool) -> None:
    """Nobody awake is fine as long as nobody is needed, or ill."""
    assert workers(health).can_work is can_work


def test_doctor_tells_how_the_workers_are(workspace: Path, sandbox: Sandbox) -> None:
    """Where key and endpoint are set: one line an endpoint, and what is wrong with one; else RunPod is not asked."""
    with serving_in_thread(sandbox) as url:
        environ = {"HOASI_SANDBOX": url, "RUNPOD_SERVER_100_ID": "wizard1", "RUNPOD_SERVER_150_ID": "fifty1"}
        assert _doctor(workspace, environ) == [("ok", "wizard1"), ("ok", "fifty1")]
        health = {"jobs": {"inQueue": 2}, "workers": {"throttled": 1}}
        sandbox.runpod.health = lambda _: health  # type: ignore[method-assign, assignment, return-value]
        assert _doctor(workspace, environ)[0] == ("warn", "wizard1")
        assert _doctor(workspace, {**environ, "RUNPOD_SERVER_100_ID": "no-such-endpoint"})[-1][0] == "warn"
        assert _doctor(workspace, {"HOASI_SANDBOX": url}) == []
        assert _doctor(workspace, {"RUNPOD_SERVER_100_ID": "wizard1"}) == []


def _doctor(workspace: Path, environ: dict[str, str]) -> list[tuple[str, str]]:
    """State and endpoint of each line about workers."""
    checks = asyncio.run(checkup_makers.workers(read(workspace, environ=environ)))
    found = [(check.state, re.search(r"endpoint (\S+)", check.text)) for check in checks]
    return [(state, match[1].rstrip(".")) for state, match in found if match]
