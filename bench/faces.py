"""How often faces are found, how often something else is taken for one, and how long that takes.

Pictures: those of the tests, with variants made here; with scikit-image installed its photographs without faces, and
100 faces and 100 other cuttings (25 x 25 grey, from Labeled Faces in the Wild); our own storyboards; `--more DIR` for
pictures of your own, named <number of faces>_<anything>.

python bench/faces.py
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from hoasi.media import face
from hoasi.media.face_picture import upright
from hoasi.media.storyboard import Frame, render

PICTURES = Path(__file__).parent.parent / "tests" / "rooms" / "pictures"
NO_FACE = [
    "brick.png",
    "cell.png",
    "chessboard_RGB.png",
    "clock_motion.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "logo.png",
    "microaneurysms.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "page.png",
    "phantom.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
    "chelsea.png",
    "coffee.png",
]
INTENTS = {
    "people": (
        "a woman smiles at the camera by the window",
        "two friends talk in a cafe",
        "crowd at a market",
        "close-up of an old man's face",
        "teacher in a classroom",
        "hero stands on a mountain",
    ),
    "no people": ("city skyline at night", "hands holding a cup", "a red motorbike in the rain", "mountains at dawn"),
}
SHOTS = (("close_up",), ("medium",), ("wide",), ("extreme_close_up",), ())


def png(image: Image.Image) -> bytes:
    sheet = io.BytesIO()
    image.save(sheet, "PNG", compress_level=1)
    return sheet.getvalue()


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    sheet = io.BytesIO()
    image.save(sheet, "JPEG", quality=quality)
    return Image.open(io.BytesIO(sheet.getvalue())).convert("RGB")


def on(canvas: tuple[int, int], image: Image.Image, height: int) -> Image.Image:
    """The face, so many pixels high, somewhere on a photograph of a cup of coffee."""
    ground = Image.open(PICTURES / "coffee.jpg").convert("RGB").resize(canvas)
    cut = image.crop((150, 30, 300, 210))
    ground.paste(cut.resize((round(150 * height / 112), round(180 * height / 112))), (canvas[0] // 3, canvas[1] // 3))
    return ground


def variants(photo: Image.Image) -> Iterator[tuple[str, list[Image.Image], int]]:
    """Name, pictures, faces in each."""
    head = photo.crop((140, 20, 310, 220))
    turned = [photo.rotate(a, resample=Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)) for a in (-30, -15, 15, 30)]
    yield "as it is, mirrored", [photo, ImageOps.mirror(photo)], 1
    yield "tilted 15, 30 degrees", turned, 1
    yield "on its side, upside down", [photo.rotate(a, expand=True) for a in (90, 180, 270)], 1
    yield "scaled 0.25 to 6", [photo.resize((round(512 * k),) * 2) for k in (0.25, 0.5, 1.5, 2, 4, 6)], 1
    yield "light 0.15 to 2", [ImageEnhance.Brightness(photo).enhance(k) for k in (0.15, 0.3, 0.6, 1.4, 2.0)], 1
    yield "contrast 0.3, grey", [ImageEnhance.Contrast(photo).enhance(0.3), photo.convert("L").convert("RGB")], 1
    yield "JPEG quality 5 to 40", [jpeg(photo, q) for q in (5, 10, 20, 40)], 1
    yield "blurred 1 to 4 px", [photo.filter(ImageFilter.GaussianBlur(r)) for r in (1, 2, 4)], 1
    yield "skin smoothed (median 5, 9 px)", [photo.filter(ImageFilter.MedianFilter(k)) for k in (5, 9)], 1
    yield "squeezed to 0.6, 0.4 of its width", [photo.resize((round(512 * k), 512)) for k in (0.6, 0.4)], 1
    yield "only the face", [photo.crop((179, 62, 270, 175)), photo.crop((190, 80, 262, 165))], 1
    yield "half of the face", [photo.crop((0, 0, 224, 512)), photo.crop((224, 0, 512, 512))], 1
    yield "eyes covered", [covered(photo, (180, 88, 270, 115))], 1
    yield "mouth covered", [covered(photo, (180, 128, 270, 180))], 1
    for height in (12, 16, 24, 40):
        yield f"{height} px face in 1920 x 1080", [on((1920, 1080), photo, height)], 1
    yield "24 px face in 4000 x 3000", [on((4000, 3000), photo, 24)], 1
    yield "60 px face in 4000 x 3000", [on((4000, 3000), photo, 60)], 1
    yield "six in one picture", [montage(head)], 6


def covered(photo: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    hidden = photo.copy()
    hidden.paste((30, 30, 40), box)
    return hidden


def montage(head: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (3 * head.width, 2 * head.height), "white")
    for number in range(6):
        sheet.paste(head if number % 2 else ImageOps.mirror(head), (number % 3 * head.width, number // 3 * head.height))
    return sheet


def skimage_folder() -> Path | None:
    spec = find_spec("skimage")
    return Path(spec.origin).parent / "data" if spec and spec.origin else None


def cuttings(folder: Path) -> tuple[list[Image.Image], list[Image.Image]]:
    """100 faces and 100 others, 100 pixels a side in a grey frame."""
    every = np.load(folder / "lfw_subset.npy")
    small = [Image.fromarray((cut * 255).astype(np.uint8)).resize((100, 100), 3).convert("RGB") for cut in every]
    framed = [ImageOps.expand(cut, 60, (128, 128, 128)) for cut in small]
    return framed[:100], framed[100:]


def storyboards(kind: str) -> list[Image.Image]:
    sizes = ((1280, 720), (720, 1280), (640, 640))
    return [
        render(
            Frame(
                width=sizes[n % 3][0],
                height=sizes[n % 3][1],
                seed=n,
                scene_id=f"s{n}",
                intent=INTENTS[kind][n % len(INTENTS[kind])],
                mood=(("warm", "tense", "calm")[n % 3],),
                shot_types=SHOTS[n % 5],
                mark="SKETCH",
            )
        )
        for n in range(60)
    ]


def line(name: str, images: list[Image.Image], faces: int) -> None:
    """One row: pictures in which exactly, or at least one of, the faces were found; sensitive, then strict."""
    row = []
    for strict in (False, True):
        counts = [len(face.detect(png(image), strict=strict)) for image in images]
        exact = sum(count == faces for count in counts)
        row += [f"{sum(count > 0 for count in counts)}/{len(images)}", f"{exact}/{len(images)}"]
    print(f"| {name} | {faces} | {' | '.join(row)} |", flush=True)


def clock(images: list[Image.Image], ask: Callable[[bytes], object]) -> float:
    """The quickest of all runs in ms: the machine is shared."""
    contents = [png(image) for image in images]
    taken = []
    for content in contents * 3:
        start = time.perf_counter()
        ask(content)
        taken.append((time.perf_counter() - start) * 1000)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--more", type=Path, help="a folder of pictures named <number of faces>_<anything>")
    more = parser.parse_args().more
    photo = Image.open(PICTURES / "astronaut.jpg").convert("RGB")
    print("| pictures | faces in each | sensitive: any | exact | strict: any | exact |\n|---|---|---|---|---|---|")
    for name, images, faces in variants(photo):
        line(name, images, faces)
    if folder := skimage_folder():
        line("photographs without faces", [Image.open(folder / n).convert("RGB") for n in NO_FACE], 0)
        found, other = cuttings(folder)
        line("100 faces of 100 px, grey", found, 1)
        line("100 other cuttings", other, 0)
    for kind in INTENTS:
        line(f"storyboards, {kind}", storyboards(kind), 0)
    for path in sorted(more.iterdir()) if more else ():
        line(path.name, [Image.open(path).convert("RGB")], int(path.name.split("_")[0]))
    megapixel = [photo.resize((1000, 1000))] * 5
    empty = [Image.open(PICTURES / "coffee.jpg").convert("RGB").resize((1000, 1000))] * 5
    decode = clock(megapixel, upright)
    print(f"\n1 MP with a face: {clock(megapixel, face.detect):.0f} ms sensitive,", end=" ")
    print(f"{clock(megapixel, lambda content: face.detect(content, strict=True)):.0f} ms strict,", end=" ")
    print(f"{decode:.0f} ms of it to decode the PNG.")
    large = [photo.resize((4000, 3000))] * 2
    print(f"12 MP with a face: {clock(large, face.detect):.0f} ms.", end=" ")
    print(f"1 MP without a face: {clock(empty, face.detect):.0f} ms sensitive (looked at four ways).")


if __name__ == "__main__":
    main()
