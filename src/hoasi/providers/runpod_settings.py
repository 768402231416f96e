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

VARIABLES = (
    *dict.fromkeys(name for names in PLACES.values() for name in names),
    SYNC,
    INTERVAL,
    DURATION,
    ATTEMPTS,
    RATE,
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
    found = next(((name, told[name]) for name in names(planned) if told.get(name)), None)
    if found is None:
        return planned.realm
    if not _ID.fullmatch(found[1]):
        raise WrongInput("setting_bad", name=found[0], example="abc123def456gh")
    return found[1]


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
