"""`hoasi.stability`, the door for asynchronous scripts: bytes, paid once, a batch that loses nothing."""

from __future__ import annotations

import inspect
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from calls import fault, files
from hoasi.errors import HoasiError, KeyMissing, PaymentUnknown
from hoasi.messages import explain
from hoasi.sandbox import Sandbox
from hoasi.stability import StabilityAIClient

pytestmark = pytest.mark.anyio
KEY = "sk-5f3c9a7d1e2b"


@pytest.fixture
async def client(workspace: Path, fal: str) -> AsyncIterator[StabilityAIClient]:
    """The door on the sandbox, with the key's usual name."""
    environ = {"STABILITY_AI_API_KEY": KEY, "HOASI_STABILITY_URL": fal}
    async with StabilityAIClient(workspace=workspace, environ=environ) as opened:
        yield opened


def size(content: bytes | None) -> tuple[str | None, tuple[int, int]]:
    with Image.open(io.BytesIO(content or b"")) as picture:
        return picture.format, picture.size


def test_the_signatures_are_those_that_scripts_know() -> None:
    """Names and defaults of the old client."""
    one = inspect.signature(StabilityAIClient.generate_image).parameters
    assert (list(one)[1:4], one["width"].default, one["height"].default) == (["prompt", "width", "height"], 1920, 1080)
    many = inspect.signature(StabilityAIClient.generate_images_batch).parameters
    assert list(many)[1:4] == ["prompts", "global_style", "max_concurrent"]


async def test_a_picture_comes_as_bytes_of_the_asked_size(client: StabilityAIClient, sandbox: Sandbox) -> None:
    """1920x1080 is no size of theirs: the nearest shape is made, and cut here. An equal call is unpaid."""
    made = await client.generate_image("a lighthouse")
    assert size(made) == ("PNG", (1920, 1080))
    assert await client.generate_image("a lighthouse") == made
    assert size(await client.generate_image("a lighthouse", 640, 640)) == ("PNG", (640, 640))
    assert sandbox.stats()["submissions"] == 2


