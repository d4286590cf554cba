"""What is wrong with the numbers in the masks."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from napari_film.fields import folded

from ..cases.record import Record
from ..recipe import Recipe
from .columns import labelled_names
from .finding import Finding, listed
from .measuring import Seen


def label_findings(seen: Sequence[Seen], recipe: Recipe) -> Iterator[Finding]:
    """Tell masks that are empty, soft without leave, or hold labels that nobody named; and classes that no mask has.

    A label has a name where a class or a value of the target field has it, where the file says one itself, or where a dseg.tsv
    of the data set does (``index``, ``name``): it is another structure then, and background to this recipe.
    """
    known = {label for labels in _classes(recipe).values() for label in labels}
    for case in seen:
        if case.mask is None or case.mask.voxels.bad:
            continue
        where, mask, voxels = case.record.where, case.mask, case.mask.voxels
        if voxels.fractional and not recipe.data.soft_masks:
            text = (
                f"{mask.name} holds {voxels.fractional} voxels that are no whole number ({voxels.low:g} to {voxels.high:g}); "
                "save labels, or allow soft masks by data.soft_masks in the recipe."
            )
            yield Finding("fractional-mask", "error", where, text)
            continue
        if voxels.strange or (voxels.fractional and not 0 <= voxels.low <= voxels.high <= 1):
            allowed = "parts from 0 to 1 are expected" if voxels.fractional else "whole numbers from 0 to 255 are expected"
            yield Finding("label", "error", where, f"{mask.name} holds {voxels.low:g} to {voxels.high:g}, where {allowed}; save it again.")
            continue
        unnamed = [] if voxels.fractional else sorted(set(voxels.labels) - known - {0} - set(mask.names) - _named_beside(case.record))
        if unnamed:
            labels = f"label{'s' if len(unnamed) > 1 else ''} {listed([str(label) for label in unnamed])}"
            text = f"{mask.name} holds the {labels}, that nothing in the recipe names, so it is background; name it or remove it."
            yield Finding("label", "warning", where, text)
        elif not voxels.fractional and not _wanted(case.record, recipe) & set(voxels.labels):
            what = "is empty" if set(voxels.labels) == {0} else "shows nothing of what is to be segmented"
            text = f"{mask.name} {what}: the network learns that there is nothing; if that is not so, draw it or take the case out."
            yield Finding("empty-mask", "warning", where, text)
    yield from _absent(seen, recipe)


def _absent(seen: Sequence[Seen], recipe: Recipe) -> Iterator[Finding]:
    """Tell the classes that occur in no mask; nothing while masks are missing or soft."""
    if any(case.mask is None or case.mask.voxels.fractional or case.mask.voxels.bad for case in seen):
        return
    present = {label for case in seen if case.mask for label in case.mask.voxels.labels}
    for name, labels in _classes(recipe).items():
        if not present & set(labels):
            numbers = listed([str(label) for label in labels])
            text = f"No mask shows {name} (label {numbers}), so it cannot be learned; correct its labels in the recipe."
            yield Finding("absent-class", "error", "", text)


def _classes(recipe: Recipe) -> Mapping[str, tuple[int, ...]]:
    """Labels by the name of the class, or of the target field's value."""
    field = recipe.swapped()
    if field is not None and field.role == "target":
        return field.labels
    return {entry.name: entry.labels for entry in recipe.classes}


def _wanted(record: Record, recipe: Recipe) -> set[int]:
    """Labels of what is to be segmented in one case."""
    classes = _classes(recipe)
    field = recipe.swapped()
    if field is None or field.role != "target":
        return {label for labels in classes.values() for label in labels}
    names = {folded(name) for name in labelled_names(record, field)}
    own = {value: labels for value, labels in classes.items() if names & {folded(name) for name in (value, *field.synonyms.get(value, ()))}}
    return {label for labels in (own or classes).values() for label in labels}


def _named_beside(record: Record) -> set[int]:
    """Labels that a dseg.tsv names, in the mask's folder or one above it, up to the data set's own."""
    return set() if record.mask is None else _named_above(record.mask.parent)


@cache
def _named_above(folder: Path) -> set[int]:
    table = folder / "dseg.tsv"
    if table.is_file():
        try:
            with table.open(encoding="utf-8-sig", newline="") as file:
                return {int(row["index"]) for row in csv.DictReader(file, delimiter="\t")}
        except (OSError, ValueError, KeyError, TypeError):
            return set()
    if (folder / "dataset_description.json").is_file() or folder.parent == folder:
        return set()
    return _named_above(folder.parent)
