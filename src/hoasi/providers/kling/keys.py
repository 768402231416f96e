"""Translator for Kling: both kinds of keys (authentication page, read 2026-11-21).

An API key is sent as it is, and every endpoint takes it. A pair of access key and secret key signs a token that lives
half an hour; only the old standard takes tokens, so the cards of the new one ask for an API key (`Card.secrets`).
"""

from __future__ import annotations

from datetime import UTC, datetime

API_KEYS = ("KLING_API_KEY", "KLINGAI_API_KEY")
PAIRS = ("KLING_ACCESS_KEY+KLING_SECRET_KEY", "KLINGAI_ACCESS_KEY+KLINGAI_SECRET_KEY")
"""Kling names no variables; these are seen in clients of others."""
LIFE_S = 1800
EARLIER_S = 5
"""A token holds from so long ago, should our clock be ahead."""


def bearer(key: str) -> str:
    """The key as it stands in the header: an API key itself, or the token that a pair signs now."""
    access, _, secret = key.partition("\n")
    return f"Bearer {_token(access, secret) if secret else key}"


def _token(access: str, secret: str) -> str:
    import jwt

    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": access, "exp": now + LIFE_S, "nbf": now - EARLIER_S}
    return jwt.encode(claims, secret, algorithm="HS256", headers={"alg": "HS256", "typ": "JWT"})
