"""Clips keep the same promises: bought once, never lost, whole or not at all, and each knows what it came from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from calls import OpenStudio, content, fault, harm, person
from hoasi import Ask
from hoasi.answers import Reply
from hoasi.given import Given
from hoasi.records import Request, Scene
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
SWAP, CLIP = "fal-ai/nano-banana-pro/edit", "fal-ai/kling-video/v2.6/pro/image-to-video"
LONGER = "fal-ai/ltx-2.3/extend-video"
SCENE = Scene(id="SC_01")


@pytest.fixture
def sandbox() -> Sandbox:
    """Pictures of a real size: a clip needs a first frame that its model takes."""
    return Sandbox(latency_s=0.05, pictures="storyboard")


@pytest.fixture
def faces(workspace: Path) -> tuple[str, str]:
    """Two pictures of a person."""
    person(workspace / "source.png")
    person(workspace / "face.png", "blue")
    return "source.png", "face.png"


def swap(faces: tuple[str, str], **more: Any) -> Request:
    """A face swap at fal."""
    inputs = (Given(role="source", written=faces[0]), Given(role="face", written=faces[1]))
    return Request(operation="swap_face", prompt="swap", inputs=inputs, scene=SCENE, provider="fal", **more)


def moving(given: Given, **more: Any) -> Request:
    """A clip from a first frame."""
    return Request(
        operation="image_to_video", prompt="she breathes", inputs=(given,), scene=SCENE, provider="fal", **more
    )


def longer(video: str) -> Request:
    """An extension."""
    return Request(
        operation="extend_video", prompt="", inputs=(Given(role="video", written=video),), scene=SCENE, provider="fal"
    )


def both(faces: tuple[str, str]) -> Ask:
    """Swap, then animate, in one call."""
    return asked(swap(faces), moving(Given(role="first_frame", of=0)), consent="Tôi đồng ý.")


def asked(*requests: Request, **more: Any) -> Ask:
    """A call of the job."""
    return Ask(requests=requests, job_id="job-1", **more)


def states(reply: Reply) -> list[str]:
    """How each ended."""
    return [entry.state for entry in reply.generations]


def log(root: Path) -> list[dict[str, Any]]:
    """The rows of the job's log of clips."""
    text = (root / "jobs/job-1/source/ai_video_generation.toml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["generations"]
    return rows


async def test_a_clip_waits_for_the_healing_of_its_picture(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The swap's file was harmed before it was ever sent on: one call brings it back, free, and films it."""
    async with open_studio() as studio:
        first = await studio.generate(asked(swap(faces), consent="Tôi đồng ý."))
        harm(first.generations[0].outputs[0])
        again = await studio.generate(both(faces))
    assert states(again) == ["succeeded", "succeeded"], again
    assert sandbox.stats()["models"] == {SWAP: 1, CLIP: 1}


async def test_a_clip_of_a_picture_that_was_made_anew_is_another_clip(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The swap is bought again; swap and animate then films the new picture, once, and never shows the old one."""
    async with open_studio() as studio:
        first = await studio.generate(both(faces))
        await studio.generate(asked(swap(faces), overwrite=True))
        again = await studio.generate(both(faces))
        last = await studio.generate(both(faces))
        clip = studio.generations([again.generations[1].id])[0]
    assert states(again) == ["skipped_existing", "succeeded"]
    assert states(last) == ["skipped_existing", "skipped_existing"]
    assert last.generations[1].id == again.generations[1].id != first.generations[1].id
    assert clip.planned.inputs[0].promised_by == again.generations[0].id != first.generations[0].id
    assert sandbox.stats()["submissions"] == 4


async def test_swap_and_animate_is_one_call_with_two_purchases(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Both are priced before anything is paid; the clip begins with the very picture; a rerun buys nothing."""
    async with open_studio() as studio:
        preview = await studio.preview(both(faces))
        first = await studio.generate(both(faces))
        again = await studio.generate(both(faces))
    assert preview.estimate_usd == pytest.approx(0.15 + 0.35)
    assert (states(first), states(again)) == (["succeeded"] * 2, ["skipped_existing"] * 2)
    assert (first.cost_usd, again.cost_usd) == (pytest.approx(0.5), 0.0)
    assert sandbox.stats()["models"] == {SWAP: 1, CLIP: 1}
    picture, clip = first.generations
    assert (clip.parents, clip.clip_seconds) == ((picture.id,), 5.0)
    assert "/videos/ai_generated/" in clip.outputs[0]
    (row,) = log(workspace)
    assert (row["parents"], row["duration_s"], row["fps"]) == ([picture.id], 5.0, 24.0)


async def test_a_failed_swap_buys_no_clip(faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """What was promised does not come: the clip ends unpaid and says why."""
    sandbox.faults.add(fault("result", "completed_error", value="content_policy_violation", model=SWAP))
    async with open_studio() as studio:
        reply = await studio.generate(both(faces))
    swapped, clip = reply.generations
    assert (swapped.state, clip.state, clip.paid) == ("failed", "failed", "no")
    assert clip.error is not None
    assert clip.error.key == "promise_failed"
    assert sandbox.stats()["models"] == {SWAP: 1}


async def test_a_failed_clip_does_not_undo_the_swap(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The reply holds the picture and the clip's error; the next call buys only the clip."""
    sandbox.faults.add(fault("result", "completed_error", value="internal_server_error", model=CLIP))
    async with open_studio() as studio:
        first = await studio.generate(both(faces))
        again = await studio.generate(both(faces))
    assert states(first) == ["succeeded", "failed"]
    assert content(first.generations[0].outputs[0])
    assert states(again) == ["skipped_existing", "succeeded"]
    assert sandbox.stats()["models"] == {SWAP: 1, CLIP: 2}


async def test_extensions_chain(faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """By id or by file; the reply tells the whole chain; the same extension is not bought twice."""
    async with open_studio() as studio:
        clip = (await studio.generate(both(faces))).generations[1]
        second = (await studio.generate(asked(longer(clip.id)))).generations[0]
        by_file = await studio.generate(asked(longer(second.outputs[0])))
        again = await studio.generate(asked(longer(clip.outputs[0])))
    third = by_file.generations[0]
    assert (second.clip_seconds, third.clip_seconds) == (10.0, 15.0)
    assert third.parents[:2] == (second.id, clip.id)
    assert len(third.parents) == 3
    assert states(again) == ["skipped_existing"]
    assert sandbox.stats()["models"][LONGER] == 2


@pytest.mark.parametrize("kind", ["clip_truncated", "clip_empty", "not_a_picture"])
async def test_a_clip_that_came_broken_is_fetched_again(
    kind: str, faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """It is refused, asked for once more, free, and nothing half lies in the folder."""
    sandbox.faults.add(fault("download", kind, model=CLIP, times=2))
    async with open_studio() as studio:
        reply = await studio.generate(both(faces))
    clip = reply.generations[1]
    assert (clip.state, clip.clip_seconds) == ("succeeded", 5.0)
    assert sandbox.stats()["models"] == {SWAP: 1, CLIP: 1}
    assert len(list(Path(clip.outputs[0]).parent.iterdir())) == 1


async def test_a_clip_that_stays_broken_is_paid_and_comes_later(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Paid, failed, resumable: `resume` brings it without buying."""
    sandbox.faults.add(fault("download", "clip_truncated", model=CLIP, times=4))
    async with open_studio() as studio:
        clip = (await studio.generate(both(faces))).generations[1]
        assert (clip.state, clip.paid) == ("failed", "yes")
        assert clip.error is not None
        assert clip.error.key == "clip_truncated"
        later = await studio.resume([clip.id])
    assert states(later) == ["succeeded"]
    assert sandbox.stats()["models"][CLIP] == 1


async def test_a_harmed_clip_comes_back_free(faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Its bytes are checked like a picture's."""
    async with open_studio() as studio:
        clip = (await studio.generate(both(faces))).generations[1]
        before = content(clip.outputs[0])
        harm(clip.outputs[0], "changed")
        again = await studio.generate(both(faces))
    assert (again.cost_usd, content(clip.outputs[0]) == before) == (0.0, True)
    assert sandbox.stats()["models"][CLIP] == 1


async def test_a_lost_reply_to_a_clip_is_not_bought_again(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """fal cannot be asked: unknown, and it stays so until somebody settles it."""
    sandbox.faults.add(fault("submit", "lost_reply", model=CLIP))
    async with open_studio() as studio:
        first = await studio.generate(both(faces))
        again = await studio.generate(both(faces))
    assert (states(first), states(again)) == (["succeeded", "unknown"], ["skipped_existing", "unknown"])
    assert sandbox.stats()["models"][CLIP] == 1


async def test_what_is_made_from_a_jobs_files_belongs_to_the_job(
    workspace: Path, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """Nobody has to name the job again: clip and log land where the watcher looks."""
    person(workspace / "jobs/job-1/input/reference/lan.png")
    frame = Given(role="first_frame", written="jobs/job-1/input/reference/lan.png")
    async with open_studio() as studio:
        reply = await studio.generate(Ask(requests=(moving(frame),), consent="Tôi đồng ý."))
    assert "/jobs/job-1/input/raw_assets/videos/ai_generated/" in reply.generations[0].outputs[0]
    assert len(log(workspace)) == 1
