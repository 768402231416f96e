"""What is asked for in a job has the shape of the job's plan, unless the call says another; nothing is bought anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from calls import OpenStudio, fault, one, told
from hoasi import Ask, choosing
from hoasi.planning import Site
from hoasi.records import Request
from hoasi.sandbox import Sandbox
from hoasi.workflows import GenerateVideo

pytestmark = pytest.mark.anyio
CAT = Path(__file__).parents[1] / "rooms" / "pictures" / "cat.jpg"
SITE = Site(job_id="job-1", output_dir="jobs/job-1/pictures")
PLAN = "jobs/job-1/source/creative_plan.toml"


class Plan:
    """The plan of the job, which says 9:16."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, path.read_text("utf-8")

    def says(self, text: str) -> None:
        """It is written anew."""
        self.path.write_text(text, "utf-8")

    def goes(self) -> None:
        """There is none."""
        self.path.unlink()


@pytest.fixture
def plan(workspace: Path) -> Plan:
    """The plan of the job."""
    return Plan(workspace / PLAN)


@pytest.fixture
def cat(workspace: Path) -> str:
    """A picture without a person."""
    shutil.copy(CAT, workspace / "cat.jpg")
    return "cat.jpg"


def sent(sandbox: Sandbox) -> list[Any]:
    """The shapes that the provider was told, in their order."""
    return [json.loads(body).get("aspect_ratio") for _, body in sandbox.counters.inputs]


