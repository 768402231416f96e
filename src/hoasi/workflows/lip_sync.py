"""Floor 3, workflows: a person in a clip says what a sound file says."""

from __future__ import annotations

from hoasi.given import Given
from hoasi.records import Request
from hoasi.workflows._workflow import Workflow, said


class LipSync(Workflow):
    """Move the lips of one person in a clip to a sound. Costs one clip.

    Clip: 2 to 10 s (some models 60) with a visible face; sound: 2 to 60 s, at most 5 MB. Without times the sound
    covers as much of the clip as both last; a time is sent only where the model has it.
    """

    video: str
    audio: str
    face_index: int | None = None
    """Which face, in the order in which the provider finds them; 0, the first, unless told otherwise."""
    sound_volume: float | None = None
    """0 to 2; usually 1."""
    original_audio_volume: float | None = None
    """0 to 2; usually 1."""
    sound_start_s: float | None = None
    """From here of the sound, in seconds."""
    sound_end_s: float | None = None
    """To here of the sound, in seconds."""
    sound_insert_s: float | None = None
    """Where in the clip it begins, in seconds."""

    def requests(self) -> tuple[Request, ...]:
        """The one clip."""
        named = ("face_index", "sound_volume", "original_audio_volume", "sound_start_s", "sound_end_s")
        options = {name: getattr(self, name) for name in (*named, "sound_insert_s")}
        inputs = (Given(role="video", written=self.video), Given(role="audio", written=self.audio))
        return (self._request("lip_sync", inputs=inputs, options=said(**options)),)
