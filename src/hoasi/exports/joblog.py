"""Floor 3, writers: `ai_image_generation.toml` and `ai_video_generation.toml`, every generation of a job.

Contract: the pipeline's section of that name (schemas/ai_image_generation.schema.json). Its keys keep names and types,
ours follow them; a seed that is not known is left out.

An update copies bytes: new header, the old blocks as they stand, the new blocks, all into a file beside it that takes
its place by renaming. Nothing is parsed as long as the file is the one we left, which `Memory` tells. A file that
somebody else wrote or changed is read once; so is our own after a crash between renaming and remembering.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

from hoasi.exports._toml import Value, block, string
from hoasi.files import held, replace_file
from hoasi.record import Media, Paid, Record

TAIL_BYTES = 4096
_BLOCK = re.compile(r"^[ \t]*\[\[[ \t]*generations[ \t]*\]\]", re.MULTILINE)
_NUMBER = re.compile(r"GEN_(\d{1,12})")
_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_PLAIN_HEAD = re.compile(
    rf"\[metadata\]\ngenerated_at = {_QUOTED}\njob_id = {_QUOTED}\ndefault_model = {_QUOTED}\n"
    r"total_(?:images|videos) = \d+\n(\n*)"
)

Identity = tuple[str, str, int, str]


class LogRow(Record):
    """One picture, or one generation that ended without any. Paths are workspace-relative with `/`, times ISO 8601."""

    generation_id: str
    scene_id: str
    prompt: str
    original_prompt: str = ""
    """The caller's own, where a style put words around it."""
    model: str
    provider: str
    operation: str
    reference_images: tuple[str, ...]
    reference_image_urls: tuple[str, ...]
    seed: int | None
    output_path: str
    output_url: str
    duration_seconds: float
    status: Literal["success", "failed", "unknown", "cancelled"]
    cost_usd: float | None
    paid: Paid
    sha256: str = ""
    width: int = 0
    height: int = 0
    created_at: str
    error: str = ""
    error_key: str = ""
    warnings: tuple[str, ...] = ()
    attempt: int = 1
    request_id: str = ""
    copied_from: str = ""
    duration_s: float = 0.0
    """Length of a clip; `duration_seconds` is how long it took to make."""
    fps: float = 0.0
    has_audio: bool = False
    remote_id: str = ""
    aspect_ratio: str = ""
    aspect_ratio_from: str = ""
    """The file that said it, where the call did not."""
    parents: tuple[str, ...] = ()
    """Generations it was made from."""
    fixed_path: str = ""
    """Where a copy lies for another program, as long as nothing else is asked for that name."""

    @property
    def identity(self) -> Identity:
        """What makes two rows the same row."""
        return self.generation_id, self.output_path, self.attempt, self.status


class Memory(Record):
    """The log as we left it; opaque to everybody else but for `moved_aside`.

    `ends_sha256` is of the header and the last 4 KiB. `moved_aside` names the file that this update had to put away
    because it was no TOML, "" as a rule: say so to the user.
    """

    size_bytes: int
    head_bytes: int
    ends_sha256: str
    next_number: int
    successes: int
    moved_aside: str = ""


@dataclass(frozen=True)
class _Log:
    """What the file holds: its header, the bytes of its blocks, and what is known of them."""

    head: str = ""
    body: bytes = b""
    next_number: int = 1
    successes: int = 0
    present: frozenset[Identity] = frozenset()
    moved_aside: str = ""


def write(
    path: Path,
    rows: Sequence[LogRow],
    *,
    job_id: str,
    default_model: str,
    generated_at: str,
    memory: Memory | None,
    lock_path: Path,
    temp_name: str,
    media: Media = "image",
) -> Memory:
    """Add rows to the log. Costs no parsing of our own file.

    Rows that stand in a file which had to be read already are not added again. So give all rows that are not known to
    be logged at once, read together with `memory` in one transaction, and remember both together afterwards.

    Args:
        path: the log. Its folder is made.
        rows: what ended since the last update.
        job_id: for the header, like `default_model` and `generated_at` (ISO 8601).
        default_model: see `job_id`.
        generated_at: see `job_id`.
        memory: what the last update returned, None when nothing is remembered.
        lock_path: held while the file is read and written; the same for every process.
        temp_name: of the file beside, hidden and without a media suffix.
        media: what it is a log of: its header counts `total_images` or `total_videos`.

    Returns:
        What to remember for the next update. A file that is no TOML was put away as `moved_aside`.

    Raises:
        DiskTrouble: no room, no right, or the lock is held too long; the log is as it was.
    """
    with held(lock_path):
        log = _read(path, memory, temp_name)
        fresh = [row for row in rows if row.identity not in log.present]
        successes = log.successes + sum(row.status == "success" for row in fresh)
        facts = {"generated_at": generated_at, "job_id": job_id, "default_model": default_model}
        head = _head(log.head, {**facts, f"total_{media}s": successes}).encode()
        blocks = "".join(_block(row, number) for number, row in enumerate(fresh, log.next_number))
        data = head + log.body + blocks.encode()
        replace_file(path, data, temp_name)
    return Memory(
        size_bytes=len(data),
        head_bytes=len(head),
        ends_sha256=_ends(data, len(head)),
        next_number=log.next_number + len(fresh),
        successes=successes,
        moved_aside=log.moved_aside,
    )


