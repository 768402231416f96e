"""Room: sandbox. RunPod's jobs: queue, waking workers, limits of time, and how long a job is remembered.

A job waits while its worker wakes (`runpod_cold_start_s`; a worker stays awake for some seconds after a job), then
stands in the sandbox's line like every submission. `executionTimeout` counts from when a worker takes it, `ttl` from
when it was sent: then it is deleted, even while it runs. Results are kept 30 minutes, those of `/runsync` one, or five
with `wait`; `?ttl=` of `/status` and the setting `forget_after_s` change that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hoasi.sandbox.line import Failure, Submission
from hoasi.sandbox.runpod_worker import Task, Unworkable, task

if TYPE_CHECKING:
    from hoasi.sandbox.sandbox import Sandbox

KEPT_S, KEPT_SYNC_S, KEPT_WAITED_S = 1800.0, 60.0, 300.0
AWAKE_S = 5.0
TIMED_OUT, CANCELLED = Failure("job timed out after its execution timeout"), Failure("cancelled")
_ENDED_BY_FATE = {"timed_out": "TIMED_OUT", "interrupted": "CANCELLED"}


@dataclass(frozen=True)
class Terms:
    """What a job was sent with: limits and how long its result is kept, in seconds."""

    execution_s: float = 600.0
    ttl_s: float = 86_400.0
    kept_s: float = KEPT_S
    is_sync: bool = False
    origin: str = ""


@dataclass(eq=False)
class Job:
    """One job. Times are readings of the sandbox's clock, in seconds."""

    endpoint: str
    body: Any
    terms: Terms
    sent_at: float
    id: str
    task: Task | None = None
    error: str | None = None
    kept_s: float = 0
    submission: Submission | None = None
    cancelled_at: float | None = None
    retries: int = 0
    delivered: int = 0  # chunks that a stream has taken away
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def model(self) -> str:
        """The name under which it is counted and spoiled."""
        return f"runpod/{self.endpoint}"

    @property
    def status(self) -> str:
        """RunPod's word for where it stands."""
        submission = self.submission
        if self.cancelled_at is not None:
            return "CANCELLED"
        if submission is None or submission.state == "waiting":
            return "IN_QUEUE"
        if submission.state == "running":
            return "IN_PROGRESS"
        if submission.failure in (TIMED_OUT, CANCELLED):
            return "TIMED_OUT" if submission.failure is TIMED_OUT else "CANCELLED"
        failed = submission.failure is not None or self.error is not None
        return _ENDED_BY_FATE.get(submission.fate or "", "FAILED" if failed else "COMPLETED")

    @property
    def ended_at(self) -> float | None:
        """When it ended; None while it goes on."""
        return self.cancelled_at or (self.submission.finished_at if self.submission else None)

    def times(self) -> dict[str, int]:
        """Return how long it waited and ran, in milliseconds, as far as it has come."""
        submission = self.submission
        if submission is None or submission.started_at is None:
            return {}
        waited = {"delayTime": int((submission.started_at - self.sent_at) * 1000)}
        return {**waited, "executionTime": int(submission.took_s * 1000)} if self.ended_at is not None else waited


