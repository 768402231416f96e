"""Engine room (floor 3): ledger, runner and scribe of one process, and how a plan is set to work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from hoasi import artifacts
from hoasi.errors import FileBroken, NotSupported, ProviderUnreachable
from hoasi.ledger import Ledger
from hoasi.opening import Admit, Opening, comes_back_free, is_worth_fetching, open_all, rehearse
from hoasi.providers import provider
from hoasi.providers._provider import Provider
from hoasi.records import OPEN_STATES, Batch, Generation, Plan, Problem, State
from hoasi.runner import Runner
from hoasi.scribe import Scribe
from hoasi.settings import Settings
from hoasi.street import AddressRefused, Reply, WireTrouble

GONE = Problem(kind="ResultExpired", key="file_gone", paid="yes")
"""A file is harmed that only buying could bring back."""


class Engine:
    """What a process needs to make pictures. `start` before use; `close` keeps every state."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ledger = Ledger(settings.home / "ledger.db")
        self._runner = Runner(settings, self.ledger, lambda _: self._scribe.note())
        self._scribe = Scribe(settings, self._runner.owner)

    @property
    def owner(self) -> str:
        """This process's mark."""
        return self._runner.owner

    def start(self) -> list[str]:
        """Take up paid work that nobody is at, and tell the logs what a dead process could not."""
        taken = self._runner.start()
        self._scribe.start()
        self._scribe.note()
        return [generation.id for generation in taken]

    async def close(self) -> None:
        """Stop waiting, write the last logs."""
        await self._runner.close()
        await self._scribe.close()
        self._runner.leave()
        self.ledger.close()

    # ------------------------------------------------------------------ beginning

    def rehearse(self, plan: Plan, admit: Admit, *, overwrite: bool, resubmit: bool) -> None:
        """Whether `begin` would be admitted; nothing is written.

        Raises:
            HoasiError: `admit` forbids it.
        """
        rehearse(self.ledger, plan.items, self.owner, admit=admit, overwrite=overwrite, resubmit=resubmit)

    async def begin(self, plan: Plan, admit: Admit, *, overwrite: bool, resubmit: bool) -> Batch:
        """Write down the intent for a whole plan and set to work what is new.

        Raises:
            HoasiError: `admit` forbids it.
        """
        openings = open_all(self.ledger, plan.items, self.owner, admit=admit, overwrite=overwrite, resubmit=resubmit)
        new = [opening.generation for opening in openings if opening.kind == "new"]
        self._runner.work([generation for generation in new if not _needs_others(generation)])
        self._take_up_attached(openings)
        try:
            batch = await self._with_made(openings, plan)
        finally:  # what is made of results of this call begins when those whose files are harmed are open again
            self._runner.work([generation for generation in new if _needs_others(generation)])
        return batch

    async def _with_made(self, openings: Sequence[Opening], plan: Plan) -> Batch:
        """The batch of a call; what was made earlier and is harmed is had again where that is free."""
        whole = await anyio.to_thread.run_sync(self._intact, openings)
        if healed := [o.generation.id for o in openings if o.generation.id in whole and o.generation.problem]:
            self.ledger.note(healed, None)
        harmed = [o for o in openings if o.generation.id not in whole]
        free = [self._runner.again(opening.generation) for opening in harmed if _is_free_again(opening)]
        gone = [o.generation.id for o in harmed if o.kind == "made" and not _is_free_again(o)]
        if gone:
            self.ledger.note(gone, GONE)
        return Batch(
            ids=tuple(opening.generation.id for opening in openings),
            skipped=frozenset(whole),
            free=frozenset(generation.id for generation in free),
            gone=frozenset(gone),
            told=frozenset(o.generation.id for o in openings if o.kind == "unsettled"),
            warnings=plan.warnings,
            job_id=plan.job_id,
            expected_s=max((item.expected_s for item in plan.items), default=None),
        )

    def _intact(self, openings: Sequence[Opening]) -> set[str]:
        """Finished earlier, and every file still there with its hash (in a worker thread)."""
        root = self._settings.workspace
        made = [opening.generation for opening in openings if opening.kind == "made"]
        return {g.id for g in made if all(artifacts.is_intact(root, artifact) for artifact in g.artifacts)}

    def _take_up_attached(self, openings: Sequence[Opening]) -> None:
        ids = [opening.generation.id for opening in openings if opening.kind == "attached"]
        if ids:
            self._runner.take_up(tuple(OPEN_STATES), ids)

    # ------------------------------------------------------------------ going on

    def is_at_work(self, ids: Sequence[str]) -> bool:
        """Whether waiting for these is still worth it; what lost its process is taken up here."""
        return bool(self._runner.unfinished(ids))

    def take_up(self, ids: Sequence[str] | None) -> list[str]:
        """Work on what nobody is at, queued work included; and fetch again what is paid but did not arrive."""
        taken = self._runner.take_up(tuple(OPEN_STATES), ids)
        failed = self.ledger.get(ids) if ids is not None else self.ledger.find(states=[State.FAILED], limit=1000)[0]
        lost = [generation for generation in failed if is_worth_fetching(generation)]
        again = [generation for generation in lost if not self.ledger.is_superseded(generation)]
        fetched = [self._runner.again(generation) for generation in again]
        return [generation.id for generation in [*taken, *fetched]]

    async def resolve(self, generation: Generation, how: str, receipt: str, admit: Admit) -> str:
        """Settle an unknown; gives the id to wait for.

        Raises:
            NotSupported: this provider gives no receipts that could be attached.
            HoasiError: `admit` forbids buying it again.
        """
        if how == "resubmit":
            openings = open_all(
                self.ledger, [generation.planned], self.owner, admit=admit, overwrite=False, resubmit=True
            )
            self._runner.work([opening.generation for opening in openings if opening.kind == "new"])
            return openings[0].generation.id
        if how == "abandon":
            self.ledger.abandon(generation.id)
            self._scribe.note()
            return generation.id
        maker = provider(generation.planned.provider)
        attach = getattr(maker, "attach", None)
        if attach is None:
            raise NotSupported("attach_not_supported", provider=maker.name)
        handle = attach(generation.planned, receipt)
        given = {**handle.receipt, "attached": True}
        again = self.ledger.reopen(generation.id, self.owner, State.RUNNING, handle=given, problem=None)
        self._runner.work([again])
        return generation.id

    def unfinished(self) -> list[str]:
        """Everything that somebody still has to work on."""
        return [generation.id for generation in self.ledger.find(states=tuple(OPEN_STATES), limit=100_000)[0]]

    def stop(self, ids: Sequence[str]) -> None:
        """Ask for these to be cancelled."""
        self._runner.stop(ids)

    async def wait(self, ids: Sequence[str], timeout_s: float | None) -> list[Generation]:
        """Until all have ended or the time is over; their ends stand in the logs when this returns."""
        generations = await self._runner.wait(ids, timeout_s)
        await self._scribe.flush([generation for generation in generations if generation.planned.fixed_name])
        return generations

    def phases(self, ids: Sequence[str]) -> dict[str, str]:
        """How far each is."""
        return self._runner.phases(ids)

    def troubles(self) -> list[str]:
        """Sentences about logs that could not be written, once."""
        told, self._scribe.troubles = self._scribe.troubles, []
        return list(dict.fromkeys(told))

    def nudge(self, provider_name: str, request_id: str) -> bool:
        """A provider reported something of a request: if this process follows it, it is asked for now."""
        return self._runner.nudge(provider_name, request_id)

    async def look_up(self, maker: Provider, role: str, path: str) -> Reply:
        """One free question at a provider's own host.

        Raises:
            ProviderUnreachable: no answer.
        """
        wire = self._runner.wire(maker)
        try:
            return await wire.call("GET", wire.url(role, path), with_key=False)
        except WireTrouble as error:
            raise ProviderUnreachable("unreachable", provider=maker.name, detail=str(error)) from error

    async def download(self, url: str, path: Path, limit: int) -> None:
        """A remote reference picture, through the checked street.

        Raises:
            FileBroken: it cannot be had.
        """
        try:
            with path.open("wb") as file:
                reply = await self._runner.street.download(url, file.write, limit=limit)
        except AddressRefused as error:
            raise FileBroken("reference_address", url=url.partition("?")[0]) from error
        except WireTrouble as error:
            raise FileBroken("reference_unreachable", url=url.partition("?")[0], detail=str(error)) from error
        if not reply.is_ok:
            raise FileBroken("reference_refused", url=url.partition("?")[0], status=reply.status)


def _needs_others(generation: Generation) -> bool:
    """An input is the result of another request of its call."""
    return any(item.promise for item in generation.planned.inputs)


def _is_free_again(opening: Opening) -> bool:
    """Made but damaged, or paid and not arrived: it comes back without paying."""
    generation = opening.generation
    if opening.kind == "made":
        return comes_back_free(generation)
    return opening.kind == "unsettled" and is_worth_fetching(generation)
