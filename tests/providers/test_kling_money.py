"""Kling's translator and money: what a refusal means, how a lost task is found, what it cost, who may ask."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from calls import OpenStudio, fault, one
from contract import planned
from hoasi import flow, gates, settings
from hoasi.addresses import origin_of
from hoasi.errors import (
    ContentBlocked,
    HoasiError,
    KeyMissing,
    KeyRejected,
    NotAccepted,
    PaymentUnknown,
    ProviderRefused,
    ResultExpired,
)
from hoasi.providers._outcomes import Handle, Ready, TryAgain
from hoasi.providers._provider import CallsBack, Finds, Follows, Signs
from hoasi.providers.kling import bills, refusals
from hoasi.providers.kling.routes import NEW as NEW_API
from hoasi.providers.kling.routes import OLD as OLD_API
from hoasi.records import Plan
from hoasi.sandbox import Fault, Sandbox
from hoasi.sandbox.kling_auth import SECRET_KEY
from hoasi.sandbox.kling_callbacks import KLING_WEBHOOK_SECRET, signature
from hoasi.street import Reply, ReplyLost, Street
from hoasi.webhooks import Forged
from hoasi.wire import Renewal, Wire
from providers.kling_orders import CARDS, KLING, accepted, ended, made, order, order_of

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")]
PAIR = f"access\n{SECRET_KEY}"
OLD, NEW = "kling-v2-6/text2video", "kling-3.0/text-to-video"
BOTH = pytest.mark.parametrize("model", [OLD, NEW])


@pytest.fixture
async def street(fal: str, sandbox: Sandbox) -> AsyncIterator[Street]:
    """Connections to the sandbox."""
    sandbox.change(latency_s=0)
    opened = Street(frozenset({origin_of(fal)}))
    yield opened
    await opened.close()


@pytest.fixture
def wire(street: Street, fal: str) -> Wire:
    """The street as Kling sees it, with an API key."""
    return Wire(street, {"": f"{fal}/kling"}, KLING.auth("key"))


def reply(status: int, fields: object = None, **headers: str) -> Reply:
    content = b"<html>" if fields is None else json.dumps(fields).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def told(code: int) -> Fault:
    """A submission that is answered with a code of Kling's."""
    return fault("submit", "error_type", value=code)


# ---------------------------------------------------------------- what a refused submission means


@BOTH
@pytest.mark.parametrize(
    ("spoiled", "error", "key", "paid"),
    [
        (told(1000), KeyRejected, "key_of_region", "no"),
        (told(1001), KeyRejected, "key_of_region", "no"),
        (told(1002), KeyRejected, "key_of_region", "no"),
        (told(1003), KeyRejected, "key_out_of_time", "no"),
        (told(1004), KeyRejected, "key_out_of_time", "no"),
        (told(1100), KeyRejected, "account_abnormal", "no"),
        (told(1101), KeyRejected, "balance_empty", "no"),
        (told(1102), KeyRejected, "balance_empty", "no"),
        (told(1103), KeyRejected, "model_not_permitted", "no"),
        (told(1200), ProviderRefused, "refused", "no"),
        (told(1201), ProviderRefused, "refused", "no"),
        (told(1202), ProviderRefused, "refused", "no"),
        (told(1203), ProviderRefused, "refused", "no"),
        (told(1300), ContentBlocked, "content_blocked", "no"),
        (told(1301), ContentBlocked, "content_blocked", "no"),
        (told(1302), NotAccepted, "rate_limited", "no"),
        (told(1303), NotAccepted, "rate_limited", "no"),
        (told(1304), KeyRejected, "address_not_permitted", "no"),
        (told(5000), PaymentUnknown, "reply_unclear", "unknown"),
        (told(5001), PaymentUnknown, "reply_unclear", "unknown"),
        (told(5002), PaymentUnknown, "reply_unclear", "unknown"),
        (told(4711), PaymentUnknown, "reply_unclear", "unknown"),
        (fault("submit", "concurrent_requests_limit"), NotAccepted, "rate_limited", "no"),
        (fault("submit", "5xx", value=502), PaymentUnknown, "reply_unclear", "unknown"),
        (fault("submit", "garbage"), PaymentUnknown, "reply_unclear", "unknown"),
        (fault("submit", "empty"), PaymentUnknown, "reply_unclear", "unknown"),
        (fault("submit", "wrong_type"), PaymentUnknown, "reply_unclear", "unknown"),
        (fault("submit", "redirect", value="https://x.example/"), PaymentUnknown, "reply_unclear", "unknown"),
    ],
    ids=lambda value: f"{value.kind}-{value.value}" if isinstance(value, Fault) else "",
)
async def test_a_code_decides_what_a_refusal_means(
    model: str, spoiled: Fault, error: type[HoasiError], key: str, paid: str, wire: Wire, sandbox: Sandbox
) -> None:
    """Row by row of the error table; the same in both generations; one POST each."""
    sandbox.faults.add(spoiled)
    with pytest.raises(error) as refused:
        await KLING.submit(wire, order(model))
    assert (type(refused.value), refused.value.key, refused.value.paid) == (error, key, paid)
    assert sandbox.stats()["posts_received"] == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(200, {"code": 1303, "message": "parallel task over resource pack limit"}), NotAccepted),
        (reply(200, {"code": 1301, "message": "policy"}), ContentBlocked),
        (reply(429, {"code": 1102, "message": "used up"}, retry_after="3"), KeyRejected),
        (reply(429), PaymentUnknown),
        (reply(403), PaymentUnknown),
        (reply(413), ProviderRefused),
        (reply(500, {"code": 1201, "message": "?"}), PaymentUnknown),
        (reply(503, {"code": 1303, "message": "?"}), PaymentUnknown),
        (reply(500, {"code": 1301, "message": "?"}), PaymentUnknown),
        (reply(200, {"code": True}), PaymentUnknown),
        (reply(200, {"code": "1303"}), PaymentUnknown),
        (reply(200, []), PaymentUnknown),
    ],
)
def test_status_and_code_both_count(answer: Reply, error: type[HoasiError]) -> None:
    """A 200 may be a refusal, a 429 an empty account; a server's own trouble proves nothing, nor does a page."""
    assert type(refusals.refused(answer)) is error


