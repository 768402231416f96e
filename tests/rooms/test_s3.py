"""Pushing to a bucket at a real S3-compatible server: once, only what is as it was left, and told in the log."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from calls import OpenStudio, files, harm, one, person, pictures, told
from hoasi import Studio, bucket, pushing, sending
from hoasi.bucket import PART_BYTES, Place, place_of
from hoasi.errors import DiskTrouble, FileBroken, HoasiError
from hoasi.exports import joblog, joblog_urls
from hoasi.files import held
from hoasi.pushing import Pushed
from hoasi.scribe import Scribe
from hoasi.settings import Settings, read
from storage import BUCKET, KEYS, Storage, made, running_storage  # noqa: F401  (a fixture)

pytestmark = pytest.mark.anyio
SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA = json.loads((SCHEMAS / "ai_image_generation.schema.json").read_text())
LOG = "jobs/job-1/source/ai_image_generation.toml"


@pytest.fixture(autouse=True)
def no_foreign_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the S3 keys of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
async def finished(workspace: Path, open_studio: OpenStudio) -> Path:
    """A workspace whose job has two finished pictures."""
    async with open_studio() as studio:
        await studio.generate(one(num_images=2))
    return workspace


@pytest.fixture
def to(request: pytest.FixtureRequest) -> str:
    """A folder in the bucket for this test alone."""
    return f"s3://{BUCKET}/{re.sub('[^a-z0-9]+', '-', request.node.name.lower()).strip('-')}"


def told_by(workspace: Path, storage: Storage, who: str = "writer", **more: str) -> Settings:
    return read(workspace, None, {**storage.environ(who), **more})


def fates(outcome: Pushed) -> list[str]:
    return [file.fate for file in outcome.files]


def addresses(workspace: Path) -> list[str]:
    return [row.get("s3_url", "") for row in told(workspace)]


def key_of(url: str) -> str:
    return url.removeprefix(f"s3://{BUCKET}/")


# ---------------------------------------------------------------------- what is sent


async def test_finished_pictures_lie_in_the_bucket_and_the_log_says_where(
    finished: Path, storage: Storage, to: str
) -> None:
    """Same bytes, same paths below the prefix, hash and kind beside them; rows have the address; no secret is kept."""
    outcome = await pushing.push(told_by(finished, storage), "job-1", to + "/")
    assert fates(outcome) == ["sent", "sent"]
    for picture in pictures(finished):
        path = picture.relative_to(finished).as_posix()
        there = storage.ask("get_object", Key=key_of(f"{to}/{path}"))
        assert (there["Body"], there["ContentType"]) == (picture.read_bytes(), "image/png")
        assert there["Metadata"]["sha256"] in {row["sha256"] for row in told(finished)}
    assert sorted(addresses(finished)) == sorted(
        f"{to}/{p.relative_to(finished).as_posix()}" for p in pictures(finished)
    )
    assert outcome.warnings == ()
    for path in files(finished):
        assert not [secret for secret in KEYS.values() if secret.encode() in path.read_bytes()], path


async def test_the_log_keeps_its_form_and_goes_on(
    finished: Path, storage: Storage, to: str, open_studio: OpenStudio
) -> None:
    """With the address it is still what the schema says; the next picture is added without reading the old rows."""
    await pushing.push(told_by(finished, storage), "job-1", to)
    log = finished / LOG
    jsonschema.validate(tomllib.loads(log.read_text()), SCHEMA)
    db = sqlite3.connect(finished / ".hoasi" / "ledger.db")
    (memory,) = db.execute("SELECT memory FROM log_memory WHERE path=?", (LOG,)).fetchone()
    db.close()
    assert joblog._is_ours(log.read_bytes(), joblog.Memory.model_validate_json(memory))
    before = addresses(finished)
    async with open_studio() as studio:
        await studio.generate(one("another", seed=7))
    assert addresses(finished) == [*before, ""]


async def test_a_second_push_sends_nothing(finished: Path, storage: Storage, to: str) -> None:
    """What is there is not sent again, and neither bucket nor log is touched."""
    await pushing.push(told_by(finished, storage), "job-1", to)
    before, log = storage.objects(key_of(to)), (finished / LOG).stat().st_mtime_ns
    outcome = await pushing.push(told_by(finished, storage), "job-1", to)
    assert (fates(outcome), sum(file.sent_bytes for file in outcome.files)) == (["there", "there"], 0)
    assert storage.objects(key_of(to)) == before
    assert (finished / LOG).stat().st_mtime_ns == log


async def test_what_somebody_changed_there_is_sent_again(finished: Path, storage: Storage, to: str) -> None:
    """Known is what the server has, not what we remember: other bytes of the same name, or none, are replaced."""
    first, second = (await pushing.push(told_by(finished, storage), "job-1", to)).files
    storage.ask("put_object", Key=key_of(first.url), Body=b"?" * first.size_bytes)
    storage.ask("delete_object", Key=key_of(second.url))
    assert fates(await pushing.push(told_by(finished, storage), "job-1", to)) == ["sent", "sent"]
    assert storage.bytes_of(key_of(first.url)) == (finished / first.path).read_bytes()


@pytest.mark.parametrize("how", ["missing", "changed"])
async def test_a_file_that_is_not_as_it_was_stays(how: str, finished: Path, storage: Storage, to: str) -> None:
    """Deleted or changed on disk since: not sent, said; the others go. Nothing false appears in the bucket."""
    broken, whole = pictures(finished)
    content = broken.read_bytes()
    harm(broken, how)
    outcome = await pushing.push(told_by(finished, storage), "job-1", to)
    assert sorted(fates(outcome)) == ["changed", "sent"]
    assert [key.rpartition("/")[2] for key in storage.objects(key_of(to))] == [whole.name]
    broken.write_bytes(content)
    assert sorted(fates(await pushing.push(told_by(finished, storage), "job-1", to))) == ["sent", "there"]
    harm(broken, how)
    assert sorted(fates(await pushing.push(told_by(finished, storage), "job-1", to))) == ["changed", "there"]
    broken.write_bytes(content)


class Counter:
    """How many calls of a function are under way at most."""

    most = flying = 0

    def around(self, function: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
        async def counted(*given: Any) -> str:
            self.flying += 1
            self.most = max(self.most, self.flying)
            try:
                return await function(*given)
            finally:
                self.flying -= 1

        return counted


async def test_a_hundred_small_files_go_four_at_a_time(
    finished: Path, storage: Storage, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All arrive, at most four at once; progress counts up to all files and all bytes; every row has its address."""
    for number in range(98):
        made(finished, f"small-{number}", os.urandom(2000 + number))
    seen, puts = list[sending.Progress](), Counter()
    monkeypatch.setattr(bucket.Bucket, "put", puts.around(bucket.Bucket.put))
    outcome = await pushing.push(told_by(finished, storage), "job-1", to, watch=seen.append)
    assert (outcome.count("sent"), puts.most) == (100, sending.AT_ONCE)
    assert (seen[-1].files_done, seen[-1].done_bytes) == (100, sum(file.size_bytes for file in outcome.files))
    assert [p.done_bytes for p in seen] == sorted(p.done_bytes for p in seen)
    assert len(storage.objects(key_of(to))) == 100
    assert (len(addresses(finished)), all(addresses(finished))) == (100, True)


