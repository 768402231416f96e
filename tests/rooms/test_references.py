"""Reference pictures: read once, bound by their hash, from the workspace or from an address."""

from __future__ import annotations

import hashlib
import io
import os
import random
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from hoasi import references
from hoasi.errors import FileBroken, PathRefused, ResultBroken
from hoasi.given import Input
from hoasi.messages import explain

LIMIT_BYTES = references.LIMITS_MB["image"] * 1024 * 1024


def encoded(form: str = "PNG", width: int = 64, height: int = 32, **options: Any) -> bytes:
    picture = Image.frombytes("RGB", (width, height), random.Random(5).randbytes(width * height * 3))
    sheet = io.BytesIO()
    picture.save(sheet, form, **options)
    return sheet.getvalue()


class Web:
    """A street with pictures: hands out bytes by address and remembers who asked."""

    def __init__(self, **shelf: bytes) -> None:
        self.shelf = {f"https://example.com/{name}": data for name, data in shelf.items()}
        self.asked: list[tuple[str, Path, int]] = []

    async def download(self, url: str, target: Path, limit: int) -> None:
        self.asked.append((url, target, limit))
        await anyio.Path(target).write_bytes(self.shelf[url])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "jobs" / "j1").mkdir(parents=True)
    return root


def resolve(workspace: Path, written: str, web: Web | None = None) -> Input:
    street = web or Web()
    return anyio.run(
        lambda: references.resolve(
            written, workspace=workspace, cache=workspace / ".hoasi" / "references", download=street.download
        )
    )


def refused(workspace: Path, written: str, web: Web | None = None) -> FileBroken:
    with pytest.raises(FileBroken) as caught:
        resolve(workspace, written, web)
    return caught.value


def test_a_local_picture(workspace: Path) -> None:
    """A picture in the workspace is measured and hashed as it lies there; its content says what it is."""
    data = encoded("JPEG")
    (workspace / "jobs/j1/face.png").write_bytes(data)
    for written in ("jobs/j1/face.png", "./jobs/../jobs/j1/face.png", str(workspace / "jobs/j1/face.png")):
        assert resolve(workspace, written) == Input(
            written=written,
            path="jobs/j1/face.png",
            sha256=hashlib.sha256(data).hexdigest(),
            media_type="image/jpeg",
            size_bytes=len(data),
            width=64,
            height=32,
        )
    assert not (workspace / ".hoasi").exists()


