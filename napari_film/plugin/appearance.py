"""Under which name, in which colours and with which provenance a mask is shown. No Qt, no napari."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_film.conditioning import CategoricalField, Value
from napari_film.header import Header
from napari_film.inference import sidecar
from napari_film.inference.prediction import Prediction


@dataclass(frozen=True)
class Appearance:
    """What a mask layer says of its mask.

    Parameters
    ----------
    name
        Of the layer: what was looked for, and the condition values under which.
    names
        Of the labels.
    first_colour
        Place of the first label's colour, so that each condition value has one of its own.
    sidecar
        What is written beside the mask when it is saved; None while a part of it was not computed.
    """

    name: str
    names: Mapping[int, str]
    first_colour: int
    sidecar: Mapping[str, Any] | None

    @classmethod
    def of(cls, predictions: Sequence[Prediction], header: Header, provenance: Callable[[], Mapping[str, Any]]) -> "Appearance":
        """Describe the mask that ``predictions`` make together; ``provenance`` is asked only where all of it was computed."""
        values = predictions[0].metadata.values
        target = header.metadata_schema.target
        told = [
            "all values" if len(predictions) > 1 and field is target else _spoken(values[field.name]) for field in header.metadata_schema
        ]
        leading = target or next((field for field in header.metadata_schema if isinstance(field, CategoricalField)), None)
        return cls(
            name=f"{_spoken(header.classes[0] if len(header.classes) == 1 else header.name)}: {', '.join(told) or 'no metadata'}",
            names=sidecar.label_names(header, predictions),
            first_colour=leading.choices.index(str(values[leading.name])) if leading and len(predictions) == 1 else 0,
            sidecar=provenance() if all(prediction.kept.complete for prediction in predictions) else None,
        )


def _spoken(value: Value) -> str:
    """A name or a number as a person reads it."""
    return value.replace("_", " ") if isinstance(value, str) else f"{value:g}"
