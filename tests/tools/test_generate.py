"""The tools that make pictures: what they take, refuse, preview, make, and never make twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tooling import Connect, fault, is_file, lying_in, refused, text_of, told

from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PROMPTS = [{"scene_id": "SC_01", "prompt": "a quiet balcony"}, {"scene_id": "SC_02", "prompt": "a cup of coffee"}]


async def test_a_picture_is_made_and_its_result_says_everything(connect: Connect, sandbox: Sandbox) -> None:
    """State, payment, cost, an absolute path that exists, and what to do next; as text the very same."""
    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "a quiet balcony", "scene_id": "SC_01"})
    reply = told(result)
    (entry,) = reply["generations"]
    assert (entry["state"], entry["paid"], entry["scene_id"]) == ("succeeded", "yes", "SC_01")
    assert reply["cost_usd"] == entry["cost_usd"] == 0.039
    assert is_file(entry["outputs"][0])
    assert reply["next"]
    assert json.loads(text_of(result)) == reply
    assert sandbox.stats()["submissions"] == 1


async def test_the_local_provider_needs_no_key(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storyboard frame costs nothing and asks for nothing."""
    monkeypatch.delenv("FAL_KEY")
    async with connect() as client:
        reply = told(await client.call_tool("generate_image", {"prompt": "a balcony", "provider": "local"}))
    assert (reply["cost_usd"], reply["generations"][0]["state"]) == (0.0, "succeeded")


