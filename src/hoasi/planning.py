"""Workbench (floor 1), pure: request + card -> `Planned`: model, parameters, seed, names, price, fingerprint.

No money, no network, no files, no clock: the same request gives the same plan on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from hoasi.catalogue import Card, CardPrice, Catalogue, Sizes
from hoasi.errors import NotSupported, WrongInput
from hoasi.messages import money, say
from hoasi.records import Input, Planned, Price, Record, Request

SEEDS = 2**31 - 1
"""Seeds lie in 0..2^31-2: every model that takes a seed takes these."""

MAX_IMAGES_A_REQUEST = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Halves of characters: what a terminal could not read, or broken JSON; no file and no provider takes them."""


class Site(Record):
    """Where a plan's pictures go: the job ("" for none), its folder in the workspace, and who makes them.

    `realm` is "" for the real provider and "sandbox" for ours: their pictures are never taken for each other.
    """

    job_id: str
    output_dir: str
    log_path: str = ""
    semantics_path: str = ""
    realm: str = ""


def plan_request(
    request: Request, cards: Catalogue, inputs: Sequence[Input], site: Site, prompt: str
) -> tuple[Planned, ...]:
    """Plan one request; more pictures than the model makes at once become several paid calls.

    Args:
        request: what is wanted; `request.references` were read into `inputs`.
        cards: the catalogue of the chosen provider.
        inputs: the reference pictures, in the order of `request.references`.
        site: where the pictures go.
        prompt: the prompt to send (style already added).

    Raises:
        WrongInput: the request itself makes no sense.
        NotSupported: the model cannot do it, or would silently lose a parameter.
    """
    card, notes = _card(request, cards)
    _check(request, card, prompt)
    chunks = _chunks(request.num_images, card)
    planned = []
    for number, count in enumerate(chunks):
        part = request.model_copy(update={"first_idx": request.first_idx + sum(chunks[:number]), "num_images": count})
        if part.seed is not None:
            part = part.model_copy(update={"seed": (part.seed + number) % SEEDS})
        planned.append(_planned(part, card, tuple(inputs), site, prompt, notes))
    return tuple(planned)


def _planned(
    request: Request, card: Card, inputs: tuple[Input, ...], site: Site, prompt: str, notes: tuple[str, ...]
) -> Planned:
    parameters = _parameters(request, card, prompt)
    shas = [item.sha256 for item in inputs]
    seed = _derived_seed(request, card, parameters, shas) if request.seed is None else request.seed
    is_sent = "seed" in card.accepts
    fingerprint = _digest([site.realm, card.provider, card.id, request.operation, parameters, seed, shas])
    return Planned(
        request=request,
        job_id=site.job_id,
        provider=card.provider,
        model=card.id,
        operation=request.operation,
        media=card.media,
        parameters={**parameters, "seed": seed} if is_sent else parameters,
        seed=seed,
        seed_is_sent=is_sent,
        inputs=inputs,
        fingerprint=fingerprint,
        output_dir=site.output_dir,
        realm=site.realm,
        log_path=site.log_path,
        semantics_path=site.semantics_path,
        stems=tuple(_stem(request, fingerprint, request.first_idx + k) for k in range(request.num_images)),
        price=_price(card, parameters, request.num_images),
        prompt=prompt,
        expected_s=card.typical_s,
        warnings=notes + _lost(request, card),
    )


def _card(request: Request, cards: Catalogue) -> tuple[Card, tuple[str, ...]]:
    """The card to use, and what the user should know about that choice."""
    card = cards.card(request.model or cards.defaults[request.operation])
    if card.retired is not None:
        raise NotSupported("model_retired", model=card.id, since=card.retired, successor=card.successor or "-")
    if request.references and card.references == 0:
        if card.edit is None:
            raise NotSupported("references_not_supported", model=card.id, where=request.origin)
        card, asked = cards.card(card.edit), card
        return _fits(request, card), (say("note.edit_model", asked=asked.id, model=card.id),)
    return _fits(request, card), ()


