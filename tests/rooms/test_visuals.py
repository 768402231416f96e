"""`hoasi.scenes`, `hoasi visuals`, and names that other programs insist on: there lies what was asked for last."""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image
from typer.testing import CliRunner

from acceptance.processes import finish
from calls import content, fal_environ, fault, until
from hoasi import Ask, Studio
from hoasi.cli.app import app
from hoasi.errors import BudgetExceeded, ContentBlocked, HoasiError, NotFound, PaymentUnknown, WrongInput
from hoasi.messages import explain
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.scenes import ImageGenerator, Picture, source_of

ROOT = Path(__file__).parents[2]
FLUX = "fal-ai/flux/schnell"
SCENE = "frames/scene-001.png"


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox runs in a thread of its own: scripts have no loop."""
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.fixture
def project(workspace: Path) -> Path:
    """A project with two scenes."""
    (workspace / "planning").mkdir()
    write(workspace, "a cup", "a boat")
    return workspace


@pytest.fixture
def script(workspace: Path) -> Path:
    """A script with three segments, two of them described."""
    file = workspace / "projects" / "p1" / "script.json"
    file.parent.mkdir(parents=True)
    described = [{"image_description": "a cat"}, {"text": "no picture"}, {"image_description": "a dog"}]
    file.write_text(json.dumps({"segments": described}), encoding="utf-8")
    return file


def write(project: Path, *prompts: str) -> None:
    rows = [{"id": number, "visual": {"prompt": text}} for number, text in enumerate(prompts, 1)]
    (project / "planning" / "scenes.yaml").write_text(json.dumps({"scenes": rows}), encoding="utf-8")


def maker(root: Path, url: str, **more: Any) -> ImageGenerator:
    return ImageGenerator(**{"provider": "fal", **more}, workspace=root, environ=fal_environ(url))


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((folder / "ai_image_generation.toml").read_text("utf-8"))["generations"]
    return found


def states(made: list[Picture]) -> list[str]:
    return [picture.state for picture in made]


# ---------------------------------------------------------------------- scenes.yaml


def test_the_signature_is_the_one_that_scripts_know() -> None:
    """Names and order of the other team's module."""
    found = inspect.signature(ImageGenerator.generate_all).parameters
    assert list(found)[1:4] == ["scenes_path", "output_dir", "resolution"]
    assert list(inspect.signature(ImageGenerator.regenerate_scene).parameters)[1:3] == ["scene_id", "output_dir"]
    assert list(inspect.signature(ImageGenerator).parameters)[:2] == ["provider", "style"]


def test_every_scene_lies_under_its_name(project: Path, url: str, sandbox: Sandbox) -> None:
    """PNG of exactly the usual size; again: nothing is bought; both prompts stand in the log."""
    generator = maker(project, url, style="photorealistic")
    made = generator.generate_all("planning/scenes.yaml")
    assert [picture.path for picture in made] == [project / "frames" / f"scene-00{n}.png" for n in (1, 2)]
    for picture in made:
        assert picture.path
        with Image.open(picture.path) as found:
            assert (found.format, found.size) == ("PNG", (1920, 1080))
    assert states(generator.generate_all("planning/scenes.yaml")) == ["skipped_existing"] * 2
    assert sandbox.stats()["submissions"] == 2
    (row, _) = rows(project / "frames")
    sent = "Ultra-realistic photograph, 8K, professional lighting, a cup, high quality, detailed"
    assert (row["original_prompt"].strip(), row["prompt"].strip()) == ("a cup", sent)
    assert (row["fixed_path"], made[0].sent_prompt) == ("frames/scene-001.png", sent)
    seen = [path.name for path in (project / "frames").iterdir()]
    assert sorted(seen) == ["ai_image_generation.toml", "scene-001.png", "scene-002.png"]


def test_a_changed_prompt_buys_that_scene_and_the_old_one_comes_back_free(
    project: Path, url: str, sandbox: Sandbox
) -> None:
    """The name stays, its picture follows the file; nothing paid is lost."""
    generator = maker(project, url)
    first = content(generator.generate_all("planning/scenes.yaml")[0].path or "")
    write(project, "a kettle", "a boat")
    second = generator.generate_all("planning/scenes.yaml")
    assert (states(second), sandbox.stats()["submissions"]) == (["succeeded", "skipped_existing"], 3)
    assert content(project / "frames" / "scene-001.png") != first
    write(project, "a cup", "a boat")
    assert states(generator.generate_all("planning/scenes.yaml")) == ["skipped_existing"] * 2
    assert (content(project / "frames" / "scene-001.png"), sandbox.stats()["submissions"]) == (first, 3)