def _read(path: Path, memory: Memory | None, temp_name: str) -> _Log:
    next_number = 1 if memory is None else memory.next_number  # a number is never used twice, even if the file is gone
    old = path.read_bytes() if path.exists() else b""
    if not old:
        return _Log(next_number=next_number)
    if memory is not None and _is_ours(old, memory):
        head, body = old[: memory.head_bytes], old[memory.head_bytes :]
        return _Log(head.decode(), body, next_number, memory.successes)
    try:
        return _imported(old.decode("utf-8-sig"), next_number)
    except (ValueError, RecursionError):  # no UTF-8, no TOML, or not the shape of a log
        return _Log(next_number=next_number, moved_aside=_put_away(path, old, temp_name))


def _is_ours(old: bytes, memory: Memory) -> bool:
    return len(old) == memory.size_bytes and _ends(old, memory.head_bytes) == memory.ends_sha256


def amended(memory: Memory | None, old: bytes, new: bytes) -> Memory | None:
    """What to remember after rows below the header were amended; as it was where `old` is not how we left the file."""
    if memory is None or not _is_ours(old, memory):
        return memory
    return memory.model_copy(update={"size_bytes": len(new), "ends_sha256": _ends(new, memory.head_bytes)})


def _imported(text: str, next_number: int) -> _Log:
    """A file that is not remembered, read whole.

    Raises:
        ValueError: it is no log; tomllib's and the decoder's errors are of this class.
    """
    whole = tomllib.loads(text)
    rows = _rows(whole)
    found = _BLOCK.search(text)
    cut = len(text) if found is None else found.start()
    head, body = text[:cut], text[cut:]
    if not _is_head(head, whole):
        head, body = _rendered(whole, rows)
    numbers = (int(match[1]) for row in rows if (match := _NUMBER.fullmatch(str(row.get("id", "")))))
    return _Log(
        head=head,
        body=body.encode(),
        next_number=max(next_number, *(number + 1 for number in numbers), 1),
        successes=sum(row.get("status") == "success" for row in rows),
        present=frozenset(map(_identity, rows)),
    )


def _rows(whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = whole.get("generations", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("generations is no array of tables")
    if not isinstance(whole.get("metadata", {}), dict):
        raise ValueError("metadata is no table")
    return rows


def _identity(row: Mapping[str, Any]) -> Identity:
    attempt = row.get("attempt", 1)
    texts = (str(row.get(name, "")) for name in ("generation_id", "output_path", "status"))
    generation_id, output_path, status = texts
    return generation_id, output_path, attempt if isinstance(attempt, int) else 1, status


def _is_head(head: str, whole: Mapping[str, Any]) -> bool:
    """Does `head` end before the first block and hold all metadata? Then what is below stays, and more may follow."""
    try:
        top = tomllib.loads(head)
    except tomllib.TOMLDecodeError:
        return False
    return "generations" not in top and top.get("metadata") == whole.get("metadata")


def _rendered(whole: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Header and blocks of a file whose structure is not ours, without losing a key."""
    import tomlkit

    rest = {name: thing for name, thing in whole.items() if name != "generations"}
    return tomlkit.dumps(rest), tomlkit.dumps({"generations": list(rows)}) if rows else ""


def _head(old: str, facts: Mapping[str, Value]) -> str:
    """The header with our four values; whatever else stood in it stays."""
    plain = _PLAIN_HEAD.fullmatch(old)
    if plain is None and old.strip():
        return _mended(old, facts)
    texts = "".join(
        f"{name} = {fact if isinstance(fact, int) else string(str(fact))}\n" for name, fact in facts.items()
    )
    return f"[metadata]\n{texts}" + ("" if plain is None else plain[1])


def _mended(old: str, facts: Mapping[str, Value]) -> str:
    import tomlkit

    document = tomlkit.parse(old)
    metadata: Any = document.setdefault("metadata", tomlkit.table())
    metadata.update(facts)
    text = tomlkit.dumps(document)
    return text if text.endswith("\n") else f"{text}\n"


def _block(row: LogRow, number: int) -> str:
    """The documented keys in their documented order, then ours; ours are left out where they say nothing."""
    documented = ("scene_id", "prompt", "model", "reference_images", "reference_image_urls", "seed",
                  "output_path", "output_url", "duration_seconds", "status")  # fmt: skip
    always = ("provider", "operation", "paid", "cost_usd", "created_at", "generation_id", "attempt")
    said = ("width", "height", "sha256", "error", "error_key", "warnings", "request_id", "copied_from",
            "duration_s", "fps", "has_audio", "remote_id", "parents", "original_prompt", "fixed_path",
            "aspect_ratio", "aspect_ratio_from")  # fmt: skip
    names = (*documented, *always, *(name for name in said if getattr(row, name)))
    fields = [(name, thing) for name in names if (thing := getattr(row, name)) is not None]
    return block("generations", [("id", f"GEN_{number:03d}"), *fields], long=("prompt", "original_prompt"))


def _ends(data: bytes, head_bytes: int) -> str:
    return hashlib.sha256(data[:head_bytes] + data[-TAIL_BYTES:]).hexdigest()


def _put_away(path: Path, old: bytes, temp_name: str) -> str:
    """Copy a file that we cannot read to the first free visible name beside it."""
    names = (path.with_name(f"{path.stem}.broken-{number}{path.suffix}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    replace_file(aside, old, temp_name)
    return aside.name