def test_a_busy_account_is_left_alone_for_a_second() -> None:
    """At least one second after 1302 and 1303, and what Kling says where it says more."""
    busy = {"code": 1303, "message": "parallel task over resource pack limit"}
    pauses = [refusals.refused(answer) for answer in (reply(429, busy), reply(429, busy, retry_after="7"))]
    assert [error.retry_after_s for error in pauses if isinstance(error, NotAccepted)] == [1.0, 7.0]


@pytest.mark.parametrize("data", [None, {}, [], {"task_id": 5}, {"task_id": ""}, {"id": 5}])
@BOTH
async def test_a_success_without_an_id_is_unclear(model: str, data: Any, street: Street, fal: str) -> None:
    """`SUCCEED` without a task is no receipt: it may have been billed."""

    class Answers(Wire):
        async def pay(self, *_: Any, **__: Any) -> Reply:
            return reply(200, {"code": 0, "data": data})

    with pytest.raises(PaymentUnknown):
        await KLING.submit(Answers(street, {"": fal}, {}), order(model))


# ---------------------------------------------------------------- keys


def test_an_api_key_is_sent_as_it_is() -> None:
    """Bearer and the key."""
    assert KLING.auth("key") == {"authorization": "Bearer key"}


def test_a_pair_signs_a_token() -> None:
    """HS256; who, from five seconds ago, for half an hour, and nothing else; the secret stays here."""
    scheme, _, token = KLING.auth(PAIR)["authorization"].partition(" ")
    claims, now = jwt.decode(token, SECRET_KEY, algorithms=["HS256"]), datetime.now(UTC).timestamp()
    assert (scheme, jwt.get_unverified_header(token)) == ("Bearer", {"alg": "HS256", "typ": "JWT"})
    assert set(claims) == {"iss", "exp", "nbf"}
    assert (claims["iss"], claims["exp"] - claims["nbf"]) == ("access", 1805)
    assert 0 <= now - claims["nbf"] - 5 < 5


async def test_the_old_standard_takes_both_kinds_of_keys(wire: Wire, street: Street, fal: str) -> None:
    """A key and a token; the new standard refuses a token, unpaid, and the fix names regions and kinds of keys."""
    signed = Wire(street, {"": f"{fal}/kling"}, KLING.auth(PAIR))
    for way in (wire, signed):
        assert (await made(way, order(OLD))).outputs
    with pytest.raises(KeyRejected) as refused:
        await KLING.submit(signed, order(NEW))
    assert (refused.value.key, refused.value.paid) == ("key_of_region", "no")


