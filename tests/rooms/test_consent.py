"""No face leaves the machine without recorded consent: who said what about which picture, and for how long."""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from hoasi import consent
from hoasi.consent import Consent
from hoasi.errors import ConsentMissing, FileBroken

FACE, OTHER = "a" * 64, "b" * 64
NOW = "2026-05-01T12:00:00+07:00"


def said(by: str = "cli", **facts: Any) -> Consent:
    return Consent.model_validate(
        {
            "sha256": FACE,
            "words": "T\u00f4i \u0111\u1ed3ng \u00fd.",
            "by": by,
            "client": "test",
            "recorded_at": "2026-04-25T08:00:00+07:00",
            "picture": "jobs/j1/input/reference/a.jpg",
            **facts,
        }
    )


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "j1" / "source" / "consent.toml"


def add(book: Path, record: Consent) -> None:
    consent.add(book, record, lock_path=book.parents[3] / "locks" / "consent.lock", temp_name=".hoasi-t-consent.tmp")


def revoke(book: Path, sha256: str = FACE) -> bool:
    lock = book.parents[3] / "locks" / "consent.lock"
    return consent.revoke(book, sha256, at="2026-04-26T08:00:00+07:00", lock_path=lock, temp_name=".hoasi-t.tmp")


def standing(book: Path, *, strict: bool = False, now: str = NOW, sha256: str = FACE) -> str:
    return consent.standing(book, sha256, strict=strict, now=now)


def test_nothing_recorded_is_no_consent(book: Path) -> None:
    """Without a file, and for a picture that no record names, consent is missing."""
    assert standing(book) == "missing"
    add(book, said())
    assert (standing(book), standing(book, sha256=OTHER)) == ("granted", "missing")


def test_what_was_recorded_is_read_back(book: Path) -> None:
    """Records come back as they were given, oldest first, and the folder holds no leftover."""
    rows = (said(), said("argument", sha256=OTHER, words="", no_faces=True, expires_at="2026-12-31"))
    for row in rows:
        add(book, row)
    assert consent.records(book) == rows
    assert [file.name for file in book.parent.iterdir()] == ["consent.toml"]


@pytest.mark.parametrize("words", ["", "  \n\t", "\u00a0"])
def test_blank_words_are_no_consent(book: Path, words: str) -> None:
    """Empty or white words are not recorded, and written into the file by hand they grant nothing."""
    with pytest.raises(ConsentMissing, match="consent_words_empty"):
        add(book, said(words=words))
    assert not book.exists()
    add(book, said())
    text = book.read_text(encoding="utf-8")
    book.write_text(
        text.replace("T\u00f4i \u0111\u1ed3ng \u00fd.", words.replace("\n", " ").replace("\t", " ")), encoding="utf-8"
    )
    assert standing(book) == "missing"


@pytest.mark.parametrize(
    ("by", "strict", "expected"),
    [
        ("cli", True, "granted"),
        ("elicitation", True, "granted"),
        ("argument", True, "missing"),
        ("python", True, "missing"),
        ("argument", False, "granted"),
        ("python", False, "granted"),
    ],
)
@pytest.mark.parametrize("claim", [{}, {"words": "", "no_faces": True}])
def test_strict_counts_only_a_persons_word(
    book: Path, by: str, strict: bool, expected: str, claim: dict[str, Any]
) -> None:
    """In strict mode an argument may be an agent's own claim and grants nothing, neither words nor "no face"."""
    add(book, said(by, **claim))
    assert standing(book, strict=strict) == expected


def test_strict_is_not_disturbed_by_an_agent(book: Path) -> None:
    """An agent's later claim does not hide a person's earlier word."""
    add(book, said("cli"))
    add(book, said("argument", words="", no_faces=True))
    assert standing(book, strict=True) == "granted"


def test_the_latest_record_decides(book: Path) -> None:
    """A newer record replaces an older one, here by a shorter time, then by a longer."""
    add(book, said())
    add(book, said(expires_at="2026-04-30T00:00:00+07:00"))
    assert standing(book) == "expired"
    add(book, said(expires_at="2027-01-01T00:00:00+07:00"))
    assert standing(book) == "granted"