def test_a_deleted_or_harmed_picture_is_laid_there_again(project: Path, url: str, sandbox: Sandbox) -> None:
    """Without the provider."""
    generator = maker(project, url)
    frames = [picture.path for picture in generator.generate_all("planning/scenes.yaml") if picture.path]
    before = [content(path) for path in frames]
    frames[0].unlink()
    frames[1].write_bytes(b"?")
    asked = len(sandbox.stats()["requests"])
    generator.generate_all("planning/scenes.yaml")
    assert ([content(path) for path in frames], len(sandbox.stats()["requests"])) == (before, asked)


def test_one_scene_is_made_anew(project: Path, url: str, sandbox: Sandbox) -> None:
    """Bought again with another seed, under its name, and it stays there when all are asked for again."""
    generator = maker(project, url, model=FLUX)
    old = generator.generate_all("planning/scenes.yaml")
    before = content(old[1].path or "")
    new = generator.regenerate_scene(2)
    assert new.path == old[1].path
    assert new.path
    assert (content(new.path) != before, sandbox.stats()["submissions"]) == (True, 3)
    after = content(new.path)
    assert states(generator.generate_all("planning/scenes.yaml")) == ["skipped_existing"] * 2
    assert content(new.path) == after
    assert len({row["seed"] for row in rows(project / "frames") if row["scene_id"] == "2"}) == 2


def test_what_is_not_said_is_as_before(project: Path, url: str) -> None:
    """Another process makes a scene anew: maker, model, style and size are those of the picture that lies there."""
    style = {"style": "minimalist", "model": FLUX}
    maker(project, url, **style).generate_all("planning/scenes.yaml", resolution="640x360")
    other = ImageGenerator(workspace=project, environ=fal_environ(url))
    made = other.regenerate_scene(1, "frames")
    assert made.sent_prompt.startswith("Clean minimalist design")
    assert made.path
    with Image.open(made.path) as found:
        assert found.size == (640, 360)
    assert {row["model"] for row in rows(project / "frames")} == {FLUX}


def test_a_scene_that_fails_is_told_and_takes_no_other_away(project: Path, url: str, sandbox: Sandbox) -> None:
    """Its error says whether it was paid; the next run makes only that one."""
    sandbox.faults.add(fault("result", "completed_error", value="content_policy_violation"))
    generator = maker(project, url)
    made = generator.generate_all("planning/scenes.yaml")
    (bad,) = [picture for picture in made if picture.path is None]
    assert (bad.state, bad.error is not None) == ("failed", True)
    assert len(list((project / "frames").glob("*.png"))) == 1
    sandbox.faults.add(fault("result", "completed_error", value="content_policy_violation"))
    with pytest.raises(ContentBlocked):
        generator.regenerate_scene(1)


def test_a_lost_reply_is_never_bought_again_by_itself(project: Path, url: str, sandbox: Sandbox) -> None:
    """The old picture stays under its name meanwhile."""
    generator = maker(project, url)
    before = content(generator.generate_all("planning/scenes.yaml")[0].path or "")
    write(project, "a kettle", "a boat")
    sandbox.faults.add(fault("submit", "lost_reply"))
    for _ in range(2):
        made = generator.generate_all("planning/scenes.yaml")
        assert (made[0].state, made[0].path, sandbox.stats()["posts_received"]) == ("unknown", None, 3)
    assert content(project / "frames" / "scene-001.png") == before
    write(project, "a kettle")
    with pytest.raises(PaymentUnknown) as lost:
        generator.regenerate_scene(1)
    assert "resubmit=True" in explain(lost.value.problem()).fix
    made = generator.regenerate_scene(1, resubmit=True)
    assert (made.state, made.path, sandbox.stats()["posts_received"]) == ("succeeded", project / SCENE, 4)
    assert content(project / SCENE) != before


def test_what_nobody_knows_is_bought_again_on_the_callers_word(project: Path, url: str, sandbox: Sandbox) -> None:
    """All that is unknown, and nothing else."""
    generator = maker(project, url)
    sandbox.faults.add(fault("submit", "lost_reply"))
    assert sorted(states(generator.generate_all("planning/scenes.yaml"))) == ["succeeded", "unknown"]
    made = generator.generate_all("planning/scenes.yaml", resubmit=True)
    assert (sorted(states(made)), sandbox.stats()["posts_received"]) == (["skipped_existing", "succeeded"], 3)


