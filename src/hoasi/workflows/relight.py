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
    makes it, or, for what such a model cannot be told, an edit by words. Or unless Stability's own option
    `keep_original_background` says the same: then the same model makes it, and is asked for no other background.
    """

    chooses: ClassVar[str] = "lighting"

    lighting: str = "natural"
    """natural, studio, golden_hour, dramatic, neon or soft."""
    direction: str | None = None
    """Where the light comes from: left, right, above or below; front and top are taken for above, where need be."""
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
        return (self._kept() if self.keep_background else self._replaced(),)

    def _replaced(self) -> Request:
        table = words("relight")
        if self.intensity is not None and self.direction is None:
            raise WrongInput("video_needs", name="intensity", other="direction")
        kept = table["lights_kept"] if self._is_same_place else {}
        light = chosen("lighting", self.lighting, {**table["lights"], **kept})
        prompt = table["wish"].format(light=light, wish=self._wish) if self._wish else light
        options = {"preserve_original_subject": table["preserve"], **self._light(table["directions"])}
        replaced = () if self._is_same_place else (say("relight.replaced"),)
        notes = (*replaced, *self._lossy(table["directions"]))
        return self._edit(prompt, operation="relight", output_format="png", options=options, notes=notes)

    @property
    def _is_same_place(self) -> bool:
        """The model itself is told to keep the background."""
        return shown(self.options.get("keep_original_background", False)) == "true"

    @property
    def _wish(self) -> str:
        return clean(self.prompt)

    def _light(self, directions: dict[str, str]) -> dict[str, Any]:
        """The light's direction and strength, where a direction is said."""
        if self.direction is None:
            return {}
        share = (FULL if self.intensity is None else self.intensity) / FULL
        strength = round(words("relight")["strength"] * share, 3)
        return {
            "light_source_direction": chosen("direction", self.direction, directions),
            "light_source_strength": strength,
        }

    def _lossy(self, directions: dict[str, str]) -> tuple[str, ...]:
        """What the API only nearly has."""
        used = directions.get(self.direction or "")
        is_same = used is None or used == self.direction
        return () if is_same else (say("relight.direction", asked=self.direction, used=used),)

    def _kept(self) -> Request:
        """A lighting style by its name; what more is said goes into words, where no such model can be told it."""
        table = words("relight")
        light = chosen("lighting", self.lighting, {**table["lights"], **table["lights_kept"]})
        more = said(light_source_direction=self.direction, light_source_strength=self.intensity)
        if self.mask is not None:
            return self._edit(self._in_words(light, table), inputs=masked(self.mask))
        way = Way(operation="edit_image", prompt=self._in_words(light, table), options={})
        return self._edit(
            self._wish,
            operation="relight",
            options={"lighting_style": self.lighting, **more},
            otherwise=() if self.model else (way,),
        )

    def _in_words(self, light: str, table: dict[str, Any]) -> str:
        start = "" if self.direction is None else chosen("direction", self.direction, table["from"])
        steps = [step["words"] for step in table["strengths"] if step["at"] <= (self.intensity or 0.0)]
        template: str = table["kept"]
        return template.format(
            light=light,
            strength="" if self.intensity is None else steps[-1],
            wish=f", {self._wish}" if self._wish else "",
            **{"from": start},
        )


def _read(choice: str) -> tuple[str, Any]:
    """A choice by its field."""
    if choice == "keep_background":
        return "keep_background", True
    if choice.removesuffix("%").replace(".", "", 1).isdecimal():
        return "intensity", float(choice.removesuffix("%"))
    return ("direction" if choice in words("relight")["directions"] else "lighting"), choice
