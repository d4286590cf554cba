"""A recipe: one TOML file that says which data, which network and how to train it.

Every key is typed and an unknown one is refused. `recipe_file.load_recipe` reads one.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from napari_film.architecture import Architecture
from napari_film.conditioning import CategoricalField, ContinuousField, MetadataSchema
from napari_film.header import Channel
from napari_film.preprocessing import Normalisation, Preprocessing


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Part):
    """The network and what to call it. ``film`` is one of three words, or one flag for each of the 2·depth + 2 places."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    licence: str = ""
    depth: int = Field(default=4, ge=1, le=8)
    width: int = Field(default=16, ge=1, le=512)
    film: Literal["everywhere", "decoder", "none"] | tuple[bool, ...] = "everywhere"
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @model_validator(mode="after")
    def _places_fit(self) -> Self:
        if not isinstance(self.film, str) and len(self.film) != 2 * self.depth + 2:
            raise ValueError(f"film has {len(self.film)} flags; a network of depth {self.depth} has {2 * self.depth + 2} places")
        return self

    @property
    def places(self) -> tuple[bool, ...]:
        """One flag for each of the 2·depth + 2 places: encoder, bottom, decoder, head."""
        if isinstance(self.film, tuple):
            return self.film
        encoder, decoder = {"everywhere": (True, True), "decoder": (False, True), "none": (False, False)}[self.film]
        return (*[encoder] * (self.depth + 1), *[decoder] * (self.depth + 1))


class Phantom(_Part):
    """A synthetic data set, generated where there is none yet."""

    kind: str
    subjects: int = Field(ge=3)
    seed: int = Field(default=0, ge=0)
    one_organ_per_scan: bool = False


class Data(_Part):
    """Where the cases are: a BIDS folder (relative to the recipe's), or a phantom; ``labels`` names the derivative with the masks."""

    bids: Path | None = None
    phantom: Phantom | None = None
    labels: str = "labels"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.bids is None) == (self.phantom is None):
            raise ValueError("give one of bids and phantom")
        return self


class ChannelRecipe(_Part):
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


class ClassRecipe(_Part):
    """A class that the network segments: the integers in the masks that belong to it."""

    name: str
    labels: tuple[int, ...] = Field(min_length=1)


class CategoricalRecipe(_Part):
    """A categorical field; ``column`` names its column of participants.tsv, where that is not called as the field.

    A target field says which integers in the masks each value means, and its column, if given, which value is labelled in a scan.
    """

    name: str
    kind: Literal["categorical"] = "categorical"
    role: Literal["target", "context"] = "context"
    description: str = ""
    column: str | None = None
    unknown: bool = False
    values: tuple[str, ...] = Field(min_length=1)
    synonyms: Mapping[str, tuple[str, ...]] = {}
    labels: Mapping[str, tuple[int, ...]] = {}

    @model_validator(mode="after")
    def _labels_fit_the_role(self) -> Self:
        self.field()
        if self.role == "context" and self.labels:
            raise ValueError("labels belong to a target field; a context field's classes stand under [[classes]]")
        if self.role == "target" and set(self.labels) != set(self.values):
            raise ValueError(f"labels needs one entry for each of: {', '.join(self.values)}")
        if self.role == "target" and self.unknown:
            raise ValueError("a target field cannot be unknown: there would be nothing to segment")
        return self

    def field(self) -> CategoricalField:
        """Give the field as a checkpoint stores it."""
        return CategoricalField(
            name=self.name, role=self.role, unknown=self.unknown, description=self.description, values=self.values, synonyms=self.synonyms
        )


class ContinuousRecipe(_Part):
    """A field that is a number."""

    name: str
    kind: Literal["continuous"]
    role: Literal["context"] = "context"
    description: str = ""
    column: str | None = None
    unknown: bool = False
    minimum: float
    maximum: float
    unit: str = ""
    outside: Literal["refuse", "clamp"] = "refuse"

    @model_validator(mode="after")
    def _range_is_a_range(self) -> Self:
        self.field()
        return self

    def field(self) -> ContinuousField:
        """Give the field as a checkpoint stores it."""
        return ContinuousField(**self.model_dump(exclude={"column"}))


def _kind_of_field(content: object) -> object:
    return content.get("kind", "categorical") if isinstance(content, dict) else getattr(content, "kind", None)


FieldRecipe = Annotated[
    Annotated[CategoricalRecipe, Tag("categorical")] | Annotated[ContinuousRecipe, Tag("continuous")],
    Discriminator(_kind_of_field, custom_error_type="kind", custom_error_message="kind should be 'categorical' or 'continuous'"),
]


class PreprocessingRecipe(_Part):
    """As the checkpoint's preprocessing; ``spacing`` is mm along R, A, S, and 0 keeps the image's own."""

    slice_axis: Literal["axial", "coronal", "sagittal"]
    spacing: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @field_validator("spacing")
    @classmethod
    def _is_a_length(cls, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        if any(not (math.isfinite(length) and length >= 0) for length in spacing):
            raise ValueError(f"{spacing} are no lengths in mm; 0 keeps the image's own")
        return spacing


class Training(_Part):
    """How the network is trained. One epoch shows ``samples`` slices, as many of each condition value as of the others."""

    epochs: int = Field(default=100, ge=1)
    samples: int = Field(default=512, ge=1)
    batch: int = Field(default=8, ge=1)
    patch: tuple[int, int] | None = None
    foreground: float = Field(default=0.75, ge=0, le=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    loss: Literal["dice", "dice+bce"] = "dice"
    dice_over: Literal["batch", "condition"] = "batch"
    metadata_dropout: float = Field(default=0.25, ge=0, le=1)
    augmentation: bool = True
    validate_every: int = Field(default=1, ge=1)
    patience: int = Field(default=50, ge=1)
    epsilon: float = Field(default=0.001, ge=0)
    split: tuple[float, float, float] = (0.6, 0.2, 0.2)
    seed: int = Field(default=0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"

    @field_validator("split")
    @classmethod
    def _is_a_whole(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(split) <= 0 or not math.isclose(sum(split), 1, abs_tol=1e-6):
            raise ValueError(f"{split} are not three parts of 1 (training, validation, test)")
        return split


class Recipe(_Part):
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
