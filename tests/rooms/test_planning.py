"""Workbench: the same request is the same plan; what cannot be done is refused before money, naming the fix."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from hoasi.catalogue import Card, Catalogue, Sizes, every_card, load
from hoasi.errors import HoasiError, NotFound, NotSupported, WrongInput
from hoasi.given import Input
from hoasi.messages import explain
from hoasi.planning import Site, plan_request, slug
from hoasi.records import Planned, Request
from hoasi.requirements import SEEDS
from hoasi.shapes import size

SITE = Site(job_id="job-1", output_dir="jobs/job-1/pictures")
FAL, LOCAL = load("fal"), load("local")
BANANA, EDIT, FLUX = "fal-ai/nano-banana", "fal-ai/nano-banana/edit", "fal-ai/flux/dev"
PRO, IMAGE_TO_IMAGE = "fal-ai/nano-banana-pro", "fal-ai/flux/dev/image-to-image"
SEEDREAM = "fal-ai/bytedance/seedream/v4/text-to-image"
BASE: dict[str, Any] = {"prompt": "a kite", "model": BANANA, "scene": {"id": "SC_01"}}
RATIOS = (
    "1:1", "9:16", "16:9", "4:5", "3:4", "2:3", "21:9", "9:21", "7:5", "5:7", "1:2", "2:1", "3:1", "16:10", "18:32",
)  # fmt: skip
BY_SIZE = [c for c in every_card() if c.sizes.kind == "image_size"]


def picture(sha: str = "a" * 64, name: str = "refs/a.png") -> Input:
    return Input(written=name, path=name, sha256=sha, media_type="image/png", size_bytes=9, width=8, height=8)


def plans(cards: Catalogue = FAL, site: Site = SITE, *inputs: Input, **asked: Any) -> tuple[Planned, ...]:
    """What is planned for the usual request with some things asked otherwise."""
    given = {**BASE, **asked, "references": tuple(item.written for item in inputs)}
    request = Request.model_validate(given if cards is FAL else {**given, "model": asked.get("model")})
    return plan_request(request, cards, inputs, site, request.prompt)


def plan(*inputs: Input, site: Site = SITE, **asked: Any) -> Planned:
    (only,) = plans(FAL, site, *inputs, **asked)
    return only


def made(**facts: Any) -> Catalogue:
    """A catalogue with one card of our own making."""
    card = {"id": "own/model", "provider": "fal", "operations": ("generate_image",), "source": "test", **facts}
    card = {"accepts": ("prompt", "aspect_ratio", "resolution", "num_images"), "read": date(2026, 11, 21), **card}
    return Catalogue(provider="fal", defaults={"generate_image": ("own/model",)}, cards=(Card.model_validate(card),))


def refused(*inputs: Input, cards: Catalogue = FAL, **asked: Any) -> HoasiError:
    """The error of a request that is not planned; a reader gets its text and fix."""
    with pytest.raises(WrongInput) as error:
        plans(cards, SITE, *inputs, **asked)
    view = explain(error.value.problem())
    assert (view.paid, bool(view.message), bool(view.fix)) == ("no", True, True)
    return error.value


# ---------------------------------------------------------------- the fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a boat"},
        {"model": PRO},
        {"seed": 8},
        {"aspect_ratio": "1:1"},
        {"num_images": 2},
        {"output_format": "webp"},
    ],
    ids=str,
)
def test_what_is_sent_makes_another_picture(other: dict[str, Any]) -> None:
    """Model, seed and each parameter change the fingerprint, and so the file's name."""
    first, second = plan(seed=7), plan(**{"seed": 7, **other})
    assert first.fingerprint != second.fingerprint
    assert first.stems[0] != second.stems[0]


def test_the_bytes_of_the_references_count_and_their_names_do_not() -> None:
    """Another picture under the same name is another request; the same one under another name is not; order counts."""
    a, b = picture(), picture("b" * 64, "refs/b.png")
    first = plan(a, seed=7, model=EDIT)
    assert first.fingerprint == plan(picture(name="moved/c.png"), seed=7, model=EDIT).fingerprint
    assert first.fingerprint != plan(picture("c" * 64), seed=7, model=EDIT).fingerprint
    assert plan(a, b, seed=7, model=EDIT).fingerprint != plan(b, a, seed=7, model=EDIT).fingerprint


