"""Finding faces: none is overlooked that a person would see at once, a swap takes none that is in doubt."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageOps

from hoasi.errors import FileBroken
from hoasi.media import face
from hoasi.media.face import Face
from hoasi.media.storyboard import Frame, render_png

PICTURES = Path(__file__).parent / "pictures"
"""The astronaut (NASA, public domain) has one face, at about 179, 62, 91 x 113; cat and coffee (both CC0) have none."""
ASTRONAUT = PICTURES / "astronaut.jpg"


def png(image: Image.Image, **options: object) -> bytes:
    sheet = io.BytesIO()
    image.save(sheet, "PNG", compress_level=1, **options)
    return sheet.getvalue()


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.open(ASTRONAUT).convert("RGB")


def is_there(found: Face, left: float, top: float, right: float, bottom: float) -> bool:
    """Does the face lie where it should: its middle at the middle, and about as large?"""
    across, down = found.left + found.width / 2, found.top + found.height / 2
    near = abs(across - (left + right) / 2) < found.width / 3 and abs(down - (top + bottom) / 2) < found.height / 3
    return near and 0.5 < found.width * found.height / ((right - left) * (bottom - top)) < 1.6


def test_a_face_is_found_where_it_is_with_its_eyes_nose_and_mouth() -> None:
    """A photograph's only face is found in both ways, with five points that lie in it, eyes over nose over mouth."""
    for strict in (False, True):
        (found,) = face.detect(ASTRONAUT, strict=strict)
        assert is_there(found, 179, 62, 270, 175)
        assert found.score > 0.9
        eye, other, nose, mouth, corner = found.landmarks
        assert eye[0] < nose[0] < other[0]
        assert max(eye[1], other[1]) < nose[1] < min(mouth[1], corner[1])
        assert all(179 < x < 270 and 62 < y < 175 for x, y in found.landmarks)


@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
def test_pictures_without_people_have_no_faces(name: str) -> None:
    """A cat is no person, neither upright nor on its side, and a cup of coffee is nobody."""
    assert face.detect(PICTURES / name) == ()
    with Image.open(PICTURES / name) as picture:
        assert face.detect(png(picture.convert("RGB").rotate(90, expand=True)), strict=True) == ()


def test_a_face_is_found_dark_burnt_out_grey_tiny_or_filling_the_picture(photo: Image.Image) -> None:
    """Whatever light or size a photograph has, its face asks for consent."""
    hard = [
        ImageEnhance.Brightness(photo).enhance(0.15),
        ImageEnhance.Brightness(photo).enhance(2.0),
        ImageEnhance.Contrast(photo).enhance(0.3),
        photo.convert("L"),
        photo.resize((128, 128)),
        photo.resize((3072, 3072)),
        photo.crop((179, 62, 270, 175)),
        photo.crop((224, 0, 512, 512)),
    ]
    assert [len(face.detect(png(image))) for image in hard[:7]] == [1] * 7
    assert face.detect(png(hard[7]))


def test_a_small_face_in_a_large_photograph_is_found(photo: Image.Image) -> None:
    """A face of 40 pixels in a picture of 1920 x 1080 asks for consent."""
    with Image.open(PICTURES / "coffee.jpg") as picture:
        ground = picture.convert("RGB").resize((1920, 1080))
    ground.paste(photo.crop((150, 30, 300, 210)).resize((54, 64)), (700, 300))
    (found,) = face.detect(png(ground))
    assert is_there(found, 710, 311, 743, 351)


