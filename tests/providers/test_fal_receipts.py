"""fal's receipts: under which address a request is asked for, who gets the key, what is billed, what is cancelled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from calls import fault
from contract import picture, planned
from hoasi.addresses import origin_of
from hoasi.catalogue import load
from hoasi.errors import KeyRejected, ResultExpired
from hoasi.providers import fal_replies
from hoasi.providers._outcomes import Handle, Order, Ready, TryAgain
from hoasi.providers.fal import Fal
from hoasi.sandbox import Sandbox, serving
from hoasi.street import Reply, Street
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
FAL = Fal()
PLAN = planned(load("fal").card("fal-ai/nano-banana"))


@pytest.fixture
async def street(fal: str, elsewhere: tuple[str, Sandbox]) -> AsyncIterator[Street]:
    """Connections to fal and to another trusted host."""
    opened = Street(frozenset({origin_of(fal), origin_of(elsewhere[0])}))
    yield opened
    await opened.close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[tuple[str, Sandbox]]:
    """A second server that speaks the same wire and is not fal."""
    other = Sandbox(latency_s=0, pictures="tiny")
    async with serving(other) as url:
        yield url, other


@pytest.fixture
def wire(street: Street, fal: str, sandbox: Sandbox) -> Wire:
    """The street as fal sees it."""
    sandbox.change(latency_s=0)
    return Wire(street, dict.fromkeys(Fal.origins, fal), FAL.auth("id:secret"))


def receipt_of(model: str, **more: str) -> dict[str, Any]:
    """A receipt as it is pasted by hand, with addresses as fal might give them."""
    return {**FAL.attach(PLAN.model_copy(update={"model": model}), "abc").receipt, **more}


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("model", "root"),
    [
        ("fal-ai/nano-banana", "/fal-ai/nano-banana"),
        ("fal-ai/nano-banana/edit", "/fal-ai/nano-banana"),
        ("fal-ai/bytedance/seedream/v4/text-to-image", "/fal-ai/bytedance"),
        ("workflows/me/my-graph", "/workflows/me/my-graph"),
        ("workflows/me/my-graph/v2", "/workflows/me/my-graph"),
        ("comfy/me/portrait", "/comfy/me/portrait"),
    ],
)
async def test_a_request_lives_below_owner_and_alias(model: str, root: str, wire: Wire, sandbox: Sandbox) -> None:
    """Without addresses in the receipt the path of the model is left out; graphs keep their namespace."""
    receipt = receipt_of(model)
    for ask in (FAL.poll(wire, receipt), FAL.collect(wire, receipt, Ready())):
        with pytest.raises(ResultExpired):
            await ask
    assert await FAL.cancel(wire, receipt) is False
    paths = [f"{root}/requests/abc{tail}" for tail in ("/status", "", "/cancel")]
    assert sandbox.stats()["requests"] == list(zip(("GET", "GET", "PUT"), paths, strict=True))


async def test_a_pasted_receipt_finds_a_graph(wire: Wire) -> None:
    """A user's own graph is submitted, and asked for again with nothing but its id."""
    plan = PLAN.model_copy(update={"model": "comfy/me/portrait"})
    handle = await FAL.submit(wire, Order(PLAN))
    assert isinstance(handle, Handle)
    again = FAL.attach(PLAN, handle.receipt["request_id"])
    assert len((await FAL.collect(wire, again.receipt, Ready())).outputs) == 1
    assert FAL.attach(plan, "x").receipt == {"model": "comfy/me/portrait", "request_id": "x"}


async def test_a_foreign_address_never_gets_the_key(
    wire: Wire, elsewhere: tuple[str, Sandbox], sandbox: Sandbox
) -> None:
    """Addresses at another host, even one that is trusted for something else, are not asked at all."""
    url, other = elsewhere
    foreign = {f"{what}_url": f"{url}/fal-ai/nano-banana/requests/abc" for what in ("status", "response", "cancel")}
    receipt = receipt_of("fal-ai/nano-banana", **foreign)
    with pytest.raises(ResultExpired):
        await FAL.poll(wire, receipt)
    with pytest.raises(ResultExpired):
        await FAL.collect(wire, receipt, Ready())
    await FAL.cancel(wire, receipt)
    assert [seen async for seen in FAL.watch(wire, receipt)] == []
    assert other.stats()["requests"] == []
    assert len(sandbox.stats()["requests"]) == 4


@pytest.mark.parametrize(
    "trick",
    [
        "http://{own}@evil.example/x",
        "http://{own}.evil.example/x",
        "https://{own}/x",
        "//evil.example/x",
        "http://[",
        "",
    ],
)
async def test_an_address_that_looks_like_ours_is_not(trick: str, wire: Wire, fal: str, sandbox: Sandbox) -> None:
    """Host, port and scheme all have to be ours; otherwise the rule of owner and alias is used."""
    receipt = receipt_of("fal-ai/nano-banana", status_url=trick.format(own=fal.removeprefix("http://")))
    with pytest.raises(ResultExpired):
        await FAL.poll(wire, receipt)
    assert sandbox.stats()["requests"] == [("GET", "/fal-ai/nano-banana/requests/abc/status")]


