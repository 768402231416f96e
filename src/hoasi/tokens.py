"""Workbench (floor 1): who may call over HTTP. An administrator's file names tokens, their workspaces and budgets.

    [mai]                              # the name stands in warnings, never the token
    sha256 = "9f86d081884c7d65..."     # of the token; the token itself is shown once and written nowhere
    workspace = "/srv/hoasi/mai"       # all that it sees and writes
    month_usd = 20.0                   # estimated dollars of a calendar month (UTC); left out: no limit of its own

The file is read anew when it changes: whoever is taken out of it is refused from the next request on.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import tomllib
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from hoasi.errors import FileBroken, NotFound, WrongInput
from hoasi.files import held, replace_file
from hoasi.record import Record

if TYPE_CHECKING:
    import tomlkit

PREFIX = "hoasi_"
"""Secret scanners and people recognise a token by it."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
_PRIVATE = 0o600


class Tenant(Record):
    """Whom a token stands for. Tokens of one workspace share its budget, so they name the same."""

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    workspace: Path
    month_usd: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None


class Tokens:
    """The tokens of a file, as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._tenants: dict[str, Tenant] = {}

    def tenants(self) -> tuple[Tenant, ...]:
        """Everybody who may call.

        Raises:
            NotFound: `tokens_missing`. FileBroken: `tokens_broken`, with the name of the entry. WrongInput: two budgets
                for one workspace, or one workspace inside another: whoever has the outer one would see it all.
        """
        self._look()
        return tuple(self._tenants.values())

    def of(self, token: str) -> Tenant | None:
        """Whom a token stands for; None: nobody. Raises as `tenants`."""
        self._look()
        return self._tenants.get(_digest(token))

    def named(self, name: str) -> Tenant | None:
        """The entry of that name. Raises as `tenants`."""
        return next((tenant for tenant in self.tenants() if tenant.name == name), None)

    def _look(self) -> None:
        try:
            told = self._path.stat()
        except OSError as error:
            raise NotFound("tokens_missing", path=self._path) from error
        stamp = told.st_mtime_ns, told.st_ino
        if stamp != self._stamp:
            self._tenants = {tenant.sha256: tenant for tenant in _read(self._path)}
            self._stamp = stamp


def add(path: Path, name: str, workspace: Path, month_usd: float | None = None) -> str:
    """Make a token for somebody and write its digest down; gives the token, which cannot be had again.

    Raises:
        WrongInput: the name is taken or no name, or as `Tokens.tenants`.
        FileBroken: the file is not ours. DiskTrouble: it cannot be written.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    given = {"sha256": _digest(token), "workspace": str(workspace), "month_usd": month_usd}

    def added(rows: tomlkit.TOMLDocument) -> None:
        if not _NAME.fullmatch(name) or name in rows:
            raise WrongInput("token_name", name=name[:80])
        rows[name] = {key: value for key, value in given.items() if value is not None}

    _change(path, added)
    return token


def revoke(path: Path, name: str) -> None:
    """Take somebody out; refused from the next request on.

    Raises:
        NotFound: nobody of that name. FileBroken, DiskTrouble: as `add`.
    """

    def taken(rows: tomlkit.TOMLDocument) -> None:
        if name not in rows:
            raise NotFound("token_unknown", name=name[:80], known=", ".join(rows) or "-")
        del rows[name]

    _change(path, taken)


def _change(path: Path, change: Callable[[tomlkit.TOMLDocument], None]) -> None:
    """One program at a time, whole or not at all, comments kept; nobody else on this machine reads it."""
    import tomlkit

    with held(path.with_name(f".{path.name}.lock")):
        _read(path, is_new=True)
        rows = tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
        change(rows)
        text = tomlkit.dumps(rows)
        _tenants(path, tomllib.loads(text))
        if not path.is_file():
            path.touch(mode=_PRIVATE)
        replace_file(path, text.encode(), f".hoasi-{secrets.token_hex(6)}-tokens.tmp")


def _read(path: Path, *, is_new: bool = False) -> list[Tenant]:
    if is_new and not path.is_file():
        return []
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileBroken("tokens_broken", path=path, name="-", why=str(error)[:200]) from error
    return _tenants(path, told)


def _tenants(path: Path, told: dict[str, Any]) -> list[Tenant]:
    found = [_tenant(path, name, row) for name, row in told.items()]
    budgets: dict[Path, Tenant] = {}
    holders: dict[str, str] = {}
    for tenant in found:
        if (holder := holders.setdefault(tenant.sha256, tenant.name)) != tenant.name:
            raise FileBroken("tokens_broken", path=path, name=tenant.name, why=f"sha256: {holder}")
        first = budgets.setdefault(tenant.workspace, tenant)
        if first.month_usd != tenant.month_usd:
            raise WrongInput("token_budget_differs", name=first.name, other=tenant.name, workspace=tenant.workspace)
    for outer, inner in permutations(budgets, 2):
        if inner.is_relative_to(outer):
            raise WrongInput("token_workspace_inside", name=budgets[outer].name, other=budgets[inner].name, path=inner)
    return found


def _tenant(path: Path, name: str, row: Any) -> Tenant:
    try:
        tenant = Tenant.model_validate({**row, "name": name} if isinstance(row, dict) else row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise FileBroken("tokens_broken", path=path, name=name, why=why) from error
    return tenant.model_copy(update={"workspace": (path.parent / tenant.workspace.expanduser()).resolve()})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