def test_projects_share_no_names_and_pay_once(project: Path, url: str, sandbox: Sandbox) -> None:
    """The same scene of another project is a free copy under that project's name."""
    generator = maker(project, url)
    generator.generate_all("planning/scenes.yaml")
    other = generator.generate_all("planning/scenes.yaml", "other/frames")
    assert [picture.path for picture in other] == [project / "other" / "frames" / f"scene-00{n}.png" for n in (1, 2)]
    assert sandbox.stats()["submissions"] == 2
    assert content(other[0].path or "") == content(project / "frames" / "scene-001.png")


def test_the_size_is_the_callers(project: Path, url: str, sandbox: Sandbox) -> None:
    """Another size is another picture; a shape instead of a size is not cut to the usual one."""
    generator = maker(project, url)
    generator.generate_all("planning/scenes.yaml")
    (made, _) = generator.generate_all("planning/scenes.yaml", resolution="1080x1920")
    assert made.path
    with Image.open(made.path) as found:
        assert found.size == (1080, 1920)
    generator.generate_all("planning/scenes.yaml", resolution="640x360")
    with Image.open(made.path) as found:
        assert found.size == (640, 360)
    assert sandbox.stats()["submissions"] == 6


@pytest.mark.anyio
async def test_a_shape_is_kept_as_it_is(project: Path, url: str) -> None:
    """`--aspect-ratio` wins over the usual size; a scene is one picture."""
    async with Studio(project, environ=fal_environ(url)) as studio:
        plan = await studio.plan(Ask(prompts_toml="planning/scenes.yaml", aspect_ratio="9:16"))
        assert "target_size" not in plan.items[0].request.prefers
        assert plan.items[0].parameters["aspect_ratio"] == "9:16"
        with pytest.raises(WrongInput) as refused:
            await studio.plan(Ask(prompts_toml="planning/scenes.yaml", num_images=2))
        assert refused.value.key == "fixed_name_one"


def test_at_most_so_many_at_once(project: Path, url: str, sandbox: Sandbox) -> None:
    """`max_concurrent=1`: one after the other."""
    sandbox.change(slots=1)
    assert states(maker(project, url, max_concurrent=1).generate_all("planning/scenes.yaml")) == ["succeeded"] * 2
    assert sandbox.stats()["posts_received"] == 2


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda made: made.generate_all("planning/none.yaml"), "source_missing"),
        (lambda made: made.generate_all("planning/scenes.yaml", "../out"), "path_outside"),
        (lambda made: made.generate_all("planning/scenes.yaml", ".hidden"), "folder_hidden"),
        (lambda made: made.generate_all("planning/scenes.yaml", resolution="5x5"), "fixed_name_size"),
        (lambda made: made.generate_all("planning/scenes.yaml", resolution="10x"), "fixed_name_size"),
        (lambda made: made.generate_all("planning/scenes.yaml", resolution=""), "fixed_name_size"),
        (lambda made: made.generate_all("planning/scenes.yaml", resolution="2K"), "parameter_not_supported"),
        (lambda made: made.generate_all("planning/scenes.yaml", max_cost_usd=0.01), "budget_call_usd"),
        (lambda made: made.regenerate_scene(1), "visual_file_unsaid"),
        (lambda made: made.regenerate_scene(1, "nowhere/frames"), "visual_source_missing"),
        (lambda made: made.regenerate_scene(9, "frames"), "scene_unknown"),
    ],
)
def test_bad_input_is_refused_before_money(call: Any, key: str, project: Path, url: str, sandbox: Sandbox) -> None:
    """By name; not one request leaves."""
    with pytest.raises(HoasiError) as refused:
        call(maker(project, url))
    assert (refused.value.key, refused.value.paid, sandbox.stats()["requests"]) == (key, "no", [])


def test_an_unknown_style_or_place_is_refused(project: Path, url: str) -> None:
    """And no place at all."""
    with pytest.raises(NotFound):
        maker(project, url, style="photorealistisch-x").generate_all("planning/scenes.yaml")
    with pytest.raises(WrongInput):
        maker(project, url, max_concurrent=0).generate_all("planning/scenes.yaml")
    with pytest.raises(BudgetExceeded):
        maker(project, url).generate_all("planning/scenes.yaml", max_cost_usd=0.0)
    with pytest.raises(NotFound):
        source_of(project / "jobs")


# ---------------------------------------------------------------------- script.json


