"""Metadata and how they become the condition vector of a network.

A schema is an ordered list of fields, each with columns of its own (see `fields`).

    condition (M,) = [field 1 | field 2 | ...]        M = sum of the fields' widths

Columns that hold `FILLED_IN` get their value from :meth:`MetadataSchema.at_slice`. Where a person gave one number for each of n
slices the condition has n · M columns, slice by slice.

Needs no torch: a checkpoint's schema is read, shown and checked without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from napari_film.fields import BY_SLICE, FILLED_IN, AnyField, CategoricalField, ContinuousField, MetadataError, Value, folded, written


@dataclass(frozen=True)
class Metadata:
    """Metadata as the schema spells them, and what a person must be told about how they got there."""

    values: Mapping[str, Value]
    notices: tuple[str, ...] = ()


class MetadataSchema(BaseModel):
    """The fields that a model is conditioned on, in the order of their columns."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fields: tuple[AnyField, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [field.name for field in self.fields]
        if len(set(names)) < len(names):
            raise ValueError(f"two fields have one name: {', '.join(names)}")
        if sum(field.role == "target" for field in self.fields) > 1:
            raise ValueError("more than one field is a target")
        return self

    @model_validator(mode="after")
    def _aliases_are_distinct(self) -> Self:
        owners: dict[str, str] = {}
        for field in self.fields:  # two names that differ in case alone are no fault as long as no alias is among them
            owners.setdefault(folded(field.name), field.name)
        for field in self.fields:
            for alias in field.aliases:
                if not alias.strip():
                    raise ValueError(f"field {field.name!r} has an empty alias")
                owner = owners.setdefault(folded(alias), field.name)
                if owner != field.name:
                    raise ValueError(f"the alias {alias!r} of field {field.name!r} stands for {owner!r} too")
        return self

    def __iter__(self) -> Iterator[CategoricalField | ContinuousField]:  # type: ignore[override]  # pydantic yields (name, value) pairs
        return iter(self.fields)

    def __getitem__(self, name: str) -> CategoricalField | ContinuousField:
        """Give the field of that name, or raise MetadataError that lists the names."""
        for field in self.fields:
            if field.name == name:
                return field
        names = ", ".join(field.name for field in self.fields) or "none: it takes no metadata"
        raise MetadataError(f"This model has no field {name!r}; its fields are {names}.")

    @property
    def width(self) -> int:
        """Columns M of the condition vector."""
        return sum(field.width for field in self.fields)

    @property
    def target(self) -> CategoricalField | None:
        """The field that says what to segment, if there is one."""
        for field in self.fields:
            if field.role == "target" and isinstance(field, CategoricalField):
                return field
        return None

    def resolve(self, metadata: Mapping[str, Value]) -> Metadata:
        """Check ``metadata`` and spell them as the schema does, in its order.

        A field that is per slice need not be named: then it is `BY_SLICE`.

        Raises
        ------
        MetadataError
            If a field is missing or not of this schema, or a value is not one that it takes.
        """
        for name in metadata:
            self[name]
        values: dict[str, Value] = {}
        notices = []
        for field in self.fields:
            if field.name not in metadata and not _is_per_slice(field):
                raise MetadataError(f"{field.name} is missing; give {field.expected}.")
            values[field.name], notice = field.resolve(metadata.get(field.name, BY_SLICE))
            if notice:
                notices.append(notice)
        return Metadata(values, tuple(notices))

    @property
    def per_slice(self) -> tuple[str, ...]:
        """Names of the fields that the program fills in slice by slice."""
        return tuple(field.name for field in self.fields if _is_per_slice(field))

    def encode(self, metadata: Mapping[str, Value]) -> NDArray[np.float32]:
        """Condition vector (M,) of ``metadata``, or (n · M,) where a field has one number for each of n slices; raises as ``resolve``.

        Columns of a field that is `BY_SLICE` hold `FILLED_IN`: :meth:`at_slice` knows the value.

        Raises
        ------
        MetadataError
            Also if two fields have numbers for different counts of slices.
        """
        values = self.resolve(metadata).values
        columns = [np.array(field.encode(values[field.name]), dtype=np.float32).reshape(-1, field.width) for field in self.fields]
        counts = {len(one): field.name for one, field in zip(columns, self.fields, strict=True) if len(one) > 1}
        if len(counts) > 1:
            (first, name), (second, other), *_ = counts.items()
            raise MetadataError(f"{name} has {first} numbers and {other} has {second}; give each one number per slice.")
        slices = max(counts, default=1)
        if not columns:
            return np.zeros(0, dtype=np.float32)
        return np.concatenate([np.broadcast_to(one, (slices, one.shape[1])) for one in columns], axis=1).ravel()

    def is_by_slice(self, condition: Sequence[float]) -> bool:
        """Whether ``condition``, as :meth:`encode` gives it, is another one in each slice."""
        return len(condition) != self.width or FILLED_IN in condition

    def at_slice(self, condition: Sequence[float], k: int, n: int) -> tuple[float, ...]:
        """Give the condition (M,) of slice ``k`` of ``n`` along the slice axis.

        Parameters
        ----------
        condition
            (M,) or (n · M,), as :meth:`encode` gives it: what holds `FILLED_IN` is filled in.

        Raises
        ------
        MetadataError
            If it has numbers for another count of slices.
        """
        width = self.width
        if len(condition) == n * width:
            condition = condition[k * width : (k + 1) * width]
        if len(condition) != width:
            raise _wrong_count(" and ".join(self.per_slice) or "The metadata", len(condition) // max(width, 1), n)
        if FILLED_IN not in condition:
            return tuple(condition)
        filled, first = list(condition), 0
        for field in self.fields:
            if isinstance(field, ContinuousField) and field.per_slice and condition[first] == FILLED_IN:
                value = np.array(field.encode(field.value_at(k, n)), dtype=np.float32)
                filled[first : first + field.width] = (float(column) for column in value)
            first += field.width
        return tuple(filled)


def spelled(metadata: Mapping[str, Value | Sequence[Value]], slices: int) -> dict[str, Value]:
    """Give ``metadata`` as fields take them: what has one number for each of ``slices`` as text, with commas between.

    Raises
    ------
    MetadataError
        If it has numbers for another count of slices.
    """
    values: dict[str, Value] = {}
    for name, value in metadata.items():
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or not np.ndim(value):
            values[name] = value  # type: ignore[assignment]  # a 0-dimensional array is a number
            continue
        if len(value) != slices:
            raise _wrong_count(name, len(value), slices)
        values[name] = ",".join(map(written, value))
    return values


def _wrong_count(names: str, count: int, slices: int) -> MetadataError:
    return MetadataError(
        f"{names} came with {count} {'number' if count == 1 else 'numbers'}, and the image has {slices} slices; "
        f"give one number per slice, one for all of them, or {BY_SLICE!r}."
    )


def _is_per_slice(field: CategoricalField | ContinuousField) -> bool:
    return isinstance(field, ContinuousField) and field.per_slice is not None
