"""Floor 3, workflows: what a free edit and all presets share."""

from __future__ import annotations

from typing import Any, ClassVar

from hoasi.errors import WrongInput
from hoasi.given import Given
from hoasi.record import Operation, OptionValue
from hoasi.records import Request
from hoasi.workflows._workflow import Workflow, words

MOST_RESULTS = 9


class Editing(Workflow):
    """New pictures from pictures. `images` are files, https addresses or results of ours, `<<<image_1>>>` the first."""

    takes: ClassVar[tuple[int, int]] = (1, 1)
    """How many pictures at least and at most."""
    chooses: ClassVar[str] = ""
    """The parameter that `choices` of a flat call means."""

    images: tuple[str, ...]
    num_images: int = 1
    """How many results, 1 to 9."""
    resolution: str | None = None
    """2k unless told otherwise, where the model has a choice."""
    aspect_ratio: str | None = None
    options: dict[str, OptionValue] = {}
    """Further parameters of a model, as `Ask.options`."""

    @classmethod
    def meant(cls, choices: tuple[str, ...]) -> dict[str, Any]:
        """The fields that the choices of a flat call mean: usually one choice, and one field.

        Raises:
            WrongInput: too many.
        """
        if len(choices) > 1:
            raise WrongInput("edit_choices", parameter=cls.chooses, count=len(choices))
        return {cls.chooses: choices[0]}

    def _edit(self, prompt: str, operation: Operation = "edit_image", **more: Any) -> Request:
        """One request with this prompt.

        Raises:
            WrongInput: too few or too many pictures or results.
        """
        least, most = self.takes
        if not least <= len(self.images) <= most:
            raise WrongInput("edit_images", count=len(self.images), least=least, most=most)
        if not 1 <= self.num_images <= MOST_RESULTS:
            raise WrongInput("edit_results", count=self.num_images, most=MOST_RESULTS)
        usual = {
            "references": self.images,
            "num_images": self.num_images,
            "resolution": self.resolution,
            "prefers": {"resolution": words("edit_image")["resolution"]},
            "aspect_ratio": self.aspect_ratio,
        }
        options = {**more.pop("options", {}), **self.options}
        return self._request(operation, prompt, **{**usual, **more, "options": options})


def masked(mask: str | None) -> tuple[Given, ...]:
    """The input of that role; none where no mask is given."""
    return () if mask is None else (Given(role="mask", written=mask),)


def chosen(option: str, value: str, table: dict[str, str]) -> str:
    """The words of a value.

    Raises:
        WrongInput: there is none of that name.
    """
    if value not in table:
        raise WrongInput("edit_value", parameter=option, value=value, allowed=", ".join(table))
    return table[value]
