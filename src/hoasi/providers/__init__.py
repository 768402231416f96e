"""Translators (floor 2): the registry. Adding a provider is its file, its card, one line here, and a contract test."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from hoasi.errors import NotFound
from hoasi.providers._provider import Provider

REGISTRY = {
    "ark": "hoasi.providers.ark:Ark",
    "comfyui": "hoasi.providers.comfyui:Comfyui",
    "fal": "hoasi.providers.fal:Fal",
    "kling": "hoasi.providers.kling:Kling",
    "local": "hoasi.providers.local:Local",
    "openai": "hoasi.providers.openai:OpenAI",
    "replicate": "hoasi.providers.replicate:Replicate",
    "runpod": "hoasi.providers.runpod:Runpod",
    "stability": "hoasi.providers.stability:Stability",
}


@cache
def provider(name: str) -> Provider:
    """The translator of that name, imported when first asked for.

    Raises:
        NotFound: no provider of that name.
    """
    if name not in REGISTRY:
        raise NotFound("provider_unknown", provider=name, near=", ".join(REGISTRY))
    module, _, leaf = REGISTRY[name].partition(":")
    made: Provider = getattr(import_module(module), leaf)()
    return made
