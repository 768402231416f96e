"""`hoasi edit` with a mask, LoRAs and a model's own options; the same asked of a studio."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from typer.testing import CliRunner

from hoasi import Ask, Studio
from hoasi.cli.app import app
from hoasi.errors import HoasiError
from hoasi.ledger import Ledger
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.workflows import PRESETS

SIZE = (320, 192)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.05, pictures="tiny", comfyui_loras=("an.safetensors", "FILM-V3-FLUX.safetensors"))


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox, in a thread: the command line has its own loop."""
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.fixture
def shelf(workspace: Path) -> Path:
    """A room, a mask of its size, one of another."""
    Image.new("RGB", SIZE, "blue").save(workspace / "room.png")
    Image.new("RGB", SIZE, "white").save(workspace / "mask.png")
    Image.new("RGB", (192, 320), "white").save(workspace / "tall.png")
    return workspace


def environ(url: str) -> dict[str, str]:
    keys = {"FAL_KEY": "id-5f3c9a:secret-7d1e2b", "KLING_API_KEY": "api-key-1234567", "OPENAI_API_KEY": "sk-1234567"}
    return {
        **keys,
        "HOASI_OPENAI_URL": url,
        "HOASI_COMFYUI_URL": f"{url}/comfyui",
        "HOASI_COMFYUI_LORA_SHAPE": "chain",
    }


def hoasi(root: Path, url: str, words: str) -> dict[str, Any]:
    """The one JSON object that a command answers, and its exit code."""
    line = [*shlex.split(words), "--workspace", str(root), "--json", "--lang", "en"]
    result = CliRunner().invoke(app, line, env=environ(url))
    told: dict[str, Any] = json.loads(result.stdout)
    return {**told, "code": result.exit_code}


def graph(sandbox: Sandbox) -> dict[str, Any]:
    """The graph of the only run."""
    (entry,) = sandbox.comfyui.history.values()
    made: dict[str, Any] = entry["prompt"][2]
    return made


def test_only_what_a_mask_shows_is_repainted(shelf: Path, url: str, sandbox: Sandbox) -> None:
    """Picture and mask are uploaded, LoRAs and options stand in the graph; a rerun sends nothing."""
    words = "edit room.png --prompt 'a red lamp' --mask mask.png --provider comfyui --no-faces"
    words += " --lora an:0.5 --film-lora FILM-V3-FLUX:0.6 --option denoise=0.7"
    first, again = hoasi(shelf, url, words), hoasi(shelf, url, words)
    assert (first["code"], first["generations"][0]["model"]) == (0, "comfyui/flux-dev/inpaint"), first
    made = graph(sandbox)
    names = [node["inputs"]["lora_name"] for node in made.values() if node["class_type"] == "LoraLoader"]
    assert names == ["an.safetensors", "FILM-V3-FLUX.safetensors"]
    assert made["sigmas"]["inputs"]["denoise"] == 0.7
    assert made["mask"]["inputs"]["image"] != made["image"]["inputs"]["image"]
    assert sandbox.stats()["uploads"] == 2
    assert again["generations"][0]["state"] == "skipped_existing"


MASKED = [
    ("skin_enhance", ("room.png",), "", "comfyui"),
    ("outfit_swap", ("room.png", "mask.png"), "", "openai"),
    ("relight", ("room.png",), "--keep-background --choice neon", "comfyui"),
]


@pytest.mark.parametrize(("preset", "pictures", "more", "maker"), MASKED)
def test_a_preset_that_changes_a_picture_takes_a_mask(
    shelf: Path, url: str, sandbox: Sandbox, preset: str, pictures: tuple[str, ...], more: str, maker: str
) -> None:
    """It goes to a model that paints inside masks, first of all inputs; the words are the preset's."""
    words = f"edit {' '.join(pictures)} --preset {preset} {more} --mask mask.png --provider {maker} --no-faces"
    told = hoasi(shelf, url, words)
    assert (told["code"], told["generations"][0]["state"]) == (0, "succeeded"), told
    with closing(Ledger(shelf / ".hoasi" / "ledger.db")) as ledger:
        (made,) = ledger.get([told["generations"][0]["id"]])
    assert [item.role for item in made.planned.inputs] == ["mask", *["reference"] * len(pictures)]
    assert (made.planned.provider, made.planned.operation) == (maker, "edit_image")