def expired(pair: str = PAIR) -> dict[str, str]:
    """What the headers of a token look like that is no longer good."""
    access, _, secret = pair.partition("\n")
    return {"authorization": f"Bearer {jwt.encode({'iss': access, 'exp': 2, 'nbf': 1}, secret, algorithm='HS256')}"}


async def test_an_expired_token_is_signed_anew_once(street: Street, fal: str, sandbox: Sandbox) -> None:
    """1004 proves that nothing was accepted: one new token, one more POST, one task."""
    renewal = Renewal(partial(KLING.auth, PAIR), KLING.auth_life_s, KLING.is_stale)
    assert await accepted(Wire(street, {"": f"{fal}/kling"}, expired(), renewal), order(OLD))
    assert (sandbox.stats()["posts_received"], sandbox.stats()["submissions"]) == (2, 1)


async def test_a_clock_that_is_wrong_is_named(street: Street, fal: str, sandbox: Sandbox) -> None:
    """A token that is refused again ends there: two POSTs, no task, and the clock is named."""
    wire = Wire(street, {"": f"{fal}/kling"}, expired(), Renewal(expired, KLING.auth_life_s, KLING.is_stale))
    with pytest.raises(KeyRejected, match="key_out_of_time"):
        await KLING.submit(wire, order(OLD))
    assert (sandbox.stats()["posts_received"], sandbox.stats()["submissions"]) == (2, 0)


def test_only_age_makes_a_token_stale() -> None:
    """401 with 1003 or 1004; no other refusal is repeated with a new token."""
    stale = [code for code in range(999, 1400) if KLING.is_stale(reply(401, {"code": code}))]
    assert stale == [1003, 1004]
    assert not KLING.is_stale(reply(429, {"code": 1004}))


@pytest.mark.parametrize(
    ("environ", "model", "names"),
    [
        ({"KLING_ACCESS_KEY": "a", "KLING_SECRET_KEY": "s"}, OLD, None),
        ({"KLING_ACCESS_KEY": "a", "KLING_SECRET_KEY": "s"}, NEW, "KLING_API_KEY"),
        ({"KLINGAI_API_KEY": "key"}, NEW, None),
        ({"KLING_ACCESS_KEY": "a"}, OLD, "KLING_API_KEY"),
        ({"HOASI_SANDBOX": "1"}, NEW, None),
    ],
)
def test_a_pair_of_keys_is_not_enough_for_the_new_standard(
    environ: dict[str, str], model: str, names: str | None, tmp_path: Path
) -> None:
    """Which key is missing is said before anything is sent."""
    plan = Plan(job_id="", output_dir="", items=(planned(CARDS[model]),))
    said = settings.read(tmp_path, environ=environ)
    if names is None:
        gates.keys(plan, said)
        return
    with pytest.raises(KeyMissing) as missing:
        gates.keys(plan, said)
    assert missing.value.facts["names"] == names


# ---------------------------------------------------------------- free questions


@BOTH
@pytest.mark.parametrize(
    ("spoiled", "error"),
    [
        (fault("status", "5xx"), TryAgain),
        (fault("status", "garbage"), TryAgain),
        (fault("status", "empty"), TryAgain),
        (fault("status", "429"), TryAgain),
        (fault("status", "error_type", value=5001), TryAgain),
        (fault("status", "error_type", value=1002), KeyRejected),
        (fault("status", "gone"), ResultExpired),
    ],
    ids=lambda value: f"{value.kind}-{value.value}" if isinstance(value, Fault) else "",
)
async def test_a_question_without_an_answer_is_asked_again(
    model: str, spoiled: Fault, error: type[Exception], wire: Wire, sandbox: Sandbox
) -> None:
    """Trouble on the way says nothing of the task; only that Kling does not know it does."""
    receipt = await accepted(wire, order(model))
    await ended(wire, receipt)
    for ask in (KLING.poll, partial(KLING.collect, ready=Ready())):
        sandbox.faults.add(spoiled)
        with pytest.raises((error, ResultExpired)) as seen:
            await ask(wire, receipt)
        assert type(seen.value) is error
    assert (await KLING.collect(wire, receipt, Ready())).outputs


@BOTH
async def test_what_kling_no_longer_keeps_has_expired(model: str, wire: Wire, sandbox: Sandbox) -> None:
    """After 30 days a task is gone: paid, and said so."""
    receipt = await accepted(wire, order(model))
    await ended(wire, receipt)
    sandbox.change(forget_after_s=0)
    for ask in (KLING.poll, partial(KLING.collect, ready=Ready())):
        with pytest.raises(ResultExpired) as gone:
            await ask(wire, receipt)
        assert gone.value.paid == "yes"


