"""Looking at a picture: whole or not, how large, which way up, anything on it."""

from __future__ import annotations

import io
import random
import struct
import threading
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hoasi.errors import ResultBroken
from hoasi.media import image

KINDS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}


def noise(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3)).convert(mode)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    sheet = io.BytesIO()
    picture.save(sheet, form, **options)
    return sheet.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "picture.bin"


def saved(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(("form", "ending"), KINDS.items())
def test_format_comes_from_the_content(file: Path, form: str, ending: str) -> None:
    """What a picture is, and how its file is named, comes from its bytes and not from a name or a server's word."""
    look = image.inspect(saved(file, encoded(noise(), form)))
    assert (look.format, look.width, look.height, look.animated, look.is_blank) == (form, 48, 32, False, False)
    assert image.extension(look.media_type) == ending


@pytest.mark.parametrize(
    "content", [b"", b"<html>503</html>", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_refused(file: Path, content: bytes) -> None:
    """An error page, an empty file or a bare signature is never taken for a picture, and the error names the file."""
    with pytest.raises(ResultBroken) as caught:
        image.inspect(saved(file, content))
    assert (caught.value.key, caught.value.facts) == ("not_a_picture", {"name": "picture.bin"})


def test_formats_beyond_the_six_are_not_opened(file: Path) -> None:
    """A format that the pipeline does not know (here PPM) is refused even though the decoder could read it."""
    with pytest.raises(ResultBroken, match="not_a_picture"):
        image.inspect(saved(file, encoded(noise(), "PPM")))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
    ],
)
def test_a_cut_anywhere_is_noticed(file: Path, form: str, options: dict[str, Any]) -> None:
    """A download that lost any number of its last bytes, even one, is not a picture."""
    whole = encoded(noise(), form, **options)
    for cut in (*range(1, 40), *range(40, len(whole), 97)):
        with pytest.raises(ResultBroken, match="not_a_picture"):
            image.inspect(saved(file, whole[:-cut]))


def test_a_png_with_something_behind_its_end_is_whole(file: Path) -> None:
    """Bytes that an encoder left behind the end do no harm."""
    assert image.inspect(saved(file, encoded(noise(), "PNG") + b"\0" * 7)).format == "PNG"


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF"])
def test_a_film_is_decoded_to_its_last_frame(file: Path, form: str) -> None:
    """An animation says so, and one that breaks off within a later frame is noticed."""
    frames = [noise(), noise().rotate(90), noise().rotate(180)]
    whole = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    look = image.inspect(saved(file, whole))
    assert (look.animated, look.width, look.height) == (True, 48, 32)
    with pytest.raises(ResultBroken, match="not_a_picture"):
        image.inspect(saved(file, whole[: -len(whole) // 8]))


def test_pages_and_second_views_are_no_film(file: Path) -> None:
    """A TIFF of two pages and a telephone's JPEG with a second view are still pictures, the latter plain JPEG."""
    pages = encoded(noise(), "TIFF", save_all=True, append_images=[noise()])
    assert image.inspect(saved(file, pages)).animated is False
    views = encoded(noise(), "MPO", save_all=True, append_images=[noise()])
    look = image.inspect(saved(file, views))
    assert (look.format, look.media_type, look.animated) == ("JPEG", "image/jpeg", False)


def test_a_bomb_is_refused_before_it_is_decoded(file: Path) -> None:
    """A small file that claims a vast picture costs no memory: its size is judged first (both limits)."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    for limit in (image.MAX_PIXELS, 10**12):
        with pytest.raises(ResultBroken, match="picture_too_large"):
            image.inspect(saved(file, bomb), max_pixels=limit)


def test_the_limit_is_the_callers(file: Path) -> None:
    """A picture of exactly the limit passes, one pixel more does not."""
    saved(file, encoded(noise(20, 10), "PNG"))
    assert image.inspect(file, max_pixels=200).width == 20
    with pytest.raises(ResultBroken) as caught:
        image.inspect(file, max_pixels=199)
    assert caught.value.key == "picture_too_large"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_a_viewer_shows(file: Path, form: str, orientation: int) -> None:
    """A telephone's picture that lies on its side in the file is portrait, in its sizes and in the preview."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    look = image.inspect(saved(file, encoded(noise(64, 32), form, exif=exif)))
    expected = (32, 64) if orientation > 4 else (64, 32)
    assert (look.width, look.height) == expected
    assert Image.open(io.BytesIO(image.small(file)[0])).size == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_preview_stands_upright(file: Path, orientation: int) -> None:
    """Each of the eight orientations is undone: the red corner comes out where Pillow's own turning puts it."""
    picture = Image.new("RGB", (64, 32), "white")
    ImageDraw.Draw(picture).rectangle((0, 0, 15, 7), fill="red")
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved(file, encoded(picture, "PNG", exif=exif))
    from PIL import ImageOps

    expected = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    shown = Image.open(io.BytesIO(image.small(file)[0])).convert("RGB")
    corners = [(3, 3), (shown.width - 4, 3), (3, shown.height - 4), (shown.width - 4, shown.height - 4)]
    assert [shown.getpixel(at)[1] < 90 for at in corners] == [expected.getpixel(at)[1] < 90 for at in corners]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("block", [b"II*\0\xff\xff\xff\x7f" + b"\xff" * 40, b"not a TIFF block", b"II*\0\x08\0"])
def test_unreadable_exif_does_not_hide_a_picture(file: Path, form: str, block: bytes) -> None:
    """A picture with broken metadata is a picture; nothing is warned about on the way."""
    data = encoded(noise(), form, exif=b"Exif\0\0" + block)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert image.inspect(saved(file, data)).width == 48
        assert image.small(file)[1] == "image/jpeg"
    assert heard == []


def test_a_large_picture_raises_no_warning(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's warning of large pictures (an error in strict programs) does not reach the caller."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert image.inspect(saved(file, encoded(noise(), "PNG"))).width == 48


def test_a_missing_file_is_not_a_broken_result(tmp_path: Path) -> None:
    """Our own disk's trouble is not blamed on the picture."""
    with pytest.raises(FileNotFoundError):
        image.inspect(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("mode", "colour"),
    [
        ("RGB", "black"),
        ("RGB", (250, 250, 250)),
        ("RGBA", (9, 9, 9, 0)),
        ("L", 77),
        ("P", 3),
        ("1", 1),
        ("I;16", 40000),
    ],
)
def test_one_flat_colour_is_blank(file: Path, mode: str, colour: Any) -> None:
    """A picture of one colour is blank, in every mode a provider may send."""
    assert image.inspect(saved(file, encoded(Image.new(mode, (300, 200), colour), "PNG"))).is_blank


def test_black_with_jpeg_noise_is_blank(file: Path) -> None:
    """What a provider's safety filter paints black stays blank through JPEG, with a speck of noise."""
    black = Image.new("RGB", (512, 512))
    ImageDraw.Draw(black).rectangle((100, 100, 260, 260), fill=(2, 2, 2))
    assert image.inspect(saved(file, encoded(black, "JPEG"))).is_blank


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_few_stars_are_a_picture(file: Path, mode: str) -> None:
    """A night sky with small stars is not blank."""
    night = Image.new("RGB", (1024, 1024))
    ImageDraw.Draw(night).rectangle((500, 500, 502, 502), fill="white")
    assert not image.inspect(saved(file, encoded(night.convert(mode), "PNG"))).is_blank


def test_a_dark_logo_on_nothing_is_a_picture(file: Path) -> None:
    """Black on transparent is told by its alpha alone; hidden colours below full transparency do not count."""
    logo = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    ImageDraw.Draw(logo).ellipse((80, 80, 170, 170), fill=(0, 0, 0, 255))
    assert not image.inspect(saved(file, encoded(logo, "PNG"))).is_blank
    hidden = noise(64, 64).convert("RGBA")
    hidden.putalpha(0)
    assert image.inspect(saved(file, encoded(hidden, "PNG"))).is_blank


def test_sixteen_bit_greys_are_seen(file: Path) -> None:
    """A 16-bit grey ramp is neither blank nor shown as plain white."""
    ramp = Image.new("I;16", (256, 8))
    for x in range(256):
        for y in range(8):
            ramp.putpixel((x, y), x * 257)
    assert not image.inspect(saved(file, encoded(ramp, "PNG"))).is_blank
    shown = Image.open(io.BytesIO(image.small(file)[0])).convert("L")
    assert (shown.getpixel((2, 4)) < 20, abs(shown.getpixel((128, 4)) - 128) < 6, shown.getpixel((253, 4)) > 235) == (
        True,
        True,
        True,
    )


def test_an_opaque_preview_has_white_behind_it(tmp_path: Path) -> None:
    """A JPEG has no transparency: what shone through is white, what did not keeps its colour."""
    picture = Image.new("RGBA", (64, 32), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (32, 0, 64, 32))
    picture.save(tmp_path / "half.png")
    data, media_type = image.small(tmp_path / "half.png", is_opaque=True)
    with Image.open(io.BytesIO(data)) as shown:
        assert (shown.format, media_type) == ("JPEG", "image/jpeg")
        left, right = shown.getpixel((8, 16)), shown.getpixel((56, 16))
    assert min(left) > 240
    assert right[2] > 240 > 20 > right[0]


@pytest.mark.parametrize(
    ("form", "mode"), [("PNG", "RGB"), ("JPEG", "CMYK"), ("JPEG", "L"), ("GIF", "P"), ("PNG", "RGBA")]
)
def test_the_preview_is_small(file: Path, form: str, mode: str) -> None:
    """No side of a preview is longer than asked, its shape is kept, and an opaque picture becomes a JPEG."""
    saved(file, encoded(noise(900, 300, mode), form))
    data, media_type = image.small(file, 300)
    shown = Image.open(io.BytesIO(data))
    assert (shown.size, shown.format, media_type) == ((300, 100), "JPEG", "image/jpeg")


def test_the_preview_keeps_transparency(file: Path) -> None:
    """Where something shines through, the preview is a PNG with alpha."""
    glass = noise(40, 40, "RGBA")
    glass.putalpha(Image.linear_gradient("L").resize((40, 40)))
    data, media_type = image.small(saved(file, encoded(glass, "WEBP")))
    assert (Image.open(io.BytesIO(data)).mode, media_type) == ("RGBA", "image/png")
    keyed = Image.new("RGB", (40, 40), "white")
    keyed.paste("red", (0, 0, 20, 20))
    data, media_type = image.small(saved(file, encoded(keyed, "PNG", transparency=(255, 255, 255))))
    assert (Image.open(io.BytesIO(data)).getpixel((30, 30))[3], media_type) == (0, "image/png")


@pytest.mark.parametrize("alpha", [255, 100])
def test_the_preview_carries_no_metadata(file: Path, alpha: int) -> None:
    """The place where a photo was taken, comments and profiles do not reach a model's eyes."""
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    picture = noise(40, 40, "RGBA")
    picture.putalpha(alpha)
    saved(file, encoded(picture, "WEBP", exif=exif, xmp=b"<x>secret place</x>", icc_profile=b"secret place"))
    data, _ = image.small(file)
    assert b"secret" not in data
    assert dict(Image.open(io.BytesIO(data)).getexif()) == {}
    saved(file, encoded(noise(), "JPEG", comment=b"secret place", exif=exif))
    assert b"secret" not in image.small(file)[0]


def test_a_broken_picture_has_no_preview(file: Path) -> None:
    """A cut picture is refused for the eyes as for the log."""
    with pytest.raises(ResultBroken, match="not_a_picture"):
        image.small(saved(file, encoded(noise(), "JPEG")[:-200]))


@pytest.mark.parametrize(
    ("size", "asked", "fits"),
    [
        ((1080, 1920), "9:16", True),
        ((1920, 1080), "9:16", False),
        ((1024, 1024), "9:16", False),
        ((1024, 1024), "1:1", True),
        ((1024, 980), "1:1", True),
        ((1024, 960), "1:1", False),
        ((832, 1216), "4:5", True),
        ((1080, 1920), "4:3", False),
        ((1344, 576), "21:9", True),
        ((1000, 400), "2.39:1", True),
        ((5, 1), None, True),
        ((5, 1), "auto", True),
        ((5, 1), "", True),
    ],
)
def test_orientation(size: tuple[int, int], asked: str | None, fits: bool) -> None:
    """Portrait, landscape and square are told apart, square with 5 % of play; where nothing was asked all fits."""
    assert image.orientation_matches(*size, asked) is fits


def test_one_picture_is_decoded_at_a_time(file: Path) -> None:
    """Threads take turns: memory is bounded, and the program's warning filters are afterwards as they were."""
    before = list(warnings.filters)
    saved(file, encoded(noise(), "PNG"))
    inside = threading.Event()

    def enter() -> None:
        with image._opened(file, image.MAX_PIXELS):
            inside.set()

    second = threading.Thread(target=enter)
    with image._opened(file, image.MAX_PIXELS):
        second.start()
        assert not inside.wait(0.2)
    second.join()
    assert inside.is_set()
    assert list(warnings.filters) == before


@pytest.mark.parametrize("form", KINDS)
def test_damage_is_a_broken_result_and_nothing_else(file: Path, form: str) -> None:
    """Whatever bytes are flipped, a picture is looked at or refused: no other error comes out."""
    whole, chance = encoded(noise(), form), random.Random(form)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        with suppress(ResultBroken):
            image.inspect(saved(file, bytes(data)), max_pixels=4_000_000)
            image.small(file)
