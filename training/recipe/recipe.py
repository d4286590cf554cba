"""A recipe: one TOML file that says which data, which network and how to train it.

Every key is typed and an unknown one is refused. `reading.load_recipe` reads one.
"""

from typing import Self

from pydantic import Field, model_validator

from napari_film.architecture import Architecture
from napari_film.conditioning import MetadataSchema
from napari_film.header import Channel
from napari_film.preprocessing import Preprocessing

from .data import Data
from .fields import CategoricalRecipe, FieldRecipe
from .images import ChannelRecipe, ClassRecipe, PreprocessingRecipe
from .network import Model
from .part import Part
from .training import Training


class Recipe(Part):
    """All that a training run is made from."""

    model: Model
    data: Data
    channels: tuple[ChannelRecipe, ...] = Field(min_length=1)
    classes: tuple[ClassRecipe, ...] = ()
    fields: tuple[FieldRecipe, ...] = ()
    preprocessing: PreprocessingRecipe
    training: Training = Training()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        target = self.metadata_schema().target
        if target is None and not self.classes:
            raise ValueError("[[classes]] is missing: without a target field it says what to segment (name, labels)")
        if target is not None and self.classes:
            raise ValueError(f"[[classes]] and the target field {target.name!r} both say what to segment; keep one")
        if any(self.model.places) and not self.fields:
            raise ValueError('[[fields]] is missing: film needs a field, or is "none"')
        if target is not None and not any(self.model.places):
            raise ValueError(f'film is "none", so the network could not be told {target.name}; use "everywhere"')
        if self.training.patch and any(side % 2**self.model.depth for side in self.training.patch):
            raise ValueError(f"training.patch {self.training.patch} does not have sides that are multiples of {2**self.model.depth}")
        return self

    def metadata_schema(self) -> MetadataSchema:
        """Give the fields as a checkpoint stores them."""
        return MetadataSchema(fields=tuple(field.field() for field in self.fields))

    def swapped(self) -> CategoricalRecipe | None:
        """Give the field whose values are balanced, tuned and scored: the target, or else the first categorical field."""
        categorical = [field for field in self.fields if isinstance(field, CategoricalRecipe)]
        return next((field for field in categorical if field.role == "target"), categorical[0] if categorical else None)

    def class_names(self) -> tuple[str, ...]:
        """Names of the network's classes; under a target field there is one, called as the field."""
        target = self.metadata_schema().target
        return (target.name,) if target else tuple(entry.name for entry in self.classes)

    def class_labels(self, value: str | None) -> tuple[tuple[int, ...], ...]:
        """Integers in the masks, per class, that ``value`` of the target field means (None: without a target field)."""
        field = self.swapped()
        if field is not None and field.role == "target":
            return (field.labels[str(value)],)
        return tuple(entry.labels for entry in self.classes)

    def checkpoint_channels(self) -> tuple[Channel, ...]:
        """Give the channels as a checkpoint stores them."""
        return tuple(Channel(name=entry.name, suffix=entry.suffix, description=entry.description) for entry in self.channels)

    def checkpoint_preprocessing(self) -> Preprocessing:
        """Give the preprocessing as a checkpoint stores it, and as training and inference use it."""
        return Preprocessing(
            slice_axis=self.preprocessing.slice_axis,
            spacing=tuple(length or None for length in self.preprocessing.spacing),
            normalisation=tuple(entry.normalisation() for entry in self.channels),
            divisor=max(16, 2**self.model.depth),
        )

    def architecture(self) -> Architecture:
        """Give the network that the recipe asks for."""
        return Architecture(
            depth=self.model.depth,
            width=self.model.width,
            channels=len(self.channels),
            classes=len(self.class_names()),
            condition=self.metadata_schema().width,
            film=self.model.places,
            dropout=self.model.dropout,
        )
