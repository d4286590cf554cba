"""A table of cases: one a line, in a CSV or TSV file.

    subject  session  rater  split  image:T1w          image:T2w          mask                tumor_type  age
    p01      1        A      train  p01/t1.nii.gz      p01/t2.nii.gz      p01/core.nii.gz     ependymoma  43

``image`` stands for a single channel. Paths are relative to the table's folder. All but ``subject`` (or ``participant_id``), the
images and the mask may be left out, and whatever else there is are metadata. The mask may be missing where nothing is trained.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_film.bids import Statement, read_text, says_nothing
from napari_film.errors import InputError
from napari_film.fields import folded

from ..recipe import Recipe
from ..recipe.data import Source
from .case import ManifestError
from .record import Record
from .said import read_said, stated

_KEYS = {"participant_id": "subject", "session_id": "session", "filename": "image"}
_OWN = ("subject", "session", "rater", "split", "mask")


def table_records(path: Path, source: Source, recipe: Recipe) -> tuple[Record, ...]:
    """Read the records of the table ``path``, in its order.

    Raises
    ------
    ManifestError
        If it cannot be read, or its heading lacks a column that every table has.
    """
    heading, rows = _read(path)
    channels = _channels(path, heading, recipe)
    return tuple(_record(path, line, heading, row, channels, source, recipe) for line, row in rows)


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Give the heading, and the cells of each line that is not empty with its number."""
    try:
        text = read_text(path)
    except InputError as error:
        raise ManifestError(f"The table {path} cannot be read; give a CSV or TSV file with one case a line.") from error
    first = text.partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        heading = [cell.strip() for cell in next(lines, [])]
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ManifestError(f"{path.name} is no table ({error}); give a CSV or TSV file with one case a line.") from error
    heading = [_KEYS.get(column.casefold(), column.casefold() if column.casefold() in _OWN else column) for column in heading]
    twice = sorted({column for column in heading if column and heading.count(column) > 1})
    if twice:
        raise ManifestError(f"{path.name} has two columns called {twice[0]}; take one out or give it another name.")
    for needed in ("subject", "mask"):
        if needed not in heading:
            raise ManifestError(f"{path.name} has no column {needed}; its columns are {', '.join(filter(None, heading)) or 'none'}.")
    return heading, rows


def _channels(path: Path, heading: Sequence[str], recipe: Recipe) -> dict[str, str]:
    """Column of each channel's image, by the channel's name."""
    by_name = {folded(column.partition(":")[2]): column for column in heading if column.lower().startswith("image:")}
    alone = next((column for column in heading if column.lower() == "image"), None)
    found = {}
    for channel in recipe.channels:
        column = by_name.get(folded(channel.name))
        if column is None and len(recipe.image_channels()) == 1:
            column = alone
        if column is not None:
            found[channel.name] = column
    missing = [channel.name for channel in recipe.image_channels() if channel.name not in found]
    if missing:
        wanted = f"image:{missing[0]}" + (" or image" if len(recipe.image_channels()) == 1 else "")
        raise ManifestError(
            f"{path.name} has no column {wanted}, where the images of channel {missing[0]} stand; "
            f"its columns are {', '.join(filter(None, heading))}."
        )
    return found


def _record(
    path: Path, line: int, heading: Sequence[str], row: Sequence[str], channels: Mapping[str, str], source: Source, recipe: Recipe
) -> Record:
    where = f"{path.name}, line {line}"
    faults = []
    if len(row) < len(heading) or any(row[len(heading) :]):
        faults.append(f"{where}: {len(row)} cells stand under a heading of {len(heading)}, so it cannot be told which is which.")
    cells = dict(zip(heading, row, strict=False))

    def said(column: str) -> str:
        text = cells.get(column, "")
        return "" if says_nothing(text) else text

    def file(column: str) -> Path | None:
        return path.parent / Path(said(column)).expanduser() if said(column) else None

    files = {"mask", *(column for column in heading if column.lower().split(":")[0] == "image")}
    row_says = {key: Statement(key, value, where) for key, value in cells.items() if key and key not in {"subject", *files}}
    metadata = read_said([stated(source.cells, "the recipe"), row_says], recipe)
    return Record(
        where=where,
        subject=said("subject"),
        images={channel.name: file(channels[channel.name]) for channel in recipe.image_channels()},
        mask=file("mask"),
        session=said("session"),
        rater=said("rater"),
        labelled=source.labelled,
        faults=tuple(faults),
        **metadata.parts(),
    )
