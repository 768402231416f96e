"""`hoasi.styles`, the door for scripts, and styles of the registry at every other door."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import inspect
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from calls import fal_environ, fault
from hoasi import Ask, Studio
from hoasi.comfy import template
from hoasi.errors import FileBroken, HoasiError, NotFound, PathRefused, PaymentUnknown, ProviderRefused
from hoasi.media import provenance
from hoasi.sandbox import Sandbox, easel, serving_in_thread
from hoasi.sources import looks
from hoasi.styles import ImageGenerator, WorkflowBuilder

KEY = "rpa_5f3c9a7d1e2b"
INK = {
    "id": "ink",
    "title": "M\u1ef1c T\u00e0u",
    "lora_file": "ink.safetensors",
    "lora_weight": 0.9,
    "character_lora_weight": 0.8,
    "frontpad": "ink drawing of",
    "trigger_words": ["inkwash", "rice paper"],
    "backpad": "high contrast",
    "steps": 12,
    "guidance": 2.5,
    "sampler_name": "euler",
    "scheduler_name": "simple",
    "metadata": {"status": "ready"},
    "somebody_elses": {"field": 1},
}
FOLDER = "resources/style_images/ink_m\u1ef1c_t\u00e0u"


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come one after the other."""
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.05, pictures="tiny", comfyui_loras=("ink.safetensors", "an.safetensors"))


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox runs in a thread of its own: scripts have no loop."""
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.fixture
def styled(workspace: Path) -> Path:
    """A workspace with a registry of one style."""
    file = workspace / "resources" / "styles.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"version": "1.0", "styles": [INK], "loras": []}), encoding="utf-8")
    return workspace


@pytest.fixture
def maker(styled: Path, url: str) -> ImageGenerator:
    """The door on the sandbox."""
    return ImageGenerator(styled, environ=environ(url))


def environ(url: str) -> dict[str, str]:
    keys = {"RUNPOD_API_KEY": KEY, "HOASI_RUNPOD_URL": url, "HOASI_COMFYUI_URL": f"{url}/comfyui"}
    return {**fal_environ(url), **keys, "RUNPOD_SERVER_100_ID": "wizard1", "POLLING_INTERVAL": "0.02"}


def graph(sandbox: Sandbox) -> dict[str, Any]:
    """The graph of the latest job."""
    made: dict[str, Any] = [*sandbox.runpod._jobs.values()][-1].body["workflow"]
    return made


# ---------------------------------------------------------------------- one picture


def test_the_signature_is_the_one_that_scripts_know() -> None:
    """Names and defaults of the old module."""
    found = inspect.signature(ImageGenerator.generate_image).parameters
    known = {
        "style_id": None, "width": 1360, "height": 768, "steps": 20, "seed": -1, "character_loras": None,
        "save_to_style": True, "filename": None,
    }  # fmt: skip
    assert {name: found[name].default for name in known} == known
    assert list(found)[1:10] == ["prompt", *known]


def test_a_picture_under_a_png_name_is_a_png(
    maker: ImageGenerator, styled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the worker saved: the copy is made anew, and still says which generation it is; again it is the same."""
    drawn = easel.render
    monkeypatch.setattr(easel, "render", lambda recipe: drawn(dataclasses.replace(recipe, format="jpeg")))
    made = [maker.generate_image("a fisherman", style_id="ink", **named) for named in ({}, {}, {"filename": "x.png"})]
    for record in made:
        content = Path(record["saved_path"]).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert provenance.read(content)["generation"] == record["metadata"]["generation_id"]
    assert made[0]["saved_path"] == made[1]["saved_path"]
    other = maker.generate_image("a fisherman", style_id="ink", filename="y")
    assert (Path(other["saved_path"]).suffix, Path(other["saved_path"]).read_bytes()[:2]) == (".jpg", b"\xff\xd8")