def test_sizes_are_upright(workspace: Path) -> None:
    """A telephone's picture counts as a viewer shows it, while its hash is over the bytes as they are."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (workspace / "a.jpg").write_bytes(encoded("JPEG", exif=exif))
    found = resolve(workspace, "a.jpg")
    assert (found.width, found.height) == (32, 64)


@pytest.mark.parametrize("written", ["../face.png", "/etc/hostname", "link.png", "folder/face.png", "~/face.png", ""])
def test_nothing_outside_is_read(workspace: Path, tmp_path: Path, written: str) -> None:
    """A reference outside the workspace, also behind a link, is refused even though it is a picture."""
    (tmp_path / "face.png").write_bytes(encoded())
    (workspace / "link.png").symlink_to(tmp_path / "face.png")
    (workspace / "folder").symlink_to(tmp_path)
    with pytest.raises(PathRefused):
        resolve(workspace, written)
    with pytest.raises(PathRefused):
        resolve(workspace, written)


@pytest.mark.parametrize("written", ["none.png", "jobs/none/a.png", "text.txt/a.png"])
def test_a_missing_reference_is_named(workspace: Path, written: str) -> None:
    """A reference that is not there is named as the user wrote it."""
    (workspace / "text.txt").write_text("x")
    error = refused(workspace, written)
    assert (error.key, error.facts["path"]) == ("reference_missing", written)
    assert written in explain(error.problem()).message


@pytest.mark.parametrize("name", ["text.txt", "empty.png", "cut.png", "jobs", "pipe.png"])
def test_what_is_no_picture_is_refused(workspace: Path, name: str) -> None:
    """Text, nothing, half a picture, a folder and a named pipe are no references; nothing is waited for."""
    (workspace / "text.txt").write_text("x")
    (workspace / "empty.png").touch()
    (workspace / "cut.png").write_bytes(encoded()[:-100])
    os.mkfifo(workspace / "pipe.png")
    error = refused(workspace, name)
    assert (error.key, error.facts["path"], error.paid) == ("reference_not_picture", name, "no")


def test_a_heavy_file_is_refused_unread(workspace: Path) -> None:
    """A file of more than 30 MB is refused by its size alone; of 30 MB it is looked at."""
    with (workspace / "big.png").open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    error = refused(workspace, "big.png")
    assert (error.key, error.facts) == ("reference_too_large", {"path": "big.png", "limit_mb": 30, "limit_mpx": 100})
    os.truncate(workspace / "big.png", LIMIT_BYTES)
    assert refused(workspace, "big.png").key == "reference_not_picture"


def test_a_vast_picture_is_refused(workspace: Path) -> None:
    """A picture of more than 100 million pixels is refused however small its file is."""
    (workspace / "vast.png").write_bytes(_flat(10_001, 10_000))
    assert refused(workspace, "vast.png").key == "reference_too_large"
    (workspace / "just.png").write_bytes(_flat(10_000, 10_000))
    assert resolve(workspace, "just.png").width == 10_000


def _flat(width: int, height: int) -> bytes:
    sheet = io.BytesIO()
    Image.new("1", (width, height)).save(sheet, "PNG")
    return sheet.getvalue()


def test_an_address_is_kept_by_its_hash(workspace: Path) -> None:
    """A remote picture lands in the cache under its hash, named by its content; the address stays as written."""
    data = encoded("WEBP", lossless=True)
    web = Web(face=data)
    found = resolve(workspace, "https://example.com/face", web)
    sha256 = hashlib.sha256(data).hexdigest()
    assert (found.written, found.sha256, found.media_type) == ("https://example.com/face", sha256, "image/webp")
    assert found.path == f".hoasi/references/{sha256}.webp"
    assert (workspace / found.path).read_bytes() == data
    ((_, target, limit),) = web.asked
    assert (target.name.startswith(".hoasi-"), target.suffix, limit) == (True, ".tmp", LIMIT_BYTES)
    assert [file.name for file in target.parent.iterdir()] == [f"{sha256}.webp"]


def test_a_bad_answer_leaves_nothing(workspace: Path) -> None:
    """What an address gives is judged like a local file, and no trace of it stays in the cache."""
    web = Web(page=b"<html>", heavy=bytes(LIMIT_BYTES + 1))
    assert refused(workspace, "https://example.com/page", web).key == "reference_not_picture"
    assert refused(workspace, "https://example.com/heavy", web).key == "reference_too_large"
    assert list((workspace / ".hoasi/references").iterdir()) == []


@pytest.mark.parametrize("trouble", [FileBroken("reference_refused", status=404), TimeoutError(), ResultBroken("x")])
def test_the_streets_own_errors_pass_through(workspace: Path, trouble: Exception) -> None:
    """What the download says reaches the caller as it is, and its half file is removed."""

    class Broken(Web):
        async def download(self, url: str, target: Path, limit: int) -> None:
            await anyio.Path(target).write_bytes(b"half")
            raise trouble

    with pytest.raises(type(trouble)) as caught:
        resolve(workspace, "HTTPS://example.com/a.png", Broken())
    assert caught.value is trouble
    assert list((workspace / ".hoasi/references").iterdir()) == []


def test_a_token_in_an_address_is_not_told(workspace: Path) -> None:
    """An error names the address without its query, user and password; they may be secret."""
    web = Web()
    web.shelf = {"https://me:secret@example.com/p.png?sig=secret#secret": b"no picture"}
    error = refused(workspace, *web.shelf, web)
    assert error.facts["path"] == "https://example.com/p.png"


@pytest.mark.parametrize(
    ("written", "scheme"),
    [
        ("data:image/png;base64," + "A" * 9000, "data"),
        ("file:///etc/passwd", "file"),
        ("ftp://example.com/a.png", "ftp"),
        ("s3://bucket/a.png", "s3"),
        ("javascript:alert(1)", "javascript"),
        ("httpx://[", "httpx"),
    ],
)
def test_other_schemes_are_refused(workspace: Path, written: str, scheme: str) -> None:
    """Only paths and web addresses are taken; the error names the scheme and stays short."""
    for attempt in (resolve,):
        with pytest.raises(FileBroken) as caught:
            attempt(workspace, written)
        assert (caught.value.key, caught.value.facts["scheme"]) == ("reference_scheme", scheme)
        assert len(explain(caught.value.problem()).message) < 200


def test_a_colon_in_a_file_name(workspace: Path) -> None:
    """A file whose name looks like a scheme is reached with `./` before it."""
    (workspace / "scene:1.png").write_bytes(encoded())
    assert refused(workspace, "scene:1.png").key == "reference_scheme"
    assert resolve(workspace, "./scene:1.png").path == "scene:1.png"
