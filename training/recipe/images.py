"""What goes into the network of a recipe and what comes out: channels, classes, preprocessing."""

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_film.preprocessing import Normalisation

from .part import Part


class ChannelRecipe(Part):
    """One image of a case; ``suffix`` is the end of its BIDS name ("ce-gadolinium_T1w")."""

    name: str
    suffix: str
    description: str = ""
    method: Literal["zscore", "window"] = "zscore"
    scope: Literal["slice", "volume"] = "slice"
    window: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _normalisation_is_one(self) -> Self:
        self.normalisation()
        return self

    def normalisation(self) -> Normalisation:
        """Give the channel's entry in the checkpoint's preprocessing."""
        return Normalisation(method=self.method, scope=self.scope, window=self.window)


class ClassRecipe(Part):
    """A class that the network segments: the integers in the masks that belong to it."""

    name: str
    labels: tuple[int, ...] = Field(min_length=1)


class PreprocessingRecipe(Part):
    """As the checkpoint's preprocessing; ``spacing`` is mm along R, A, S, and 0 keeps the image's own."""

    slice_axis: Literal["axial", "coronal", "sagittal"]
    spacing: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @field_validator("spacing")
    @classmethod
    def _is_a_length(cls, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        if any(not (math.isfinite(length) and length >= 0) for length in spacing):
            raise ValueError(f"{spacing} are no lengths in mm; 0 keeps the image's own")
        return spacing
