"""Landing (floor 4): what must be true before anything is sent or paid: keys, consent, budget, folders."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from hoasi import consent, paths
from hoasi.ask import Ask
from hoasi.errors import BudgetExceeded, KeyMissing, WrongInput
from hoasi.messages import money
from hoasi.providers import provider
from hoasi.providers._provider import Uploads
from hoasi.records import Input, Plan, Planned, iso
from hoasi.settings import Settings


def keys(plan: Plan, settings: Settings) -> None:
    """Every provider of the plan has its key.

    Raises:
        KeyMissing: names the variables, the page to get one, and the provider that needs none.
    """
    for name in {item.provider for item in plan.items}:
        maker = provider(name)
        if maker.secrets and settings.secret(maker.secrets) is None:
            raise KeyMissing("key_missing", provider=name, names=maker.secrets[0], page=maker.key_page)


def folders(plan: Plan, settings: Settings) -> None:
    """Pictures and logs can be written where the plan wants them.

    Raises:
        PathRefused: read-only, or a file in the way.
    """
    files = {path for item in plan.items for path in (item.log_path, item.semantics_path) if path}
    for folder in {plan.output_dir, *(path.rpartition("/")[0] for path in files)}:
        paths.writable(settings.workspace / folder)


# ---------------------------------------------------------------------- consent


def unconsented(plan: Plan, settings: Settings) -> list[tuple[Input, str]]:
    """Reference pictures that would leave this machine without a standing permission, and why."""
    return [*consent.lacking(_leaving(plan), plan.job_id, settings)]


def permitted(plan: Plan, settings: Settings) -> None:
    """Every reference picture that would leave has a standing permission.

    Raises:
        ConsentMissing: names the picture, and the exact command that records one.
    """
    consent.must_stand(_leaving(plan), plan.job_id, settings)


def _leaving(plan: Plan) -> list[Input]:
    """Each picture that a provider would be given, once."""
    return [*{i.sha256: i for p in plan.items if isinstance(provider(p.provider), Uploads) for i in p.inputs}.values()]


def record(inputs: Sequence[Input], plan: Plan, settings: Settings, ask: Ask, owner: str) -> None:
    """Write down what the caller said about these pictures: words of consent, or the claim that no face is shown."""
    path = consent.file_of(settings, plan.job_id)
    for item in inputs:
        said = consent.Consent(
            sha256=item.sha256,
            scope="reference",
            words="" if ask.no_faces else (ask.consent or ""),
            no_faces=ask.no_faces,
            by=ask.by,
            client=ask.client,
            recorded_at=iso(time.time()),
            picture=item.written,
        )
        consent.add(
            path, said, lock_path=settings.home / "locks" / "consent.lock", temp_name=f".hoasi-{owner}-consent.tmp"
        )


# ---------------------------------------------------------------------- budget


@dataclass(frozen=True)
class Budget:
    """Limits of one call and of its job; None where there is none."""

    call_usd: float | None
    call_images: float | None
    job_usd: float | None
    job_images: float | None

    def check(self, bought: Sequence[Planned], spent_usd: float, spent_images: int) -> None:
        """Refuse before paying; only what would really be bought counts.

        Raises:
            BudgetExceeded: which limit, what it would come to. A price nobody knows does not fit any limit.
        """
        images = sum(len(item.stems) for item in bought)
        prices = [item.price.usd for item in bought]
        if None in prices and (self.call_usd, self.job_usd) != (None, None):
            raise BudgetExceeded("budget_price_unknown", model=bought[prices.index(None)].model)
        usd = sum(price for price in prices if price is not None)
        _within("budget_call_usd", usd, self.call_usd, is_money=True)
        _within("budget_call_images", images, self.call_images, is_money=False)
        if bought:
            _within("budget_job_usd", spent_usd + usd, self.job_usd, is_money=True)
            _within("budget_job_images", spent_images + images, self.job_images, is_money=False)


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
    )
