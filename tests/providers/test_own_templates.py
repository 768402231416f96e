"""Graph templates of one's own: their content is part of the request, and they need no slot that nobody asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calls import fault, until
from hoasi import Studio
from hoasi.comfy import template as templates
from hoasi.comfy.graph import build
from hoasi.errors import FileBroken, WrongInput
from hoasi.providers import provider
from hoasi.records import Generation
from hoasi.sandbox import Sandbox

from .graphs import call, graph_studio, one, wanted

pytestmark = pytest.mark.anyio
SLOTS = {
    "prompt": '{ kind = "text", at = { pos = "text" } }',
    "seed": '{ kind = "integer", at = { noise = "noise_seed" } }',
    "batch_size": '{ kind = "integer", at = { latent = "batch_size" } }',
    "filename_prefix": '{ kind = "text", at = { save = "filename_prefix" } }',
}
WATCHED = {"class_type": "SaveImage", "inputs": {"images": ["decode", 0], "filename_prefix": "second"}}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come one after the other."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)


def written(root: Path, *slots: str, head: str = "", steps: int = 20, more: dict[str, Any] | None = None) -> str:
    """The folder of a template `mine`: the house's graph with these slots, further nodes, and so many steps."""
    folder = root / "graphs"
    folder.mkdir(exist_ok=True)
    graph = json.loads(json.dumps({**templates.load().graph, **(more or {})}))
    graph["sigmas"]["inputs"]["steps"] = steps
    (folder / "mine.json").write_text(json.dumps(graph), encoding="utf-8")
    rows = [head, "[slots]", *(f"{name} = {SLOTS[name]}" for name in slots)]
    (folder / "mine.toml").write_text("\n".join(rows), encoding="utf-8")
    return str(folder)


def mine(**more: Any) -> Any:
    """One picture by that template, without a shape."""
    options = {"template": "mine", **more.pop("options", {})}
    return wanted("comfyui", aspect_ratio=None, options=options, **more)


def graph_of(sandbox: Sandbox) -> dict[str, Any]:
    """The graph that ran last."""
    graph: dict[str, Any] = list(sandbox.comfyui.history.values())[-1]["prompt"][2]
    return graph


def test_the_example_of_the_documentation_is_a_template() -> None:
    """Whoever copies it beside the house's graph has a template; every setting that exists is told there."""
    text = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text(encoding="utf-8")
    example = text.partition("```toml\n")[2].partition("```")[0]
    mine = templates.read("mine", json.dumps(templates.load().graph), example)
    assert (mine.results, set(SLOTS) <= set(mine.slots)) == (("save",), True)
    assert build(mine, {"prompt": "a kite"}, teacache=0.2)["tea"]
    names = {*provider("comfyui").variables, *provider("runpod").variables}  # type: ignore[attr-defined]
    assert [name for name in names if f"`{name}`" not in text] == []


# ---------------------------------------------------------------------- its content is part of the request


async def test_a_changed_template_is_another_request(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """The same file: the same picture. Another value in it: a new one. Other blanks in it: nothing new."""
    folder = written(workspace, *SLOTS)
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        first, again = await one(studio, mine()), await one(studio, mine())
        assert (again.state, again.outputs) == ("skipped_existing", first.outputs)
        written(workspace, *SLOTS, steps=7)
        other = await one(studio, mine())
        assert (other.state, graph_of(sandbox)["sigmas"]["inputs"]["steps"]) == ("succeeded", 7)
        assert other.outputs != first.outputs
        file = workspace / "graphs" / "mine.json"
        file.write_text(json.dumps(json.loads(file.read_text()), indent=4, sort_keys=True), encoding="utf-8")
        assert (await one(studio, mine())).state == "skipped_existing"
    assert sandbox.stats()["submissions"] == 2


@pytest.mark.parametrize("provider", ["comfyui", "runpod"])
async def test_its_slots_are_content_too(provider: str, workspace: Path, fal: str) -> None:
    """A slot that moves changes what is made, at both providers that run graphs; a title does not."""
    written(workspace, *SLOTS)
    asked = mine().model_copy(update={"provider": provider})
    names = []
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(workspace / "graphs")) as studio:
        for head, slots in (("", [*SLOTS]), ('title = "New"', [*SLOTS]), ("", ["prompt", "seed"])):
            written(workspace, *slots, head=head)
            names.append((await studio.plan(call(asked))).items[0].fingerprint)
    assert names[0] == names[1] != names[2]


async def test_a_copy_of_the_houses_template_is_the_houses(workspace: Path, fal: str) -> None:
    """Whoever copies a template and changes nothing asks for the same; one changed under its name does not."""
    folder = workspace / "graphs"
    folder.mkdir()
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=str(folder)) as studio:
        plan = (await studio.plan(call(wanted("comfyui")))).items[0]
        house = plan.fingerprint
        for file in (Path(templates.__file__).parent / "templates").glob(f"{templates.DEFAULT}.*"):
            (folder / file.name).write_bytes(file.read_bytes())
        assert (await studio.plan(call(wanted("comfyui")))).items[0].fingerprint == house
        changed = (folder / f"{templates.DEFAULT}.json").read_text().replace('"euler"', '"dpmpp_2m"')
        (folder / f"{templates.DEFAULT}.json").write_text(changed)
        assert (await studio.plan(call(wanted("comfyui")))).items[0].fingerprint != house
    assert "template_sha256" not in plan.parameters  # as it was named before templates had marks


