"""Where a picture came from stands in its own file, and its pixels are as they were."""

from __future__ import annotations

import io
import random
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import av
import pytest
from PIL import Image

from hoasi.errors import ResultBroken
from hoasi.media import isobmff
from hoasi.media.provenance import DRAWN, TRAINED, Provenance, embed, read

PROMPT = "C\u00f4 g\u00e1i u\u1ed1ng c\u00e0 ph\u00ea \u2615 <\"A\" & 'B'>\nd\u00f2ng hai \U0001f600"
MADE = Provenance(
    generation_id="gen_01",
    provider="fal",
    model="fal-ai/nano-banana",
    prompt=PROMPT,
    seed=0,
    created_at="2026-04-27T10:15:00+07:00",
    is_trained=True,
)
FACTS = {
    "prompt": PROMPT,
    "model": "fal-ai/nano-banana",
    "provider": "fal",
    "seed": "0",
    "generation": "gen_01",
    "created_at": "2026-04-27T10:15:00+07:00",
    "source_type": TRAINED,
}
TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
FOREIGN = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmp:CreatorTool="Camera 9">'
    b'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">a foreign caption</rdf:li></rdf:Alt></dc:description>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def noise(width: int = 33, height: int = 17, mode: str = "RGB") -> Image.Image:
    picture = Image.frombytes("RGB", (width, height), random.Random(3).randbytes(width * height * 3)).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize((width, height)))
    return picture


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    sheet = io.BytesIO()
    picture.save(sheet, form, **options)
    return sheet.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def frames(data: bytes) -> Iterator[tuple[str, tuple[int, int], bytes]]:
    picture = Image.open(io.BytesIO(data))
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        yield picture.mode, picture.size, picture.convert("RGBA").tobytes()


def properties(data: bytes) -> list[ElementTree.Element]:
    """The XMP as a strict XML parser sees it: every property of every description."""
    packet = opened(data).info["xmp"]
    tree = ElementTree.fromstring(packet.decode().strip("\ufeff"))
    return [item for block in tree.iter(f"{RDF}Description") for item in block]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


