"""hoasi, the artist of a video pipeline: pictures and clips, paid at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hoasi.ask import Ask
    from hoasi.studio import Studio

__all__ = ["Ask", "Studio"]


def __getattr__(name: str) -> Any:
    """Load the house's two names when they are first asked for: a server answers before it has loaded them."""
    if name == "Studio":
        from hoasi.studio import Studio

        return Studio
    if name == "Ask":
        from hoasi.ask import Ask

        return Ask
    raise AttributeError(name)
