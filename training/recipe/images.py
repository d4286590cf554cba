"""What goes into the network of a recipe and what comes out: channels, classes, preprocessing."""

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_film.preprocessing import Normalisation
from napari_film.volume import SliceAxis

from .part import Names, Part


class ChannelRecipe(Part):
    """One image of a case; ``suffix`` is the end of its BIDS name ("ce-gadolinium_T1w"), which a table does without.

    Several suffixes of the first channel make each such image a case of its own, the suffix a column of it; of another channel
    the first that there is counts.
    """

    name: str
    suffix: Names = ()
    description: str = ""
    method: Literal["zscore", "window"] = "zscore"
    scope: Literal["slice", "volume"] = "slice"
    window: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _normalisation_is_one(self) -> Self:
        self.normalisation()
        return self

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes, as they are tried."""
        return tuple(suffix.removeprefix("_") for suffix in self.suffix)

    def normalisation(self) -> Normalisation:
        """Give the channel's entry in the checkpoint's preprocessing."""
        return Normalisation(method=self.method, scope=self.scope, window=self.window)


class ClassRecipe(Part):
    """A class that the network segments: the integers in the masks that belong to it."""

    name: str
    labels: tuple[int, ...] = Field(min_length=1)


class PreprocessingRecipe(Part):
    """As the checkpoint's preprocessing; ``spacing`` is mm along R, A, S, and 0 keeps the image's own.

    The slice axis "acquired" takes slices as the file has them, whatever their obliquity, and pictures; ``spacing`` is then along
    columns, rows and slices. ``fourth_axis`` says what the fourth axis of a 4D file is: frames, of which the first counts, or the
    channels of the recipe.
    """

    slice_axis: SliceAxis
    spacing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fourth_axis: Literal["frame", "channels"] = "frame"

    @field_validator("spacing")
    @classmethod
    def _is_a_length(cls, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        if any(not (math.isfinite(length) and length >= 0) for length in spacing):
            raise ValueError(f"{spacing} are no lengths in mm; 0 keeps the image's own")
        return spacing
