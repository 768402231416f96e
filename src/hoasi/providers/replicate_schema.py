"""Translator for Replicate: what a model takes, as its own input schema says (OpenAPI, part of the API's answers).

Read before a purchase, free, and kept for as long as the process lives. Source: api.replicate.com/openapi.json and
replicate.com's changelog of 2025-08-05 (one address for all models), read 2026-11-27.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hoasi.catalogue import load
from hoasi.errors import KeyRejected, NotFound, PaymentUnknown, ProviderUnreachable

if TYPE_CHECKING:
    from hoasi.street import Reply
    from hoasi.wire import Wire

_VERSION = re.compile(r"[0-9a-f]{64}")
MODEL = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([0-9a-f]{64}))?", re.ASCII)


class Schema(NamedTuple):
    """The inputs of a model by their names, those that it cannot do without, and how the model is called."""

    model: str
    version: str
    """As `POST /v1/predictions` wants it: owner/name of an official model, owner/name:version of another."""
    properties: dict[str, dict[str, Any]]
    required: frozenset[str]

    def allowed(self, name: str) -> list[Any]:
        """The only values of an input; empty where it is free."""
        values = self.properties[name].get("enum")
        return values if isinstance(values, list) else []


def named(model: str) -> tuple[str, str]:
    """Owner/name, and the version that is asked for or that the card knows; "" for none.

    Raises:
        NotFound: it is no such name.
    """
    match = MODEL.fullmatch(model)
    if match is None:
        near = ", ".join(card.id for card in load("replicate").cards if model and model in card.id)
        raise NotFound("model_unknown", model=model, provider="replicate", near=near or "owner/name")
    return match[1], match[2] or load("replicate").card(model).endpoint


async def describe(wire: Wire, model: str) -> Schema:
    """Ask what a model takes; free.

    Raises:
        NotFound: no such model or version. KeyRejected. ProviderUnreachable: no answer; nothing was sent.
    """
    name, version = named(model)
    path = f"v1/models/{name}" + (f"/versions/{version}" if version else "")
    reply = await wire.call("GET", wire.url("", path))
    if not reply.is_ok:
        raise _unanswered(reply, model)
    told = reply.fields
    latest = told if version else _object(told.get("latest_version"))
    schemas = _object(_object(_object(latest.get("openapi_schema")).get("components")).get("schemas"))
    inputs = _object(schemas.get("Input"))
    forms = {field: _object(form) for field, form in _object(inputs.get("properties")).items()}
    properties = {field: _whole(form, schemas) for field, form in forms.items()}
    if not properties:
        raise ProviderUnreachable("schema_missing", provider="replicate", model=model)
    listed = inputs.get("required")
    required = frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()
    return Schema(name, _called(name, version, told, latest), properties, required)


def _called(name: str, version: str, told: dict[str, Any], latest: dict[str, Any]) -> str:
    """An official model is called by its name, every other one by its version too."""
    number = version or str(latest.get("id") or "")
    is_official = not version and (told.get("is_official") is True or not _VERSION.fullmatch(number))
    known = [card for card in load("replicate").cards if card.id == name and not card.endpoint]
    return name if is_official or (known and not version) else f"{name}:{number}"


def _whole(form: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """An input's form with what it refers to (its list of values stands elsewhere in the schema)."""
    listed = form.get("allOf")
    parts = [part for part in (*(listed if isinstance(listed, list) else ()), form) if isinstance(part, dict)]
    named = [schemas.get(str(part.get("$ref", "")).rpartition("/")[2]) for part in parts]
    whole: dict[str, Any] = {}
    return whole | {key: value for part in (*map(_object, named), form) for key, value in part.items()}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unanswered(reply: Reply, model: str) -> Exception:
    if reply.status == 404:
        return NotFound("model_unknown", model=model, provider="replicate", near="https://replicate.com/explore")
    if reply.status in {401, 403}:
        return KeyRejected("key_rejected", provider="replicate", status=reply.status)
    if 300 <= reply.status < 400:
        return PaymentUnknown("reply_unclear", provider="replicate", status=reply.status, paid="no")
    return ProviderUnreachable("unreachable", provider="replicate", retry_after_s=reply.retry_after_s)
