"""Door (floor 5): Stability's pictures as bytes, for asynchronous scripts.

    from hoasi.stability import StabilityAIClient

    async with StabilityAIClient() as client:
        made = await client.generate_image("a lighthouse at dawn", width=1920, height=1080)

Each picture goes through the engine: an equal call gives the same bytes, unpaid. The key is `STABILITY_AI_API_KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hoasi.ask import Ask
from hoasi.errors import HoasiError
from hoasi.records import Generation, Request, State
from hoasi.scripting import at_once, error_of, texts, warned
from hoasi.sources import global_style
from hoasi.sources.global_style import GlobalStyle
from hoasi.studio import Studio

__all__ = ["GlobalStyle", "StabilityAIClient"]

PROVIDER = "stability"
FOLDER, ORIGIN = "outputs", "hoasi.stability"
"""Where the ledger's own files lie."""


class StabilityAIClient:
    """One workspace's way to Stability. Use it as an async context manager.

    Args:
        api_key: instead of `STABILITY_AI_API_KEY` in the environment or the workspace's `.env`.
        workspace: default: found from the current folder.
        model: default: Stable Image Core; a retired name leads to its successor, with a warning.
        max_concurrent: at most so many at once.
        env_file: instead of the workspace's `.env`.
        environ: instead of the process's environment.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        workspace: Path | str | None = None,
        model: str | None = None,
        max_concurrent: int = 4,
        env_file: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        place = {"workspace": workspace, "env_file": env_file, "environ": environ}
        self._place = at_once(place, max_concurrent)
        if api_key:
            self._place["environ"] |= dict.fromkeys(("STABILITY_API_KEY", "STABILITY_AI_API_KEY"), api_key)
        self._model = model
        self._studio: Studio | None = None
        self.warnings: tuple[str, ...] = ()
        """What a person should know of the latest call."""
        self.problems: tuple[HoasiError | None, ...] = ()
        """Of the latest batch, why a picture was not made; None where it was."""

    async def __aenter__(self) -> StabilityAIClient:
        self._studio = Studio(**self._place)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop waiting; what is paid is kept."""
        if self._studio is not None:
            studio, self._studio = self._studio, None
            await studio.close()

    async def generate_image(
        self,
        prompt: str,
        width: int = 1920,
        height: int = 1080,
        *,
        negative_prompt: str | None = None,
        seed: int | None = None,
        global_style: object = None,
        overwrite: bool = False,
        resubmit: bool = False,
        **options: Any,
    ) -> bytes:
        """One picture, a PNG of exactly this size: made at the nearest shape, cut and scaled here. Costs money, once.

        Args:
            prompt: English; other languages are refused by Stability.
            width: in pixels, 64 to 4096.
            height: likewise.
            negative_prompt: what not to show.
            seed: one that follows from everything else if not given.
            global_style: as `generate_images_batch`.
            overwrite: buy again what was made.
            resubmit: buy again what nobody knows whether it was paid; it may be paid twice.
            options: further parameters of the model: `style_preset`, `cfg_scale` ...

        Raises:
            WrongInput: nothing was paid. GenerationFailed: its `paid` tells.
            PaymentUnknown: nobody knows; only `resubmit` buys it again.
        """
        said = {"negative_prompt": negative_prompt, "seed": seed, **_size(width, height, options)}
        again = {"overwrite": overwrite, "resubmit": resubmit}
        (made,) = await self._made([prompt], global_style, said, again)
        if isinstance(made, HoasiError):
            raise made
        return made

    async def generate_images_batch(
        self,
        prompts: Sequence[str],
        global_style: object = None,
        max_concurrent: int | None = None,
        *,
        width: int = 1920,
        height: int = 1080,
        overwrite: bool = False,
        resubmit: bool = False,
        **options: Any,
    ) -> list[bytes | None]:
        """A picture of each prompt, in their order, made together; None where one failed (`problems` says why).

        Args:
            prompts: as `generate_image`; a text alone is the only one.
            global_style: words behind every prompt, a list of words, or an object with `modifiers` and
                `negative_prompt`; the ledger holds both prompts.
            max_concurrent: at most so many at once, for this batch.
            width: as `generate_image`.
            height: as `generate_image`.
            overwrite: as `generate_image`, for every one of them.
            resubmit: likewise.
            options: further parameters of the model.

        Raises:
            WrongInput: one of them cannot be made as it stands; nothing was paid for any.
        """
        said, again = _size(width, height, options), {"overwrite": overwrite, "resubmit": resubmit}
        made = await self._made(prompts, global_style, said, again, max_concurrent) if prompts else []
        self.problems = tuple(one if isinstance(one, HoasiError) else None for one in made)
        return [None if isinstance(one, HoasiError) else one for one in made]

    async def _made(
        self,
        prompts: Sequence[str],
        style: object,
        said: dict[str, Any],
        again: dict[str, Any],
        most: int | None = None,
    ) -> list[bytes | HoasiError]:
        """The bytes of each, or why there are none."""
        if most is not None or self._studio is None:
            place = self._place if most is None else at_once(self._place, most)
            async with Studio(**place) as studio:
                return await self._through(studio, prompts, style, said, again)
        return await self._through(self._studio, prompts, style, said, again)

    async def _through(
        self, studio: Studio, prompts: Sequence[str], style: object, said: dict[str, Any], again: dict[str, Any]
    ) -> list[bytes | HoasiError]:
        facts = {**global_style.said(style).facts, **said, "provider": PROVIDER, "model": self._model}
        requests = tuple(Request(**facts, prompt=text, origin=ORIGIN) for text in texts(prompts, ORIGIN))
        batch = await studio.begin(Ask(requests=requests, output_dir=FOLDER, **again))
        self.warnings = warned(await studio.wait(batch))
        root = studio.settings.workspace
        return [_content(made, root) for made in studio.generations(batch.ids)]


def _size(width: int, height: int, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"options": {"target_size": f"{width}x{height}", **options}}


def _content(made: Generation, root: Path) -> bytes | HoasiError:
    if made.state is not State.SUCCEEDED or made.problem is not None:
        return error_of(made)
    return (root / made.artifacts[0].path).read_bytes()