@pytest.mark.parametrize(
    "other", [{"scene": {"id": "SC_09"}}, {"first_idx": 4}, {"origin": "elsewhere"}, {"provider": "fal"}], ids=str
)
def test_job_and_scene_do_not_make_another_picture(other: dict[str, Any]) -> None:
    """With a seed given, the same thing wanted elsewhere is the same purchase."""
    elsewhere = Site(job_id="job-2", output_dir="jobs/job-2/pictures", log_path="log", semantics_path="semantics")
    assert plan(seed=7).fingerprint == plan(seed=7, site=elsewhere, **other).fingerprint


def test_a_provider_and_its_sandbox_are_never_mixed_up() -> None:
    """Make-believe pictures are never taken for real ones."""
    sandbox = Site(job_id="job-1", output_dir="jobs/job-1/pictures", realm="sandbox")
    assert plan(seed=7).fingerprint != plan(seed=7, site=sandbox).fingerprint
    mine = made().model_copy(update={"cards": (made(provider="other").cards[0],)})
    assert plans(mine, seed=7)[0].fingerprint != plans(made(), seed=7)[0].fingerprint


# ---------------------------------------------------------------- seeds and names


def test_a_seed_of_our_own_is_stable_and_belongs_to_its_place() -> None:
    """The same request has the same seed; another scene or another number has another; the job has no part in it."""
    seed = plan().seed
    assert seed == plan().seed == plan(site=Site(job_id="job-2", output_dir="x")).seed
    assert 0 <= seed < SEEDS
    assert len({seed, plan(scene={"id": "SC_02"}).seed, plan(first_idx=2).seed, plan(prompt="a boat").seed}) == 4


def test_zero_is_a_seed() -> None:
    """It is sent, and it is not the seed of our own."""
    assert (plan(seed=0).seed, plan(seed=0).parameters["seed"]) == (0, 0)
    assert plan(seed=0).fingerprint != plan().fingerprint
    assert plan(seed=SEEDS - 1).parameters["seed"] == SEEDS - 1


def test_a_seed_that_cannot_be_sent_is_told() -> None:
    """It is kept for the log, not sent, and the answer says so."""
    (found,) = plans(made(), seed=5)
    assert (found.seed, found.seed_is_sent, "seed" in found.parameters, len(found.warnings)) == (5, False, False, 1)


def test_names_are_known_before_paying() -> None:
    """Scene, number and eight signs: the same for the same request, one for each picture."""
    found = plan(num_images=3, first_idx=2, seed=7)
    assert [stem.rpartition("_")[0] for stem in found.stems] == ["sc_01_2", "sc_01_3", "sc_01_4"]
    assert found.stems == plan(num_images=3, first_idx=2, seed=7).stems
    assert len({stem[-8:] for stem in found.stems}) == 3
    assert plan(scene={}).stems[0].startswith("img_1_")
    assert found.place == f"{SITE.output_dir}/{found.stems[0]}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SC_01", "sc_01"),
        ("Đường phố Hà Nội", "duong_pho_ha_noi"),
        ("../../etc", "etc"),
        ("場面", ""),
        ("x" * 99, "x" * 60),
    ],
)
def test_a_scene_becomes_a_file_name(text: str, name: str) -> None:
    """Lower-case ASCII, short, and never a way out of the folder."""
    assert slug(text) == name


# ---------------------------------------------------------------- several pictures


@pytest.mark.parametrize(("count", "chunks"), [(1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1]), (64, [4] * 16)])
def test_many_pictures_become_several_purchases(count: int, chunks: list[int]) -> None:
    """As many as the model makes at once; numbers go on, seeds differ, no picture is planned twice."""
    found = plans(num_images=count, seed=SEEDS - 1)
    assert [item.parameters["num_images"] for item in found] == chunks
    assert [item.seed for item in found] == [(SEEDS - 1 + k) % SEEDS for k in range(len(chunks))]
    stems = [stem for item in found for stem in item.stems]
    assert [int(stem.split("_")[2]) for stem in stems] == list(range(1, count + 1))
    assert len({item.fingerprint for item in found}) == len(chunks)
    assert len({item.seed for item in plans(num_images=count)}) == len(chunks)


