"""Workbench (floor 1), pure: request + card -> `Planned`: model, parameters, seed, names, price, fingerprint.

No money, no network, no files, no clock: the same request gives the same plan on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from hoasi.catalogue import Card, Catalogue
from hoasi.errors import NotSupported
from hoasi.given import Input
from hoasi.messages import say
from hoasi.options import options
from hoasi.pricing import price_of
from hoasi.record import Record
from hoasi.records import Planned, Request
from hoasi.requirements import PICTURES, SEEDS, check, faces, marked, spelled, unnamed
from hoasi.shapes import fitting, nearest, size, told_shape

CAPS_S = {"image": 300.0, "video": 600.0}
"""How long a generation is followed unless its card says otherwise."""
REFUSALS = {"text_to_video": 2, "image_to_video": 2, "reference_to_video": 2, "motion_control": 2, "extend_video": 2}
"""How often these are sent again after a proven refusal; everything else 3 times."""
TAKES = ".hoasi/takes"
"""Where the files themselves lie of pictures that have a fixed name, folder by folder."""


class Site(Record):
    """Where a plan's pictures go: the job ("" for none), its folder in the workspace, and who makes them.

    `realm` is "" for the real provider and "sandbox" for ours: their pictures are never taken for each other.
    """

    job_id: str
    output_dir: str
    log_path: str = ""
    semantics_path: str = ""
    records_path: str = ""
    realm: str = ""


def site_of(planned: Planned) -> Site:
    """Where something that was planned goes."""
    names = ("job_id", "log_path", "semantics_path", "records_path", "realm")
    folder = planned.fixed_name.rpartition("/")[0] or planned.output_dir
    return Site(output_dir=folder, **{name: getattr(planned, name) for name in names})


def plan_request(
    request: Request, cards: Catalogue, inputs: Sequence[Input], site: Site, prompt: str
) -> tuple[Planned, ...]:
    """Plan one request; more pictures than the model makes at once become several paid calls.

    Args:
        request: what is wanted; `request.given` were read into `inputs`.
        cards: the catalogue of the chosen provider.
        inputs: in the order of `request.given`.
        site: where the pictures go.
        prompt: the prompt to send (style already added).

    Raises:
        WrongInput: the request itself makes no sense.
        NotSupported: the model cannot do it, or would silently lose a parameter.
    """
    card, notes = _card(request, cards)
    request = _preferred(spelled(request, card), card)
    pictures = sum(item.role in PICTURES for item in inputs)
    prompt, spoken = marked(prompt, card, pictures), prompt
    inputs = faces(request, inputs)
    check(request, card, inputs, prompt)
    notes += _unsaid(request, spoken, pictures) if "prompt" in card.accepts else ()
    chunks = _chunks(request, card, inputs)
    planned = []
    for number, count in enumerate(chunks):
        first = request.first_idx + sum(chunks[:number])
        part = request.model_copy(update={"first_idx": first, "num_images": count})
        if part.fixed_name and count == 1 < len(chunks):
            part = part.model_copy(update={"fixed_name": f"{part.fixed_name}_{first}"})
        if part.seed is not None:
            part = part.model_copy(update={"seed": (part.seed + number) % SEEDS})
        planned.append(_planned(part, card, inputs, site, prompt, notes))
    return tuple(planned)


def _planned(
    request: Request, card: Card, inputs: tuple[Input, ...], site: Site, prompt: str, notes: tuple[str, ...]
) -> Planned:
    parameters = _parameters(request, card, prompt)
    shas = [_mark(item, request) for item in inputs]
    seed = _derived_seed(request, card, parameters, shas) if request.seed is None else request.seed
    is_sent = "seed" in card.accepts
    cut = [target] if (target := request.prefers.get("target_size")) and "target_size" not in parameters else []
    fingerprint = _digest([site.realm, card.provider, card.id, request.operation, parameters, seed, shas, *cut])
    return Planned(
        **_of_card(card, request),
        request=request,
        job_id=site.job_id,
        parameters={**parameters, "seed": seed} if is_sent else parameters,
        seed=seed,
        seed_is_sent=is_sent,
        inputs=inputs,
        fingerprint=fingerprint,
        output_dir=f"{TAKES}/{site.output_dir}" if request.fixed_name else site.output_dir,
        fixed_name=f"{site.output_dir}/{request.fixed_name}" if request.fixed_name else "",
        records_path=site.records_path,
        realm=site.realm,
        log_path=site.log_path,
        semantics_path=site.semantics_path,
        stems=tuple(_stem(request, fingerprint, request.first_idx + k) for k in range(request.num_images)),
        price=price_of(card, parameters, inputs, request.num_images),
        prompt=prompt,
        warnings=notes + _lost(request, card),
    )


def _of_card(card: Card, request: Request) -> dict[str, Any]:
    """Who makes it, what, and how patiently."""
    return {
        "provider": card.provider,
        "model": card.id,
        "operation": request.operation,
        "media": card.media,
        "expected_s": card.typical_s,
        "poll_s": card.poll_s,
        "cap_s": CAPS_S[card.media] if card.cap_s is None else card.cap_s,
        "refusals": REFUSALS.get(request.operation, 3),
        "slots": request.num_images if card.slots == "images" else 1,
        "lane": card.lane or card.provider,
    }


def _mark(item: Input, request: Request) -> str:
    """An input within a fingerprint: its bytes, and what is done with them."""
    if item.role == "reference" and not item.promise:
        return item.sha256
    index = request.options.get("face_index") if item.role == "face" else None
    return f"{item.role}:{item.promise or item.sha256}" + (f"#{index}" if index else "")


def models_of(request: Request, cards: Catalogue) -> tuple[str, ...]:
    """Models to try in their order: the one that is asked for, else the provider's for this operation.

    Of the latter only those that take what has a role (a mask, a frame), if there are any: why the others cannot would
    not help anybody.

    Raises:
        NotSupported: the provider has none.
    """
    if request.model:
        return (request.model,)
    found = cards.defaults.get(request.operation, ())
    if not found:
        does = ", ".join(cards.defaults)
        raise NotSupported("operation_not_offered", provider=cards.provider, operation=request.operation, does=does)
    roles = {given.role for given in request.inputs} - PICTURES
    return tuple(model for model in found if roles <= {*cards.card(model).accepts}) or found


def _card(request: Request, cards: Catalogue) -> tuple[Card, tuple[str, ...]]:
    """The card to use, and what the user should know about that choice."""
    model = models_of(request, cards)[0]
    card = cards.card(model, request.operation)
    corrected = (say("note.model_corrected", asked=model, model=card.id),) if model in card.corrects else ()
    if card.retired is not None:
        raise NotSupported("model_retired", model=card.id, since=card.retired, successor=card.successor or "-")
    if request.references and card.references == 0:
        if card.edit is None:
            raise NotSupported("references_not_supported", model=card.id, where=request.origin)
        card, asked = cards.card(card.edit), card
        return _fits(request, card), (say("note.edit_model", asked=asked.id, model=card.id),)
    return _fits(request, card), corrected


def _fits(request: Request, card: Card) -> Card:
    if request.operation not in card.operations:
        raise NotSupported("operation_not_supported", model=card.id, does=", ".join(card.operations))
    return card


def _unsaid(request: Request, prompt: str, pictures: int) -> tuple[str, ...]:
    """Pictures that the prompt of an edit never names."""
    missed = unnamed(prompt, pictures) if request.operation == "edit_image" else []
    return tuple(say("note.picture_not_named", number=number) for number in missed)


def _preferred(request: Request, card: Card) -> Request:
    """The request with what it would rather have, where this model takes that."""
    updates: dict[str, Any] = {}
    words, target = request.prefers.get("negative_prompt"), request.prefers.get("target_size")
    if words and request.negative_prompt is None and "negative_prompt" in card.accepts and not request.given:
        updates["negative_prompt"] = words
    if target and "target_size" in card.options:
        updates["options"] = {"target_size": target, **request.options}
    if request.aspect_ratio is None and (shape := request.prefers.get("aspect_ratio")) and not card.is_unseen:
        updates["aspect_ratio"] = fitting(shape, card)
    return request.model_copy(update=updates)


def _lost(request: Request, card: Card) -> tuple[str, ...]:
    """Given parameters that the model does not take and that do no harm."""
    notes = told_shape(request, card)
    if request.prefers.get("negative_prompt") and request.negative_prompt is None:
        notes.append(say("note.visual.negative_not_sent", model=card.id, words=request.prefers["negative_prompt"]))
    if request.seed is not None and "seed" not in card.accepts:
        notes.append(say("note.seed_not_sent", model=card.id))
    if request.aspect_ratio is not None and card.sizes.kind == "none":
        notes.append(say("note.shape_not_sent", model=card.id, ratio=request.aspect_ratio))
    if "lora_file" in request.look and "look" not in card.accepts:
        notes.append(say("note.style.lora_not_sent", model=card.id, style=request.style))
    return tuple(notes)


def _chunks(request: Request, card: Card, inputs: Sequence[Input]) -> list[int]:
    """Pictures per paid call: as many as the model makes at once, and as come back at once."""
    count, most = request.num_images, card.max_images if "num_images" in card.accepts else 1
    most = most if request.at_once is None else min(most, request.at_once)
    if card.max_pixels_together is not None:
        most = max(min(most, card.max_pixels_together // _pixels(request, card, inputs)), 1)
    return [min(most, count - start) for start in range(0, count, most)]


def _pixels(request: Request, card: Card, inputs: Sequence[Input]) -> int:
    """Of one picture: of its size, where one is asked for; else at most those of the picture that it starts from."""
    chosen = _parameters(request, card, "")
    across, _, down = str(chosen.get("size", "x")).partition("x")
    width, height = int(chosen.get("width", across or 0)), int(chosen.get("height", down or 0))
    if width and height:
        return width * height
    starts = [item.width * item.height or card.sizes.max_pixels for item in inputs if item.role == "reference"]
    return max([card.sizes.pixels, *starts])


def _parameters(request: Request, card: Card, prompt: str) -> dict[str, Any]:
    """What is sent, in our words; the seed comes later, because it depends on the rest."""
    given: dict[str, Any] = {
        "prompt": prompt if prompt.strip() or request.operation == "generate_image" else None,
        "num_images": request.num_images,
        "negative_prompt": request.negative_prompt,
        "resolution": request.resolution,
        "output_format": request.output_format or ("png" if "png" in card.formats else None),
        "scene": request.scene.model_dump(mode="json", exclude_defaults=True),
        "loras": [lora.model_dump(exclude_defaults=True) for lora in request.loras] or None,
        "look": request.look or None,
    }
    kept = {name: value for name, value in given.items() if value is not None and name in card.accepts}
    chosen = options(request, card)
    target = chosen.get("target_size") or request.prefers.get("target_size")
    ratio = nearest(target, card) if request.aspect_ratio is None else request.aspect_ratio
    return kept | chosen | size(ratio, card)


def _derived_seed(request: Request, card: Card, parameters: dict[str, Any], shas: list[str]) -> int:
    """A seed that only this request, its scene and its place among the scene's pictures give."""
    place = [request.scene.id, request.first_idx]
    return int(_digest([card.provider, card.id, parameters, shas, place]), 16) % SEEDS