WRONG = [
    ("edit room.png --prompt x --mask tall.png --provider comfyui", "mask_size", "tall.png"),
    ("edit room.png --prompt x --mask mask.png --provider fal", "mask_not_taken", "openai: "),
    ("edit room.png --preset outfit_shot --mask mask.png", "preset_mask", "skin_enhance, relight, outfit_swap"),
    ("edit room.png --preset ai_stylist --mask mask.png", "preset_mask", "stability: stable-image/edit/inpaint"),
    ("edit room.png --preset relight --mask mask.png", "video_needs", "keep_background"),
    ("edit room.png --preset relight --keep-background --mask mask.png --provider fal", "mask_not_taken", "openai: "),
    ("edit room.png --prompt x --provider comfyui --option stepz=3", "option_not_supported", "stepz"),
    ("edit room.png --prompt x --provider comfyui --option stepz", "option_not_said", "stepz"),
    ("edit room.png --prompt x --provider fal --lora an", "parameter_not_supported", "loras"),
]


@pytest.mark.parametrize(("words", "key", "word"), WRONG, ids=[words for words, _, _ in WRONG])
def test_what_does_not_fit_is_refused_unpaid(
    shelf: Path, url: str, sandbox: Sandbox, words: str, key: str, word: str
) -> None:
    """Exit 2, the field and the fix; nothing was sent."""
    told = hoasi(shelf, url, words)
    assert (told["code"], told["error"]["key"], told["error"]["paid"]) == (2, key, "no"), told
    assert word in f"{told['error']['message']} {told['error']['fix']}"
    assert told["error"]["fix"]
    assert sandbox.stats()["requests"] == []


@pytest.mark.parametrize(("mode", "usd"), [("std", 0.42), ("4k", 2.1)])
def test_kling_has_a_third_mode(shelf: Path, url: str, mode: str, usd: float) -> None:
    """4k, at its own price."""
    told = hoasi(shelf, url, f"video --prompt kite --model kling-v3 --mode {mode} --dry-run")
    assert (told["code"], told["estimate_usd"]) == (0, usd), told


# ---------------------------------------------------------------------- the same in Python


def asked(root: Path, url: str, **more: Any) -> Any:
    """A call of a studio, made."""

    async def made() -> Any:
        async with Studio(root, environ={"HOASI_COMFYUI_URL": f"{url}/comfyui"}) as studio:
            ask = {"prompt": "a red lamp", "provider": "comfyui", "no_faces": True, **more}
            return await studio.generate(Ask.model_validate(ask))

    return anyio.run(made)


def test_a_prompt_with_a_mask_is_an_edit(shelf: Path, url: str, sandbox: Sandbox) -> None:
    """Of the first of its references."""
    (entry,) = asked(shelf, url, references=("room.png",), mask="mask.png").generations
    assert (entry.state, entry.model) == ("succeeded", "comfyui/flux-dev/inpaint")
    assert graph(sandbox)["mask"]["inputs"]["image"] != graph(sandbox)["image"]["inputs"]["image"]


def test_a_mask_needs_a_picture(shelf: Path, url: str, sandbox: Sandbox) -> None:
    """Else there is nothing that it could lie over."""
    with pytest.raises(HoasiError) as refused:
        asked(shelf, url, mask="mask.png")
    assert (refused.value.key, refused.value.paid, sandbox.stats()["requests"]) == ("mask_alone", "no", [])


def test_the_help_names_every_preset() -> None:
    """In both languages."""
    for lang in ("vi", "en"):
        said = CliRunner().invoke(app, ["edit", "--help", "--lang", lang], env={"COLUMNS": "400"}).stdout
        listed = said.partition("--preset")[2].partition("--choice")[0]
        assert [name for name in PRESETS if name not in listed] == []
