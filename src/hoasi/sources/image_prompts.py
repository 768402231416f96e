"""Floor 3, readers: `image_prompts.toml`, an agent's finished prompts, as one request an entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hoasi.errors import FileBroken
from hoasi.records import Request, Scene
from hoasi.sources import Sourced, _toml, job_of, prompt, refuse_unknown


def read(path: Path, *, workspace: Path, scene_ids: Sequence[str] = ()) -> Sourced:
    """Requests in the file's order. Prompts are sent as written: no hint, no style guidance is added.

    Several entries may serve one scene; their pictures are numbered on (`first_idx`). An entry without `scene_id`
    goes by its own `id`, else by its place (`PROMPT_003`).

    Args:
        path: the file; relative to the current folder.
        workspace: root of `jobs/`.
        scene_ids: only the entries of these scenes.

    Raises:
        FileBroken: the file cannot be used; facts name file, table, field and line.
        NotFound: no such file or scene.
    """
    document = _toml.read(path)
    metadata = document.table("metadata")
    ratio = metadata.matching("aspect_ratio", prompt.RATIO, "source_not_ratio")
    requests = _requests(document, metadata, ratio)
    asked = frozenset(map(prompt.clean, scene_ids))
    refuse_unknown(sorted(asked), [request.scene.id for request in requests], path)
    return Sourced(
        requests=tuple(request for request in requests if not asked or request.scene.id in asked),
        job_id=job_of(path, workspace),
        aspect_ratio=ratio,
        language=metadata.text("language") or "vi",
        title=metadata.text("title"),
    )


def _requests(document: _toml.Document, metadata: _toml.Table, ratio: str | None) -> list[Request]:
    """Every entry of the file; there is at least one."""
    model, references = metadata.text("default_model"), _references(metadata) or ()
    taken: Counter[str] = Counter()
    requests: list[Request] = []
    for table in document.tables("prompts"):
        request = _request(table, model, references, ratio)
        requests.append(request.model_copy(update={"first_idx": taken[request.scene.id] + 1}))
        taken[request.scene.id] += request.num_images
    if not requests:
        raise FileBroken("prompts_none", file=document.path)
    return requests


def _request(table: _toml.Table, model: str, references: tuple[str, ...], ratio: str | None) -> Request:
    text, own = table.text("prompt"), _references(table)
    scene_id = table.text("scene_id") or table.text("id") or f"PROMPT_{table.index:03}"
    if not text:
        raise table.broken("source_blank", "prompt")
    return Request(
        prompt=text,
        scene=Scene(id=scene_id, visual_intent=text),
        model=table.text("model") or model or None,
        num_images=table.count("num_images", 1),
        aspect_ratio=ratio,
        references=references if own is None else own,
        origin=f"{table.document.path.name} {table.place} ({scene_id})",
    )


def _references(table: _toml.Table) -> tuple[str, ...] | None:
    """Paths or URLs as written: a file's name need not be NFC. A blank one would be paid for without its picture."""
    written = table.strings("reference_images")
    if written is not None and not all(map(str.strip, written)):
        raise table.broken("source_blank", "reference_images")
    return written
