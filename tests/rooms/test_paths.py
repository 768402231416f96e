"""Paths: everything we read or write for a caller lies inside the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoasi import paths
from hoasi.errors import NotFound, PathRefused
from hoasi.messages import LANGUAGES, explain, speak


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "jobs" / "2026-04-25_001_ad" / "input" / "raw_assets").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"x")
    (root / "a.png").write_bytes(b"x")
    return root


def refused(workspace: Path, written: str | Path) -> PathRefused:
    with pytest.raises(PathRefused) as caught:
        paths.inside(workspace, written, what="--output-dir")
    assert caught.value.facts["what"] == "--output-dir"
    return caught.value


@pytest.mark.parametrize(
    "written", ["a.png", "./a.png", "jobs/../a.png", "jobs/nowhere/../../a.png", "../work/a.png", Path("a.png")]
)
def test_the_same_file_written_differently(workspace: Path, written: str | Path) -> None:
    """However a path inside is spelled, also over a detour, the one real path comes out."""
    assert paths.inside(workspace, written, what="x") == workspace / "a.png"
    assert paths.inside(workspace, workspace / written, what="x") == workspace / "a.png"


def test_what_does_not_exist_yet_is_fine(workspace: Path) -> None:
    """A folder that is still to be made may be named."""
    assert paths.inside(workspace, "outputs/new/deep", what="x") == workspace / "outputs/new/deep"


@pytest.mark.parametrize(
    "written", ["../secret.png", "jobs/../../secret.png", "/etc/passwd", "/", "..", "../workshop/a.png"]
)
def test_leaving_the_workspace_is_refused(workspace: Path, written: str) -> None:
    """Neither `..` nor an absolute path, nor a neighbour with a similar name, leads out; the error names the path."""
    assert (refused(workspace, written).key, refused(workspace, written).facts["path"]) == ("path_outside", written)


def test_links_lead_where_they_lead(workspace: Path, tmp_path: Path) -> None:
    """A link out of the workspace is refused, also below it and for new files; one that stays inside is not."""
    (workspace / "out").symlink_to(tmp_path)
    (workspace / "file.png").symlink_to(tmp_path / "secret.png")
    (workspace / "in.png").symlink_to("a.png")
    for written in ("out", "out/secret.png", "out/new.png", "file.png"):
        assert refused(workspace, written).key == "path_outside"
    assert paths.inside(workspace, "in.png", what="x") == workspace / "a.png"


def test_a_workspace_behind_a_link(workspace: Path, tmp_path: Path) -> None:
    """The workspace itself may be reached through a link, and absolute paths by either name."""
    (tmp_path / "alias").symlink_to(workspace)
    for root in (workspace, tmp_path / "alias"):
        for written in ("a.png", str(workspace / "a.png"), str(tmp_path / "alias" / "a.png")):
            assert paths.inside(root, written, what="x") == workspace / "a.png"
    assert paths.relative(tmp_path / "alias", tmp_path / "alias" / "a.png") == "a.png"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("", "path_empty"),
        ("  \n", "path_empty"),
        ("~", "path_tilde"),
        ("~/a.png", "path_tilde"),
        ("~root/a.png", "path_tilde"),
        ("a\0.png", "path_unusable"),
        ("a\ud83d.png", "path_unusable"),
        ("~\ud83d.png", "path_unusable"),
        ("x" * 300, "path_unusable"),
        ("loop/a.png", "path_unusable"),
    ],
)
def test_odd_paths_have_their_own_words(workspace: Path, written: str, key: str) -> None:
    """Empty, `~`, NUL, half characters, endless names and loops of links are refused, and each error can be said."""
    (workspace / "loop").symlink_to("loop")
    error = refused(workspace, written)
    assert error.key == key
    for language in reversed(LANGUAGES):
        speak(language)
        assert "--output-dir" in explain(error.problem()).message


def test_relative_is_how_logs_write_it(workspace: Path, tmp_path: Path) -> None:
    """Logs get paths relative to the workspace with `/`; a path outside has no such form."""
    assert paths.relative(workspace, workspace / "jobs" / "x" / "b.png") == "jobs/x/b.png"
    with pytest.raises(PathRefused, match="path_outside"):
        paths.relative(workspace, tmp_path / "secret.png")


def test_the_folder_of_a_job(workspace: Path) -> None:
    """A job that exists gives its folder."""
    assert paths.job_dir(workspace, "2026-04-25_001_ad") == workspace / "jobs/2026-04-25_001_ad"


@pytest.mark.parametrize(
    ("job_id", "suggestion"),
    [
        ("", "job-1"),
        ("..", "job-1"),
        ("a/b", "a-b"),
        ("Bu\u1ed5i S\u00e1ng \u0110\u1eb9p", "buoi-sang-dep"),
        ("2026_ad\n", "2026_ad"),
        ("a\0", "a"),
        ("\ud83d", "job-1"),
        ("x" * 256, "x" * 100),
    ],
)
def test_bad_job_ids_are_refused_with_a_suggestion(workspace: Path, job_id: str, suggestion: str) -> None:
    """A job id that is no plain name never becomes a path; the error proposes one that would do."""
    with pytest.raises(PathRefused) as caught:
        paths.job_dir(workspace, job_id)
    assert (caught.value.key, caught.value.facts["suggestion"]) == ("job_id_bad", suggestion)
    assert explain(caught.value.problem()).message.isprintable()


def test_a_job_id_with_accents_is_shown_as_it_was_written(workspace: Path) -> None:
    """A Vietnamese name is quoted as people write it; what cannot be seen is written out."""
    with pytest.raises(PathRefused) as caught:
        paths.job_dir(workspace, "\u0111\u00e1m-c\u01b0\u1edbi\u202e\n")
    assert caught.value.facts["job_id"] == "\u0111\u00e1m-c\u01b0\u1edbi\\u202e\\n"


def test_a_missing_job_names_its_neighbours(workspace: Path, tmp_path: Path) -> None:
    """A mistyped job id is answered with the nearest existing ones, else with some; without any jobs with a dash."""
    (workspace / "jobs" / "other").write_text("a file is no job")
    with pytest.raises(NotFound) as caught:
        paths.job_dir(workspace, "2026-04-25_001_add")
    assert (caught.value.key, caught.value.facts["near"]) == ("job_missing", "2026-04-25_001_ad")
    for root, job_id, near in ((workspace, "zzz", "2026-04-25_001_ad"), (tmp_path, "x" * 255, "-")):
        with pytest.raises(NotFound) as caught:
            paths.job_dir(root, job_id)
        assert caught.value.facts["near"] == near


def test_a_job_that_links_out_is_refused(workspace: Path, tmp_path: Path) -> None:
    """A job folder that is a link out of the workspace would carry our files out with it."""
    (tmp_path / "elsewhere").mkdir()
    (workspace / "jobs" / "j2").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PathRefused, match="path_outside"):
        paths.job_dir(workspace, "j2")


def test_writable_makes_the_folder_and_leaves_nothing(workspace: Path) -> None:
    """The proof makes the missing folders and leaves no file behind."""
    folder = workspace / "outputs" / "deep"
    paths.writable(folder)
    paths.writable(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("folder", ["a.png", "a.png/below"])
def test_a_file_in_the_way_is_found_before_paying(workspace: Path, folder: str) -> None:
    """Where a file stands in the folder's place, the proof fails and says which path."""
    with pytest.raises(PathRefused) as caught:
        paths.writable(workspace / folder)
    assert (caught.value.key, caught.value.facts["path"]) == ("folder_read_only", workspace / folder)
    assert caught.value.detail


