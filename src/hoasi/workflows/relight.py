"""Floor 3, workflows: the preset relight."""

from __future__ import annotations

from typing import Any, ClassVar

from hoasi.errors import WrongInput
from hoasi.given import Way
from hoasi.messages import say
from hoasi.options import shown
from hoasi.records import Request
from hoasi.sources.prompt import clean
from hoasi.workflows._editing import Editing, chosen, masked
from hoasi.workflows._workflow import said, words

FULL = 100.0


class Relight(Editing):
    """Another light on one picture. Costs one picture a result.

    The background is replaced as well (the reply says so) unless `keep_background`: then a model of lighting styles
    makes it; for what such a model cannot be told Stability, which is told to keep it; else an edit by words. Or unless
    Stability's own option `keep_original_background` says the same: it is asked for no other background then.
    """

    chooses: ClassVar[str] = "lighting"

    lighting: str = "natural"
    """natural, studio, golden_hour, dramatic, neon or soft."""
    direction: str | None = None
    """Where the light comes from: left, right, above, below, top (taken for above), front or back (said in words)."""
    intensity: float | None = None
    """0 to 100, of the light from a direction; 100 unless told otherwise."""
    keep_background: bool = False
    mask: str | None = None
    """A picture of the shape of the first: only what is white in it, or transparent, has another light. Only with
    `keep_background`, as an edit by words: no model of light takes one."""
    prompt: str = ""
    """A wish besides, such as what stands behind the subject."""

    @classmethod
    def meant(cls, choices: tuple[str, ...]) -> dict[str, Any]:
        """Light, direction, intensity, `keep_background`: each says by itself what it is.

        Raises:
            WrongInput: two of a kind.
        """
        fields: dict[str, Any] = {}
        for choice in map(str.strip, choices):
            name, value = _read(choice)
            if name in fields:
                raise WrongInput("edit_choices", parameter=name, count=len(choices))
            fields[name] = value
        return fields

    def requests(self) -> tuple[Request, ...]:
        """The one picture."""
        if self.intensity is not None and not 0 <= self.intensity <= FULL:
            raise WrongInput("edit_value", parameter="intensity", value=f"{self.intensity:g}", allowed="0-100")
        if self.mask is not None and not self.keep_background:
            raise WrongInput("video_needs", name="mask", other="keep_background")
        self._from(words("relight"))
        return (self._kept() if self.keep_background else self._replaced(),)

    def _replaced(self) -> Request:
        table = words("relight")
        if self.intensity is not None and self.direction is None:
            raise WrongInput("video_needs", name="intensity", other="direction")
        kept = table["lights_kept"] if self._is_same_place else {}
        light = chosen("lighting", self.lighting, {**table["lights"], **kept})
        replaced = () if self._is_same_place else (say("relight.replaced"),)
        notes = (*replaced, *self._lossy(table["directions"]))
        return self._edit(
            self._scene(light, table), operation="relight", output_format="png", options=self._told(table), notes=notes
        )

    def _scene(self, light: str, table: dict[str, Any]) -> str:
        """Light and background in words; and the direction, where there is no parameter for it."""
        lit = light if self._direction(table) else f"{light}{self._from(table)}{self._how_strong(table)}"
        return table["wish"].format(light=lit, wish=self._wish) if self._wish else lit

    def _told(self, table: dict[str, Any]) -> dict[str, Any]:
        """The parameters of the model that replaces the background, or is told to keep it."""
        return {"preserve_original_subject": table["preserve"], **self._light(table)}

    @property
    def _is_same_place(self) -> bool:
        """The model itself is told to keep the background."""
        return shown(self.options.get("keep_original_background", False)) == "true"

    @property
    def _wish(self) -> str:
        return clean(self.prompt)

    def _direction(self, table: dict[str, Any]) -> str | None:
        """The direction as the API has it; None where it has no such one, or none is said."""
        directions: dict[str, str] = table["directions"]
        return directions.get(self.direction or "")

    def _light(self, table: dict[str, Any]) -> dict[str, Any]:
        """The light's direction and strength, where the API has the direction."""
        used = self._direction(table)
        share = (FULL if self.intensity is None else self.intensity) / FULL
        strength = round(table["strength"] * share, 3)
        return {} if used is None else {"light_source_direction": used, "light_source_strength": strength}

    def _lossy(self, directions: dict[str, str]) -> tuple[str, ...]:
        """What the API only nearly has, or has not."""
        used = directions.get(self.direction or "")
        if self.direction is None or used == self.direction:
            return ()
        key = "relight.in_words" if used is None else "relight.direction"
        return (say(key, asked=self.direction, used=used),)

    def _kept(self) -> Request:
        """A lighting style by its name; what more is said by who can be told it, and to keep the background."""
        table = words("relight")
        light = chosen("lighting", self.lighting, {**table["lights"], **table["lights_kept"]})
        more = said(light_source_direction=self.direction, light_source_strength=self.intensity)
        if self.mask is not None:
            return self._edit(self._in_words(light, table), inputs=masked(self.mask))
        kept = Way(
            operation="relight",
            prompt=self._scene(light, table),
            options={**self._told(table), "keep_original_background": True, **self.options},
            notes=self._lossy(table["directions"]),
        )
        if self.provider == "stability" and not self.model:
            return self._edit(kept.prompt, operation="relight", options=kept.options, notes=kept.notes)
        spoken = Way(operation="edit_image", prompt=self._in_words(light, table), options={})
        return self._edit(
            self._wish,
            operation="relight",
            options={"lighting_style": self.lighting, **more},
            otherwise=() if self.model else (kept, spoken),
        )

    def _in_words(self, light: str, table: dict[str, Any]) -> str:
        template: str = table["kept"]
        strength, wish = self._how_strong(table), f", {self._wish}" if self._wish else ""
        return template.format(light=light, strength=strength, wish=wish, **{"from": self._from(table)})

    def _from(self, table: dict[str, Any]) -> str:
        return "" if self.direction is None else chosen("direction", self.direction, table["from"])

    def _how_strong(self, table: dict[str, Any]) -> str:
        steps = [step["words"] for step in table["strengths"] if step["at"] <= (self.intensity or 0.0)]
        return "" if self.intensity is None else str(steps[-1])


def _read(choice: str) -> tuple[str, Any]:
    """A choice by its field."""
    if choice == "keep_background":
        return "keep_background", True
    if choice.removesuffix("%").replace(".", "", 1).isdecimal():
        return "intensity", float(choice.removesuffix("%"))
    return ("direction" if choice in words("relight")["from"] else "lighting"), choice
