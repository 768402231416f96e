"""Workflows: typed calls become requests; the words that are sent are the product's own, to the letter."""

from __future__ import annotations

from typing import Any

import pytest

from hoasi.catalogue import every_card, load
from hoasi.errors import NotSupported, WrongInput
from hoasi.given import Given, Input
from hoasi.planning import Site, plan_request
from hoasi.records import Planned, Request
from hoasi.workflows import PRESETS, EditImage, ExtendVideo, GenerateVideo, LipSync, OutfitShot, SwapFace, editing
from hoasi.workflows.skin_enhance import blended

SWAP = (
    "Keep the scene, composition, pose, clothing, hairstyle, and background of <<<image_1>>> completely unchanged. "
    "Replace ONLY the face of the person in <<<image_1>>> with the face from <<<image_2>>>. Maintain consistent "
    "lighting, natural skin texture, realistic facial details, and seamless blending. Preserve the original head "
    "angle, expression intensity, and shadow direction. The result must look like a real unedited photograph with no "
    "artifacts or uncanny valley effect."
)
SITE = Site(job_id="", output_dir="out")
MOVES = (
    "The person makes subtle natural movements, gentle blinking, slight head turns, and a soft smile. Realistic and "
    "lifelike motion with natural breathing."
)
NATURAL = "enhance skin texture, subtle skin smoothing, keep natural look, high quality portrait"
MODERATE = "skin retouching, smooth skin, remove blemishes, bright and clear complexion, portrait photography"
MAX = "perfect skin, flawless complexion, professional beauty retouching, studio quality skin, magazine cover"


def swap(**more: Any) -> tuple[Request, ...]:
    return SwapFace(source="a.jpg", face="b.jpg", **more).requests()


def clip(**more: Any) -> Request:
    (request,) = GenerateVideo(**more).requests()
    return request


def prompt_of(preset: str, *images: str, **more: Any) -> str:
    (request,) = editing(preset, {"images": images or ("a.jpg",), **more}).requests()
    return request.prompt


# ---------------------------------------------------------------------- swap


def test_a_swap_is_one_request_with_the_whole_prompt() -> None:
    """Source and face in their order, 2k, the default words; nothing else is set."""
    (request,) = swap()
    assert (request.operation, request.prompt, request.resolution) == ("swap_face", SWAP, None)
    assert request.prefers == {"resolution": "2k"}
    assert request.inputs == (Given(role="source", written="a.jpg"), Given(role="face", written="b.jpg"))
    assert (request.options, request.provider, request.num_images) == ({}, None, 1)


def test_a_wish_follows_the_default_words() -> None:
    """The wish is added, never put in their place; the face that is meant is passed on, 0 too."""
    (request,) = swap(prompt="  keep the glasses\n", face_index=0, scene_id="SC_01")
    assert request.prompt == f"{SWAP} Additional requirements: keep the glasses"
    assert request.options == {"face_index": 0}
    assert (request.scene.id, request.scene.visual_intent) == ("SC_01", "keep the glasses")


def test_the_clip_waits_for_the_swap() -> None:
    """`animate` adds a clip of 5 s whose first frame is promised by the swap; the seed is the swap's alone."""
    picture, moving = swap(animate=True, seed=3, scene_id="SC_01")
    assert (moving.operation, moving.prompt, moving.options) == ("image_to_video", MOVES, {"duration_s": 5})
    assert moving.inputs == (Given(role="first_frame", of=0),)
    assert (picture.seed, moving.seed, moving.model, moving.scene.id) == (3, None, None, "SC_01")


@pytest.mark.parametrize(
    ("named", "provider", "model", "mode"),
    [
        ({}, None, None, None),
        ({"provider": "auto"}, "auto", None, None),
        ({"provider": "fal", "model": "fal-ai/nano-banana-pro/edit"}, "fal", None, None),
        ({"provider": "local"}, "local", None, None),
        ({"provider": "kling"}, "kling", "kling-video-o1", "std"),
    ],
)
def test_the_clip_is_made_by_who_makes_the_swap(
    named: dict[str, str], provider: str | None, model: str | None, mode: str | None
) -> None:
    """The clip follows the named provider, with Kling's own model there; never with the picture's model."""
    _, moving = swap(animate=True, resolution="1k", **named)
    assert (moving.provider, moving.model, moving.options.get("mode")) == (provider, model, mode)


@pytest.mark.parametrize(
    ("model", "resolution"),
    [("fal-ai/nano-banana-pro/edit", "2K"), ("kling-image-o1/omni-image", "2k"), ("local/swap-preview", None)],
)
def test_2k_is_wished_only_where_there_is_a_choice(model: str, resolution: str | None) -> None:
    """A default never makes a model refuse; it is sent as the model writes it."""
    card = next(card for card in every_card() if card.id == model)
    (request,) = swap(provider=card.provider, model=model)
    (planned,) = plan_request(request, load(card.provider), [read("source"), read("face")], SITE, request.prompt)
    assert planned.parameters.get("resolution") == resolution


