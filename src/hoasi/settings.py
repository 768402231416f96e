"""Ground floor: where the workspace is and what the environment says. The only reader of `os.environ`.

Keys: process environment first, then the workspace's `.env` (or the file named with `--env-file`).
Addresses (`HOASI_*_URL`), the sandbox switch and the consent mode come from the process environment only: a file in a
workspace that somebody else wrote must not be able to redirect keys or loosen a gate.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values

from hoasi.errors import FileBroken, NotSupported, PathRefused, WrongInput

SANDBOX_PORT = 8787
MONTH_LIMIT = "HOASI_MONTH_MAX_COST_USD"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_HOST = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")
_SECRET_WORDS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "HEADERS")


@dataclass(frozen=True)
class Settings:
    """What one process was told. Build it with `read`."""

    workspace: Path
    environ: Mapping[str, str] = field(repr=False)
    dotenv: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, name: str, default: str = "") -> str:
        """A value from the process environment, else from the `.env` file; empty counts as not given."""
        return self.environ.get(name, "").strip() or self.dotenv.get(name, "").strip() or default

    def secret(self, names: tuple[str, ...]) -> str | None:
        """The first key that is set among `names`; in the sandbox a dummy, so that no real key ever reaches it.

        A name `A+B` is a pair that counts when both are set; its values come joined by a newline.
        """
        if self.sandbox_url is not None:
            return "sandbox:sandbox"
        pairs = ([self.get(part) for part in name.split("+")] for name in names)
        return next(("\n".join(values) for values in pairs if all(values)), None)

    def secrets(self) -> tuple[str, ...]:
        """Every secret value known to this process, longest first; used to keep them out of texts."""
        rows = {**self.dotenv, **self.environ}
        named = {part.strip() for name, value in rows.items() if _is_secret(name) for part in _parts(name, value)}
        return tuple(sorted((value for value in named if len(value) >= 6), key=len, reverse=True))

    def told(self, names: Collection[str]) -> dict[str, str]:
        """Values of these names, where they are set; the sandbox is told nothing that may be secret.

        What is sent to a host as it stands (`..._HEADERS`) comes from the process environment only, as addresses do.
        """
        own = {name: self.environ.get(name, "").strip() for name in names if name.endswith("_HEADERS")}
        found = {name: self.get(name) for name in names} | own
        is_real = self.sandbox_url is None
        return {name: value for name, value in found.items() if value and (is_real or not _is_secret(name))}

    @property
    def sandbox_url(self) -> str | None:
        """Base address of the sandbox when `HOASI_SANDBOX` is set (`1`: the default port, or a whole http address)."""
        value = self.environ.get("HOASI_SANDBOX", "").strip()
        if value in {"", "0"}:
            return None
        return f"http://127.0.0.1:{SANDBOX_PORT}" if value == "1" else _checked("HOASI_SANDBOX", value)

    @property
    def realm(self) -> str:
        """Who makes pictures for this process: "" for the real providers, "sandbox" for ours."""
        return "sandbox" if self.sandbox_url else ""

    def origin(self, provider: str, role: str, default: str, *, is_keyless: bool = False) -> str:
        """Address of one of a provider's hosts: `HOASI_<PROVIDER>[_<ROLE>]_URL`, else the sandbox, else the default.

        Raises:
            NotSupported: the override is neither https nor http on loopback.
        """
        name = f"HOASI_{provider.upper()}_{role.upper()}_URL" if role else f"HOASI_{provider.upper()}_URL"
        given = self.environ.get(name, "").strip()
        if given:
            return _checked(name, given, is_keyless=is_keyless)
        return self.sandbox_url or default

    @property
    def result_hosts(self) -> tuple[str, ...]:
        """Hosts of one's own that results may be fetched from although they are not public https: `HOASI_RESULT_HOSTS`,
        addresses between commas. No key goes there.

        Raises:
            WrongInput: one is no address of a host.
        """
        name = "HOASI_RESULT_HOSTS"
        found = [text.strip().rstrip("/") for text in self.environ.get(name, "").split(",") if text.strip()]
        if not all(map(_is_host, found)):
            raise WrongInput("setting_bad", name=name, example="http://192.168.1.20:9000, https://minio.lan")
        return tuple(found)

    def region(self, provider: str, known: Collection[str]) -> str:
        """Which of a provider's regions the key belongs to (`HOASI_<PROVIDER>_REGION`); "" for its usual one.

        Raises:
            NotSupported: it has no such region.
        """
        name = f"HOASI_{provider.upper()}_REGION"
        given = self.get(name).lower()
        if given and given not in known:
            raise NotSupported("region_unknown", name=name, value=given[:40], known=", ".join(known) or "-")
        return given

    def callback_url(self, provider: str) -> str:
        """Where a provider reports to (`CALLBACK_BASE_URL` is how the world reaches our HTTP server); "" for nowhere.

        Raises:
            NotSupported: it is neither https nor http on loopback.
        """
        base = self.environ.get("CALLBACK_BASE_URL", "").strip()
        return f"{_checked('CALLBACK_BASE_URL', base)}/callbacks/{provider}" if base else ""

    def number(self, name: str) -> float | None:
        """A number from the environment, or None when it is not given.

        Raises:
            WrongInput: the text is not a number, or is negative.
        """
        text = self.get(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise WrongInput("setting_not_number", name=name, value=text[:40])
        return value

    def concurrency(self, provider: str, default: int) -> int:
        """How many generations may be at a provider at once (`HOASI_<PROVIDER>_CONCURRENCY`, at least 1)."""
        value = self.number(f"HOASI_{provider.upper()}_CONCURRENCY")
        return default if value is None else max(1, int(value))

    @property
    def language(self) -> str:
        """Language of the sentences for people: `HOASI_LANG`, Vietnamese unless told otherwise."""
        return self.get("HOASI_LANG", "vi")

    @property
    def consent_is_strict(self) -> bool:
        """`HOASI_CONSENT=strict`: only records made by a person count."""
        return self.environ.get("HOASI_CONSENT", "").strip().lower() == "strict"

    @property
    def home(self) -> Path:
        """Our own hidden folder in the workspace: ledger, locks, cache."""
        return self.workspace / ".hoasi"


def _is_secret(name: str) -> bool:
    return any(word in name.upper() for word in _SECRET_WORDS)


def _parts(name: str, value: str) -> list[str]:
    """A secret, and each word of a list of headers: whoever echoes one of them echoes only that."""
    return [value, *re.split(r"[\s;,:\"{}]+", value)] if "HEADERS" in name.upper() else [value]


def _checked(name: str, value: str, *, is_keyless: bool = False) -> str:
    """An address without trailing slash: https anywhere, plain http to this machine only.

    Where no key travels, plain http may also go to a private address, such as a ComfyUI in the next room.
    """
    parts = _split(name, value)
    is_near = parts.hostname in LOOPBACK or (is_keyless and _is_private(parts.hostname or ""))
    is_fine = parts.scheme == "https" or (parts.scheme == "http" and is_near)
    if not is_fine or not parts.hostname or parts.username or parts.query:
        raise NotSupported("address_refused", name=name)
    _, colon, port = parts.netloc.rpartition("]")[2].partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise NotSupported("address_port", name=name)
    return value.rstrip("/")


def _split(name: str, value: str) -> SplitResult:
    try:
        return urlsplit(value)
    except ValueError as error:
        raise NotSupported("address_refused", name=name) from error


def _is_host(value: str) -> bool:
    """Scheme, host and perhaps port, nothing else."""
    match = _HOST.fullmatch(value)
    return match is not None and int(match[1] or 0) < 65536


def _is_private(host: str) -> bool:
    """A literal address of a private network, or a name of one."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host.endswith((".local", ".lan", ".internal"))