async def test_another_model_than_the_named_one_is_told(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """SDXL no longer answers: Core makes the picture, and `warnings` says so, and why."""
    sandbox.change(stability_has_v1=False)
    environ = {"STABILITY_AI_API_KEY": KEY, "HOASI_STABILITY_URL": fal}
    client = StabilityAIClient(workspace=workspace, environ=environ, model="stable-diffusion-xl-1024-v1-0")
    assert size(await client.generate_image("a lighthouse")) == ("PNG", (1920, 1080))
    (said,) = (text for text in client.warnings if "stable-image/generate/core" in text)
    assert "stability không còn model stable-diffusion-xl-1024-v1-0 (HTTP 404); chưa mất tiền." in said


async def test_a_batch_gives_none_for_what_failed(client: StabilityAIClient, sandbox: Sandbox) -> None:
    """In the order of the prompts; the others are there; `problems` says why. Again: only the failed one is made."""
    sandbox.faults.add(fault("submit", "validation", times=0, value="bad_request", after=1))
    first = await client.generate_images_batch(["a boat", "a kite", "a hill"], max_concurrent=1)
    sandbox.faults.clear()
    assert sorted(one is None for one in first) == [False, True, True]
    assert [problem is None for problem in client.problems] == [one is not None for one in first]
    again = await client.generate_images_batch(["a boat", "a kite", "a hill"])
    assert (all(map(size, again)), sandbox.stats()["submissions"]) == (True, 3)
    assert await client.generate_images_batch([]) == []


async def test_a_global_style_stands_behind_every_prompt(client: StabilityAIClient, sandbox: Sandbox) -> None:
    """Words and a negative prompt; without a style the prompt goes as it is."""
    style = {"modifiers": ["cinematic lighting"], "negative_prompt": "text"}
    await client.generate_images_batch(["a boat."], style)
    await client.generate_images_batch(["a boat."])
    (styled, plain) = sent(sandbox)
    assert ('"a boat, cinematic lighting"' in styled, "negative_prompt" in styled) == (True, True)
    assert ('"a boat."' in plain, "negative_prompt" in plain) == (True, False)


def sent(sandbox: Sandbox) -> list[str]:
    return [body for _, body in sandbox.counters.inputs]


async def test_a_lost_reply_is_told_and_not_sent_again(client: StabilityAIClient, sandbox: Sandbox) -> None:
    """It may have been billed."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    for _ in range(2):
        with pytest.raises(PaymentUnknown) as lost:
            await client.generate_image("a lighthouse")
        assert lost.value.paid == "unknown"
    assert sandbox.stats()["posts_received"] == 1
    with pytest.raises(PaymentUnknown):
        await client.generate_image("a lighthouse", overwrite=True)
    assert sandbox.stats()["posts_received"] == 1


async def test_a_callers_word_buys_again(client: StabilityAIClient, sandbox: Sandbox) -> None:
    """`resubmit` what nobody knows, `overwrite` what is there; the batch takes both words too."""
    sandbox.faults.add(fault("submit", "lost_reply", times=2))
    with pytest.raises(PaymentUnknown) as lost:
        await client.generate_image("a lighthouse")
    assert "resubmit=True" in explain(lost.value.problem()).fix
    assert await client.generate_images_batch(["a boat"]) == [None]
    made = await client.generate_image("a lighthouse", resubmit=True)
    (boat,) = await client.generate_images_batch(["a boat"], resubmit=True)
    assert (size(made)[0], size(boat)[0], sandbox.stats()["submissions"]) == ("PNG", "PNG", 4)
    assert await client.generate_image("a lighthouse", resubmit=True) == made
    await client.generate_image("a lighthouse", overwrite=True)
    await client.generate_images_batch(["a boat"], overwrite=True)
    assert sandbox.stats()["submissions"] == 6


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"prompt": " "}, "prompt_empty"),
        ({"width": 8}, "value_not_supported"),
        ({"height": 99999}, "value_not_supported"),
        ({"style_preset": "nobody"}, "value_not_supported"),
        ({"nonsense": 1}, "option_not_supported"),
        ({"seed": -2}, "seed_out_of_range"),
        ({"global_style": 7}, "global_style_bad"),
    ],
    ids=str,
)
async def test_bad_input_is_refused_before_money(
    asked: dict[str, object], key: str, client: StabilityAIClient, sandbox: Sandbox
) -> None:
    """By name; not one request leaves."""
    with pytest.raises(HoasiError) as refused:
        await client.generate_image(**{"prompt": "a boat", **asked})  # type: ignore[arg-type]
    assert (refused.value.key, sandbox.stats()["requests"]) == (key, [])


async def test_a_key_may_be_given(workspace: Path, fal: str) -> None:
    """Instead of the environment's, for one client; it is written nowhere."""
    place = {"HOASI_STABILITY_URL": fal}
    async with StabilityAIClient(workspace=workspace, environ=place) as client:
        with pytest.raises(KeyMissing):
            await client.generate_image("a boat")
    async with StabilityAIClient("sk-given-1234", workspace=workspace, environ=place) as client:
        await client.generate_image("a boat")
    assert not [path for path in files(workspace) if b"sk-given-1234" in path.read_bytes()]


async def test_one_text_is_one_prompt(client: StabilityAIClient, sandbox: Sandbox) -> None:
    """Nobody buys a picture for each of its letters; what is no text is named, and costs nothing."""
    (made,) = await client.generate_images_batch("boat")
    assert size(made) == ("PNG", (1920, 1080))
    with pytest.raises(HoasiError) as refused:
        await client.generate_images_batch(["a hill", None])  # type: ignore[list-item]
    assert (refused.value.key, refused.value.facts["value"]) == ("prompt_not_text", "None")
    assert sandbox.stats()["submissions"] == 1
