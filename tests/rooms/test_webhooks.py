"""Webhooks are believed when their signature is genuine, their time is ours and they were not seen before."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoasi import webhooks
from hoasi.webhooks import Forged, Seen

# Kling's official example (documentation of its callbacks, read 2026-11-21)
SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
KLING = {
    "webhook-id": "9876543210",
    "webhook-timestamp": "1781080794",
    "webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
}
KLING_BODY = (
    b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
)
NOW = 1781080794.0
FAL_KEY = Ed25519PrivateKey.generate()
FAL_BODY = b'{"request_id":"r-1","gateway_request_id":"g-1","status":"OK","payload":{"images":[]}}'


def fal_headers(body: bytes = FAL_BODY, key: Ed25519PrivateKey = FAL_KEY, seconds: int = int(NOW)) -> dict[str, str]:
    message = f"r-1\nuser-1\n{seconds}\n{hashlib.sha256(body).hexdigest()}"
    return {
        "X-Fal-Webhook-Request-Id": "r-1",
        "X-Fal-Webhook-User-Id": "user-1",
        "X-Fal-Webhook-Timestamp": str(seconds),
        "X-Fal-Webhook-Signature": key.sign(message.encode()).hex(),
    }


def raw(key: Ed25519PrivateKey = FAL_KEY) -> bytes:
    return key.public_key().public_bytes_raw()


def check_kling(headers: Mapping[str, str] = KLING, body: bytes = KLING_BODY, now: float = NOW, *secrets: str) -> str:
    return webhooks.kling(headers, body, secrets=secrets or (SECRET,), now=now)


def check_fal(headers: Mapping[str, str] | None = None, body: bytes = FAL_BODY, now: float = NOW) -> str:
    return webhooks.fal(fal_headers() if headers is None else headers, body, keys=(raw(),), now=now)


def why(check: Callable[[], object]) -> str:
    with pytest.raises(Forged) as forged:
        check()
    return forged.value.reason


def test_the_official_example_of_kling_is_genuine() -> None:
    """Kling's own vector verifies at its own time, whatever the case of the header names."""
    assert check_kling() == "9876543210"
    assert check_kling({name.title(): value for name, value in KLING.items()}) == "9876543210"


def test_fal_is_genuine_with_any_of_its_keys() -> None:
    """A delivery signed with one of several keys verifies; a key that is none does no harm."""
    assert check_fal() == "r-1"
    others = (b"short", raw(Ed25519PrivateKey.generate()), raw())
    assert webhooks.fal(fal_headers(), FAL_BODY, keys=others, now=NOW) == "r-1"


@pytest.mark.parametrize(
    ("body", "check"),
    [(KLING_BODY, lambda body: check_kling(body=body)), (FAL_BODY, lambda body: check_fal(body=body))],
    ids=["kling", "fal"],
)
def test_one_changed_byte_anywhere_in_a_body_is_found(body: bytes, check: Callable[[bytes], str]) -> None:
    """Each byte of the body is under the signature, for both providers; so is each byte added or left out."""
    changed = [body[:i] + bytes([body[i] ^ 1]) + body[i + 1 :] for i in range(len(body))]
    assert {why(partial(check, other)) for other in [*changed, body + b" ", body[1:], b""]} == {"signature"}


@pytest.mark.parametrize("name", list(KLING))
def test_one_changed_character_in_a_header_of_kling_is_found(name: str) -> None:
    """Id, time and signature cannot be changed anywhere."""
    value = KLING[name]
    for i in range(len(value)):
        other = "1" if value[i] != "1" else "2"
        headers = {**KLING, name: value[:i] + other + value[i + 1 :]}
        reasons = {"signature", "too_old", "too_new"} if name == "webhook-timestamp" else {"signature"}
        assert why(partial(check_kling, headers)) in reasons
    near = {**KLING, "webhook-timestamp": str(int(NOW) + 1)}
    assert why(lambda: check_kling(near)) == "signature"