@BOTH
async def test_a_result_is_not_collected_before_its_time(model: str, wire: Wire, sandbox: Sandbox) -> None:
    """A task at work has no result yet: ask again."""
    sandbox.change(latency_s=600)
    receipt = await accepted(wire, order(model))
    with pytest.raises(TryAgain):
        await KLING.collect(wire, receipt, Ready())


@BOTH
@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("Failure to pass the risk control system", ContentBlocked),
        ("Failure to pass the Risk Control System", ContentBlocked),
        ("Internal problem", ProviderRefused),
    ],
)
async def test_a_failed_task_says_why_and_costs_nothing(
    model: str, reason: str, error: type[HoasiError], wire: Wire, sandbox: Sandbox
) -> None:
    """Kling's own words; the content rules are told by their words; what was not deducted was not paid."""
    sandbox.faults.add(fault("submit", "completed_error", value=reason))
    receipt = await accepted(wire, order(model))
    assert await ended(wire, receipt) == Ready(error=reason)
    with pytest.raises(error) as failed:
        await KLING.collect(wire, receipt, Ready())
    assert (type(failed.value), failed.value.detail, failed.value.paid) == (error, reason, "no")


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ({"task_status": "succeed"}, 0),
        ({"task_status": "succeed", "task_result": {"images": []}}, 0),
        ({"task_status": "succeed", "task_result": {"images": [{"index": 0}, 5]}}, 0),
        ({"task_status": "succeed", "task_result": {"series_images": [{"url": "https://a"}, {"url": "https://b"}]}}, 2),
        ({"task_status": "succeed", "task_result": {"videos": [{"url": "https://a", "id": "1"}], "images": None}}, 1),
        ({"status": "succeeded"}, 0),
        ({"status": "succeeded", "outputs": [{"type": "audio", "mp3_url": "https://a"}]}, 0),
        ({"status": "succeeded", "outputs": [{"type": "image", "url": "https://a", "group_id": "1"}, None]}, 1),
    ],
)
def test_a_success_without_results_is_a_failure(task: dict[str, Any], outputs: int) -> None:
    """Pictures, series and clips are results; "done" with nothing to fetch is said to be just that."""
    api, receipt = (OLD_API, {"path": "v1/videos/x"}) if "task_status" in task else (NEW_API, {})
    if outputs:
        assert len(api.done(task, receipt).outputs) == outputs
        return
    with pytest.raises(ProviderRefused) as failed:
        api.done(task, receipt)
    assert (failed.value.key, failed.value.paid) == ("no_media", "unknown")


async def test_a_strange_id_stays_one_part_of_the_address(wire: Wire, sandbox: Sandbox) -> None:
    """What a person pastes cannot lead to another address."""
    for model in (OLD, NEW):
        with pytest.raises((ResultExpired, TryAgain)):
            await KLING.poll(wire, KLING.attach(order(model).planned, "../../account?x=1&y=2#z").receipt)
    assert [path.rpartition("/")[0] for _, path in sandbox.stats()["requests"]][1] == "/kling"
    assert sandbox.stats()["requests"][0][1].startswith("/kling/v1/videos/text2video/")


# ---------------------------------------------------------------- lost receipts


@BOTH
async def test_a_lost_task_is_found_by_our_own_id(model: str, wire: Wire, sandbox: Sandbox) -> None:
    """The reply is lost, the task is there: asked for by our id, it is followed to its end, bought once."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    wanted = order(model)
    with pytest.raises(ReplyLost):
        await KLING.submit(wire, wanted)
    found = await KLING.find(wire, wanted)
    assert isinstance(found, Handle)
    assert found == KLING.attach(wanted.planned, next(iter(sandbox.kling.tasks)))
    await ended(wire, found.receipt)
    assert (await KLING.collect(wire, found.receipt, Ready())).outputs
    assert sandbox.stats()["submissions"] == 1


@BOTH
async def test_a_task_that_never_came_in_is_not_found(model: str, wire: Wire) -> None:
    """None of the others is taken for it."""
    await accepted(wire, order(model))
    await accepted(wire, order(OLD))
    assert await KLING.find(wire, order(model)) is None


@pytest.mark.parametrize("kind", [fault("status", "gone"), fault("status", "validation")])
async def test_the_list_is_looked_through_as_well(kind: Fault, wire: Wire, sandbox: Sandbox) -> None:
    """Not every page promises our id in the place of Kling's: before a task counts as lost, the list is read."""
    sandbox.faults.add(kind)
    wanted = order(OLD)
    receipt = await accepted(wire, wanted)
    assert await KLING.find(wire, wanted) == Handle(receipt)


