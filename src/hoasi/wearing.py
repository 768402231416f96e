"""Landing (floor 4): requests that show an avatar get its pictures: an edit all of them, a new picture the one whose
angle fits its prompt.

Which one that is, words decide, not a model: prompts/create_avatar.toml lists them in Vietnamese and English.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from hoasi import avatars, paths
from hoasi.avatars import words
from hoasi.errors import NotFound, WrongInput
from hoasi.messages import say
from hoasi.records import Request
from hoasi.requirements import PICTURES

FRONT, MARK = "front", "<<<avatar>>>"
"""The portrait itself; and where a prompt names an avatar's pictures."""
_NAMED = re.compile(r"([^#]*)(?:#([a-z0-9_]+))?")


def worn_by(requests: Iterable[Request], workspace: Path) -> tuple[list[Request], list[str]]:
    """The requests with the pictures of their avatars, and which were taken, as sentences.

    Raises:
        NotFound, PathRefused, FileBroken: no such avatar, or no such picture of it.
        WrongInput: it is for an operation that shows none.
    """
    notes: list[str] = []
    return [_worn(request, workspace, notes) if request.avatar else request for request in requests], notes


def _worn(request: Request, workspace: Path, notes: list[str]) -> Request:
    avatar_id, key = _parts(request.avatar or "")
    if request.operation not in {"generate_image", "edit_image"}:
        raise WrongInput("avatar_operation", operation=request.operation)
    use = words()["use"]
    is_edit = request.operation == "edit_image"
    shown = _all(workspace, avatar_id) if is_edit and not key else [_one(workspace, avatar_id, key, request, notes)]
    first = sum(given.role in PICTURES for given in request.given) + 1
    named = use["joint"].join(f"<<<image_{first + k}>>>" for k in range(len(shown)))
    prompt = use["edit"].format(prompt=request.prompt) if is_edit and MARK not in request.prompt else request.prompt
    return request.model_copy(
        update={
            "references": (*request.references, *shown),
            "prompt": prompt.replace(MARK, named),
            "wishes": request.wishes or tuple(use["wishes"]),
        }
    )


def _parts(written: str) -> tuple[str, str]:
    match = _NAMED.fullmatch(written.strip())
    return (match[1], match[2] or "") if match else (written, "")


def _all(workspace: Path, avatar_id: str) -> list[str]:
    avatar = avatars.load(workspace, avatar_id)
    return [avatar.portrait.path, *(picture.path for picture in avatar.angles.values())]


def _one(workspace: Path, avatar_id: str, key: str, request: Request, notes: list[str]) -> str:
    """The picture that is named, else the one whose angle fits the prompt."""
    if key.isdecimal():
        path = avatars.folder(workspace, avatar_id) / f"confirm_{key}.png"
        if not path.is_file():
            there = ", ".join(map(str, avatars.portraits(workspace, avatar_id))) or "-"
            raise NotFound("avatar_no_portrait", id=avatar_id, number=key, numbers=there)
        return paths.relative(workspace, path)
    avatar = avatars.load(workspace, avatar_id)
    views = {FRONT: avatar.portrait, **avatar.angles}
    if key and key not in views:
        raise NotFound("avatar_no_angle", id=avatar_id, angle=key, angles=", ".join(views))
    meant = key or angle_of(request.prompt)
    if meant not in views:
        notes.append(say("avatar.angle_not_there", id=avatar_id, angle=meant))
    elif not key:
        notes.append(say("avatar.shown", id=avatar_id, angle=meant))
    return views.get(meant, avatar.portrait).path


def angle_of(prompt: str) -> str:
    """The angle that a prompt means: the first whose words stand in it, else `front` (words: create_avatar.toml)."""
    text = unicodedata.normalize("NFC", prompt).casefold()
    for key, angle in words()["angles"].items():
        if any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in angle["words"]):
            return str(key)
    return FRONT