def test_faces_come_largest_first(photo: Image.Image) -> None:
    """Faces are numbered by size, so that number 0 is who the picture is about."""
    head = photo.crop((140, 20, 310, 220))
    sheet = Image.new("RGB", (700, 420), "white")
    for left, scale in ((0, 0.7), (150, 1.8), (500, 1.0)):
        sheet.paste(head.resize((round(170 * scale), round(200 * scale))), (left, 20))
    found = face.detect(png(sheet), strict=True)
    assert [round(one.left // 150) for one in found] == [1, 3, 0]


@pytest.mark.parametrize(
    ("degrees", "box"), [(90, (62, 242, 175, 333)), (180, (242, 337, 333, 450)), (270, (337, 179, 450, 270))]
)
def test_a_picture_on_its_side_still_asks_but_is_not_swapped(
    photo: Image.Image, degrees: int, box: tuple[int, int, int, int]
) -> None:
    """A sideways face is found where it lies; the strict way, which needs its points, does not take it."""
    content = png(photo.rotate(degrees, expand=True))
    (found,) = face.detect(content)
    assert is_there(found, *box)
    assert face.detect(content, strict=True) == ()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_small_picture_on_its_side_is_turned_to_be_looked_at(photo: Image.Image, degrees: int) -> None:
    """A face that is only recognised upright is looked for on all sides, and reported where it lies."""
    small = photo.resize((160, 160))
    box = {90: (19, 76, 55, 104), 180: (76, 105, 104, 141), 270: (105, 56, 141, 84)}[degrees]
    (found,) = face.detect(png(small.rotate(degrees, expand=True)))
    assert is_there(found, *box)
    eyes, mouth = found.landmarks[0], found.landmarks[3]
    away = {90: eyes[0] < mouth[0], 180: eyes[1] > mouth[1], 270: eyes[0] > mouth[0]}[degrees]
    assert away


def test_what_was_turned_is_turned_back() -> None:
    """Box and points of a face found in a turned picture are given in the picture as it is."""
    seen = Face(left=10, top=20, width=4, height=6, score=0.9, landmarks=((10, 20), (14, 20)))
    back = {turns: face._turned_back(seen, turns, 100, 60) for turns in (0, 1, 2, 3)}
    assert back[0] == seen
    assert (back[1].left, back[1].top, back[1].width, back[1].height) == (20, 46, 6, 4)
    assert back[1].landmarks == ((20, 50), (20, 46))
    assert (back[2].left, back[2].top, back[2].width, back[2].height) == (86, 34, 4, 6)
    assert (back[3].left, back[3].top, back[3].width, back[3].height) == (74, 10, 6, 4)


def test_exif_turns_the_picture_before_it_is_looked_at(photo: Image.Image) -> None:
    """A phone's picture, stored sideways with an EXIF note, is seen upright: faces lie where viewers see them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (found,) = face.detect(png(photo.rotate(90, expand=True), exif=exif), strict=True)
    assert is_there(found, 179, 62, 270, 175)


def test_what_transparency_hides_is_not_seen(photo: Image.Image) -> None:
    """A face under full transparency is nobody's picture; a cut-out person is."""
    hidden = photo.copy()
    hidden.putalpha(0)
    assert face.detect(png(hidden)) == ()
    cut = Image.new("RGBA", photo.size, (0, 0, 0, 0))
    cut.paste(photo.crop((130, 0, 320, 230)), (130, 0))
    assert len(face.detect(png(cut))) == 1


def test_our_own_drawings_hardly_ever_count() -> None:
    """Of six storyboards with people at most one is taken for a photograph of somebody (rates: docs/faces.md)."""
    intents = ("a woman smiles at the camera", "two friends talk in a cafe", "crowd at a market")
    drawn = [
        Frame(width=640, height=640, seed=seed, intent=intents[seed % 3], mark="SKETCH", shot_types=("medium",))
        for seed in range(6)
    ]
    assert sum(bool(face.detect(render_png(frame))) for frame in drawn) <= 1


def test_the_frame_with_the_most_faces_counts(photo: Image.Image) -> None:
    """A clip has as many faces as its fullest frame; no frames, no faces."""
    pair = Image.new("RGB", (1024, 512))
    pair.paste(photo, (0, 0))
    pair.paste(ImageOps.mirror(photo), (512, 0))
    with Image.open(PICTURES / "coffee.jpg") as picture:
        coffee = picture.convert("RGB")
    assert face.detect_in([coffee, pair, photo, coffee, photo]) == 2
    assert face.detect_in([coffee]) == 0
    assert face.detect_in([]) == 0


def test_every_frame_is_looked_at_until_somebody_is_seen(photo: Image.Image) -> None:
    """A face in a single frame is enough, on its side in one of four; afterwards only these count on."""
    pair = Image.new("RGB", (1024, 512))
    pair.paste(photo, (0, 0))
    pair.paste(ImageOps.mirror(photo), (512, 0))
    dark, lying = Image.new("RGB", (64, 64)), photo.rotate(90)
    assert [face.detect_in([*[dark] * before, photo, *[dark] * 3]) for before in range(5)] == [1] * 5
    assert [face.detect_in([*[dark] * before, *[lying] * 4]) for before in range(5)] == [1] * 5
    assert (face.detect_in([photo, pair]), face.detect_in([photo, *[pair] * 4])) == (1, 2)


def test_threads_do_not_disturb_each_other(photo: Image.Image) -> None:
    """Pictures of different sizes looked at together have the faces they have alone."""
    contents = [png(photo.resize((side, side))) for side in (200, 400, 700)]
    alone = [face.detect(content) for content in contents]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(face.detect, contents * 4)) == alone * 4


def test_looking_says_nothing_and_needs_no_network() -> None:
    """Neither OpenCV nor Pillow writes to the terminal: an MCP server speaks there; the model is a file of ours."""
    code = f"from pathlib import Path; from hoasi.media import face; assert face.detect(Path({str(ASTRONAUT)!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_the_model_is_the_one_that_was_measured() -> None:
    """The network's file is OpenCV Zoo's, to the byte; its licence lies beside it and names it."""
    folder = Path(face.__file__).parent
    digest = hashlib.sha256((folder / "face_yunet.onnx").read_bytes()).hexdigest()
    assert digest == "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
    assert digest in (folder / "face_yunet.LICENSE.txt").read_text("ascii")


def test_without_the_optional_parts_it_says_what_to_install() -> None:
    """Where OpenCV is not installed, asking for faces names the package instead of failing on an import."""
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from hoasi.errors import NotSupported\n"
        "from hoasi.media import face\n"
        "assert not face.is_available()\n"
        "for ask in (lambda: face.detect(b''), lambda: face.detect_in([])):\n"
        "    try:\n"
        "        ask()\n"
        "    except NotSupported as error:\n"
        "        assert (error.key, error.facts) == ('media_extra_missing', {'what': 'opencv-python-headless'})\n"
        "    else:\n"
        "        raise SystemExit('not refused')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", ASTRONAUT.read_bytes()[:9000]])
