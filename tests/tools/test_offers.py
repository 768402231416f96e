"""What a client may pick up beside the tools: resources, prompts, completions. All free, all of this workspace."""

from __future__ import annotations

import base64
import io
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, PromptReference, Resource, ResourceTemplateReference
from PIL import Image
from tooling import Connect, lying_in, told

from hoasi.catalogue import load
from hoasi.offers._completions import MOST, matching
from hoasi.offers._texts import places, prompts

pytestmark = pytest.mark.anyio

SPOKEN = set("ăâđêôơưáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ")


async def made(client: Client, **more: Any) -> dict[str, Any]:
    call = {"prompt": "a kite", "provider": "local", **more}
    entry: dict[str, Any] = told(await client.call_tool("generate_image", call))["generations"][0]
    return entry


async def ours(client: Client) -> list[Resource]:
    """What is listed beside the files of skills."""
    return [one for one in (await client.list_resources()).resources if one.uri.startswith("hoasi://")]


async def text_at(client: Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    text: str = content.text  # type: ignore[union-attr]
    return text


async def no(client: Client, uri: str) -> MCPError:
    """The refusal of a resource, in Vietnamese, with the address it is about and the key of a sentence."""
    with pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    error = caught.value
    assert error.error.code == INVALID_PARAMS
    assert error.error.data["uri"] == uri
    assert set(error.error.message.lower()) & SPOKEN, error.error.message
    return error


# ---------------------------------------------------------------------- resources


async def test_what_can_be_read_is_listed_with_words_for_people(connect: Connect) -> None:
    """Every place has a title and a description in Vietnamese; those with a variable are templates."""
    async with connect() as client:
        fixed = await ours(client)
        templates = (await client.list_resource_templates()).resource_templates
    assert {one.uri for one in fixed} == {"hoasi://styles"}
    assert {one.uri_template for one in templates} == {p.uri for p in places().values()} - {"hoasi://styles"}
    for one in [*fixed, *templates]:
        assert one.title
        assert set((one.description or "").lower()) & SPOKEN


async def test_a_jobs_log_can_be_read_and_is_listed_once_it_exists(connect: Connect, workspace: Path) -> None:
    """The TOML as it lies on disk; before anything was made the refusal says so."""
    async with connect() as client:
        assert (await no(client, "hoasi://jobs/job-1/log")).error.data["key"] == "resource_no_log"
        await made(client, job_id="job-1", scene_id="SC_01")
        text = await text_at(client, "hoasi://jobs/job-1/log")
        listed = {one.uri: one for one in await ours(client)}
        assert (await no(client, "hoasi://jobs/job-1/video_log")).error.data["key"] == "resource_no_log"
    log = workspace / "jobs" / "job-1" / "source" / "ai_image_generation.toml"
    assert text == log.read_text(encoding="utf-8")
    assert tomllib.loads(text)["generations"][0]["scene_id"] == "SC_01"
    assert listed["hoasi://jobs/job-1/log"].mime_type == "application/toml"
    assert "hoasi://jobs/job-1/video_log" not in listed


async def test_a_generation_is_read_as_a_record(connect: Connect) -> None:
    """State, cost, prompt and files as JSON."""
    async with connect() as client:
        entry = await made(client, job_id="job-1")
        record = json.loads(await text_at(client, f"hoasi://generations/{entry['id']}"))
    assert record["id"] == entry["id"]
    assert (record["state"], record["prompt"], record["job_id"]) == ("succeeded", "a kite", "job-1")
    assert record["outputs"] == entry["outputs"]


async def test_a_picture_is_read_small_as_jpeg(connect: Connect) -> None:
    """Whatever the file is, what comes is a JPEG of bounded size, and says so."""
    async with connect() as client:
        entry = await made(client, num_images=2, aspect_ratio="16:9")
        (content,) = (await client.read_resource(f"hoasi://generations/{entry['id']}/pictures/2")).contents
    assert content.mime_type == "image/jpeg"
    with Image.open(io.BytesIO(base64.b64decode(content.blob))) as picture:  # type: ignore[union-attr]
        assert picture.format == "JPEG"
        assert max(picture.size) <= 1568


async def test_styles_are_those_of_the_workspace_and_of_the_house(connect: Connect, workspace: Path) -> None:
    """The registry's rows as they are written."""
    row = {"id": "ink", "title": "Mực tàu", "lora_name": "ink.safetensors", "lora_weight": 0}
    (workspace / "resources").mkdir()
    (workspace / "resources" / "styles.json").write_text(json.dumps({"styles": [row]}), encoding="utf-8")
    async with connect() as client:
        told_ = json.loads(await text_at(client, "hoasi://styles"))
    assert told_["styles"] == [row]
    assert "photorealistic" in told_["house"]


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("hoasi://jobs/nothing/log", "job_missing"),
        ("hoasi://jobs/..%2f..%2fetc/log", "resource_unknown"),
        ("hoasi://jobs/%2fetc/log", "resource_unknown"),
        ("hoasi://jobs/job-1%00/log", "resource_unknown"),
        ("hoasi://jobs/job-1%2fsource/log", "job_id_bad"),
        ("hoasi://generations/nobody-1", "generation_unknown"),
        ("hoasi://generations/nobody-1/pictures/1", "generation_unknown"),
        ("hoasi://nothing", "resource_unknown"),
        ("file:///etc/passwd", "resource_unknown"),
    ],
)
async def test_what_is_not_there_is_refused_in_words(connect: Connect, uri: str, key: str) -> None:
    """-32602 as the protocol wants it, a sentence for people, and no way out of the workspace."""
    async with connect() as client:
        assert (await no(client, uri)).error.data["key"] == key


