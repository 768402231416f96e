"""Room: sandbox. How Kling tells of a task, in its two generations (read 2026-11-21).

Uncertain, chosen here: a task that is not done tells no deduction, a failed one deducts "0"; `duration` is "5.0" in v1
and "5" in the new standard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hoasi.sandbox.kling_account import Made, Status, Task
from hoasi.sandbox.kling_prices import as_text

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox


def status_of(sandbox: Sandbox, task: Task) -> Status:
    """Return where a task stands; for `kling_submitted_s` after it was accepted it is only submitted."""
    submission = task.submission
    if submission.state == "done":
        return "failed" if submission.failure else "succeeded"
    rests = sandbox.clock() - submission.accepted_at < sandbox.settings.kling_submitted_s
    return "submitted" if rests or submission.state == "waiting" else "processing"


def told(task: Task, status: Status) -> dict[str, Any]:
    """Return a task in the words of its generation."""
    return v1_task(task, status) if task.endpoint.generation == "v1" else new_task(task, status)


def v1_receipt(task: Task) -> dict[str, Any]:
    """Return what v1 answers to a create."""
    return {
        "task_id": task.id,
        "task_status": "submitted",
        "task_info": {"external_task_id": task.external_id},
        "created_at": task.created_ms,
        "updated_at": task.created_ms,
    }


def v1_task(task: Task, status: Status) -> dict[str, Any]:
    """Return a task as v1 tells it, also in callbacks."""
    facts = v1_receipt(task) | {"task_status": "succeed" if status == "succeeded" else status, "task_status_msg": ""}
    if source := task.planned.source:
        facts["task_info"]["parent_video"] = source.facts()
    if status in ("succeeded", "failed"):
        facts |= {"final_unit_deduction": _deducted(task, status), "updated_at": task.updated_ms}
        facts["final_balance_deduction"] = {"quota": "", "list_price": ""}
    if status == "failed":
        facts["task_status_msg"] = _reason(task)
    if status == "succeeded":
        facts |= {"task_result": _v1_result(task), "watermark_info": {"enabled": _is_marked(task)}}
    return facts


def new_receipt(task: Task) -> dict[str, Any]:
    """Return what the new standard answers to a create."""
    times = {"create_time": task.created_ms, "update_time": task.created_ms}
    return {"id": task.id, "status": "submitted", **times, "external_id": task.external_id}


def new_task(task: Task, status: Status) -> dict[str, Any]:
    """Return a task as the new standard tells it, also in callbacks."""
    facts = new_receipt(task) | {"status": status, "message": "", "outputs": [], "billing": []}
    if status in ("succeeded", "failed"):
        facts["update_time"] = task.updated_ms
    if status == "failed":
        facts["message"] = _reason(task)
    if status == "succeeded":
        facts["outputs"] = [_output(made) for made in task.planned.made]
        amount = _deducted(task, status)
        facts["billing"] = [{"charge_type": "unit", "amount": amount, "package_type": task.planned.pack}]
    return facts


def _v1_result(task: Task) -> dict[str, Any]:
    if task.endpoint.makes == "clip":
        return {"videos": [_v1_clip(made) for made in task.planned.made]}
    pictures = [
        {"index": index, "url": made.url, "watermark_url": made.watermark_url}
        for index, made in enumerate(task.planned.made)
    ]
    kind = task.body.get("result_type", "single")
    series = pictures if kind == "series" else []
    return {"result_type": kind, "images": [] if series else pictures, "series_images": series}


def _v1_clip(made: Made) -> dict[str, str]:
    duration = f"{made.duration_s or 0:.1f}"
    return {"id": made.id, "url": made.url, "watermark_url": made.watermark_url, "duration": duration}


def _output(made: Made) -> dict[str, str]:
    duration = f"{made.duration_s or 0:g}"
    return {
        "type": "video",
        "id": made.id,
        "url": made.url,
        "watermark_url": made.watermark_url,
        "duration": duration,
    }


def _deducted(task: Task, status: Status) -> str:
    return as_text(task.planned.units) if status == "succeeded" else "0"


def _reason(task: Task) -> str:
    return task.submission.failure.type if task.submission.failure else ""


def _is_marked(task: Task) -> bool:
    return any(made.watermark_url for made in task.planned.made)
