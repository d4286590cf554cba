"""The fields of a recipe: what the network is told, and where each case's value stands."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from napari_film.conditioning import CategoricalField, ContinuousField

from .part import Part


class CategoricalRecipe(Part):
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


class ContinuousRecipe(Part):
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
