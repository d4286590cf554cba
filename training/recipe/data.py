"""Where a recipe's cases are.

A *source* is one data set: a BIDS folder, a table, or a phantom that is drawn when it is not there. Several go into one run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from .part import Part


class Phantom(Part):
    """A synthetic data set, generated where there is none yet."""

    kind: str
    subjects: int = Field(ge=3)
    seed: int = Field(default=0, ge=0)
    one_organ_per_scan: bool = False


class Source(Part):
    """One data set. Paths are relative to the recipe's folder.

    ``labels`` names the derivative with the masks of a BIDS folder. ``labelled`` are the values of the target field that all of
    its masks have labels for; where it is empty, the field's column says it case by case, or all values are labelled.
    ``cells`` are columns that hold for all of it, such as ``{ site = "north" }``.
    """

    bids: Path | None = None
    table: Path | None = None
    phantom: Phantom | None = None
    labels: str = "labels"
    labelled: tuple[str, ...] = ()
    cells: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.bids, self.table, self.phantom)) != 1:
            raise ValueError("give one of bids, table and phantom")
        return self


class Data(Part):
    """The data sets of a run: one, its keys standing here, or several under ``sources``.

    ``soft_masks`` allows masks with fractional values, the part of a voxel that belongs to the structure.
    """

    bids: Path | None = None
    table: Path | None = None
    phantom: Phantom | None = None
    labels: str = "labels"
    labelled: tuple[str, ...] = ()
    cells: Mapping[str, str] = {}
    sources: tuple[Source, ...] = ()
    soft_masks: bool = False

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        alone = any(place is not None for place in (self.bids, self.table, self.phantom))
        if alone and self.sources:
            raise ValueError("give one data set's keys here, or several under sources, not both")
        if not self.sources:
            self.all_sources()
        return self

    def all_sources(self) -> tuple[Source, ...]:
        """Give the data sets, one or several."""
        if self.sources:
            return self.sources
        return (Source(**self.model_dump(exclude={"sources", "soft_masks"})),)

    def below(self, folder: Path) -> "Data":
        """Give the same with the paths of data sets below ``folder``."""
        return self.model_copy(
            update={**_below(self, folder), "sources": tuple(s.model_copy(update=_below(s, folder)) for s in self.sources)}
        )


def _below(source: "Source | Data", folder: Path) -> dict[str, Path]:
    return {key: folder / path for key in ("bids", "table") if (path := getattr(source, key)) is not None}