PALETTE = noise(40, 9, "P")
CASES = {
    "png": encoded(noise(), "PNG"),
    "png_1x1": encoded(noise(1, 1), "PNG"),
    "png_palette": encoded(PALETTE, "PNG"),
    "png_palette_transparent": encoded(PALETTE, "PNG", transparency=3),
    "png_alpha": encoded(noise(mode="RGBA"), "PNG"),
    "png_grey16": encoded(Image.new("I;16", (5, 4), 4711), "PNG"),
    "png_one_bit": encoded(noise(mode="1"), "PNG"),
    "png_exif": encoded(noise(), "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "png_film": encoded(noise(), "PNG", save_all=True, append_images=[noise().rotate(90)]),
    "jpeg": encoded(noise(), "JPEG"),
    "jpeg_1x1": encoded(noise(1, 1), "JPEG"),
    "jpeg_progressive": encoded(noise(90, 70), "JPEG", progressive=True),
    "jpeg_grey": encoded(noise(mode="L"), "JPEG"),
    "jpeg_cmyk": encoded(noise(mode="CMYK"), "JPEG"),
    "jpeg_profile": encoded(noise(), "JPEG", icc_profile=b"p" * 150_000, comment=b"kept"),
    "jpeg_restarts": encoded(noise(90, 70), "JPEG", restart_marker_rows=1),
    "jpeg_views": encoded(noise(), "MPO", save_all=True, append_images=[noise().rotate(180)]),
    "webp": encoded(noise(), "WEBP"),
    "webp_1x1": encoded(noise(1, 1), "WEBP"),
    "webp_lossless": encoded(noise(), "WEBP", lossless=True),
    "webp_lossless_1x1": encoded(noise(1, 1), "WEBP", lossless=True),
    "webp_alpha": encoded(noise(mode="RGBA"), "WEBP"),
    "webp_lossless_alpha": encoded(noise(mode="RGBA"), "WEBP", lossless=True),
    "webp_profile": encoded(noise(), "WEBP", icc_profile=b"odd length"),
    "webp_film": encoded(noise(), "WEBP", save_all=True, append_images=[noise().rotate(180)]),
}


def type_of(name: str) -> str:
    return TYPES[name.partition("_")[0].upper()]


@pytest.mark.parametrize("name", CASES)
def test_pixels_are_untouched(name: str) -> None:
    """Every frame of every kind of picture decodes to the same pixels as before."""
    data = CASES[name]
    marked = embed(data, type_of(name), MADE)
    assert marked != data
    assert list(frames(marked)) == list(frames(data))
    before, after = opened(data).info, opened(marked).info
    assert all(after[key] == value for key, value in before.items())


@pytest.mark.parametrize("name", CASES)
def test_everything_comes_back(name: str) -> None:
    """Prompt, model, provider, seed (also 0), generation, time and source type are read back as they were given."""
    assert read(embed(CASES[name], type_of(name), MADE)) == FACTS


@pytest.mark.parametrize("name", CASES)
def test_xmp_is_well_formed_and_holds_the_iptc_source_type(name: str) -> None:
    """A strict XML parser, through Pillow, finds the IPTC digital source type, the system used and the prompt."""
    found = {item.tag: "".join(item.itertext()) for item in properties(embed(CASES[name], type_of(name), MADE))}
    assert found[f"{EXT}DigitalSourceType"] == TRAINED
    assert found[f"{EXT}AISystemUsed"] == "fal-ai/nano-banana"
    assert found["{http://purl.org/dc/elements/1.1/}description"] == PROMPT
    assert found["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == "hoasi"


@pytest.mark.parametrize("name", [name for name in CASES if name not in {"png_exif", "jpeg_views"}])
def test_exif_is_readable(name: str) -> None:
    """Viewers that know only Exif see what made the picture, and the prompt as its comment."""
    exif = opened(embed(CASES[name], type_of(name), MADE)).getexif()
    assert exif[0x0131] == "hoasi"
    assert exif[0x010E] == "fal fal-ai/nano-banana, seed 0, generation gen_01"
    assert exif[0x0132] == "2026:04:27 10:15:00"
    comment = exif.get_ifd(0x8769)[0x9286]
    assert comment.removeprefix(b"UNICODE\0").decode("utf-16-le") == PROMPT


@pytest.mark.parametrize(
    ("mode", "options"),
    [("RGB", {}), ("RGBA", {}), ("RGB", {"lossless": True}), ("RGBA", {"lossless": True})],
)
def test_the_canvas_of_a_webp_is_libwebps(mode: str, options: dict[str, Any]) -> None:
    """The extended header that a simple WEBP lacks tells alpha and size exactly as libwebp itself would."""
    picture = noise(311, 17, mode)
    marked = embed(encoded(picture, "WEBP", **options), "image/webp", MADE)
    theirs = encoded(picture, "WEBP", xmp=b"x", exif=Image.Exif(), **options)
    assert (marked[12:20], marked[20] & ~0x08, marked[21:30]) == (theirs[12:20], theirs[20] & ~0x08, theirs[21:30])
    assert marked[20] & 0x0C == 0x0C


def test_a_webp_to_be_shown_larger_keeps_its_size() -> None:
    """The two scaling bits beside width and height of a lossy WEBP are not taken for size."""
    data = bytearray(CASES["webp"])
    data[27] |= 0x40
    data[29] |= 0x80
    marked = embed(bytes(data), "image/webp", MADE)
    assert marked[24:30] == bytes([32, 0, 0, 16, 0, 0])


def test_png_has_readable_texts() -> None:
    """A PNG shows prompt, model, seed and generation as plain texts, with diacritics and emoji."""
    text = opened(embed(CASES["png"], "image/png", MADE)).text  # type: ignore[attr-defined]
    assert {name: str(text[name]) for name in ("prompt", "model", "seed", "generation")} == {
        "prompt": PROMPT,
        "model": "fal-ai/nano-banana",
        "seed": "0",
        "generation": "gen_01",
    }


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_a_drawing_is_not_called_trained(name: str) -> None:
    """A storyboard that we drew by rule says so, names no AI system, and a seed that does not exist is not invented."""
    drawn = MADE.model_copy(update={"is_trained": False, "seed": None})
    marked = embed(CASES[name], type_of(name), drawn)
    assert read(marked) == {key: value for key, value in FACTS.items() if key != "seed"} | {"source_type": DRAWN}
    assert b"AISystemUsed" not in marked
    assert b"hoasi:seed" not in marked


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("unit", ["ch\u1eef ", "\U0001f600", "<&>", "x", "'"])
def test_a_prompt_of_100_kb(name: str, unit: str) -> None:
    """A giant prompt is whole in PNG and WEBP; JPEG cuts it at a whole character, and the XML stays well formed."""
    prompt = (unit * 100_000)[:100_000].strip()
    marked = embed(CASES[name], type_of(name), MADE.model_copy(update={"prompt": prompt}))
    assert list(frames(marked)) == list(frames(CASES[name]))
    kept = read(marked)["prompt"]
    assert properties(marked)
    if name == "jpeg":
        assert kept.endswith("\u2026")
        assert prompt.startswith(kept[:-1])
        assert len(opened(marked).info["xmp"]) > 65_400
    else:
        assert kept == prompt


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_what_xml_cannot_hold_is_dropped(name: str) -> None:
    """Control characters, halves of surrogate pairs and non-characters vanish; line ends and tabs stay."""
    prompt = "a\0b\x1b[31mc\x85d\ud83de\ufffff\r\ng\th ]]> <?xpacket end='r'?> </rdf:RDF>"
    marked = embed(CASES[name], type_of(name), MADE.model_copy(update={"prompt": prompt}))
    assert read(marked)["prompt"] == "ab[31mcdef\ng\th ]]> <?xpacket end='r'?> </rdf:RDF>"
    assert properties(marked)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_a_prompt_cannot_speak_for_the_file(name: str) -> None:
    """A prompt that looks like metadata turns no picture and changes no fact."""
    prompt = 'tiff:Orientation="6" hoasi:seed="9" <hoasi:model>other</hoasi:model> &lt; &amp;copy &copy'
    marked = embed(CASES[name], type_of(name), MADE.model_copy(update={"prompt": prompt}))
    assert read(marked) == {**FACTS, "prompt": prompt}
    assert 0x0112 not in opened(marked).getexif()


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_marking_twice_changes_nothing(name: str) -> None:
    """A file that already carries our facts is left as it is."""
    once = embed(CASES[name], type_of(name), MADE)
    assert embed(once, type_of(name), MADE.model_copy(update={"prompt": "other"})) == once


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_foreign_xmp_is_kept_and_added_to(name: str) -> None:
    """Another tool's XMP keeps every word; ours is added where it was silent, in the one packet that is read."""
    form = name.upper()
    if name == "png":
        head = CASES["png"][:33]
        data = head + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + FOREIGN) + CASES["png"][33:]
    else:
        data = encoded(noise(), form, xmp=FOREIGN)
    marked = embed(data, TYPES[form], MADE)
    assert list(frames(marked)) == list(frames(data))
    assert marked.count(b"<x:xmpmeta") == 1
    assert b'xmp:CreatorTool="Camera 9"' in marked
    texts = ["".join(item.itertext()) for item in properties(marked)]
    assert "a foreign caption" in texts
    assert "hoasi" not in texts
    assert read(marked) == FACTS


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_a_named_source_type_is_not_contradicted(name: str) -> None:
    """Where the provider already says what kind of source it is, its word stays and is not doubled."""
    said = FOREIGN.replace(
        b'xmp:CreatorTool="Camera 9"',
        b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="theirs"',
    )
    if name == "png":
        data = CASES["png"][:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + said) + CASES["png"][33:]
    else:
        data = encoded(noise(), name.upper(), xmp=said)
    marked = embed(data, type_of(name), MADE)
    assert read(marked)["source_type"] == "theirs"
    assert marked.count(b"DigitalSourceType") == 1


def test_an_unreadable_packet_is_replaced() -> None:
    """XMP that nothing can be added to (here UTF-16) gives way, because a reader takes only one."""
    data = encoded(noise(), "WEBP", xmp=FOREIGN.decode().encode("utf-16"))
    assert read(embed(data, "image/webp", MADE)) == FACTS


def test_a_full_jpeg_packet_stays() -> None:
    """Another tool's XMP that fills its segment is not thrown away for ours; Exif still tells."""
    full = FOREIGN.replace(b"a foreign caption", b"w" * 64_500)
    marked = embed(encoded(noise(), "JPEG", xmp=full), "image/jpeg", MADE)
    assert opened(marked).info["xmp"] == full
    assert opened(marked).getexif()[0x0131] == "hoasi"


def test_foreign_exif_is_kept() -> None:
    """A picture's own Exif (here its orientation) stays, and no second one is added."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for form, media_type in TYPES.items():
        marked = embed(encoded(noise(), form, exif=exif), media_type, MADE)
        assert dict(opened(marked).getexif()) == {0x0112: 6}
        assert len(re.findall(rb"eXIf|Exif\0\0|EXIF", marked)) == 1


def test_comfyui_keeps_its_graph() -> None:
    """A PNG whose `prompt` text is a ComfyUI graph can still be dragged into ComfyUI."""
    data = CASES["png"][:33] + chunk(b"tEXt", b'prompt\0{"3": {"class_type": "KSampler"}}') + CASES["png"][33:]
    marked = embed(data, "image/png", MADE)
    assert opened(marked).text["prompt"] == '{"3": {"class_type": "KSampler"}}'  # type: ignore[attr-defined]
    assert read(marked)["prompt"] == PROMPT


C2PA = b"JP\0\x01\0\0\0\x01\0\0\0\x40jumb\0\0\0\x26jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0"
SIGNED = {
    "image/png": CASES["png"][:33] + chunk(b"caBX", C2PA) + CASES["png"][33:],
    "image/jpeg": CASES["jpeg"][:20] + segment(0xEB, C2PA) + CASES["jpeg"][20:],
}


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for k, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


SIGNED["image/webp"] = CASES["webp_profile"][:4] + b"".join(
    (struct.pack("<I", len(CASES["webp_profile"]) + 8), CASES["webp_profile"][8:], b"C2PA\x08\0\0\0manifest")
)


@pytest.mark.parametrize("media_type", SIGNED)
def test_a_signed_file_stays_byte_for_byte(media_type: str) -> None:
    """A C2PA manifest signs every byte and names the source; a file that has one is not touched."""
    data = SIGNED[media_type]
    assert opened(data).size == (33, 17)
    assert embed(data, media_type, MADE) == data


def test_unknown_parts_are_copied() -> None:
    """Chunks and segments that we do not know, and bytes behind the end, are all still there."""
    png = CASES["png"][:33] + chunk(b"prVt", b"private") + CASES["png"][33:] + b"behind"
    jpeg = CASES["jpeg"][:20] + b"\xff\xff" + segment(0xED, b"Photoshop 3.0\0private") + CASES["jpeg"][20:] + b"behind"
    webp = riff((b"VP8L", CASES["webp_lossless"][20:]), (b"prVt", b"private")) + b"behind"
    for data, media_type in ((png, "image/png"), (jpeg, "image/jpeg"), (webp, "image/webp")):
        marked = embed(data, media_type, MADE)
        assert b"private" in marked
        assert marked.endswith(b"behind")
        assert read(marked) == FACTS
        assert list(frames(marked)) == list(frames(data))


def test_the_second_view_of_a_telephone_picture_is_found() -> None:
    """The multi-picture index counts from itself: what we add before it moves nothing."""
    marked = Image.open(io.BytesIO(embed(CASES["jpeg_views"], "image/jpeg", MADE)))
    assert marked.n_frames == 2  # type: ignore[attr-defined]
    marked.seek(1)
    assert marked.convert("RGBA").tobytes() == list(frames(CASES["jpeg_views"]))[1][2]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"\0\0\0\0") + CASES["png"][8:], "image/png"),
        (CASES["jpeg"][:20] + b"\0\0" + CASES["jpeg"][20:], "image/jpeg"),
        (CASES["jpeg"][:2] + segment(0xE2, b"MPF\0index") + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + FOREIGN)
         + CASES["jpeg"][2:], "image/jpeg"),
        (riff((b"VP8 ", b"?" * 20)), "image/webp"),
        (riff((b"VP8X", b"?")), "image/webp"),
    ],
)  # fmt: skip
def test_an_unusual_layout_is_left_alone(data: bytes, media_type: str) -> None:
    """A layout that we do not understand comes back byte for byte: the picture counts more than the label."""
    assert embed(data, media_type, MADE) == data


@pytest.mark.parametrize("media_type", ["image/gif", "image/bmp", "image/tiff", "video/webm", "video/x-matroska", ""])
def test_other_formats_come_back_unchanged(media_type: str) -> None:
    """Formats without a place for provenance are returned as they are."""
    assert embed(b"anything", media_type, MADE) == b"anything"
    assert read(b"anything") == {}


@pytest.mark.parametrize("media_type", TYPES.values())
def test_not_of_the_named_format(media_type: str) -> None:
    """A file that is not what it is called is a broken result, and so is one that ends within its metadata."""
    whole = {"image/png": CASES["png"], "image/jpeg": CASES["jpeg"], "image/webp": CASES["webp"]}[media_type]
    for data in (b"", b"GIF89a", whole[:30], whole[:-8] if media_type != "image/jpeg" else whole[:100]):
        with pytest.raises(ResultBroken) as caught:
            embed(data, media_type, MADE)
        assert (caught.value.key, caught.value.facts) == ("not_a_picture", {"name": "gen_01"})


@pytest.mark.parametrize("name", ["png", "jpeg_progressive", "webp", "webp_profile"])
def test_damaged_files_raise_nothing_else(name: str) -> None:
    """Flipped bytes and cuts give a file or a broken result, and reading never fails."""
    chance = random.Random(name)
    for _ in range(400):
        data = bytearray(embed(CASES[name], type_of(name), MADE) if chance.random() < 0.5 else CASES[name])
        for _ in range(chance.randrange(4)):
            data[chance.randrange(min(len(data), 300))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data))]) if chance.random() < 0.3 else bytes(data)
        read(cut)
        with suppress(ResultBroken):
            embed(cut, type_of(name), MADE)


def test_odd_facts_do_no_harm() -> None:
    """Names with markup, accents, control characters or great length are written safely."""
    odd = MADE.model_copy(update={"model": "m\u1ed9t <b>&\0" + "x" * 70_000, "provider": "\ud800p", "created_at": "?"})
    for name in ("png", "jpeg", "webp"):
        marked = embed(CASES[name], type_of(name), odd)
        assert list(frames(marked)) == list(frames(CASES[name]))
    assert read(embed(CASES["png"], "image/png", odd))["model"].startswith("m\u1ed9t <b>&xxx")


# -------------------------------------------------------------------------------------------------------- clips


def film(form: str, **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as container:
        stream = container.add_stream("libvpx-vp9" if form == "webm" else "libx264", rate=8, options={"g": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_image(noise(64, 48))))
        container.mux(stream.encode(None))
    return file.getvalue()


def shots(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_image().tobytes() for frame in container.decode(video=0)]


def kinds(data: bytes) -> list[bytes]:
    return [box.kind for box in isobmff.boxes(io.BytesIO(data))]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
FILMS = {
    "video/mp4": film("mp4"),
    "video/quicktime": film("mov"),
    "pieces": film("mp4", movflags="frag_keyframe+empty_moov"),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_clip_carries_its_facts_and_plays_as_before(name: str) -> None:
    """Every fact is read back from a clip, its old boxes stand where they stood, and it shows the same frames."""
    data = FILMS[name]
    marked = embed(data, name if name in TYPES_OF_CLIPS else "video/mp4", MADE)
    end = data.rindex(b"mfra") - 4 if b"mfra" in data else len(data)
    assert marked[:end] == data[:end]
    assert marked.endswith(data[end:])
    assert kinds(marked).count(b"uuid") == 1
    assert marked.count(XMP_BOX) == 1
    assert read(marked) == FACTS
    assert shots(marked) == shots(data)
    packet = marked[marked.index(XMP_BOX) + 16 :].partition(b'<?xpacket end="w"?>')[0]
    ElementTree.fromstring(packet.decode().partition("?>")[2])


TYPES_OF_CLIPS = ("video/mp4", "video/quicktime")


def test_marking_a_clip_twice_replaces() -> None:
    """A clip has one box of ours: the same facts give the same bytes, others take their place."""
    once = embed(FILMS["video/mp4"], "video/mp4", MADE)
    assert embed(once, "video/mp4", MADE) == once
    other = embed(once, "video/mp4", MADE.model_copy(update={"prompt": "other", "seed": None}))
    assert read(other) == {**{k: v for k, v in FACTS.items() if k != "seed"}, "prompt": "other"}
    assert other.count(XMP_BOX) == 1
    assert embed(other, "video/mp4", MADE) == once


def test_foreign_xmp_of_a_clip_is_kept() -> None:
    """Another tool's XMP keeps its words, at the end or before the samples, where its place becomes free space."""
    theirs = box(b"uuid", XMP_BOX + FOREIGN)
    data = FILMS["video/mp4"]
    for before in (data + theirs, data + theirs + box(b"free", b"1234")):
        marked = embed(before, "video/mp4", MADE)
        assert marked.count(XMP_BOX) == 1 or kinds(marked).count(b"uuid") == 1
        assert read(marked) == FACTS
        assert b'xmp:CreatorTool="Camera 9"' in marked[marked.rindex(XMP_BOX) :]
        assert b"a foreign caption" in marked[marked.rindex(XMP_BOX) :]
        assert shots(marked) == shots(data)
        again = embed(marked, "video/mp4", MADE)
        assert again == marked


@pytest.mark.parametrize(
    "tail",
    [
        b"\0\0\0\0free" + b"to the end",
        box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"manifest"),
        b"junk",
    ],
)
def test_an_odd_clip_stays_byte_for_byte(tail: bytes) -> None:
    """A last box without an end, a C2PA manifest, or something behind the boxes: the clip is not touched."""
    data = FILMS["video/mp4"] + tail
    assert embed(data, "video/mp4", MADE) == data
    assert read(data) == {}


def test_a_webm_stays_byte_for_byte() -> None:
    """Matroska has no place that is agreed upon."""
    data = film("webm")
    assert embed(data, "video/webm", MADE) == data
    assert read(data) == {}


@pytest.mark.parametrize("media_type", TYPES_OF_CLIPS)
def test_not_of_the_named_clip_format(media_type: str) -> None:
    """What is no clip, or one of which samples are missing, is a broken result."""
    for data in (b"", b"GIF89a", CASES["png"], FILMS["video/mp4"][:200], FILMS["video/mp4"][:-9]):
        with pytest.raises(ResultBroken) as caught:
            embed(data, media_type, MADE)
        assert (caught.value.key, caught.value.facts) == ("not_a_clip", {"name": "gen_01"})


def test_damaged_clips_raise_nothing_else() -> None:
    """Flipped bytes and cuts of a clip give a file or a broken result, and reading never fails."""
    chance = random.Random(5)
    for _ in range(400):
        data = bytearray(embed(FILMS["video/mp4"], "video/mp4", MADE))
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data))]) if chance.random() < 0.3 else bytes(data)
        read(cut)
        with suppress(ResultBroken):
            embed(cut, "video/mp4", MADE)