def _fits(request: Request, card: Card) -> Card:
    if request.operation not in card.operations:
        raise NotSupported("operation_not_supported", model=card.id, does=", ".join(card.operations))
    return card


def _check(request: Request, card: Card, prompt: str) -> None:
    """Refuse what cannot be done, naming the field and the fix, before money moves."""
    if not request.prompt.strip():
        raise WrongInput("prompt_empty", where=request.origin)
    if halves := _SURROGATE.findall(f"{prompt}{request.negative_prompt or ''}{request.scene.id}"):
        raise WrongInput("usage_not_text", word=ascii(halves[0]))
    if card.max_prompt is not None and len(prompt) > card.max_prompt:
        raise NotSupported("prompt_too_long", model=card.id, over=len(prompt) - card.max_prompt, limit=card.max_prompt)
    if not 1 <= request.num_images <= MAX_IMAGES_A_REQUEST:
        raise WrongInput("num_images_out_of_range", value=request.num_images, limit=MAX_IMAGES_A_REQUEST)
    if request.seed is not None and not 0 <= request.seed < SEEDS:
        raise WrongInput("seed_out_of_range", value=request.seed, limit=SEEDS - 1)
    if card.needs_references and not request.references:
        raise NotSupported("references_needed", model=card.id)
    if len(request.references) > card.references:
        raise NotSupported("too_many_references", model=card.id, count=len(request.references), limit=card.references)
    _one_of(card, "resolution", request.resolution, card.resolutions)
    _one_of(card, "output_format", request.output_format, card.formats)
    if request.negative_prompt and "negative_prompt" not in card.accepts:
        raise NotSupported("parameter_not_supported", model=card.id, parameter="negative_prompt")


