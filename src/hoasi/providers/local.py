"""Translator for the key-less provider: sketches made on this machine. Free, offline, always there.

Storyboard frames and previews of face swaps (`local_pictures`), and clips without any model (`local_clips`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import anyio.to_thread

from hoasi.providers import local_clips, local_pictures
from hoasi.providers._outcomes import Done, Order
from hoasi.providers._provider import Way
from hoasi.record import Medium

if TYPE_CHECKING:
    from hoasi.results import Output
    from hoasi.wire import Wire

MAKES: dict[str, Callable[[Order], list[Output]]] = {
    "generate_image": local_pictures.frames,
    "swap_face": local_pictures.swapped,
    "text_to_video": local_clips.from_words,
    "image_to_video": local_clips.from_picture,
    "extend_video": local_clips.longer,
}


class Local:
    """See `_provider.Provider`; it answers at once, so nothing is followed."""

    name = "local"
    origins: ClassVar[dict[str, str]] = {}
    secrets = ()
    key_page = ""
    concurrency = 2
    fields: ClassVar[dict[str, str]] = {
        "prompt": "intent",
        "size": "width, height",
        "num_images": "count",
        "seed": "seed",
        "scene": "scene_id, intent, mood, shot_types, narrative_role",
        "references": "references",
        "first_frame": "picture",
        "video": "clip_path",
        "duration_s": "duration_s",
        "extend_direction": "direction",
    }
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline", "video": "inline", "audio": "inline"}

    def auth(self, key: str) -> dict[str, str]:  # noqa: ARG002  (no key, no header)
        """No key, no header."""
        return {}

    async def submit(self, wire: Wire, order: Order) -> Done:  # noqa: ARG002  (nothing leaves this machine)
        """Draw or film in a worker thread: the same request gives the same bytes.

        Raises:
            NotSupported: `media_extra_missing`. FileBroken: an input cannot be used. Nothing was made, nothing paid.
        """
        return Done(tuple(await anyio.to_thread.run_sync(MAKES[order.planned.operation], order)))