def test_what_was_asked_for_stays_asked() -> None:
    """Where a model has no such choice it is refused, not dropped."""
    (request,) = swap(provider="local", resolution="4k")
    with pytest.raises(NotSupported):
        plan_request(request, load("local"), [read("source"), read("face")], SITE, request.prompt)


def read(role: str) -> Input:
    return Input(
        written=f"{role}.jpg", path=f"{role}.jpg", sha256=role.encode().hex() * 4, media_type="image/jpeg",
        size_bytes=9, width=800, height=600, role=role, faces=1, boxes=((0, 0, 400, 400),), face_sides=(200,),
    )  # fmt: skip


def planned(request: Request, model: str) -> Planned:
    """Planned for a model of fal."""
    inputs = [read(given.role) for given in request.given]
    asked = request.model_copy(update={"model": model})
    return plan_request(asked, load("fal"), inputs, SITE, request.prompt)[0]


@pytest.mark.parametrize("written", ["2k", "2K", " 2K "])
def test_a_resolution_is_sent_as_the_model_writes_it(written: str) -> None:
    """2k and 2K are the same wish, the same words on the wire, the same purchase."""
    plan = planned(swap(resolution=written)[0], "fal-ai/nano-banana-pro/edit")
    assert plan.parameters["resolution"] == "2K"
    assert plan.fingerprint == planned(swap(resolution="2K")[0], "fal-ai/nano-banana-pro/edit").fingerprint


def test_a_resolution_that_does_not_exist_is_still_refused() -> None:
    """Only the spelling is free."""
    with pytest.raises(WrongInput, match="value_not_supported"):
        planned(swap(resolution="9k")[0], "fal-ai/nano-banana-pro/edit")


# ---------------------------------------------------------------------- clips

MEANT: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"prompt": "a kite"}, "text_to_video", []),
    ({"first_frame": "a.jpg"}, "image_to_video", ["first_frame"]),
    ({"first_frame": "a.jpg", "last_frame": "b.jpg"}, "image_to_video", ["first_frame", "last_frame"]),
    ({"references": ("a.jpg", "b.jpg")}, "reference_to_video", ["reference", "reference"]),
    ({"references": ("a.jpg",), "first_frame": "b.jpg"}, "reference_to_video", ["first_frame", "reference"]),
    ({"references": ("a.jpg",), "motion_video": "m.mp4"}, "motion_control", ["video", "reference"]),
]


@pytest.mark.parametrize(("given", "operation", "roles"), MEANT, ids=[" ".join(given) for given, _, _ in MEANT])
def test_what_is_given_says_what_is_made(given: dict[str, Any], operation: str, roles: list[str]) -> None:
    """The operation is derived, never a parameter of its own."""
    request = clip(**given)
    assert (request.operation, [item.role for item in request.given]) == (operation, roles)


def test_only_what_was_said_is_set() -> None:
    """None is not sent, zero and False are; the card's own defaults hold for the rest."""
    assert clip(prompt="x").options == {}
    said = {"duration_s": 10, "mode": "pro", "sound": False, "cfg_scale": 0}
    request = clip(prompt="x", aspect_ratio="9:16", negative_prompt="text", **said)
    assert request.options == said
    assert (request.aspect_ratio, request.negative_prompt) == ("9:16", "text")


CONTRADICTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"last_frame": "b.jpg"}, "video_needs", "last_frame"),
    ({"prompt": "x", "character_orientation": "image"}, "video_needs", "character_orientation"),
    ({"prompt": "x", "keep_original_sound": False}, "video_needs", "keep_original_sound"),
    ({"motion_video": "m.mp4"}, "video_character", "0"),
    ({"motion_video": "m.mp4", "references": ("a", "b")}, "video_character", "2"),
    *(
        ({"motion_video": "m.mp4", "references": ("a",), name: value}, "video_together", name)
        for name, value in {"first_frame": "a", "last_frame": "b", "duration_s": 5}.items()
    ),
]


@pytest.mark.parametrize(("given", "key", "named"), CONTRADICTIONS, ids=[" ".join(c[0]) for c in CONTRADICTIONS])
def test_a_contradiction_names_its_parameters(given: dict[str, Any], key: str, named: str) -> None:
    """What no model can do is refused before a file is read."""
    with pytest.raises(WrongInput) as refusal:
        clip(**given)
    assert refusal.value.key == key
    assert named in map(str, refusal.value.facts.values())


