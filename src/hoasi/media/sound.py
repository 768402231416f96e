"""Workbench (floor 1): looking at a sound file that the caller gave: what it is, how long, and can it be heard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from hoasi.errors import FileBroken, HoasiError
from hoasi.media import isobmff, matroska
from hoasi.media.clip_open import ATTACHED, LIMIT_BYTES, LIMIT_SOUNDS, need_av
from hoasi.record import Record

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SHORTER_S = 0.5
"""A file may end this much before it promised."""


class Sound(Record):
    """What is known of a sound file after hearing all of it."""

    media_type: str
    duration_s: float
    codec: str


class _Kind(NamedTuple):
    media_type: str
    form: str
    keeps_word: bool
    """Its head tells a length that can be relied on; for MP3 and AAC it is a guess."""


_ID3_SIZES = slice(6, 10)
_MOST_TAGS = 4
_STREAMED = 0xFFFFFFFF
"""The size that a WAV has whose writer could not know it."""
_WAV = _Kind("audio/wav", "wav", keeps_word=True)
_STARTS = {
    b"fLaC": _Kind("audio/flac", "flac", keeps_word=True),
    b"OggS": _Kind("audio/ogg", "ogg", keeps_word=True),
    b"RIFF": _WAV,
    b"RF64": _WAV,
}
_MP4 = _Kind("audio/mp4", "mov", keeps_word=True)
_MP3 = _Kind("audio/mpeg", "mp3", keeps_word=False)
_AAC = _Kind("audio/aac", "aac", keeps_word=False)


def probe(path: Path) -> Sound:
    """Decode a sound file (MP3, WAV, M4A, AAC, OGG, FLAC) once; what it is comes from its content.

    Raises:
        FileBroken: `sound_broken` (another format, nothing to hear, cut short, or over 1 GB), `sound_is_video`.
        NotSupported: `media_extra_missing`.
        OSError: the file cannot be opened.
    """
    av = need_av()
    with path.open("rb") as file:
        try:
            kind = _kind(file, path)
            file.seek(0)
            with av.open(file, format=kind.form) as container:
                stream = _heard(container, path)
                duration_s = _play(container, stream)
                promised_s = (container.duration or 0) / 1_000_000 if kind.keeps_word else 0.0
                codec = stream.codec_context.name
        except HoasiError:
            raise
        except Exception as error:
            raise _broken(path) from error
    if not duration_s or duration_s < promised_s - SHORTER_S:
        raise _broken(path)
    return Sound(media_type=kind.media_type, duration_s=round(duration_s, 3), codec=codec)


def _broken(path: Path) -> FileBroken:
    return FileBroken("sound_broken", name=path.name)


def _kind(file: BinaryIO, path: Path) -> _Kind:
    head = _behind_tag(file)
    if path.stat().st_size > LIMIT_BYTES:
        raise _broken(path)
    if head[:4] in _STARTS and not _is_bad_riff(head, path.stat().st_size):
        return _STARTS[head[:4]]
    if head.startswith(matroska.START):
        raise FileBroken("sound_is_video", name=path.name)
    if head[4:8] in isobmff.STARTS:
        if isobmff.is_cut(file):
            raise _broken(path)
        return _MP4
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _AAC if head[1] & 0xF6 == 0xF0 else _MP3
    raise _broken(path)


def _is_bad_riff(head: bytes, size: int) -> bool:
    """Not sound but something else in RIFF, or shorter than its head says."""
    said = int.from_bytes(head[4:8], "little")
    return head[:4] in {b"RIFF", b"RF64"} and (head[8:12] != b"WAVE" or (said != _STREAMED and said + 8 > size))


def _behind_tag(file: BinaryIO) -> bytes:
    """The first bytes that are no ID3 tag: MP3, AAC and FLAC may have some."""
    at, head = 0, file.read(12)
    for _ in range(_MOST_TAGS):
        if head[:3] != b"ID3" or len(head) < 12:
            break
        at += 10 + sum(byte << shift for byte, shift in zip(head[_ID3_SIZES], (21, 14, 7, 0), strict=True))
        file.seek(at)
        head = file.read(12)
    return head


def _heard(container: InputContainer, path: Path) -> AudioStream:
    if any(not stream.disposition & ATTACHED for stream in container.streams.video):
        raise FileBroken("sound_is_video", name=path.name)
    if not container.streams.audio or not container.streams.audio[0].codec_context:
        raise _broken(path)
    return container.streams.audio[0]


def _play(container: InputContainer, stream: AudioStream) -> float:
    """Seconds that can be heard; a piece that cannot be decoded is passed over, as players do."""
    heard_s = 0.0
    for number, packet in enumerate(container.demux(stream)):
        if number > LIMIT_SOUNDS:
            break
        heard_s += sum(frame.samples / frame.sample_rate for frame in _pieces(packet))
    return heard_s


def _pieces(packet: Any) -> list[Any]:
    import av

    try:
        return list(packet.decode())
    except av.error.InvalidDataError:
        return []
