"""A face laid over another one: the right one, in the right place, and nothing else of the picture."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageEnhance, ImageOps, ImageStat

from hoasi.errors import FileBroken
from hoasi.media import face
from hoasi.media.swap_preview import preview

PICTURES = Path(__file__).parent / "pictures"
OVAL = (190, 84, 258, 158)
"""Eyes to mouth of the astronaut."""
AROUND = [(0, 0, 512, 60), (0, 180, 512, 512), (0, 0, 150, 512), (300, 0, 512, 512)]


def png(image: Image.Image) -> bytes:
    sheet = io.BytesIO()
    image.save(sheet, "PNG", compress_level=1)
    return sheet.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.open(PICTURES / "astronaut.jpg").convert("RGB")


@pytest.fixture(scope="module")
def stranger(photo: Image.Image) -> Image.Image:
    """Somebody else, as far as pixels go: turned round, tilted, larger, in other light, and with a dark moustache."""
    marked = photo.copy()
    marked.paste((40, 25, 20), (205, 131, 238, 138))
    dark = ImageEnhance.Brightness(ImageOps.mirror(marked)).enhance(0.6)
    return ImageEnhance.Color(dark).enhance(0.5).resize((820, 820)).rotate(12, fillcolor=(80, 90, 100))


def apart(one: Image.Image, other: Image.Image, box: tuple[int, int, int, int]) -> float:
    """Mean difference (of 255) in a box."""
    return sum(ImageStat.Stat(ImageChops.difference(one.crop(box), other.crop(box))).mean) / 3


def lip(image: Image.Image) -> float:
    """How light it is between nose and mouth, where only the stranger has a moustache."""
    return ImageStat.Stat(image.crop((208, 128, 236, 138)).convert("L")).mean[0]


def test_the_face_changes_and_all_else_stays(photo: Image.Image, stranger: Image.Image) -> None:
    """The moustache is in the new face, under its nose; not a pixel away from the face is touched."""
    made = opened(preview(png(photo), png(stranger)))
    assert made.size == photo.size
    assert all(ImageChops.difference(made.crop(box), photo.crop(box)).getbbox() is None for box in AROUND)
    assert apart(made, photo, OVAL) > 4
    assert lip(made) < lip(photo) - 25


def test_the_new_face_lies_on_the_old_one_in_its_light(photo: Image.Image, stranger: Image.Image) -> None:
    """Eyes, nose and mouth sit where they sat, and the skin is as light as it was, though the new face was dark."""
    made = preview(png(photo), png(stranger))
    (old,), (new,) = face.detect(png(photo), strict=True), face.detect(made, strict=True)
    for before, after in zip(old.landmarks, new.landmarks, strict=True):
        assert abs(before[0] - after[0]) + abs(before[1] - after[1]) < 9
    cheeks = (195, 115, 215, 130)
    for was, now in zip(*(ImageStat.Stat(image.crop(cheeks)).mean for image in (photo, opened(made))), strict=True):
        assert abs(was - now) < 30


def test_its_own_face_changes_hardly_anything(photo: Image.Image) -> None:
    """A person's own face laid over itself is that person: the blend adds nothing of its own."""
    assert apart(opened(preview(png(photo), png(photo))), photo, OVAL) < 2


def test_the_numbers_choose_the_faces(photo: Image.Image, stranger: Image.Image) -> None:
    """Of two people in the source only the one asked for changes; of two in the face picture that one is taken."""
    pair = Image.new("RGB", (912, 512), (120, 120, 120))
    pair.paste(photo, (0, 0))
    pair.paste(photo.resize((400, 400)), (512, 50))
    second = opened(preview(png(pair), png(stranger), source_index=1))
    left, right = (0, 0, 512, 512), (512, 50, 912, 450)
    assert ImageChops.difference(second.crop(left), pair.crop(left)).getbbox() is None
    assert ImageChops.difference(second.crop(right), pair.crop(right)).getbbox()
    two = Image.new("RGB", (1332, 820), (120, 120, 120))
    two.paste(stranger, (0, 0))
    two.paste(photo, (820, 0))
    made = [opened(preview(png(photo), png(two), face_index=number)) for number in (0, 1)]
    assert lip(made[0]) < lip(photo) - 25 < lip(made[1])


def test_the_mark_is_pressed_on_a_corner_away_from_the_face(photo: Image.Image, stranger: Image.Image) -> None:
    """A preview says that it is one, in a lower corner away from the face; without a mark nothing is there."""
    plain, marked = (preview(png(photo), png(stranger), mark=mark) for mark in ("", "B\u1ea2N PH\u00c1C"))
    box = ImageChops.difference(opened(plain), opened(marked)).getbbox()
    assert box is not None
    assert box[0] > 256
    assert box[1] > 430
    assert box[3] <= 512
    assert 40 < box[2] - box[0] < 200


def test_the_same_pictures_give_the_same_bytes(photo: Image.Image, stranger: Image.Image) -> None:
    """A preview is a function of its two pictures."""
    assert preview(png(photo), png(stranger), mark="X") == preview(png(photo), png(stranger), mark="X")


def test_a_face_at_the_very_edge_is_blended_too(photo: Image.Image, stranger: Image.Image) -> None:
    """A face cut off by the picture's edge is replaced as far as it is there, and the picture keeps its size."""
    cut = photo.crop((196, 40, 420, 330))
    made = opened(preview(png(cut), png(stranger)))
    assert made.size == cut.size
    assert ImageChops.difference(made, cut).getbbox()


def test_a_large_picture_is_brought_to_2048_pixels(photo: Image.Image) -> None:
    """A preview is small enough to be made in a moment."""
    made = opened(preview(png(photo.resize((3000, 2000))), png(photo)))
    assert made.size == (2048, 1365)


@pytest.mark.parametrize("which", ["source", "face"])
def test_a_picture_without_a_clear_face_is_named(photo: Image.Image, which: str) -> None:
    """Where there is no face, the error says in which of the two pictures."""
    contents = {"source": png(photo), "face": png(photo), which: (PICTURES / "coffee.jpg").read_bytes()}
    with pytest.raises(FileBroken) as caught:
        preview(contents["source"], contents["face"])
    assert (caught.value.key, caught.value.facts) == ("no_face", {"picture": which})


@pytest.mark.parametrize(("which", "number"), [("source", 1), ("face", 7), ("face", -1)])
def test_a_number_that_is_nobodys_is_refused(photo: Image.Image, which: str, number: int) -> None:
    """A face number beyond those found is refused, and the error says how many there are."""
    with pytest.raises(FileBroken) as caught:
        preview(png(photo), png(photo), **{f"{which}_index": number})
    assert caught.value.key == "face_index_out_of_range"
    assert caught.value.facts == {"picture": which, "index": number, "count": 1, "last": 0}