@pytest.mark.parametrize(("age_s", "is_proof"), [(10.0, True), (400.0, False), (None, False)])
async def test_a_full_page_is_proof_only_as_far_as_it_reaches(
    age_s: float | None, is_proof: bool, wire: Wire, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tasks fill a page that reaches back five minutes: what was sent before them may stand on the next one."""
    monkeypatch.setattr("hoasi.providers.kling.old.PAGE", 2)
    for _ in range(2):
        await accepted(wire, order(OLD))
    next(iter(sandbox.kling.tasks.values())).created_ms -= 300_000
    wanted = replace(order(OLD), age_s=age_s)
    if is_proof:
        assert await KLING.find(wire, wanted) is None
        return
    with pytest.raises(PaymentUnknown):
        await KLING.find(wire, wanted)


@BOTH
@pytest.mark.parametrize(
    ("spoiled", "error"),
    [
        (fault("status", "5xx", times=0), TryAgain),
        (fault("status", "429", times=0), TryAgain),
        (fault("status", "garbage", times=0), TryAgain),
        (fault("status", "error_type", value=1000, times=0), KeyRejected),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_a_look_up_without_an_answer_decides_nothing(
    model: str, spoiled: Fault, error: type[Exception], wire: Wire, sandbox: Sandbox
) -> None:
    """No answer is not "no such task": it is asked again, never bought again."""
    wanted = order(model)
    await accepted(wire, wanted)
    sandbox.faults.add(spoiled)
    with pytest.raises(error):
        await KLING.find(wire, wanted)


async def test_the_list_must_answer_too(wire: Wire, sandbox: Sandbox) -> None:
    """A list that cannot be had, or does not exist, proves nothing either."""
    for kind in ("gone", "5xx"):
        sandbox.faults.clear()
        sandbox.faults.add(fault("status", "gone"), fault("status", kind))
        with pytest.raises(TryAgain):
            await KLING.find(wire, order(OLD))


async def test_without_an_id_nobody_can_tell(wire: Wire, sandbox: Sandbox) -> None:
    """A task without our id cannot be looked for."""
    wanted = order_of(planned(CARDS[OLD]))
    with pytest.raises(PaymentUnknown):
        await KLING.find(wire, type(wanted)(wanted.planned))
    assert sandbox.stats()["requests"] == []


@pytest.mark.parametrize(("kind", "posts"), [("lost_reply", 1), ("5xx", 2)])
async def test_the_engine_buys_once_whatever_happens_to_the_reply(
    kind: str, posts: int, open_studio: OpenStudio, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost reply is found again; what never came in is sent again; it is bought once, its cost known."""
    monkeypatch.setattr(flow, "ARRIVAL_S", 0.2)
    monkeypatch.setattr(flow, "ARRIVAL_POLL_S", 0.05)
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)
    sandbox.faults.add(fault("submit", kind))
    async with open_studio(KLING_API_KEY="key-1234567", HOASI_KLING_URL=f"{fal}/kling") as studio:
        answer = await studio.generate(one(provider="kling", model="kling-v2-1", num_images=2))
    assert (answer.error, answer.cost_usd) == (None, pytest.approx(0.028))
    assert [len(entry.outputs) for entry in answer.generations] == [2]
    stats = sandbox.stats()
    assert (stats["posts_received"], stats["submissions"], stats["unknown_fields"]) == (posts, 1, {})


# ---------------------------------------------------------------- what it cost


