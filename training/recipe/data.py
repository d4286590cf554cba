"""Where a recipe's cases are.

A *source* is one data set: a BIDS folder, a table, or a phantom that is drawn when it is not there. Several go into one run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from .part import Names, Part


class Phantom(Part):
    """A synthetic data set, generated where there is none yet.

    ``table`` is the one of its tables that is read, where it has several; "" for the one that it is drawn for.
    """

    kind: str
    table: str = Field(default="", pattern=r"^([A-Za-z0-9_-]+\.tsv)?$")
    subjects: int = Field(ge=3)
    seed: int = Field(default=0, ge=0)
    one_organ_per_scan: bool = False


class Place(Part):
    """Where one data set is, and what holds for all of it. Paths are relative to the recipe's folder.

    ``labels`` names the derivative with the masks of a BIDS folder, or several: one a rater. ``mask_suffix`` is what follows the
    image's name in a mask's, or several of that: one a rater; without it "dseg", else "seg-manual". ``labelled`` are the values of
    the target field that all of its masks have labels for; where it is empty, the field's column says it case by case, or all
    values are labelled. ``cells`` are columns that hold for all of it, such as ``{ site = "north" }``. ``name`` tells it from the
    others of a run.
    """

    bids: Path | None = None
    table: Path | None = None
    phantom: Phantom | None = None
    labels: Names = ("labels",)
    mask_suffix: Names = ()
    labelled: tuple[str, ...] = ()
    cells: Mapping[str, str] = {}
    name: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")

    @property
    def mask_suffixes(self) -> tuple[str, ...]:
        """What follows an image's name in its masks', as the recipe gives it; empty where it does not."""
        return tuple(suffix.removeprefix("_") for suffix in self.mask_suffix)


class Source(Place):
    """One data set."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.bids, self.table, self.phantom)) != 1:
            raise ValueError("give one of bids, table and phantom")
        return self


class Data(Place):
    """The data sets of a run: one, its keys standing here, or several under ``sources``.

    ``soft_masks`` allows masks with fractional values, the part of a voxel that belongs to the structure; half of it or more
    is in. ``unlabelled`` says what becomes of images without a mask. ``shared_subjects``: one name in two data sets is one person.
    """

    sources: tuple[Source, ...] = ()
    soft_masks: bool = False
    unlabelled: Literal["refuse", "skip"] = "refuse"
    shared_subjects: bool = False

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        # By value, not by what was written: the state of a run has all keys.
        beside = sorted(key for key, field in Place.model_fields.items() if getattr(self, key) != field.default)
        if beside and self.sources:
            raise ValueError(f"{beside[0]} stands beside sources; give one data set's keys here, or several under sources, not both")
        if not self.sources and sum(place is not None for place in (self.bids, self.table, self.phantom)) != 1:
            raise ValueError("give one of bids, table and phantom")
        names = [source.name for source in self.sources if source.name]
        if len(set(names)) < len(names):
            raise ValueError(f"two of the sources have one name: {', '.join(names)}")
        return self

    def all_sources(self) -> tuple[Source, ...]:
        """Give the data sets, one or several."""
        if self.sources:
            return self.sources
        return (Source(**self.model_dump(include=set(Place.model_fields))),)

    def below(self, folder: Path) -> "Data":
        """Give the same with the paths of data sets below ``folder``."""
        return self.model_copy(
            update={**_below(self, folder), "sources": tuple(s.model_copy(update=_below(s, folder)) for s in self.sources)}
        )


def _below(source: Place, folder: Path) -> dict[str, Path]:
    return {key: folder / path for key in ("bids", "table") if (path := getattr(source, key)) is not None}
