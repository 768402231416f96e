"""A picture made fit for a provider: nothing changes without need, and what cannot be made fit is refused."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageFilter

from hoasi.errors import FileBroken
from hoasi.media.fit import Need, check, fit

KLING = Need(min_side=300, max_side=4096, max_bytes=10_000_000, max_ratio=2.5, media_types=("image/jpeg", "image/png"))


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Noise that was softened: as hard to press as a detailed photograph."""
    small = Image.frombytes("RGB", (160, 120), random.Random(3).randbytes(160 * 120 * 3))
    return small.resize((width, height)).filter(ImageFilter.SMOOTH).convert(mode)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    sheet = io.BytesIO()
    image.save(sheet, form, **options)
    return sheet.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def turned(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (10.0, 46.0, 0.0)}
    exif[0x010F] = "Phone"
    return encoded(image, "JPEG", exif=exif, quality=90)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("need", [Need(), KLING])
def test_what_fits_goes_out_as_it_came(form: str, need: Need) -> None:
    """A picture that a provider takes is sent byte for byte."""
    content = encoded(scene(400, 320), form)
    assert fit(content, need) == (content, f"image/{form.lower()}")


def test_a_turned_photo_goes_out_upright_and_without_its_place() -> None:
    """EXIF turns the pixels, and neither GPS nor any other note travels with a picture that is written anew."""
    image = Image.new("RGB", (640, 400), "white")
    image.paste("red", (0, 0, 640, 60))
    content, media_type = fit(turned(image, 6), KLING)
    out = opened(content)
    assert (media_type, out.size) == ("image/jpeg", (400, 640))
    assert out.getpixel((380, 300))[1] < 60 < out.getpixel((100, 300))[1]
    assert not out.getexif()
    assert b"Phone" not in content
    assert b"Exif" not in content


def test_a_crop_is_cut_from_the_upright_picture() -> None:
    """Crop coordinates are those a viewer sees, and what lies outside of the picture is left out."""
    image = Image.new("RGB", (900, 700), "white")
    image.paste("blue", (100, 200, 500, 600))
    out = opened(fit(encoded(image, "PNG"), KLING, (100, 200, 500, 600))[0])
    assert (out.size, out.getextrema()) == ((400, 400), ((0, 0), (0, 0), (255, 255)))
    assert opened(fit(encoded(image, "PNG"), KLING, (-50, 300, 400, 9000))[0]).size == (400, 400)
    with pytest.raises(ValueError, match="outside"):
        fit(encoded(image, "PNG"), KLING, (900, 0, 1200, 300))


def test_a_large_picture_is_made_smaller_in_its_own_shape() -> None:
    """Too many pixels are scaled down, the shape and the sight stay."""
    image = scene(3000, 1500)
    content, media_type = fit(encoded(image, "JPEG"), KLING.model_copy(update={"max_side": 1000}))
    out = opened(content)
    assert (media_type, out.size) == ("image/jpeg", (1000, 500))
    apart = ImageChops.difference(out.resize((100, 50)), image.resize((100, 50)))
    assert max(high for _, high in apart.getextrema()) < 40


def test_a_heavy_picture_is_pressed_and_then_shrunk() -> None:
    """Too many bytes cost quality first, then pixels, and never more than the provider allows."""
    content = encoded(scene(1600, 1200), "PNG")
    for limit in (600_000, 150_000, 60_000):
        written, media_type = fit(content, KLING.model_copy(update={"max_bytes": limit}))
        out = opened(written)
        assert len(written) <= limit < len(content)
        assert (media_type, min(out.size) >= 300) == ("image/jpeg", True)
    assert out.size < (1600, 1200)
    with pytest.raises(FileBroken) as caught:
        fit(content, KLING.model_copy(update={"max_bytes": 2_000}))
    assert caught.value.key == "picture_too_heavy"


def test_types_that_a_provider_does_not_take_are_written_anew() -> None:
    """WEBP, GIF, BMP and TIFF become JPEG, or PNG where something is transparent or only PNG is taken."""
    for form in ("WEBP", "GIF", "BMP", "TIFF"):
        written, media_type = fit(encoded(scene(400, 400), form), KLING)
        assert (media_type, opened(written).format) == ("image/jpeg", "JPEG")
    clear = scene(400, 400, "RGBA")
    clear.putalpha(90)
    assert fit(encoded(clear, "WEBP"), KLING)[1] == "image/png"
    only_png = KLING.model_copy(update={"media_types": ("image/png",)})
    assert fit(encoded(scene(400, 400), "JPEG"), only_png)[1] == "image/png"
    with pytest.raises(ValueError, match="neither"):
        fit(encoded(scene(400, 400), "PNG"), KLING.model_copy(update={"media_types": ("image/avif",)}))