def _one_of(card: Card, name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is None:
        return
    if name not in card.accepts:
        raise NotSupported("parameter_not_supported", model=card.id, parameter=name)
    if value not in allowed:
        raise NotSupported(
            "value_not_supported", model=card.id, parameter=name, value=value, allowed=", ".join(allowed)
        )


def _lost(request: Request, card: Card) -> tuple[str, ...]:
    """Given parameters that the model does not take and that do no harm."""
    notes = []
    if request.seed is not None and "seed" not in card.accepts:
        notes.append(say("note.seed_not_sent", model=card.id))
    if request.aspect_ratio is not None and card.sizes.kind == "none":
        notes.append(say("note.shape_not_sent", model=card.id, ratio=request.aspect_ratio))
    return tuple(notes)


def _chunks(count: int, card: Card) -> list[int]:
    """Pictures per paid call: as many as the model makes at once."""
    most = card.max_images if "num_images" in card.accepts else 1
    return [min(most, count - start) for start in range(0, count, most)]


def _parameters(request: Request, card: Card, prompt: str) -> dict[str, Any]:
    """What is sent, in our words; the seed comes later, because it depends on the rest."""
    given: dict[str, Any] = {
        "prompt": prompt,
        "num_images": request.num_images,
        "negative_prompt": request.negative_prompt,
        "resolution": request.resolution,
        "output_format": request.output_format or ("png" if "png" in card.formats else None),
        "scene": request.scene.model_dump(mode="json", exclude_defaults=True),
    }
    kept = {name: value for name, value in given.items() if value is not None and name in card.accepts}
    return kept | size(request.aspect_ratio, card)


def size(ratio: str | None, card: Card) -> dict[str, Any]:
    """The parameter that tells the model the picture's shape; empty when none is asked for, or none can be told.

    Raises:
        NotSupported: the model has no such shape.
    """
    if ratio is None or card.sizes.kind == "none":
        return {}
    if ratio in card.sizes.ratios:
        return {"aspect_ratio": ratio}
    across, down = _sides(ratio, card)
    if card.sizes.kind == "image_size":
        return {"size": card.sizes.names.get(f"{across}:{down}") or _pixels(across, down, card)}
    if f"{across}:{down}" in card.sizes.ratios:
        return {"aspect_ratio": f"{across}:{down}"}
    near = min(card.sizes.ratios, key=lambda r: abs(math.log(_quotient(r) * down / across)), default="-")
    raise NotSupported(
        "ratio_not_supported", model=card.id, ratio=ratio, near=near, allowed=", ".join(card.sizes.ratios)
    )


def _quotient(ratio: str) -> float:
    """Width by height; shapes without numbers (`auto`) are infinitely far from any."""
    across, _, down = ratio.partition(":")
    return int(across) / int(down) if across.isdigit() and down.isdigit() else 1e9


def _sides(ratio: str, card: Card) -> tuple[int, int]:
    """A ratio in lowest terms, but named as the world names it (21:9)."""
    match = re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", ratio.strip())
    if match is None or not 1 / 8 <= int(match[1]) / int(match[2]) <= 8:
        raise WrongInput("ratio_bad", ratio=ratio)
    across, down = int(match[1]), int(match[2])
    for known in (*card.sizes.ratios, *card.sizes.names):
        left, _, right = known.partition(":")
        if left.isdigit() and right.isdigit() and int(left) * down == int(right) * across:
            return int(left), int(right)
    shared = math.gcd(across, down)
    return across // shared, down // shared


def _pixels(across: int, down: int, card: Card) -> str:
    """`WxH` of exactly this ratio near the model's preferred area; rounded sides where no exact ones fit."""
    sizes = card.sizes
    step_across = across * sizes.step // math.gcd(across, sizes.step)
    step_down = down * sizes.step // math.gcd(down, sizes.step)
    unit = math.lcm(step_across // across, step_down // down)
    times = round(math.sqrt(sizes.pixels / (across * down * unit * unit)))
    width, height = across * unit * times, down * unit * times
    if not sizes.min_pixels <= width * height <= sizes.max_pixels:
        width, height = _rounded(across / down, sizes)
    return f"{width}x{height}"


def _rounded(quotient: float, sizes: Sizes) -> tuple[int, int]:
    width = math.sqrt(sizes.pixels * quotient)
    return round(width / sizes.step) * sizes.step, round(width / quotient / sizes.step) * sizes.step


def _derived_seed(request: Request, card: Card, parameters: dict[str, Any], shas: list[str]) -> int:
    """A seed that only this request, its scene and its place among the scene's pictures give."""
    place = [request.scene.id, request.first_idx]
    return int(_digest([card.provider, card.id, parameters, shas, place]), 16) % SEEDS


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stem(request: Request, fingerprint: str, idx: int) -> str:
    """`<scene>_<idx>_<sha8>`: known before paying, equal for an equal request."""
    return f"{slug(request.scene.id) or 'img'}_{idx}_{_digest([fingerprint, idx])[:8]}"


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and `_`, at most 60: fit for a file name on every system."""
    plain = unicodedata.normalize("NFKD", text.replace("\u0111", "d").replace("\u0110", "D"))
    return re.sub(r"[^a-z0-9]+", "_", plain.encode("ascii", "ignore").decode().lower()).strip("_")[:60]


def _price(card: Card, parameters: dict[str, Any], count: int) -> Price:
    """An estimate from the card; it names its source and date."""
    price = card.price
    if price is None:
        return Price(usd=None, basis=say("price.unknown", model=card.id))
    one = _price_of_one(price, card, parameters)
    basis = say("price.basis", count=count, each=money(one), source=price.source, read=price.read)
    return Price(usd=round(one * count, 6), basis=basis)


def _price_of_one(price: CardPrice, card: Card, parameters: dict[str, Any]) -> float:
    each = price.by.get(str(parameters.get(price.by_parameter or "")), price.usd)
    if price.unit != "megapixel":
        return each
    megapixels = math.ceil(_area(card, parameters) / 1_000_000)
    first = each if price.first_unit_usd is None else price.first_unit_usd
    return first + each * (megapixels - 1)


def _area(card: Card, parameters: dict[str, Any]) -> int:
    """Pixels of one picture; a named size counts as the model's preferred area."""
    width, _, height = str(parameters.get("size", "")).partition("x")
    return int(width) * int(height) if width.isdigit() and height.isdigit() else card.sizes.pixels