def find_workspace(start: Path) -> Path:
    """The nearest folder at or above `start` that holds `jobs/` or `.env`; else `start` itself."""
    for folder in (start, *start.parents):
        if (folder / "jobs").is_dir() or (folder / ".env").is_file():
            return folder
    return start


def read(
    workspace: Path | None = None, env_file: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings of this process.

    Raises:
        PathRefused: the workspace or the named env file does not exist.
        FileBroken: the env file is no UTF-8 text.
    """
    root = (workspace or find_workspace(_here())).expanduser().resolve()
    if not root.is_dir():
        raise PathRefused("workspace_missing", path=root)
    if env_file is not None and not env_file.expanduser().is_file():
        raise PathRefused("env_file_missing", path=env_file)
    source = env_file.expanduser() if env_file else root / ".env"
    values = _dotenv(source) if source.is_file() else {}
    return Settings(
        workspace=root,
        environ=dict(os.environ if environ is None else environ),
        dotenv=values,
    )


def is_colourless() -> bool:
    """Does the user want no colours on the terminal (https://no-color.org)? Help asks before there is a workspace."""
    return bool(os.environ.get("NO_COLOR"))


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise PathRefused("workspace_missing", path=".") from error


def _dotenv(path: Path) -> dict[str, str]:
    """The values of an env file; the error never shows a line of it."""
    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileBroken("env_file_broken", path=path) from error
    return {name: value for name, value in values.items() if value is not None}