@pytest.mark.parametrize("name", list(fal_headers()))
def test_one_changed_character_in_a_header_of_fal_is_found(name: str) -> None:
    """Request, user, time and signature cannot be changed; a signature that is no hex is none."""
    value = fal_headers()[name]
    for changed in (value[:-1] + ("0" if value[-1] != "0" else "1"), value + "0", "zz" + value[2:]):
        headers = {**fal_headers(), name: changed}
        reasons = {"signature", "headers", "too_old", "too_new"} if name.endswith("Timestamp") else {"signature"}
        assert why(partial(check_fal, headers)) in reasons


def test_a_delivery_is_believed_for_five_minutes_either_way() -> None:
    """At 300 seconds it is still believed, beyond that it is too old or too new, whoever signed it."""
    for check in check_kling, check_fal:
        for ahead in (-300, 300):
            assert check(now=NOW + ahead)
        assert why(partial(check, now=NOW + 301)) == "too_old"
        assert why(partial(check, now=NOW - 301)) == "too_new"


def test_both_secrets_are_good_while_one_is_rotated() -> None:
    """Any of our secrets and any of the delivery's signatures may fit; versions other than v1 never do."""
    other = "whsec_" + base64.b64encode(b"another secret of ours, 32 bytes").decode()
    assert check_kling(KLING, KLING_BODY, NOW, other, SECRET)
    assert check_kling({**KLING, "webhook-signature": f"v1,AAAA v2,x {KLING['webhook-signature']}"})
    assert why(lambda: check_kling(KLING, KLING_BODY, NOW, other)) == "signature"
    v2 = KLING["webhook-signature"].replace("v1,", "v2,")
    assert why(lambda: check_kling({**KLING, "webhook-signature": v2})) == "signature"
    assert why(lambda: webhooks.kling(KLING, KLING_BODY, secrets=(), now=NOW)) == "signature"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_===", "whsec_%%%", "whsec_\u00e9", " "])
def test_a_secret_that_is_empty_or_no_base64_fits_nothing(secret: str) -> None:
    """Not even what was signed with an empty key, which everybody has."""
    signed = f"{KLING['webhook-id']}.{KLING['webhook-timestamp']}.".encode() + KLING_BODY
    forged = base64.b64encode(hmac.digest(b"", signed, "sha256")).decode()
    headers = {**KLING, "webhook-signature": f"v1,{forged}"}
    assert why(lambda: check_kling(headers, KLING_BODY, NOW, secret)) == "signature"


def test_a_secret_may_stand_without_its_mark_and_with_a_line_end() -> None:
    """As it comes out of a file or without `whsec_`, the secret is the same."""
    assert check_kling(KLING, KLING_BODY, NOW, SECRET.removeprefix("whsec_").rstrip("=") + "\n")


def test_a_wrong_key_of_fal_fits_nothing() -> None:
    """Neither a stranger's key nor none at all."""
    stranger = fal_headers(key=Ed25519PrivateKey.generate())
    assert why(lambda: check_fal(stranger)) == "signature"
    assert why(lambda: webhooks.fal(fal_headers(), FAL_BODY, keys=(), now=NOW)) == "signature"


def test_the_dot_between_id_and_time_cannot_be_moved() -> None:
    """What was signed as one split into id, time and body is not believed as another."""
    key, body = base64.b64decode(SECRET.removeprefix("whsec_")), f"{int(NOW)}.{{}}".encode()
    signature = base64.b64encode(hmac.digest(key, b"evt.%d." % NOW + body, "sha256")).decode()
    headers = {"webhook-id": "evt", "webhook-timestamp": str(int(NOW)), "webhook-signature": f"v1,{signature}"}
    assert why(lambda: check_kling(headers, body)) == "body"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 9999]
)
def test_a_signed_body_that_is_no_object_is_refused(body: bytes) -> None:
    """Even with a good signature: no body but a JSON object is a delivery, and none makes another error."""
    assert why(lambda: check_fal(fal_headers(body), body)) == "body"
    assert (webhooks.task_of_kling(body), webhooks.request_of_fal(body)) == (None, None)
    assert why(lambda: webhooks.fal_keys(body)) == "jwks"


