"""Real inputs for tests of tools: pictures with a face and without, a clip, a sound."""

from __future__ import annotations

import wave
from pathlib import Path

from PIL import Image

from hoasi.sandbox import reel

PICTURES = Path(__file__).parents[1] / "rooms" / "pictures"


def portrait(workspace: Path, name: str = "astronaut.jpg") -> str:
    """A picture with one clear face."""
    (workspace / name).write_bytes((PICTURES / "astronaut.jpg").read_bytes())
    return name


def garment(workspace: Path, name: str = "coat.png", shade: int = 60) -> str:
    """A picture without anybody."""
    Image.new("RGB", (400, 500), (shade, 90, 140)).save(workspace / name)
    return name


def mask(workspace: Path, name: str = "mask.png") -> str:
    """As large as a garment; its middle is to be painted anew."""
    picture = Image.new("L", (400, 500))
    picture.paste(255, (100, 100, 300, 300))
    picture.save(workspace / name)
    return name


async def clip(workspace: Path, name: str = "clip.mp4", duration_s: float = 3.0) -> str:
    """A clip of a moving gradient; nobody is in it."""
    content, _ = await reel.clip(width=1280, height=720, duration_s=duration_s, fps=8)
    (workspace / name).write_bytes(content)
    return name


def sound(workspace: Path, name: str = "voice.wav", duration_s: float = 2.5) -> str:
    """A tone."""
    with wave.open(str(workspace / name), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\x00\x20\x00\xe0" * int(8_000 * duration_s))
    return name