def test_the_proof_is_a_real_file(tmp_path: Path) -> None:
    """A folder that exists but takes no new file (here the kernel's) is found out too, even for root."""
    with pytest.raises(PathRefused, match="folder_read_only"):
        paths.writable(Path("/proc/self"))


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("jobs/j1/input/raw_assets", True),
        ("jobs/j1/input/raw_assets/images/ai_generated/x.png", True),
        ("jobs/j1/input/raw_assets/../reference/x.png", False),
        ("jobs/j1/input/raw_assets_old/x.png", False),
        ("jobs/j2/input/raw_assets/x.png", False),
        ("outputs/x.png", False),
    ],
)
def test_what_the_watcher_sees(workspace: Path, path: str, seen: bool) -> None:
    """The watcher of a job sees what lies below its own raw_assets, and nothing else."""
    assert paths.is_watched(workspace, Path(path), "j1") is seen
    assert paths.is_watched(workspace, workspace / path, "j1") is seen


def test_the_watcher_follows_links(workspace: Path) -> None:
    """A link into raw_assets is seen, one that leads out of it is not."""
    raw = workspace / "jobs" / "j1" / "input" / "raw_assets"
    raw.mkdir(parents=True)
    (workspace / "short").symlink_to(raw)
    (raw / "away").symlink_to(workspace / "outputs")
    assert paths.is_watched(workspace, Path("short/x.png"), "j1")
    assert not paths.is_watched(workspace, raw / "away" / "x.png", "j1")
