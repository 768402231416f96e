"""Room: workbench. Is a webhook delivery genuine? Pure: no network, no file, no clock of its own (`now` is passed in).

Kling (read 2026-11-21) signs as Standard Webhooks says: HMAC-SHA256 over `id.timestamp.body`. That scheme's own package
reads the system clock, so it cannot be tested with Kling's official vector; twelve lines of the standard library do the
same. fal (read 2026-11-21) signs with ED25519, its public keys are a JWKS.

A genuine delivery may still be sent twice (by the provider, that retries, or by somebody who recorded it): ask `Seen`.
A body says which task moved; what it says beyond that is best asked of the provider again.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

WINDOW_S = 300  # a delivery may be this much older or newer than our clock
MOST_SEEN = 10_000
Reason = Literal["signature", "too_old", "too_new", "headers", "body", "jwks"]
_SECRET_PREFIX = "whsec_"  # noqa: S105 - 2026-11-21, the mark of a secret, not one
_ID = re.compile(r"[\x21-\x7e]{1,256}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_ED25519_HEX = re.compile(r"[0-9a-fA-F]{128}")
_ED25519_KEY_BYTES = 32


class Forged(Exception):
    """Raised for a delivery that must not be believed. `reason` is for logs and counts; the sender is told nothing."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def kling(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float) -> str:
    """Return the id of a genuine delivery of Kling. `now` in Unix seconds, `secrets` as the console shows them.

    Any of the secrets and any of the delivery's `v1` signatures will do: while a secret is rotated there are two of
    both. A secret that is empty or not base64 fits nothing. Raises Forged.
    """
    delivery, seconds, signatures = _named(headers, "webhook-id", "webhook-timestamp", "webhook-signature")
    _check_head(delivery, seconds, now)
    signed = f"{delivery}.{seconds}.".encode() + body
    expected = [_v1(key, signed) for secret in secrets if (key := _bytes(secret.strip().removeprefix(_SECRET_PREFIX)))]
    given = [word.encode() for word in signatures.split()]
    fits = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]  # all: no short cut to time
    if not any(fits):
        raise Forged("signature")
    _check_body(body)
    return delivery


def fal(headers: Mapping[str, str], body: bytes, *, keys: Sequence[bytes], now: float) -> str:
    """Return the request id of a genuine delivery of fal. `now` in Unix seconds, `keys` as `fal_keys` gives them.

    fal rotates its keys: fetch them anew at least once a day. Raises Forged.
    """
    names = ("request-id", "user-id", "timestamp", "signature")
    request, user, seconds, signature = _named(headers, *(f"x-fal-webhook-{name}" for name in names))
    _check_head(request, seconds, now)
    signed = "\n".join((request, user, seconds, hashlib.sha256(body).hexdigest())).encode()
    if not _ED25519_HEX.fullmatch(signature) or not _is_signed(signed, bytes.fromhex(signature), keys):
        raise Forged("signature")
    _check_body(body)
    return request


def fal_keys(jwks: bytes) -> tuple[bytes, ...]:
    """Return the ED25519 public keys (32 bytes each) of a JWKS. Other keys in it are passed over.

    Raises Forged if it is no JWKS, or if it has no such key.
    """
    listed = (_object(jwks) or {}).get("keys")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    found = tuple(_ed25519_keys(entries))
    if not found:
        raise Forged("jwks")
    return found


def task_of_kling(body: bytes) -> str | None:
    """Return the task that a body of Kling names, in either of its two forms (`task_id`, or `id` of the newer one)."""
    told = _object(body) or {}
    return _text(told.get("task_id")) or _text(told.get("id"))


def request_of_fal(body: bytes) -> str | None:
    """Return the request that a body of fal names."""
    return _text((_object(body) or {}).get("request_id"))


class Seen:
    """The deliveries of late. Holds at most `most` ids: beyond that it forgets the oldest first."""

    def __init__(self, most: int = MOST_SEEN) -> None:
        self._most = most
        self._seen_at: dict[str, float] = {}

    def first_time(self, delivery: str, now: float) -> bool:
        """Say whether this delivery (an id that `kling` or `fal` gave) is new, and remember it.

        It is remembered for two windows: one sent by a clock ahead of ours stays believable that long.
        """
        self._forget(now - 2 * WINDOW_S)
        if delivery in self._seen_at:
            return False
        if len(self._seen_at) >= self._most:
            del self._seen_at[next(iter(self._seen_at))]
        self._seen_at[delivery] = now
        return True

    def _forget(self, before: float) -> None:
        while self._seen_at and next(iter(self._seen_at.values())) < before:
            del self._seen_at[next(iter(self._seen_at))]


def _named(headers: Mapping[str, str], *names: str) -> list[str]:
    lower = {name.lower(): value for name, value in headers.items()}
    values = [lower.get(name, "").strip() for name in names]
    if not all(value.isascii() and value.isprintable() and value for value in values):
        raise Forged("headers")
    return values


def _check_head(delivery: str, seconds: str, now: float) -> None:
    if not _ID.fullmatch(delivery) or not _SECONDS.fullmatch(seconds):
        raise Forged("headers")
    if int(seconds) < now - WINDOW_S:
        raise Forged("too_old")
    if int(seconds) > now + WINDOW_S:
        raise Forged("too_new")


def _check_body(body: bytes) -> None:
    """Refuse what is no JSON object: between `id`, `timestamp` and body stand dots, which could be read elsewhere."""
    if _object(body) is None:
        raise Forged("body")


def _v1(key: bytes, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))


def _is_signed(signed: bytes, signature: bytes, keys: Sequence[bytes]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def _ed25519_keys(entries: list[dict[str, Any]]) -> Iterator[bytes]:
    for entry in entries:
        if (entry.get("kty"), entry.get("crv")) != ("OKP", "Ed25519"):
            continue
        key = _bytes(_text(entry.get("x")) or "", altchars=b"-_")
        if len(key) == _ED25519_KEY_BYTES:
            yield key


def _bytes(text: str, altchars: bytes = b"+/") -> bytes:
    """Return what a base64 text holds, its padding given or not; nothing if it is none."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
