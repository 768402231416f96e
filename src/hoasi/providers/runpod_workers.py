"""Translator for RunPod: how an endpoint's workers are, in what `/health` counts (read 2026-11-21)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hoasi.providers._workers import Workers


def workers(fields: Mapping[str, Any]) -> Workers:
    """What `/health` counts; what it does not name is none. Idle workers may be among those that are `ready`."""
    counts = {name: fields[name] if isinstance(fields.get(name), dict) else {} for name in ("workers", "jobs")}
    there, jobs = ({name: int(n) for name, n in rows.items() if isinstance(n, int)} for rows in counts.values())
    return Workers(
        ready=max(there.get("idle", 0), there.get("ready", 0)),
        running=there.get("running", 0),
        waking=there.get("initializing", 0),
        ailing=there.get("unhealthy", 0) + there.get("throttled", 0),
        waiting=jobs.get("inQueue", 0),
    )
