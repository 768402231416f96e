"""Landing (floor 4): generations in the words of a reply: paid or not, what it cost, where the file is, what next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hoasi import fixed_names
from hoasi.answers import Entry, Reply
from hoasi.errors import HoasiError
from hoasi.messages import explain, money, say
from hoasi.past import Past
from hoasi.record import Paid
from hoasi.records import OPEN_STATES, Batch, Generation, Plan, Planned, State, iso

SKIPPED = "skipped_existing"
SOONEST_S, LATEST_S = 5.0, 60.0
"""Between these an agent is told to ask again."""
_BAD = (State.FAILED, State.CANCELLED, State.EXPIRED)


def entry(generation: Generation, workspace: Path, batch: Batch, past: Past) -> Entry:
    """One generation as a reader needs it."""
    planned, state = generation.planned, generation.state.value
    is_old = generation.id in batch.skipped | batch.free | batch.gone
    notes = [warning for artifact in generation.artifacts for warning in artifact.warnings]
    notes += [say("note.copied", id=generation.copy_of)] if generation.copy_of else []
    notes += [say("note.fetched_again")] if generation.id in batch.free else []
    notes += [planned.moved] if planned.moved else []
    notes += _missing(generation)
    is_harmed = generation.state is State.SUCCEEDED and generation.problem is not None
    if is_harmed and generation.problem:
        state = "expired" if generation.problem.kind == "ResultExpired" else "failed"
    return Entry(
        id=generation.id,
        scene_id=planned.request.scene.id,
        state=SKIPPED if generation.id in batch.skipped else state,
        paid="no" if is_old else _paid(generation),
        cost_usd=0.0 if is_old or (generation.id in batch.told and state != State.UNKNOWN) else generation.cost_usd,
        provider=planned.provider,
        model=planned.model,
        seed=planned.seed,
        outputs=() if is_harmed else tuple(str(workspace / path) for path in fixed_names.shown(generation, workspace)),
        error=explain(generation.problem) if generation.problem else None,
        estimate_usd=planned.price.usd,
        expected_seconds=past.usual_s(generation) if generation.state.is_open else None,
        clip_seconds=next((a.duration_s for a in generation.artifacts if a.duration_s), None),
        parents=tuple(past.chain(generation)),
        notes=tuple(notes),
    )


def _missing(generation: Generation) -> list[str]:
    """A success that brought more or less than was asked for says so, and why, where its provider told."""
    made, asked = len(generation.artifacts), len(generation.planned.stems)
    if generation.state is not State.SUCCEEDED:
        return []
    lost = [say("note.left_out", count=count)] if (count := generation.facts.get("left_out")) else []
    if made >= asked:
        return [*([say("note.more", made=made, asked=asked)] if made > asked else []), *lost]
    why = generation.facts.get("missing_why") or generation.facts.get("blocked") or ""
    return [say("note.fewer", made=made, asked=asked, why=why)]


def _paid(generation: Generation) -> Paid:
    """Of what is still at work nobody can say that it costs nothing."""
    is_sent = generation.state.is_open and generation.state is not State.QUEUED
    is_free = generation.planned.price.usd == 0 or generation.copy_of is not None
    return "unknown" if is_sent and not is_free else generation.paid


def planned_entry(planned: Planned, workspace: Path) -> Entry:
    """What a dry run says of one request: the file names are those the real run makes."""
    suffix = "mp4" if planned.media == "video" else planned.parameters.get("output_format", "png")
    names = [f"{planned.output_dir}/{stem}" for stem in planned.stems]
    if planned.fixed_name:
        names, suffix = [*planned.names], "png"
    return Entry(
        id="",
        scene_id=planned.request.scene.id,
        state="planned",
        paid="no",
        cost_usd=0.0,
        provider=planned.provider,
        model=planned.model,
        seed=planned.seed,
        outputs=tuple(str(workspace / f"{name}.{suffix}") for name in names),
        estimate_usd=planned.price.usd,
        expected_seconds=planned.expected_s,
        notes=(planned.price.basis,),
    )


def reply(
    generations: Sequence[Generation],
    workspace: Path,
    batch: Batch,
    past: Past,
    troubles: Sequence[str] = (),
) -> Reply:
    """The answer to a call, finished or not."""
    entries = tuple(entry(generation, workspace, batch, past) for generation in generations)
    running = [e for e, g in zip(entries, generations, strict=True) if g.state.is_open]
    costs = [e.cost_usd for e, g in zip(entries, generations, strict=True) if not g.state.is_open]
    return Reply(
        message=summary(entries),
        generations=entries,
        warnings=(*batch.warnings, *troubles),
        cost_usd=None if None in costs else round(sum(cost for cost in costs if cost is not None), 6),
        next=_next(entries, running, is_named=any(g.planned.fixed_name for g in generations)),
        poll_after_seconds=_poll_after([past.left_s(g) for g in generations if g.state.is_open]),
    )


def summary(entries: Sequence[Entry]) -> str:
    """One or two sentences: how many of each, where, and what it cost."""
    parts = [say(f"summary.{name}", count=count) for name, count in _told(entries) if count]
    if not parts:
        return say("summary.nothing")
    known = sum(e.cost_usd or 0.0 for e in entries)
    unpriced = sum(e.cost_usd is None and e.paid == "yes" and e.state not in OPEN_STATES for e in entries)
    folders = sorted({str(Path(path).parent) for e in entries for path in e.outputs})
    where = [say("summary.where", folder=", ".join(folders[:3]))] if folders else []
    is_unclear = any(e.paid == "unknown" and e.state not in OPEN_STATES for e in entries)
    doubt = [say("summary.cost_unknown")] if is_unclear else []
    doubt += [say("summary.cost_open")] if any(e.state in OPEN_STATES for e in entries) else []
    doubt += [say("summary.cost_unpriced", count=unpriced)] if unpriced and known else []
    cost = say("summary.cost_not_known") if unpriced and not known else say("summary.cost", cost=money(known))
    return " ".join([say("summary.line", parts=", ".join(parts)), *where, cost, *doubt])


def _told(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Pictures that are there, new and old; generations that are not."""
    counts = Counter(e.state for e in entries)
    made, old = (sum(_pictures(e) for e in entries if e.state == state) for state in (State.SUCCEEDED, SKIPPED))
    clips = sum(len(e.outputs) - _pictures(e) for e in entries if e.state == State.SUCCEEDED)
    old += sum(len(e.outputs) - _pictures(e) for e in entries if e.state == SKIPPED)
    bad = sum(counts[state] for state in _BAD)
    at_work = sum(counts[s] for s in (State.QUEUED, State.SUBMITTING, State.RUNNING, State.FETCHING))
    unknown = counts[State.UNKNOWN]
    return [
        ("made", made),
        ("made_clips", clips),
        ("skipped", old),
        ("at_work", at_work),
        ("bad", bad),
        ("unknown", unknown),
    ]