def test_a_model_that_makes_one_is_asked_often() -> None:
    """Where the count cannot be told, each picture is a purchase."""
    found = plans(made(accepts=("prompt",), max_images=4), num_images=3)
    assert [(len(item.stems), "num_images" in item.parameters) for item in found] == [(1, False)] * 3


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("card", BY_SIZE, ids=lambda c: c.id)
def test_pixels_have_the_asked_shape(card: Card, ratio: str) -> None:
    """A name, or sides that the model takes: multiples of its step, within its area, of exactly this ratio."""
    told = size(ratio, card)["size"]
    if told in card.sizes.names.values():
        return
    (width, height), (across, down) = map(int, told.split("x")), map(int, ratio.split(":"))
    assert (width % card.sizes.step, height % card.sizes.step) == (0, 0)
    assert card.sizes.min_pixels <= width * height <= card.sizes.max_pixels
    assert abs(math.log(width * height / card.sizes.pixels)) < 0.7
    assert width * down == height * across


@pytest.mark.parametrize("ratio", ["997:1000", "1001:1003", "8:1", "1:8", "9999:9998"])
@pytest.mark.parametrize("card", BY_SIZE, ids=lambda c: c.id)
def test_odd_shapes_are_met_nearly(card: Card, ratio: str) -> None:
    """Where no exact sides fit, they are rounded to the step, and stay within the area."""
    width, height = map(int, size(ratio, card)["size"].split("x"))
    across, down = map(int, ratio.split(":"))
    assert card.sizes.min_pixels <= width * height <= card.sizes.max_pixels
    assert abs(math.log(width * down / (height * across))) < 0.05


@pytest.mark.parametrize(
    ("ratio", "model", "sent"),
    [(None, BANANA, {}), ("9:16", BANANA, {"aspect_ratio": "9:16"}), ("1080:1920", BANANA, {"aspect_ratio": "9:16"}),
     pytest.param("42:18", BANANA, {"aspect_ratio": "21:9"}), ("auto", EDIT, {"aspect_ratio": "auto"}),
     ("9:16", IMAGE_TO_IMAGE, {}),
     (" 9:16 ", BANANA, {"aspect_ratio": "9:16"}), ("18:32", FLUX, {"size": "portrait_16_9"})],
)  # fmt: skip
def test_a_shape_is_told_in_the_models_way(ratio: str | None, model: str, sent: dict[str, str]) -> None:
    """Listed ratios as text, in lowest terms; named sizes; nothing where nothing can be told."""
    assert size(ratio, FAL.card(model)) == sent


def test_a_shape_that_is_missing_names_the_nearest() -> None:
    """The nearest of the list by proportion; `auto` is near to nothing."""
    assert refused(aspect_ratio="10:16").facts["near"] == "2:3"
    assert refused(picture(), model=EDIT, aspect_ratio="1000:999").facts["near"] == "1:1"


# ---------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("asked", "usd"),
    [({}, 0.039), ({"num_images": 3}, 0.117), ({"model": PRO, "resolution": "4K"}, 0.3), ({"model": PRO}, 0.15),
     ({"model": FLUX, "aspect_ratio": "9:16"}, 0.025), ({"model": FLUX, "aspect_ratio": "1:1"}, 0.05)],
)  # fmt: skip
def test_a_price_is_known_before_paying(asked: dict[str, Any], usd: float) -> None:
    """By picture, by parameter, by started megapixel; it names its source and date."""
    price = plan(**asked).price
    assert price.usd == pytest.approx(usd)
    assert "2026-11-21" in price.basis


