"""Landing (floor 4): what must be true before anything is sent or paid: keys, consent, budget, folders."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from hoasi import catalogue, consent, paths
from hoasi.ask import Ask
from hoasi.consent import Standing
from hoasi.errors import BudgetExceeded, ConsentMissing, HoasiError, KeyMissing, WrongInput
from hoasi.given import Root
from hoasi.ledger import Ledger
from hoasi.ledger_rows import Spent
from hoasi.messages import money
from hoasi.opening import rehearse
from hoasi.providers import REGISTRY, provider
from hoasi.providers._settings import Needs
from hoasi.records import Plan, Planned, iso
from hoasi.settings import MONTH_LIMIT, Settings
from hoasi.shop import told_of


@dataclass(frozen=True)
class Unconsented:
    """A picture of a person without a permission. `faces`: how many were found; None: nobody could look."""

    root: Root
    faces: int | None
    why: Standing
    shows_face: bool
    """One was found in it, or in what was made from it."""


def keys(plan: Plan, settings: Settings) -> None:
    """Every provider of the plan has its key.

    Raises:
        KeyMissing: names the variables, the page to get one, and the provider that needs none.
    """
    for name, model in dict.fromkeys((item.provider, item.model) for item in plan.items):
        maker = provider(name)
        names = catalogue.load(name).card(model).secrets or maker.secrets
        if names and settings.secret(names) is None:
            raise KeyMissing("key_missing", provider=name, names=names[0], page=maker.key_page)
    for item in plan.items:
        maker = provider(item.provider)
        if isinstance(maker, Needs) and (lacking := maker.missing(item, told_of(maker, settings))):
            raise KeyMissing("setting_missing", provider=maker.name, names=" / ".join(lacking))


def folders(plan: Plan, settings: Settings) -> None:
    """Pictures and logs can be written where the plan wants them.

    Raises:
        PathRefused: read-only, or a file in the way.
    """
    files = {path for item in plan.items for path in (item.log_path, item.semantics_path) if path}
    needed = {plan.output_dir, *(item.output_dir for item in plan.items)}
    for folder in needed | {path.rpartition("/")[0] for path in files}:
        paths.writable(settings.workspace / folder)


def obstacle(plan: Plan, settings: Settings, ask: Ask, ledger: Ledger | None) -> HoasiError | None:
    """Why this call would be refused as things are, or None; `ledger` is None where nothing was ever asked for.

    What lies elsewhere was not fetched for a preview: nobody knows yet whether it shows a face.
    """
    is_seen = all(item.path or item.remote or item.promise for one in plan.items for item in one.inputs)
    try:
        limits = budget(ask, settings)
        keys(plan, settings)
        if is_seen and not ask.no_faces and not (ask.consent or "").strip():
            permitted(plan, settings)
        if ledger is None:
            limits.check(plan.items, Spent())
        else:
            again = {"overwrite": ask.overwrite, "resubmit": ask.resubmit}
            rehearse(ledger, plan.items, "0", admit=limits.check, **again)
    except HoasiError as error:
        return error
    return None


# ---------------------------------------------------------------------- consent


def unconsented(plan: Plan, settings: Settings) -> list[Unconsented]:
    """Pictures of people that would leave this machine without a standing permission, and why; each once."""
    missing: dict[Root, Unconsented] = {}
    faces = {one.sha256: one.faces for item in plan.items for one in item.inputs if one.faces is not None}
    for item in _leaving(plan):
        shown = consent.shown(item.inputs, item.scope)
        for root, why in consent.lacking(item.inputs, plan.job_id, item.scope, settings):
            count = faces.get(root.sha256)
            was_seen = root in missing and missing[root].shows_face
            missing[root] = Unconsented(root, count, why, shows_face=bool(count or shown.get(root) or was_seen))
    return [*missing.values()]


def permitted(plan: Plan, settings: Settings) -> None:
    """Every picture of a person that would leave has a standing permission.

    Raises:
        ConsentMissing: names the picture, how many faces were found, and the exact command that records one.
    """
    for item in _leaving(plan):
        consent.must_stand(item.inputs, plan.job_id, item.scope, settings)


def _leaving(plan: Plan) -> list[Planned]:
    """What is given to a provider elsewhere."""
    return [item for item in plan.items if not stays_here(item.provider)]


def stays_here(name: str | None) -> bool:
    """Whether what is given to the provider of this name never leaves this machine."""
    return name in REGISTRY and not provider(name).origins


def minors(plan: Plan, settings: Settings, ask: Ask, owner: str) -> None:
    """The caller says that a minor is shown: written down for good, of what is given and what it was made from.

    Raises:
        ConsentMissing: always, when the caller says so and anything but sound is given.
    """
    given = [(item, p.scope) for p in plan.items for item in p.inputs if item.medium != "audio"]
    if not ask.minor or not given:
        return
    shown = [root for item, scope in given for root in (consent.own(item, scope), *item.roots)]
    record(shown, plan, settings, ask, owner)
    raise ConsentMissing("consent_refused_minor", picture=shown[0].written)


def answered(plan: Plan, settings: Settings, ask: Ask, only: str | None = None) -> list[Root]:
    """The pictures of which the caller's word is written down (`only`: the one written so).

    That none shows a face is not taken from a program where a face was found. A minor is noted of what rests on it too.
    """
    is_claim = ask.no_faces and ask.by not in consent.PERSONS
    missing = [one for one in unconsented(plan, settings) if one.why != "refused_minor"]
    asked = [one.root for one in missing if only in {None, one.root.written} and not (is_claim and one.shows_face)]
    if not ask.minor:
        return asked
    given = [(item, p.scope) for p in plan.items for item in p.inputs]
    resting = [consent.own(item, scope) for item, scope in given if not {*asked}.isdisjoint(consent.roots(item, scope))]
    return [*asked, *resting]


def record(pictures: Sequence[Root], plan: Plan, settings: Settings, ask: Ask, owner: str) -> None:
    """Write down what the caller said about these pictures: words of consent, no face, or a minor."""
    files = consent.files_of(settings, plan.job_id, with_workspace=ask.minor)
    about = {root.sha256: root for root in pictures}.values() if ask.minor else dict.fromkeys(pictures)
    for root, path in product(about, files):
        said = consent.Consent(
            sha256=root.sha256,
            scope=root.scope,
            words="" if ask.no_faces else (ask.consent or ""),
            no_faces=ask.no_faces,
            minor=ask.minor,
            by=ask.by,
            client=ask.client,
            recorded_at=iso(time.time()),
            picture=root.written,
        )
        consent.add(
            path, said, lock_path=settings.home / "locks" / "consent.lock", temp_name=f".hoasi-{owner}-consent.tmp"
        )


# ---------------------------------------------------------------------- budget


@dataclass(frozen=True)
class Budget:
    """Limits of one call, of its job, and of the workspace's month; None where there is none."""

    call_usd: float | None
    call_images: float | None
    job_usd: float | None
    job_images: float | None
    month_usd: float | None

    def check(self, bought: Sequence[Planned], spent: Spent) -> None:
        """Refuse before paying; only what would really be bought counts.

        Raises:
            BudgetExceeded: which limit, what it would come to. A price nobody knows does not fit any limit.
        """
        images = sum(len(item.stems) for item in bought)
        prices = [item.price.usd for item in bought]
        if None in prices and (self.call_usd, self.job_usd, self.month_usd) != (None, None, None):
            raise BudgetExceeded("budget_price_unknown", model=bought[prices.index(None)].model)
        usd = sum(price for price in prices if price is not None)
        _within("budget_call_usd", usd, self.call_usd, is_money=True)
        _within("budget_call_images", images, self.call_images, is_money=False)
        if bought:
            _within("budget_job_usd", spent.job_usd + usd, self.job_usd, is_money=True)
            _within("budget_job_images", spent.job_images + images, self.job_images, is_money=False)
        if usd:
            _within("budget_month_usd", spent.month_usd + usd, self.month_usd, is_money=True)


def _within(key: str, value: float, limit: float | None, *, is_money: bool) -> None:
    if limit is not None and value > limit + 1e-9:
        shown = (money(value), money(limit)) if is_money else (f"{value:g}", f"{limit:g}")
        raise BudgetExceeded(key, value=shown[0], limit=shown[1])


def budget(ask: Ask, settings: Settings) -> Budget:
    """The limits that hold for a call: its own, else those of the settings.

    Raises:
        WrongInput: a limit is negative, or no number.
    """
    for name in ("max_cost_usd", "max_images"):
        if (value := getattr(ask, name)) is not None and not value >= 0:
            raise WrongInput("setting_not_number", name=name, value=value)
    return Budget(
        call_usd=settings.number("HOASI_MAX_COST_USD") if ask.max_cost_usd is None else ask.max_cost_usd,
        call_images=settings.number("HOASI_MAX_IMAGES") if ask.max_images is None else ask.max_images,
        job_usd=settings.number("HOASI_JOB_MAX_COST_USD"),
        job_images=settings.number("HOASI_JOB_MAX_IMAGES"),
        month_usd=settings.number(MONTH_LIMIT),
    )