async def test_a_picture_number_that_is_not_there_is_refused(connect: Connect) -> None:
    """Zero, one too many, and no number at all."""
    async with connect() as client:
        entry = await made(client)
        for number in ("0", "2", "-1", "x"):
            uri = f"hoasi://generations/{entry['id']}/pictures/{number}"
            assert (await no(client, uri)).error.data["key"] == "picture_missing"


async def test_a_log_that_leads_out_of_the_workspace_is_not_read(
    connect: Connect, workspace: Path, tmp_path: Path
) -> None:
    """Links are followed and refused; the logs of other jobs are listed all the same."""
    (tmp_path / "secret.toml").write_text("key = 'abc'", encoding="utf-8")
    (workspace / "jobs" / "job-1" / "source" / "ai_video_generation.toml").symlink_to(tmp_path / "secret.toml")
    (workspace / "jobs" / "job-2" / "source").mkdir(parents=True)
    (workspace / "jobs" / "job-3").symlink_to(tmp_path)
    os.utime(workspace / "jobs" / "job-1", (4e9, 4e9))  # the latest of all, so that it is met first
    async with connect() as client:
        assert (await no(client, "hoasi://jobs/job-1/video_log")).error.data["key"] == "path_outside"
        assert (await no(client, "hoasi://jobs/job-3/log")).error.data["key"] == "path_outside"
        await made(client, job_id="job-2")
        listed = {one.uri for one in await ours(client)}
    assert listed == {"hoasi://styles", "hoasi://jobs/job-2/log"}


async def test_looking_leaves_no_trace(connect: Connect, workspace: Path) -> None:
    """Lists, refusals, prompts and completions write nothing."""
    before = lying_in(workspace)
    async with connect() as client:
        await client.list_resources()
        await text_at(client, "hoasi://styles")
        await no(client, "hoasi://generations/nobody-1")
        await client.get_prompt("duyet_anh", {"job_id": "job-1"})
        await client.complete(PromptReference(type="ref/prompt", name="duyet_anh"), {"name": "job_id", "value": ""})
    assert lying_in(workspace) == before


# ---------------------------------------------------------------------- prompts


async def test_every_prompt_explains_itself(connect: Connect) -> None:
    """Title, description and described arguments in Vietnamese; the listed ones are those of the data file."""
    async with connect() as client:
        listed = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in listed] == list(prompts())
    for prompt in listed:
        assert prompt.title
        assert set(prompt.title.lower()) & SPOKEN
        assert set((prompt.description or "").lower()) & SPOKEN
        assert prompt.arguments
        assert all(set((argument.description or "").lower()) & SPOKEN for argument in prompt.arguments)


@pytest.mark.parametrize("name", prompts())
async def test_a_prompt_holds_what_was_given(connect: Connect, name: str) -> None:
    """Required arguments stand in the text, optional ones add a sentence, braces of a value stay as they are."""
    text = prompts()[name]
    required = {key: f"<{key} {{x}}>" for key, one in text.arguments.items() if one.required}
    optional = {key: f"<{key}>" for key, one in text.arguments.items() if not one.required}
    async with connect() as client:
        short = (await client.get_prompt(name, required)).messages
        long = (await client.get_prompt(name, {**required, **optional})).messages
    (short_text,), (long_text,) = ([m.content.text for m in messages] for messages in (short, long))  # type: ignore[union-attr]
    assert all(value in short_text for value in required.values())
    assert all(value in long_text for value in optional.values())
    assert not any(value in short_text for value in optional.values())
    assert set(short_text.lower()) & SPOKEN


async def test_the_better_prompt_has_its_five_sections(connect: Connect) -> None:
    """The realism frame, in its order, and no tool before the user has seen it."""
    async with connect() as client:
        result = await client.get_prompt("nang_cap_prompt", {"prompt": "cô gái uống cà phê"})
    text = result.messages[0].content.text  # type: ignore[union-attr]
    heads = ["[1] Photography Style", "[2] Subject & Identity", "[3] Realism", "[4] Lighting", "[5] Background"]
    places_ = [text.index(head) for head in heads]
    assert places_ == sorted(places_)
    assert "cô gái uống cà phê" in text


