"""Hall (floor 6): the commands that make clips: `video`, `extend`, `lip-sync`."""

from __future__ import annotations

from typing import Annotated

import typer

from hoasi.cli import making
from hoasi.cli.answer import Answer
from hoasi.cli.frame import call_of
from hoasi.cli.making import INPUT, option

Text = str | None
VideoFile = Annotated[str, typer.Argument(help="help.make.video_file", metavar="VIDEO")]


def video(
    context: typer.Context,
    *,
    prompt: Annotated[Text, option("--prompt", key="make.clip_prompt", panel=INPUT)] = None,
    first_frame: Annotated[Text, option("--first-frame", key="make.first_frame", metavar="FILE", panel=INPUT)] = None,
    last_frame: Annotated[Text, option("--last-frame", key="make.last_frame", metavar="FILE", panel=INPUT)] = None,
    references: Annotated[
        list[str] | None, option("--reference-images", key="make.references", metavar="A,B", panel=INPUT)
    ] = None,
    motion_video: Annotated[
        Text, option("--motion-video", key="make.motion_video", metavar="FILE", panel=INPUT)
    ] = None,
    duration_s: Annotated[float | None, option("--duration", key="make.duration", metavar="SECONDS")] = None,
    mode: Annotated[Text, option("--mode", key="make.mode", metavar="std|pro|4k")] = None,
    sound: Annotated[bool | None, option("--sound/--no-sound", key="make.sound")] = None,
    aspect_ratio: Annotated[Text, option("--aspect-ratio", key="make.clip_ratio", metavar="W:H")] = None,
    resolution: Annotated[Text, option("--resolution", key="make.clip_resolution")] = None,
    negative_prompt: Annotated[Text, option("--negative-prompt", key="negative_prompt")] = None,
    cfg_scale: Annotated[float | None, option("--cfg-scale", key="make.cfg_scale", metavar="X")] = None,
    character_orientation: Annotated[
        Text, option("--character-orientation", key="make.character_orientation", metavar="image|video")
    ] = None,
    keep_original_sound: Annotated[
        bool | None, option("--keep-original-sound/--no-keep-original-sound", key="make.keep_original_sound")
    ] = None,
    provider: making.Provider = None,
    model: making.Model = None,
    seed: making.Seed = None,
    scene_id: making.Scene = None,
    job_id: making.Job = None,
    output_dir: making.OutputDir = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
    consent: making.Consent = None,
    no_faces: making.NoFaces = False,
    minor: making.Minor = False,
) -> Answer:
    """Make a clip; what is given says from what."""
    given = dict(locals())
    from hoasi.workflows import GenerateVideo

    call = call_of(context)
    given["references"] = making.inputs_of(references, call.settings().workspace)
    return making.make(call, GenerateVideo, given, files=("first_frame", "last_frame", "motion_video"))


def extend(
    context: typer.Context,
    *,
    video: VideoFile,
    prompt: Annotated[Text, option("--prompt", key="make.extend_prompt")] = None,
    duration_s: Annotated[float | None, option("--duration", key="make.extend_duration", metavar="SECONDS")] = None,
    extend_direction: Annotated[Text, option("--direction", key="make.direction", metavar="end|start")] = None,
    negative_prompt: Annotated[Text, option("--negative-prompt", key="negative_prompt")] = None,
    provider: making.Provider = None,
    model: making.Model = None,
    seed: making.Seed = None,
    scene_id: making.Scene = None,
    job_id: making.Job = None,
    output_dir: making.OutputDir = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
    consent: making.Consent = None,
    no_faces: making.NoFaces = False,
    minor: making.Minor = False,
) -> Answer:
    """Make a clip longer. Costs the seconds that are added."""
    given = dict(locals())
    from hoasi.workflows import ExtendVideo

    return making.make(call_of(context), ExtendVideo, given, files=("video",))


def lip_sync(
    context: typer.Context,
    *,
    video: VideoFile,
    audio: Annotated[str, typer.Argument(help="help.make.audio_file", metavar="AUDIO")],
    face_index: Annotated[int | None, option("--face-index", key="make.face_in_clip", metavar="N")] = None,
    sound_volume: Annotated[float | None, option("--sound-volume", key="make.sound_volume", metavar="X")] = None,
    original_audio_volume: Annotated[
        float | None, option("--original-audio-volume", key="make.original_volume", metavar="X")
    ] = None,
    sound_start_s: Annotated[float | None, option("--sound-start", key="make.sound_start", metavar="SECONDS")] = None,
    sound_end_s: Annotated[float | None, option("--sound-end", key="make.sound_end", metavar="SECONDS")] = None,
    sound_insert_s: Annotated[
        float | None, option("--sound-insert", key="make.sound_insert", metavar="SECONDS")
    ] = None,
    provider: making.Provider = None,
    model: making.Model = None,
    seed: making.Seed = None,
    scene_id: making.Scene = None,
    job_id: making.Job = None,
    output_dir: making.OutputDir = None,
    dry_run: making.DryRun = False,
    max_cost_usd: making.MaxCost = None,
    overwrite: making.Overwrite = False,
    resubmit: making.Resubmit = False,
    consent: making.Consent = None,
    no_faces: making.NoFaces = False,
    minor: making.Minor = False,
) -> Answer:
    """Move the lips of a person in a clip to a sound. Costs one clip."""
    given = dict(locals())
    from hoasi.workflows import LipSync

    return making.make(call_of(context), LipSync, given, files=("video", "audio"))
