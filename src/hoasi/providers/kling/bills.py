"""Translator for Kling: what a task cost, as Kling itself tells it (wire and prices read 2026-11-21).

v1 tells units in `final_unit_deduction` and money in `final_balance_deduction.quota`, whose currency it does not say;
the new standard lists `billing`. Uncertain: in which unit a try-on is deducted; then its price is the card's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hoasi.record import Paid

UNIT_USD = {"video": 0.14, "image": 0.0035}
"""US dollars of a unit, list prices of August and September 2026 (kling.ai/document-api/pricing)."""
_IDENTIFY_UNITS = 0.05
"""Finding the faces of a clip, unless Kling tells something else."""
_TRY_ON = "kolors"


@dataclass(frozen=True)
class Bill:
    """What was deducted: dollars where they are known, the units as they were told, and whether anything was."""

    paid: Paid
    usd: float | None = None
    units: str = ""

    def facts(self) -> dict[str, Any]:
        """What is worth keeping of it."""
        cost = {} if self.usd is None else {"cost_usd": self.usd}
        return {**cost, **({"units": self.units} if self.units else {})}


def old(task: dict[str, Any], path: str, before_usd: float) -> Bill:
    """The bill of a v1 task; `before_usd` is what its first step cost."""
    told = task.get("final_balance_deduction")
    units = _number(task.get("final_unit_deduction"))
    money = _number(told.get("quota")) if isinstance(told, dict) else None
    shown = str(task.get("final_unit_deduction") or "")
    if not units and not money:
        return _nothing(before_usd, is_told=(units, money) != (None, None), units=shown)
    each = None if _TRY_ON in path else UNIT_USD.get(path.split("/")[1].rstrip("s"))
    return Bill("yes", round(before_usd + each * units, 6) if each and units else None, shown)


def identified_usd(told: dict[str, Any]) -> float:
    """What finding the faces of a clip cost."""
    units = _number(told.get("final_unit_deduction"))
    return round(UNIT_USD["video"] * (_IDENTIFY_UNITS if units is None else units), 6)


def _nothing(before_usd: float, *, is_told: bool, units: str) -> Bill:
    if before_usd:
        return Bill("yes", before_usd if is_told else None, units)
    return Bill("no", 0.0, units) if is_told else Bill("unknown")


def new(task: dict[str, Any]) -> Bill:
    """The bill of a task of the new standard: the sum of its rows, where all are in units or dollars we know."""
    rows = task.get("billing")
    if not isinstance(rows, list):
        return Bill("unknown")
    listed = [row for row in rows if isinstance(row, dict) and _number(row.get("amount"))]
    if not listed:
        return Bill("no", 0.0)
    dollars = [_dollars(row) for row in listed]
    usd = None if None in dollars else round(sum(amount for amount in dollars if amount is not None), 6)
    return Bill("yes", usd, _units(listed))


def _units(rows: Iterable[dict[str, Any]]) -> str:
    return next((str(row["amount"]) for row in rows if row.get("charge_type") == "unit"), "")


def _dollars(row: dict[str, Any]) -> float | None:
    amount = float(row["amount"])
    if row.get("charge_type") == "cash":
        return amount if row.get("currency") == "USD" else None
    each = UNIT_USD.get(str(row.get("package_type")))
    return None if each is None else each * amount


def _number(value: Any) -> float | None:
    """A number that is written as text; None for anything else."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return float(text) if text.replace(".", "", 1).isdigit() and text.isascii() else None
