"""Ground floor: the cards say what the models' published schemas say, and name no price without its origin."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from hoasi.catalogue import PROVIDERS, Card, every_card, load
from hoasi.errors import NotFound
from hoasi.providers import provider
from hoasi.record import Operation

FIELDS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fal_fields.json").read_text())["models"]
CARDS = {card.id: card for card in every_card()}
SCHEMED = [CARDS[model] for model in sorted(FIELDS)]
STANDS_FOR = {
    "prompt": {"prompt"},
    "aspect_ratio": {"aspect_ratio", "image_size"},
    "resolution": {"resolution"},
    "num_images": {"num_images"},
    "output_format": {"output_format"},
    "seed": {"seed"},
    "negative_prompt": {"negative_prompt"},
    "references": {"image_urls", "image_url"},
    "duration_s": {"duration"},
    "first_frame": {"start_image_url", "first_frame_url", "image_url"},
    "last_frame": {"end_image_url", "tail_image_url", "last_frame_url"},
    "video": {"video_url"},
    "audio": {"audio_url"},
}
FAL = provider("fal").fields
OPERATIONS = {*get_args(Operation), "edit_video", "relight", "try_on"}
"""What can be asked for, and what only waits."""

of_each_card = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
of_each_schema = pytest.mark.parametrize("card", SCHEMED, ids=lambda card: card.id)


def test_every_provider_has_cards_and_ids_are_unique() -> None:
    """Each provider's file loads into cards, and one id means one model."""
    assert all(load(provider).cards for provider in PROVIDERS)
    assert len(CARDS) == len(every_card())


def test_facts_of_whole_providers() -> None:
    """Sketches and machines of one's own have to be named; a sketch needs no trained model; numbers are Kling's."""
    facts = ("must_be_named", "knows_clips_by_number", "is_trained")
    true = {fact: {name for name in PROVIDERS if getattr(load(name), fact)} for fact in facts}
    assert true["must_be_named"] == {"local", "comfyui", "runpod"}
    assert true["knows_clips_by_number"] == {"kling"}
    assert true["is_trained"] == {*PROVIDERS} - {"local"}


def test_only_models_with_cards_have_a_schema_here() -> None:
    """The fixture holds the schema of every fal card, but of the four that the published types do not know."""
    fal = {card.id for card in load("fal").cards}
    without = {"fal-ai/flux-pro", "easel-ai/advanced-face-swap", "openai/gpt-image-2", "openai/gpt-image-2/edit"}
    assert fal - without == set(FIELDS)


@of_each_card
def test_words_and_operations_are_known(card: Card) -> None:
    """A card speaks our words only."""
    assert set(card.accepts) <= set(STANDS_FOR) | {"mask", "loras", "look", "scene"}
    assert set(card.operations) <= OPERATIONS
    assert card.operations


def field_of(card: Card, word: str) -> str:
    """Under what name fal gets a word of ours; "" where it is not sent."""
    special = {"references": "reference"} if card.references == 1 else {}
    special |= {"aspect_ratio": "size"} if card.sizes.kind == "image_size" else {}
    return {**FAL, **card.fields}[special.get(word, word)].partition(".")[0]


@of_each_schema
def test_accepted_words_are_what_the_schema_takes(card: Card) -> None:
    """What is accepted goes to a field of the schema, and what the schema takes of our words is accepted."""
    sent = [field for word in (*card.accepts, *card.options) if (field := field_of(card, word))]
    assert sorted(sent) == sorted(FIELDS[card.id])


@of_each_schema
def test_options_are_the_schemas(card: Card) -> None:
    """The values of an option, as they are written, are the schema's list."""
    for name, option in card.options.items():
        whole = range(int(option.least or 0), int(option.most) + 1) if option.is_whole and option.most else ()
        form = card.forms.get(name)
        written = [form.format(value) if form else value for value in (*option.choices, *whole)]
        allowed = FIELDS[card.id].get(field_of(card, name), {}).get("enum")
        assert allowed is None or sorted(written) == sorted(allowed), name
        assert option.default is None or not option.choices or option.default in option.choices, name


@of_each_schema
def test_what_the_schema_requires_is_always_there(card: Card) -> None:
    """A required field is a word that a request cannot lack, or an option with a default."""
    there = {field_of(card, word) for word in card.needs}
    there |= {field_of(card, name) for name, option in card.options.items() if option.default is not None}
    there |= {field_of(card, "references")} if card.needs_references else set()
    there |= {"prompt"} if card.media == "image" else set()
    assert {field for field, form in FIELDS[card.id].items() if form.get("required")} <= there


@of_each_schema
def test_shapes_are_the_schemas(card: Card) -> None:
    """Ratios equal the schema's list; names of sizes are in its list, or are exact pixels."""
    fields, sizes = FIELDS[card.id], card.sizes
    kind = next((name for name in ("aspect_ratio", "image_size") if name in fields), "none")
    assert sizes.kind == kind
    assert list(sizes.ratios) == fields.get("aspect_ratio", {}).get("enum", [])
    named = {name for name in sizes.names.values() if not re.fullmatch(r"\d+x\d+", name)}
    assert named <= set(fields.get("image_size", {}).get("enum", []))


