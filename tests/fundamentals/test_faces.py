"""Promise 6, where faces are found: nobody is asked without one, and what came of a face rests on its permission."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from calls import OpenStudio, one, person
from fundamentals.test_clips import asked, both, longer, moving, swap
from hoasi import consent
from hoasi.errors import ConsentMissing, WrongInput
from hoasi.given import Given
from hoasi.messages import explain
from hoasi.sandbox import Sandbox

pytestmark = pytest.mark.anyio
FILE = "jobs/job-1/source/consent.toml"


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


def record(workspace: Path, picture: str, **said: object) -> None:
    """A person's word about a picture."""
    import hashlib

    sha = hashlib.sha256((workspace / picture).read_bytes()).hexdigest()
    facts = {"sha256": sha, "by": "cli", "recorded_at": "2026-11-27T08:00:00+07:00", "picture": picture, **said}
    lock = workspace / ".hoasi" / "locks" / "consent.lock"
    consent.add(
        workspace / FILE, consent.Consent.model_validate(facts), lock_path=lock, temp_name=".hoasi-0-consent.tmp"
    )


async def test_a_picture_without_a_face_needs_no_permission(
    workspace: Path, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """A cup of coffee may leave."""
    Image.open(Path(__file__).parents[1] / "rooms" / "pictures" / "coffee.jpg").save(workspace / "coffee.png")
    async with open_studio() as studio:
        reply = await studio.generate(one(references=("coffee.png",)))
    assert reply.generations[0].state == "succeeded"
    assert sandbox.stats()["uploads"] == 1
    assert not (workspace / FILE).exists()


def filmed(path: Path, first_s: float, last_s: float) -> str:
    """A clip of 20 s in which a person is seen from here to there only."""
    import av

    photo = person(path.with_suffix(".png"))
    with Image.open(photo) as shown, av.open(str(path), "w", format="mp4") as container:
        face, wall = shown.convert("RGB").resize((640, 640)), Image.new("RGB", (640, 640), "#607080")
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 640, "yuv420p"
        for number in range(20 * 24):
            picture = face if first_s <= number / 24 <= last_s else wall
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    photo.unlink()
    return path.name


async def test_a_face_in_a_short_part_of_a_clip_asks(
    workspace: Path, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """Seen for half a second or more anywhere: nothing leaves without a permission. Seen never: it may leave."""
    async with open_studio() as studio:
        for name, first_s, last_s in (("a.mp4", 8.8, 11.1), ("b.mp4", 14.6, 15.15)):
            given = longer(filmed(workspace / name, first_s, last_s))
            with pytest.raises(ConsentMissing) as refused:
                await studio.generate(asked(given))
            assert "1 khuôn mặt" in explain(refused.value.problem()).message
        assert sandbox.stats()["requests"] == []
        reply = await studio.generate(asked(longer(filmed(workspace / "c.mp4", 99, 99))))
    assert reply.generations[0].state == "succeeded"


async def test_the_refusal_says_how_many_faces(
    faces: tuple[str, str], open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """Nothing is sent; the message counts the faces and names the scope."""
    async with open_studio() as studio:
        with pytest.raises(ConsentMissing) as refused:
            await studio.generate(asked(swap(faces)))
    view = explain(refused.value.problem())
    assert "1 khuôn mặt" in view.message
    assert "--scope swap" in view.fix
    assert sandbox.stats()["requests"] == []


async def test_a_permission_holds_for_its_scope(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path, sandbox: Sandbox
) -> None:
    """Who permits a reference does not permit a swap."""
    for picture in faces:
        record(workspace, picture, words="Làm ảnh tham chiếu thì được.")
    async with open_studio() as studio:
        await studio.generate(one(references=(faces[0],)))
        with pytest.raises(ConsentMissing):
            await studio.generate(asked(swap(faces)))
        for picture in faces:
            record(workspace, picture, words="Ghép mặt cũng được.", scope="swap")
        assert (await studio.generate(asked(swap(faces)))).generations[0].state == "succeeded"


async def test_what_came_of_a_face_rests_on_its_permission(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path, sandbox: Sandbox
) -> None:
    """The swapped picture and its clip ask for nothing; once the permission is revoked, neither leaves again."""
    async with open_studio() as studio:
        picture, clip = (await studio.generate(both(faces))).generations
        assert (await studio.generate(asked(longer(clip.id)))).generations[0].state == "succeeded"
        sent = len(sandbox.stats()["requests"])
        known = consent.records(workspace / FILE)
        sha = next(row.sha256 for row in known if row.picture == faces[1])
        lock = workspace / ".hoasi" / "locks" / "consent.lock"
        consent.revoke(
            workspace / FILE, sha, at="2026-11-27T09:00:00+07:00", lock_path=lock, temp_name=".hoasi-0-c.tmp"
        )
        for request in (moving(Given(role="first_frame", written=picture.id), seed=5), longer(f"{clip.id}#1")):
            with pytest.raises(ConsentMissing) as refused:
                await studio.generate(asked(request.model_copy(update={"prompt": "again"})))
            assert refused.value.facts["picture"] == faces[1]
    assert len(sandbox.stats()["requests"]) == sent


async def test_a_minor_is_refused_for_good(
    faces: tuple[str, str], open_studio: OpenStudio, workspace: Path, sandbox: Sandbox
) -> None:
    """What the caller says once holds for every scope and against every later word."""
    async with open_studio() as studio:
        with pytest.raises(ConsentMissing) as refused:
            await studio.generate(asked(swap(faces), minor=True, consent="Tôi đồng ý."))
        assert refused.value.key == "consent_refused_minor"
        with pytest.raises(ConsentMissing):
            await studio.generate(one(references=(faces[0],), consent="Tôi đồng ý."))
        with pytest.raises(ConsentMissing):
            await studio.generate(one(references=(faces[0],), no_faces=True))
    assert sandbox.stats()["requests"] == []


async def test_a_swap_needs_one_clear_face(
    faces: tuple[str, str], workspace: Path, open_studio: OpenStudio, sandbox: Sandbox
) -> None:
    """No face, or several without a choice: refused before anything is sent, naming the picture and the number."""
    with Image.open(workspace / faces[0]) as photo:
        pair = Image.new("RGB", (1024, 512))
        pair.paste(photo, (0, 0))
        pair.paste(photo, (512, 0))
    pair.save(workspace / "pair.png")
    Image.open(Path(__file__).parents[1] / "rooms" / "pictures" / "cat.jpg").save(workspace / "cat.png")
    async with open_studio() as studio:
        for pictures, key, count in (
            ((faces[0], "cat.png"), "swap_no_face", 0),
            (("cat.png", faces[1]), "swap_no_face", 0),
            ((faces[0], "pair.png"), "swap_several_faces", 2),
        ):
            with pytest.raises(WrongInput) as refused:
                await studio.generate(asked(swap(pictures), consent="Tôi đồng ý."))
            assert (refused.value.key, refused.value.facts["count"]) == (key, count)
        chosen = swap((faces[0], "pair.png"), options={"face_index": 1})
        assert (await studio.generate(asked(chosen, consent="Tôi đồng ý."))).generations[0].state == "succeeded"
        with pytest.raises(WrongInput) as beyond:
            await studio.generate(asked(swap((faces[0], "pair.png"), options={"face_index": 2}), consent="x"))
    assert beyond.value.key == "swap_face_index"
    assert sandbox.stats()["submissions"] == 1