async def test_a_template_that_changes_before_it_is_sent_is_not_sent(
    workspace: Path, fal: str, sandbox: Sandbox, quick: object
) -> None:
    """What was planned is what is sent: between the tries the file changes, and nothing of the new one goes out."""
    folder = written(workspace, *SLOTS)
    sandbox.faults.add(fault("submit", "429", value=0))
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        plan = await studio.plan(call(mine()))
        batch = await studio.begin(call(mine()))
        await until(lambda: sandbox.stats()["posts_received"] == 1)
        written(workspace, *SLOTS, steps=7)
        (ended,) = await finished(studio, batch.ids)
    assert ended.planned.fingerprint == plan.items[0].fingerprint
    assert ended.problem is not None
    assert (ended.problem.key, ended.problem.facts["template"]) == ("template_changed", "mine")
    assert sandbox.stats()["submissions"] == 0


async def finished(studio: Studio, ids: tuple[str, ...]) -> list[Generation]:
    """These, once they have ended."""
    await studio.follow(ids)
    return studio.generations(ids)


# ---------------------------------------------------------------------- it needs what is asked for


async def test_a_template_with_a_prompt_alone_makes_a_picture(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """No seed, no number, no prefix: what the template holds is sent, and a seed is not said to be."""
    folder = written(workspace, "prompt")
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        plan = (await studio.plan(call(mine()))).items[0]
        made = await one(studio, mine())
    assert (made.state, len(made.outputs)) == ("succeeded", 1), made.error
    assert (plan.seed_is_sent, "seed" in plan.parameters) == (False, False)
    house = templates.load().graph
    assert graph_of(sandbox)["noise"] == house["noise"]
    assert graph_of(sandbox)["save"] == house["save"]


@pytest.mark.parametrize(
    ("slots", "asked", "slot"),
    [
        (["prompt"], {"num_images": 2}, "batch_size"),
        (["prompt"], {"seed": 0}, "seed"),
        (["seed", "batch_size"], {}, "prompt"),
        (["prompt"], {"options": {"width": 512}}, "width"),
        (["prompt"], {"options": {"steps": 4}}, "steps"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_asked_for_needs_its_slot(
    slots: list[str], asked: dict[str, Any], slot: str, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Nothing that was said is lost: slot and template are named, nothing was sent."""
    folder = written(workspace, *slots)
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        with pytest.raises(WrongInput) as refused:
            await studio.generate(call(mine(**asked)))
    assert (refused.value.key, refused.value.facts["slot"]) == ("template_slot_missing", slot)
    assert (refused.value.facts["template"], sandbox.stats()["requests"]) == ("mine", [])


# ---------------------------------------------------------------------- which pictures are its result


@pytest.mark.parametrize("provider", ["comfyui", "runpod"])
async def test_pictures_that_nobody_asked_for_are_kept(
    provider: str, workspace: Path, fal: str, sandbox: Sandbox
) -> None:
    """Two nodes that save: both pictures come home, under names of their own, and it is said."""
    folder = written(workspace, *SLOTS, more={"save2": WATCHED})
    asked = mine().model_copy(update={"provider": provider})
    (workspace / "jobs" / "job-2").mkdir()
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        made = await one(studio, asked)
        again = await one(studio, asked)
        copied = await one(studio, asked, job_id="job-2")
    assert (made.state, len(set(made.outputs))) == ("succeeded", 2), made.error
    assert any("2" in note and "1" in note for note in made.notes)
    assert Path(made.outputs[1]).stem == f"{Path(made.outputs[0]).stem}_2"
    assert (again.state, again.outputs) == ("skipped_existing", made.outputs)
    assert (copied.state, len(set(copied.outputs) - set(made.outputs))) == ("succeeded", 2)
    assert sandbox.stats()["submissions"] == 1


async def test_a_template_names_its_result(workspace: Path, fal: str, sandbox: Sandbox) -> None:
    """Only what that node needs is run: one picture, of that node."""
    folder = written(workspace, *SLOTS, head='result = "save2"', more={"save2": WATCHED})
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        made = await one(studio, mine())
    assert (made.state, len(made.outputs), made.notes) == ("succeeded", 1, ())
    assert "save2" in graph_of(sandbox)
    assert "save" not in graph_of(sandbox)


async def test_a_further_picture_that_fails_takes_nothing_away(
    workspace: Path, fal: str, sandbox: Sandbox, quick: object
) -> None:
    """What was asked for is there; that something else was not brought is said."""
    folder = written(workspace, *SLOTS, more={"save2": WATCHED})
    sandbox.faults.add(fault("download", "not_a_picture", after=1, times=0))
    async with graph_studio(workspace, fal, HOASI_WORKFLOWS=folder) as studio:
        made = await one(studio, mine())
        (kept,) = studio.generations([made.id])
    assert (made.state, len(made.outputs), kept.facts["left_out"]) == ("succeeded", 1, 1), made.error
    assert len(made.notes) == 1


def test_a_result_keeps_all_that_it_hangs_on() -> None:
    """LoRAs and all; several nodes may be results; one that is not there is a fault of the template."""
    text = json.dumps({**templates.load().graph, "save2": WATCHED, "alone": {"class_type": "Note", "inputs": {}}})
    one_of = templates.read("mine", text, 'result = "save"\n[loras]\nmodel = ["unet", 0]\nclip = ["clip", 0]')
    assert set(build(one_of, {}, teacache=0.2)) == {*templates.load().graph, "tea"}
    both = templates.read("mine", text, 'result = ["save", "save2"]')
    assert set(build(both, {})) == {*templates.load().graph, "save2"}
    with pytest.raises(FileBroken) as broken:
        templates.read("mine", text, 'result = "nobody"')
    assert (broken.value.key, broken.value.facts["where"]) == ("template_broken", "result: nobody")