def test_a_broken_picture_is_named(content: bytes, tmp_path: Path) -> None:
    """What is no picture, or only half of one, is said to be so, and never has 'no faces'."""
    (tmp_path / "me.jpg").write_bytes(content)
    with pytest.raises(FileBroken) as caught:
        face.detect(tmp_path / "me.jpg")
    assert (caught.value.key, caught.value.facts["name"]) == ("not_a_picture", "me.jpg")


@pytest.mark.parametrize(
    ("place", "size", "expected"),
    [
        ((400, 300, 200, 250), (2000, 1500), (280, 150, 720, 700)),
        ((100, 100, 40, 50), (2000, 1500), (0, 0, 300, 300)),
        ((1950, 1440, 40, 50), (2000, 1500), (1700, 1200, 2000, 1500)),
        ((60, 60, 40, 50), (200, 180), (0, 0, 200, 180)),
        ((900, 10, 60, 80), (2000, 100), (805, 0, 1055, 100)),
        ((10, 900, 60, 80), (100, 2000), (0, 815, 100, 1065)),
        ((-20, -30, 900, 1000), (1000, 1000), (0, 0, 1000, 1000)),
    ],
)
def test_a_crop_holds_the_face_and_fits_the_provider(
    place: tuple[int, int, int, int], size: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    """A face is cut with its margin, inside the picture, at least 300 px a side where there are, at most 1 : 2.5."""
    left, top, width, height = place
    box = face.crop(Face(left=left, top=top, width=width, height=height, score=1), *size)
    assert box == expected
    across, down = box[2] - box[0], box[3] - box[1]
    assert max(across, down) <= 2.5 * min(across, down)
