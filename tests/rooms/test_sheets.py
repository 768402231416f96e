"""A job at one look: every scene has its frame, with its latest picture or the reason why there is none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from calls import OpenStudio, fault, files, harm
from hoasi import Ask, Studio
from hoasi.cli.app import run
from hoasi.media.contact_sheet import Grid, Shot, draw, grid_of
from hoasi.messages import explain, say
from hoasi.records import Request
from hoasi.sandbox import Sandbox
from hoasi.sheets import PAGE, Cell, Sheet, _shot

SIZES = {"9:16": (90, 160), "16:9": (160, 90), "1:1": (100, 100)}
RED = (220, 30, 30)


def drawn(shots: list[Shot], grid: Grid, max_px: int) -> Image.Image:
    return Image.open(io.BytesIO(draw("job-1", "told", shots, grid, max_px))).convert("RGB")


def reds(picture: Image.Image) -> int:
    """So many pixels are of the pictures' red."""
    pixels = picture.get_flattened_data()
    return sum(r > 190 and g < 70 and b < 70 for r, g, b in pixels)


@pytest.mark.parametrize("count", [1, 2, 7, 60])
@pytest.mark.parametrize("ratio", SIZES)
@pytest.mark.parametrize("max_px", [512, 1568])
def test_all_frames_fit_and_nothing_is_cut(count: int, ratio: str, max_px: int) -> None:
    """Whatever the number and shape, the sheet is within its size and shows every picture whole."""
    width, height = SIZES[ratio]
    grid = grid_of(count, [width / height] * count, max_px)
    sheet = drawn([Shot(f"SC_{k:02}", Image.new("RGB", (width, height), RED)) for k in range(count)], grid, max_px)
    assert max(sheet.size) <= max_px
    assert grid.columns * grid.rows >= count
    scale = min(grid.width / width, grid.height / height)
    one_picture = round(width * scale) * round(height * scale)
    assert reds(sheet) == pytest.approx(count * one_picture, rel=0.15)


def test_a_frame_of_another_shape_is_not_stretched() -> None:
    """A wide picture among upright ones keeps its shape within the same cell."""
    grid = grid_of(3, [9 / 16, 9 / 16, 16 / 9], 1568)
    shots = [Shot("a"), Shot("b"), Shot("c", Image.new("RGB", (160, 90), RED))]
    box = red_box(drawn(shots, grid, 1568))
    assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(16 / 9, rel=0.05)


def red_box(picture: Image.Image) -> tuple[int, int, int, int]:
    """Where the red is."""
    red, green, _ = picture.split()
    is_red, is_dark = red.point(lambda v: 255 * (v > 190)), green.point(lambda v: 255 * (v < 70))
    found = ImageChops.multiply(is_red, is_dark)
    box = found.getbbox()
    assert box is not None
    return box


def test_words_of_any_length_are_drawn() -> None:
    """Long captions, notes and reasons, accents, emoji and nothing at all neither fail nor leave the sheet."""
    long = "Nhà cung cấp chặn nội dung này vì ảnh có thể vi phạm chính sách về người thật. " * 20
    shots = [
        Shot("SC_01_một_tên_cảnh_rất_rất_dài_" * 4, note="đang vẽ lại " * 9, head="Lỗi", reason=long, tone="bad"),
        Shot("", head="", reason=""),
        Shot("🎬", Image.new("RGB", (1, 400), RED), note="🎬", is_clip=True),
    ]
    for max_px in (512, 1568):
        sheet = drawn(shots, grid_of(3, [], max_px), max_px)
        assert max(sheet.size) <= max_px


def of_scene(scene: str, prompt: str = "a kite", **more: Any) -> Ask:
    """One picture of a scene of the job."""
    request = Request.model_validate({"prompt": prompt, "scene": {"id": scene}, **more})
    return Ask(requests=(request,), job_id="job-1")