@pytest.mark.parametrize(
    ("name", "arguments", "key", "word"),
    [
        ("lap_canh", {}, "prompt_unknown", "lap_canh_thieu"),
        ("lap_canh_thieu", {}, "arguments_wrong", "job_id"),
        ("lap_canh_thieu", {"job_id": "  "}, "arguments_wrong", "job_id"),
        ("lap_canh_thieu", {"job_id": "job-1", "modle": "x"}, "arguments_wrong", "model"),
    ],
)
async def test_a_wrong_prompt_call_is_refused_in_words(
    connect: Connect, name: str, arguments: dict[str, str], key: str, word: str
) -> None:
    """-32602, our sentence with the way out, nothing of the SDK's noise."""
    async with connect() as client:
        with pytest.raises(MCPError) as caught:
            await client.get_prompt(name, arguments)
    error = caught.value.error
    assert (error.code, error.data["key"]) == (INVALID_PARAMS, key)
    assert word in error.message
    assert set(error.message.lower()) & SPOKEN
    assert "pydantic" not in error.message


async def test_refusals_follow_the_language(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOASI_LANG=en holds here as well."""
    monkeypatch.setenv("HOASI_LANG", "en")
    async with connect() as client:
        with pytest.raises(MCPError, match="no prompt named"):
            await client.get_prompt("nobody", {})
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("hoasi://nobody")


# ---------------------------------------------------------------------- completions


async def completed(client: Client, prompt: str, name: str, value: str = "", **said: str) -> list[str]:
    ref = PromptReference(type="ref/prompt", name=prompt)
    result = await client.complete(ref, {"name": name, "value": value}, context_arguments=said or None)
    return list(result.completion.values)


async def test_what_really_is_there_is_offered(connect: Connect, workspace: Path) -> None:
    """Jobs, scenes of the job that was named, providers, models of the provider, styles, ids, picture numbers."""
    (workspace / "jobs" / "tet-2027").mkdir()
    async with connect() as client:
        entry = await made(client, job_id="job-1", scene_id="SC_77", num_images=2)
        assert await completed(client, "lap_canh_thieu", "job_id", "te") == ["tet-2027"]
        assert set(await completed(client, "lap_canh_thieu", "job_id")) == {"job-1", "tet-2027"}
        assert await completed(client, "lam_clip", "scene_id", job_id="job-1") == ["SC_01", "SC_02", "SC_03", "SC_77"]
        assert await completed(client, "lam_clip", "scene_id", job_id="tet-2027") == []
        assert await completed(client, "lam_clip", "scene_id", job_id="nobody") == []
        assert await completed(client, "lam_clip", "scene_id", "77") == ["SC_77"]
        assert await completed(client, "lap_canh_thieu", "provider", "kl") == ["kling"]
        for prompt, media in (("lap_canh_thieu", "image"), ("lam_clip", "video")):
            local = [card.id for card in load("local").cards if card.media == media]
            assert local
            assert await completed(client, prompt, "model", provider="local") == local
        assert "photorealistic" in await completed(client, "nang_cap_prompt", "style", "PHOTO")
        picture = ResourceTemplateReference(type="ref/resource", uri=places()["picture"].uri)
        ids = await client.complete(picture, {"name": "id", "value": ""})
        numbers = await client.complete(picture, {"name": "n", "value": ""}, context_arguments={"id": entry["id"]})
    assert list(ids.completion.values) == [entry["id"]]
    assert list(numbers.completion.values) == ["1", "2"]


async def test_what_is_not_offered_is_not_completed(connect: Connect) -> None:
    """An unknown prompt, template or argument is refused; free words get nothing."""
    async with connect() as client:
        assert await completed(client, "nang_cap_prompt", "prompt", "a") == []
        for prompt, name in (("nobody", "job_id"), ("duyet_anh", "model")):
            with pytest.raises(MCPError, match="gợi ý"):
                await completed(client, prompt, name)
        with pytest.raises(MCPError, match="gợi ý"):
            await client.complete(
                ResourceTemplateReference(type="ref/resource", uri="hoasi://nobody/{id}"), {"name": "id", "value": ""}
            )


def test_completions_are_bounded_and_beginnings_come_first() -> None:
    """At most 100, with how many there really are; what begins so stands before what holds it; case does not count."""
    some = matching(["my-kite", "KITE-1", "boat", "kite-2", "kite-2"], "kite")
    assert (list(some.values), some.total, some.has_more) == (["KITE-1", "kite-2", "my-kite"], 3, False)
    many = matching([f"job-{k}" for k in range(MOST + 1)], "")
    assert (len(many.values), many.total, many.has_more) == (100, 101, True)
    exact = matching([f"job-{k}" for k in range(MOST)], "job")
    assert (len(exact.values), exact.total, exact.has_more) == (100, 100, False)
