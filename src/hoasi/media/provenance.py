"""Workbench (floor 1): where a picture or clip came from, written into its own file without touching a pixel.

XMP for machines (IPTC Photo Metadata 2025.1, https://iptc.org/std/photometadata/specification/), Exif for viewers, and
in PNG also readable texts. What a file already says is kept: only facts that its XMP lacks are added. A file with a
C2PA manifest stays as it is: the manifest signs every byte and names the source itself; any insertion would make it
read "tampered with".
"""

from __future__ import annotations

import html
import re

from hoasi.errors import ResultBroken
from hoasi.media import isobmff
from hoasi.media.containers import CutShort, UnusualLayout, rebuilt, xmp_of
from hoasi.record import Record

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
DRAWN = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"

_CLIPS = {"video/mp4", "video/quicktime"}
_NOT_TEXT = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROMPT, _SECOND_PROMPT = "dc:description", "Iptc4xmpExt:AIPromptInformation"
_KNOWN = {
    "prompt": (_SECOND_PROMPT, _PROMPT),
    "model": ("hoasi:model",),
    "provider": ("hoasi:provider",),
    "seed": ("hoasi:seed",),
    "generation": ("hoasi:generation",),
    "created_at": ("xmp:CreateDate",),
    "source_type": ("Iptc4xmpExt:DigitalSourceType",),
}
_SPACES = " ".join(
    f'xmlns:{name}="{address}"'
    for name, address in {
        "dc": "http://purl.org/dc/elements/1.1/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
        "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        "hoasi": "urn:hoasi:ns:1.0#",
    }.items()
)
_OURS, _OURS_END = f'<rdf:Description rdf:about="" {_SPACES}>'.encode(), b"</rdf:Description>\n"
_EMPTY_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
).encode()


class Provenance(Record):
    """What made a picture or clip. `created_at` is ISO 8601; `is_trained` is False for what no AI model made."""

    generation_id: str
    provider: str
    model: str
    prompt: str
    seed: int | None
    created_at: str
    is_trained: bool


def embed(data: bytes, media_type: str, p: Provenance) -> bytes:
    """The same picture (PNG, JPEG, WEBP) or clip (MP4, MOV) with its provenance in it; pixels are not decoded.

    Unchanged come back: other formats, files with a C2PA manifest, and whole files of an unusual layout. A prompt
    that is too long for JPEG (64 kB) is cut there. A picture keeps the facts of ours that it has; in a clip, which may
    have been made of one of ours, the new ones take their place.

    Raises:
        ResultBroken: `not_a_picture`, `not_a_clip`: not of the format named, or cut short.
    """
    is_clip = media_type in _CLIPS
    texts = {"prompt": p.prompt, "model": p.model, "generation": p.generation_id}
    texts |= {} if p.seed is None else {"seed": str(p.seed)}
    try:
        if is_clip:
            return isobmff.with_xmp(data, lambda old, room: _packet(p, _without_ours(old), room))
        return rebuilt(
            data,
            media_type,
            xmp=lambda old, room: _packet(p, old, room),
            exif=_exif(p),
            texts={name: _clean(text) for name, text in texts.items()},
        )
    except UnusualLayout:
        return data
    except CutShort as error:
        raise ResultBroken("not_a_clip" if is_clip else "not_a_picture", name=p.generation_id) from error


def read(data: bytes) -> dict[str, str]:
    """What XMP in a PNG, JPEG, WEBP, MP4 or MOV says.

    Of prompt, model, provider, seed, generation, created_at and source_type (a URL); only what is there. Empty for
    anything else, never an error.
    """
    try:
        packet = isobmff.xmp_of(data) if data[4:8] in isobmff.STARTS else xmp_of(data)
    except (UnusualLayout, CutShort):
        return {}
    text = packet.decode("utf-8", "replace")
    found = {fact: _property(text, names) for fact, names in _KNOWN.items()}
    return {fact: value for fact, value in found.items() if value is not None}


