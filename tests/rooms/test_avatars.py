"""Avatars and relight: the words that are sent, which angle a prompt means, what the store holds, the commands."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from calls import content, fal_environ, fault, person
from hoasi import Ask, Studio, avatars
from hoasi.cli.app import app
from hoasi.errors import FileBroken, NotFound, PathRefused, WrongInput
from hoasi.messages import speak
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.settings import read
from hoasi.wearing import angle_of, worn_by
from hoasi.workflows import AvatarAngles, CreateAvatar, EditImage, Relight, editing

PICTURES = Path(__file__).parent / "pictures"
ROOM = Path(__file__).parents[2]
LIGHTS = {
    "natural": "natural daylight, soft ambient lighting",
    "studio": "professional studio lighting, clean white background",
    "golden_hour": "warm golden hour sunlight, soft warm tones",
    "dramatic": "dramatic moody lighting, strong contrast, dark atmosphere",
    "neon": "neon lighting, colorful neon glow, cyberpunk atmosphere",
    "soft": "soft diffused lighting, beauty lighting, gentle shadows",
}
STABILITY, FAL, OMNI = (
    "edit/replace-background-and-relight",
    "fal-ai/image-apps-v2/relighting",
    "kling/images/omni-image",
)


@pytest.fixture(autouse=True)
def in_vietnamese() -> None:
    speak("vi")


# ---------------------------------------------------------------------- relight: words


@pytest.mark.parametrize("light", LIGHTS)
def test_a_light_is_its_words(light: str) -> None:
    """The product's own words, to the letter; PNG; the subject kept at 0.7; without a direction no strength."""
    (request,) = Relight(images=("a.jpg",), lighting=light).requests()
    assert (request.operation, request.prompt, request.output_format) == ("relight", LIGHTS[light], "png")
    assert request.options == {"preserve_original_subject": 0.7}
    assert any("phông nền" in note for note in request.notes)


@pytest.mark.parametrize(
    ("direction", "intensity", "sent", "strength", "is_lossy"),
    [
        ("left", None, "left", 0.7, False),
        ("below", 50.0, "below", 0.35, False),
        ("right", 0.0, "right", 0.0, False),
        ("top", None, "above", 0.7, True),
    ],
)
def test_a_direction_is_as_the_api_has_it(
    direction: str, intensity: float | None, sent: str, strength: float, *, is_lossy: bool
) -> None:
    """0.7 times the intensity; what there is not is taken for the nearest, and said."""
    (request,) = Relight(images=("a.jpg",), direction=direction, intensity=intensity).requests()
    said = request.options
    assert (said["light_source_direction"], said["light_source_strength"]) == (sent, strength)
    assert any(direction in note and "above" in note for note in request.notes) == is_lossy