def test_a_script_gets_numbered_pictures_and_records(script: Path, workspace: Path, url: str) -> None:
    """One asset record each, from the ledger; the default style stands behind every prompt, and the log says so."""
    generator = maker(workspace, url)
    made = generator.generate_all(script)
    assert [picture.path and picture.path.name for picture in made] == ["image_01.png", "image_02.png"]
    found = json.loads((script.parent / "assets.json").read_text("utf-8"))
    jsonschema.validate(found, json.loads((ROOT / "schemas" / "assets.schema.json").read_text("utf-8")))
    told = [(row["index"], row["project_id"], row["file_path"], row["prompt"]) for row in found]
    assert told == [(1, "p1", "projects/p1/image_01.png", "a cat"), (2, "p1", "projects/p1/image_02.png", "a dog")]
    assert [picture.asset and picture.asset.model_dump(mode="json") for picture in made] == found
    assert made[0].sent_prompt == "a cat, cinematic lighting, professional photography, 4k quality, photorealistic"
    assert any("blurry, low quality, watermark, text" in note for note in generator.warnings)


def test_a_model_that_takes_one_gets_the_negative_prompt(script: Path, workspace: Path, url: str) -> None:
    """No warning, and it is in the plan."""
    keys = {"STABILITY_API_KEY": "sk-1234567", "HOASI_STABILITY_URL": url}
    generator = ImageGenerator("stability", workspace=workspace, environ=fal_environ(url, **keys))
    made = generator.generate_all(script)
    assert states(made) == ["succeeded"] * 2
    assert not [note for note in generator.warnings if "blurry" in note]


def test_a_failed_picture_leaves_a_gap(script: Path, workspace: Path, url: str, sandbox: Sandbox) -> None:
    """In the folder and in the records; a later run fills it, under its own number."""
    sandbox.faults.add(fault("result", "completed_error", value="content_policy_violation"))
    generator = maker(workspace, url, max_concurrent=1)
    made = generator.generate_all(script)
    assert states(made) == ["failed", "succeeded"]
    assert [row["index"] for row in json.loads((script.parent / "assets.json").read_text("utf-8"))] == [2]
    assert not (script.parent / "image_01.png").exists()
    generator.generate_all(script)
    assert [row["index"] for row in json.loads((script.parent / "assets.json").read_text("utf-8"))] == [1, 2]


# ---------------------------------------------------------------------- the command line


def hoasi(root: Path, url: str, *words: str) -> dict[str, Any]:
    line = [*words, "--json", "--lang", "en", "--workspace", str(root)]
    result = CliRunner().invoke(app, line, env=fal_environ(url))
    answer: dict[str, Any] = json.loads(result.stdout)
    return {**answer, "code": result.exit_code}


def test_a_project_on_the_command_line(project: Path, url: str, sandbox: Sandbox) -> None:
    """Dry run, run, one scene anew: as the other team's command has it."""
    words = ("visuals", "generate", "--project", str(project), "--provider", "fal", "--style", "illustration")
    dry = hoasi(project, url, *words, "--dry-run")
    assert [Path(entry["outputs"][0]).name for entry in dry["generations"]] == ["scene-001.png", "scene-002.png"]
    assert (dry["estimate_usd"], sandbox.stats()["requests"]) == (0.078, [])
    made = hoasi(project, url, *words)
    assert (made["code"], [entry["state"] for entry in made["generations"]]) == (0, ["succeeded"] * 2)
    assert "--job" not in made["next"]  # a name that others insist on is no loose picture, and the command has no job
    anew = hoasi(project, url, "visuals", "regenerate", "--project", str(project), "--scene", "2")
    assert ([entry["outputs"] for entry in anew["generations"]]) == [[str(project / "frames" / "scene-002.png")]]
    assert sandbox.stats()["submissions"] == 3
    assert all(row["prompt"].startswith("Digital illustration") for row in rows(project / "frames"))


def test_half_a_size_is_told_as_what_it_is(project: Path, url: str) -> None:
    """Not as something that the model does not take: the value, and how it is written, stand in the refusal."""
    told = hoasi(project, url, "visuals", "generate", "--project", str(project), "--resolution", "10x")
    said = f"{told['error']['message']} {told['error']['fix']}"
    assert told["code"] == 2
    assert all(word in said for word in ("resolution", '"10x"', "64", "4096", "1920x1080"))