class Platform:
    """All endpoints with their jobs and workers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._jobs: dict[str, Job] = {}
        self._awake: dict[str, list[float]] = {}  # when the idle workers of an endpoint became idle

    def accept(self, endpoint: str, body: Any, terms: Terms) -> Job:
        """Take a job in; from here on it is billed. What is wrong with its input shows only when it has run."""
        job_id = f"{'sync-' if terms.is_sync else ''}{uuid4()}-u1"
        job = Job(endpoint, body, terms, self._sandbox.clock(), job_id, kept_s=terms.kept_s)
        try:
            job.task = task(body, self._sandbox.settings)
        except Unworkable as error:
            job.error = str(error)
        self._jobs[job.id] = job
        self._start(job)
        return job

    def retry(self, job: Job) -> None:
        """Run a failed job again; it is billed again."""
        job.submission, job.ended, job.sent_at = None, asyncio.Event(), self._sandbox.clock()
        job.retries += 1
        self._start(job)

    def get(self, endpoint: str, job_id: str) -> Job | None:
        """Find a job that is still remembered."""
        job = self._jobs.get(job_id)
        if job is None or job.endpoint != endpoint or self._is_forgotten(job):
            return None
        if job.ended_at is None and self._sandbox.clock() - job.sent_at >= job.terms.ttl_s:
            self.cancel(self._jobs.pop(job_id))
            return None
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job wherever it stands; one that has ended stays as it is."""
        if job.ended_at is not None:
            return
        if job.submission is None:
            job.cancelled_at = self._sandbox.clock()
        else:
            self._sandbox.line.cancel(job.submission, CANCELLED, stops_running=True)
        job.ended.set()

    def purge(self, endpoint: str) -> int:
        """Cancel what waits and return how many that were."""
        waiting = [job for job in self._jobs.values() if job.endpoint == endpoint and job.status == "IN_QUEUE"]
        for job in waiting:
            self.cancel(job)
        return len(waiting)

    def health(self, endpoint: str) -> dict[str, dict[str, int]]:
        """Return the counts of jobs and workers."""
        jobs = [job for job in self._jobs.values() if job.endpoint == endpoint]
        seen = Counter(job.status for job in jobs)
        waking = sum(job.submission is None and job.ended_at is None for job in jobs)
        idle = len(self._rested(endpoint))
        return {
            "jobs": {
                "completed": seen["COMPLETED"],
                "failed": seen["FAILED"] + seen["TIMED_OUT"],
                "inProgress": seen["IN_PROGRESS"],
                "inQueue": seen["IN_QUEUE"],
                "retried": sum(job.retries for job in jobs),
            },
            "workers": {"idle": idle, "initializing": waking, "ready": idle, "running": seen["IN_PROGRESS"]},
        }

    def clear(self) -> None:
        """Forget all jobs; whoever waits for one is told that it ended."""
        for job in self._jobs.values():
            job.ended.set()
        self._jobs.clear()
        self._awake.clear()

    def _start(self, job: Job) -> None:
        body = job.body if isinstance(job.body, Mapping) else {"input": job.body}
        self._sandbox.counters.accepted(job.model, body)
        if self._rested(job.endpoint):
            self._awake[job.endpoint].pop()
            self._stand_in_line(job)
            self._sandbox.run_errand(self._follow(job, 0))
        else:
            self._sandbox.run_errand(self._follow(job, self._sandbox.settings.runpod_cold_start_s))

    async def _follow(self, job: Job, cold_start_s: float) -> None:
        """Let a worker wake, then follow the job to its end."""
        if job.submission is None:
            await asyncio.sleep(cold_start_s)
        if job.cancelled_at is None:
            submission = job.submission or self._stand_in_line(job)
            await _until(submission, {"running", "done"})
            try:
                await asyncio.wait_for(_until(submission, {"done"}), job.terms.execution_s)
            except TimeoutError:
                self._sandbox.line.end(submission, TIMED_OUT)
        self._awake.setdefault(job.endpoint, []).append(self._sandbox.clock())
        job.ended.set()

    def _stand_in_line(self, job: Job) -> Submission:
        job.submission = self._sandbox.line.accept(job.model, {})
        return job.submission

    def _rested(self, endpoint: str) -> list[float]:
        """Return the idle workers that have not fallen asleep."""
        now = self._sandbox.clock()
        self._awake[endpoint] = [since for since in self._awake.get(endpoint, []) if now - since < AWAKE_S]
        return self._awake[endpoint]

    def _is_forgotten(self, job: Job) -> bool:
        if job.submission is not None and job.submission.fate == "vanished":
            return True
        asked = self._sandbox.settings.forget_after_s
        kept_s = job.kept_s if asked is None else asked
        return job.ended_at is not None and self._sandbox.clock() - job.ended_at >= kept_s


async def _until(submission: Submission, states: set[str]) -> None:
    async for state in submission.changes():
        if state in states:
            return