async def test_without_a_key_the_error_names_the_variable_and_the_free_way(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default provider is fal, never silently local."""
    monkeypatch.delenv("FAL_KEY")
    async with connect() as client:
        error = refused(await client.call_tool("generate_image", {"prompt": "a balcony"}))
    assert (error["kind"], error["paid"]) == ("KeyMissing", "no")
    assert "FAL_" in error["fix"]
    assert "local" in error["fix"]
    assert sandbox.stats()["posts_received"] == 0


async def test_minus_one_asks_for_a_seed_of_ours(connect: Connect) -> None:
    """As users of FLUX write it: for a call, and for one prompt of a list; below it there is none."""
    call = {"prompt": "a balcony", "provider": "local", "dry_run": True}
    rows = {
        "prompts": [{"scene_id": "SC_01", "prompt": "a balcony", "seed": -1}],
        "provider": "local",
        "dry_run": True,
        "seed": 7,
    }
    async with connect() as client:
        plain, ours = [told(await client.call_tool("generate_image", {**call, **said})) for said in ({}, {"seed": -1})]
        listed = told(await client.call_tool("generate_batch", rows))
        error = refused(await client.call_tool("generate_image", {**call, "seed": -2}))
    assert ours["generations"] == plain["generations"]
    assert listed["generations"][0]["seed"] not in {7, -1}
    assert error["key"] == "seed_out_of_range"


async def test_repeating_a_call_buys_nothing(connect: Connect, sandbox: Sandbox) -> None:
    """The second call skips what the first made, across servers."""
    call = {"prompts": PROMPTS, "job_id": "job-1"}
    async with connect() as client:
        first = told(await client.call_tool("generate_batch", call))
    async with connect() as client:
        second = told(await client.call_tool("generate_batch", call))
    assert {entry["state"] for entry in second["generations"]} == {"skipped_existing"}
    assert second["cost_usd"] == 0.0
    assert [e["outputs"] for e in second["generations"]] == [e["outputs"] for e in first["generations"]]
    assert sandbox.stats()["submissions"] == 2


async def test_one_scene_is_made_again_on_demand(connect: Connect, sandbox: Sandbox) -> None:
    """`only` with `overwrite` buys that scene again and leaves the others alone."""
    call = {"prompts": PROMPTS, "job_id": "job-1"}
    async with connect() as client:
        await client.call_tool("generate_batch", call)
        reply = told(await client.call_tool("generate_batch", {**call, "only": ["SC_02"], "overwrite": True}))
    assert [(e["scene_id"], e["state"], e["paid"]) for e in reply["generations"]] == [("SC_02", "succeeded", "yes")]
    assert sandbox.stats()["submissions"] == 3


async def test_a_plan_is_found_by_its_job(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """`job_id` alone is enough: the plan's flagged scenes are made into the job's folder and logged."""
    async with connect() as client:
        reply = told(await client.call_tool("generate_from_creative_plan", {"job_id": "job-1"}))
    assert [entry["scene_id"] for entry in reply["generations"]] == ["SC_01", "SC_02"]
    folder = workspace / "jobs/job-1/input/raw_assets/images/ai_generated"
    assert {Path(path).parent for e in reply["generations"] for path in e["outputs"]} == {folder}
    assert (workspace / "jobs/job-1/source/ai_image_generation.toml").is_file()
    assert sandbox.stats()["submissions"] == 2


async def test_all_scenes_of_a_plan(connect: Connect) -> None:
    """`all_scenes` takes the unmarked ones too; `only` chooses among them."""
    call = {"creative_plan": "jobs/job-1/source/creative_plan.toml", "all_scenes": True, "dry_run": True}
    async with connect() as client:
        everything = told(await client.call_tool("generate_from_creative_plan", call))
        one = told(await client.call_tool("generate_from_creative_plan", {**call, "only": ["SC_03"]}))
    assert [entry["scene_id"] for entry in everything["generations"]] == ["SC_01", "SC_02", "SC_03"]
    assert [entry["scene_id"] for entry in one["generations"]] == ["SC_03"]


async def test_a_dry_run_tells_names_and_price_and_does_nothing(
    connect: Connect, sandbox: Sandbox, workspace: Path
) -> None:
    """The paths are those that the real run makes; nothing is written, nothing sent."""
    before = lying_in(workspace)
    async with connect() as client:
        dry = told(await client.call_tool("generate_from_creative_plan", {"job_id": "job-1", "dry_run": True}))
        assert lying_in(workspace) == before
        assert sandbox.stats()["posts_received"] == 0
        real = told(await client.call_tool("generate_from_creative_plan", {"job_id": "job-1"}))
    assert {entry["state"] for entry in dry["generations"]} == {"planned"}
    assert (dry["cost_usd"], dry["estimate_usd"]) == (0.0, 0.078)
    assert [e["outputs"] for e in dry["generations"]] == [e["outputs"] for e in real["generations"]]


async def test_the_list_wins_over_the_call(connect: Connect) -> None:
    """What one prompt says of itself holds; what it leaves out comes from the call."""
    prompts = [{**PROMPTS[0], "seed": 0, "aspect_ratio": "16:9", "num_images": 2}, PROMPTS[1]]
    call = {"prompts": prompts, "seed": 7, "aspect_ratio": "9:16", "provider": "local", "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("generate_batch", call))
    assert [(e["seed"], len(e["outputs"])) for e in reply["generations"]] == [(0, 2), (7, 1)]


async def test_prompts_come_from_a_file_too(connect: Connect, workspace: Path) -> None:
    """An image_prompts.toml is as good as a list, and `only` chooses its scenes."""
    rows = "".join(f'[[prompts]]\nscene_id = "S{k}"\nprompt = "a kite {k}"\n' for k in range(3))
    (workspace / "image_prompts.toml").write_text(rows, encoding="utf-8")
    call = {"prompts_toml": "image_prompts.toml", "only": ["S1", "S2"], "provider": "local", "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("generate_batch", call))
    assert [entry["scene_id"] for entry in reply["generations"]] == ["S1", "S2"]


async def test_a_failed_scene_never_loses_the_others(connect: Connect, sandbox: Sandbox) -> None:
    """The result names the failure, its reason and whether it was paid; the other picture is there."""
    sandbox.faults.add(fault("submit", "validation", value="image_too_small"))
    async with connect() as client:
        reply = told(await client.call_tool("generate_batch", {"prompts": PROMPTS}))
    states = sorted(entry["state"] for entry in reply["generations"])
    (bad,) = [entry for entry in reply["generations"] if entry["state"] == "failed"]
    assert states == ["failed", "succeeded"]
    assert bad["error"]["paid"] == "no"
    assert bad["error"]["message"]


async def test_a_lost_reply_is_unknown_until_somebody_decides(connect: Connect, sandbox: Sandbox) -> None:
    """An unknown is never bought again by a repeated call; `resolve` settles it."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with connect() as client:
        first = told(await client.call_tool("generate_image", {"prompt": "a balcony"}))
        again = told(await client.call_tool("generate_image", {"prompt": "a balcony"}))
        name = again["generations"][0]["id"]
        bare = refused(await client.call_tool("get_generations", {"ids": [name], "resolve": "attach"}))
        given_up = told(await client.call_tool("get_generations", {"ids": [name], "resolve": "abandon"}))
    assert [reply["generations"][0]["state"] for reply in (first, again)] == ["unknown", "unknown"]
    assert first["generations"][0]["paid"] == "unknown"
    assert bare["key"] == "receipt_missing"
    assert given_up["generations"][0]["state"] != "unknown"
    assert sandbox.stats()["submissions"] == 1


async def test_an_unknown_is_bought_again_only_on_demand(connect: Connect, sandbox: Sandbox) -> None:
    """`resolve = resubmit` opens one new attempt and waits for it."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with connect() as client:
        lost = told(await client.call_tool("generate_image", {"prompt": "a balcony"}))
        ids = [lost["generations"][0]["id"]]
        reply = told(await client.call_tool("get_generations", {"ids": ids, "resolve": "resubmit"}))
    assert reply["generations"][0]["state"] == "succeeded"
    assert sandbox.stats()["submissions"] == 2


async def test_a_long_batch_is_told_in_few_words(connect: Connect) -> None:
    """Fifty entries at most reach the model, and a warning says how many there are."""
    prompts = [{"scene_id": f"S{k}", "prompt": f"a kite {k}"} for k in range(120)]
    async with connect() as client:
        reply = told(
            await client.call_tool("generate_batch", {"prompts": prompts, "provider": "local", "dry_run": True})
        )
    assert len(reply["generations"]) == 50
    assert any("50 trong 120" in warning and "list_generations" not in warning for warning in reply["warnings"])


async def test_no_next_step_buys_the_same_picture_again(connect: Connect, sandbox: Sandbox) -> None:
    """Made without a job, then asked for again with nothing but a job: copied there, free, as `next` says."""
    async with connect() as client:
        loose = told(await client.call_tool("generate_image", {"prompt": "a kite", "wait_seconds": 60}))
        assert "chỉ thêm job_id" in loose["next"]
        call = {"prompt": "a kite", "job_id": "job-1", "wait_seconds": 60}
        filed = told(await client.call_tool("generate_image", call))
    assert (filed["cost_usd"], "/jobs/job-1/" in filed["generations"][0]["outputs"][0]) == (0.0, True)
    assert sandbox.stats()["submissions"] == 1


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("generate_image", {"prompt": "x", "promt": "y"}, "«promt»; có thể là: prompt"),
    ("generate_image", {}, "thiếu tham số bắt buộc «prompt»"),
    ("generate_image", {"prompt": ""}, "«prompt» không được để trống"),
    ("generate_image", {"prompt": "x", "num_images": 0}, "«num_images» phải từ 1 trở lên"),
    ("generate_image", {"prompt": "x", "seed": "abc"}, "«seed» phải là số nguyên"),
    ("generate_image", {"prompt": "x", "wait_seconds": 99_999}, "«wait_seconds» chỉ được nhiều nhất là 3600"),
    ("generate_image", {"prompt": ["x"]}, "«prompt» phải là chữ"),
    ("generate_image", {"prompt": "x", "overwrite": "perhaps"}, "«overwrite» phải là true hoặc false"),
    ("generate_batch", {"prompts": [{"scene_id": "A"}]}, "«prompts.0.prompt»"),
    ("generate_batch", {"prompts": [{"scene_id": "A", "prompt": "x", "steps": 3}]}, "«prompts.0.steps»"),
    ("get_generations", {"ids": [], "wait_seconds": 0}, "«ids» không được để trống"),
    ("get_generations", {"ids": ["a"], "resolve": "again"}, "«resolve» chỉ nhận: 'resubmit', 'attach'"),
    ("list_generations", {"state": "done"}, "«state» chỉ nhận: 'queued'"),
    ("list_generations", {"state": "done"}, "'expired', 'unknown'"),
    ("list_generations", {"cursor": 10**30}, "«cursor» chỉ được nhiều nhất là"),
    ("generate_batch", {"prompts": ["x"] * 3000}, "và 2980 chỗ khác nữa"),
    (
        "generate_image",
        {"prompt": "x", "options": {"steps": [20]}},
        "- «options.steps» phải là số, chữ, true hoặc false",
    ),
]


@pytest.mark.parametrize(("tool", "arguments", "words"), BAD, ids=[words for _, _, words in BAD])
async def test_wrong_arguments_are_refused_in_plain_words(
    connect: Connect, sandbox: Sandbox, tool: str, arguments: dict[str, Any], words: str
) -> None:
    """The refusal names the argument and what it should be, without the library's noise; nothing was paid."""
    async with connect() as client:
        result = await client.call_tool(tool, arguments)
    error = refused(result)
    assert (error["key"], error["paid"]) == ("arguments_wrong", "no")
    assert words in error["message"]
    assert "pydantic" not in text_of(result)
    assert not any(f".{branch}»" in error["message"] for branch in ("bool", "int", "float", "str"))
    assert len(error["message"]) < 2000
    assert sandbox.stats()["posts_received"] == 0


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("generate_batch", {}, "prompts_count"),
    ("generate_batch", {"prompts": PROMPTS, "prompts_toml": "a.toml"}, "prompts_count"),
    ("generate_batch", {"prompts": PROMPTS, "only": ["SC_9"]}, "scene_unknown"),
    ("generate_from_creative_plan", {}, "plan_or_job_needed"),
    ("generate_from_creative_plan", {"job_id": "job-1", "only": ["SC_9"]}, "scene_unknown"),
    ("generate_image", {"prompt": "x", "model": "fal-ai/nano-bananna"}, "model_unknown"),
    ("generate_image", {"prompt": "x", "provider": "fall"}, "provider_unknown"),
    ("generate_image", {"prompt": "x", "job_id": "Job 1"}, "job_id_bad"),
    ("generate_image", {"prompt": "x", "reference_images": ["../../etc/passwd"]}, "path_outside"),
    ("generate_image", {"prompt": "x", "max_cost_usd": 0.01}, "budget_call_usd"),
    ("get_generations", {"ids": ["nobody-1"]}, "generation_unknown"),
    ("get_generations", {"ids": ["a", "b"], "resolve": "abandon"}, "resolve_one"),
    ("cancel_generations", {}, "cancel_which"),
    ("cancel_generations", {"everything": True, "ids": ["a"]}, "cancel_which"),
]


