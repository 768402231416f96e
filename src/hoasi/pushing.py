"""Engine room (floor 3): the finished files of a job are pushed to a bucket, and its logs tell where they lie.

A file leaves only if the people in what it was made from still permit it (`consent`, as before any upload); the bucket
is the user's own and named by the user, so it needs no permission of its own (docs/decisions/0010-s3.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path

from anyio import to_thread

from hoasi import bucket, consent, paths
from hoasi.artifacts import is_intact, temp_name
from hoasi.errors import ConsentMissing, DiskTrouble, FileBroken, NotFound
from hoasi.exports import joblog, joblog_urls
from hoasi.files import held
from hoasi.ledger import Ledger
from hoasi.messages import explain
from hoasi.presence import Presence
from hoasi.record import Record
from hoasi.records import Generation, State
from hoasi.results import Artifact
from hoasi.scribe import Scribe
from hoasi.sending import Fate, File, Item, Sender, Watch
from hoasi.settings import Settings
from hoasi.telling import memory, remember

BUSY_S = 1.0
"""Another push of the same job is not waited for."""
_LOGS = ("ai_image_generation.toml", "ai_video_generation.toml", "asset_semantics.toml")


class Pushed(Record):
    """How a push ended. `warnings` are about logs that could not be written."""

    files: tuple[File, ...]
    warnings: tuple[str, ...] = ()

    def count(self, *fates: Fate) -> int:
        """How many files ended so."""
        return sum(file.fate in fates for file in self.files)


def plan(settings: Settings, job_id: str, to: str, *, with_logs: bool = False) -> Pushed:
    """What `push` would send. No network, no file written.

    Raises:
        WrongInput: as `push`, but for the keys and the bucket.
    """
    place = bucket.place_of(to)
    with _ledger(settings, job_id) as ledger:
        items = _items(ledger, settings, job_id)
    chosen = [*items, *(_logs(settings, items) if with_logs else ())]
    return Pushed(files=tuple(item.file(place, _fate(settings, item)) for item in chosen))


def _fate(settings: Settings, item: Item) -> Fate:
    if item.why:
        return "kept"
    return "planned" if is_intact(settings.workspace, item.artifact) else "changed"


async def push(
    settings: Settings, job_id: str, to: str, *, with_logs: bool = False, watch: Watch = lambda _: None
) -> Pushed:
    """Send every finished file of a job to `s3://bucket/prefix/<workspace-relative path>`; its logs too on demand.

    When this returns or raises, the job's logs tell the address of every picture that is there. Costs no money of ours;
    a bucket's owner may charge.

    Raises:
        WrongInput: no such job, nothing finished, a target or an endpoint that cannot be, no keys, no bucket.
        GenerationFailed: the server refused or could not be reached; what was sent is kept, the next push goes on.
        DiskTrouble: `file_busy`: another process pushes this job.
    """
    place = bucket.place_of(to)
    with _ledger(settings, job_id) as ledger, _alone(settings, job_id) as owner:
        async with bucket.opened(settings, place) as there:
            troubles = await _ends_told(settings, owner)
            items = _items(ledger, settings, job_id)
            sender = Sender(there, place, bucket.endpoint(settings), settings.workspace, ledger, watch)
            try:
                await sender.send(items)
            finally:
                troubles += _addresses_told(settings, ledger, owner, items, sender.files)
            if with_logs:
                await sender.send(await to_thread.run_sync(_logs, settings, items))
    return Pushed(files=tuple(sender.files), warnings=tuple(troubles))


@contextmanager
def _alone(settings: Settings, job_id: str) -> Iterator[str]:
    """The only push of this job; gives this process's mark, so that nobody sweeps its files away."""
    presence = Presence(settings.home / "workers")
    with held(lock_of(settings, f"{job_id} pushing"), BUSY_S):
        presence.enter()
        try:
            yield presence.owner
        finally:
            presence.leave()


# ---------------------------------------------------------------------- what there is


