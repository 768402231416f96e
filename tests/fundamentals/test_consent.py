"""Promise 6: no face leaves the machine without recorded consent."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calls import OpenStudio, fault, one, person
from hoasi.errors import ConsentMissing
from hoasi.given import Given
from hoasi.messages import explain
from hoasi.records import Request
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
FACE = "jobs/job-1/input/reference/character.png"
WORDS = "Tôi là người trong ảnh và đồng ý."


@pytest.fixture
def face(workspace: Path) -> Path:
    """A reference picture of the job."""
    return draw(workspace, "red")


def draw(workspace: Path, colour: str) -> Path:
    """The reference picture, anew: other bytes, same name."""
    return person(workspace / FACE, colour)


def records(workspace: Path) -> list[dict[str, Any]]:
    """What is written down about the job's pictures."""
    path = workspace / "jobs/job-1/source/consent.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["consents"] if path.is_file() else []


def nothing_left(sandbox: Sandbox) -> bool:
    """Not a byte went to the provider."""
    return sandbox.stats()["requests"] == []


async def test_a_reference_stays_here_without_consent(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Refused before anything is sent, with the exact command that records a permission."""
    async with open_studio() as studio:
        with pytest.raises(ConsentMissing) as refused:
            await studio.generate(one(references=(FACE,)))
        view = explain(refused.value.problem())
    assert f'hoasi consent add "{FACE}" --job job-1' in view.fix
    assert nothing_left(sandbox)
    assert records(workspace) == []


@pytest.mark.parametrize("words", ["", "   "])
async def test_empty_words_are_no_consent(words: str, face: Path, open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Somebody must have said something."""
    async with open_studio() as studio:
        with pytest.raises(ConsentMissing):
            await studio.generate(one(references=(FACE,), consent=words))
    assert nothing_left(sandbox)


async def test_the_words_are_recorded_and_hold(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """The user's words open the gate now and later; they are kept with the picture's hash and who said so."""
    async with open_studio() as studio:
        first = await studio.generate(one(references=(FACE,), consent=WORDS, by="argument", client="codex"))
        later = await studio.generate(one("another", references=(FACE,)))
    assert [r.generations[0].state for r in (first, later)] == ["succeeded"] * 2
    assert first.generations[0].model == "fal-ai/nano-banana/edit"
    (record,) = records(workspace)
    assert (record["words"], record["by"], record["client"], len(record["sha256"])) == (WORDS, "argument", "codex", 64)
    assert sandbox.stats()["uploads"] == 1


async def test_the_claim_that_no_face_is_shown_is_recorded_as_a_claim(
    face: Path, open_studio: OpenStudio, workspace: Path
) -> None:
    """A person's `no_faces` opens the gate too; the record says that it was claimed, not consented."""
    async with open_studio() as studio:
        reply = await studio.generate(one(references=(FACE,), no_faces=True, by="cli"))
    assert reply.generations[0].state == "succeeded"
    (record,) = records(workspace)
    assert (record["no_faces"], record["words"]) == (True, "")


@pytest.mark.parametrize(
    ("by", "opens"), [("argument", False), ("python", False), ("cli", True), ("elicitation", True)]
)
async def test_strict_takes_only_a_persons_word(
    by: str, opens: bool, face: Path, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """`HOASI_CONSENT=strict`: what an agent says for its user does not count."""
    async with open_studio(HOASI_CONSENT="strict") as studio:
        if opens:
            reply = await studio.generate(one(references=(FACE,), consent=WORDS, by=by))
            assert reply.generations[0].state == "succeeded"
            return
        with pytest.raises(ConsentMissing):
            await studio.generate(one(references=(FACE,), consent=WORDS, by=by))
    assert nothing_left(sandbox)


async def test_changed_bytes_need_new_consent(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Another picture under the same name was not consented to."""
    async with open_studio() as studio:
        await studio.generate(one(references=(FACE,), consent=WORDS))
        sent = sandbox.stats()["requests"]
        draw(workspace, "blue")
        with pytest.raises(ConsentMissing):
            await studio.generate(one(references=(FACE,)))
    assert sandbox.stats()["requests"] == sent


async def test_bytes_that_change_after_the_consent_are_not_sent(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path, quick: object
) -> None:
    """Swapped between the gate and the upload: the generation fails, free; the other picture stays here."""
    async with open_studio() as studio:
        batch = await studio.begin(one(references=(FACE,), consent=WORDS))
        draw(workspace, "blue")
        entry = (await studio.wait(batch)).generations[0]
    assert (entry.state, entry.paid) == ("failed", "no")
    assert entry.error is not None
    assert entry.error.key == "input_changed"
    assert nothing_left(sandbox)


async def test_a_revoked_consent_stops_buying_again(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """An unknown is settled by `resubmit` only while the picture may still be sent."""
    sandbox.faults.add(fault("submit", "lost_reply"))
    async with open_studio() as studio:
        name = (await studio.generate(one(references=(FACE,), consent=WORDS))).generations[0].id
        consents = workspace / "jobs/job-1/source/consent.toml"
        consents.write_text(consents.read_text(encoding="utf-8") + 'revoked_at = "2026-04-25"\n', encoding="utf-8")
        with pytest.raises(ConsentMissing):
            await studio.resolve(name, "resubmit")
    assert sandbox.stats()["posts_received"] == 1


async def test_the_local_provider_needs_none(face: Path, open_studio: OpenStudio, workspace: Path) -> None:
    """What never leaves the machine needs no permission."""
    async with open_studio() as studio:
        reply = await studio.generate(one(provider="local", references=(FACE,)))
    assert reply.generations[0].state == "succeeded"
    assert records(workspace) == []


async def test_a_storyboard_shows_nobody_of_its_references(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """It is drawn from words alone: when it leaves, nobody in a reference is asked, alone or in one call. A preview
    that holds their pixels asks as before."""
    async with open_studio() as studio:
        sketch = (await studio.generate(one(provider="local", references=(FACE,)))).generations[0]
        shown = Request(operation="image_to_video", prompt="fog", inputs=(first_frame(sketch.id),), provider="fal")
        assert await studio.missing_consent(one(None, requests=(shown,))) == []
        drawn = Request(prompt="a balcony", references=(FACE,), provider="local")
        moved = Request(operation="image_to_video", prompt="fog", inputs=(first_frame(of=0),), provider="fal")
        assert await studio.missing_consent(one(None, requests=(drawn, moved))) == []
        filmed = Request(operation="image_to_video", prompt="", inputs=(first_frame(FACE),), provider="local")
        longer = Given(role="video", of=0)
        more = Request(operation="extend_video", prompt="", inputs=(longer,), provider="fal")
        (missing,) = await studio.missing_consent(one(None, requests=(filmed, more)))
    assert missing.root.written == FACE
    assert sandbox.stats()["requests"] == []


def first_frame(written: str = "", of: int | None = None) -> Given:
    return Given(role="first_frame", written=written, of=of)


async def test_a_reference_is_uploaded_once_a_job(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Two scenes and a second run share one upload; what the provider gets is the picture."""
    ask = one(prompt=None, creative_plan="jobs/job-1/source/creative_plan.toml", references=(FACE,), consent=WORDS)
    async with open_studio() as studio:
        await studio.generate(ask)
        await studio.generate(one("more", references=(FACE,)))
    assert sandbox.stats()["uploads"] == 1
    (stored,) = [f for key, f in sandbox.shelf._files.items() if not key.startswith("r/")]
    with Image.open(io.BytesIO(await stored.load())) as picture:
        assert picture.size == (512, 512)


@pytest.mark.parametrize("kind", ["gone", "5xx", "lost_reply", "429"])
@pytest.mark.parametrize("at", ["token", "upload"])
@pytest.mark.parametrize("times", [1, 0])
async def test_an_upload_that_fails_costs_nothing(
    kind: str, at: str, times: int, face: Path, open_studio: OpenStudio, sandbox: Sandbox, quick: object
) -> None:
    """Uploads are free: tried again a few times, then a failure that names the picture and says it was not paid."""
    sandbox.faults.add(fault(at, kind, times=times, value=404 if kind == "gone" else 503 if kind == "5xx" else 0))
    async with open_studio() as studio:
        entry = (await studio.generate(one(references=(FACE,), consent=WORDS))).generations[0]
    if times == 1:
        assert entry.state == "succeeded"
        return
    assert (entry.state, entry.paid, entry.cost_usd) == ("failed", "no", 0.0)
    assert entry.error is not None
    assert FACE in entry.error.message
    assert sandbox.stats()["posts_received"] == 0


async def test_an_upload_that_the_provider_lost_is_sent_again(
    face: Path, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """The remembered address is dead: the request is refused, free, and the next try uploads the picture anew."""
    async with open_studio() as studio:
        await studio.generate(one(references=(FACE,), consent=WORDS))
        sandbox.shelf.clear()
        entry = (await studio.generate(one("another", references=(FACE,)))).generations[0]
        assert (entry.state, entry.paid) == ("failed", "no")
        assert (await studio.generate(one("another", references=(FACE,)))).generations[0].state == "succeeded"
    assert sandbox.stats()["uploads"] == 2