@pytest.mark.parametrize(("tool", "arguments", "key"), WRONG, ids=[f"{tool}-{key}" for tool, _, key in WRONG])
async def test_what_cannot_be_done_is_said_before_money_moves(
    connect: Connect, sandbox: Sandbox, tool: str, arguments: dict[str, Any], key: str
) -> None:
    """An error result with our key and words, never a protocol error; nothing was sent."""
    async with connect() as client:
        error = refused(await client.call_tool(tool, arguments))
    assert (error["key"], error["paid"]) == (key, "no")
    assert sandbox.stats()["posts_received"] == 0


async def test_null_and_lists_in_text_are_understood(connect: Connect, workspace: Path) -> None:
    """Some clients fill every parameter with null and send lists as JSON text; both mean what they say."""
    prompts = json.dumps(PROMPTS)
    call = {"prompts": prompts, "only": "SC_01", "seed": None, "overwrite": None, "provider": "local", "dry_run": True}
    async with connect() as client:
        reply = told(await client.call_tool("generate_batch", call))
    assert [entry["scene_id"] for entry in reply["generations"]] == ["SC_01"]


async def test_an_error_of_ours_tells_no_secrets_and_says_what_is_not_known(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash inside a tool becomes a refusal that admits it may have cost something and says how to find out."""
    from hoasi import Studio

    def broken(*_: object) -> None:
        raise RuntimeError("token=abc")

    monkeypatch.setattr(Studio, "begin", broken)
    async with connect() as client:
        result = await client.call_tool("generate_image", {"prompt": "x"})
    error = refused(result)
    assert (error["key"], error["paid"]) == ("tool_stopped", "unknown")
    assert "list_generations" in error["fix"]
    assert "abc" not in text_of(result)


async def test_a_full_disk_is_no_error_of_ours(connect: Connect, workspace: Path, sandbox: Sandbox) -> None:
    """A ledger that cannot grow is told as what it is, with what to do; nothing is sent, and then it works again."""
    full = full_once(workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hoasi.opening.Desk", full)
        async with connect() as client:
            error = refused(await client.call_tool("generate_image", {"prompt": "a kite"}))
    assert (error["kind"], error["key"]) == ("DiskTrouble", "disk_full")
    assert "ledger.db" in error["message"]
    assert sandbox.stats()["posts_received"] == 0
    async with connect() as client:
        told(await client.call_tool("generate_image", {"prompt": "a kite"}))


def full_once(workspace: Path) -> Any:
    """Whoever decides finds no room: SQLite's own error, of a database that may not grow."""
    db = sqlite3.connect(workspace / "small.db")
    db.execute("PRAGMA max_page_count=1")

    def decide(*_: Any) -> None:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (zeroblob(100000))")

    return decide
