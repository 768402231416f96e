"""Landing (floor 4): plan, run, wait, list. What doors, command line and Python API talk to.

The engine below (ledger, connections, the mark of this process) starts with the first call that needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from hoasi import gates, replies, settings
from hoasi.answers import Progress, Reply
from hoasi.ask import Ask
from hoasi.errors import NotFound, WrongInput
from hoasi.given import Given, Input
from hoasi.ledger import Ledger
from hoasi.messages import speak
from hoasi.past import Past
from hoasi.preparing import ReadInputs, prepare
from hoasi.reading import Known, Look, Reader
from hoasi.record import Medium
from hoasi.records import Batch, Generation, Plan, State

if TYPE_CHECKING:
    from hoasi.engine import Engine
    from hoasi.pushing import Pushed
    from hoasi.sheets import Sheet

Resolution = Literal["resubmit", "attach", "abandon"]


class Studio:
    """One workspace. Use it as an async context manager; leaving stops the waiting, never loses a state.

    Example:
        async with Studio("my-workspace") as studio:
            reply = await studio.generate(Ask(prompt="a quiet balcony at dawn", provider="local"))
    """

    def __init__(
        self,
        workspace: Path | str | None = None,
        *,
        env_file: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        root = None if workspace is None else Path(workspace)
        self.settings = settings.read(root, None if env_file is None else Path(env_file), environ)
        speak(self.settings.language)
        self._engine: Engine | None = None

    async def __aenter__(self) -> Studio:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Write the last logs, stop waiting, keep every state."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.close()

    def start(self) -> list[str]:
        """Start the engine now; gives the ids of paid generations that it took up again."""
        if self._engine is not None:
            return []
        from hoasi.engine import Engine

        engine = Engine(self.settings)
        taken = engine.start()
        self._engine = engine
        return taken

    @property
    def engine(self) -> Engine:
        """The running engine."""
        if self._engine is None:
            self.start()
        return cast("Engine", self._engine)

    # ------------------------------------------------------------------ before money

    async def plan(self, ask: Ask) -> Plan:
        """Everything decided before money; no network (a remote reference is not fetched), nothing written.

        Raises:
            WrongInput: what cannot be done, with the field and the fix.
        """
        return await prepare(ask, self.settings, self._reader(is_dry=True))

    async def read(self, ask: Ask, known: Known | None = None) -> Plan:
        """As `plan`, with everything read; what stands in `known` is not fetched again, what is read is put there."""
        return await prepare(ask, self.settings, self._reader(is_dry=False, known=known))

    async def preview(self, ask: Ask, plan: Plan | None = None) -> Reply:
        """The plan as a reply: file names, prices, warnings, what still stands in its way. Costs nothing."""
        plan = plan or await self.plan(ask)
        with self._reading() as ledger:
            return replies.preview(plan, self.settings.workspace, gates.obstacle(plan, self.settings, ask, ledger))

    async def missing_consent(self, ask: Ask, plan: Plan | None = None) -> list[gates.Unconsented]:
        """Pictures of people for which a permission could still be given before this call runs."""
        plan = plan or await self.read(ask)
        return [item for item in gates.unconsented(plan, self.settings) if item.why != "refused_minor"]

    async def record_consent(
        self, ask: Ask, plan: Plan | None = None, *, words: str = "", only: str | None = None, **what: bool
    ) -> None:
        """Write down what a person said about its pictures (`only`: the one written so; `what`: no_faces, minor)."""
        said = ask.model_copy(update={"consent": words, "no_faces": False, "minor": False, **what})
        self._record(plan or await self.read(ask), said, only)

    def _record(self, plan: Plan, ask: Ask, only: str | None = None) -> None:
        pictures = gates.answered(plan, self.settings, ask, only)
        gates.record(pictures, plan, self.settings, ask, self.engine.owner)

    def _reader(self, *, is_dry: bool, known: Known | None = None) -> ReadInputs:
        from hoasi import references

        kept: Known = {} if known is None else known

        async def read_file(written: str, medium: Medium) -> Input:
            return await references.resolve(
                written,
                workspace=self.settings.workspace,
                cache=self.settings.home / "references",
                download=lambda *parts: self.engine.download(*parts),  # noqa: PLW0108 - 2026-11-28, asking for it starts it
                owner=self.engine.owner if written.startswith(("http://", "https://")) else "0",
                medium=medium,
            )

        async def read(given: Sequence[Given], *, look: Look) -> list[Input]:
            with self._reading() as ledger:
                return await Reader(self.settings.workspace, ledger, read_file, kept, is_dry=is_dry)(given, look=look)

        return read

    # ------------------------------------------------------------------ working

    async def begin(self, ask: Ask, plan: Plan | None = None) -> Batch:
        """Plan (unless it was just read), pass the gates, write down the intent, set to work; returns at once.

        Raises:
            HoasiError: refused; nothing was paid.
        """
        limits = gates.budget(ask, self.settings)
        plan = plan or await self.read(ask)
        gates.keys(plan, self.settings)
        if ask.minor:
            gates.minors(plan, self.settings, ask, self.engine.owner)
        is_permission = ask.no_faces or bool((ask.consent or "").strip())
        if not is_permission:
            gates.permitted(plan, self.settings)
        self.engine.rehearse(plan, limits.check, overwrite=ask.overwrite, resubmit=ask.resubmit)
        if is_permission:
            self._record(plan, ask)
        self._pass(plan)
        return await self.engine.begin(plan, limits.check, overwrite=ask.overwrite, resubmit=ask.resubmit)

    def _pass(self, plan: Plan) -> None:
        """Every gate before money."""
        gates.keys(plan, self.settings)
        gates.permitted(plan, self.settings)
        gates.folders(plan, self.settings)

    async def wait(self, batch: Batch, timeout_s: float | None = None) -> Reply:
        """The result, or how far it is when the time is over; the work goes on."""
        generations = await self.engine.wait(batch.ids, timeout_s)
        return self._reply(generations, batch)

    async def generate(self, ask: Ask, timeout_s: float | None = None) -> Reply:
        """`begin` and `wait`."""
        return await self.wait(await self.begin(ask), timeout_s)

    def _reply(self, generations: Sequence[Generation], batch: Batch) -> Reply:
        return replies.reply(generations, self.settings.workspace, batch, self._past(), self.engine.troubles())

    def progress(self, ids: Sequence[str]) -> Progress:
        """Numbers of some generations; cheap."""
        phases = list(self.engine.phases(ids).values())
        bad = (State.FAILED, State.CANCELLED, State.EXPIRED, State.UNKNOWN)
        done, failed, queued = phases.count(State.SUCCEEDED), sum(map(phases.count, bad)), phases.count(State.QUEUED)
        working = len(phases) - done - failed - queued
        counts = {"done": done, "failed": failed, "working": working, "queued": queued}
        return Progress(total=len(phases), fetching=phases.count(State.FETCHING), **counts)

    async def push(self, job_id: str, to: str, *, with_logs: bool = False) -> Pushed:
        """Copy what a job made to `s3://bucket/prefix`; what lies there already is not sent again. Needs `hoasi[s3]`.

        Raises:
            HoasiError: bucket, rights, endpoint or credentials; nothing of the job is changed.
        """
        from hoasi import pushing

        return await pushing.push(self.settings, job_id, to, with_logs=with_logs)

    # ------------------------------------------------------------------ looking

    def generations(self, ids: Sequence[str]) -> list[Generation]:
        """What the ledger holds.

        Raises:
            NotFound: an id nobody knows.
        """
        with self._reading() as ledger:
            if ledger is None:
                raise NotFound("generation_unknown", id=next(iter(ids), "-"))
            return ledger.get(ids)

    def show(self, ids: Sequence[str]) -> Reply:
        """Some generations as they are now."""
        batch = Batch(ids=tuple(ids))
        return replies.reply(self.generations(ids), self.settings.workspace, batch, self._past())

    def list(
        self,
        *,
        job_id: str | None = None,
        scene_id: str | None = None,
        states: Collection[str] = (),
        limit: int = 20,
        cursor: int = 0,
    ) -> tuple[Reply, int]:
        """Newest first; the number to pass as `cursor` for the next page (0: no more)."""
        with self._reading() as ledger:
            if ledger is None:
                return replies.reply([], self.settings.workspace, Batch(ids=()), self._past()), 0
            found, more = ledger.find(job_id=job_id, scene_id=scene_id, states=states, before=cursor, limit=limit)
        return replies.reply(found, self.settings.workspace, Batch(ids=()), self._past()), more

    def sheet(self, job_id: str) -> Sheet:
        """What a job holds, scene by scene, ready to be drawn on one page (`Sheet.page`); free, nothing is written.

        Raises:
            PathRefused, NotFound: no such job, or nothing in it to show.
        """
        from hoasi import sheets

        with self._reading() as ledger:
            return sheets.of_job(self.settings.workspace, ledger, job_id)

    def _past(self) -> Past:
        return Past(self._reading)

    def _reading(self) -> contextlib.AbstractContextManager[Ledger | None]:
        """The ledger for reading, or None where nothing was ever asked for."""
        if self._engine is not None:
            return contextlib.nullcontext(self._engine.ledger)
        path = self.settings.home / "ledger.db"
        return contextlib.closing(Ledger(path)) if path.is_file() else contextlib.nullcontext(None)

    # ------------------------------------------------------------------ going on

    async def follow(self, ids: Sequence[str], timeout_s: float | None = None) -> Reply:
        """Wait for generations wherever they came from; takes up what nobody works on."""
        self.generations(ids)
        self.engine.take_up(ids)
        return await self.wait(Batch(ids=tuple(ids)), timeout_s)

    async def resume(self, ids: Sequence[str] | None = None, timeout_s: float | None = None) -> Reply:
        """Bring every unfinished generation (or these) to its end; paid results are fetched again, for free."""
        if ids is not None:
            self.generations(ids)
        taken = self.start()
        taken += self.engine.take_up(ids)
        chosen = tuple(dict.fromkeys(taken if ids is None else [*ids, *taken]))
        return await self.wait(Batch(ids=chosen), timeout_s)

    async def cancel(self, ids: Sequence[str] | None = None) -> Reply:
        """Take generations back (None: all unfinished); what finished all the same is kept."""
        chosen = tuple(self.engine.unfinished()) if ids is None else tuple(ids)
        self.generations(chosen)
        self.engine.stop(chosen)
        return await self.wait(Batch(ids=chosen), timeout_s=20.0)

    async def resolve(
        self, name: str, how: Resolution, receipt: str | None = None, timeout_s: float | None = None
    ) -> Reply:
        """Settle an `unknown`: buy again, attach what was found at the provider, or give it up.

        Raises:
            WrongInput: it is not unknown, the receipt is missing, or buying again does not pass the gates.
        """
        generation = self.generations([name])[0]
        planned = generation.planned
        if generation.state is not State.UNKNOWN:
            raise WrongInput("not_unknown", id=name, state=generation.state.value)
        if how == "attach" and not (receipt or "").strip():
            raise WrongInput("receipt_missing", id=name)
        limits = gates.budget(Ask(), self.settings)
        if how == "resubmit":
            self._pass(Plan(job_id=planned.job_id, output_dir=planned.output_dir, items=(planned,)))
        settled = await self.engine.resolve(generation, how, receipt or "", limits.check)
        return await self.wait(Batch(ids=(settled,)), timeout_s)