def test_the_first_megapixel_may_cost_more() -> None:
    """The first has its price, each started one after it another."""
    price = {"unit": "megapixel", "usd": 0.01, "first_unit_usd": 0.03, "source": "x", "read": "2026-11-21"}
    sizes = Sizes(kind="image_size", pixels=2_500_000, max_pixels=4_000_000)
    (found,) = plans(made(price=price, sizes=sizes), aspect_ratio="1:1")
    assert found.price.usd == pytest.approx(0.05)


def test_an_unknown_price_is_unknown() -> None:
    """Never zero."""
    assert plans(made())[0].price.usd is None
    assert plans(LOCAL, SITE)[0].price.usd == 0.0


# ---------------------------------------------------------------- refusals


def test_references_lead_to_the_model_that_takes_them() -> None:
    """The sibling is used, its price and its name are told."""
    found = plan(picture())
    assert (found.model, len(found.warnings), found.inputs) == (EDIT, 1, (picture(),))


def test_an_unknown_model_names_the_nearest() -> None:
    """A typing error is met with the right name."""
    with pytest.raises(NotFound) as error:
        plan(model="fal-ai/nano-bananna")
    assert str(error.value.facts["near"]).startswith(BANANA)


ALL = [
    ({"prompt": " \n"}, "prompt_empty"), ({"prompt": "a\ud800"}, "usage_not_text"),
    ({"scene": {"id": "\udfff"}}, "usage_not_text"), ({"prompt": "x" * 50_001}, "prompt_too_long"),
    ({"num_images": 0}, "num_images_out_of_range"), ({"num_images": 65}, "num_images_out_of_range"),
    ({"seed": -2}, "seed_out_of_range"), ({"seed": SEEDS}, "seed_out_of_range"),
    ({"model": EDIT}, "references_needed"), ({"resolution": "4K"}, "parameter_not_supported"),
    ({"model": PRO, "resolution": "8K"}, "value_not_supported"), ({"output_format": "gif"}, "value_not_supported"),
    ({"model": SEEDREAM, "output_format": "png"}, "parameter_not_supported"),
    ({"negative_prompt": "text"}, "parameter_not_supported"), ({"model": "fal-ai/flux-pro"}, "model_retired"),
    ({"model": "fal-ai/veo3.1"}, "operation_not_supported"), ({"aspect_ratio": "10:16"}, "ratio_not_supported"),
    *[({"aspect_ratio": r}, "ratio_bad") for r in ("0:1", "9:1", "1:9", "tall", "9x16", "-9:16", "1.5:1", "1:2:3", "")],
]  # fmt: skip


@pytest.mark.parametrize(("asked", "key"), ALL, ids=lambda v: ascii(v)[:40])
def test_what_cannot_be_done_is_refused(asked: dict[str, Any], key: str) -> None:
    """Before money, by name."""
    assert refused(**asked).key == key


def test_too_many_references_are_refused() -> None:
    """And so is a reference for a model that has no sibling which takes any."""
    many = [picture(f"{k:064x}", f"refs/{k}.png") for k in range(11)]
    error = refused(*many, model=EDIT)
    assert isinstance(error, NotSupported)
    assert (error.key, error.facts["count"], error.facts["limit"]) == ("too_many_references", 11, 10)
    assert refused(picture(), model="fal-ai/flux/schnell").key == "references_not_supported"


@pytest.mark.parametrize(
    ("provider", "model", "count", "usd"),
    [
        ("openai", "gpt-image-2.5-sunburst", 0, 0.013),
        ("openai", "gpt-image-2.5-sunburst", 1, 0.028),
        ("openai", "gpt-image-2.5-sunburst", 5, 0.088),
        ("ark", "doubao-seedream-5-0-pro-260628", 1, 0.09),
        ("ark", "doubao-seedream-5-0-pro-260628", 3, 0.096),
        ("ark", "doubao-seedream-5-5-261028", 2, 0.051),
    ],
)
def test_given_pictures_that_cost_something_are_counted(provider: str, model: str, count: int, usd: float) -> None:
    """A limit holds for what is sent along, too."""
    size = {"width": 640, "height": 640}
    given = [picture(f"{number:064x}", f"refs/{number}.png").model_copy(update=size) for number in range(count)]
    (only,) = plans(load(provider), SITE, *given, model=model)
    assert only.price.usd == usd
