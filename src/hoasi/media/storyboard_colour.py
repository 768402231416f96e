"""Workbench (floor 1): the storyboard's colours. Five of a mood become the named tones the artist paints with."""

from __future__ import annotations

from random import Random

from PIL import ImageColor

Colour = tuple[int, int, int]
Tones = dict[str, Colour]

_WHITE: Colour = (255, 253, 248)
_BLACK: Colour = (16, 13, 18)
_NIGHT: Colour = (14, 20, 52)
_RED: Colour = (178, 62, 62)
_SKIN: tuple[Colour, ...] = ((233, 189, 155), (222, 172, 136), (205, 152, 116))


def rgb(text: str) -> Colour:
    """Return the colour of "#rrggbb"."""
    red, green, blue = ImageColor.getrgb(text)[:3]
    return (red, green, blue)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return `one` with `share` (0..1) of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (red, green, blue)


def tones(five: list[str], rng: Random, *, night: bool = False) -> Tones:
    """Return every tone by name; each also as name+ (lighter) and name- (darker)."""
    sky, far, mid, near, accent = (rgb(text) for text in five)
    if night:
        sky, far, mid = mix(sky, _NIGHT, 0.72), mix(far, _NIGHT, 0.66), mix(mid, _NIGHT, 0.5)
        near = mix(near, _NIGHT, 0.45)
    skin = mix(rng.choice(_SKIN), far, 0.18 if not night else 0.34)
    named = {"sky": sky, "far": far, "mid": mid, "near": near, "accent": accent, "skin": skin}
    named |= {"ink": mix(near, _BLACK, 0.66), "light": mix(rgb(five[0]), _WHITE, 0.6), "hair": mix(near, _BLACK, 0.45)}
    named |= {
        "blush": mix(skin, mix(accent, _RED, 0.6), 0.30),
        "lip": mix(skin, mix(accent, _RED, 0.7), 0.62),
        "leaf": mix((88, 142, 84), mid, 0.35),
        "glow": mix(accent, _WHITE, 0.5),
    }
    if night:
        named["leaf"] = mix(named["leaf"], _NIGHT, 0.6)
    named |= _clothes(named, rng)
    lighter = {f"{name}+": mix(colour, _WHITE, 0.28) for name, colour in named.items()}
    darker = {f"{name}-": mix(colour, named["ink"], 0.26) for name, colour in named.items()}
    return {**named, **lighter, **darker}


def _clothes(named: Tones, rng: Random) -> Tones:
    tops = [
        named["accent"],
        mix(named["accent"], named["light"], 0.6),
        named["light"],
        mix(named["mid"], named["near"], 0.35),
    ]
    rng.shuffle(tops)
    lows = [named["near"], mix(named["near"], named["mid"], 0.5)]
    rng.shuffle(lows)
    return {f"top{i or ''}": colour for i, colour in enumerate(tops)} | {f"low{i or ''}": c for i, c in enumerate(lows)}
