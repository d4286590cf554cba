"""Under which name, with which labels and with which provenance a mask is shown. No Qt, no napari."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from napari_film.fields import Value
from napari_film.inference import sidecar
from napari_film.plugin.choice import Choice
from napari_film.plugin.composition import Composition

Provenance = Callable[[Composition], Mapping[str, Any]]


@dataclass(frozen=True)
class Appearance:
    """What a mask layer says of its mask.

    Parameters
    ----------
    name
        Of the layer: what was looked for, and the condition values under which.
    names
        Of the labels.
    metadata
        The condition values; a mixture in words.
    sidecar
        Makes what is written beside the mask when it is saved; None while a part of it was not computed.
    """

    name: str
    names: Mapping[int, str]
    metadata: Mapping[str, Value]
    sidecar: Callable[[], Mapping[str, Any]] | None

    @classmethod
    def of(cls, choice: Choice, composition: Composition, provenance: Provenance) -> "Appearance":
        """Describe the mask of ``composition``; ``provenance`` is asked when it is saved."""
        complete = composition.complete
        names = sidecar.label_names(choice.header, [share.metadata for share in composition.shares], complete=complete)
        what = choice.header.classes[0] if len(choice.header.classes) == 1 else choice.header.name
        values = told(choice)
        return cls(
            name=f"{_spoken(what)}: {summary(choice)}",
            names=names,
            metadata=values,
            sidecar=(lambda: provenance(composition)) if complete else None,
        )


def summary(choice: Choice) -> str:
    """The condition values in a few words: what a mask, a cell of a grid or a row of a table is called."""
    return ", ".join(map(_spoken, told(choice).values())) or "no metadata"


def told(choice: Choice) -> dict[str, Value]:
    """What a person sees for each field: a value, "all values", or the weights of a mixture."""
    schema, mixture = choice.header.metadata_schema, choice.mixture
    values: dict[str, Value] = {}
    for field in schema:
        if mixture is not None and field.name == mixture.field:
            weights = [f"{percent} % {_spoken(value)}" for value, percent in mixture.percent.items() if percent]
            values[field.name] = " + ".join(weights) + (" (blended)" if mixture.mode == "blended" else "")
        elif choice.all_values and field is schema.target:
            values[field.name] = "all values"
        else:
            values[field.name] = choice.metadata[field.name]
    return values


def _spoken(value: Value) -> str:
    """A name or a number as a person reads it."""
    return value.replace("_", " ") if isinstance(value, str) else f"{value:g}"
