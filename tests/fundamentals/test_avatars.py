"""Avatars: who makes them is said, nothing is bought twice, each angle is there at once, and no face without a word."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calls import content, fault, person
from fundamentals.test_clips import states
from hoasi import Ask, Studio, avatars, consent
from hoasi.answers import Reply
from hoasi.errors import ConsentMissing, KeyMissing, KeyRejected
from hoasi.messages import explain
from hoasi.providers.ark import Ark
from hoasi.sandbox import Sandbox
from hoasi.workflows import AvatarAngles, CreateAvatar, EditImage, OutfitShot, Workflow

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:1"
SEEDREAM, OMNI, ANGLE = "doubao-seedream-4-0-250828", "kling/images/omni-image", "kling/images/generations"
AT = "2026-11-27T08:00:00+07:00"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Small pictures, but none below the 300 px that Kling takes; it is looked at often."""
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_SIDE", 420)
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_LONGEST", 1000)
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)
    return Sandbox(latency_s=0.05, pictures="tiny")


@pytest.fixture
def photos(workspace: Path) -> tuple[str, str]:
    """Two photos of a person."""
    person(workspace / "a.png")
    person(workspace / "b.png", "blue")
    return "a.png", "b.png"


class Atelier:
    """A workspace with Ark and Kling, and what is done in it."""

    def __init__(self, workspace: Path, url: str) -> None:
        self.workspace = workspace
        self.environ = {
            "ARK_API_KEY": "ark-5f3c9a-key",
            "HOASI_ARK_URL": url,
            "KLING_API_KEY": "kling-5f3c9a-key",
            "HOASI_KLING_URL": f"{url}/kling",
        }

    @asynccontextmanager
    async def studio(self, **environ: str) -> AsyncIterator[Studio]:
        said = {name: value for name, value in {**self.environ, **environ}.items() if value}
        async with Studio(self.workspace, environ=said) as studio:
            yield studio

    async def made(self, work: Workflow, environ: dict[str, str] | None = None, **more: Any) -> Reply:
        """What lands in the avatar's folder."""
        said = {"output_dir": "avatars/lan", "consent": "Lan đồng ý.", **more}
        async with self.studio(**(environ or {})) as studio:
            return await studio.generate(Ask(requests=work.requests(), **said))

    async def chosen(self, number: int = 2) -> avatars.Avatar:
        """The portrait of that number is it."""
        async with self.studio() as studio:
            return avatars.confirm(studio.settings, "lan", number, studio.generations, at=AT)

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.workspace / "avatars" / "lan").iterdir())


@pytest.fixture
def atelier(workspace: Path, fal: str) -> Atelier:
    return Atelier(workspace, fal)


def portraits(photos: tuple[str, ...], **more: Any) -> CreateAvatar:
    return CreateAvatar(avatar_id="lan", photos=photos, **more)


ANGLES = AvatarAngles(avatar_id="lan")
CONFIRM = [f"confirm_{n}.png" for n in range(1, 5)]
THREE = ["angle_profile_right.png", "angle_slight_above.png", "angle_three_quarter_left.png"]


# ---------------------------------------------------------------------- portraits


async def test_seedream_makes_four_portraits_in_one_call(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, workspace: Path
) -> None:
    """One paid call, four PNG files of fixed names; reply, warnings and log say who made them. A rerun buys nothing."""
    reply = await atelier.made(portraits(photos))
    (entry,) = reply.generations
    assert (entry.state, entry.provider, entry.model) == ("succeeded", "ark", SEEDREAM)
    assert [Path(path).name for path in entry.outputs] == CONFIRM
    assert all(content(path).startswith(b"\x89PNG") for path in entry.outputs)
    assert any("ark" in note and "kling" in note for note in reply.warnings)
    rows = tomllib.loads((workspace / "avatars/lan/ai_image_generation.toml").read_text(encoding="utf-8"))
    assert {(row["provider"], row["model"]) for row in rows["generations"]} == {("ark", SEEDREAM)}
    assert states(await atelier.made(portraits(photos))) == ["skipped_existing"]
    assert sandbox.stats()["submissions"] == 1