@of_each_schema
def test_formats_and_resolutions_are_the_schemas(card: Card) -> None:
    """Formats are all of the schema's, resolutions are among them; PNG comes first where there is one."""
    fields = FIELDS[card.id]
    assert sorted(card.formats) == sorted(fields.get("output_format", {}).get("enum", []))
    assert "png" not in card.formats[1:]
    assert bool(card.resolutions) == ("resolution" in card.accepts)
    assert set(card.resolutions) <= set(fields.get("resolution", {}).get("enum", card.resolutions))


@of_each_schema
def test_needed_references_are_said(card: Card) -> None:
    """A model that cannot do without a picture says so, unless the picture is the clip's first frame."""
    fields = FIELDS[card.id]
    required = any(fields.get(name, {}).get("required") for name in STANDS_FOR["references"])
    is_about_them = "reference_to_video" in card.operations
    assert card.needs_references == (is_about_them or (required and "first_frame" not in card.accepts))


@of_each_card
def test_limits_agree_with_the_words(card: Card) -> None:
    """References and several pictures a call exist exactly where the card accepts them."""
    assert ("references" in card.accepts) == (card.references > 0)
    assert card.references > 0 or not card.needs_references
    assert "num_images" in card.accepts or card.max_images == 1
    assert card.sizes.min_pixels <= card.sizes.pixels <= card.sizes.max_pixels
    assert card.typical_s > 0


@of_each_card
def test_each_price_has_source_and_date(card: Card) -> None:
    """No price without saying who said it and when it was read."""
    if card.price is None:
        return
    assert card.price.source.strip()
    assert card.price.read.isoformat() >= "2026-11-21"
    assert card.price.usd >= 0


@of_each_card
def test_price_by_value_covers_every_value(card: Card) -> None:
    """Where the price depends on a parameter, each value of it has one, and none is for a value that does not exist."""
    if card.price is None or card.price.by_parameter is None:
        return
    assert card.price.by_parameter == "resolution"
    assert set(card.price.by) == set(card.resolutions)
    assert card.price.usd in card.price.by.values()


@of_each_card
def test_rates_are_for_what_can_be(card: Card) -> None:
    """A rate is for values that the model takes; of a clip the price is by the second, and its length is known."""
    for rate in card.price.rates if card.price else ():
        for name, value in rate.when.items():
            taken = {"reference"} if card.references else set()
            given = card.resolutions if name == "resolution" else getattr(card.options.get(name), "choices", ())
            assert value in given or (value is True and name in {*card.accepts, *taken}), name
    if card.media == "video" and card.price is not None and card.price.unit == "second":
        assert card.adds_s is not None or "duration_s" in card.options or "video" in card.needs


@of_each_card
def test_siblings_and_successors_exist(card: Card) -> None:
    """A card points only to living cards: `edit` to one that takes references, `successor` to one that replaces it."""
    if card.edit is not None:
        sibling = CARDS[card.edit]
        assert (card.references, sibling.references > 0, sibling.retired) == (0, True, None)
        assert set(card.operations) <= set(sibling.operations)
        assert sibling.provider == card.provider
    assert (card.retired is None) == (card.successor is None)
    if card.successor is not None:
        assert CARDS[card.successor].retired is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_defaults_are_living_cards_that_do_it(provider: str) -> None:
    """The default model of an operation can do it from words alone."""
    cards = load(provider)
    for operation, models in cards.defaults.items():
        for card in map(cards.card, models):
            assert (operation in card.operations, card.retired) == (True, None)
        assert not (cards.card(models[0]).needs_references and operation == "generate_image")


def test_what_users_count_on() -> None:
    """The facts that users plan with: the default's price, its sibling, and who takes no seed or one picture."""
    assert load("fal").defaults["generate_image"] == ("fal-ai/nano-banana",)
    price = CARDS["fal-ai/nano-banana"].price
    assert price is not None
    assert price.usd == 0.039
    assert CARDS["fal-ai/nano-banana"].edit == "fal-ai/nano-banana/edit"
    assert "seed" not in CARDS["fal-ai/bytedance/seedream/v5/lite/edit"].accepts
    assert CARDS["fal-ai/flux-2-pro"].max_images == 1
    assert CARDS["fal-ai/flux-pro"].successor == "fal-ai/flux-pro/v1.1"


def test_unknown_model_names_the_nearest() -> None:
    """A mistyped model is answered with the nearest ids."""
    with pytest.raises(NotFound) as caught:
        load("fal").card("fal-ai/nano-bananna")
    assert "fal-ai/nano-banana" in caught.value.facts["near"]


@pytest.mark.parametrize(("asked", "near"), [("stabilty", "stability"), ("nosuch", ", ".join(PROVIDERS))])
def test_an_unknown_provider_names_the_nearest_or_all(asked: str, near: str) -> None:
    """Nothing that is only a little alike is offered as the one choice."""
    with pytest.raises(NotFound) as refused:
        load(asked)
    assert refused.value.facts["near"] == near
