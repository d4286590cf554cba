"""What is said of a case, by the files around an image or by a row of a table, understood by the core's reader.

It is the reader that fills in the dock, so that training and inference take one value from one file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_film.bids import Said, Statement, says_nothing, understand
from napari_film.conditioning import MetadataSchema
from napari_film.fields import Value

from ..recipe import Recipe

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Metadata:
    """The parts of a `Record` that hold metadata; see there."""

    cells: Mapping[str, str]
    origins: Mapping[str, str]
    understood: Mapping[str, Value]
    refused: Mapping[str, str]
    notices: tuple[str, ...]

    def parts(self) -> dict[str, Any]:
        """Give them by name, for a record; with the split, where a column says one."""
        return {**vars(self), "split": split_named(self.cells.get("split", ""))}


def read_said(sources: Sequence[Said], recipe: Recipe, notices: Iterable[str] = ()) -> Metadata:
    """Understand what ``sources`` say, the most specific first; the first that says something of a field decides.

    A field is looked up by its column alone where the recipe names one.
    """
    cells: dict[str, str] = {}
    origins: dict[str, str] = {}
    for said in sources:
        for key, statement in said.items():
            if isinstance(statement.value, list | dict):
                continue
            text = "" if statement.value is None or says_nothing(statement.text) else statement.text
            if not cells.get(key):
                cells[key], origins[key] = text, statement.origin
    understood: dict[str, Value] = {}
    refused: dict[str, str] = {}
    told = list(notices)
    for field in recipe.fields:
        if field.role == "target" or field.filled_in:
            continue
        looked_up = field.looked_up()
        found = understand(sources, MetadataSchema(fields=(looked_up,)))
        if looked_up.name in found.values:
            understood[field.name] = found.values[looked_up.name].value
        if looked_up.name in found.refused:
            refused[field.name] = found.refused[looked_up.name]
        told += [notice for notice in found.notices if notice not in found.refused.values()]
    return Metadata(cells, origins, understood, refused, tuple(dict.fromkeys(told)))


def stated(values: Mapping[str, str], origin: str) -> Said:
    """Give ``values`` as what ``origin`` says; those that are empty are not said."""
    return {key: Statement(key, value, origin) for key, value in values.items() if value}


def split_named(text: str) -> str:
    """Spell a part of a split as records do, where it is one; other words stay as they are."""
    return _SPLITS.get(text.strip().casefold(), text.strip())