@pytest.mark.parametrize(
    ("expires_at", "now", "expected"),
    [
        ("2026-05-01T12:00:00+07:00", "2026-05-01T11:59:59+07:00", "granted"),
        ("2026-05-01T12:00:00+07:00", "2026-05-01T12:00:00+07:00", "expired"),
        ("2026-05-01T05:00:00Z", "2026-05-01T12:00:01+07:00", "expired"),
        ("2026-05-01T05:00:00Z", "2026-05-01T11:59:59+07:00", "granted"),
        ("2026-05-01", "2026-05-01T23:59:59", "granted"),
        ("2026-05-01", "2026-05-02T00:00:00", "expired"),
    ],
)
def test_consent_ends_when_it_says(book: Path, expires_at: str, now: str, expected: str) -> None:
    """An end in any time zone is kept to the second; a bare day lasts until its end."""
    add(book, said(expires_at=expires_at))
    assert standing(book, now=now) == expected


def test_toml_dates_are_understood(book: Path) -> None:
    """Somebody who writes the file by hand may use TOML's own dates."""
    add(book, said(expires_at="2026-04-30"))
    text = book.read_text(encoding="utf-8").replace('"2026-04-30"', "2026-04-30")
    book.write_text(text.replace('"2026-04-25T08:00:00+07:00"', "2026-04-25T08:00:00+07:00"), encoding="utf-8")
    assert standing(book) == "expired"
    assert standing(book, now="2026-04-30T10:00:00") == "granted"


def test_revoked_is_refused_until_a_person_says_otherwise(book: Path) -> None:
    """After a revocation an agent's claim does not help; a person's new word does, until it is revoked again."""
    add(book, said())
    assert revoke(book) is True
    assert standing(book) == standing(book, strict=True) == "revoked"
    add(book, said("argument"))
    add(book, said("python", words="", no_faces=True))
    assert standing(book) == "revoked"
    add(book, said("elicitation"))
    assert standing(book) == standing(book, strict=True) == "granted"
    revoke(book)
    assert standing(book) == "revoked"


def test_revoking_touches_only_that_picture(book: Path) -> None:
    """Every standing record of the picture is ended, an ended one keeps its moment, others stand."""
    early = said(revoked_at="2026-04-01T00:00:00Z")
    for row in (early, said(), said(sha256=OTHER), said("python")):
        add(book, row)
    assert revoke(book) is True
    ends = [row.revoked_at for row in consent.records(book)]
    assert ends == ["2026-04-01T00:00:00Z", "2026-04-26T08:00:00+07:00", None, "2026-04-26T08:00:00+07:00"]
    assert standing(book, sha256=OTHER) == "granted"


def test_revoking_nothing_says_so(book: Path) -> None:
    """There is nothing to take back without a standing record, and no file is made for it."""
    assert revoke(book) is False
    assert not book.exists()
    add(book, said())
    assert revoke(book) is True
    before = book.read_bytes()
    assert (revoke(book), book.read_bytes()) == (False, before)


def test_a_minor_is_refused_for_good(book: Path) -> None:
    """Once a picture is known to show a minor, no later record of anybody opens it."""
    add(book, said("argument", minor=True, words=""))
    add(book, said("cli"))
    add(book, said("elicitation", words="", no_faces=True))
    assert standing(book) == standing(book, strict=True) == "refused_minor"
    revoke(book)
    assert standing(book) == "refused_minor"


def test_comments_stay(book: Path) -> None:
    """What a person wrote into the file around the records is still there after adding and revoking."""
    add(book, said())
    book.write_text("# s\u1ed5 c\u1ee7a An\n" + book.read_text(encoding="utf-8") + "# xong\n", encoding="utf-8")
    add(book, said(sha256=OTHER))
    revoke(book)
    text = book.read_text(encoding="utf-8")
    assert text.startswith("# s\u1ed5 c\u1ee7a An\n")
    assert "# xong" in text
    assert len(tomllib.loads(text)["consents"]) == 2


