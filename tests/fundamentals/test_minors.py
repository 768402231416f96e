"""Promise 6 has no way round: not by a result, a clip's number, another job, another purpose, or a program's claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calls import OpenStudio, one, person
from fundamentals.test_clips import asked, moving, swap
from fundamentals.test_faces import record
from hoasi import Studio, consent, reading
from hoasi.errors import ConsentMissing
from hoasi.given import Given
from hoasi.messages import explain
from hoasi.records import Request
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
WORDS = "Tôi đồng ý."


@pytest.fixture
def sandbox() -> Sandbox:
    """Pictures of a real size."""
    return Sandbox(latency_s=0.05, pictures="storyboard")


@pytest.fixture
def faces(workspace: Path) -> tuple[str, str]:
    """Two pictures of a person."""
    person(workspace / "source.png")
    person(workspace / "face.png", "blue")
    return "source.png", "face.png"


async def refused(studio: Studio, ask: Any) -> ConsentMissing:
    """The refusal of a call."""
    with pytest.raises(ConsentMissing) as error:
        await studio.generate(ask)
    return error.value


def clip_of(written: str, **more: Any) -> Request:
    """A clip that begins with it."""
    return moving(Given(role="first_frame", written=written), **more)


# ---------------------------------------------------------------------- minors


async def test_a_minor_in_a_result_is_one_in_what_it_was_made_from(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """Said once of a swapped picture: neither it nor the pictures behind it are sent again, whatever is said."""
    async with open_studio() as studio:
        picture = (await studio.generate(asked(swap(faces), consent=WORDS))).generations[0]
        sent = len(sandbox.stats()["requests"])
        await refused(studio, asked(clip_of(picture.id), minor=True))
        later = [asked(clip_of(picture.id), consent=WORDS), *(one(references=(f,), consent=WORDS) for f in faces)]
        assert [(await refused(studio, ask)).key for ask in later] == ["consent_refused_minor"] * 3
    assert len(sandbox.stats()["requests"]) == sent


async def test_a_minor_drawn_from_words_is_refused_as_well(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """A result that rests on no picture is known by its own bytes."""
    async with open_studio() as studio:
        picture = (await studio.generate(one("a boy"))).generations[0]
        sent = len(sandbox.stats()["requests"])
        await refused(studio, asked(clip_of(picture.id), minor=True))
        assert (await refused(studio, asked(clip_of(picture.id)))).key == "consent_refused_minor"
    assert len(sandbox.stats()["requests"]) == sent


async def test_a_record_about_a_result_alone_holds(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path
) -> None:
    """`consent add --minor` of the derived file: the permissions behind it do not make up for it."""
    async with open_studio() as studio:
        picture = (await studio.generate(asked(swap(faces), consent=WORDS))).generations[0]
        record(workspace, str(Path(picture.outputs[0]).relative_to(workspace)), minor=True)
        assert (await refused(studio, asked(clip_of(picture.id)))).key == "consent_refused_minor"


async def test_a_clip_by_its_number_is_refused_too(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Nothing of it lies here, and still it is not used: now, nor later without the word."""
    video = (Given(role="video", written="712345678901"),)
    longer = Request(operation="extend_video", prompt="on", inputs=video, provider="kling")
    keys = {"KLING_ACCESS_KEY": "k", "KLING_SECRET_KEY": "s" * 32}
    async with open_studio(**keys) as studio:
        said = await refused(studio, asked(longer, minor=True))
        assert (said.key, said.facts["picture"]) == ("consent_refused_minor", "712345678901")
        assert (await refused(studio, asked(longer))).key == "consent_refused_minor"
    assert sandbox.stats()["requests"] == []


async def test_a_minor_of_one_job_is_one_in_every_job(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox, workspace: Path
) -> None:
    """Another job, or none, with words of its own: refused."""
    (workspace / "jobs/job-2").mkdir()
    async with open_studio() as studio:
        await refused(studio, one(references=(faces[0],), minor=True))
        for job in ("job-2", None):
            ask = one(references=(faces[0],), consent=WORDS, job_id=job)
            assert (await refused(studio, ask)).key == "consent_refused_minor"
    assert sandbox.stats()["requests"] == []


async def test_who_answers_that_a_minor_is_shown_says_it_of_the_result_too(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path
) -> None:
    """Asked about a picture behind a result: both are known from then on, in the job and in the workspace."""
    async with open_studio() as studio:
        picture = (await studio.generate(asked(swap(faces), consent=WORDS))).generations[0]
        (workspace / consent_file()).unlink()
        await studio.record_consent(asked(clip_of(picture.id), by="elicitation"), minor=True)
        for file in (workspace / consent_file(), workspace / "consent.toml"):
            shown = consent.records(file)
            assert all(row.minor for row in shown)
            assert {Path(row.picture).name for row in shown} == {*faces, Path(picture.outputs[0]).name}