def _ledger(settings: Settings, job_id: str) -> closing[Ledger]:
    """The ledger, for a job that exists.

    Raises:
        NotFound, PathRefused: no such job, or nothing was ever made here.
    """
    paths.job_dir(settings.workspace, job_id)
    path = settings.home / "ledger.db"
    if not path.is_file():
        raise NotFound("push_nothing", job_id=job_id)
    return closing(Ledger(path))


def _items(ledger: Ledger, settings: Settings, job_id: str) -> list[Item]:
    """The latest file at each place, oldest first.

    Raises:
        NotFound: `push_nothing`.
    """
    made, _ = ledger.find(job_id=job_id, states=[State.SUCCEEDED], limit=1_000_000)
    latest: dict[str, Item] = {}
    for generation in made:
        fresh = [artifact for artifact in generation.artifacts if artifact.path not in latest]
        why = _why_kept(generation, settings) if fresh else ""
        latest |= {a.path: Item(a, log_path=generation.planned.log_path, why=why) for a in fresh}
    if not latest:
        raise NotFound("push_nothing", job_id=job_id)
    return [*reversed(latest.values())]


def _why_kept(generation: Generation, settings: Settings) -> str:
    """Why it may not leave: a permission that it rests on is missing, over or taken back."""
    planned = generation.planned
    try:
        consent.must_stand(planned.inputs, planned.job_id, planned.scope, settings)
    except ConsentMissing as error:
        view = explain(error.problem())
        return f"{view.message} {view.fix}"
    return ""


def _logs(settings: Settings, items: Iterable[Item]) -> list[Item]:
    """The logs that tell of these files, as they are now."""
    folders = sorted({Path(item.log_path).parent for item in items if item.log_path})
    found = [(folder / name).as_posix() for folder in folders for name in _LOGS]
    return [_log(settings, path) for path in found if (settings.workspace / path).is_file()]


def _log(settings: Settings, path: str) -> Item:
    data = (settings.workspace / path).read_bytes()
    sha256, size_bytes = hashlib.sha256(data).hexdigest(), len(data)
    kind = "application/toml"
    return Item(Artifact(path=path, sha256=sha256, size_bytes=size_bytes, media_type=kind, width=0, height=0))


# ---------------------------------------------------------------------- the logs


def lock_of(settings: Settings, what: str) -> Path:
    """The lock file of a log (its workspace-relative path), as the scribe names it, or of anything else."""
    return settings.home / "locks" / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.lock"


async def _ends_told(settings: Settings, owner: str) -> list[str]:
    """What has just ended stands in the logs, so that its row can tell its address too; gives what went wrong."""
    scribe = Scribe(settings, owner)
    await scribe.flush()
    await scribe.close()
    return scribe.troubles


def _addresses_told(
    settings: Settings, ledger: Ledger, owner: str, items: Iterable[Item], files: Iterable[File]
) -> list[str]:
    """Every picture that is there has its address in its log; gives what went wrong."""
    there = {file.path: file for file in files if file.fate in {"sent", "there"}}
    logged = [item for item in items if item.log_path and item.artifact.path in there]
    chosen = [(item.log_path, there[item.artifact.path]) for item in logged]
    troubles = []
    for log_path, group in groupby(sorted(chosen, key=lambda pair: pair[0]), key=lambda pair: pair[0]):
        try:
            _tell(settings, ledger, owner, log_path, [file for _, file in group])
        except (FileBroken, DiskTrouble) as error:
            view = explain(error.problem())
            troubles.append(f"{view.message} {view.fix}")
    return troubles


def _tell(settings: Settings, ledger: Ledger, owner: str, log_path: str, files: Sequence[File]) -> None:
    """Under the lock that the scribe holds while it tells an end."""
    with held(lock_of(settings, f"{log_path} telling")):
        with ledger.transaction() as db:
            before = memory(db, log_path)
        after = joblog_urls.tell(
            settings.workspace / log_path,
            {(file.path, file.sha256): file.url for file in files},
            memory=None if before is None else joblog.Memory.model_validate_json(before),
            lock_path=lock_of(settings, log_path),
            temp_name=temp_name(owner, "log"),
        )
        if after is not None:
            with ledger.transaction() as db:
                remember(db, log_path, after.model_dump_json())