def test_an_extension_says_where_and_how_long() -> None:
    """The clip is whatever names it; direction and seconds only where they were said."""
    (plain,) = ExtendVideo(video="sc_01-3fa9c1d2e4").requests()
    (told,) = ExtendVideo(video="712345678901", prompt="rain", duration_s=7, extend_direction="start").requests()
    assert (plain.operation, plain.inputs, plain.options) == (
        "extend_video",
        (Given(role="video", written="sc_01-3fa9c1d2e4"),),
        {},
    )
    assert (told.prompt, told.options) == ("rain", {"duration_s": 7, "extend_direction": "start"})


def test_a_lip_sync_leaves_the_times_to_the_provider() -> None:
    """Clip, then sound; a volume of zero is a value."""
    (request,) = LipSync(video="a.mp4", audio="b.mp3", sound_volume=0, sound_end_s=4.5).requests()
    assert [item.role for item in request.inputs] == ["video", "audio"]
    assert (request.operation, request.options) == ("lip_sync", {"sound_volume": 0, "sound_end_s": 4.5})


# ---------------------------------------------------------------------- edits


def test_a_free_edit_is_the_users_prompt() -> None:
    """Up to ten pictures, 2k, several results in one request."""
    images = tuple(f"{k}.jpg" for k in range(10))
    (request,) = EditImage(images=images, prompt="put <<<image_1>>> on <<<image_2>>>", num_images=9).requests()
    assert (request.operation, request.references, request.num_images) == ("edit_image", images, 9)
    assert (request.prompt, request.prefers) == ("put <<<image_1>>> on <<<image_2>>>", {"resolution": "2k"})


@pytest.mark.parametrize(
    ("intensity", "words"), [("natural", NATURAL), ("Moderate", MODERATE), ("max", MAX), (0, NATURAL), ("50", MODERATE)]
)
def test_the_steps_of_skin_enhance_are_exact(intensity: str | float, words: str) -> None:
    """A step, or the number where it stands, gives its words and no others."""
    assert prompt_of("skin_enhance", intensity=intensity) == f"<<<image_1>>> {words}"


def test_between_two_steps_both_speak() -> None:
    """The lower step loses its last phrases while the upper one gains its first; no number is ever sent."""
    assert ", ".join(blended(25)) == (
        "enhance skin texture, subtle skin smoothing, skin retouching, smooth skin, remove blemishes"
    )
    lower, upper = NATURAL.split(", "), MODERATE.split(", ")
    kept = [sum(phrase in lower for phrase in blended(k)) for k in range(51)]
    gained = [sum(phrase in upper for phrase in blended(k)) for k in range(51)]
    assert (kept, gained) == (sorted(kept, reverse=True), sorted(gained))
    assert (kept[0], gained[0], kept[50], gained[50]) == (4, 0, 0, 5)
    assert not any(letter.isdigit() for k in range(101) for letter in "".join(blended(k)))
    assert len({tuple(blended(k)) for k in range(101)}) > 10


@pytest.mark.parametrize("intensity", [-1, 100.5, "101", "strong", "nan", ""])
def test_an_intensity_outside_is_refused(intensity: str | float) -> None:
    """Neither cut to the range nor guessed."""
    with pytest.raises(WrongInput, match="edit_value"):
        prompt_of("skin_enhance", intensity=intensity)


@pytest.mark.parametrize(
    ("garment", "words"),
    [
        ("upper", "wearing the outfit shown in <<<image_2>>> as upper body clothing"),
        ("lower", "wearing the pants/skirt shown in <<<image_2>>>"),
        ("full", "wearing the complete outfit shown in <<<image_2>>>"),
    ],
)
def test_an_outfit_is_swapped_in_its_words(garment: str, words: str) -> None:
    """Person first, garment second."""
    assert prompt_of("outfit_swap", "a.jpg", "b.jpg", garment=garment) == (
        f"<<<image_1>>> person {words}, <<<image_2>>> is the garment reference, keep person's face and body unchanged, "
        "only change clothing, photorealistic, high quality"
    )


def test_a_stylist_uses_every_word_that_is_given() -> None:
    """Occasion, tags, season, gender, each at its place."""
    words = prompt_of("ai_stylist", occasion="date", style_tags=("chic", "vintage"), season="autumn", gender="female")
    assert words == (
        "Fashion stylist recommendation: create a complete elegant date night outfit coordination based on "
        "<<<image_1>>> garment, chic, vintage style, autumn season, female model wearing the complete styled outfit, "
        "full body shot, fashion photography, high quality"
    )


