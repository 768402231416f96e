"""Looking at a sound file: what it is, how long, and can it be heard."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from hoasi.errors import FileBroken
from hoasi.media import sound
from hoasi.messages import LANGUAGES, explain, speak

KINDS = {
    "mp3": ("audio/mpeg", "mp3", "libmp3lame"),
    "wav": ("audio/wav", "wav", "pcm_s16le"),
    "m4a": ("audio/mp4", "ipod", "aac"),
    "aac": ("audio/aac", "adts", "aac"),
    "ogg": ("audio/ogg", "ogg", "libopus"),
    "flac": ("audio/flac", "flac", "flac"),
}


def tone(container: Any, stream: Any, duration_s: float, rate: int = 48_000) -> None:
    wave = struct.pack("<960h", *(9000 if at % 96 < 48 else -9000 for at in range(960)))
    for number in range(round(duration_s * rate / 960)):
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(wave)
        frame.sample_rate, frame.pts, frame.time_base = rate, number * 960, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def made(kind: str, duration_s: float = 1.5, *, moving: bool = False) -> bytes:
    """A tone, with a moving picture beside it where asked."""
    _, form, codec = KINDS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=48_000)
        if moving:
            pictures = container.add_stream("libx264", rate=5)
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
            container.mux(pictures.encode(av.VideoFrame(32, 32, "yuv420p")))
            container.mux(pictures.encode(None))
        tone(container, stream, duration_s)
    return file.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "voice.bin"


def saved(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_is_comes_from_the_content(file: Path, kind: str) -> None:
    """Type, codec and length of each of the six kinds, whatever the name."""
    heard = sound.probe(saved(file, made(kind)))
    assert heard.media_type == KINDS[kind][0]
    assert heard.duration_s == pytest.approx(1.5, abs=0.08)
    assert heard.codec in {KINDS[kind][2], "mp3", "mp3float", "opus", "libopus"}


def test_a_tag_in_front_does_no_harm(file: Path) -> None:
    """AAC and FLAC behind an ID3 tag are still what they are."""
    tag = b"ID3\x04\0\0\0\0\0\x7f" + bytes(127)
    for kind in ("aac", "flac", "mp3"):
        assert sound.probe(saved(file, tag + made(kind))).media_type == KINDS[kind][0]


@pytest.mark.parametrize("form", ["mp4", "webm", "matroska"])
def test_a_clip_is_no_sound(file: Path, form: str) -> None:
    """A clip that has sound is refused by its own words, in both languages."""
    with av.open(str(file), "w", format=form) as container:
        pictures = container.add_stream("libvpx-vp9" if form == "webm" else "libx264", rate=5)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        tune = container.add_stream("libopus" if form == "webm" else "aac", rate=48_000)
        container.mux(pictures.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(pictures.encode(None))
        tone(container, tune, 0.4)
    with pytest.raises(FileBroken) as caught:
        sound.probe(file)
    assert (caught.value.key, caught.value.paid, caught.value.facts) == ("sound_is_video", "no", {"name": "voice.bin"})
    for language in reversed(LANGUAGES):
        speak(language)
        assert "voice.bin" in explain(caught.value.problem()).message


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"text\n" * 99, b"\0" * 99),
        *(b"RIFF\x10\0\0\0WEBPVP8 ", b"ID3\x04\0\0\0\0\0\x7f", b"\xff\xfb" * 2, b"OggS", b"fLaC"),
    ],
)
def test_what_is_no_sound_is_refused(file: Path, data: bytes) -> None:
    """An empty file, a text, a picture in RIFF or a bare signature is no sound."""
    with pytest.raises(FileBroken, match="sound_broken"):
        sound.probe(saved(file, data))


@pytest.mark.parametrize("kind", ["wav", "m4a", "flac"])
def test_a_cut_is_noticed(file: Path, kind: str) -> None:
    """A file whose head tells its length and of which half is missing is refused."""
    whole = made(kind, 4)
    with pytest.raises(FileBroken, match="sound_broken"):
        sound.probe(saved(file, whole[: len(whole) // 2]))


@pytest.mark.parametrize("kind", KINDS)
def test_damage_raises_nothing_else(file: Path, kind: str) -> None:
    """Flipped bytes give a sound or a broken file, never another error."""
    whole = made(kind, 0.5)
    outcomes = set()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        try:
            outcomes.add(sound.probe(saved(file, bytes(broken))).media_type)
        except FileBroken as error:
            outcomes.add(error.key)
    assert outcomes <= {KINDS[kind][0], "sound_broken", "sound_is_video", "audio/mpeg", "audio/aac"}
