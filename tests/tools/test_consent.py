"""Reference pictures leave the machine only when the user has said so: by the client's question, or in their words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp.types import ElicitRequestFormParams, ElicitResult
from tooling import Connect, refused, told

from hoasi import reading
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class User:
    """Answers the client's question, and remembers it."""

    def __init__(self, action: str = "accept", **content: Any) -> None:
        self.answer = ElicitResult.model_validate({"action": action, "content": content or None})
        self.questions: list[ElicitRequestFormParams] = []

    async def __call__(self, _: Any, params: Any) -> ElicitResult:
        self.questions.append(params)
        return self.answer


def records(workspace: Path) -> list[dict[str, Any]]:
    path = workspace / "consent.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["consents"] if path.is_file() else []


def with_photo(photo: str, **more: Any) -> dict[str, Any]:
    return {"prompt": "she smiles", "reference_images": [photo], **more}


async def test_the_user_is_asked_and_their_words_are_recorded(
    connect: Connect, sandbox: Sandbox, workspace: Path, photo: str
) -> None:
    """Accepted: the question named the picture in Vietnamese, a person's record stands, the work is done, once."""
    user = User(shows="consent_given", words="Lan đồng ý")
    async with connect("lan-client", elicitation_callback=user) as client:
        reply = told(await client.call_tool("generate_image", with_photo(photo)))
        told(await client.call_tool("generate_image", with_photo(photo, prompt="she waves")))
    assert reply["generations"][0]["state"] == "succeeded"
    assert len(user.questions) == 1
    assert photo in user.questions[0].message
    assert "đồng ý" in user.questions[0].message
    (record,) = records(workspace)
    assert (record["by"], record["client"], record["words"]) == ("elicitation", "lan-client", "Lan đồng ý")
    assert sandbox.stats()["submissions"] == 2


async def test_the_question_is_a_small_form_in_the_users_language(connect: Connect, photo: str) -> None:
    """Three choices with Vietnamese names and a field for the words, nothing else."""
    user = User("decline")
    async with connect(elicitation_callback=user) as client:
        await client.call_tool("generate_image", with_photo(photo))
    schema = user.questions[0].requested_schema
    assert set(schema["properties"]) == {"shows", "words"}
    assert schema["properties"]["shows"]["enum"] == ["no_face", "consent_given", "no_consent", "minor"]
    assert len(schema["properties"]["shows"]["enumNames"]) == 4
    assert "description" not in schema


async def test_no_face_is_recorded_as_the_users_claim(connect: Connect, workspace: Path, photo: str) -> None:
    """A picture without faces needs no words."""
    async with connect(elicitation_callback=User(shows="no_face")) as client:
        told(await client.call_tool("generate_image", with_photo(photo)))
    (record,) = records(workspace)
    assert (record["no_faces"], record["by"]) == (True, "elicitation")


@pytest.mark.parametrize(
    "user", [User("decline"), User("cancel"), User(shows="no_consent")], ids=["declined", "cancelled", "said-no"]
)
async def test_a_no_sends_nothing(connect: Connect, sandbox: Sandbox, workspace: Path, photo: str, user: User) -> None:
    """Declined, closed, or answered with no: nothing is sent, uploaded or recorded, and the error says what to do."""
    async with connect(elicitation_callback=user) as client:
        error = refused(await client.call_tool("generate_image", with_photo(photo)))
    assert (error["kind"], error["key"], error["paid"]) == ("ConsentMissing", "consent_declined", "no")
    assert "hoasi consent add" in error["fix"]
    assert records(workspace) == []
    assert (sandbox.stats()["posts_received"], sandbox.stats()["uploads"]) == (0, 0)


async def test_an_answer_that_fits_no_form_sends_nothing(
    connect: Connect, sandbox: Sandbox, workspace: Path, photo: str
) -> None:
    """A client that answers nonsense gets an explanation, not a protocol error."""
    async with connect(elicitation_callback=User(shows="maybe")) as client:
        error = refused(await client.call_tool("generate_image", with_photo(photo)))
    assert error["key"] == "consent_answer_unusable"
    assert records(workspace) == []
    assert sandbox.stats()["uploads"] == 0


async def test_without_a_way_to_ask_the_error_says_how(connect: Connect, sandbox: Sandbox, photo: str) -> None:
    """A client that cannot ask gets the exact command, as a normal error result."""
    async with connect() as client:
        error = refused(await client.call_tool("generate_image", with_photo(photo)))
    assert error["key"] == "consent_missing"
    assert f'hoasi consent add "{photo}"' in error["fix"]
    assert "consent = " in error["fix"]
    assert "no_faces" not in error["fix"], "a face was found: that there is none would not be believed"
    assert sandbox.stats()["uploads"] == 0


async def test_where_nobody_can_look_no_faces_is_offered_too(
    connect: Connect, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user may say that nobody is shown."""
    monkeypatch.setattr(reading, "_looked", lambda *_: {})
    async with connect() as client:
        assert "no_faces = true" in refused(await client.call_tool("generate_image", with_photo(photo)))["fix"]


async def test_the_users_words_in_the_call_are_enough(connect: Connect, workspace: Path, photo: str) -> None:
    """`consent` is recorded as an argument of this client; nobody is asked."""
    user = User(shows="no_consent")
    async with connect("lan-client", elicitation_callback=user) as client:
        told(await client.call_tool("generate_image", with_photo(photo, consent="Lan nói: được")))
    (record,) = records(workspace)
    assert (record["by"], record["client"], record["words"]) == ("argument", "lan-client", "Lan nói: được")
    assert user.questions == []


async def test_no_faces_in_the_call_is_a_recorded_claim(
    connect: Connect, workspace: Path, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a face was found it changes nothing; where nobody can look it lets the picture go and is recorded."""
    async with connect() as client:
        error = refused(await client.call_tool("generate_image", with_photo(photo, no_faces=True)))
        assert (error["key"], records(workspace)) == ("consent_missing", [])
        monkeypatch.setattr(reading, "_looked", lambda *_: {})
        told(await client.call_tool("generate_image", with_photo(photo, no_faces=True)))
    assert records(workspace)[0]["no_faces"] is True


async def test_strict_mode_believes_only_a_person(
    connect: Connect, sandbox: Sandbox, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOASI_CONSENT=strict: words in the call do not count, the user is asked; without a user nothing goes."""
    monkeypatch.setenv("HOASI_CONSENT", "strict")
    async with connect() as client:
        error = refused(await client.call_tool("generate_image", with_photo(photo, consent="ok")))
    assert error["kind"] == "ConsentMissing"
    assert "hoasi consent add" in error["fix"]
    assert "consent = " not in error["fix"]
    assert sandbox.stats()["uploads"] == 0
    user = User(shows="consent_given", words="được")
    async with connect(elicitation_callback=user) as client:
        told(await client.call_tool("generate_image", with_photo(photo, consent="ok")))
    assert len(user.questions) == 1


async def test_nobody_is_asked_where_nothing_leaves(connect: Connect, photo: str) -> None:
    """A dry run, the local provider, and a call without references ask nothing."""
    user = User("decline")
    async with connect(elicitation_callback=user) as client:
        told(await client.call_tool("generate_image", with_photo(photo, dry_run=True)))
        told(await client.call_tool("generate_image", with_photo(photo, provider="local")))
        told(await client.call_tool("generate_image", {"prompt": "a kite"}))
    assert user.questions == []