async def test_a_large_file_goes_in_parts(
    finished: Path, storage: Storage, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 MB: four parts, whole at the far side, its hash beside it; of all files together four parts fly at a time."""
    content = os.urandom(30_000_000)
    made(finished, "large", content)
    made(finished, "other", os.urandom(20_000_000))
    seen, parts = list[int](), Counter()
    monkeypatch.setattr(bucket.Bucket, "send_part", parts.around(bucket.Bucket.send_part))
    outcome = await pushing.push(told_by(finished, storage), "job-1", to, watch=lambda p: seen.append(p.done_bytes))
    (large,) = [file for file in outcome.files if file.size_bytes == len(content)]
    there = storage.ask("get_object", Key=key_of(large.url))
    assert (there["Body"] == content, there["Metadata"]) == (True, {"sha256": large.sha256})
    assert there["ETag"].endswith(f'-{-(-len(content) // PART_BYTES)}"')
    assert parts.most == sending.AT_ONCE
    assert (seen == sorted(seen), len(set(seen)) > 7, seen[-1]) == (
        True,
        True,
        sum(f.size_bytes for f in outcome.files),
    )
    assert set(fates(await pushing.push(told_by(finished, storage), "job-1", to))) == {"there"}


async def test_a_large_file_that_changes_meanwhile_never_appears(
    finished: Path, storage: Storage, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed between two of its parts: nothing of it is seen in the bucket, and no parts are left there."""
    large = made(finished, "large", os.urandom(3 * PART_BYTES))
    send_part = bucket.Bucket.send_part

    async def meddled(*given: Any) -> str:
        harm(large, "changed")
        return await send_part(*given)

    monkeypatch.setattr(bucket.Bucket, "send_part", meddled)
    outcome = await pushing.push(told_by(finished, storage), "job-1", to)
    assert sorted(fates(outcome)) == ["changed", "sent", "sent"]
    assert not [key for key in storage.objects(key_of(to)) if key.endswith("large.png")]
    assert not storage.ask("list_multipart_uploads", Prefix=key_of(to)).get("Uploads")
    large.unlink()


async def test_logs_go_along_on_demand(finished: Path, storage: Storage, to: str) -> None:
    """`with_logs`: the logs as they are when the addresses stand in them; a second push sends none."""
    outcome = await pushing.push(told_by(finished, storage), "job-1", to, with_logs=True)
    names = sorted(Path(file.path).name for file in outcome.files if file.path.endswith(".toml"))
    assert names == ["ai_image_generation.toml", "asset_semantics.toml"]
    assert storage.bytes_of(key_of(f"{to}/{LOG}")) == (finished / LOG).read_bytes()
    assert set(fates(await pushing.push(told_by(finished, storage), "job-1", to, with_logs=True))) == {"there"}


async def test_the_latest_picture_of_a_place_is_sent(
    finished: Path, storage: Storage, to: str, open_studio: OpenStudio
) -> None:
    """Made anew with `overwrite`: the new bytes are sent and only their row gets the address."""
    async with open_studio() as studio:
        await studio.generate(one(num_images=2, overwrite=True))
    outcome = await pushing.push(told_by(finished, storage), "job-1", to)
    assert fates(outcome) == ["sent", "sent"]
    on_disk = {path.name for path in pictures(finished)}
    assert {Path(file.path).name for file in outcome.files} == on_disk


async def test_keys_that_may_only_write_are_enough(finished: Path, storage: Storage, to: str) -> None:
    """They cannot look what is there; then what the ledger remembers counts."""
    settings = told_by(finished, storage, "blind")
    assert fates(await pushing.push(settings, "job-1", to)) == ["sent", "sent"]
    assert fates(await pushing.push(settings, "job-1", to)) == ["there", "there"]


# ---------------------------------------------------------------------- whose pictures


async def test_a_permission_taken_back_keeps_the_picture_here(
    workspace: Path, storage: Storage, to: str, open_studio: OpenStudio
) -> None:
    """What was made from a person's picture leaves while the permission stands; after a revocation it stays."""
    from hoasi import consent

    face = person(workspace / "mai.jpg")
    async with open_studio() as studio:
        await studio.generate(one(references=["mai.jpg"], consent="Mai đồng ý", num_images=1))
        await studio.generate(one("no person"))
    settings = told_by(workspace, storage)
    assert fates(pushing.plan(settings, "job-1", to)) == ["planned", "planned"]
    sha256 = hashlib.sha256(face.read_bytes()).hexdigest()
    consent.revoke(
        consent.file_of(settings, "job-1"),
        sha256,
        at="2026-11-27T10:00:00+00:00",
        lock_path=workspace / ".hoasi" / "locks" / "consent.lock",
        temp_name=".hoasi-0-consent.tmp",
    )
    outcome = await pushing.push(settings, "job-1", to)
    assert sorted(fates(outcome)) == ["kept", "sent"]
    (kept,) = [file for file in outcome.files if file.fate == "kept"]
    assert "mai.jpg" in kept.why
    assert len(storage.objects(key_of(to))) == 1


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    "written",
    ["", "videos", "https://videos/x", "s3://", "s3://ab", "s3://Videos/x", "s3://my_bucket", "s3://a..b", "s3://10.0.0.1/x",
     "s3://videos/a//b", "s3://videos/../x", "s3://videos/a\nb", "s3://user:secret@videos", "s3://" + "a" * 64],
)  # fmt: skip
def test_a_place_that_cannot_be_is_refused(written: str) -> None:
    """Said before anything is asked of anybody."""
    with pytest.raises(HoasiError) as caught:
        place_of(written)
    assert caught.value.key == "s3_target_bad"


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("s3://videos", Place(bucket="videos")),
        ("s3://videos/", Place(bucket="videos")),
        ("s3://my.videos-2/a/b/", Place(bucket="my.videos-2", prefix="a/b")),
        ("s3://videos/năm nay", Place(bucket="videos", prefix="năm nay")),
    ],
)
def test_a_place_is_a_bucket_and_a_folder(written: str, place: Place) -> None:
    """Slashes at the end mean nothing; letters of any language may name the folder."""
    assert place_of(written) == place
    assert place.url("jobs/a.png").startswith(written.rstrip("/"))