def test_a_byte_order_mark_is_no_damage(book: Path) -> None:
    """A file saved by a Windows editor (BOM, CRLF) is read and added to."""
    add(book, said())
    book.write_bytes(b"\xef\xbb\xbf" + book.read_bytes().replace(b"\n", b"\r\n"))
    add(book, said(sha256=OTHER))
    assert (standing(book), standing(book, sha256=OTHER)) == ("granted", "granted")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: text + "\n[[consents]]\nsha256 = 1\n",
        lambda text: text.replace('by = "cli"', 'by = "god"'),
        lambda text: text.replace('by = "cli"', 'by = "cli"\nmystery = 1'),
        lambda text: text.replace("2026-04-25T08", "2026-24-25T08"),
        lambda text: text.replace("[[consents]]", "[consents]"),
        lambda text: text + '\nexpires_at = "soon"\n',
        lambda text: text.encode("utf-16").decode("latin-1"),
        lambda text: "x = " + "[" * 20_000,
    ],
)
def test_a_broken_file_grants_nothing_and_is_not_touched(book: Path, damage: Any) -> None:
    """Whatever cannot be understood is an error that names the file: never a consent, and never written over."""
    add(book, said())
    book.write_text(damage(book.read_text(encoding="utf-8")), encoding="utf-8")
    before = book.read_bytes()
    for attempt in (lambda: standing(book), lambda: add(book, said()), lambda: revoke(book)):
        with pytest.raises(FileBroken) as caught:
            attempt()
        assert (caught.value.key, caught.value.facts["file"]) == ("consent_broken", book)
    assert book.read_bytes() == before


def test_what_is_no_file_is_broken(book: Path) -> None:
    """A folder in the file's place, or bytes that are no UTF-8, grant nothing."""
    book.mkdir(parents=True)
    with pytest.raises(FileBroken):
        standing(book)
    book.rmdir()
    book.write_bytes(b"# \xff\n")
    with pytest.raises(FileBroken):
        standing(book)


def test_a_list_in_one_line_is_refused(book: Path) -> None:
    """Records written as one inline list are read, but not added to: the file would lose its shape."""
    row = f'{{sha256="{FACE}", words="ok", by="cli", recorded_at="2026-04-25", picture="a.jpg"}}'
    book.parent.mkdir(parents=True)
    book.write_text(f"consents = [{row}]\n")
    assert standing(book) == "granted"
    with pytest.raises(FileBroken) as caught:
        add(book, said())
    assert (caught.value.key, caught.value.facts["where"]) == ("consent_broken", "consents")


def test_a_last_line_without_an_end(book: Path) -> None:
    """A hand-edited file whose last line lacks its end, or is a comment, can be added to."""
    add(book, said())
    book.write_text(book.read_text(encoding="utf-8").rstrip("\n") + " # An", encoding="utf-8")
    add(book, said(sha256=OTHER))
    assert (standing(book), standing(book, sha256=OTHER)) == ("granted", "granted")


def test_a_file_is_never_replaced_by_another_meaning(book: Path) -> None:
    """Should the TOML writer lose or mangle a record, the file on disk stays."""
    add(book, said())
    before = book.read_bytes()
    with pytest.raises(FileBroken, match="consent_broken"):
        consent._save(book, tomlkit.document(), consent.records(book), ".hoasi-t.tmp")
    assert book.read_bytes() == before


@pytest.mark.parametrize(
    "words", ['He said "yes"\nand \\ so on', "'''\"\"\"", "\U0001f600 \u1ed5", "a\x07b", "# no comment", "]]"]
)
def test_words_are_kept_as_said(book: Path, words: str) -> None:
    """The user's own words survive quotes, line ends, emoji and everything else that TOML must escape."""
    add(book, said(words=words))
    assert consent.records(book)[0].words == words


def test_nobody_overwrites_anybody(book: Path) -> None:
    """Two dozen records written at the same time are all there."""
    shas = [f"{number:064x}" for number in range(24)]
    threads = [threading.Thread(target=add, args=(book, said(sha256=sha))) for sha in shas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.sha256 for row in consent.records(book)) == shas
