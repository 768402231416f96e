"""Floor 3, writers: what log and asset semantics say of a generation. Pure."""

from __future__ import annotations

from typing import Any, Literal

from hoasi.exports.asset_semantics import Asset, describe
from hoasi.exports.joblog import LogRow
from hoasi.given import Input
from hoasi.messages import explain
from hoasi.records import Generation, State, iso

STATUS: dict[State, Literal["success", "failed", "unknown", "cancelled"]] = {
    State.SUCCEEDED: "success",
    State.UNKNOWN: "unknown",
    State.CANCELLED: "cancelled",
    State.FAILED: "failed",
    State.EXPIRED: "failed",
}


def log_rows(generation: Generation) -> list[LogRow]:
    """A row a picture, or one row for a generation that ended without any."""
    facts = _facts(generation)
    if generation.state is not State.SUCCEEDED:
        return [LogRow(**facts, output_path="", output_url="")]
    cost, names = generation.cost_usd, generation.planned.names
    each = None if cost is None else round(cost / max(len(generation.artifacts), 1), 6)
    return [
        LogRow(
            **{**facts, "cost_usd": each},
            output_path=artifact.path,
            output_url=artifact.url or "",
            fixed_path=f"{names[k]}.png" if k < len(names) else "",
            sha256=artifact.sha256,
            width=artifact.width,
            height=artifact.height,
            warnings=artifact.warnings,
            remote_id=artifact.remote_id,
            duration_s=artifact.duration_s,
            fps=artifact.fps,
            has_audio=artifact.has_audio,
        )
        for k, artifact in enumerate(generation.artifacts)
    ]


def _facts(generation: Generation) -> dict[str, Any]:
    """What all rows of a generation share."""
    planned, receipt = generation.planned, generation.handle or {}
    problem = explain(generation.problem) if generation.problem else None
    return {
        "generation_id": generation.id,
        "scene_id": planned.request.scene.id,
        "prompt": planned.prompt,
        "original_prompt": planned.request.prompt if planned.request.prompt != planned.prompt else "",
        "model": planned.model,
        "provider": planned.provider,
        "operation": planned.operation,
        "reference_images": tuple(_named(item) for item in planned.inputs),
        "parents": planned.parents,
        "aspect_ratio": planned.request.aspect_ratio or "",
        "aspect_ratio_from": planned.request.shape_from if planned.request.aspect_ratio else "",
        "reference_image_urls": tuple(receipt.get("input_urls", ())),
        "seed": planned.seed,
        "duration_seconds": generation.duration_s or 0.0,
        "status": STATUS[generation.state],
        "cost_usd": generation.cost_usd,
        "paid": generation.paid,
        "created_at": iso(generation.finished_at or generation.created_at),
        "error": f"{problem.message} {problem.detail}".strip() if problem else "",
        "error_key": problem.key if problem else "",
        "attempt": generation.attempt,
        "request_id": str(receipt.get("request_id", "")),
        "copied_from": generation.copy_of or "",
    }


def _named(item: Input) -> str:
    """An input as the log may show it: a workspace path, an address without its query, or an id at a provider."""
    is_remote = item.written.startswith(("http://", "https://"))
    return item.written.partition("?")[0] if is_remote else (item.path or item.written)


def assets(generation: Generation) -> list[Asset]:
    """What the mapper may know of a generation's pictures: the plan asked for them, so it is all there."""
    return [describe(generation.planned, artifact) for artifact in generation.artifacts]
