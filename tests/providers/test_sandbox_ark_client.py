"""Ark's official client runs its whole round without knowing that it talks to a sandbox.

`volcengine-ark-runtime` (PyPI; about 70 MB) is not one of our dependencies: where it is not installed, the tests are
skipped. It repeats a call after a 429 or a 500 and gives a stream up at the first blocked picture: ours does neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest

from hoasi.sandbox import Fault, Sandbox, serving_in_thread

ark = pytest.importorskip("volcenginesdkarkruntime", reason="volcengine-ark-runtime is not installed")
MODEL = "doubao-seedream-4-0-250828"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0, pictures="tiny")


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Any]:
    with serving_in_thread(sandbox) as url:
        made = ark.Ark(base_url=f"{url}/api/v3", api_key="ark-key", max_retries=0)
        yield made
        made.close()


def group() -> Any:
    types = import_module("volcenginesdkarkruntime.types.images")
    return types.SequentialImageGenerationOptions(max_images=3)


def test_it_gets_a_picture(client: Any, sandbox: Sandbox) -> None:
    """One picture with a size, watermark off; the nulls it sends besides are no fields."""
    told = client.images.generate(model=MODEL, prompt="a kite", size="2K", response_format="url", watermark=False)
    assert (told.usage.generated_images, told.data[0].size) == (1, "2048x2048")
    assert httpx.get(told.data[0].url).headers["content-type"] == "image/jpeg"
    assert (sandbox.stats()["submissions"], sandbox.stats()["unknown_fields"]) == (1, {})


def test_it_streams_a_group(client: Any) -> None:
    """Every event is one that it knows, and the last carries the bill."""
    events = list(
        client.images.generate(
            model=MODEL,
            prompt="3 images of a kite",
            sequential_image_generation="auto",
            sequential_image_generation_options=group(),
            stream=True,
        )
    )
    kinds = [event.type.removeprefix("image_generation.") for event in events]
    assert kinds == ["partial_succeeded"] * 3 + ["completed"]
    assert events[-1].usage["generated_images"] == 3


def test_it_reads_a_partly_blocked_group(client: Any, sandbox: Sandbox) -> None:
    """A place with an error is none with an address."""
    sandbox.change(ark_blocked=(1,))
    told = client.images.generate(
        model=MODEL,
        prompt="3 images of a kite",
        sequential_image_generation="auto",
        sequential_image_generation_options=group(),
    )
    assert [place.url is None for place in told.data] == [False, True, False]
    assert told.data[1].error["code"] == "OutputImageSensitiveContentDetected"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AuthenticationError", "ArkAuthenticationError"),
        ("InvalidParameter", "ArkBadRequestError"),
        ("ModelNotOpen", "ArkNotFoundError"),
        ("ServerOverloaded", "ArkRateLimitError"),
        ("InternalServiceError", "ArkInternalServerError"),
    ],
)
def test_it_tells_errors_apart(code: str, error: str, client: Any, sandbox: Sandbox) -> None:
    """By status, with the code and the field of the body."""
    sandbox.faults.add(Fault(at="submit", kind="error_type", value=code))
    with pytest.raises(getattr(ark._exceptions, error)) as refused:
        client.images.generate(model=MODEL, prompt="a kite")
    assert refused.value.code == code