def test_what_a_stylist_is_not_told_leaves_no_words() -> None:
    """No empty style, season or gender; a second picture is who wears it."""
    rest = "wearing the complete styled outfit, full body shot, fashion photography, high quality"
    start = (
        "Fashion stylist recommendation: create a complete everyday casual outfit coordination based on "
        "<<<image_1>>> garment, model"
    )
    assert prompt_of("ai_stylist", season=" ", style_tags=("",)) == f"{start} {rest}"
    assert prompt_of("ai_stylist", "a", "b") == f"{start} shown in <<<image_2>>> {rest}"


def test_variants_are_requests_of_their_own() -> None:
    """Side by side, each in a scene that names it, in the platform's shape."""
    made = OutfitShot(
        images=("a",), variants=("cover", "flat_lay"), platform="xiaohongshu", scene_id="SC_01"
    ).requests()
    assert [(r.scene.id, r.aspect_ratio) for r in made] == [("SC_01_cover", "3:4"), ("SC_01_flat_lay", "3:4")]
    assert made[1].prompt == (
        "<<<image_1>>> flat lay photography, top-down view, neatly arranged items on clean background"
    )
    assert OutfitShot(images=("a",)).requests()[0].scene.id == "cover"


@pytest.mark.parametrize(
    ("platform", "ratio"),
    [
        ("xiaohongshu", "3:4"),
        ("douyin", "9:16"),
        ("tiktok", "9:16"),
        ("reels", "9:16"),
        ("shorts", "9:16"),
        ("instagram", "1:1"),
        ("custom", "1:1"),
    ],
)
def test_a_platform_has_its_shape(platform: str, ratio: str) -> None:
    """Unless a shape is asked for."""
    assert OutfitShot(images=("a",), platform=platform).requests()[0].aspect_ratio == ratio
    assert OutfitShot(images=("a",), platform=platform, aspect_ratio="4:5").requests()[0].aspect_ratio == "4:5"


WRONG: list[tuple[str | None, dict[str, Any], str]] = [
    (None, {}, "prompt_or_preset"),
    ("relit", {}, "preset_unknown"),
    (None, {"prompt": "x", "garment": "upper"}, "preset_parameter"),
    ("skin_enhance", {"prompt": "x"}, "preset_parameter"),
    ("skin_enhance", {"platform": "douyin"}, "preset_parameter"),
    (None, {"prompt": "x", "choices": ("upper",)}, "preset_parameter"),
    (None, {"prompt": "x", "images": ()}, "edit_images"),
    (None, {"prompt": "x", "images": ("a",) * 11}, "edit_images"),
    ("outfit_swap", {}, "edit_images"),
    ("skin_enhance", {"images": ("a", "b")}, "edit_images"),
    (None, {"prompt": "x", "num_images": 10}, "edit_results"),
    (None, {"prompt": "x", "num_images": 0}, "edit_results"),
    ("outfit_swap", {"images": ("a", "b"), "choices": ("shoes",)}, "edit_value"),
    ("outfit_swap", {"images": ("a", "b"), "choices": ("upper", "lower")}, "edit_choices"),
    ("ai_stylist", {"occasion": "wedding"}, "edit_value"),
    ("outfit_shot", {"platform": "myspace"}, "edit_value"),
    ("outfit_shot", {"choices": ("cover", "moon")}, "edit_value"),
    ("outfit_shot", {"choices": ("cover", "streetsnap", "lifestyle", "flat_lay", "comparison")}, "edit_variants"),
]


@pytest.mark.parametrize(("preset", "given", "key"), WRONG, ids=[f"{c[0]} {' '.join(c[1])} {c[2]}" for c in WRONG])
def test_what_an_edit_does_not_take_is_refused(preset: str | None, given: dict[str, Any], key: str) -> None:
    """Never dropped, cut or guessed: the refusal names the parameter and what it takes."""
    with pytest.raises(WrongInput) as refusal:
        editing(preset, {"images": ("a.jpg",), **given}).requests()
    assert refusal.value.key == key


@pytest.mark.parametrize("preset", PRESETS)
def test_a_choice_means_the_presets_own_parameter(preset: str) -> None:
    """A flat call chooses by `choices` what a typed one says by name."""
    name = {"skin_enhance": "intensity", "outfit_swap": "garment", "ai_stylist": "occasion", "relight": "lighting"}.get(
        preset, "variants"
    )
    value = {"skin_enhance": "max", "outfit_swap": "lower", "ai_stylist": "party", "relight": "neon"}.get(
        preset, "lifestyle"
    )
    images = ("a", "b") if preset == "outfit_swap" else ("a",)
    flat = editing(preset, {"images": images, "choices": (value,)})
    typed = PRESETS[preset](images=images, **{name: (value,) if name == "variants" else value})  # type: ignore[arg-type]
    assert flat == typed
    assert flat.requests() != editing(preset, {"images": images}).requests()