async def test_seedream_is_asked_in_chinese_and_kling_in_its_own_words(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox
) -> None:
    """Each engine gets the prompt that is meant for it, naming the photos as it does."""
    async with atelier.studio() as studio:
        plan = await studio.plan(Ask(requests=portraits(photos).requests(), output_dir="avatars/lan"))
    (item,) = plan.items
    (other,) = item.alternatives
    assert "参考图1、图2中的人物" in item.prompt
    assert "the person in <<<image_1>>> and <<<image_2>>>." in other.prompt
    assert (other.provider, other.model) == ("kling", "kling-image-o1/omni-image")
    assert (item.parameters["resolution"], other.parameters["resolution"]) == ("2K", "2k")
    assert (other.parameters["num_images"], other.parameters["aspect_ratio"]) == (4, "3:4")


async def test_portraits_have_the_shape_of_the_angles(atelier: Atelier, photos: tuple[str, ...]) -> None:
    """3:4, whoever makes them: Seedream would choose a shape of its own."""
    for maker in ("ark", "kling"):
        reply = await atelier.made(portraits(photos, provider=maker), output_dir=f"avatars/{maker}")
        with Image.open(reply.generations[0].outputs[0]) as portrait:
            assert portrait.width / portrait.height == pytest.approx(3 / 4, rel=0.01)


@pytest.mark.parametrize(
    "environ", [{"ARK_API_KEY": ""}, {"HOASI_ARK_URL": NOWHERE}], ids=["no key", "nothing was sent"]
)
async def test_kling_makes_them_when_seedream_surely_was_not_paid(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, environ: dict[str, str], quick: object
) -> None:
    """No key, or no connection at all: Kling's four portraits under the same names, and it is said."""
    reply = await atelier.made(portraits(photos), environ)
    (entry,) = reply.generations
    assert (entry.state, entry.provider) == ("succeeded", "kling")
    assert atelier.files() == ["ai_image_generation.toml", *CONFIRM]
    assert sandbox.stats()["models"] == {OMNI: 1}
    assert states(await atelier.made(portraits(photos))) == ["skipped_existing"]
    assert (await atelier.chosen(1)).engine.provider == "kling"


@pytest.mark.parametrize("why", ["AuthenticationError", "AccountOverdueError", "QuotaExceeded", "ModelNotOpen"])
async def test_kling_makes_them_when_seedream_has_no_right_for_this_key(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, why: str
) -> None:
    """A wrong key, an account without money, a model that was never opened: nothing was taken; the reply says why."""
    sandbox.faults.add(fault("submit", "error_type", value=why))
    reply = await atelier.made(portraits(photos))
    (entry,) = reply.generations
    assert (entry.state, entry.provider, sandbox.stats()["models"]) == ("succeeded", "kling", {OMNI: 1})
    assert any(note.startswith("ark ") and "kling" in note for note in entry.notes)
    asked = [note for note in reply.warnings if note.startswith("Nhờ ark (")]  # asked, not: it was made there
    assert asked
    assert not any(".." in note or note.endswith(" ") for note in asked)


