"""The fields of a recipe: what the network is told, and where each case's value stands."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, cast, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from napari_film.fields import CategoricalField, ContinuousField, Value, folded

from .part import Part

Axis = Literal["left-right", "front-back", "up-down", "horizontal", "vertical"]
"""Of the body; or, of slices as they were acquired and of pictures, along a row (horizontal) and along a column (vertical)."""


def _one_or_several(content: object) -> object:
    return (content,) if isinstance(content, str) else content


class _Read(Part):
    """What every field has: where its value stands, and whether it tells of a place.

    ``column`` becomes another name of the field in the checkpoint, so that the dock fills it in from the same column.
    ``spatial`` is the axis, or the axes, along which the value is a place: an image mirrored along one has another value.
    """

    name: str
    description: str = ""
    column: str | None = None
    unknown: bool = False
    spatial: Annotated[tuple[Axis, ...], BeforeValidator(_one_or_several)] = ()

    @property
    def filled_in(self) -> bool:
        """Whether the program fills it in, so that no case says anything of it."""
        return False

    def _aliases(self) -> tuple[str, ...]:
        return (self.column,) if self.column and folded(self.column) != folded(self.name) else ()


class CategoricalRecipe(_Read):
    """A categorical field; ``column`` names its column, where that is not called as the field.

    ``bins`` makes it of a number: edges, in ``unit``, between one value and the next, which begins at the edge. ``mirror`` tells of
    a spatial field which value an image has once it is mirrored; a value that it does not name stays. Where it is spatial along
    several axes there is one such table for each. A target field says which integers in the masks each value means, and its
    column, if given, which values are labelled in a case.
    """

    kind: Literal["categorical"] = "categorical"
    role: Literal["target", "context"] = "context"
    values: tuple[str, ...] = Field(min_length=1)
    synonyms: Mapping[str, tuple[str, ...]] = {}
    bins: tuple[float, ...] = ()
    unit: str = ""
    mirror: Mapping[str, str] | Mapping[Axis, Mapping[str, str]] = {}
    labels: Mapping[str, tuple[int, ...]] = {}

    @field_validator("mirror", mode="before")
    @classmethod
    def _tables_are_of_axes(cls, mirror: object) -> object:
        if isinstance(mirror, Mapping) and any(isinstance(pairs, Mapping) for pairs in mirror.values()):
            for key, pairs in mirror.items():
                if key not in get_args(Axis) or not isinstance(pairs, Mapping):
                    axes = ", ".join(get_args(Axis))
                    raise ValueError(f"{key} stands among tables; give pairs of values alone, or a table for each of {axes}")
        return mirror

    @model_validator(mode="after")
    def _labels_fit_the_role(self) -> Self:
        self.field()
        if self.role == "context" and self.labels:
            raise ValueError("labels belong to a target field; a context field's classes stand under [[classes]]")
        if self.role == "target" and set(self.labels) != set(self.values):
            raise ValueError(f"labels needs one entry for each of: {', '.join(self.values)}")
        if self.role == "target" and self.unknown:
            raise ValueError("a target field cannot be unknown: there would be nothing to segment")
        if self.role == "target" and self.bins:
            raise ValueError("bins belong to a context field; a target field is what to segment")
        if self.unit and not self.bins:
            raise ValueError("unit belongs to a number: give bins, or kind = 'continuous'")
        return self

    @model_validator(mode="after")
    def _mirror_is_a_mirror(self) -> Self:
        if self.mirror and not self.spatial:
            raise ValueError("mirror belongs to a field with spatial, the axis that is mirrored")
        by_axis = bool(self.mirror) and all(isinstance(pairs, Mapping) for pairs in self.mirror.values())
        if self.mirror and not by_axis and len(self.spatial) > 1:
            raise ValueError(f"mirror needs a table for each axis that spatial names: {', '.join(self.spatial)}")
        if by_axis and (other := [axis for axis in self.mirror if axis not in self.spatial]):
            raise ValueError(f"mirror has a table for {other[0]}, which spatial does not name: {', '.join(self.spatial)}")
        for pairs in self._mirrors().values():
            for value in (*pairs.keys(), *pairs.values()):
                if value not in self.values:
                    raise ValueError(f"mirror names {value!r}, which is not among the values: {', '.join(self.values)}")
            twice = len(set(pairs.values())) < len(pairs)
            if twice or any(pairs.get(other, value) != value for value, other in pairs.items()):
                raise ValueError("mirror gives two values one mirror image; write each pair once")
        return self

    def _mirrors(self) -> Mapping[str, Mapping[str, str]]:
        """Pairs of mirror images, by axis."""
        if all(isinstance(pairs, Mapping) for pairs in self.mirror.values()):
            return cast(Mapping[str, Mapping[str, str]], self.mirror)
        return {self.spatial[0]: cast(Mapping[str, str], self.mirror)}

    def movable(self, axis: Axis) -> bool:
        """Whether the value of an image mirrored along ``axis`` is known."""
        return axis not in self.spatial or bool(self._mirrors().get(axis))

    def mirrored(self, value: Value, axis: Axis) -> Value:
        """Give the value of an image mirrored along ``axis``."""
        pairs = self._mirrors().get(axis, {})
        back = {other: one for one, other in pairs.items()}
        return pairs.get(str(value), back.get(str(value), value))

    def field(self) -> CategoricalField:
        """Give the field as a checkpoint stores it."""
        return CategoricalField(
            name=self.name,
            role=self.role,
            unknown=self.unknown,
            description=self.description,
            aliases=() if self.role == "target" else self._aliases(),
            values=self.values,
            synonyms=self.synonyms,
            bins=self.bins,
            unit=self.unit,
        )

    def looked_up(self) -> CategoricalField:
        """Give the field under the name of its column, as the data are read."""
        return self.field().model_copy(update={"name": self.column or self.name, "aliases": ()})


class ContinuousRecipe(_Read):
    """A field that is a number. A spatial one is 0 in the middle, so that mirroring changes its sign, if ``mirror`` is set.

    ``per_slice`` makes it one that the program fills in, slice by slice: "position" is the slice's place among the slices, from
    ``minimum`` to ``maximum``. No column is read for it, so that an image without any table can be segmented as well.
    """

    kind: Literal["continuous"]
    role: Literal["context"] = "context"
    minimum: float
    maximum: float
    unit: str = ""
    outside: Literal["refuse", "clamp"] = "refuse"
    per_slice: Literal["position"] | None = None
    mirror: bool = False

    @model_validator(mode="after")
    def _range_is_a_range(self) -> Self:
        self.field()
        if self.per_slice and self.column:
            raise ValueError(f"column {self.column!r} stands beside per_slice, which the program fills in without a table; leave one out")
        if self.per_slice and self.spatial:
            raise ValueError("spatial is for places within a slice; a field that is per slice says which slice it is, so leave spatial out")
        if self.mirror and not self.spatial:
            raise ValueError("mirror belongs to a field with spatial, the axis that is mirrored")
        if self.mirror and self.minimum != -self.maximum:
            raise ValueError(f"mirror needs a range that is the same on both sides of 0; it is {self.minimum:g} to {self.maximum:g}")
        return self

    @property
    def filled_in(self) -> bool:
        """Whether the program fills it in, so that no case says anything of it."""
        return self.per_slice is not None

    def movable(self, axis: Axis) -> bool:
        """Whether the value of an image mirrored along ``axis`` is known."""
        return axis not in self.spatial or self.mirror

    def mirrored(self, value: Value, axis: Axis) -> Value:
        """Give the value of an image mirrored along ``axis``; *unknown* stays."""
        return -value if self.mirror and axis in self.spatial and not isinstance(value, str) else value

    def field(self) -> ContinuousField:
        """Give the field as a checkpoint stores it."""
        kept = self.model_dump(exclude={"column", "spatial", "mirror"})
        return ContinuousField(**kept, aliases=self._aliases())

    def looked_up(self) -> ContinuousField:
        """Give the field under the name of its column, as the data are read."""
        return self.field().model_copy(update={"name": self.column or self.name, "aliases": ()})


def _kind_of_field(content: object) -> object:
    return content.get("kind", "categorical") if isinstance(content, dict) else getattr(content, "kind", None)


FieldRecipe = Annotated[
    Annotated[CategoricalRecipe, Tag("categorical")] | Annotated[ContinuousRecipe, Tag("continuous")],
    Discriminator(_kind_of_field, custom_error_type="kind", custom_error_message="kind should be 'categorical' or 'continuous'"),
]