def settled(planned: Planned, said: Mapping[str, Any]) -> Planned:
    """The request with what only settings of this process and their files say of it: another purchase for each."""
    if not said:
        return planned
    request, fingerprint = planned.request, _digest([planned.fingerprint, said])
    stems = tuple(_stem(request, fingerprint, request.first_idx + k) for k in range(len(planned.stems)))
    parameters = {**planned.parameters, **said}
    return planned.model_copy(update={"parameters": parameters, "fingerprint": fingerprint, "stems": stems})


def reseeded(planned: Planned, attempt: int) -> Planned:
    """Bought again under a fixed name, for another picture: with another seed, unless the caller chose it."""
    if not planned.fixed_name or planned.request.seed is not None:
        return planned
    seed = int(_digest([planned.fingerprint, attempt]), 16) % SEEDS
    sent = {"seed": seed} if planned.seed_is_sent else {}
    others = tuple(reseeded(other, attempt) for other in planned.alternatives)
    changed = {"seed": seed, "parameters": {**planned.parameters, **sent}, "alternatives": others}
    return planned.model_copy(update=changed)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stem(request: Request, fingerprint: str, idx: int) -> str:
    """`<scene>_<idx>_<sha8>`: known before paying, equal for an equal request."""
    return f"{slug(request.fixed_name or request.scene.id) or 'img'}_{idx}_{_digest([fingerprint, idx])[:8]}"


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and `_`, at most 60: fit for a file name on every system."""
    plain = unicodedata.normalize("NFKD", text.replace("\u0111", "d").replace("\u0110", "D"))
    return re.sub(r"[^a-z0-9]+", "_", plain.encode("ascii", "ignore").decode().lower()).strip("_")[:60]