def _without_ours(packet: bytes) -> bytes:
    """A packet without the description that we once added to it."""
    before, start, rest = packet.partition(_OURS)
    _, end, after = rest.partition(_OURS_END)
    return before + after if start and end else packet


def _clean(text: str) -> str:
    """What XML and PNG may hold: no control characters, no halves of surrogate pairs."""
    return _NOT_TEXT.sub("", text.replace("\r\n", "\n"))


def _facts(p: Provenance) -> dict[str, str]:
    trained = {"Iptc4xmpExt:AISystemUsed": p.model} if p.is_trained else {}
    seed = {} if p.seed is None else {"hoasi:seed": str(p.seed)}
    return {
        "Iptc4xmpExt:DigitalSourceType": TRAINED if p.is_trained else DRAWN,
        "xmp:CreatorTool": "hoasi",
        "xmp:CreateDate": p.created_at,
        "hoasi:generation": p.generation_id,
        "hoasi:provider": p.provider,
        "hoasi:model": p.model,
        **trained,
        **seed,
    }


def _packet(p: Provenance, old: bytes, room: int) -> bytes:
    """`old` with the facts it lacks; a prompt that does not fit is cut, and an `old` without room stays as it is."""
    if b"hoasi:generation" in old:
        return old
    before, end, after = old.rpartition(b"</rdf:RDF>")
    if not end:  # nothing that could be added to: no packet, another encoding, or no RDF in it
        return _packet(p, _EMPTY_PACKET, room)
    prompt = _SECOND_PROMPT if _PROMPT.encode() in old else _PROMPT
    facts = {name: value for name, value in {**_facts(p), prompt: ""}.items() if name.encode() not in old}
    bare = _description(facts, b"")
    left = room - len(old) - len(bare)
    return old if left < 0 else before + _description(facts, _cut(p.prompt, left)) + end + after


def _description(facts: dict[str, str], prompt: bytes) -> bytes:
    rows = [f'<rdf:Description rdf:about="" {_SPACES}>'.encode()]
    for name, value in facts.items():
        is_prompt = name in {_PROMPT, _SECOND_PROMPT}
        said = prompt if is_prompt else html.escape(_clean(value)).encode()
        if name == _PROMPT:
            said = b'<rdf:Alt><rdf:li xml:lang="x-default">' + said + b"</rdf:li></rdf:Alt>"
        rows.append(b"<%b>%b</%b>" % (name.encode(), said, name.encode()))
    return b"\n".join([*rows, b"</rdf:Description>\n"])


def _cut(prompt: str, room: int) -> bytes:
    """The prompt escaped, in at most `room` bytes, without half a character or half an entity at its end."""
    escaped = html.escape(_clean(prompt)).encode()
    if len(escaped) <= room:
        return escaped
    kept = escaped[: max(0, room - 3)].decode("utf-8", "ignore")
    return (re.sub(r"&[^;]*$", "", kept) + "\u2026").encode() if room >= 3 else b""


def _property(text: str, names: tuple[str, ...]) -> str | None:
    for name in names:
        found = re.search(rf'<{name}\b[^>]*>(.*?)</{name}>|\b{name}="([^"]*)"', text, re.DOTALL)
        if found:
            return html.unescape(re.sub(r"<[^>]*>", "", found[1] if found[1] is not None else found[2])).strip()
    return None


def _exif(p: Provenance) -> bytes:
    """A TIFF block: ImageDescription, Software, DateTime, and the prompt as UserComment."""
    from PIL.Image import Exif

    exif = Exif()
    seed = "" if p.seed is None else f", seed {p.seed}"
    exif[0x010E] = _clean(f"{p.provider} {p.model}{seed}, generation {p.generation_id}")[:500]
    exif[0x0131] = "hoasi"
    exif[0x0132] = p.created_at[:19].replace("-", ":").replace("T", " ")
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + _clean(p.prompt)[:4000].encode("utf-16-le")
    return exif.tobytes().removeprefix(b"Exif\0\0")