async def test_a_refused_key_after_a_paid_step_moves_nothing(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says that money moved before the key was refused is believed: nobody else makes it."""

    async def refuse(*_: object) -> None:
        raise KeyRejected("key_rejected", provider="ark", status=402, paid="yes")

    monkeypatch.setattr(Ark, "submit", refuse)
    (entry,) = (await atelier.made(portraits(photos))).generations
    assert (entry.state, entry.provider, entry.paid) == ("failed", "ark", "yes")
    assert sandbox.stats()["submissions"] == 0


@pytest.mark.parametrize("kind", ["lost_reply", "hang"])
async def test_what_may_have_been_paid_is_not_made_by_somebody_else(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seedream cannot be asked for a lost reply: it stays unknown, and Kling gets no request."""
    monkeypatch.setattr("hoasi.providers.ark.READ_S", 0.1)
    monkeypatch.setattr("hoasi.providers.ark.READ_MORE_S", 0.1)
    sandbox.faults.add(fault("submit", kind))
    for _ in range(2):
        reply = await atelier.made(portraits(photos))
        assert (states(reply), reply.generations[0].provider) == (["unknown"], "ark")
    assert sandbox.stats()["submissions"] == 1
    assert not any(name.startswith("kling") for name in sandbox.stats()["models"])


async def test_a_refusal_is_no_reason_to_go_to_kling(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox
) -> None:
    """Refused content is not carried from door to door."""
    sandbox.faults.add(fault("submit", "error_type", value="InputImageSensitiveContentDetected"))
    reply = await atelier.made(portraits(photos))
    assert (states(reply), reply.generations[0].paid) == (["failed"], "no")
    assert sandbox.stats()["submissions"] == 0


async def test_who_is_named_makes_them_alone(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, quick: object
) -> None:
    """Kling by name is Kling; Seedream by name is nobody else, even when it cannot be reached."""
    reply = await atelier.made(portraits(photos, provider="kling"))
    assert (states(reply), reply.generations[0].provider) == (["succeeded"], "kling")
    alone = await atelier.made(portraits(photos, provider="ark"), {"HOASI_ARK_URL": NOWHERE})
    assert (states(alone), alone.generations[0].provider) == (["failed"], "ark")
    assert sandbox.stats()["models"] == {OMNI: 1}


async def test_without_a_key_both_are_named(atelier: Atelier, photos: tuple[str, ...]) -> None:
    """The refusal says which keys would do."""
    with pytest.raises(KeyMissing) as refused:
        await atelier.made(portraits(photos), {"ARK_API_KEY": "", "KLING_API_KEY": ""})
    assert refused.value.facts["names"] == "ARK_API_KEY / KLING_API_KEY"


async def test_other_photos_do_not_take_the_paid_portraits_away(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, workspace: Path
) -> None:
    """The names show the pictures that were asked for last; the first ones come back, unpaid."""
    await atelier.made(portraits(photos))
    first = [(workspace / "avatars/lan" / name).read_bytes() for name in CONFIRM]
    await atelier.made(portraits(photos[:1]))
    second = [(workspace / "avatars/lan" / name).read_bytes() for name in CONFIRM]
    assert not set(first) & set(second)
    assert states(await atelier.made(portraits(photos))) == ["skipped_existing"]
    assert [(workspace / "avatars/lan" / name).read_bytes() for name in CONFIRM] == first
    assert sandbox.stats()["submissions"] == 2


# ---------------------------------------------------------------------- consent


async def test_photos_need_a_permission_for_avatars(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, workspace: Path
) -> None:
    """Who permits a reference does not permit an avatar; the refusal names the scope; nothing is sent."""
    async with atelier.studio() as studio:
        ask = Ask(requests=portraits(photos).requests(), output_dir="avatars/lan")
        with pytest.raises(ConsentMissing) as refused:
            await studio.generate(ask)
    assert "--scope avatar" in explain(refused.value.problem()).fix
    assert sandbox.stats()["requests"] == []
    await atelier.made(portraits(photos))
    assert {row.scope for row in consent.records(workspace / "consent.toml")} == {"avatar"}


async def test_what_was_made_rests_on_the_photos(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, workspace: Path
) -> None:
    """Angles, and an avatar in a job, ask for nothing more; once a photo's permission is revoked, nothing leaves."""
    await atelier.made(portraits(photos))
    await atelier.chosen()
    assert states(await atelier.made(ANGLES, consent=None)) == ["succeeded"] * 3
    shown: dict[str, Any] = {"avatar": "lan", "provider": "kling", "job_id": "job-1"}
    async with atelier.studio() as studio:
        assert states(await studio.generate(Ask(prompt="in a market", **shown))) == ["succeeded"]
        sent = len(sandbox.stats()["requests"])
        sha = consent.records(workspace / "consent.toml")[0].sha256
        lock = workspace / ".hoasi" / "locks" / "consent.lock"
        assert consent.revoke(workspace / "consent.toml", sha, at=AT, lock_path=lock, temp_name=".hoasi-0-c.tmp")
        with pytest.raises(ConsentMissing):
            await studio.generate(Ask(prompt="at the sea", **shown))
    assert len(sandbox.stats()["requests"]) == sent


async def test_a_jobs_own_word_counts_first(
    atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox, workspace: Path
) -> None:
    """The workspace permits the avatar; a job whose file says that a minor is shown, or revoked it, does not."""
    await atelier.made(portraits(photos))
    await atelier.chosen()
    sha = consent.records(workspace / "consent.toml")[0].sha256
    said = {"sha256": sha, "scope": "avatar", "by": "cli", "recorded_at": AT, "picture": "a.png"}
    file, lock = workspace / "jobs/job-1/source/consent.toml", workspace / ".hoasi/locks/consent.lock"
    for more, key in (({"words": "Được.", "revoked_at": AT}, "revoked"), ({"minor": True}, "refused_minor")):
        record = consent.Consent.model_validate({**said, **more})
        consent.add(file, record, lock_path=lock, temp_name=".hoasi-0-c.tmp")
        async with atelier.studio() as studio:
            with pytest.raises(ConsentMissing) as refused:
                await studio.generate(Ask(prompt="at sea", avatar="lan", provider="kling", job_id="job-1"))
            assert refused.value.key == f"consent_{key}"
    assert sandbox.stats()["submissions"] == 1


async def test_a_minor_has_no_avatar(atelier: Atelier, photos: tuple[str, ...], sandbox: Sandbox) -> None:
    """Refused for good, whatever is said later."""
    with pytest.raises(ConsentMissing):
        await atelier.made(portraits(photos), minor=True)
    with pytest.raises(ConsentMissing) as later:
        await atelier.made(portraits(photos))
    assert later.value.key == "consent_refused_minor"
    assert sandbox.stats()["requests"] == []


# ---------------------------------------------------------------------- angles


@pytest.fixture
async def chosen(atelier: Atelier, photos: tuple[str, ...]) -> avatars.Avatar:
    """An avatar whose second portrait was chosen."""
    await atelier.made(portraits(photos))
    return await atelier.chosen()


async def test_three_angles_are_made_of_the_chosen_portrait(
    atelier: Atelier, chosen: avatars.Avatar, sandbox: Sandbox, workspace: Path
) -> None:
    """Three requests to a model that takes them, with the portrait and its fidelities; each file under its name."""
    reply = await atelier.made(ANGLES)
    assert states(reply) == ["succeeded"] * 3
    assert {entry.model for entry in reply.generations} == {"kling-v2-1/generations"}
    async with atelier.studio() as studio:
        made = studio.generations([entry.id for entry in reply.generations])
        for generation in made:
            assert [item.sha256 for item in generation.planned.inputs] == [chosen.portrait.sha256]
            said = generation.planned.parameters
            assert (said["image_fidelity"], said["human_fidelity"], said["resolution"]) == (0.75, 0.80, "1k")
            assert said["image_reference"] == "subject"
    assert sandbox.stats()["models"][ANGLE] == 3
    assert [name for name in atelier.files() if name.startswith("angle")] == THREE
    assert avatars.load(workspace, "lan").missing == ()


async def test_angles_of_a_process_that_left_are_noted_by_the_next(
    atelier: Atelier, chosen: avatars.Avatar, sandbox: Sandbox, workspace: Path
) -> None:
    """Begun, not waited for: whoever brings them home writes them into its file; nobody asks for the avatar."""
    sandbox.change(latency_s=0.6)
    async with atelier.studio() as studio:
        await studio.generate(Ask(requests=ANGLES.requests(), output_dir="avatars/lan"), timeout_s=0.1)
    async with atelier.studio() as studio:
        await studio.resume()
    text = content(workspace / "avatars/lan/avatar.toml").decode()
    assert sorted(tomllib.loads(text)["angles"]) == sorted(avatars.angles())


async def test_an_angle_that_fails_is_named_and_bought_alone(
    atelier: Atelier, chosen: avatars.Avatar, sandbox: Sandbox, workspace: Path
) -> None:
    """Two are there, the third is named; the rerun buys only that one."""
    sandbox.faults.add(fault("status", "completed_error", model=ANGLE, value="internal error"))
    first = avatars.told(await atelier.made(ANGLES), "use it")
    (lost,) = [entry.scene_id for entry in first.generations if entry.state == "failed"]
    assert any(lost in note for note in first.warnings)
    assert avatars.load(workspace, "lan").missing == (lost,)
    before = sandbox.stats()["models"][ANGLE]
    again = await atelier.made(ANGLES)
    assert sorted(states(again)) == ["skipped_existing", "skipped_existing", "succeeded"]
    assert sandbox.stats()["models"][ANGLE] == before + 1
    assert avatars.load(workspace, "lan").missing == ()


async def test_another_portrait_has_its_own_angles(
    atelier: Atelier, chosen: avatars.Avatar, photos: tuple[str, ...], sandbox: Sandbox, workspace: Path
) -> None:
    """Chosen anew: the old angles no longer count; chosen back: they are there again, unpaid."""
    await atelier.made(ANGLES)
    await atelier.made(portraits(photos[:1]))
    other = await atelier.chosen(3)
    assert (other.number, other.angles, len(other.missing), len(other.photos)) == (3, {}, 3, 1)
    assert states(await atelier.made(ANGLES)) == ["succeeded"] * 3
    await atelier.made(portraits(photos))
    assert len((await atelier.chosen()).missing) == 3
    assert states(await atelier.made(ANGLES)) == ["skipped_existing"] * 3
    assert avatars.load(workspace, "lan").missing == ()
    assert sandbox.stats()["models"][ANGLE] == 6


# ---------------------------------------------------------------------- in use


async def planned(atelier: Atelier, **ask: Any) -> Any:
    async with atelier.studio() as studio:
        return await studio.plan(Ask(**ask))


async def test_the_prompt_picks_the_angle(atelier: Atelier, chosen: avatars.Avatar, workspace: Path) -> None:
    """A profile takes the profile, everything else the portrait; what the model has no option for is not sent."""
    await atelier.made(ANGLES)
    avatar = avatars.load(workspace, "lan")
    for prompt, picture in (
        ("Chân dung nhìn nghiêng bên cửa sổ", avatar.angles["profile_right"]),
        ("seen from above in a garden", avatar.angles["slight_above"]),
        ("drinking tea", avatar.portrait),
    ):
        plan = await planned(atelier, prompt=prompt, avatar="lan", provider="kling")
        (item,) = plan.items
        assert [one.sha256 for one in item.inputs] == [picture.sha256]
        assert item.parameters["image_reference"] == "face"
        assert "human_fidelity" not in item.parameters
    fal = await planned(atelier, prompt="drinking tea", avatar="lan", provider="fal")
    assert "image_reference" not in fal.items[0].parameters


async def test_human_fidelity_is_raised_unless_it_was_said(atelier: Atelier, chosen: avatars.Avatar) -> None:
    """It goes with `subject` only: there it is 0.8, or what the caller says."""
    (request,) = AvatarAngles(avatar_id="lan").requests()[:1]
    for options, value in (({"image_reference": "subject"}, 0.8), ({"human_fidelity": 0.5}, 0.5)):
        own = request.model_copy(update={"wishes": (), "options": options})
        plan = await planned(atelier, requests=(own,), output_dir="avatars/lan")
        said = plan.items[0].parameters
        assert (said["image_reference"], said["human_fidelity"]) == ("subject", value)


async def test_an_edit_gets_all_pictures_of_the_avatar(
    atelier: Atelier, chosen: avatars.Avatar, photos: tuple[str, ...]
) -> None:
    """Portrait and angles follow the caller's pictures, and the prompt names every one of them."""
    await atelier.made(ANGLES)
    work = EditImage(images=("a.png",), prompt="<<<image_1>>> on a beach", avatar="lan", provider="kling")
    plan = await planned(atelier, requests=work.requests())
    assert len(plan.items[0].inputs) == 5
    assert "<<<image_2>>>, <<<image_3>>>, <<<image_4>>>, <<<image_5>>>" in plan.items[0].prompt
    assert not any("prompt" in note and "<<<" in note for note in plan.warnings)


async def test_an_outfit_is_tried_on(atelier: Atelier, chosen: avatars.Avatar, photos: tuple[str, ...]) -> None:
    """With an avatar the outfit's picture is worn by it."""
    work = OutfitShot(images=("a.png",), variants=("streetsnap",), avatar="lan", provider="kling")
    plan = await planned(atelier, requests=work.requests())
    assert plan.items[0].prompt.startswith("the outfit of <<<image_1>>> worn by the person shown in <<<image_2>>>")
    assert len(plan.items[0].inputs) == 2