@pytest.mark.parametrize(
    ("task", "path", "before", "paid", "usd"),
    [
        ({"final_unit_deduction": "1.5"}, "v1/videos/text2video", 0.0, "yes", 0.21),
        ({"final_unit_deduction": "8"}, "v1/images/generations", 0.0, "yes", 0.028),
        ({"final_unit_deduction": "20"}, "v1/images/kolors-virtual-try-on", 0.0, "yes", None),
        ({"final_unit_deduction": "0"}, "v1/videos/text2video", 0.0, "no", 0.0),
        ({"final_unit_deduction": "0.0"}, "v1/videos/text2video", 0.0, "no", 0.0),
        ({"final_unit_deduction": ""}, "v1/videos/text2video", 0.0, "unknown", None),
        ({}, "v1/videos/text2video", 0.0, "unknown", None),
        ({"final_balance_deduction": {"quota": "0.42"}}, "v1/videos/text2video", 0.0, "yes", None),
        (
            {"final_unit_deduction": "0", "final_balance_deduction": {"quota": "0.42"}},
            "v1/videos/text2video",
            0.0,
            "yes",
            None,
        ),
        (
            {"final_unit_deduction": "1", "final_balance_deduction": {"quota": ""}},
            "v1/videos/text2video",
            0.0,
            "yes",
            0.14,
        ),
        ({"final_unit_deduction": "0.5"}, "v1/videos/advanced-lip-sync", 0.007, "yes", 0.077),
        ({"final_unit_deduction": "0"}, "v1/videos/advanced-lip-sync", 0.007, "yes", 0.007),
        ({}, "v1/videos/advanced-lip-sync", 0.007, "yes", None),
    ],
)
def test_the_bill_of_v1(task: dict[str, Any], path: str, before: float, paid: str, usd: float | None) -> None:
    """Units at their price; "0" is nothing, silence is unknown; money in a currency that is not told stays untold."""
    bill = bills.old(task, path, before)
    assert (bill.paid, bill.usd) == (paid, usd)


@pytest.mark.parametrize(
    ("rows", "paid", "usd"),
    [
        ([{"charge_type": "unit", "amount": "3.0", "package_type": "video"}], "yes", 0.42),
        ([{"charge_type": "unit", "amount": "8", "package_type": "image"}], "yes", 0.028),
        ([{"charge_type": "cash", "cash_type": "balance", "amount": "0.42", "currency": "USD"}], "yes", 0.42),
        ([{"charge_type": "cash", "amount": "3", "currency": "CNY"}], "yes", None),
        (
            [
                {"charge_type": "unit", "amount": "1", "package_type": "video"},
                {"charge_type": "cash", "amount": "0.1", "currency": "USD"},
            ],
            "yes",
            0.24,
        ),
        ([{"charge_type": "unit", "amount": "1", "package_type": "try_on"}], "yes", None),
        ([{"charge_type": "unit", "amount": "0", "package_type": "video"}], "no", 0.0),
        ([], "no", 0.0),
        (None, "unknown", None),
    ],
)
def test_the_bill_of_the_new_standard(rows: Any, paid: str, usd: float | None) -> None:
    """The sum of what is listed, in units and dollars; an unknown unit or currency leaves the sum open."""
    bill = bills.new({"billing": rows})
    assert (bill.paid, bill.usd) == (paid, usd)


# ---------------------------------------------------------------- reports, account


def test_what_it_can_do_is_read_from_its_methods() -> None:
    """It follows, finds, signs and reports; nobody can cancel there."""
    assert all(isinstance(KLING, kind) for kind in (Follows, Finds, Signs, CallsBack))
    assert not hasattr(KLING, "cancel")


def test_a_report_is_believed_only_with_its_signature() -> None:
    """A genuine report names its task, in both forms; a changed one is forged."""
    for body in (b'{"task_id": "12", "task_status": "succeed"}', b'{"id": "12", "status": "succeeded"}'):
        headers = {
            "webhook-id": "m",
            "webhook-timestamp": "1000",
            "webhook-signature": signature("m", 1000, body),
        }
        assert KLING.report(headers, body, [KLING_WEBHOOK_SECRET], 1000.0) == ("m", "12")
        with pytest.raises(Forged):
            KLING.report(headers, body + b" ", [KLING_WEBHOOK_SECRET], 1000.0)


async def test_the_account_tells_what_is_left(wire: Wire, sandbox: Sandbox) -> None:
    """Packs with what remains of them; free; too quick a question is asked again."""
    await made(wire, order("kling-v1/text2video"))
    packs = await KLING.account(wire)
    left = {pack.name: (pack.remaining, pack.total, pack.status) for pack in packs}
    assert left == {
        "Sandbox video package": (999.0, 1000.0, "online"),
        "Sandbox image package": (10_000.0, 10_000.0, "online"),
    }
    assert all(pack.invalid_time is not None and pack.invalid_time > datetime.now(UTC) for pack in packs)
    with pytest.raises(TryAgain):
        await KLING.account(wire)
    assert sandbox.stats()["submissions"] == 1