@pytest.mark.parametrize("sandbox", [Sandbox(latency_s=0.3, pictures="tiny")])
def test_a_picture_is_told_by_the_name_that_others_look_for(project: Path, url: str, sandbox: Sandbox) -> None:
    """Pictures that end one after the other: no line names a file of ours, and each has its line."""
    write(project, "a cup", "a boat", "a kite")
    words = ["visuals", "generate", "--project", str(project), "--provider", "fal", "--at-once", "1"]
    said = CliRunner().invoke(app, [*words, "--workspace", str(project)], env=fal_environ(url)).stdout
    assert ".hoasi" not in said
    assert [said.count(f"{project}/frames/scene-00{number}.png") for number in (1, 2, 3)] == [1, 1, 1]


def test_a_script_on_the_command_line(script: Path, workspace: Path, url: str) -> None:
    """`--json` holds the asset records."""
    made = hoasi(workspace, url, "visuals", "generate", "--project", str(script.parent))
    assert [row["file_path"] for row in made["assets"]] == ["projects/p1/image_01.png", "projects/p1/image_02.png"]


def test_an_unknown_is_bought_again_on_the_command_line(project: Path, url: str, sandbox: Sandbox) -> None:
    """Regenerating alone does not, though it makes what was never made: it says what does."""
    words = ("visuals", "regenerate", "--project", str(project), "--scene", "1", "--provider", "fal")
    sandbox.faults.add(fault("submit", "lost_reply"))
    for _ in range(2):
        (entry,) = hoasi(project, url, *words)["generations"]
        assert (entry["state"], "--resubmit" in entry["error"]["fix"]) == ("unknown", True)
    assert sandbox.stats()["posts_received"] == 1
    (entry,) = hoasi(project, url, *words, "--resubmit")["generations"]
    assert (entry["state"], sandbox.stats()["posts_received"]) == ("succeeded", 2)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("visuals generate --project jobs", "visual_source_missing"),
        ("visuals generate --source none.yaml", "source_missing"),
        ("visuals regenerate --project .", "usage_parameter_missing"),
        ("visuals regenerate --source planning/scenes.yaml --scene 9", "scene_unknown"),
        ("visuals generate --source planning/scenes.yaml --at-once 0", "usage_value_bad"),
        ("visuals generate --source planning/scenes.yaml --style nobody", "style_unknown"),
    ],
)
def test_a_wrong_line_is_refused(words: str, key: str, project: Path, url: str, sandbox: Sandbox) -> None:
    """Exit 2, nothing sent."""
    answer = hoasi(project, url, *words.split())
    assert (answer["code"], answer["error"]["key"], sandbox.stats()["requests"]) == (2, key, [])


# ---------------------------------------------------------------------- what holds under a fixed name


@pytest.mark.anyio
async def test_the_name_belongs_to_what_was_asked_last(project: Path, url: str, sandbox: Sandbox) -> None:
    """A slow picture that ends later does not take the name from one that was asked for after it."""
    async with Studio(project, environ=fal_environ(url)) as studio:
        first = await studio.generate(Ask(prompts_toml="planning/scenes.yaml"))
        cup = content(first.generations[0].outputs[0])
        sandbox.change(latency_s=600)
        write(project, "a kettle", "a boat")
        slow = await studio.begin(Ask(prompts_toml="planning/scenes.yaml", scene_ids=("1",)))
        write(project, "a cup", "a boat")
        await studio.generate(Ask(prompts_toml="planning/scenes.yaml"))
        await until(lambda: sandbox.stats()["submissions"] == 3)
        assert finish(url) == 1
        late = await studio.wait(slow)
    assert late.generations[0].state == "succeeded"
    assert "takes" in late.generations[0].outputs[0]
    assert content(late.generations[0].outputs[0]) != cup
    assert content(project / "frames" / "scene-001.png") == cup


@pytest.mark.anyio
async def test_a_picture_that_nobody_waited_for_is_laid_by_the_next_process(
    project: Path, url: str, sandbox: Sandbox
) -> None:
    """The first one leaves with receipts in hand; `resume` lays the pictures under their names, unpaid."""
    sandbox.change(latency_s=600)
    async with Studio(project, environ=fal_environ(url)) as studio:
        batch = await studio.begin(Ask(prompts_toml="planning/scenes.yaml"))
        await until(lambda: sandbox.stats()["submissions"] == 2)
    assert not list((project / "frames").glob("*.png"))
    assert finish(url) == 2
    async with Studio(project, environ=fal_environ(url)) as studio:
        await studio.resume(batch.ids)
    assert sorted(path.name for path in (project / "frames").glob("*.png")) == ["scene-001.png", "scene-002.png"]
    assert sandbox.stats()["submissions"] == 2