@pytest.mark.anyio
async def test_frames_follow_the_plan_and_say_why_one_is_empty(open_studio: OpenStudio, sandbox: Sandbox) -> None:
    """Scenes in the plan's order, then others; the latest success counts, a later failure is noted beside it."""
    blocked = fault("submit", "validation", value="content_policy_violation", times=0)
    async with open_studio() as studio:
        await studio.generate(of_scene("EXTRA"))
        await studio.generate(of_scene("SC_02", num_images=2))
        sandbox.faults.add(blocked)
        await studio.generate(of_scene("SC_01", "another"))
        await studio.generate(of_scene("EXTRA", "another"))
        cells = studio.sheet("job-1").cells
        told = [(cell.caption, cell.note, cell.artifact is None) for cell in cells]
        assert told == [
            ("SC_01", "", True),
            ("SC_02", "1/2", False),
            ("SC_02", "2/2", False),
            ("EXTRA", say("cli.state.failed"), False),
        ]
        shot = _shot(cells[0], studio.settings.workspace, 100)
        assert (shot.head, shot.tone) == (say("cli.state.failed").capitalize(), "bad")
        assert cells[0].latest is not None
        assert cells[0].latest.problem is not None
        assert shot.reason == explain(cells[0].latest.problem).message


@pytest.mark.anyio
async def test_a_scene_that_wants_only_a_clip_has_its_frame(workspace: Path) -> None:
    """Nothing that the plan wants of AI is left out of the sheet, and what is filmed has no frame."""
    scene = '[[scene_intents]]\nid = "{}"\nvisual_intent = "a kite"\nasset_requirements = ["{}"]\n'
    wanted = {"SC_01": "ai_video", "SC_02": "raw_video", "SC_03": "ai_generated"}
    plan = workspace / "jobs" / "job-1" / "source" / "creative_plan.toml"
    plan.write_text("".join(scene.format(*pair) for pair in wanted.items()), "utf-8")
    async with Studio(workspace, environ={}) as studio:
        await studio.generate(of_scene("SC_03", provider="local"))
        sheet = studio.sheet("job-1")
        assert [cell.caption for cell in sheet.cells] == ["SC_01", "SC_03"]
        assert sheet.missing == ("SC_01",)


@pytest.mark.anyio
async def test_a_file_that_is_gone_or_broken_is_missing(workspace: Path) -> None:
    """It is counted as missing, and its frame says so instead of failing the sheet."""
    async with Studio(workspace, environ={}) as studio:
        reply = await studio.generate(of_scene("SC_01", provider="local"))
        assert studio.sheet("job-1").missing == ("SC_02",)
        harm(reply.generations[0].outputs[0])
        sheet = studio.sheet("job-1")
        assert sheet.missing == ("SC_01", "SC_02")
        assert sheet.page().missing == ("SC_01", "SC_02")


def test_many_frames_go_on_further_pages(workspace: Path) -> None:
    """Sixty a page; the last page holds the rest."""
    cells = tuple(Cell(f"SC_{k:03}", None, "", None) for k in range(PAGE + 5))
    sheet = Sheet(workspace, "job-1", cells)
    assert sheet.pages == 2
    assert sheet.page(1).missing == tuple(cell.caption for cell in cells[:PAGE])
    assert sheet.page(2).missing == tuple(cell.caption for cell in cells[PAGE:])


def test_the_command_keeps_it_beside_the_logs(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`hoasi sheet` writes one JPEG into the job's source folder and nothing where the watcher looks."""
    before = set(files(workspace))
    with pytest.raises(SystemExit) as left:
        run(["sheet", "job-1", "--workspace", str(workspace)])
    assert left.value.code == 0
    kept = workspace / "jobs" / "job-1" / "source" / "contact_sheet.jpg"
    assert set(files(workspace)) - before == {kept}
    assert str(kept) in capsys.readouterr().out
    with Image.open(kept) as picture:
        assert picture.format == "JPEG"
