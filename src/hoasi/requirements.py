"""Workbench (floor 1), pure: what cannot be done is refused before money moves, naming the field and the fix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hoasi.catalogue import Card, Limits, takers
from hoasi.errors import NotSupported, WrongInput
from hoasi.given import CLEAR_FACE, Input
from hoasi.messages import say
from hoasi.options import options, shown
from hoasi.record import OptionValue
from hoasi.records import Request
from hoasi.shapes import exact

SEEDS = 2**31 - 1
"""Seeds lie in 0..2^31-2: every model that takes a seed takes these."""
MAX_IMAGES_A_REQUEST = 64
PICTURES = frozenset({"reference", "source", "face"})
"""Roles that a model takes as plain pictures, in their order."""
MIN_FACE = 80
"""Pixels of a face's shorter side below which a swap could only guess."""
SAME_SHAPE = 0.01
"""Shapes that differ by less than this part come from rounded sides."""
_WORDLESS = frozenset({"image_to_video", "motion_control", "extend_video", "lip_sync", "relight"})
"""Operations that need no prompt."""
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Halves of characters: what a terminal could not read, or broken JSON; no file and no provider takes them."""
_MARKER = re.compile(r"<<<\s*image_(\d{1,3})\s*>>>")


def check(request: Request, card: Card, inputs: Sequence[Input], prompt: str) -> None:
    """Refuse what this model cannot do, or would silently lose.

    Raises:
        WrongInput: the request makes no sense. NotSupported: this model cannot.
    """
    _check_words(request, card, prompt)
    if not 1 <= request.num_images <= MAX_IMAGES_A_REQUEST:
        raise WrongInput("num_images_out_of_range", value=request.num_images, limit=MAX_IMAGES_A_REQUEST)
    if request.seed is not None and not 0 <= request.seed < SEEDS:
        raise WrongInput("seed_out_of_range", value=request.seed, limit=SEEDS - 1)
    if "mask" in card.accepts:
        _check_mask(inputs)
    _check_roles(request, card)
    _check_resolution(request, card)
    _one_of(card, "output_format", request.output_format, card.formats)
    if request.negative_prompt and "negative_prompt" not in card.accepts:
        raise NotSupported("parameter_not_supported", model=card.id, parameter="negative_prompt")
    if request.loras and "loras" not in card.accepts:
        raise NotSupported("parameter_not_supported", model=card.id, parameter="loras")
    _check_together(request, card, options(request, card))
    for item in inputs:
        if not item.promise:
            _check_input(card, item)


def _check_words(request: Request, card: Card, prompt: str) -> None:
    is_needed = "prompt" in card.needs or (request.operation not in _WORDLESS and "prompt" in card.accepts)
    if not request.prompt.strip() and is_needed:
        if request.operation in _WORDLESS:
            raise NotSupported("prompt_needed", model=card.id)
        raise WrongInput("prompt_empty", where=request.origin or "prompt")
    if request.prompt.strip() and "prompt" not in card.accepts:
        raise NotSupported("parameter_not_supported", model=card.id, parameter="prompt")
    if halves := _SURROGATE.findall(f"{prompt}{request.negative_prompt or ''}{request.scene.id}"):
        raise WrongInput("usage_not_text", word=ascii(halves[0]))
    if card.max_prompt is not None and len(prompt) > card.max_prompt:
        raise NotSupported("prompt_too_long", model=card.id, over=len(prompt) - card.max_prompt, limit=card.max_prompt)


def spelled(request: Request, card: Card) -> Request:
    """The request with its resolution, or the preferred one, as this model writes it (2k, 2K)."""
    wanted = (request.resolution or request.prefers.get("resolution", "")).strip().lower()
    same = [name for name in card.resolutions if name.lower() == wanted] or list(
        filter(None, [exact(wanted, card.sizes)])
    )
    return request.model_copy(update={"resolution": same[0]}) if same else request


def _check_resolution(request: Request, card: Card) -> None:
    """One of the model's words, or pixels where it is free in them."""
    sizes = card.sizes
    free = () if sizes.longest is None else (say("shape.free", **sizes.model_dump()),)
    if exact(request.resolution, sizes) is None:
        _one_of(card, "resolution", request.resolution, card.resolutions, more=free)


# ---------------------------------------------------------------------- inputs


