"""What a person has chosen to see in one mask: condition values, or all of a target field, or a mixture of some."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from napari_film.conditioning import Metadata
from napari_film.fields import BY_SLICE, CategoricalField, ContinuousField, Value
from napari_film.header import Header
from napari_film.inference.mixture import Mixture

Condition = tuple[float, ...]
POINTS = 5
"""Points of a continuous field that a person steps through."""


@dataclass(frozen=True)
class Member:
    """One label's, or one set of classes', share of a mask: conditions (M,) and how much each counts, in percent."""

    metadata: Metadata
    parts: tuple[tuple[int, Condition], ...]


@dataclass(frozen=True)
class Choice:
    """Condition values under a checkpoint's schema, or all values of its target field at once, or weights for one field."""

    header: Header
    metadata: Mapping[str, Value] = field(default_factory=dict)
    all_values: bool = False
    mixture: Mixture | None = None

    @classmethod
    def first(cls, header: Header) -> "Choice":
        """What stands before anybody chose."""
        return cls(header, {field.name: field.default for field in header.metadata_schema})

    def with_metadata(self, values: Mapping[str, Value]) -> "tuple[Choice, tuple[str, ...]]":
        """Give the choice of ``values``, and what the person must be told of them; raises MetadataError."""
        resolved = self.header.metadata_schema.resolve(values)
        return replace(self, metadata=dict(resolved.values)), resolved.notices

    def with_all_values(self, on: bool) -> "Choice":
        """Give the choice of all values of the target field; where there is none, nothing changes."""
        return replace(self, all_values=on and self.header.metadata_schema.target is not None)

    def with_mixture(self, mixture: Mixture | None) -> "Choice":
        """Give the choice of ``mixture`` in place of one value of its field; raises InputError where it cannot be one."""
        if mixture is not None:
            mixture.components(self.header.metadata_schema, self.metadata)
        return replace(self, mixture=mixture)

    def stepped(self, name: str, by: int) -> "Choice":
        """Give the choice ``by`` values further in the field ``name``, round at the ends."""
        values = steps(self.header, name)
        now = self.metadata[name]
        if now in values:
            place = (values.index(now) + by) % len(values)
        else:  # between two points of a continuous field: to the next on that side
            above = sum(isinstance(value, float) and isinstance(now, float) and value <= now for value in values)
            place = (above if by > 0 else above - 1) % len(values)
        return self.with_metadata({**self.metadata, name: values[place]})[0]

    def another(self) -> "Choice":
        """Give the choice to begin a comparison with: the next value of the field that is most worth swapping."""
        field = leading_field(self.header)
        if field is None:
            return self
        now = self.metadata[field.name]
        value = field.values[(field.values.index(str(now)) + 1) % len(field.values)] if now in field.values else field.values[0]
        return self.with_metadata({**self.metadata, field.name: value})[0]

    def members(self) -> list[Member]:
        """What the mask is put together of: one member, or one for each value of the target field."""
        return list(self._members)

    def conditions(self) -> list[Condition]:
        """The conditions (M,) that the mask needs."""
        return list(self._conditions)

    def others(self) -> list[Condition]:
        """What may be chosen next: the other values of each categorical field, the rest left as it is."""
        if self.all_values:
            return []
        categorical = [field for field in self.header.metadata_schema if isinstance(field, CategoricalField)]
        changes = [{field.name: value} for field in categorical for value in field.choices if value != self.metadata[field.name]]
        return [self._condition({**self.metadata, **change}) for change in changes]

    @cached_property
    def _members(self) -> tuple[Member, ...]:  # asked for with every slice that comes
        schema = self.header.metadata_schema
        if not (self.all_values and schema.target):
            return (self._member(self.metadata),)
        return tuple(self._member({**self.metadata, schema.target.name: value}) for value in schema.target.values)

    @cached_property
    def _conditions(self) -> tuple[Condition, ...]:
        return tuple(dict.fromkeys(condition for member in self._members for _, condition in member.parts))

    def _member(self, metadata: Mapping[str, Value]) -> Member:
        schema = self.header.metadata_schema
        resolved = schema.resolve(metadata)
        if self.mixture is None:
            return Member(resolved, ((100, self._condition(metadata)),))
        if self.mixture.mode == "blended":
            blended = self.mixture.blended_condition(schema, metadata)
            return Member(resolved, ((100, tuple(float(column) for column in blended)),))
        components = self.mixture.components(schema, metadata)
        return Member(resolved, tuple((percent, self._condition(each.values)) for percent, each in components))

    def _condition(self, metadata: Mapping[str, Value]) -> Condition:
        return tuple(float(column) for column in self.header.metadata_schema.encode(metadata))


def leading_field(header: Header) -> CategoricalField | None:
    """The field that is most worth swapping: the target, else the first categorical one; None where there is neither."""
    schema = header.metadata_schema
    return schema.target or next((field for field in schema if isinstance(field, CategoricalField)), None)


def steps(header: Header, name: str) -> list[Value]:
    """The values of a field that a person steps through: all choices, or evenly spaced points of a continuous field.

    What the program fills in slice by slice comes after the points.
    """
    found = header.metadata_schema[name]
    if isinstance(found, ContinuousField):
        span = found.maximum - found.minimum
        points: list[Value] = [found.minimum + span * point / (POINTS - 1) for point in range(POINTS)]
        return [*points, BY_SLICE] if found.per_slice else points
    return list(found.choices)