WRONG: list[tuple[str, dict[str, str], str, str, int]] = [
    ("writer", {}, "s3://no-such-bucket", "s3_denied", 1),
    ("owner", {}, "s3://no-such-bucket", "s3_bucket_missing", 2),
    ("reader", {}, f"s3://{BUCKET}/denied", "s3_denied", 1),
    ("nobody", {}, f"s3://{BUCKET}/nobody", "s3_keys_rejected", 1),
    ("writer", {"AWS_SECRET_ACCESS_KEY": "wrong-secret-1234"}, f"s3://{BUCKET}/wrong", "s3_keys_rejected", 1),
    ("writer", {"AWS_SECRET_ACCESS_KEY": ""}, f"s3://{BUCKET}/none", "s3_keys_missing", 2),
    ("writer", {"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "nobody"}, f"s3://{BUCKET}/none", "s3_profile_missing", 2),
    ("writer", {"HOASI_S3_ENDPOINT_URL": "http://storage.example"}, f"s3://{BUCKET}", "address_refused", 2),
    ("writer", {"HOASI_S3_ENDPOINT_URL": "http://127.0.0.1:1"}, f"s3://{BUCKET}", "s3_unreachable", 1),
]


@pytest.mark.parametrize(("who", "more", "target", "key", "code"), WRONG, ids=[f"{w[0]}-{w[3]}" for w in WRONG])
async def test_what_is_wrong_is_said(
    who: str,
    more: dict[str, str],
    target: str,
    key: str,
    code: int,
    finished: Path,
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each failure names its fix and costs nothing; neither key nor secret is in its words; the log is as it was."""
    monkeypatch.setattr(bucket, "ATTEMPTS", 2)
    log = (finished / LOG).read_bytes()
    with pytest.raises(HoasiError) as caught:
        await pushing.push(told_by(finished, storage, who, **more), "job-1", target)
    error = caught.value
    assert (error.key, error.exit_code, error.paid) == (key, code, "no")
    assert "secret" not in str(error.problem())
    assert (finished / LOG).read_bytes() == log


async def test_a_server_that_is_no_s3_is_named(finished: Path, storage: Storage, fal: str, to: str) -> None:
    """Something else answers at the endpoint."""
    with pytest.raises(HoasiError) as caught:
        await pushing.push(told_by(finished, storage, HOASI_S3_ENDPOINT_URL=fal), "job-1", to)
    assert caught.value.key == "s3_no_server"
    assert fal in str(caught.value.facts)


async def test_without_the_extra_it_says_what_to_install(
    finished: Path, storage: Storage, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is no part of hoasi itself; a dry run does not need it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiobotocore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    assert fates(pushing.plan(told_by(finished, storage), "job-1", to)) == ["planned", "planned"]
    with pytest.raises(HoasiError) as caught:
        await pushing.push(told_by(finished, storage), "job-1", to)
    assert caught.value.key == "s3_extra_missing"


async def test_nothing_finished_is_nothing_to_push(workspace: Path, storage: Storage, to: str) -> None:
    """Before anything was made, and in a job that nothing was made for."""
    with pytest.raises(HoasiError) as caught:
        await pushing.push(told_by(workspace, storage), "job-1", to)
    assert caught.value.key == "push_nothing"
    async with Studio(workspace) as studio:
        studio.start()
    with pytest.raises(HoasiError) as again:
        await pushing.push(told_by(workspace, storage), "job-1", to)
    assert again.value.key == "push_nothing"


async def test_one_push_of_a_job_at_a_time(
    finished: Path, storage: Storage, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one is told that the first is at work."""
    monkeypatch.setattr(pushing, "BUSY_S", 0.05)
    settings = told_by(finished, storage)
    with held(pushing.lock_of(settings, "job-1 pushing")), pytest.raises(DiskTrouble) as caught:
        await pushing.push(settings, "job-1", to)
    assert caught.value.key == "file_busy"


def test_the_logs_lock_is_the_scribes(workspace: Path) -> None:
    """Who tells an end and who tells an address wait for each other."""
    settings = read(workspace, None, {})
    assert Scribe(settings, "x")._lock("a telling") == pushing.lock_of(settings, "a telling")


async def test_a_plan_needs_no_network_and_changes_nothing(finished: Path, to: str) -> None:
    """`plan` works without server and keys, and writes no file."""
    before = {path: path.read_bytes() for path in files(finished) if ".db" not in path.name}
    outcome = pushing.plan(read(finished, None, {}), "job-1", to, with_logs=True)
    assert fates(outcome) == ["planned"] * 4
    assert {path: path.read_bytes() for path in files(finished) if ".db" not in path.name} == before


def test_keys_come_whole_from_one_place(workspace: Path) -> None:
    """The process environment first, then `.env`; never the id of one with the secret of the other."""
    dotenv = {"AWS_ACCESS_KEY_ID": "b", "AWS_SECRET_ACCESS_KEY": "bb", "AWS_SESSION_TOKEN": "bbb"}
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "aa"}

    def keys(environ: dict[str, str]) -> list[str]:
        return [*bucket._keys(Settings(workspace, environ, dotenv)).values()]

    assert keys(environ) == ["a", "aa"]
    assert keys({"AWS_ACCESS_KEY_ID": "a"}) == ["b", "bb", "bbb"]
    assert keys({"AWS_PROFILE": "p"}) == []


# ---------------------------------------------------------------------- the address in the log

ROW = 'output_path = "a.png"\nsha256 = "aa"\n'
HEAD = '[metadata]\njob_id = "j"\n\n'
SHAPES = {
    "ours": HEAD + f'[[generations]]\nid = "GEN_001"\nprompt = """\nmột\n"""\n{ROW}',
    "a prompt that looks like a log": HEAD
    + '[[generations]]\nprompt = """\n[[generations]]\ns3_url = "no"\n""\\" \\u005c # "\n"""\n'
    + f'{ROW}\n[[generations]]\noutput_path = "b"\n',
    "comments and literals": HEAD
    + "[[generations]] # [[generations]]\nnote = '[[generations]]'\nlong = '''\n[[generations]]\n''''\n"
    + f"{ROW}# the end\n",
    "a table below the row": HEAD + f"[[generations]]\n{ROW}[generations.more]\ns3_url = 'mine'\n[other]\nx = 1\n",
    "an older address": HEAD + f'[[generations]]\ns3_url = "s3://old/a.png"\n{ROW}',
    "an older address, by hand": HEAD + f"[[ generations ]]\n  s3_url='s3://old/a.png' # here\n{ROW}",
    "windows": (HEAD + f"[[generations]]\n{ROW}").replace("\n", "\r\n"),
    "no line at the end": HEAD + f"[[generations]]\n{ROW}".rstrip("\n"),
    "two of the same": HEAD + f"[[generations]]\n{ROW}\n[[generations]]\n{ROW}",
}
Tell = Callable[[str], str]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Tell the address of a.png in a log of this text; gives the new text."""

    def tell(text: str) -> str:
        log = tmp_path / "log.toml"
        log.write_bytes(text.encode())
        joblog_urls.tell(
            log,
            {("a.png", "aa"): "s3://videos/á.png"},
            memory=None,
            lock_path=tmp_path / "lock",
            temp_name=".hoasi-0-log.tmp",
        )
        return log.read_bytes().decode()

    return tell


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES.keys())
def test_the_address_is_put_into_its_row_whatever_the_file_looks_like(text: str, tell: Tell) -> None:
    """Everything else stays, byte for byte but for the line; a second telling changes nothing."""
    after = tell(text)
    expected = tomllib.loads(text)
    for row in expected["generations"]:
        if row.get("output_path") == "a.png":
            row["s3_url"] = "s3://videos/á.png"
    assert tomllib.loads(after) == expected
    lines = after.splitlines(keepends=False)
    assert [line for line in text.splitlines() if "old/a.png" not in line and line not in lines] == []
    assert tell(after) == after


@pytest.mark.parametrize(
    "text",
    [
        "[metadata\n",
        'generations = [{output_path = "a.png", sha256 = "aa"}]\n',
        f'[["generations"]]\n{ROW}',
        f'[["generations"]]\n{ROW}\n[[generations]]\noutput_path = "b"\n',
        "generations = 1\n",
        'generations = ["x"]\n',
        "\udcff",
    ],
)
def test_a_file_that_cannot_take_a_line_stays(text: str, tmp_path: Path, tell: Tell) -> None:
    """No TOML, or another layout: said, and not a byte is changed."""
    log = tmp_path / "log.toml"
    content = text.encode("utf-8", "surrogateescape")
    with pytest.raises(FileBroken) as caught:
        tell_bytes(log, content, tmp_path)
    assert (caught.value.key, log.read_bytes()) == ("log_not_told", content)


def tell_bytes(log: Path, content: bytes, tmp_path: Path) -> None:
    log.write_bytes(content)
    urls = {("a.png", "aa"): "s3://videos/a.png"}
    joblog_urls.tell(log, urls, memory=None, lock_path=tmp_path / "lock", temp_name=".hoasi-0-log.tmp")


async def test_a_broken_log_stops_nothing(finished: Path, storage: Storage, to: str) -> None:
    """The files are sent; that their addresses could not be written is a warning."""
    (finished / LOG).write_text("[metadata\n")
    outcome = await pushing.push(told_by(finished, storage), "job-1", to)
    assert (fates(outcome), len(outcome.warnings)) == (["sent", "sent"], 1)
    assert (finished / LOG).read_text() == "[metadata\n"
    (finished / LOG).unlink()