def test_a_picture_comes_as_a_record(maker: ImageGenerator, styled: Path) -> None:
    """Id, base64, seed, path, and what it was made with; the copy in the style's folder is the ledger's picture."""
    made = maker.generate_image("a fisherman", style_id="ink")
    assert set(made) == {"request_id", "status", "images", "seed", "style_id", "saved_path", "metadata"}
    assert re.fullmatch(r"img_[0-9a-f]{8}", made["request_id"])
    assert (made["status"], made["style_id"], len(made["images"])) == ("completed", "ink", 1)
    content = base64.b64decode(made["images"][0])
    path = Path(made["saved_path"])
    assert path.read_bytes() == content
    assert path.parent == styled / FOLDER
    assert re.fullmatch(r"generated_\d{8}_\d{6}_[0-9a-f]{8}\.png", path.name)
    told = made["metadata"]
    assert (told["prompt"], told["steps"], told["style_title"]) == ("a fisherman", 12, INK["title"])
    assert {"width", "height", "timestamp"} <= set(told)


def test_a_style_sets_words_lora_and_values(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """Frontpad, prompt, trigger words, backpad; its LoRA first, then characters at its strength; its steps."""
    maker.generate_image("a fisherman", "ink", character_loras=["an", {"name": "an", "weight": 0.5}])
    made = graph(sandbox)
    assert made["pos"]["inputs"]["text"] == "ink drawing of, a fisherman, inkwash, rice paper, high contrast"
    loras = [node["inputs"] for node in made.values() if node["class_type"] == "LoraLoader"]
    assert [(row["lora_name"], row["strength_model"]) for row in loras] == [
        ("ink.safetensors", 0.9), ("an.safetensors", 0.6), ("an.safetensors", 0.375),
    ]  # fmt: skip
    assert (made["sigmas"]["inputs"]["steps"], made["guid"]["inputs"]["guidance"]) == (12, 2.5)
    assert (made["latent"]["inputs"]["width"], made["latent"]["inputs"]["height"]) == (1360, 768)


@pytest.mark.parametrize(("asked", "steps"), [({}, 12), ({"steps": 20}, 20), ({"steps": 5}, 5)])
def test_what_a_caller_says_comes_before_the_style(
    asked: dict[str, int], steps: int, maker: ImageGenerator, sandbox: Sandbox
) -> None:
    """A style's steps hold where nobody said steps; twenty that was said is twenty."""
    maker.generate_image("a fisherman", "ink", **asked)  # type: ignore[arg-type]
    assert graph(sandbox)["sigmas"]["inputs"]["steps"] == steps


@pytest.mark.parametrize("name", ["ink", "M\u1ef1c T\u00e0u", "  m\u1ef1c   t\u00e0u "])
def test_a_style_goes_by_id_or_title(name: str, maker: ImageGenerator) -> None:
    """Case and blanks do not count."""
    assert Path(maker.generate_image_with_style("a fisherman", name)["saved_path"]).parent.name == Path(FOLDER).name


def test_an_equal_call_is_not_paid_again(maker: ImageGenerator, styled: Path, sandbox: Sandbox) -> None:
    """The same record, the same single file in the style's folder."""
    first, second = maker.generate_image("a fisherman", "ink"), maker.generate_image("a fisherman", "ink")
    assert (first, sandbox.stats()["submissions"]) == (second, 1)
    assert len([*(styled / FOLDER).glob("*.png")]) == 1


def test_without_a_style_it_lies_in_outputs(maker: ImageGenerator, styled: Path) -> None:
    """No style, or no wish to keep it there: the engine's own file."""
    for made in (maker.generate_image("a fisherman"), maker.generate_image("a boat", "ink", save_to_style=False)):
        assert Path(made["saved_path"]).parent == styled / "outputs"
    assert not (styled / FOLDER).exists()


@pytest.mark.parametrize(
    ("filename", "style", "place"),
    [
        ("cover.png", "ink", f"{FOLDER}/cover.png"),
        ("cover", "ink", f"{FOLDER}/cover.png"),
        ("cover.png", None, "outputs/cover.png"),
        ("jobs/job-1/cover.png", "ink", "jobs/job-1/cover.png"),
    ],
)
def test_a_file_may_be_named(filename: str, style: str | None, place: str, maker: ImageGenerator, styled: Path) -> None:
    """Within the style's folder, or anywhere in the workspace."""
    made = maker.generate_image("a fisherman", style, filename=filename)
    assert Path(made["saved_path"]) == styled / place


def test_another_file_is_never_replaced(maker: ImageGenerator, styled: Path) -> None:
    """A name that is taken gets the picture's digits."""
    (styled / FOLDER).mkdir(parents=True)
    (styled / FOLDER / "cover.png").write_bytes(b"somebody's")
    path = Path(maker.generate_image("a fisherman", "ink", filename="cover.png")["saved_path"])
    assert (styled / FOLDER / "cover.png").read_bytes() == b"somebody's"
    assert re.fullmatch(r"cover_[0-9a-f]{8}\.png", path.name)


def test_seeds_are_ours_or_the_callers(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """-1 asks for one of ours, the same for the same wish; zero is zero."""
    assert maker.generate_image("a fisherman", seed=0)["seed"] == 0
    assert graph(sandbox)["noise"]["inputs"]["noise_seed"] == 0
    ours = maker.generate_image("a fisherman")["seed"]
    assert ours == graph(sandbox)["noise"]["inputs"]["noise_seed"] >= 0


def test_it_works_beside_a_running_loop(maker: ImageGenerator) -> None:
    """As in a notebook."""

    async def called() -> dict[str, Any]:
        return maker.generate_image("a fisherman", "ink")

    assert anyio.run(called)["status"] == "completed"


def test_comfyui_does_the_same(styled: Path, url: str, sandbox: Sandbox) -> None:
    """The other provider that runs graphs: free."""
    made = ImageGenerator(styled, provider="comfyui", environ=environ(url)).generate_image("a fisherman", "ink")
    assert (made["status"], made["metadata"]["cost_usd"]) == ("completed", 0.0)
    assert len(sandbox.comfyui.history) == 1


# ---------------------------------------------------------------------- several, and failures


def test_a_batch_keeps_its_order(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """A record of each prompt; equal prompts are different pictures; nothing for nothing."""
    made = maker.generate_batch(["a boat", "a kite", "a boat"], style_id="ink", steps=4)
    assert [one and one["metadata"]["prompt"] for one in made] == ["a boat", "a kite", "a boat"]
    assert len({one["seed"] for one in made if one}) == 3
    assert (sandbox.stats()["submissions"], maker.generate_batch([])) == (3, [])


def test_one_that_fails_is_none(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """The others are there."""
    sandbox.faults.add(fault("status", "completed_error", value="boom"))
    made = maker.generate_batch(["a boat", "a kite", "a hill"])
    assert sorted(one is None for one in made) == [False, False, True]


def test_one_alone_says_why(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """The error tells whether it was paid."""
    sandbox.faults.add(fault("status", "completed_error", value="boom"), fault("submit", "lost_reply", after=1))
    with pytest.raises(ProviderRefused) as failed:
        maker.generate_image("a fisherman")
    assert (failed.value.key, failed.value.paid, failed.value.detail) == ("runpod_failed", "yes", "boom")
    with pytest.raises(PaymentUnknown):
        maker.generate_image("a boat")


def test_what_nobody_knows_is_bought_again_only_when_asked(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """The word for it is the same as at every other door."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    for _ in range(2):
        with pytest.raises(PaymentUnknown):
            maker.generate_image("a boat")
    assert maker.generate_image("a boat", resubmit=True)["status"] == "completed"
    assert sandbox.stats()["submissions"] == 2


def test_one_text_is_one_prompt_and_one_name(maker: ImageGenerator, sandbox: Sandbox) -> None:
    """Where a list is expected, a text alone is its only element: nobody buys a picture for each of its letters."""
    (made,) = maker.generate_batch("boat", character_loras="an")
    assert made is not None
    assert made["metadata"]["prompt"] == "boat"
    assert sandbox.stats()["submissions"] == 1
    assert [node["inputs"]["lora_name"] for node in graph(sandbox).values() if "lora_name" in node["inputs"]] == [
        "an.safetensors"
    ]


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"style_id": "unknown"}, "style_unknown"),
        ({"character_loras": [f"p{k}" for k in range(10)], "style_id": "ink"}, "too_many_loras"),
        ({"character_loras": ["../p"]}, "lora_name_bad"),
        ({"character_loras": [{"weight": 1}]}, "lora_name_bad"),
        ({"character_loras": [{"name": "p", "wieght": 1}]}, "lora_name_bad"),
        ({"character_loras": [("p", 1, 2)]}, "lora_name_bad"),
        ({"character_loras": [("p",)]}, "lora_name_bad"),
        ({"character_loras": [7]}, "lora_name_bad"),
        ({"character_loras": [("p", "much")]}, "lora_strength_bad"),
        ({"character_loras": [{"name": "p", "weight": "much"}]}, "lora_strength_bad"),
        ({"prompt": None}, "prompt_not_text"),
        ({"prompt": 7}, "prompt_not_text"),
        ({"max_cost_usd": 0}, "budget_price_unknown"),
        ({"width": 8}, "value_not_supported"),
        ({"seed": -2}, "seed_out_of_range"),
        ({"nonsense": 1}, "option_not_supported"),
        ({"filename": "../x.png"}, "path_outside"),
        ({"filename": "jobs/.x/y.png"}, "folder_hidden"),
        ({"prompt": " "}, "prompt_empty"),
    ],
    ids=lambda v: ascii(v)[:40],
)
def test_bad_input_is_refused_before_money(
    asked: dict[str, Any], key: str, maker: ImageGenerator, sandbox: Sandbox
) -> None:
    """By name; not one request leaves."""
    with pytest.raises(HoasiError) as refused:
        maker.generate_image(**{"prompt": "a fisherman", **asked})
    if key != "path_outside":
        assert refused.value.key == key
    else:
        assert isinstance(refused.value, PathRefused)
    assert sandbox.stats()["requests"] == []


# ---------------------------------------------------------------------- graphs


def test_a_graph_is_built_without_sending(styled: Path) -> None:
    """The spec's defaults; a style's words and values; the same call gives the same graph."""
    builder = WorkflowBuilder(styled)
    plain = builder.build_workflow("a kite", seed=7)
    assert plain["latent"]["inputs"] == {"width": 1360, "height": 768, "batch_size": 1}
    assert (plain["unet"]["inputs"]["unet_name"], plain["guid"]["inputs"]["guidance"]) == (
        "flux1-dev-fp8.safetensors",
        3.5,
    )
    assert (plain["sigmas"]["inputs"]["steps"], plain["sampler"]["inputs"]["sampler_name"]) == (20, "euler")
    assert not [node for node in plain.values() if "Lora" in node["class_type"]]
    dressed = builder.build_workflow("a kite", style_id="ink", model="mine", teacache=0.2)
    assert dressed["pos"]["inputs"]["text"].startswith("ink drawing of, a kite")
    assert dressed["unet"]["inputs"]["unet_name"] == "mine.safetensors"
    assert {node["class_type"] for node in dressed.values()} >= {"LoraLoader", "TeaCache"}
    assert builder.build_workflow("a kite") == builder.build_workflow("a kite")


def test_a_lora_stack_has_the_spec_s_order_and_strengths(styled: Path) -> None:
    """Style, characters, film: weight by factor, and the factors fall with the number of people."""
    rows = WorkflowBuilder(styled).build_lora_stack(
        "ink", ["an", ("binh", 1.0)], lora_weight=0.7, character_lora_strength=1.0, cine_lora_strength=0.5
    )
    assert [(row["name"], row["strength_model"]) for row in rows] == [
        ("ink.safetensors", 0.7), ("an.safetensors", 0.75),
        ("binh.safetensors", 0.75), ("FILM-V3-FLUX.safetensors", 0.425),
    ]  # fmt: skip
    assert WorkflowBuilder(styled).build_lora_stack() == []


@pytest.mark.parametrize(
    ("asked", "kind", "key"),
    [
        ({"character_loras": [f"p{k}" for k in range(11)]}, HoasiError, "too_many_loras"),
        ({"style_id": "unknown"}, NotFound, "style_unknown"),
        ({"workflow_name": "nobody"}, NotFound, "template_unknown"),
        ({"mask": "m.png"}, HoasiError, "template_slot_missing"),
        ({"sampler": "nobody"}, HoasiError, "graph_bad"),
        ({"width": 3}, HoasiError, "comfy_size_bad"),
    ],
    ids=lambda v: ascii(v)[:40],
)
def test_a_bad_graph_is_refused(asked: dict[str, Any], kind: type[HoasiError], key: str, styled: Path) -> None:
    """What no server would take is not built."""
    with pytest.raises(kind) as refused:
        WorkflowBuilder(styled).build_workflow("a kite", **asked)
    assert refused.value.key == key


def test_templates_of_ones_own(styled: Path) -> None:
    """A folder with a graph; what it has no slot for is named."""
    folder = styled / "graphs"
    folder.mkdir()
    house = template.load()
    (folder / "mine.json").write_text(json.dumps(house.graph), encoding="utf-8")
    (folder / "mine.toml").write_text('[slots]\nprompt = { kind = "text", at = { pos = "text" } }\n', encoding="utf-8")
    with pytest.raises(HoasiError) as refused:
        WorkflowBuilder(styled).build_workflow("a kite", workflow_name="mine", folder=folder)
    assert refused.value.key == "template_slot_missing"


def test_all_that_a_template_of_ones_own_makes_is_in_the_record(styled: Path, url: str, sandbox: Sandbox) -> None:
    """Its own size and steps stand where nobody said others, whether it has slots for them or not."""
    folder = styled / "graphs"
    folder.mkdir()
    own = json.loads(json.dumps(template.load().graph))
    own["latent"]["inputs"] |= {"width": 512, "height": 256}
    own["sigmas"]["inputs"]["steps"] = 7
    own["more"] = {"class_type": "SaveImage", "inputs": {"images": ["decode", 0], "filename_prefix": "more"}}
    (folder / "mine.json").write_text(json.dumps(own), encoding="utf-8")
    (folder / "mine.toml").write_text('[slots]\nprompt = { kind = "text", at = { pos = "text" } }\n', encoding="utf-8")
    maker = ImageGenerator(styled, environ={**environ(url), "HOASI_WORKFLOWS": str(folder)})
    made = maker.generate_image("a kite", template="mine")
    sent = graph(sandbox)
    assert (sent["latent"]["inputs"]["width"], sent["sigmas"]["inputs"]["steps"]) == (512, 7)
    assert (len(made["images"]), made["metadata"]["steps"]) == (2, None)
    assert base64.b64decode(made["images"][0]) == Path(made["saved_path"]).read_bytes()
    with pytest.raises(HoasiError) as refused:
        maker.generate_image("a kite", template="mine", steps=20)
    assert (refused.value.key, refused.value.facts["slot"]) == ("template_slot_missing", "steps")


# ---------------------------------------------------------------------- at the other doors


def plan_of(root: Path, url: str, **asked: Any) -> Any:
    async def planned() -> Any:
        async with Studio(root, environ={**environ(url), "HOASI_WORKFLOWS": str(root / "graphs")}) as studio:
            return await studio.plan(Ask.model_validate({"prompt": "a fisherman", **asked}))

    return anyio.run(planned)


def test_other_providers_get_the_words_and_say_so(styled: Path, url: str) -> None:
    """The pads are for everybody; that the LoRA is not used is a warning."""
    plan = plan_of(styled, url, provider="fal", style="ink")
    assert plan.items[0].prompt == "ink drawing of, a fisherman, inkwash, rice paper, high contrast"
    assert "ink" in " ".join(plan.warnings)
    assert "look" not in plan.items[0].parameters


def test_a_style_has_a_home_unless_a_job_or_a_folder_is_named(styled: Path, url: str) -> None:
    """Its pictures lie together."""
    assert plan_of(styled, url, provider="fal", style="ink").output_dir == FOLDER
    assert plan_of(styled, url, provider="fal", style="ink", output_dir="x").output_dir == "x"
    assert plan_of(styled, url, provider="fal", style="ink", job_id="job-1").output_dir.startswith("jobs/job-1")
    assert plan_of(styled, url, provider="fal", style="minimalist").output_dir == "outputs"


def test_the_house_s_styles_stay(styled: Path, url: str) -> None:
    """A name that the registry does not know is one of the house's, or nobody's; then both are offered."""
    plain = plan_of(styled, url, provider="fal", style="Minimalist").items[0]
    assert plain.prompt != "a fisherman"
    assert (plain.prompt.count("a fisherman"), plain.request.look) == (1, {})
    with pytest.raises(NotFound) as unknown:
        plan_of(styled, url, provider="fal", style="inkk")
    assert "ink" in unknown.value.facts["near"]
    assert "minimalist" in unknown.value.facts["near"]


def test_the_registry_comes_first(styled: Path, url: str) -> None:
    """A style of the workspace that is called like one of the house's is the workspace's."""
    rows = [{**INK, "title": "Minimalist"}]
    (styled / "resources" / "styles.json").write_text(json.dumps({"styles": rows}), encoding="utf-8")
    assert plan_of(styled, url, provider="fal", style="minimalist").items[0].prompt.startswith("ink drawing of")


def test_what_a_style_sets_is_part_of_the_request(styled: Path, url: str) -> None:
    """Another strength is another picture; another title is not."""
    before = plan_of(styled, url, provider="runpod", style="ink").items[0].fingerprint
    file = styled / "resources" / "styles.json"
    for change, is_other in (
        ({"title": "Other"}, False),
        ({"image_path": "x.png"}, False),
        ({"lora_weight": 0.5}, True),
    ):
        file.write_text(json.dumps({"styles": [{**INK, **change}]}), encoding="utf-8")
        assert (plan_of(styled, url, provider="runpod", style="ink").items[0].fingerprint != before) is is_other


def test_a_broken_registry_is_named(styled: Path, url: str) -> None:
    """Not silently without a style."""
    (styled / "resources" / "styles.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileBroken):
        plan_of(styled, url, provider="fal", style="ink")
    assert plan_of(styled, url, provider="fal").items


def test_without_a_registry_nothing_is_looked_up(workspace: Path) -> None:
    """Most workspaces have none."""
    assert looks.registered("minimalist", workspace) is None
    assert looks.home([None], workspace) is None


def test_a_template_without_a_place_for_loras_says_so(styled: Path, url: str) -> None:
    """The style's LoRA would be lost: refused before money, naming the template."""
    folder = styled / "graphs"
    folder.mkdir()
    (folder / "bare.json").write_text(json.dumps(template.load().graph), encoding="utf-8")
    slots = {"prompt": ("text", "pos", "text"), "seed": ("integer", "noise", "noise_seed")}
    slots |= {"filename_prefix": ("text", "save", "filename_prefix"), "batch_size": ("integer", "latent", "batch_size")}
    rows = [f'{key} = {{ kind = "{kind}", at = {{ {node} = "{at}" }} }}' for key, (kind, node, at) in slots.items()]
    (folder / "bare.toml").write_text("\n".join(["[slots]", *rows]), encoding="utf-8")
    request = {"prompt": "x", "provider": "runpod", "style": "ink", "options": {"template": "bare"}}
    with pytest.raises(HoasiError) as refused:
        plan_of(styled, url, prompt=None, requests=(request,))
    assert (refused.value.key, refused.value.facts["slot"]) == ("template_slot_missing", "loras")


def test_list_models_tells_the_styles(styled: Path) -> None:
    """Id and title of each; none where there is no registry."""
    assert looks.titles(styled) == {"ink": INK["title"]}
    (styled / "resources" / "styles.json").unlink()
    assert looks.titles(styled) == {}


def test_pictures_are_whole(maker: ImageGenerator) -> None:
    """What stands in the record is what lies on disk, and a picture."""
    made = maker.generate_image("a fisherman", "ink")
    with Image.open(made["saved_path"]) as image:
        assert image.format == "PNG"
    digits = hashlib.sha256(base64.b64decode(made["images"][0])).hexdigest()[:8]
    assert Path(made["saved_path"]).stem.endswith(digits)


# ---------------------------------------------------------------------- from pictures


@pytest.fixture
def sheets(styled: Path) -> Path:
    """A room, a mask of its size, a drawn pose; nobody is in them."""
    for name, size, colour in (("room", (320, 192), "blue"), ("mask", (320, 192), "white"), ("pose", (64, 64), "red")):
        Image.new("RGB", size, colour).save(styled / f"{name}.png")
    shutil.copy(Path(__file__).parent / "pictures" / "astronaut.jpg", styled / "lan.jpg")
    return styled


def sent(sandbox: Sandbox) -> dict[str, bytes]:
    """The pictures that travelled with the latest job, by the names under which its graph loads them."""
    rows = [*sandbox.runpod._jobs.values()][-1].body["images"]
    return {row["name"]: base64.b64decode(row["image"]) for row in rows}


def test_a_picture_is_made_from_another(maker: ImageGenerator, sheets: Path, sandbox: Sandbox) -> None:
    """In its size unless one is said, in a style, with LoRAs; the record is that of any picture."""
    asked: dict[str, Any] = {"image": "room.png", "denoise": 0.6, "no_faces": True, "character_loras": ["an"]}
    made = maker.generate_image("a fisherman", "ink", **asked)
    assert set(made) == {"request_id", "status", "images", "seed", "style_id", "saved_path", "metadata"}
    assert Path(made["saved_path"]).parent == sheets / FOLDER
    nodes = graph(sandbox)
    assert (nodes["scaled"]["inputs"]["width"], nodes["sigmas"]["inputs"]["denoise"]) == (320, 0.6)
    assert nodes["pos"]["inputs"]["text"].startswith("ink drawing of, a fisherman")
    assert sent(sandbox)[nodes["image"]["inputs"]["image"]] == (sheets / "room.png").read_bytes()
    maker.generate_image("a fisherman", width=640, height=384, image="room.png", no_faces=True)
    assert graph(sandbox)["scaled"]["inputs"]["width"] == 640


def test_only_what_a_mask_shows_is_painted(maker: ImageGenerator, sheets: Path, sandbox: Sandbox) -> None:
    """Both files travel; an equal call is not paid again; each prompt of a batch starts from the picture."""
    asked: dict[str, Any] = {"image": "room.png", "mask": "mask.png", "no_faces": True}
    first, second = maker.generate_image("a red lamp", **asked), maker.generate_image("a red lamp", **asked)
    assert (first, sandbox.stats()["submissions"]) == (second, 1)
    nodes = graph(sandbox)
    assert sent(sandbox)[nodes["mask"]["inputs"]["image"]] == (sheets / "mask.png").read_bytes()
    assert sent(sandbox)[nodes["image"]["inputs"]["image"]] == (sheets / "room.png").read_bytes()
    assert all(maker.generate_batch(["a green lamp", "a vase"], **asked))
    assert sandbox.stats()["submissions"] == 3


@pytest.mark.parametrize("name", ["control_image", "pose_image"])
def test_a_picture_guides(name: str, maker: ImageGenerator, sheets: Path, sandbox: Sandbox) -> None:
    """A drawn pose, or the photo that shows it; the new picture keeps the size of pictures."""
    asked: dict[str, Any] = {name: "pose.png", "control_net": "flux-union-pro-2.safetensors", "control_strength": 0.7}
    made = maker.generate_image("a dancer", no_faces=True, **asked)
    assert base64.b64decode(made["images"][0])[:4] == b"\x89PNG"
    nodes = graph(sandbox)
    assert sent(sandbox)[nodes["control_image"]["inputs"]["image"]] == (sheets / "pose.png").read_bytes()
    assert nodes["control"]["inputs"]["strength"] == 0.7
    assert (nodes["latent"]["inputs"]["width"], nodes["latent"]["inputs"]["height"]) == (1360, 768)
    assert ("DWPreprocessor" in {node["class_type"] for node in nodes.values()}) == (name == "pose_image")


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"mask": "mask.png"}, "styles_guides"),
        ({"mask": "mask.png", "pose_image": "pose.png"}, "styles_guides"),
        ({"image": "room.png", "control_image": "pose.png"}, "styles_guides"),
        ({"image": "room.png", "mask": "pose.png"}, "mask_size"),
        ({"image": "nothing.png"}, "reference_missing"),
        ({"image": "lan.jpg", "no_faces": False}, "consent_missing"),
        ({"pose_image": "pose.png"}, "template_value_missing"),
        ({"image": "room.png", "provider": "fal"}, "model_unknown"),
    ],
    ids=lambda v: ascii(v)[:60],
)
def test_pictures_that_cannot_be_are_refused_before_money(
    asked: dict[str, Any], key: str, maker: ImageGenerator, sheets: Path, sandbox: Sandbox
) -> None:
    """Two purposes, a mask alone or of another size, a face without a word, a pose without its network, ..."""
    with pytest.raises(HoasiError) as refused:
        maker.generate_image("a fisherman", **{"no_faces": True, **asked})
    assert (refused.value.key, refused.value.paid, sandbox.stats()["requests"]) == (key, "no", [])
