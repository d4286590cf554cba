"""A recipe for data that have none yet: what can be seen from names alone, so that the data can be looked at.

Of a BIDS folder, the images with masks are the reference; where those are of several suffixes, each is a case (contrast as a
condition), and where of one, the other images of the same scans are its channels. Of a table, the columns say it, and of pictures the
first of them.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_film.bids import read_text, stem
from napari_film.errors import InputError
from napari_film.picture import is_picture, read

from ..recipe import Recipe
from ..recipe.data import Source

_SCAN = ("sub-", "ses-", "run-")
_USUAL = ("dseg", "seg-manual")
_COLOURS = ("red", "green", "blue")
_ADVICE = "say by --recipe where images and masks are"


def guess_recipe(source: Source) -> Recipe:
    """Make up a recipe for a data set: its channels, one class of every label, and no field.

    Raises
    ------
    InputError
        If nothing in it looks like an image with a mask.
    """
    content = _of_table(source.table) if source.table is not None else _of_folder(source.bids or Path())
    return Recipe.model_validate(
        {
            "model": {"name": "check", "places": "none"},
            "classes": [{"name": "any structure", "labels": range(1, 256)}],
            "preprocessing": {"slice_axis": "axial"},
            **content,
        }
    )


def _of_table(path: Path) -> dict[str, Any]:
    first = read_text(path).partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    heading = [column.strip() for column in next(csv.reader([first], delimiter=delimiter), [])]
    names = [column.partition(":")[2] or "image" for column in heading if column.lower().partition(":")[0] == "image"]
    if not names:
        raise InputError(f"{path.name} has no column image or image:NAME, where the images stand; its columns are {', '.join(heading)}.")
    return {"data": {"table": path}, "channels": [{"name": name} for name in names], **_of_pictures(path, delimiter, names)}


def _of_pictures(table: Path, delimiter: str, names: Sequence[str]) -> dict[str, Any]:
    """Say how pictures are sliced, and that a colour one holds all channels, by the first line of ``table``; nothing of volumes."""
    rows = csv.DictReader(io.StringIO(read_text(table), newline=""), delimiter=delimiter)
    cells = {(key or "").strip().lower(): cell for key, cell in next(rows, {}).items()}
    image = next((table.parent / cell for key, cell in cells.items() if key.partition(":")[0] == "image" and isinstance(cell, str)), None)
    if image is None or not is_picture(image):
        return {}
    sliced: dict[str, Any] = {"preprocessing": {"slice_axis": "acquired"}}
    try:
        data = read(image).data
    except InputError:  # which is told with the others
        return sliced
    if len(names) > 1 or data.ndim < 4 or data.shape[3] < len(_COLOURS):
        return sliced
    sliced["preprocessing"]["fourth_axis"] = "channels"
    return {**sliced, "channels": [{"name": colour} for colour in _COLOURS]}


def _of_folder(folder: Path) -> dict[str, Any]:
    images = [path for path in sorted(folder.glob("sub-*/**/*.nii*")) if path.name.endswith((".nii", ".nii.gz"))]
    found = Counter(_suffix(path) for path in images)
    derivatives = sorted(path.name for path in folder.glob("derivatives/*") if any(path.rglob("*.nii*")))
    derivative = "labels" if "labels" in derivatives or not derivatives else derivatives[0]
    masks: Counter[str] = Counter()
    masked: Counter[str] = Counter()
    for path in images:
        beside = (folder / "derivatives" / derivative / path.parent.relative_to(folder)).glob(f"{stem(path.name)}_*.nii*")
        own = {stem(mask.name).removeprefix(f"{stem(path.name)}_").rpartition("desc-")[2].rpartition("_")[2] for mask in beside}
        masks.update(own)
        masked[_suffix(path)] += bool(own)
    if not masks:
        raise InputError(f"{folder} has no image sub-*/**/*.nii.gz with a mask under derivatives/{derivative}; {_ADVICE}.")
    usual = next((suffix for suffix in _USUAL if suffix in masks), None)
    references = [suffix for suffix, count in masked.most_common() if count]
    others = [] if len(references) > 1 else [suffix for suffix, count in found.items() if 2 * count >= found[references[0]]]
    channels = [{"name": "image" if len(references) > 1 else references[0], "suffix": references}]
    channels += [{"name": suffix, "suffix": [suffix]} for suffix in others if suffix != references[0]]
    data = {"bids": folder, "labels": derivative, "mask_suffix": [] if usual else masks.most_common(1)[0][0]}
    return {"data": data, "channels": channels}


def _suffix(path: Path) -> str:
    """What a name says besides whose image it is, and of which session and run."""
    return "_".join(part for part in stem(path.name).split("_") if not part.startswith(_SCAN))