@pytest.mark.parametrize(("value", "is_kept"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_a_background_that_the_model_keeps_is_not_said_to_be_replaced(value: bool | str, *, is_kept: bool) -> None:
    """Stability's own option, from a tool or a command line: no other background is asked for, and none announced."""
    options = {"keep_original_background": value}
    work = editing("relight", {"images": ("a.jpg",), "choices": ("studio",), "options": options})
    (request,) = work.requests()
    assert ("background" in request.prompt) == (not is_kept)
    assert any("phông nền" in note for note in request.notes) == (not is_kept)
    assert (request.operation, request.options) == ("relight", {"preserve_original_subject": 0.7, **options})


@pytest.mark.parametrize("given", [{}, {"keep_background": True, "provider": "stability"}], ids=["new", "kept"])
@pytest.mark.parametrize(
    ("direction", "words"), [("front", "light coming from the front"), ("back", "light coming from behind")]
)
def test_a_direction_that_the_api_has_not_is_said_in_words(direction: str, words: str, given: dict[str, Any]) -> None:
    """From the front is not from above: no direction is sent then, hence no strength, and the reply says so."""
    work = Relight(images=("a.jpg",), lighting="neon", direction=direction, intensity=20, prompt="a sofa", **given)
    (request,) = work.requests()
    assert request.prompt == f"{LIGHTS['neon']}, {words}, very subtle effect, a sofa"
    assert not {"light_source_direction", "light_source_strength"} & request.options.keys()
    assert any(direction in note for note in request.notes)


def test_a_flat_call_says_it_by_choices() -> None:
    """Light, direction, intensity and the background are told apart by themselves; two of a kind are refused."""
    flat = editing("relight", {"images": ("a.jpg",), "choices": ("neon", "left", "60", "keep_background")})
    typed = Relight(images=("a.jpg",), lighting="neon", direction="left", intensity=60, keep_background=True)
    assert flat == typed
    with pytest.raises(WrongInput) as twice:
        editing("relight", {"images": ("a.jpg",), "choices": ("neon", "soft")})
    assert twice.value.key == "edit_choices"


@pytest.mark.parametrize(
    "given",
    [{"lighting": "disco"}, {"direction": "behind"}, {"intensity": 101.0, "direction": "left"}, {"intensity": 30.0}],
)
def test_what_a_light_cannot_be_is_refused(given: dict[str, Any]) -> None:
    """Before anything is paid."""
    with pytest.raises(WrongInput):
        Relight(images=("a.jpg",), **given).requests()


# ---------------------------------------------------------------------- relight: who makes it


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Small pictures, but none below the 300 px that Kling takes; it is looked at often."""
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_SIDE", 420)
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_LONGEST", 1000)
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)
    return Sandbox(latency_s=0.05, pictures="tiny")


@pytest.fixture
def environ(fal: str, workspace: Path) -> dict[str, str]:
    """Keys of everybody; a picture of nobody."""
    (workspace / "cup.jpg").write_bytes((PICTURES / "coffee.jpg").read_bytes())
    keys = {"STABILITY_API_KEY": "sk-1234567", "KLING_API_KEY": "kling-5f3c9a-key"}
    return fal_environ(fal, HOASI_STABILITY_URL=fal, HOASI_KLING_URL=f"{fal}/kling", **keys)


KEEP = {"keep_background": True}
ROUTES: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({}, (), "stability"),
    ({"direction": "left", "intensity": 40.0}, (), "stability"),
    (KEEP, (), "fal"),
    ({**KEEP, "direction": "left"}, (), "kept"),
    ({**KEEP, "prompt": "warmer"}, (), "kept"),
    ({**KEEP, "provider": "stability"}, (), "kept"),
    (KEEP, ("FAL_KEY",), "kept"),
    (KEEP, ("FAL_KEY", "KLING_API_KEY"), "kept"),
    ({**KEEP, "direction": "left"}, ("STABILITY_API_KEY",), "words"),
    ({**KEEP, "prompt": "warmer", "provider": "kling"}, (), "words"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("given", "without", "who"), ROUTES)
async def test_a_light_is_made_by_who_can(
    given: dict[str, Any], without: tuple[str, ...], who: str, workspace: Path, environ: dict[str, str]
) -> None:
    """A new background: Stability. The old one: fal's styles; for what these cannot be told Stability again, which is
    told to keep it; else an edit by words."""
    work = Relight(images=("cup.jpg",), lighting="dramatic", **given)
    async with Studio(workspace, environ={k: v for k, v in environ.items() if k not in without}) as studio:
        reply = await studio.generate(Ask(requests=work.requests()))
        (entry,) = reply.generations
        (made,) = studio.generations([entry.id])
    assert entry.state == "succeeded", entry.error
    if who == "words":
        assert made.planned.operation == "edit_image"
        assert "dramatic moody lighting" in made.planned.prompt
        assert "keep the background" in made.planned.prompt
    else:
        assert (entry.provider, made.planned.operation) == ("stability" if who == "kept" else who, "relight")
    assert any("phông nền" in note for note in reply.warnings) == (who == "stability")
    assert all(note.count("không làm relight") < 2 for note in reply.warnings)
    if entry.provider == "stability":
        assert made.planned.parameters["keep_original_background"] == (who == "kept")
        assert "light_source_direction" in made.planned.parameters or "direction" not in given
    if who == "fal":
        assert made.planned.parameters["lighting_style"] == "dramatic"


# ---------------------------------------------------------------------- words of an avatar


def test_the_prompts_are_the_products_own() -> None:
    """Photos are named as each engine does it; nothing else stands between the words."""
    (request,) = CreateAvatar(avatar_id="lan", photos=("a", "b", "c")).requests()
    (other,) = request.otherwise
    assert request.prompt.startswith("[1] 摄影风格与媒介（最高权重） 纪实风格35mm胶片摄影，参考图1、图2、图3中的人物。")  # noqa: RUF001
    assert request.prompt.endswith("[5] 背景：纯白高调影棚，浅景深，自然阴影。")  # noqa: RUF001
    assert "person in <<<image_1>>> and <<<image_2>>> and <<<image_3>>>. RAW photo" in other.prompt
    assert (request.fixed_name, request.num_images, request.scope) == ("confirm", 4, "avatar")


def test_the_angles_are_three_requests() -> None:
    """Each with its own name and words, of the chosen portrait."""
    requests = AvatarAngles(avatar_id="lan").requests()
    assert [request.fixed_name for request in requests] == [f"angle_{key}" for key in avatars.angles()]
    assert requests[1].prompt.startswith("Same person, right profile view showing side of face, natural window light")
    assert {request.avatar for request in requests} == {"lan#front"}
    assert {request.avatar for request in AvatarAngles(avatar_id="lan", portrait=3).requests()} == {"lan#3"}


@pytest.mark.parametrize(
    ("prompt", "angle"),
    [
        ("a woman in profile at a window", "profile_right"),
        ("Side view of her walking", "profile_right"),
        ("cô ấy nhìn nghiêng", "profile_right"),
        ("a three-quarter profile portrait", "three_quarter_left"),
        ("góc ba phần tư, ánh sáng dịu", "three_quarter_left"),
        ("hơi nghiêng sang trái", "three_quarter_left"),
        ("seen FROM ABOVE in a crowd", "slight_above"),
        ("chụp từ trên xuống", "slight_above"),
        ("by the side of the river", "front"),
        ("profiles of mountains", "front"),
        ("uống trà buổi sáng", "front"),
        ("nghie\u0302ng", "profile_right"),
        ("", "front"),
    ],
)
def test_words_pick_the_angle(prompt: str, angle: str) -> None:
    """Whole words, in either language and either Unicode form; the first angle of the list wins."""
    assert angle_of(prompt) == angle


# ---------------------------------------------------------------------- the store


@pytest.mark.parametrize("name", ["", "Lan", "../lan", "lan/b", "Lan Anh", "lan.b", "x" * 61])
def test_a_name_is_plain(workspace: Path, name: str) -> None:
    """What could leave the folder, or be two folders elsewhere, is no name; the refusal has a good one."""
    with pytest.raises(PathRefused) as refused:
        avatars.folder(workspace, name)
    assert re.fullmatch(r"[a-z0-9_-]+", refused.value.facts["near"])


def test_an_avatar_that_is_not_there_names_the_nearest(workspace: Path) -> None:
    """Unknown, and known but without a chosen portrait, are told apart."""
    (workspace / "avatars" / "lan").mkdir(parents=True)
    with pytest.raises(NotFound) as unknown:
        avatars.load(workspace, "lam")
    (workspace / "avatars" / "lan" / "confirm_2.png").write_bytes(b"")
    with pytest.raises(NotFound) as waiting:
        avatars.load(workspace, "lan")
    assert (unknown.value.key, unknown.value.facts["near"]) == ("avatar_unknown", "lan")
    assert (waiting.value.key, waiting.value.facts["numbers"]) == ("avatar_not_chosen", "2")


def test_a_broken_file_says_where(workspace: Path) -> None:
    """It is not guessed at."""
    place = workspace / "avatars" / "lan"
    place.mkdir(parents=True)
    for text, where in (("id = ", "TOML"), ('id = "lan"', "created_at")):
        (place / "avatar.toml").write_text(text, encoding="utf-8")
        with pytest.raises(FileBroken) as broken:
            avatars.load(workspace, "lan")
        assert broken.value.facts["where"] == where


def test_only_what_we_made_can_be_chosen(workspace: Path) -> None:
    """A picture under a portrait's name that no generation knows is refused."""
    person(workspace / "avatars" / "lan" / "confirm_1.png")
    with pytest.raises(WrongInput) as refused:
        avatars.confirm(read(workspace), "lan", 1, Studio(workspace).generations, at="2026-11-27T08:00:00+07:00")
    assert refused.value.key == "avatar_foreign"
    assert not (workspace / "avatars" / "lan" / "avatar.toml").exists()


# ---------------------------------------------------------------------- commands


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox in a thread of its own: commands have their own loop."""
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.fixture
def env(url: str, workspace: Path) -> dict[str, str]:
    """Ark and Kling; one photo."""
    person(workspace / "lan.png")
    keys = {"ARK_API_KEY": "ark-5f3c9a-key", "KLING_API_KEY": "kling-5f3c9a-key"}
    return {**keys, "HOASI_ARK_URL": url, "HOASI_KLING_URL": f"{url}/kling"}


def hoasi(root: Path, words: str, env: dict[str, str], code: int = 0) -> dict[str, Any]:
    result: Result = CliRunner().invoke(app, [*shlex.split(words), "--workspace", str(root), "--json"], env=env)
    assert result.exit_code == code, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_the_commands_make_an_avatar(workspace: Path, env: dict[str, str], sandbox: Sandbox) -> None:
    """create, confirm, angles, list, show: each says what comes next; the file holds what was told."""
    made = hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    assert "ark (doubao-seedream-4-0-250828)" in made["message"]
    assert "hoasi avatar confirm lan" in made["next"]
    assert "hoasi avatar angles lan" in hoasi(workspace, "avatar confirm lan 2", env)["next"]
    assert len(hoasi(workspace, "avatar angles lan", env)["generations"]) == 3
    (listed,) = hoasi(workspace, "avatar list", env)["avatars"]
    shown = hoasi(workspace, "avatar show lan", env)
    assert (listed["id"], shown["number"], shown["missing"]) == ("lan", 2, [])
    written = tomllib.loads((workspace / "avatars/lan/avatar.toml").read_text(encoding="utf-8"))
    assert written["engine"] == {"provider": "ark", "model": "doubao-seedream-4-0-250828"}
    assert (written["consent"], written["photos"][0]["path"]) == ("consent.toml", "lan.png")
    assert sorted(written["angles"]) == sorted(avatars.angles())
    assert content(workspace / "avatars/lan/portrait.png") == content(workspace / "avatars/lan/confirm_2.png")
    again = hoasi(workspace, "avatar angles lan", env)
    assert {entry["state"] for entry in again["generations"]} == {"skipped_existing"}
    assert sandbox.stats()["submissions"] == 4


def test_the_file_is_as_its_schema_says(workspace: Path, env: dict[str, str]) -> None:
    """Chosen, and with its angles; every key that can be written is in the schema, and no angle is forgotten."""
    schema = json.loads((ROOM / "schemas" / "avatar.schema.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]) == set(avatars.Avatar.model_fields)
    assert set(schema["$defs"]["picture"]["properties"]) == set(avatars.Picture.model_fields)
    assert list(schema["properties"]["angles"]["properties"]) == list(avatars.angles())
    hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    file = workspace / "avatars" / "lan" / "avatar.toml"
    for words in ("avatar confirm lan 2", "avatar angles lan"):
        hoasi(workspace, words, env)
        jsonschema.validate(tomllib.loads(file.read_text(encoding="utf-8")), schema)
    assert set(tomllib.loads(file.read_text(encoding="utf-8"))) == set(schema["properties"])


def test_what_people_write_into_the_file_stays(workspace: Path, env: dict[str, str]) -> None:
    """A comment and a key of theirs survive the next choice."""
    hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    hoasi(workspace, "avatar confirm lan 2", env)
    path = workspace / "avatars/lan/avatar.toml"
    path.write_text(f'nickname = "Lan Anh"  # của tôi\n{path.read_text(encoding="utf-8")}', encoding="utf-8")
    hoasi(workspace, "avatar confirm lan 3", env)
    text = path.read_text(encoding="utf-8")
    assert 'nickname = "Lan Anh"  # của tôi' in text
    assert tomllib.loads(text)["number"] == 3


def test_a_portrait_that_was_changed_is_refused(workspace: Path, env: dict[str, str]) -> None:
    """It names its generation, but is not what that made; made again for nothing, it can be chosen."""
    hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    path = workspace / "avatars/lan/confirm_2.png"
    path.write_bytes(content(path) + b"?")
    assert hoasi(workspace, "avatar confirm lan 2", env, code=2)["error"]["key"] == "avatar_foreign"
    assert hoasi(workspace, "avatar create lan lan.png", env)["generations"][0]["state"] == "skipped_existing"
    assert hoasi(workspace, "avatar confirm lan 2", env)["number"] == 2


def test_an_angle_that_failed_is_an_exit_code(workspace: Path, env: dict[str, str], sandbox: Sandbox) -> None:
    """One of three is missing: named, exit code 1, and the two are in the file."""
    hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    hoasi(workspace, "avatar confirm lan 1", env)
    sandbox.faults.add(fault("status", "completed_error", model="kling/images/generations", value="internal error"))
    told = hoasi(workspace, "avatar angles lan", env, code=1)
    missing = hoasi(workspace, "avatar show lan", env)["missing"]
    assert len(missing) == 1
    assert any(missing[0] in note for note in told["warnings"])


def test_an_avatar_is_an_option(workspace: Path, env: dict[str, str]) -> None:
    """`generate --avatar` and `edit --avatar`, and relight's own options; zero is a value."""
    hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    hoasi(workspace, "avatar confirm lan 1", env)
    seen = hoasi(workspace, "generate --prompt tea --avatar lan --provider kling --dry-run", env)
    assert seen["estimate_usd"] == pytest.approx(0.028)
    (workspace / "cup.jpg").write_bytes((PICTURES / "coffee.jpg").read_bytes())
    hoasi(workspace, "edit cup.jpg --prompt '<<<image_1>>>' --avatar lan --provider kling --dry-run", env)
    light = "edit cup.jpg --preset relight --choice neon --direction left --intensity 0 --dry-run"
    assert hoasi(workspace, light, {"STABILITY_API_KEY": "sk-1234567"})["estimate_usd"] == pytest.approx(0.08)
    refused = hoasi(workspace, "edit cup.jpg --preset relight --intensity 0 --dry-run", env, code=2)
    assert refused["error"]["key"] == "video_needs"


def test_a_mask_is_no_picture_that_a_prompt_counts(workspace: Path, env: dict[str, str]) -> None:
    """An avatar's pictures are numbered behind the edit's own; the mask lies over the first and has no number."""
    hoasi(workspace, "avatar create lan lan.png --consent 'Lan đồng ý'", env)
    hoasi(workspace, "avatar confirm lan 2", env)
    words = "<<<avatar>>> in <<<image_1>>>"
    edit = EditImage(images=("room.png",), mask="mask.png", prompt=words, avatar="lan")
    (worn,), _ = worn_by(edit.requests(), workspace)
    assert (worn.prompt, len(worn.references)) == ("<<<image_2>>> in <<<image_1>>>", 2)


def test_a_command_that_keeps_the_background_does_not_say_it_goes(workspace: Path, env: dict[str, str]) -> None:
    """The option of the model counts as the model's own word."""
    keys = {**env, "STABILITY_API_KEY": "sk-1234567"}
    words = "edit lan.png --preset relight --choice studio --dry-run"
    plain, kept = (hoasi(workspace, f"{words}{more}", keys) for more in ("", " --option keep_original_background=true"))
    assert [any("phông nền" in note for note in told["warnings"]) for told in (plain, kept)] == [True, False]