def test_transparency_stays_where_it_can_and_is_white_where_it_cannot() -> None:
    """A cut-out stays a PNG with its transparency; as JPEG what was clear is white, not black."""
    clear = Image.new("RGBA", (500, 500), (0, 0, 0, 0))
    clear.paste((200, 10, 10, 255), (100, 100, 400, 400))
    written, media_type = fit(encoded(clear, "PNG"), KLING, (50, 50, 450, 450))
    assert (media_type, opened(written).mode) == ("image/png", "RGBA")
    jpeg_only = KLING.model_copy(update={"media_types": ("image/jpeg",)})
    written, media_type = fit(encoded(clear, "PNG"), jpeg_only)
    assert media_type == "image/jpeg"
    assert min(opened(written).getpixel((20, 20))) > 240


def test_the_same_picture_gives_the_same_bytes() -> None:
    """What is sent, and so the fingerprint of what is bought, does not depend on the moment."""
    need = KLING.model_copy(update={"max_side": 500})
    contents = [encoded(scene(900, 700), "PNG"), encoded(scene(900, 700), "JPEG")]
    assert [fit(content, need) for content in contents] == [fit(content, need) for content in contents]


@pytest.mark.parametrize(
    ("size", "key", "facts"),
    [
        ((299, 500), "picture_too_small", {"width": 299, "height": 500, "limit_px": 300}),
        ((900, 300), "picture_ratio", {"width": 900, "height": 300, "limit": "2.5"}),
    ],
)
def test_what_no_scaling_mends_is_refused_by_name_and_number(
    size: tuple[int, int], key: str, facts: dict[str, object]
) -> None:
    """Too small or too narrow is refused, before and after decoding alike, with the size and the limit."""
    content = encoded(Image.new("RGB", size, "green"), "PNG")
    for ask in (lambda: fit(content, KLING), lambda: check(*size, len(content), KLING)):
        with pytest.raises(FileBroken) as caught:
            ask()
        assert (caught.value.key, caught.value.facts) == (key, facts)


def test_the_limits_themselves_are_taken() -> None:
    """300 pixels and 1 : 2.5 are still fine; many pixels and bytes are no reason to refuse; an empty file is."""
    check(300, 750, 99_000_000, KLING)
    check(9000, 4000, 1, KLING)
    check(1, 9000, 1, Need())
    with pytest.raises(FileBroken) as caught:
        check(300, 750, 0, KLING)
    assert caught.value.key == "not_a_picture"


def test_a_picture_that_would_get_too_small_by_scaling_is_too_narrow() -> None:
    """Where no size is both small enough and large enough, it is the shape that is wrong."""
    need = Need(min_side=300, max_side=600)
    with pytest.raises(FileBroken) as caught:
        check(3000, 1000, 1, need)
    assert (caught.value.key, caught.value.facts["limit"]) == ("picture_ratio", "2")
    check(2000, 1000, 1, need)


def test_only_the_cutting_of_a_clear_face_is_enlarged() -> None:
    """A small cutting grows to the provider's least side when it was asked for and its face has 120 pixels."""
    content = encoded(scene(280, 280), "PNG")
    cut = (20, 0, 260, 280)
    grown = opened(fit(content, KLING, cut, face_side=120)[0])
    assert grown.size == (300, 350)
    for refused in ({"crop": cut, "face_side": 119}, {"crop": cut}, {"face_side": 200}):
        with pytest.raises(FileBroken) as caught:
            fit(content, KLING, **refused)
        assert caught.value.key == "picture_too_small"


def test_a_broken_picture_is_refused() -> None:
    """Half a file is no picture, although its head says how large it is."""
    for form in ("PNG", "JPEG"):
        with pytest.raises(FileBroken) as caught:
            fit(encoded(scene(400, 400), form)[:4000], KLING)
        assert caught.value.key == "not_a_picture"
