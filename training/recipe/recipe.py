"""A recipe: one TOML file that says which data, which network and how to train it.

Every key is typed and an unknown one is refused. `reading.load_recipe` reads one.
"""

from collections import Counter
from typing import Self

from pydantic import Field, model_validator

from napari_film.architecture import Architecture
from napari_film.conditioning import MetadataSchema
from napari_film.fields import folded
from napari_film.header import Channel
from napari_film.preprocessing import Preprocessing
from napari_film.volume import SLICED_AXES

from .data import Data
from .fields import CategoricalRecipe, FieldRecipe
from .images import ChannelRecipe, ClassRecipe, PreprocessingRecipe
from .network import Model
from .part import Part
from .training import IN_IMAGE, IN_PLANE, Training


class Recipe(Part):
    """All that a training run is made from."""

    model: Model
    data: Data
    channels: tuple[ChannelRecipe, ...] = Field(min_length=1)
    classes: tuple[ClassRecipe, ...] = ()
    fields: tuple[FieldRecipe, ...] = ()
    preprocessing: PreprocessingRecipe
    training: Training = Training()

    @model_validator(mode="before")
    @classmethod
    def _without_prior_all_is_unknown(cls, content: object) -> object:
        """Let every context field be *unknown* where nothing else is ever told."""
        if not isinstance(content, dict) or not isinstance(training := content.get("training"), dict) or training.get("prior") != "none":
            return content
        fields = content.get("fields", ())
        if not isinstance(fields, list | tuple) or not all(isinstance(field, dict) for field in fields):
            return content
        return {**content, "fields": [field if field.get("role") == "target" else {**field, "unknown": True} for field in fields]}

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        target = self.metadata_schema().target
        if target is None and not self.classes:
            raise ValueError("[[classes]] is missing: without a target field it says what to segment (name, labels)")
        if target is not None and self.classes:
            raise ValueError(f"[[classes]] and the target field {target.name!r} both say what to segment; keep one")
        if target is not None and self.training.prior == "none":
            raise ValueError(f'training.prior is "none", so the network could not be told {target.name}; use "known"')
        if self.model.told and not self.fields:
            raise ValueError('[[fields]] is missing: a network that is told metadata needs one, or model.places is "none"')
        if target is not None and not self.model.told:
            raise ValueError(f'model.places is "none", so the network could not be told {target.name}; use "everywhere"')
        for source in self.data.all_sources():
            for value in source.labelled:
                if target is None:
                    raise ValueError("data: labelled names values of a target field, and the recipe has none")
                if value not in target.values:
                    choices = ", ".join(target.values)
                    raise ValueError(f"data: labelled names {value!r}, which {target.name} does not have; choose from: {choices}")
        if self.data.soft_masks and any(labels != (1,) for value in self._label_values() for labels in self.class_labels(value)):
            raise ValueError("data.soft_masks: a soft mask holds one structure, whose label is 1; give labels = [1] everywhere")
        for field in self.fields:
            in_image = [axis for axis in field.spatial if axis in IN_IMAGE]
            if in_image and self.preprocessing.slice_axis != "acquired":
                raise ValueError(
                    f"{field.name}: {in_image[0]} is of slices as they were acquired and of pictures; "
                    f"of {self.preprocessing.slice_axis} slices name the axis of the body"
                )
            if field.filled_in and self.preprocessing.spacing[SLICED_AXES[self.preprocessing.slice_axis][0]]:
                raise ValueError(
                    f"preprocessing.spacing resamples {self.preprocessing.slice_axis} slices along their axis, "
                    f"and {field.name} is per slice; give 0 there"
                )
        self._flips_are_known()
        self._places_stay_known()
        if self.training.patch and any(side % 2**self.model.depth for side in self.training.patch):
            raise ValueError(f"training.patch {self.training.patch} does not have sides that are multiples of {2**self.model.depth}")
        return self

    def _flips_are_known(self) -> None:
        for axis in self.training.flips:
            plane = IN_PLANE[self.preprocessing.slice_axis]
            if axis not in plane:
                raise ValueError(
                    f"training.flips: {self.preprocessing.slice_axis} slices can be mirrored {' and '.join(plane)}, not {axis}"
                )
            for field in self.fields:
                if body := [place for place in field.spatial if place not in IN_IMAGE and self.preprocessing.slice_axis == "acquired"]:
                    raise ValueError(
                        f"training.flips: {field.name} is a place {body[0]} in the body, and which way that is in acquired slices "
                        "differs from file to file; leave flips out"
                    )
                if not field.movable(axis):
                    raise ValueError(
                        f"training.flips: an image mirrored {axis} has another {field.name}; "
                        f"say which by mirror in that field, or leave {axis} out"
                    )

    def _places_stay_known(self) -> None:
        """Refuse what moves an image under a network that is told of places in it and not what part of it is shown.

        A place in the body moves along with the body.
        """
        spatial = [field.name for field in self.fields if set(field.spatial) & IN_IMAGE]
        if not spatial or self.looks_at_position:
            return
        advice = 'or give the network places by conditioning = "inside", or by coordinates = true'
        if self.training.augmentation is True:
            raise ValueError(
                f'training.augmentation moves slices, and this network is not told where {spatial[0]} lies then; use "intensity", {advice}'
            )
        if self.training.patch:
            raise ValueError(
                f"training.patch cuts slices, and this network is not told where {spatial[0]} lies then; leave it out, {advice}"
            )

    @property
    def looks_at_position(self) -> bool:
        """Whether the network is told where in the whole image a patch lies, which is then not rotated: a position has no angle."""
        return self.architecture().looks_at_position

    def metadata_schema(self) -> MetadataSchema:
        """Give the fields as a checkpoint stores them. A column that two fields are made of is another name of none of them."""
        fields = [field.field() for field in self.fields]
        names = Counter(folded(name) for field in fields for name in (field.name, *field.aliases))
        distinct = [
            field.model_copy(update={"aliases": tuple(alias for alias in field.aliases if names[folded(alias)] == 1)}) for field in fields
        ]
        return MetadataSchema(fields=tuple(distinct))

    def swapped(self) -> CategoricalRecipe | None:
        """Give the field whose values are balanced, tuned and scored: the target, or else the first categorical field."""
        categorical = [field for field in self.fields if isinstance(field, CategoricalRecipe)]
        return next((field for field in categorical if field.role == "target"), categorical[0] if categorical else None)

    def image_channels(self) -> tuple[ChannelRecipe, ...]:
        """Give the channels that have files of their own: all, or the first, where one 4D file holds them all."""
        return self.channels[:1] if self.preprocessing.fourth_axis == "channels" else self.channels

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

    def _label_values(self) -> tuple[str | None, ...]:
        field = self.swapped()
        return field.values if field is not None and field.role == "target" else (None,)

    def checkpoint_channels(self) -> tuple[Channel, ...]:
        """Give the channels as a checkpoint stores them."""
        return tuple(
            Channel(name=entry.name, suffix=suffix, description=entry.description)
            for entry in self.channels
            for suffix in [entry.suffixes[0] if len(entry.suffixes) == 1 else ""]
        )

    def checkpoint_preprocessing(self) -> Preprocessing:
        """Give the preprocessing as a checkpoint stores it, and as training and inference use it."""
        architecture = self.architecture()
        return Preprocessing(
            slice_axis=self.preprocessing.slice_axis,
            spacing=tuple(length or None for length in self.preprocessing.spacing),
            normalisation=tuple(entry.normalisation() for entry in self.channels),
            fourth_axis=self.preprocessing.fourth_axis,
            divisor=max(16, architecture.divisor) if architecture.classic else architecture.divisor,
        )

    def architecture(self) -> Architecture:
        """Give the network that the recipe asks for."""
        return Architecture(
            channels=len(self.channels),
            classes=len(self.class_names()),
            condition=self.metadata_schema().width,
            **self.model.layout(),
        )
