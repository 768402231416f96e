"""Room: sandbox. Pictures: drawn by the storyboard artist, or tiny ones for load tests, or blank ones as a fault.

Pillow and the artist are heavy, so they are imported when the first picture is drawn.
A recipe says everything about a picture, so it can be drawn when somebody asks, and drawn again after it was forgotten.
"""

import asyncio
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures = Literal["storyboard", "tiny"]
Format = Literal["png", "jpeg", "webp"]
SIDES = range(64, 4097)  # what the artist draws and a small machine stands; the providers' limits differ by model
KEPT = 32
_TINY_SIDE = 32
_TINY_LONGEST = 256


@dataclass(frozen=True)
class Recipe:
    """One picture, width and height in pixels. The same recipe always gives the same bytes."""

    style: Literal["storyboard", "tiny", "blank"]
    width: int
    height: int
    format: Format
    seed: int = 0
    prompt: str = ""
    index: int = 0
    count: int = 1
    references: int = 0

    def tiny(self) -> "Recipe":
        """Return the small picture that stands for all pictures of this size and format."""
        step = math.gcd(self.width, self.height)
        across, down = self.width // step, self.height // step
        scale = min(_TINY_SIDE / min(across, down), _TINY_LONGEST / max(across, down))
        scale = int(scale) or scale  # whole numbers keep the ratio exact; odd sizes come close to it
        return Recipe("tiny", max(1, round(across * scale)), max(1, round(down * scale)), self.format)


class Easel:
    """Draws recipes in a thread and keeps the last few pictures. `pictures` says how they shall look."""

    def __init__(self, pictures: Callable[[], Pictures]) -> None:
        self._pictures = pictures
        self._kept: dict[Recipe, bytes] = {}

    def plan(self, recipe: Recipe) -> Recipe:
        """Return the recipe as it will be drawn: in tiny mode all but blank pictures become small."""
        return recipe.tiny() if self._pictures() == "tiny" and recipe.style != "blank" else recipe

    async def draw(self, recipe: Recipe) -> bytes:
        """Return the encoded picture."""
        kept = self._kept.pop(recipe, None)
        picture = await asyncio.to_thread(render, recipe) if kept is None else kept
        self._kept[recipe] = picture  # at the end again: the front is the longest unused
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return picture


def render(recipe: Recipe) -> bytes:
    """Draw and encode; takes tens of milliseconds, so never in the event loop."""
    match recipe.style:
        case "storyboard":
            png = _storyboard(recipe)
            return png if recipe.format == "png" else _encode(_decode(png), recipe.format)
        case "tiny":
            return _encode(_gradient(recipe.width, recipe.height), recipe.format)
        case "blank":
            return _encode(_flat(recipe.width, recipe.height), recipe.format)


def _storyboard(recipe: Recipe) -> bytes:
    from hoasi.media.storyboard import Frame, render_png

    frame = Frame(
        width=recipe.width,
        height=recipe.height,
        seed=recipe.seed,
        intent=recipe.prompt,
        index=recipe.index + 1,
        count=recipe.count,
        references=recipe.references,
        mark="SANDBOX",
    )
    return render_png(frame)


@cache
def _gradient(width: int, height: int) -> "Image":
    from PIL import Image

    return Image.radial_gradient("L").resize((width, height)).convert("RGB")


def _flat(width: int, height: int) -> "Image":
    from PIL import Image

    return Image.new("RGB", (width, height), "#808080")


def _decode(picture: bytes) -> "Image":
    from PIL import Image

    return Image.open(io.BytesIO(picture)).convert("RGB")


def size_of(picture: bytes) -> tuple[int, int] | None:
    """Read width and height from the head of an encoded picture; None if no decoder knows it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as opened:
            return opened.size
    except UnidentifiedImageError:
        return None


def _encode(picture: "Image", form: Format) -> bytes:
    with io.BytesIO() as file:
        picture.save(file, form)
        return file.getvalue()