def _check_roles(request: Request, card: Card) -> None:
    """Every input has a place at this model, and none that it needs is missing."""
    roles = Counter(given.role for given in request.given)
    pictures = sum(count for role, count in roles.items() if role in PICTURES)
    if card.needs_references and not pictures:
        raise NotSupported("references_needed", model=card.id)
    if pictures > card.references:
        raise NotSupported("too_many_references", model=card.id, count=pictures, limit=card.references)
    for role in roles.keys() - PICTURES:
        if role == "mask" and role not in card.accepts:
            raise NotSupported("mask_not_taken", model=card.id, models=takers(role, request.operation))
        if role not in card.accepts:
            raise NotSupported("role_not_supported", model=card.id, role=say(f"role.{role}"))
        if roles[role] > 1:
            raise WrongInput("role_twice", role=say(f"role.{role}"), count=roles[role])
    missing = [role for role in card.needs if role != "prompt" and role not in roles]
    if missing:
        raise NotSupported("role_needed", model=card.id, role=say(f"role.{missing[0]}"))


def _check_mask(inputs: Sequence[Input]) -> None:
    """A mask lies over the first picture, so it has its shape: another one would be stretched, and paint elsewhere.

    Raises:
        WrongInput: it has another, or there is no picture.
    """
    mask = next((item for item in inputs if item.role == "mask"), None)
    first = next((item for item in inputs if item.role in PICTURES), None)
    if mask is not None and first is None:
        raise WrongInput("mask_alone", mask=mask.written)
    if mask is None or first is None or not (mask.width and first.width):
        return
    across, down = first.width * mask.height, first.height * mask.width
    if abs(across - down) > SAME_SHAPE * across:
        sizes: dict[str, Any] = {"size": f"{first.width}x{first.height}", "other": f"{mask.width}x{mask.height}"}
        raise WrongInput("mask_size", picture=first.written, mask=mask.written, **sizes)


def _check_together(request: Request, card: Card, chosen: dict[str, OptionValue]) -> None:
    """Values that this model does not take at the same time."""
    facts: dict[str, Any] = dict.fromkeys((given.role for given in request.given), True)
    facts |= {"negative_prompt": True} if request.negative_prompt else {}
    facts |= {"aspect_ratio": True} if request.aspect_ratio else {}
    facts |= {"resolution": request.resolution, "num_images": request.num_images, **chosen}
    facts |= {"operation": request.operation}
    for pair in card.forbids:
        if all(_is_so(facts.get(name), value) for name, value in pair.items()):
            words = ", ".join(f"{name}={shown(value)}" if value is not True else name for name, value in pair.items())
            raise NotSupported("forbidden_together", model=card.id, values=words)


def _is_so(value: Any, wanted: OptionValue) -> bool:
    """A forbidden value: true is anything that is given, false nothing."""
    return (value is not None and value is not False) is wanted if isinstance(wanted, bool) else value == wanted


def _check_input(card: Card, item: Input) -> None:
    """Size, ratio and length of one input. Too large a picture is made to fit later, too small a one cannot be."""
    limits = card.limits.get(item.medium)
    if limits is None:
        return
    facts: dict[str, Any] = {"model": card.id, "path": item.written or item.path}
    _check_length(item, limits, facts)
    _check_origin(item, limits, facts)
    if not (item.width and item.height):
        return
    width, height = _cropped(item)
    may_grow = item.crop is not None and item.face_sides[:1] >= (CLEAR_FACE,)
    if limits.min_side is not None and min(width, height) < limits.min_side and not may_grow:
        raise NotSupported("input_too_small", size=f"{width}x{height}", limit=limits.min_side, **facts)
    if limits.max_ratio is not None and max(width, height) > limits.max_ratio * min(width, height):
        raise NotSupported("input_ratio", size=f"{width}x{height}", limit=f"{limits.max_ratio:g}", **facts)
    if item.medium != "image":
        _check_clip(item, limits, facts)


def faces(request: Request, inputs: Sequence[Input]) -> tuple[Input, ...]:
    """The inputs of a swap with the one face chosen that comes; other operations keep theirs as they are.

    Raises:
        WrongInput: no clear face, several and none chosen, or one too small.
    """
    if request.operation != "swap_face":
        return tuple(inputs)
    return tuple(_chosen(request, item) if item.role in {"face", "source"} else item for item in inputs)


