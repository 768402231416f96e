"""Engine room (floor 3): matches requests with what was bought before. The one place that decides to buy.

An equal request (same fingerprint) is bought once: finished -> reused or copied, under way -> attached, may have been
billed -> never again unless the caller says so.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Literal

from hoasi import fixed_names
from hoasi.errors import BudgetExceeded
from hoasi.ledger import Ledger
from hoasi.ledger_rows import Spent, free_name, generation_of, marks, month_began, packed, places
from hoasi.planning import reseeded
from hoasi.record import Record
from hoasi.records import Generation, Planned, Problem, State


class Opening(Record):
    """What a request leads to.

    `new`: a row of ours, to be worked on. `attached`: under way already. `made`: finished earlier, its files still to
    be verified. `unsettled`: ended in a way that may have cost money; left as it is.
    """

    kind: Literal["new", "attached", "made", "unsettled"]
    generation: Generation


class _Rehearsed(Exception):
    """A rehearsal is over: everything it wrote is taken back."""


def rehearse(
    ledger: Ledger, items: Sequence[Planned], owner: str, *, admit: Admit, overwrite: bool, resubmit: bool
) -> None:
    """Whether `open_all` would be admitted now; nothing is written.

    Raises:
        HoasiError: `admit` forbids it.
    """

    def admitted(bought: Sequence[Planned], spent: Spent) -> None:
        admit(bought, spent)
        raise _Rehearsed

    with suppress(_Rehearsed):
        open_all(ledger, items, owner, admit=admitted, overwrite=overwrite, resubmit=resubmit)


Admit = Callable[[Sequence[Planned], Spent], None]
"""Told what would be bought, and what was spent so far; raises to forbid it all."""


def open_all(
    ledger: Ledger, items: Sequence[Planned], owner: str, *, admit: Admit, overwrite: bool, resubmit: bool
) -> list[Opening]:
    """Decide for a whole plan in one transaction, so that no other process can decide in between.

    Raises:
        HoasiError: `admit` forbids it; nothing was written.
    """
    with ledger.transaction() as db:
        desk = Desk(db)
        began = month_began(time.time())
        spent = ledger.spent(items[0].job_id, began, items[0].realm) if items else Spent()
        known, openings, names = list[Planned](), list[Opening](), dict[str, str]()
        for item in items:
            known.append(_bound(desk.known(item, overwrite=overwrite, resubmit=resubmit), names))
            openings.append(_decide(desk, known[-1], owner, overwrite=overwrite, resubmit=resubmit))
            names |= dict.fromkeys([one.fingerprint for one in (item, *item.alternatives)], openings[-1].generation.id)
        bought = [o.generation.planned for o in openings if o.kind == "new" and o.generation.copy_of is None]
        admit(bought, spent)
        openings = _limited(desk, openings, lambda items: admit(items, spent))
        desk.remember_folders(items)
        for item, opening in zip(known, openings, strict=True):
            fixed_names.want(db, item, opening.generation.id)
    return openings


def _bound(planned: Planned, names: dict[str, str]) -> Planned:
    """The results of this call that it is promised are bound to the generations that bring them."""
    inputs = [item.model_copy(update={"promised_by": names.get(item.promise, "")}) for item in planned.inputs]
    others = [_bound(other, names) for other in planned.alternatives]
    return planned.model_copy(update={"inputs": tuple(inputs), "alternatives": tuple(others)})


def _limited(desk: Desk, openings: Sequence[Opening], admit: Callable[[Sequence[Planned]], None]) -> list[Opening]:
    """Who takes over stays within the limits too, even if everything is taken over: whoever does not is left out."""
    ids = [o.generation.id for o in openings if o.kind == "new" and o.generation.copy_of is None]
    made = {o.generation.id: o.generation for o in openings if o.generation.id in ids}
    dearest = {name: generation.planned for name, generation in made.items()}
    for name, generation in made.items():
        kept: list[Planned] = []
        for other in generation.planned.alternatives:
            if other.is_name_only:
                continue
            with suppress(BudgetExceeded):
                admit([*{**dearest, name: other}.values()])
                dearest[name] = max(dearest[name], other, key=_dollars)
                kept.append(other)
        made[name] = desk.replan(generation, kept)
    return [o.model_copy(update={"generation": made.get(o.generation.id, o.generation)}) for o in openings]


def _dollars(planned: Planned) -> float:
    return inf if planned.price.usd is None else planned.price.usd


def _decide(desk: Desk, item: Planned, owner: str, *, overwrite: bool, resubmit: bool) -> Opening:
    bought = desk.bought(item.fingerprint)
    if bought is None:
        return _anew(desk, item, owner, overwrite=overwrite)
    kept = None if overwrite or bought.planned.place == item.place else desk.kept(item)
    if kept is not None and not desk.is_of_another(kept, item):
        return Opening(kind="made", generation=kept)
    if bought.state.is_open:
        return _share(desk, item, owner, bought)
    made = None if overwrite or bought.state is State.UNKNOWN else desk.made(item.fingerprint)
    is_other = made is not None and desk.is_of_another(made, item)
    if made is not None and not is_other:
        return _share(desk, item, owner, made)
    overwrite = overwrite or (is_other and bought.state is State.SUCCEEDED)
    if _may_buy_again(bought, overwrite=overwrite, resubmit=resubmit):
        desk.settle(bought)
        return _anew(desk, item, owner, overwrite=overwrite)
    return Opening(kind="unsettled", generation=bought)


def _anew(desk: Desk, item: Planned, owner: str, *, overwrite: bool) -> Opening:
    """Bought by us, as a later attempt than all of those who could make it: it may move to any of them."""
    attempt = desk.attempts(item) + 1
    again = reseeded(item, attempt) if overwrite and attempt > 1 else item
    return Opening(kind="new", generation=desk.add(again, owner, attempt=attempt))


def _may_buy_again(bought: Generation, *, overwrite: bool, resubmit: bool) -> bool:
    """What cost nothing is tried again; what may have cost something only on the caller's word.

    `resubmit` is the word for what nobody knows; what is known to be paid, but lost, is bought anew by `overwrite`.
    """
    if bought.state is State.UNKNOWN:
        return resubmit
    return overwrite or bought.paid == "no" or (resubmit and bought.paid == "unknown")


def _share(desk: Desk, item: Planned, owner: str, bought: Generation) -> Opening:
    """The same picture for this place: the very generation, or a free copy of it."""
    here = desk.here(item, bought.attempt)
    if here is None:
        return Opening(kind="new", generation=desk.add(item, owner, attempt=bought.attempt, copy_of=bought.id))
    if here.state is State.SUCCEEDED:
        return Opening(kind="made", generation=here)
    if here.state.is_open:
        return Opening(kind="attached", generation=here)
    return Opening(kind="new", generation=desk.requeue(here, owner))


NEVER = (State.FAILED, State.CANCELLED, State.EXPIRED)
"""Ends that, unpaid, are as if it had never been asked for."""


class Desk:
    """What a decision may see and do within its transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def remember_folders(self, items: Sequence[Planned]) -> None:
        """Where these plans will write."""
        paths = (
            {f"{item.output_dir}/" for item in items} | {i.log_path for i in items} | {i.semantics_path for i in items}
        ) | {item.fixed_name for item in items}
        folders = {path.rpartition("/")[0] for path in paths if path}
        self._db.executemany("INSERT OR IGNORE INTO folder VALUES (?)", [(folder,) for folder in folders])

    def known(self, item: Planned, *, overwrite: bool, resubmit: bool) -> Planned:
        """Of those who could make it the one who did, or may have: what `auto` chose yesterday is not bought today.

        `overwrite` is no word for what nobody knows; `resubmit` is, and then it is bought where there is a key.
        """
        for choice in (item, *item.alternatives):
            bought = self.bought(choice.fingerprint)
            if bought is None or (bought.paid == "no" and bought.state in NEVER):
                continue
            if overwrite and bought.state is not State.UNKNOWN:
                continue
            if resubmit and bought.paid == "unknown" and choice.is_name_only:
                continue
            return choice
        return item

    def replan(self, generation: Generation, alternatives: Sequence[Planned]) -> Generation:
        """The same purchase; only these may take it over."""
        if len(alternatives) == len(generation.planned.alternatives):
            return generation
        planned = generation.planned.model_copy(update={"alternatives": tuple(alternatives)})
        fields = packed({"planned": planned.model_dump(mode="json")})
        self._db.execute("UPDATE generation SET planned=? WHERE id=?", (*fields, generation.id))
        return generation.model_copy(update={"planned": planned})

    def bought(self, fingerprint: str) -> Generation | None:
        """The latest paid attempt at an equal request, wherever it was for."""
        return self._latest("fingerprint=? AND copy_of IS NULL", fingerprint)

    def attempts(self, item: Planned) -> int:
        """The last attempt that one of those who could make it was bought as; 0: none was."""
        bought = [self.bought(one.fingerprint) for one in (item, *item.alternatives)]
        return max((one.attempt for one in bought if one is not None), default=0)

    def made(self, fingerprint: str) -> Generation | None:
        """The latest paid attempt that succeeded; a later one that failed does not take its picture away."""
        return self._latest("fingerprint=? AND copy_of IS NULL AND state='succeeded'", fingerprint)

    def kept(self, planned: Planned) -> Generation | None:
        """The latest picture of this request at this place; what happens at other places does not touch it."""
        return self._latest("place=? AND fingerprint=? AND state='succeeded'", planned.place, planned.fingerprint)

    def here(self, planned: Planned, attempt: int) -> Generation | None:
        """This request's generation at this place, of that attempt."""
        return self._latest("place=? AND fingerprint=? AND attempt=?", planned.place, planned.fingerprint, attempt)

    def is_of_another(self, made: Generation, item: Planned) -> bool:
        """A picture it was made from was made anew since: what is promised now is not what it shows."""
        pairs = zip(made.planned.inputs, item.inputs, strict=True)
        bound = [(then.promised_by, now.promised_by) for then, now in pairs if then.promised_by and now.promised_by]
        return any(self._attempt(then) != self._attempt(now) for then, now in bound)

    def _attempt(self, name: str) -> int:
        row = self._db.execute("SELECT attempt FROM generation WHERE id=?", (name,)).fetchone()
        return int(row["attempt"])

    def _latest(self, test: str, *values: str | int) -> Generation | None:
        row = self._db.execute(
            f"SELECT * FROM generation WHERE {test} ORDER BY attempt DESC, number DESC LIMIT 1",
            values,
        ).fetchone()
        return None if row is None else generation_of(row)

    def settle(self, bought: Generation) -> None:
        """An `unknown` that is bought again is no question any more; what it may have cost stays said."""
        problem = Problem(kind="Cancelled", key="bought_again", paid="unknown").model_dump_json()
        self._db.execute(
            "UPDATE generation SET state=?, problem=? WHERE id=? AND state=?",
            (State.CANCELLED, problem, bought.id, State.UNKNOWN),
        )

    def requeue(self, copy: Generation, owner: str) -> Generation:
        """A free copy that failed earlier starts again."""
        row = self._db.execute(
            "UPDATE generation SET state=?, owner=?, problem=NULL, logged=0, finished_at=NULL WHERE id=? RETURNING *",
            (State.QUEUED, owner, copy.id),
        ).fetchone()
        return generation_of(row)

    def add(self, planned: Planned, owner: str, *, attempt: int, copy_of: str | None = None) -> Generation:
        """A new generation, `queued` and ours."""
        fields = {
            "id": free_name(self._db, planned, attempt, copy_of),
            "attempt": attempt,
            "job_id": planned.job_id,
            "scene_id": planned.request.scene.id,
            "state": State.QUEUED,
            "owner": owner,
            "copy_of": copy_of,
            "created_at": time.time(),
            **places(planned),
        }
        row = self._db.execute(
            f"INSERT INTO generation ({', '.join(fields)}) VALUES ({marks(fields)}) RETURNING *",
            packed(fields),
        ).fetchone()
        return generation_of(row)


def is_worth_fetching(generation: Generation) -> bool:
    """Its receipt may still bring what was, or may have been, paid: asking is free."""
    problem = generation.problem
    if generation.handle is None or generation.state not in {State.FAILED, State.CANCELLED}:
        return False
    if generation.state is State.CANCELLED:
        return generation.paid == "unknown"
    return generation.paid == "yes" and (problem is None or problem.retry != "no")


def comes_back_free(generation: Generation) -> bool:
    """Harmed files of a success can be had again: from the provider, from another place, or by drawing them again."""
    has_source = generation.handle is not None or generation.copy_of is not None
    return has_source or generation.planned.price.usd == 0