def consent_file() -> str:
    """The job's."""
    return "jobs/job-1/source/consent.toml"


# ---------------------------------------------------------------------- another purpose


async def test_a_result_is_not_swapped_on_the_word_for_a_reference(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path, sandbox: Sandbox
) -> None:
    """The person agreed to be a reference: what was drawn of them is no face to swap until they agree to that."""
    record(workspace, faces[0], words=WORDS)
    record(workspace, faces[1], words=WORDS, scope="swap")
    async with open_studio() as studio:
        drawn = (await studio.generate(one(references=(faces[0],)))).generations[0]
        (item,) = await studio._reader(is_dry=False)([Given(role="source", written=drawn.id)], look="not")
    assert {(root.written, root.scope) for root in consent.roots(item, "reference")} == {(faces[0], "reference")}
    lacking = consent.lacking([item], "job-1", "swap", studio.settings)
    assert [(root.written, root.scope, why) for root, why in lacking] == [(faces[0], "swap", "missing")]
    record(workspace, faces[0], words=WORDS, scope="swap")
    assert consent.lacking([item], "job-1", "swap", studio.settings) == []


async def test_one_answer_covers_a_chain(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path, sandbox: Sandbox
) -> None:
    """Drawn from a reference, then swapped, in one call: the words are noted for both, or nothing is sent."""
    drawing = Request(prompt="in a hat", references=(faces[0],), provider="fal")
    inputs = (Given(role="source", of=0), Given(role="face", written=faces[1]))
    chain = asked(drawing, swap(faces).model_copy(update={"inputs": inputs}))
    record(workspace, faces[0], words=WORDS)
    record(workspace, faces[1], words=WORDS, scope="swap")
    async with open_studio() as studio:
        said = await refused(studio, chain)
        assert (said.key, said.facts["picture"], said.facts["job"]) == (
            "consent_missing",
            faces[0],
            " --job job-1 --scope swap",
        )
        assert sandbox.stats()["requests"] == []
        reply = await studio.generate(chain.model_copy(update={"consent": WORDS}))
    assert reply.generations[0].state == "succeeded"
    known = {(row.picture, row.scope) for row in consent.records(workspace / consent_file())}
    assert known == {(faces[0], "reference"), (faces[0], "swap"), (faces[1], "swap")}


# ---------------------------------------------------------------------- claims


@pytest.mark.parametrize(("by", "opens"), [("argument", False), ("python", False), ("cli", True)])
async def test_a_program_is_not_believed_against_a_face_that_was_found(
    by: str, opens: bool, faces: tuple[str, str], open_studio: OpenStudio, workspace: Path, sandbox: Sandbox
) -> None:
    """One clear face in each picture: only a person can say that it is none; a program's claim is not even noted."""
    async with open_studio() as studio:
        ask = asked(swap(faces), no_faces=True, by=by)
        if opens:
            assert (await studio.generate(ask)).generations[0].state == "succeeded"
            return
        view = explain((await refused(studio, ask)).problem())
    assert "--no-faces" not in view.fix
    assert "--scope swap" in view.fix
    assert consent.records(workspace / consent_file()) == ()
    assert sandbox.stats()["requests"] == []


async def test_an_old_claim_of_a_program_does_not_count(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path
) -> None:
    """It stands in the file; the face that is found outweighs it."""
    record(workspace, faces[0], no_faces=True, by="argument")
    async with open_studio() as studio:
        assert (await refused(studio, one(references=(faces[0],)))).key == "consent_missing"
        record(workspace, faces[0], no_faces=True, by="cli")
        assert (await studio.generate(one(references=(faces[0],)))).generations[0].state == "succeeded"


async def test_where_nobody_can_look_the_refusal_names_both_ways(
    faces: tuple[str, str], open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words, or that no face is shown."""
    monkeypatch.setattr(reading, "_looked", lambda *_: {})
    async with open_studio() as studio:
        view = explain((await refused(studio, one(references=(faces[0],)))).problem())
        assert "--words" in view.fix
        assert f'hoasi consent add "{faces[0]}" --job job-1 --no-faces' in view.fix
        reply = await studio.generate(one(references=(faces[0],), no_faces=True))
    assert reply.generations[0].state == "succeeded"