def _chosen(request: Request, item: Input) -> Input:
    if item.faces is None or item.promise:
        return item  # nobody could look
    facts: dict[str, Any] = {"picture": item.written, "role": say(f"role.{item.role}"), "count": len(item.boxes)}
    if not item.boxes:
        raise WrongInput("swap_no_face", **facts)
    if item.role == "source":
        return item
    index = request.options.get("face_index")
    if index is None and len(item.boxes) > 1:
        raise WrongInput("swap_several_faces", most=len(item.boxes) - 1, **facts)
    number = int(index or 0)
    if not 0 <= number < len(item.boxes):
        raise WrongInput("swap_face_index", value=number, most=len(item.boxes) - 1, **facts)
    if item.face_sides[number] < MIN_FACE:
        raise WrongInput("swap_face_small", size=item.face_sides[number], limit=MIN_FACE, **facts)
    return item.model_copy(update={"crop": item.boxes[number], "face_sides": (item.face_sides[number],)})


def _cropped(item: Input) -> tuple[int, int]:
    if item.crop is None:
        return item.width, item.height
    left, top, right, bottom = item.crop
    return right - left, bottom - top


def _check_length(item: Input, limits: Limits, facts: dict[str, Any]) -> None:
    seconds = item.duration_s
    if item.medium == "image" or not seconds:
        return
    shown: dict[str, Any] = {"seconds": f"{seconds:.1f}", **facts}
    if limits.min_s is not None and seconds < limits.min_s - 0.05:
        raise NotSupported("input_too_short", limit=f"{limits.min_s:g}", **shown)
    if limits.max_s is not None and seconds > limits.max_s + 0.05:
        raise NotSupported("input_too_long", limit=f"{limits.max_s:g}", **shown)


def _check_origin(item: Input, limits: Limits, facts: dict[str, Any]) -> None:
    """Some calls take only what some models of the same provider made, by its id there."""
    remote = item.remote
    if limits.models and (remote is None or not remote.id):
        raise NotSupported("input_not_theirs", models=", ".join(limits.models), **facts)
    if limits.models and remote is not None and remote.model and remote.model not in limits.models:
        raise NotSupported("input_model", made_by=remote.model, models=", ".join(limits.models), **facts)
    if limits.max_age_days is None or remote is None or remote.age_days is None:
        return
    is_elsewhere = not limits.models and item.written.startswith("https://")
    if remote.age_days > limits.max_age_days and not is_elsewhere:
        raise NotSupported("input_expired", days=f"{remote.age_days:.0f}", limit=f"{limits.max_age_days:g}", **facts)


def _check_clip(item: Input, limits: Limits, facts: dict[str, Any]) -> None:
    """Clips and sounds are sent as they are: nothing here makes them smaller."""
    if limits.max_side is not None and max(item.width, item.height) > limits.max_side:
        raise NotSupported("input_too_large", size=f"{item.width}x{item.height}", limit=limits.max_side, **facts)
    _check_file(item, limits, facts)


def _check_file(item: Input, limits: Limits, facts: dict[str, Any]) -> None:
    if limits.max_bytes is not None and item.size_bytes > limits.max_bytes:
        sizes: dict[str, Any] = {"size": f"{item.size_bytes / 1e6:.1f}", "limit": f"{limits.max_bytes / 1e6:g}"}
        raise NotSupported("input_too_heavy", **sizes, **facts)
    if limits.media_types and item.media_type not in limits.media_types:
        raise NotSupported("input_type", media_type=item.media_type, allowed=", ".join(limits.media_types), **facts)


def _one_of(card: Card, name: str, value: str | None, allowed: tuple[str, ...], more: tuple[str, ...] = ()) -> None:
    if value is None:
        return
    if name not in card.accepts:
        raise NotSupported("parameter_not_supported", model=card.id, parameter=name)
    if value not in allowed:
        raise NotSupported(
            "value_not_supported", model=card.id, parameter=name, value=value, allowed=", ".join((*allowed, *more))
        )


# ---------------------------------------------------------------------- markers


def marked(prompt: str, card: Card, pictures: int) -> str:
    """The prompt with `<<<image_N>>>` as this model names its pictures.

    Raises:
        WrongInput: it names a picture that is not there.
    """
    for number in _named(prompt):
        if not 1 <= number <= pictures:
            raise WrongInput("marker_without_picture", number=number, count=pictures)
    return _MARKER.sub(lambda found: card.marker.format(n=int(found[1])), prompt)


def unnamed(prompt: str, pictures: int) -> list[int]:
    """Pictures that a prompt never names although it names, or should name, them by number."""
    named = _named(prompt)
    return [number for number in range(1, pictures + 1) if number not in named] if named or pictures > 1 else []


def _named(prompt: str) -> set[int]:
    return {int(number) for number in _MARKER.findall(prompt)}
