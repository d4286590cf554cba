"""What a person has chosen to see: which condition values are shown, and which could come next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from napari_film.conditioning import CategoricalField, Metadata, Value
from napari_film.header import Header


@dataclass(frozen=True)
class Choice:
    """Condition values under a checkpoint's schema, or all values of its target field at once."""

    header: Header
    metadata: Mapping[str, Value] = field(default_factory=dict)
    all_values: bool = False

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

    def shown(self) -> list[Metadata]:
        """The metadata of the shown mask: one, or one for each value of the target field."""
        schema = self.header.metadata_schema
        if self.all_values and schema.target:
            return [schema.resolve({**self.metadata, schema.target.name: value}) for value in schema.target.values]
        return [schema.resolve(self.metadata)]

    def others(self) -> list[Metadata]:
        """What may be chosen next: the other values of each categorical field, the rest left as it is."""
        if self.all_values:
            return []
        schema = self.header.metadata_schema
        categorical = [field for field in schema if isinstance(field, CategoricalField)]
        changes = [{field.name: value} for field in categorical for value in field.choices if value != self.metadata[field.name]]
        return [schema.resolve({**self.metadata, **change}) for change in changes]

    def condition(self, metadata: Metadata) -> tuple[float, ...]:
        """Condition vector (M,) of ``metadata``."""
        return tuple(float(column) for column in self.header.metadata_schema.encode(metadata.values))