async def test_an_address_of_ours_is_followed(wire: Wire, fal: str, sandbox: Sandbox) -> None:
    """fal may say where its requests live."""
    with pytest.raises(ResultExpired):
        await FAL.poll(wire, receipt_of("fal-ai/nano-banana", status_url=f"{fal}/fal-ai/moved/requests/abc/status"))
    assert sandbox.stats()["requests"] == [("GET", "/fal-ai/moved/requests/abc/status")]


async def test_only_what_is_needed_is_kept_of_a_receipt(wire: Wire) -> None:
    """The receipt is JSON: the model, the id, and the addresses."""
    handle = await FAL.submit(wire, Order(PLAN))
    assert isinstance(handle, Handle)
    assert set(handle.receipt) == {"model", "request_id", "status_url", "response_url", "cancel_url"}
    assert json.loads(json.dumps(handle.receipt)) == handle.receipt


# ---------------------------------------------------------------- money


@pytest.mark.parametrize(
    ("status", "fields", "units", "paid"),
    [
        (422, {"detail": [{"type": "x"}]}, None, "unknown"),
        (422, {"detail": [{"type": "x"}]}, "0", "no"),
        (422, {"detail": [{"type": "x"}]}, "0.0", "no"),
        (422, {"detail": [{"type": "x"}]}, "0.5", "yes"),
        (422, {"detail": [{"type": "x"}]}, "1", "yes"),
        (422, {"detail": [{"type": "x"}]}, "10", "yes"),
        (400, {"detail": [{"type": "downstream_service_error"}]}, None, "unknown"),
        (500, {"detail": [{"type": "internal_server_error"}]}, None, "no"),
        (504, {"detail": [{"type": "generation_timeout"}]}, None, "no"),
        (500, {"detail": [{"type": "x"}]}, "1", "yes"),
        (499, {"detail": "Cancelled", "error_type": "client_cancelled"}, None, "no"),
        (503, {"detail": "Gone", "error_type": "runner_disconnected"}, None, "no"),
        (400, {"detail": "Bad", "error_type": "bad_request"}, None, "no"),
    ],
)
def test_what_a_failure_costs(status: int, fields: dict[str, Any], units: str | None, paid: str) -> None:
    """The header decides; else 500 and above and refusals of the infrastructure are free; a model's 4xx may cost."""
    headers = {} if units is None else {"x-fal-billable-units": units}
    assert fal_replies.billed(Reply(status, headers, json.dumps(fields).encode())) == paid


# ---------------------------------------------------------------- taking back, uploading


async def test_cancelling_says_whether_it_helped(wire: Wire, sandbox: Sandbox) -> None:
    """What waits is taken back; what has ended is not."""
    sandbox.change(latency_s=60, slots=1)
    handles = [await FAL.submit(wire, Order(PLAN)) for _ in range(2)]
    receipts = [handle.receipt for handle in handles if isinstance(handle, Handle)]
    assert [await FAL.cancel(wire, receipts[1]) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("kind", ["5xx", "429", "garbage"])
async def test_a_cancel_without_an_answer_is_tried_again(kind: str, wire: Wire, sandbox: Sandbox) -> None:
    """A gateway's error is no answer; but any 2xx is."""
    sandbox.change(latency_s=60)
    handle = await FAL.submit(wire, Order(PLAN))
    assert isinstance(handle, Handle)
    sandbox.faults.add(fault("cancel", kind))
    if kind == "garbage":
        assert await FAL.cancel(wire, handle.receipt) is True
        return
    with pytest.raises(TryAgain):
        await FAL.cancel(wire, handle.receipt)


async def test_an_upload_leaves_without_the_key(wire: Wire, sandbox: Sandbox) -> None:
    """The address comes from fal with the key; the bytes go to the signed address without it."""
    url = await FAL.upload(wire, picture(), b"the bytes")
    got = await wire.call("GET", url, with_key=False)
    assert (got.body, got.headers["content-type"]) == (b"the bytes", "image/png")
    assert (sandbox.stats()["uploads"], sandbox.stats()["leaks"]) == (1, 0)


@pytest.mark.parametrize(
    ("at", "kind"), [("upload", "5xx"), ("token", "5xx"), ("token", "garbage"), ("token", "empty")]
)
async def test_an_upload_that_fails_is_tried_again(at: str, kind: str, wire: Wire, sandbox: Sandbox) -> None:
    """No address, no bytes, no money: ask again."""
    sandbox.faults.add(fault(at, kind))
    with pytest.raises(TryAgain):
        await FAL.upload(wire, picture(), b"x")


async def test_an_upload_with_a_wrong_key_says_so(wire: Wire, sandbox: Sandbox) -> None:
    """The key is named, nothing was paid."""
    sandbox.change(reject_key=True)
    with pytest.raises(KeyRejected):
        await FAL.upload(wire, picture(), b"x")
