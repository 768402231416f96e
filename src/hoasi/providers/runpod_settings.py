"""Translator for RunPod: the settings of a workspace: which endpoint takes a job, and how long it is waited for.

Names are those that users of such workers have. MAX_POLLING_DURATION is also the job's own limit of work: RunPod ends
it there even when nobody of ours is left to take it back. Its usual 180 s are too short for a worker that has to wake
(10 to 200 s), so where nothing is said the card's limit holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hoasi.errors import WrongInput
from hoasi.records import Planned

Told = Mapping[str, str]

PLACES = {
    "wizard": ("RUNPOD_SERVER_100_ID",),
    "fast": ("RUNPOD_SERVER_SCHNELL_ID", "RUNPOD_SERVER_150_ID"),
    "poster": ("RUNPOD_SERVER_POSTER_ID", "RUNPOD_SERVER_150_ID"),
}
"""Mode -> settings that name its endpoint; the first that is there counts."""

SYNC, INTERVAL = "SYNC_TIMEOUT", "POLLING_INTERVAL"
DURATION, ATTEMPTS = "MAX_POLLING_DURATION", "MAX_POLLING_ATTEMPTS"
RATE = "HOASI_RUNPOD_USD_PER_SECOND"
"""What a second of the endpoints' GPU costs; without it no cost is told."""

RESULTS, WAYS = "HOASI_RUNPOD_RESULTS", ("inline", "bucket")
"""Whether the endpoints' workers send pictures inside their answers, or put them into a bucket (S3)."""

_NAMES = tuple(dict.fromkeys(name for names in PLACES.values() for name in names))
VARIABLES = (
    *_NAMES,
    SYNC,
    INTERVAL,
    DURATION,
    ATTEMPTS,
    RATE,
    RESULTS,
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")


def names(planned: Planned) -> tuple[str, ...]:
    """Settings that could name the endpoint of a job."""
    return PLACES[str(planned.parameters.get("mode", "wizard"))]


def endpoint(planned: Planned, told: Told) -> str:
    """The endpoint that takes a job; in the sandbox, which has all, a name that says so; "" where nothing is set.

    Raises:
        WrongInput: `setting_bad`: that is no endpoint's id.
    """
    found = next((name for name in names(planned) if told.get(name)), None)
    return planned.realm if found is None else _id(found, told)


def every(told: Told) -> dict[str, str]:
    """Each endpoint that is set, and the settings that name it.

    Raises:
        WrongInput: `setting_bad`, as `endpoint`.
    """
    ids = {name: _id(name, told) for name in _NAMES if told.get(name)}
    return {at: " / ".join(name for name in ids if ids[name] == at) for at in ids.values()}


def _id(name: str, told: Told) -> str:
    if not _ID.fullmatch(told[name]):
        raise WrongInput("setting_bad", name=name, example="abc123def456gh")
    return told[name]


def has_bucket(told: Told) -> bool:
    """The workers send addresses instead of pictures.

    Raises:
        WrongInput: `setting_bad`.
    """
    way = told.get(RESULTS, WAYS[0])
    if way not in WAYS:
        raise WrongInput("setting_bad", name=RESULTS, example=" / ".join(WAYS))
    return way == "bucket"


def number(told: Told, name: str, usual: float) -> float:
    """A setting that is a number.

    Raises:
        WrongInput: `setting_not_number`.
    """
    text = told.get(name, "")
    if text and not _NUMBER.fullmatch(text):
        raise WrongInput("setting_not_number", name=name, value=text[:40])
    return float(text or usual)


def limited(planned: Planned, told: Told) -> Planned:
    """The plan with how often and how long it is asked about; on the cap the job is taken back.

    Raises:
        WrongInput: a setting makes no sense.
    """
    every_s, _, _ = (number(told, name, 1.0) for name in (INTERVAL, SYNC, RATE))
    caps = [number(told, DURATION, planned.cap_s)]
    caps += [number(told, ATTEMPTS, 0) * every_s] if told.get(ATTEMPTS) and every_s else []
    return planned.model_copy(update={"poll_s": every_s, "cap_s": max(min(caps), 1.0), "stops_at_cap": True})