async def test_a_picture_of_a_job_has_the_shape_of_its_plan(
    open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """The reply and the log say whose shape it is; the very same shape said aloud is the same purchase."""
    async with open_studio() as studio:
        reply = await studio.generate(one())
        assert any("9:16" in note and PLAN in note for note in reply.warnings)
        assert (await studio.generate(one(aspect_ratio="9:16"))).generations[0].state == "skipped_existing"
    (row,) = told(workspace)
    assert (row["aspect_ratio"], row["aspect_ratio_from"]) == ("9:16", PLAN)
    assert sent(sandbox) == ["9:16"]


async def test_what_the_call_says_wins(open_studio: OpenStudio, sandbox: Sandbox, workspace: Path) -> None:
    """Another shape is made, and the log names no file for it; without a job nothing is told."""
    async with open_studio() as studio:
        await studio.generate(one(aspect_ratio="1:1"))
        await studio.generate(Ask(prompt="a quiet balcony at dawn"))
    (row,) = told(workspace)
    assert (row["aspect_ratio"], "aspect_ratio_from" in row) == ("1:1", False)
    assert sent(sandbox) == ["1:1", None]


async def test_what_was_bought_without_a_shape_is_not_bought_again(
    open_studio: OpenStudio, sandbox: Sandbox, plan: Plan
) -> None:
    """A plan that came later, or a job from before shapes were looked for: the old picture is there, unpaid;
    `overwrite` buys it in the job's shape, and from then on that one is it."""
    plan.goes()
    async with open_studio() as studio:
        old = (await studio.generate(one())).generations[0]
        plan.says(plan.text)
        again = (await studio.generate(one())).generations[0]
        assert (again.id, again.state) == (old.id, "skipped_existing")
        new = (await studio.generate(one(overwrite=True))).generations[0]
        last = (await studio.generate(one())).generations[0]
    assert (last.id, last.state) == (new.id, "skipped_existing")
    assert new.id != old.id
    assert sent(sandbox) == [None, "9:16"]


async def test_what_may_have_been_bought_without_a_shape_stays_a_question(
    open_studio: OpenStudio, sandbox: Sandbox, plan: Plan
) -> None:
    """A lost reply from before the plan had a shape is not bought in another shape without a word."""
    plan.goes()
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio() as studio:
        old = (await studio.generate(one())).generations[0]
        plan.says(plan.text)
        again = (await studio.generate(one())).generations[0]
    assert (again.id, again.state) == (old.id, "unknown")
    assert sandbox.stats()["posts_received"] == 1


async def test_what_begins_with_a_picture_follows_it(open_studio: OpenStudio, cat: str) -> None:
    """A clip from words has the job's shape; a clip from a frame, and an edit, have that of their picture."""
    from_words = GenerateVideo(prompt="fog", provider="local").requests()
    edit = Request(operation="edit_image", prompt="brighter", provider="fal", references=(cat,))
    async with open_studio() as studio:
        moving = GenerateVideo(first_frame=cat, provider="local").requests()
        shapes = [(await studio.plan(one(None, requests=asked))).items[0] for asked in (from_words, moving, (edit,))]
    assert [item.request.aspect_ratio for item in shapes] == ["9:16", None, None]


@pytest.mark.parametrize("said", [{"options": {"width": 512}}, {"resolution": "1024x1024"}], ids=str)
async def test_a_size_in_pixels_is_a_shape(open_studio: OpenStudio, said: dict[str, Any]) -> None:
    """Whoever says pixels has said the shape."""
    async with open_studio() as studio:
        asked = one(provider="comfyui", **said) if "options" in said else one(provider="openai", **said)
        (item,) = (await studio.plan(asked)).items
    assert (item.request.aspect_ratio, item.request.prefers) == (None, {})


async def test_a_shape_that_a_model_has_not_is_no_reason_to_refuse(
    open_studio: OpenStudio, plan: Plan, cat: str
) -> None:
    """The nearest is made, and it is said; a model that is told no shape makes its own, and it is said."""
    plan.says(plan.text.replace("9:16", "10:16"))
    async with open_studio() as studio:
        near = await studio.plan(one())
        none = await studio.plan(one(model="fal-ai/flux/dev/image-to-image", references=(cat,)))
    assert near.items[0].parameters["aspect_ratio"] == "2:3"
    assert any("10:16" in note and "2:3" in note for note in near.warnings)
    assert none.items[0].request.aspect_ratio is None
    assert any("không nhận tỉ lệ" in note for note in none.warnings)


async def test_a_model_that_nobody_has_seen_is_told_only_what_was_asked_for(open_studio: OpenStudio) -> None:
    """Its schema is read when it is sent, and refuses what it does not take: a wish must not lead there."""
    async with open_studio() as studio:
        (item,) = (await studio.plan(one(provider="replicate", model="somebody/something"))).items
    assert "aspect_ratio" not in item.parameters


async def test_a_portrait_of_an_avatar_belongs_to_no_job(open_studio: OpenStudio) -> None:
    """What is made for all jobs has no job's shape."""
    portrait = Request(prompt="a portrait", provider="local", scope="avatar")
    async with open_studio() as studio:
        (item,) = (await studio.plan(one(None, requests=(portrait,)))).items
    assert (item.request.aspect_ratio, item.request.shape_from) == (None, "")


async def test_a_plan_that_cannot_be_read_is_said_and_does_not_stop_a_picture(
    open_studio: OpenStudio, plan: Plan, sandbox: Sandbox
) -> None:
    """Its fault is told where it stands; the picture is made without its shape."""
    plan.says('[metadata]\naspect_ratio = "tall"\n')
    async with open_studio() as studio:
        reply = await studio.generate(one())
    assert reply.generations[0].state == "succeeded"
    assert any("creative_plan.toml" in note and "tall" in note for note in reply.warnings)
    assert sent(sandbox) == [None]


async def test_another_way_that_makes_another_number_of_calls_gives_no_names(open_studio: OpenStudio) -> None:
    """Two calls of one picture are not one call of one: each name would stand at the wrong picture."""
    pair, single = (Request(prompt="a kite", provider="stability", num_images=count) for count in (2, 1))
    async with open_studio() as studio:
        planned = choosing.plan_first([("a kite", pair)], [], SITE, studio.settings)
        assert len(planned) == 2
        assert choosing.also_named(planned, [([("a kite", single)], [])], SITE, studio.settings) == planned
