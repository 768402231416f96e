"""The key-less provider: storyboard frames that cost nothing, reach nobody, and are the same every time."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from contract import ProviderContract, planned
from hoasi.catalogue import load
from hoasi.providers._outcomes import Done, Order
from hoasi.providers.local import MAKES, Local
from hoasi.providers.local_pictures import frame
from hoasi.records import Planned
from hoasi.street import Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
CARD = load("local").card("local/storyboard")
NOWHERE = Wire(Street(frozenset()), {}, {})


async def drawn(plan: Planned) -> list[bytes]:
    """The pictures of a plan."""
    done = await Local().submit(NOWHERE, Order(plan))
    assert isinstance(done, Done)
    assert {(output.url, output.media_type) for output in done.outputs} == {(None, "image/png")}
    return [output.data or b"" for output in done.outputs]


class TestLocal(ProviderContract):
    """The promises of every provider, kept by local."""

    name = "local"


def test_it_needs_nothing() -> None:
    """No key, no address, no price."""
    local = Local()
    assert (local.secrets, local.origins, local.auth("x")) == ((), {}, {})
    assert all(planned(card).price.usd == 0.0 for card in load("local").cards)


def test_what_its_cards_offer_is_made() -> None:
    """Every operation of a card has its maker, and no maker is without a card."""
    assert {operation for card in load("local").cards for operation in card.operations} == set(MAKES)
    assert set(load("local").defaults) == set(MAKES)


@pytest.mark.parametrize(
    ("ratio", "size"), [("9:16", (1080, 1920)), ("1:1", (1440, 1440)), (None, (1080, 1920)), ("7:5", (1708, 1220))]
)
async def test_a_frame_has_exactly_the_asked_shape(ratio: str | None, size: tuple[int, int]) -> None:
    """Tall unless told otherwise; the picture has the size of the plan."""
    (content,) = await drawn(planned(CARD, aspect_ratio=ratio, seed=3))
    assert Image.open(io.BytesIO(content)).size == size


async def test_as_many_frames_as_asked_and_each_differs() -> None:
    """Three pictures of one request are three different pictures."""
    assert len(set(await drawn(planned(CARD, num_images=3, seed=0, aspect_ratio="1:1")))) == 3


async def test_the_same_request_is_the_same_picture() -> None:
    """Seed, words and shape decide everything; another seed is another picture."""
    first, again, other = [(await drawn(planned(CARD, seed=seed)))[0] for seed in (0, 0, 1)]
    assert first == again
    assert first != other


def test_the_scene_and_the_references_are_told_to_the_frame() -> None:
    """What the plan says of the scene stands in the frame; without a scene the prompt does."""
    scene = {
        "id": "SC_02",
        "visual_intent": "A cup",
        "mood": ["warm"],
        "shot_types": ["top-down"],
        "narrative_role": "hook",
    }
    told = frame(planned(CARD, references=2, scene=scene, seed=0, first_idx=4, num_images=2), 1, "SKETCH")
    assert (told.scene_id, told.intent, told.mood, told.shot_types) == ("SC_02", "A cup", ("warm",), ("top-down",))
    assert (told.narrative_role, told.references, told.index, told.count, told.seed) == ("hook", 2, 5, 2, 1)
    assert (told.mark, frame(planned(CARD), 0, "").intent) == ("SKETCH", "a kite")