GARBAGE: list[Any] = [
    "",
    " ",
    "\0",
    "a\nb",
    "\u00e9",
    "x" * 300,
    "v1,",
    ",",
    "v1",
    "1e9",
    "-1",
    "9" * 400,
    "\u0661",
    "=" * 9,
]


@pytest.mark.parametrize("value", GARBAGE)
def test_garbage_in_a_header_is_forged_and_nothing_else(value: str) -> None:
    """Any value in any header, and any header left out, is Forged and no other error."""
    for good, check in (KLING, check_kling), (fal_headers(), check_fal):
        for name in good:
            assert why(partial(check, {**good, name: value})) in {"headers", "signature", "too_old"}
            left = {key: kept for key, kept in good.items() if key != name}
            assert why(partial(check, left)) == "headers"


def jwk(key: bytes, **changes: Any) -> dict[str, Any]:
    x = base64.urlsafe_b64encode(key).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": x, **changes}


def test_the_keys_of_fal_are_read_from_a_jwks() -> None:
    """ED25519 keys are taken in their order; other kinds, wrong lengths and nonsense are passed over."""
    first, second = raw(), raw(Ed25519PrivateKey.generate())
    nonsense = [
        jwk(first, crv="X25519"),
        jwk(first, kty="RSA"),
        jwk(first, x=7),
        jwk(b"short"),
        jwk(first, x="%"),
        None,
    ]
    keys = webhooks.fal_keys(json.dumps({"keys": [*nonsense, jwk(first), jwk(second)]}).encode())
    assert keys == (first, second)
    assert webhooks.fal(fal_headers(), FAL_BODY, keys=keys, now=NOW) == "r-1"


@pytest.mark.parametrize(
    "jwks", [{}, {"keys": None}, {"keys": {}}, {"keys": []}, {"keys": [1, jwk(b"x" * 32, kty="EC")]}]
)
def test_a_jwks_without_a_key_for_us_is_refused(jwks: Any) -> None:
    """It could only make every delivery look forged, so it is said at once."""
    assert why(lambda: webhooks.fal_keys(json.dumps(jwks).encode())) == "jwks"


def test_a_replay_is_not_the_first_time() -> None:
    """The same delivery again, as long as its signature could be believed, is not new; afterwards it is forgotten."""
    seen = Seen()
    assert (seen.first_time("a", NOW), seen.first_time("b", NOW)) == (True, True)
    assert not seen.first_time("a", NOW)
    assert not seen.first_time("a", NOW + 600)  # signed by a clock 300 s ahead, it is still within the window
    assert seen.first_time("a", NOW + 600.1)


def test_the_memory_of_deliveries_is_bounded() -> None:
    """It never holds more than its most; the oldest is forgotten first."""
    seen = Seen(most=3)
    assert all(seen.first_time(name, NOW) for name in "abcd")
    assert len(seen._seen_at) == 3
    assert [seen.first_time(name, NOW) for name in "dcb"] == [False] * 3
    assert seen.first_time("a", NOW)


@pytest.mark.parametrize(
    ("body", "task"),
    [
        (KLING_BODY, "1234567890"),
        (b'{"task_id":"t-1","task_status":"succeed","task_info":{"external_task_id":"e"}}', "t-1"),
        (b'{"task_id":"t-1","id":"other"}', "t-1"),
        (b'{"task_id":"","id":7}', None),
        (b'{"data":{"id":"deep"}}', None),
        (b"no json", None),
    ],
)
def test_a_body_of_kling_names_its_task_in_either_form(body: bytes, task: str | None) -> None:
    """The older form says `task_id`, the newer one `id`; anything else names none."""
    assert webhooks.task_of_kling(body) == task


@pytest.mark.parametrize(("body", "request_id"), [(FAL_BODY, "r-1"), (b'{"request_id":null}', None), (b"", None)])
def test_a_body_of_fal_names_its_request(body: bytes, request_id: str | None) -> None:
    """By the id of the receipt, not by that of the gateway, which changes when fal tries again."""
    assert webhooks.request_of_fal(body) == request_id