def _pictures(entry: Entry) -> int:
    return 0 if entry.clip_seconds is not None else len(entry.outputs)


def _next(entries: Sequence[Entry], running: Sequence[Entry], *, is_named: bool) -> str:
    """The one thing to do now; what has a name on which others insist belongs where it is."""
    if running:
        return say("next.wait", ids=", ".join(e.id for e in running[:10]))
    if any(e.state == State.UNKNOWN for e in entries):
        return say("next.settle", ids=", ".join(e.id for e in entries if e.state == State.UNKNOWN))
    made = [path for e in entries if e.state in {State.SUCCEEDED, SKIPPED} for path in e.outputs]
    if made:
        loose = "next.look_there" if is_named else "next.look"
        return say("next.pipeline" if any("/raw_assets/" in path for path in made) else loose)
    is_paid = any(e.paid != "no" for e in entries)
    return say("next.mend_paid" if is_paid else "next.mend") if entries else ""


def _poll_after(left_s: Sequence[float]) -> float | None:
    """When the last of them should be there, but never at once and at least every minute."""
    return min(max(*left_s, SOONEST_S), LATEST_S) if left_s else None


def preview(plan: Plan, workspace: Path, obstacle: HoasiError | None = None) -> Reply:
    """What a run would make and cost, and why it would be refused as things are; nothing was done."""
    why = None if obstacle is None else explain(obstacle.problem())
    return Reply(
        message=say("summary.preview", what=_planned_what(plan), cost=money(plan.price_usd), folder=plan.output_dir),
        generations=tuple(planned_entry(item, workspace) for item in plan.items),
        warnings=plan.warnings if why is None else (*plan.warnings, say("warning.refused", why=why.message)),
        cost_usd=0.0,
        estimate_usd=plan.price_usd,
        next=say("next.run") if why is None else say("next.run_mended", fix=why.fix),
    )


def _planned_what(plan: Plan) -> str:
    """So many pictures, so many clips."""
    clips = sum(len(item.stems) for item in plan.items if item.media == "video")
    counts = [("planned_pictures", plan.images - clips), ("planned_clips", clips)]
    told = [say(f"summary.{name}", count=count) for name, count in counts if count or not plan.images]
    return ", ".join(told[:1] if not plan.images else told)


def details(generation: Generation) -> dict[str, Any]:
    """What the ledger knows beyond the reply's entry, for programs and models."""
    planned = generation.planned
    return {
        "id": generation.id,
        "job_id": planned.job_id,
        "attempt": generation.attempt,
        "prompt": planned.prompt,
        "parameters": planned.parameters,
        "seed_is_sent": planned.seed_is_sent,
        "fingerprint": planned.fingerprint,
        "references": [item.model_dump(mode="json") for item in planned.inputs],
        "artifacts": [artifact.model_dump(mode="json") for artifact in generation.artifacts],
        "request_id": generation.receipt,
        "copy_of": generation.copy_of,
        "created_at": iso(generation.created_at),
        "submitted_at": iso(generation.submitted_at) if generation.submitted_at else None,
        "finished_at": iso(generation.finished_at) if generation.finished_at else None,
        "duration_s": generation.duration_s,
        "log": planned.log_path,
    }
