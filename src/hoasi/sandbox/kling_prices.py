"""Room: sandbox. What Kling deducts, in its own units: a video unit is 0.14 USD, a picture unit 0.0035 USD.

Prices stand in `kling_fields.toml`. Uncertain: video-extend (its source's price per second is taken) and which units a
try-on costs (picture units here).
"""

import math
from collections.abc import Mapping
from typing import Any

from hoasi.sandbox.kling_fields import Endpoint, table

VIDEO_UNIT_USD = 0.14
PICTURE_UNIT_USD = 0.0035
FACES_UNITS = 0.05
_LIP_SYNC_USD = 0.07  # for every 5 seconds begun
_MODES = {"720p": "std", "1080p": "pro", "4k": "4k"}


def picture_units(facts: Mapping[str, Any], count: int) -> float:
    """Return what pictures cost, in picture units; `facts` as `Endpoint.facts` tells them."""
    prices, model = table()["usd_per_picture"], facts["model_name"]
    said = {"4k": facts.get("resolution") == "4k", "subjects": "subject_image_list" in facts, "image": "image" in facts}
    names = [f"{model}+{what}" for what, is_so in said.items() if is_so]
    usd = next((prices[name] for name in names if name in prices), prices[model])
    return float(count * usd / PICTURE_UNIT_USD)


def usd_per_second(endpoint: Endpoint, facts: Mapping[str, Any]) -> float:
    """Return what a second of a clip costs, by model, mode and what is added."""
    model = endpoint.model or facts["model_name"]
    rates = table()["usd_per_second"][table()["same_price"].get(model, model)]
    mode = facts.get("mode") or _MODES[facts["settings.resolution"]]
    said = {
        "voice": "voice_list" in facts,
        "sound": facts.get("sound") == "on" or facts.get("settings.audio") == "native",
        "video": any(name in facts for name in ("video_list", "contents.feature_video", "contents.base_video")),
        "motion": endpoint.path.endswith("motion-control"),
    }
    names = [f"{mode}+{what}" for what, is_so in said.items() if is_so]
    return float(next((rates[name] for name in names if name in rates), rates[mode]))


def clip_units(usd_a_second: float, duration_s: float) -> float:
    """Return what a clip costs, in video units."""
    return usd_a_second * duration_s / VIDEO_UNIT_USD


def lip_sync_units(duration_s: float) -> float:
    """Return what a lip sync costs, in video units."""
    return math.ceil(duration_s / 5) * _LIP_SYNC_USD / VIDEO_UNIT_USD


def as_text(units: float) -> str:
    """Return units as Kling writes them: `1.5`."""
    return f"{round(units, 4):g}"
